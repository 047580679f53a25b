"""What sums of outer products and quadratic forms read and write: a record, by its address."""

import numpy as np

#: Rows that are taken at a time.
GRAM_ROWS = 256

#: All arrays but x are of float64.
GRAM = np.dtype(
    [
        ("product", np.int64),  # address of the entry of the matrix product of float64
        ("pack", np.int64),  # address of its memory
        ("x", np.int64),  # address of (n, width), of the dtype of the entry
        ("n", np.int64),
        ("width", np.int64),
        ("count", np.int64),  # how many matrices there are
        ("matrices", np.int64),  # address of (count, width, width)
        ("factors", np.int64),  # address of (n, count): what rows are multiplied with
        ("forms", np.int64),  # address of (n, count): quadratic forms
        ("rows", np.int64),  # address of (GRAM_ROWS, width): some rows of x
        ("scaled", np.int64),  # address of (GRAM_ROWS, width)
        ("block", np.int64),  # address of (width, width)
    ],
    align=True,
)
