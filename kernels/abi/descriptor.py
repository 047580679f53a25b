"""Slots of the descriptor: the one array that holds all that a compiled call needs.

A descriptor is `SIZE` int64 numbers: addresses, counts and positions. Slots named under "float64"
hold a float64 number, bit by bit. Every compiled entry takes the address of a descriptor.

A network has one descriptor for the call, and one for each shard of a batch. The slots before
`SHARED` are the same in all of them: the driver copies them from the call's to the shards'.
"""

# The tables
OPS = 0  # address of the layers' op rows, in the order of the forward pass
N_OPS = 1
LOSS = 2  # address of the loss's row
PENALTIES = 3  # address of the rows of the weight penalties
N_PENALTIES = 4
METRICS = 5  # address of the metrics' rows
N_METRICS = 6
OPTIMIZER = 7  # address of the optimizer's row
SCHEDULE = 8  # address of the learning-rate schedule's row
GATHER = 9  # addresses of the entries in `batch`: copy a batch's rows,
WEIGHT_SUM = 10  # sum the weights of a batch,
SUM_GRADIENTS = 11  # add up the gradients of the shards,
SQUARES = 12  # and sum the squares of a part of the gradient
GEMM = 13  # address of the matrix product's entry
PREDICT = 14  # address of the driver's prediction

# The flat buffers
PARAMETERS = 15  # address
GRADIENT = 16  # address of the whole batch's gradient, which is also that of the first shard
OPTIMIZER_STATE = 17  # address; as many vectors of N_PARAMETERS elements as the optimizer needs
N_PARAMETERS = 18
BLOCK_SQUARES = 19  # address of BLOCKS float64 numbers: the gradient's squares, block by block
METRIC_STATE = 20  # address of float64 numbers
METRIC_STATE_SIZE = 21
CONSTANTS = 22  # address of the numbers of preprocessing layers, which are not trained
STATISTICS = 23  # address of the running statistics of layers, or 0: there are none

# The data set
X = 24  # address of (n_samples, n_features)
Y = 25  # address of (n_samples, n_targets)
SAMPLE_WEIGHT = 26  # address of (n_samples, WEIGHT_WIDTH), or 0: all are one
WEIGHT_WIDTH = 27  # 1, or as many as outputs, each with a weight of its own
N_SAMPLES = 28
N_FEATURES = 29
N_TARGETS = 30
N_OUTPUTS = 31  # numbers a row of the model's output has
ITEMSIZE = 32  # bytes of an element of the model's dtype
CONVERT = 33  # 1: X is of another dtype than the model, and is converted as it is gathered
BATCH_SIZE = 34  # rows of a step
ORDER = 35  # address of n_samples int64 row numbers, or 0: as they come

# Where training stands
SEED = 36
STEP = 37  # updates made since the optimizer's state was new
EPOCH = 38  # epochs finished since the model was built
LAST_EPOCH = 39  # train until so many are finished
POSITION = 40  # rows of the current epoch that are done
BATCH_ROWS = 41  # rows of the batch at hand
MAX_STEPS = 42  # return after so many steps
ORDERS = 43  # address of the given orders of the next epochs, (epochs, n_samples) int64; or 0: drawn
HISTORY = 44  # address of float64 rows of HISTORY_WIDTH, of the next epoch first: loss, metrics, rate
HISTORY_WIDTH = 45
SUM_LOSS = 46  # 1: the loss is a sum over rows, not a mean
TRAINING = 47  # 1 while dropout drops

# The team of threads
SHARDS = 48  # address of the shards' descriptors
N_SHARDS = 49
TEAM = 50  # threads that make this call
BARRIER = 51  # address of the counter of arrivals
ABORT = 52  # address of a number that is not 0 if a thread could not be started

# float64
SCALE = 53  # factor of a row's loss in the batch's: 1 / sum of weights, or 1
NORM_FACTOR = 54  # what the gradient is multiplied with before clipping by value
SHARED = 55

# Each descriptor's own
WORKSPACE = 55  # address
SHARD_GRADIENT = 56  # address of the gradient of this shard's rows
BATCH_X = 57  # addresses of memory for this shard's rows, used with ORDER
BATCH_Y = 58
BATCH_WEIGHT = 59
ROWS = 60  # rows at hand: this shard's part of the batch
FIRST_ROW = 61  # position in the batch of the first of them
INPUT = 62  # address of their inputs
OUTPUT = 63  # address for their outputs, where an op writes to OUTPUT
TARGET = 64  # address of their targets
WEIGHT = 65  # address of their weights, or 0: all are one
PART_START = 66  # the part of the flat vector that is this thread's to update
PART_SIZE = 67
STATUS = 68  # OK or what went wrong

# float64
LOSS_VALUE = 69  # sum of the weighted losses of the rows at hand
PENALTY = 70  # sum of the weight penalties
LEARNING_RATE = 71
TOTAL_LOSS = 72  # sums over the epoch so far
TOTAL_WEIGHT = 73
TOTAL_PENALTY = 74

# A network in the user's compiled code: of the call's descriptor only
PREDICT_OPS = 75  # address of the op rows of a prediction, which keep no outputs
INPUT_OPS = 76  # address of the op rows whose first has a gradient with respect to its input
PREDICT_BATCH = 77  # rows that a workspace is laid out for
INPUT_ONLY = 78  # 1: the gradients of the weights are not wanted
CLASS_TARGETS = 79  # 1: a target may be a class number in place of N_OUTPUTS numbers
TRAIN = 80  # addresses of the entries of the driver and of `jacobian`, or 0 without a loss
LOSS_AND_GRADIENT = 81
INPUT_GRADIENT = 82
JACOBIAN = 83
PARAMETER_JACOBIAN = 84
OUTPUT_OPS = 85  # address of the op rows by which a gradient goes back from the output: OPS, or INPUT_OPS

# Prediction
CHECK = 86  # address of `batch.check`, by which samples are looked at first; 0: they are known to be finite

# Training
BATCH_MEANS = 87  # 1: an epoch's loss is the mean of its batches', by their rows, not that over all weights

# Whose it is: of the call's descriptor of a network in the user's compiled code only
SELF = 88  # the descriptor's own address, by which a copy is told
OWN_LOSS = 89  # address of the float64 number that the loss is left in
SIZE = 96

OK = 0
DIVERGED = 1  # the loss of the step at hand is NaN or infinite; its update was not made
NOT_FINITE = 1

BLOCKS = 64  # parts of the flat vector that are never divided between threads
