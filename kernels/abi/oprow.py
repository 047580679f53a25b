"""Columns of an op row: what a kernel's entry reads to cut its arrays out of the flat buffers.

A row is `SIZE` int64 numbers. Layers, losses, metrics, penalties, schedules and optimizers are all
rows; a kind that has no use for a column leaves it zero. Offsets count elements of the model's
dtype: those of tensors from the start of the workspace (or `INPUT`, `OUTPUT`, `NONE`), those of
weights from the start of the parameter vector.
"""

FORWARD = 0  # address of the entry that computes: a layer, a loss, a metric's update, an optimizer
BACKWARD = 1  # address of the entry of the gradient; of a metric: of its result
N_IN = 2  # numbers a row of the input has
N_OUT = 3  # numbers a row of the output, or of the target, has
X = 4  # offset of the input; of an optimizer: address of the vectors that it remembers
Y = 5  # offset of the output; of an optimizer: address of the counters
DX = 6  # offset of the gradient with respect to the input, or NONE; of an optimizer: the row's own address
DY = 7  # offset of the gradient with respect to the output
W = 8  # offset of the weights in the parameter vector
B = 9  # offset of the bias, or NONE
SCRATCH = 10  # offset of memory that the entry may use as it likes
STATE = 11  # of a metric: offset in the metrics' state; of an optimizer: how many vectors it remembers
STREAM = 12  # number of the op's stream of random numbers
FACTOR = 13  # what a loss is multiplied with: a float64 number, stored bit by bit
CONSTANTS = 14  # offset of the op's numbers in the vector of constants, or NONE
FROZEN = 15  # of an optimizer: how many ranges of parameters it leaves alone; see `optimizer`
SETTINGS = 16  # settings from here on: float64 numbers, stored bit by bit
SIZE = 24

INPUT = -1  # the tensor is the call's input
OUTPUT = -2  # the tensor is the call's output
NONE = -3  # there is no such tensor

#: Elements of memory that a matrix product copies panels of B and a tile of A to; a dense op has it
#: at SCRATCH.
PACK_SIZE = 256 * (192 + 16)
