"""Slots of the descriptor: the one array that holds all that a compiled call needs.

A descriptor is `SIZE` int64 numbers: addresses, counts and positions. Slots named under "float64"
hold a float64 number, bit by bit. Every compiled entry takes the descriptor's address.
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
GATHER = 9  # address of the entry that copies a batch's rows
WEIGHT_SUM = 10  # address of the entry that sums the weights of the rows at hand

# The flat buffers
PARAMETERS = 11  # address
GRADIENTS = 12  # address
OPTIMIZER_STATE = 13  # address; as many vectors of N_PARAMETERS elements as the optimizer needs
N_PARAMETERS = 14
WORKSPACE = 15  # address
METRIC_STATE = 16  # address of float64 numbers
METRIC_STATE_SIZE = 17

# The rows at hand
ROWS = 18  # how many
INPUT = 19  # address of their inputs
OUTPUT = 20  # address for their outputs, where an op writes to OUTPUT
TARGET = 21  # address of their targets
WEIGHT = 22  # address of their weights, or 0: all are one
FIRST_ROW = 23  # position in the batch of the first of them
TRAINING = 24  # 1 while dropout drops

# The data set
X = 25  # address of (n_samples, n_features)
Y = 26  # address of (n_samples, n_targets)
SAMPLE_WEIGHT = 27  # address of (n_samples,), or 0
N_SAMPLES = 28
N_FEATURES = 29
N_TARGETS = 30
N_OUTPUTS = 31  # numbers a row of the model's output has
ITEMSIZE = 32  # bytes of an element of the model's dtype
BATCH_SIZE = 33  # rows of a step, or of a chunk of a prediction
ORDER = 34  # address of n_samples int64 row numbers, or 0: as they come
BATCH_X = 35  # addresses of memory for one batch, used with ORDER
BATCH_Y = 36
BATCH_WEIGHT = 37

# Where training stands
SEED = 38
STEP = 39  # updates made since the optimizer's state was new
EPOCH = 40  # epochs finished since the model was built
LAST_EPOCH = 41  # train until so many are finished
POSITION = 42  # rows of the current epoch that are done
MAX_STEPS = 43  # return after so many steps
EPOCH_STOP = 44  # 1: return after each epoch
STATUS = 45  # OK or what went wrong
HISTORY = 46  # address of float64 rows of HISTORY_WIDTH: loss, metrics; the next epoch's row first
HISTORY_WIDTH = 47
SUM_LOSS = 48  # 1: the loss is a sum over rows, not a mean

# float64
SCALE = 49  # factor of a row's loss in the batch's: 1 / sum of weights, or 1
LOSS_VALUE = 50  # sum of the weighted losses of the rows at hand
PENALTY = 51  # sum of the weight penalties
LEARNING_RATE = 52
TOTAL_LOSS = 53  # sums over the epoch so far
TOTAL_WEIGHT = 54
TOTAL_PENALTY = 55
SIZE = 56

OK = 0
DIVERGED = 1  # the loss of the step at hand is NaN or infinite; its update was not made
NOT_FINITE = 1
