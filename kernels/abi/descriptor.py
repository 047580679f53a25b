"""Slots of the descriptor: the one array that holds all that a compiled call needs.

A descriptor is `SIZE` int64 numbers: addresses, counts and positions. Slots named under "float64"
hold a float64 number, bit by bit. Every compiled entry takes the address of a descriptor.

A network has one descriptor for the call, and one for each thread of its team. The slots before
`SHARED` are the same in all of them: the driver copies them from the call's to the threads'.
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
SUM_GRADIENTS = 11  # add up the gradients of the parts of a batch,
SQUARES = 12  # and sum the squares of a part of the gradient
PREDICT = 14  # address of the driver's prediction

# The flat buffers
PARAMETERS = 15  # address
GRADIENT = 16  # address of the whole batch's gradient, which is also that of the first part of its rows
OPTIMIZER_STATE = 17  # address; as many vectors of N_PARAMETERS elements as the optimizer needs
N_PARAMETERS = 18
BLOCK_SQUARES = 19  # address of BLOCKS float64 numbers: the gradient's squares, block by block
METRIC_STATE = 20  # address of float64 numbers
METRIC_STATE_SIZE = 21
CONSTANTS = 22  # address of the numbers of preprocessing layers, which are not trained
STATISTICS = 23  # address of the running statistics of layers, or 0: there are none
WORKSPACE = 24  # address of the tensors, of all rows of a batch
BATCH_X = 25  # addresses of memory for the rows of a batch, used with ORDER
BATCH_Y = 26
BATCH_WEIGHT = 27
LOSSES = 28  # address of a float64 number for each part of the rows: its loss

# The data set
X = 29  # address of (n_samples, n_features)
Y = 30  # address of (n_samples, n_targets)
SAMPLE_WEIGHT = 31  # address of (n_samples, WEIGHT_WIDTH), or 0: all are one
WEIGHT_WIDTH = 32  # 1, or as many as outputs, each with a weight of its own
N_SAMPLES = 33
N_FEATURES = 34
N_TARGETS = 35
N_OUTPUTS = 36  # numbers a row of the model's output has
ITEMSIZE = 37  # bytes of an element of the model's dtype
CONVERT = 38  # 1: X is of another dtype than the model, and is converted as it is gathered
BATCH_SIZE = 39  # rows of a step
ORDER = 40  # address of n_samples int64 row numbers, or 0: as they come

# Where training stands
SEED = 41
STEP = 42  # updates made since the optimizer's state was new
EPOCH = 43  # epochs finished since the model was built
LAST_EPOCH = 44  # train until so many are finished
POSITION = 45  # rows of the current epoch that are done
BATCH_ROWS = 46  # rows of the batch at hand
MAX_STEPS = 47  # return after so many steps
ORDERS = 48  # address of the given orders of the next epochs, (epochs, n_samples) int64; or 0: drawn
HISTORY = 49  # address of float64 rows of HISTORY_WIDTH, of the next epoch first: loss, metrics, rate
HISTORY_WIDTH = 50
SUM_LOSS = 51  # 1: the loss is a sum over rows, not a mean
TRAINING = 52  # 1 while dropout drops

# How a batch is cut, by what follows from the problem alone
N_PARTS = 53  # most parts that its rows are cut into
PART_GRADIENTS = 54  # 1: each part has a gradient of its own, and they are added up; 0: there is one
COUPLED = 55  # 1: an op couples rows of a batch

# The team of threads
WORKERS = 56  # address of the threads' descriptors
TEAM = 57  # threads that make this call
BARRIER = 58  # address of the counter of arrivals
ABORT = 59  # address of a number that is not 0 if a thread could not be started

# float64
SCALE = 60  # factor of a row's loss in the batch's: 1 / sum of weights, or 1
NORM_FACTOR = 61  # what the gradient is multiplied with before clipping by value
SHARED = 62

# Each descriptor's own
SCRATCH = 62  # address of memory that ops may use during a call
ROWS = 63  # rows at hand: a part of the batch, or all of it
FIRST_ROW = 64  # position in the batch of the first of them
INPUT = 65  # address of the batch's inputs
OUTPUT = 66  # address for its outputs, where an op writes to OUTPUT
TARGET = 67  # address of its targets
WEIGHT = 68  # address of its weights, or 0: all are one
ROWS_GRADIENT = 69  # address of the gradient that is computed of the rows at hand
FIRST_WEIGHT = 70  # row of W that its gradient is computed from,
N_WEIGHTS = 71  # for so many rows, or `ALL` that there are
PART_START = 72  # the part of the flat vector that is at hand
PART_SIZE = 73
STATUS = 74  # OK or what went wrong

# float64
LOSS_VALUE = 75  # sum of the weighted losses of the rows at hand
PENALTY = 76  # sum of the weight penalties
LEARNING_RATE = 77
TOTAL_LOSS = 78  # sums over the epoch so far
TOTAL_WEIGHT = 79
TOTAL_PENALTY = 80

# A network in the user's compiled code: of the call's descriptor only
PREDICT_OPS = 81  # address of the op rows of a prediction, which keep no outputs
INPUT_OPS = 82  # address of the op rows whose first has a gradient with respect to its input
PREDICT_BATCH = 83  # rows that a workspace is laid out for
INPUT_ONLY = 84  # 1: the gradients of the weights are not wanted
CLASS_TARGETS = 85  # 1: a target may be a class number in place of N_OUTPUTS numbers
TRAIN = 86  # addresses of the entries of the driver and of `jacobian`, or 0 without a loss
LOSS_AND_GRADIENT = 87
INPUT_GRADIENT = 88
JACOBIAN = 89
PARAMETER_JACOBIAN = 90
OUTPUT_OPS = 91  # address of the op rows by which a gradient goes back from the output: OPS, or INPUT_OPS

# Prediction
CHECK = 92  # address of `batch.check`, by which samples are looked at first; 0: they are known to be finite

# Training
BATCH_MEANS = 93  # 1: an epoch's loss is the mean of its batches', by their rows, not that over all weights

# Whose it is: of the call's descriptor of a network in the user's compiled code only
SELF = 94  # the descriptor's own address, by which a copy is told
OWN_LOSS = 95  # address of the float64 number that the loss is left in

# The work
MULTIPLICATIONS = 96  # that a row costs in the forward pass, about

# Samples that hold indices: see `layers.embedding`
LIMITS = 97  # address of a number for each number of a sample: what it must be less than, or infinity
CHECK_INDICES = 98  # address of the entry that looks at indices in a user's samples; 0: there are none
SIZE = 104

OK = 0
DIVERGED = 1  # the loss of the step at hand is NaN or infinite; its update was not made
NOT_FINITE = 1

ALL = 1 << 62

#: A part of a batch has at least so many rows: a row alone would be another product (see `linalg.gemm`), and
#: the losses of a few take as long to call as to compute.
PART_ROWS = 16

BLOCKS = 64  # parts of the flat vector that are never divided between threads
