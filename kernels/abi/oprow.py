"""Op rows: records that a kernel's entry reads to cut its arrays out of the flat buffers.

Layers, losses, targets, metrics, penalties, optimizers and schedules have a kind of row each, all of one
size: fields of 8 bytes, and settings of the kernel's own. Compiled code reads ``op.n_in`` of
``op = record(op_address, OP)``, Python ``table.view(OP)["n_in"]``.

Offsets count elements of the model's dtype: those of tensors from the start of the workspace (or `INPUT`,
`OUTPUT`, `NONE`), those of parameters from the start of the parameter vector.
"""

import numpy as np

#: int64 numbers that a row of any kind takes.
SIZE = 48


def _row(*fields):
    """Dtype of a kind of row: these fields, and settings as far as there is room."""
    numbers = np.dtype(list(fields)).itemsize // 8
    return np.dtype([*fields, ("settings", np.float64, (SIZE - numbers,))], align=True)


OP = _row(
    # Addresses of the entries, 0 for none
    ("forward", np.int64),  # computes the output
    ("backward_input", np.int64),  # the gradient with respect to the input, row by row
    ("backward_weights", np.int64),  # the gradient with respect to the parameters, a sum over rows
    ("update_statistics", np.int64),  # the running statistics, behind a training step
    ("n_in", np.int64),  # numbers a row of the input has
    ("n_out", np.int64),  # numbers a row of the output has
    # Offsets of tensors
    ("x", np.int64),  # the input
    ("x2", np.int64),  # the second input of an op that combines two tensors, or NONE
    ("y", np.int64),  # the output
    ("dx", np.int64),  # the gradient with respect to the input, or NONE
    ("dx2", np.int64),  # that with respect to the second input, or NONE
    ("dy", np.int64),  # the gradient with respect to the output
    ("scratch", np.int64),  # memory for each row that the op keeps for its gradient, or NONE
    # What is the op's in other vectors
    ("parameters", np.int64, (4,)),  # offsets of its parameters, or NONE
    ("first_parameter", np.int64),  # offset of the first of them, which lie one behind the other
    ("n_parameters", np.int64),  # how many numbers they are
    ("constants", np.int64),  # offset of its numbers in the vector of constants, or NONE
    ("statistics", np.int64),  # offset of its running statistics in their vector, or NONE
    ("state", np.int64),  # of a recurrent op: offset of its numbers in the state of a row
    ("stream", np.int64),  # number of its stream of random numbers
    ("matrix_rows", np.int64),  # rows of the first parameter, some of which can have their gradient computed
    ("matrix_columns", np.int64),  # alone: see `first_weight`; of an op that does all at once 1 and 0
    ("cost", np.int64),  # of the gradient of its parameters and of their update, in updates of a parameter
    ("product", np.int64),  # address of the entry of the product that the op's kernels call, or 0
    (
        "coupled",
        np.int64,
    ),  # 1: a row of the output depends on other rows: its entries wait for all threads
)

LOSS = _row(
    ("forward", np.int64),  # address of the entry that computes the loss, and the gradient
    ("unscaled", np.int64),  # of a loss of scaled targets: address of the entry of the loss itself
    ("n_out", np.int64),  # numbers a row of the prediction has
    ("n_targets", np.int64),  # numbers a row of the target has
    ("prediction", np.int64),  # offset
    ("gradient", np.int64),  # offset of the gradient with respect to the prediction
    ("scaled_target", np.int64),  # of a loss of scaled targets: offset of memory for them,
    ("constants", np.int64),  # and of mean and scale in the vector of constants
    ("factor", np.float64),  # what the loss is multiplied with
)

METRIC = _row(
    ("forward", np.int64),  # address of the entry that adds the rows at hand to the state
    ("result", np.int64),  # address of the entry of its result
    ("n_out", np.int64),  # numbers a row of the prediction has
    ("n_targets", np.int64),  # numbers a row of the target has
    ("prediction", np.int64),  # offset of what it is computed from
    ("column", np.int64),  # of its result, in a row of the history
    ("state", np.int64),  # offset in the state of all metrics
    ("state_size", np.int64),
)

PENALTY = _row(
    ("forward", np.int64),  # address of the entry that adds its value
    ("gradient", np.int64),  # address of the entry that adds its gradient
    ("start", np.int64),  # offset of the weights that are penalized
    ("size", np.int64),  # how many they are
    ("l1", np.float64),
    ("l2", np.float64),
    ("alpha", np.float64),
)

OPTIMIZER = _row(
    ("forward", np.int64),  # address of the entry that changes parameters
    ("own_address", np.int64),  # the row's own, by which a copy is told
    ("vectors", np.int64),  # address of the vectors that it remembers,
    ("n_vectors", np.int64),  # and how many there are
    ("counters", np.int64),  # address of the counters
    ("n_frozen", np.int64),  # how many ranges of parameters it leaves alone; see `optimizer`
    ("weight_decay", np.float64),
    ("global_clipnorm", np.float64),
    ("clipvalue", np.float64),
)

SCHEDULE = _row(
    ("forward", np.int64),  # address of the entry that computes the learning rate
)

TARGET = _row(
    ("forward", np.int64),  # address of the entry that checks samples and targets
    ("low", np.float64),  # the least that a target may be,
    ("high", np.float64),  # and the largest
    ("whole", np.int64),  # 1: it must be an integer, as the number of a class
)

FIT = _row(
    ("train", np.int64),  # address of the driver's training
    ("vectors", np.int64),  # address of a `VECTOR` for each vector that training changes,
    ("n_vectors", np.int64),  # and how many there are
    ("counters", np.int64),  # address of the counters
    ("history", np.int64),  # address of a row for each epoch
    ("epochs", np.int64),  # how many
    ("order", np.int64),  # address of memory for the order of the samples, or 0: as they come
)

#: A vector that training changes.
VECTOR = np.dtype([("values", np.int64), ("copy", np.int64), ("size", np.int64)], align=True)  # two addresses

INPUT = -1  # the tensor is the call's input
OUTPUT = -2  # the tensor is the call's output
NONE = -3  # there is no such tensor

#: Elements of memory that a matrix product copies panels of B and tiles of A to.
PACK_SIZE = 256 * (192 + 256)
#: Rows that a recurrent layer computes at a time.
RECURRENT_ROWS = 32
