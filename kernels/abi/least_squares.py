"""What a step of Levenberg and Marquardt reads and writes: a record, whose address the entry is given."""

import numpy as np

#: Why a search has ended; `SEARCHING` while it has not.
SEARCHING, COST_CONVERGED, STEP_CONVERGED, GRADIENT_CONVERGED, NO_PROGRESS, NOT_FINITE_COST = range(6)

#: Columns of a block of a Cholesky factor.
FACTOR_BLOCK = 64

#: All arrays but targets, weights and the kept parameters are of float64; n is the number of parameters.
LEAST_SQUARES = np.dtype(
    [
        ("product", np.int64),  # address of the entry of the matrix product of float64
        ("pack", np.int64),  # address of its memory
        # The data, in the model's dtype
        ("target", np.int64),  # address of (n_samples, n_out)
        ("weight", np.int64),  # address of (n_samples, weight_width), or 0: all are one
        ("weight_width", np.int64),  # 1, or n_out
        # The linear equations
        ("gradient_row", np.int64),  # address of (n,), of the model's dtype: derivatives of one residual
        ("frozen", np.int64),  # address of (n_frozen, 2) int64: ranges of parameters that stay
        ("n_frozen", np.int64),
        ("rows", np.int64),  # address of (n_rows, n): some rows of the Jacobian
        ("n_rows", np.int64),
        ("normal", np.int64),  # address of (n, n): J' J, its lower triangle
        ("factor", np.int64),  # address of (n, n)
        ("block", np.int64),  # address of (n, FACTOR_BLOCK)
        ("inverse", np.int64),  # address of (FACTOR_BLOCK, FACTOR_BLOCK)
        ("gradient", np.int64),  # address of (n,): J' r
        ("scale", np.int64),  # address of (n,): the largest norm that each column of J has had
        ("change", np.int64),  # address of (n,): the step
        ("error", np.int64),  # address of (predict_batch, n_out): residuals of some rows
        ("kept", np.int64),  # address of (n,), of the model's dtype: the parameters before the step
        # Where the search stands
        ("linearized", np.int64),  # 1: `normal` and `gradient` are those of the parameters
        ("status", np.int64),
        ("evaluations", np.int64),  # of the residuals
        ("steps", np.int64),  # accepted ones
        ("cost", np.float64),  # half the sum of the squares of the residuals
        ("optimality", np.float64),  # largest cosine of the angle between residuals and a column of J
        ("damping", np.float64),
        ("growth", np.float64),  # what the damping grows by if the next step is worse
        # When it ends
        ("ftol", np.float64),
        ("xtol", np.float64),
        ("gtol", np.float64),
    ],
    align=True,
)
