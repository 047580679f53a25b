"""What the checked functions for compiled code answer."""

from enum import IntEnum


class Status(IntEnum):
    """Answer of a checked function; with any other than `OK` and `NOT_FINITE` nothing was written.

    `WRONG_X`, `WRONG_Y` and `WRONG_OUT` tell which array has not the shape that the function asks for, or has
    memory in common with what is written while it is read: the samples; the targets, or `dy`; the array that
    would be written. `WRONG_X` also says that `x` has no index, as `Embedding` takes it, where it must.
    """

    OK = 0
    #: The loss is NaN or infinite, `dy` of `backward_checked` or the gradient of `apply_gradient_checked`.
    #: No step was made.
    NOT_FINITE = 1
    WRONG_X = 2
    WRONG_Y = 3
    WRONG_OUT = 4
    #: No samples, or more than `max_batch` of `fastnn.Model.network`.
    WRONG_BATCH = 5
    #: A target that stands for a class is none of the whole numbers from 0 to n_out - 1.
    WRONG_CLASS = 6
    #: The optimizer's state is that of another model, or a copy; the state of `step` has another shape.
    WRONG_STATE = 7
    #: The model has no loss.
    NO_LOSS = 8
    #: The network is a copy, or arrays of it are.
    WRONG_NETWORK = 9
    #: There was no `forward_train` before `backward`, or another function used the network since.
    NO_FORWARD = 10
    #: There was no `backward` before `apply_gradient`, nor anything else that wrote the gradient.
    NO_GRADIENT = 11
