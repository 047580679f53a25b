"""Tables of a network whose fields are read and written by name."""

from fastnn.kernels.abi.oprow import OP


def op_rows(table):
    """Rows of layers' ops, an array of `OP` over the memory of a table such as ``net.ops``."""
    return table.view(OP)[:, 0]
