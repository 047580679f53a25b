"""Columns of an op row: what a kernel's entry reads to cut its arrays out of the flat buffers.

A row is `SIZE` int64 numbers. Layers, losses, metrics, penalties, schedules and optimizers are all
rows; a kind that has no use for a column leaves it zero. Offsets count elements of the model's
dtype: those of tensors from the start of the workspace (or `INPUT`, `OUTPUT`, `NONE`), those of
weights from the start of the parameter vector.
"""

# Addresses of the entries, 0 for none
FORWARD = 0  # computes: a layer, a loss, a metric's update, a penalty's value, an optimizer, a schedule
BACKWARD_INPUT = 1  # the gradient with respect to the input, row by row
BACKWARD_WEIGHTS = 2  # the gradient with respect to the parameters, a sum over rows
# What other rows than layers' have in the second column
RESULT = 1  # of a metric: the entry of its result
GRADIENT = 1  # of a penalty: the entry that adds its gradient
SCALED = 1  # of a loss of scaled targets: the entry of the loss itself

N_IN = 3  # numbers a row of the input has
N_OUT = 4  # numbers a row of the output, or of the target, has
X = 5  # offset of the input; of an optimizer: address of the vectors that it remembers
X2 = 6  # offset of the second input of an op that combines two tensors, or NONE
Y = 7  # offset of the output; of an optimizer: address of the counters
DX = 8  # offset of the gradient with respect to the input, or NONE; of an optimizer: the row's own address
DX2 = 9  # offset of that with respect to the second input, or NONE
DY = 10  # offset of the gradient with respect to the output
PARAMETERS = 11  # here and in the next columns: offsets of the op's parameters in the flat vector, or NONE
W, B, W2, B2 = range(PARAMETERS, PARAMETERS + 4)  # weights and bias; those of an op that has two of each
SCRATCH = 15  # offset of memory for each row that the op keeps for its gradient, or NONE
STATE = 16  # of a metric: offset in the metrics' state; of an optimizer: how many vectors it remembers
STATISTICS = 17  # offset of the op's running statistics in their vector, or NONE
STREAM = 18  # number of the op's stream of random numbers
FACTOR = 19  # what a loss is multiplied with: a float64 number, stored bit by bit
CONSTANTS = 20  # offset of the op's numbers in the vector of constants, or NONE
FROZEN = 21  # of an optimizer: how many ranges of parameters it leaves alone; see `optimizer`
FIRST_PARAMETER = 22  # offset of the first of the op's parameters, which lie one behind the other
N_PARAMETERS = 23  # how many numbers they are
W_ROWS = 24  # rows of W, of which some can have their gradient computed alone: see FIRST_WEIGHT of the
W_COLUMNS = 25  # descriptor; and columns. Of an op that does all at once 1 and 0
COUPLED = 26  # 1: a row of the output depends on other rows: its entries wait for all threads
PRODUCT = 27  # address of the entry of the product that the op's kernels call, or 0
UPDATE_STATISTICS = 28  # address of the entry that updates the running statistics behind a step, or 0
SETTINGS = 29  # settings from here on: float64 numbers, stored bit by bit
SIZE = 48

INPUT = -1  # the tensor is the call's input
OUTPUT = -2  # the tensor is the call's output
NONE = -3  # there is no such tensor

#: Elements of memory that a matrix product copies panels of B and tiles of A to.
PACK_SIZE = 256 * (192 + 256)
#: Rows that a recurrent layer computes at a time.
RECURRENT_ROWS = 32
