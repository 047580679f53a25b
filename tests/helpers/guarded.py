"""Arrays surrounded by NaN, for tests of what compiled code writes outside of them."""

import numpy as np

MARGIN = 512  # numbers, more than any vector register and any cache line


class Guarded:
    """An array surrounded by NaN, itself NaN unless it is given values."""

    def __init__(self, shape, dtype):
        size = int(np.prod(shape))
        self.memory = np.full(size + 2 * MARGIN, np.nan, dtype)
        self.inside = self.memory[MARGIN : MARGIN + size].reshape(shape)
        self.before = self.memory.view(np.uint8).copy()

    @staticmethod
    def of(values):
        guarded = Guarded(values.shape, values.dtype)
        guarded.inside[...] = values
        return guarded

    def check(self):
        margin = MARGIN * self.memory.itemsize
        after = self.memory.view(np.uint8)
        assert np.array_equal(after[:margin], self.before[:margin])
        assert np.array_equal(after[-margin:], self.before[-margin:])
