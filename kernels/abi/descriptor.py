"""The descriptor: the one record that holds all that a compiled call needs.

A descriptor is addresses, counts, positions and figures, 8 bytes each. Every compiled entry takes the address
of one; it reads and writes ``net.n_ops`` of ``net = record(net_address, DESCRIPTOR)``. Python has the same
fields in `Network.fields`.

A network has one descriptor for the call, and one for each thread of a team of several. The fields
before `scratch` are the same in all of them: the driver copies them from the call's to the threads'.
"""

import numpy as np

_FIELDS = [
    # The tables: see `oprow`
    ("ops", np.int64),  # address of the layers' op rows, in the order of the forward pass
    ("n_ops", np.int64),
    ("loss", np.int64),  # address of the loss's row
    ("penalties", np.int64),  # address of the rows of the weight penalties
    ("n_penalties", np.int64),
    ("metrics", np.int64),  # address of the metrics' rows
    ("n_metrics", np.int64),
    ("optimizer", np.int64),  # address of the optimizer's row
    ("schedule", np.int64),  # address of the learning-rate schedule's row
    ("gather", np.int64),  # addresses of the entries in `batch`: copy a batch's rows,
    ("weight_sum", np.int64),  # sum the weights of a batch,
    ("sum_gradients", np.int64),  # add up the gradients of the parts of a batch,
    ("squares", np.int64),  # and sum the squares of a part of the gradient
    ("predict", np.int64),  # address of the driver's prediction
    # The flat buffers
    ("parameters", np.int64),  # address
    ("gradient", np.int64),  # address of that of the batch, and of the first part of its rows
    ("optimizer_state", np.int64),  # address; as many vectors of n_parameters elements as the optimizer needs
    ("n_parameters", np.int64),
    ("block_squares", np.int64),  # address of BLOCKS float64 numbers: the gradient's squares, block by block
    ("metric_state", np.int64),  # address of float64 numbers
    ("metric_state_size", np.int64),
    ("constants", np.int64),  # address of the numbers of preprocessing layers, which are not trained
    ("statistics", np.int64),  # address of the running statistics of layers, or 0: there are none
    ("workspace", np.int64),  # address of the tensors, of all rows of a batch
    ("batch_x", np.int64),  # addresses of memory for the rows of a batch, used with `order`
    ("batch_y", np.int64),
    ("batch_weight", np.int64),
    ("losses", np.int64),  # address of a float64 number for each part of the rows: its loss
    # The data set
    ("x", np.int64),  # address of (n_samples, n_features)
    ("y", np.int64),  # address of (n_samples, n_targets)
    ("sample_weight", np.int64),  # address of (n_samples, weight_width), or 0: all are one
    ("weight_width", np.int64),  # 1, or as many as outputs, each with a weight of its own
    ("lengths", np.int64),  # address of (n_samples,) int64: time steps of each sample, where ops ask for them
    ("n_samples", np.int64),
    ("n_features", np.int64),
    ("n_targets", np.int64),
    ("n_outputs", np.int64),  # numbers a row of the model's output has
    ("itemsize", np.int64),  # bytes of an element of the model's dtype
    ("convert", np.int64),  # 1: x is of another dtype than the model, and is converted as it is gathered
    ("batch_size", np.int64),  # rows of a step
    ("order", np.int64),  # address of n_samples int64 row numbers, or 0: as they come
    # Where training stands
    ("seed", np.int64),
    ("step", np.int64),  # updates made since the optimizer's state was new
    ("epoch", np.int64),  # epochs finished since the model was built
    ("last_epoch", np.int64),  # train until so many are finished
    ("position", np.int64),  # rows of the current epoch that are done
    ("batch_rows", np.int64),  # rows of the batch at hand
    ("max_steps", np.int64),  # return after so many steps
    ("orders", np.int64),  # address of given orders, (epochs, n_samples) int64; 0: they are drawn
    ("history", np.int64),  # address of rows of float64, of the next epoch first: loss, metrics, rate
    ("history_width", np.int64),
    ("sum_loss", np.int64),  # 1: the loss is a sum over rows, not a mean
    ("batch_means", np.int64),  # 1: an epoch's loss is the mean of its batches', by their rows
    ("training", np.int64),  # 1 while dropout drops in `forward`
    # How a batch is cut, by what follows from the problem alone
    ("n_parts", np.int64),  # most parts that its rows are cut into
    ("part_gradients", np.int64),  # 1: each part has a gradient of its own, which are added up
    ("reuses_rows", np.int64),  # 1: all parts that a thread computes take the rows of its first one in turn
    ("coupled", np.int64),  # 1: an op couples rows of a batch
    ("cost", np.int64),  # of the gradient of the parameters and of their update: that of all ops
    # The team of threads
    ("workers", np.int64),  # address of the threads' descriptors
    ("team", np.int64),  # threads that make this call
    ("barrier", np.int64),  # address of the counter of arrivals
    ("abort", np.int64),  # address of a number that is not 0 if a thread could not be started
    # Training by several processes, each with a part of the rows: see `driver.data_parallel`
    ("rank", np.int64),  # number of this process,
    ("ranks", np.int64),  # and how many there are
    ("own_rows", np.int64),  # rows of the batch that this process has,
    ("own_weight", np.float64),  # and the sum of their weights
    ("all_rows", np.int64),  # rows of the batch that all processes have,
    ("all_weight", np.float64),  # and the sum of their weights
    ("shared_penalties", np.int64),  # how many penalties count, once the gradients are added up
    ("share_moments", np.int64),  # addresses of the entries of `synchronized_batch_normalization`,
    ("share_gradients", np.int64),
    ("exchange", np.int64),  # and of what lets all have each other's messages, or 0: see `ranks`
    ("messages", np.int64),  # address of these, one of each process,
    ("message_size", np.int64),  # and how many bytes from one to the next
    # Factors
    ("scale", np.float64),  # of a row's loss in the batch's: 1 / sum of weights, or 1
    ("norm_factor", np.float64),  # what the gradient is multiplied with before clipping by value
    # Each descriptor's own, from here on
    ("scratch", np.int64),  # address of memory that ops may use during a call
    ("rows", np.int64),  # rows at hand: a part of the batch, or all of it
    ("first_row", np.int64),  # position in the batch of the first of them
    ("input", np.int64),  # address of the batch's inputs
    ("output", np.int64),  # address for its outputs, where an op writes to OUTPUT
    ("target", np.int64),  # address of its targets
    ("weight", np.int64),  # address of its weights, or 0: all are one
    ("rows_gradient", np.int64),  # address of the gradient that is computed of the rows at hand
    ("first_weight", np.int64),  # row of W that its gradient is computed from,
    ("n_weights", np.int64),  # for so many rows, or `ALL` that there are
    ("part_start", np.int64),  # the part of the flat vector that is at hand
    ("part_size", np.int64),
    ("status", np.int64),  # OK or what went wrong
    ("loss_value", np.float64),  # sum of the weighted losses of the rows at hand
    ("penalty", np.float64),  # sum of the weight penalties
    ("learning_rate", np.float64),
    ("total_loss", np.float64),  # sums over the epoch so far
    ("total_weight", np.float64),
    ("total_penalty", np.float64),
    # Prediction
    ("limits", np.int64),  # address of what each number of a sample must be: see `layers.embedding`
    ("check", np.int64),  # address of `batch.check`, by which samples are checked first, or 0
    ("n_draws", np.int64),  # outputs that are drawn for each row, where dropout drops in prediction,
    ("draw_bytes", np.int64),  # bytes from one of them to the next,
    ("common_ops", np.int64),  # and how many of the first ops drop nothing, and are the same for all
    # A network in the user's compiled code: of the call's descriptor only
    ("predict_ops", np.int64),  # address of the op rows of a prediction, which keep no outputs
    ("input_ops", np.int64),  # address of the op rows whose first has a gradient with respect to its input
    (
        "output_ops",
        np.int64,
    ),  # address of the same, by which a gradient goes back to the first parameters only
    ("predict_batch", np.int64),  # rows that a workspace is laid out for
    ("multiplications", np.int64),  # about how many a row costs in the forward pass
    ("input_only", np.int64),  # 1: the gradients of the weights are not wanted
    ("check_indices", np.int64),  # address of the entry that checks indices in samples; 0: there are none
    ("target_width", np.int64),  # numbers that a row of the target must have,
    ("class_targets", np.int64),  # or the number of one of so many classes; 0: of none
    ("train", np.int64),  # addresses of the entries of the driver and of `jacobian`, or 0 without a loss
    ("loss_and_gradient", np.int64),
    ("input_gradient", np.int64),
    ("jacobian", np.int64),
    ("parameter_jacobian", np.int64),
    ("forward_train", np.int64),  # addresses of the entries of `passes`, or of what loads them
    ("backward", np.int64),
    ("apply_gradient", np.int64),
    ("pass_rows", np.int64),  # rows of the forward pass that a backward pass belongs to; 0: there is none
    ("pass_step", np.int64),  # step of the latest forward pass,
    ("passes", np.int64),  # and how many there were of it
    ("pass_optimizer", np.int64),  # address of a row that says what a pass needs to know: what is frozen
    ("accumulates", np.int64),  # 1: the gradient is added to what there is
    ("has_gradient", np.int64),  # 1: `gradient` was written
    ("step_ops", np.int64),  # address of the op rows of one time step,
    ("step_features", np.int64),  # and how many numbers its input and its output have
    ("step_outputs", np.int64),
    ("state", np.int64),  # address of the states of rows, (rows, state_width), or 0: they begin with zeros
    ("state_width", np.int64),
    ("own_address", np.int64),  # the descriptor's own, by which a copy is told
    ("own_loss", np.int64),  # address of the float64 number that the loss is left in
]

#: int64 numbers that a descriptor takes: whole cache lines, so that threads do not write to the same one.
SIZE = -(-len(_FIELDS) // 8) * 8
DESCRIPTOR = np.dtype(
    {"names": [f[0] for f in _FIELDS], "formats": [f[1] for f in _FIELDS], "itemsize": 8 * SIZE}, align=True
)


def slot(name):
    """Number of a field, where a descriptor is an array of int64."""
    return DESCRIPTOR.fields[name][1] // 8


#: How many fields, the first ones, all threads share.
SHARED = slot("scratch")

OK = 0
DIVERGED = 1  # the loss of the step at hand is NaN or infinite; its update was not made
NOT_FINITE = 1

ALL = 1 << 62

#: A part of a batch has at least so many rows: a row alone would be another product (see `linalg.gemm`), and
#: the losses of a few take as long to call as to compute.
PART_ROWS = 16

BLOCKS = 64  # parts of the flat vector that are never divided between threads
