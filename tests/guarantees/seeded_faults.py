"""Seeded faults in the kernels, and the tests that must notice each of them: see `mutants`."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A fault: `before` stands in a file once, and becomes `after`.

    `file` is the name alone of one in `kernels/`, which no other there has, or its path, or a path in
    `fastnn/`.
    `tests` are those that are run, without the sweeps, as `make test` does; in kernels without compilation,
    as `make nojit` does, or compiled.
    """

    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    compiled: bool = False


def interpreted(file, before, after, test=None):
    return Mutant(file, before, after, (f"tests/kernels/test_{test or file}.py",))


def compiled(file, before, after, *tests):
    return Mutant(file, before, after, tuple(f"tests/{test}" for test in tests), compiled=True)


LEAST_SQUARES = "training/test_levenberg_marquardt.py"
GEMM, BESIDE_NUMPY = "kernels/test_gemm.py", "training/test_fit.py::test_training_beside_numpy"
SEVERAL = "engine/test_passes.py::test_gradients_of_several_batches"
KERNELS = {
    # kernels, run without compilation
    "dropped bias": interpreted(
        "dense", "matmul(product, x, w, b, y, pack)", "matmul(product, x, w, b[:0], y, pack)"
    ),
    "last row missing in the bias's gradient": interpreted(
        "dense",
        "    for i in range(x.shape[0]):\n        for j in range(x.shape[1]):\n            y[j] +=",
        "    for i in range(x.shape[0] - 1):\n        for j in range(x.shape[1]):\n            y[j] +=",
    ),
    "no bias gradient for one output": interpreted("dense", "if db.size > 0:", "if db.size > 1:"),
    "relu lets its gradient through": interpreted(
        "activation", "return type(x)(1) if y > zero else zero", "return type(x)(1) if y >= zero else zero"
    ),
    "derivative of tanh": interpreted("activation", "return type(x)(1) - y * y", "return type(x)(1) - y"),
    "derivative of elu": interpreted("activation", "else y + p\n", "else p\n"),
    "cubic term of gelu": interpreted("activation", "type(x)(3 * _GELU_CUBIC)", "type(x)(2 * _GELU_CUBIC)"),
    "softmax without its inner product": interpreted(
        "softmax", "y[i, j] * (dy[i, j] - inner)", "y[i, j] * dy[i, j]", "activation"
    ),
    "swapped index in log_softmax": interpreted(
        "softmax", "dy[i, j] - exp(y[i, j]) * total", "dy[i, j] - exp(y[i, 0]) * total", "activation"
    ),
    "last number left out of the maximum": interpreted(
        "softmax", "range(1, x.shape[1])", "range(1, x.shape[1] - 1)", "activation"
    ),
    "dropout does not scale up": interpreted(
        "dropout", "mask.dtype.type(1.0 / (1.0 - rate))", "mask.dtype.type(1.0)"
    ),
    "all parts drop alike": interpreted("dropout", "np.uint64(first + i)", "np.uint64(i)"),
    "mse without its factor 2": interpreted("loss", "return type(y)(2) * (y - t)", "return y - t"),
    "sample weights left out of the gradient": interpreted(
        "loss",
        "            factor = w * scale\n            row = number(0)",
        "            factor = share * scale\n            row = number(0)",
    ),
    "label smoothing not spread": interpreted("loss", "number(1) - p, p / number(n_out)", "number(1) - p, p"),
    "huber joined wrongly": interpreted("loss", "p * (error - half * p)", "p * (error - p)"),
    "nll without weights": interpreted(
        "loss", "gradient[i, j] = -w * scale * share", "gradient[i, j] = -scale * share"
    ),
    "nesterov without the gradient": interpreted(
        "optimizer", "gradient + momentum * v if", "momentum * v if"
    ),
    "adam's second mean": interpreted(
        "optimizer", "+ rest_2 * gradient * gradient", "+ rest_1 * gradient * gradient"
    ),
    "rmsprop's epsilon within the root": interpreted(
        "optimizer", "step = gradient / (math.sqrt(s) + epsilon)", "step = gradient / math.sqrt(s + epsilon)"
    ),
    "values are clipped before the norm": interpreted("optimizer", "    g = g * factor\n    low", "    low"),
    "l2 without its factor 2": interpreted("penalty", "two_l2 * w[i]", "l2 * w[i]"),
    "rows not gathered by their order": interpreted("batch", "source[row, j]", "source[i, j]"),
    "weights not summed by their order": interpreted(
        "batch", "np.float64(weight[row, j])", "np.float64(weight[i, j])"
    ),
    "accuracy of the last class": interpreted(
        "metric", "for j in range(1, x.shape[1]):", "for j in range(1, x.shape[1] - 1):"
    ),
    "r2 about a running mean": interpreted("metric", "w * away * (t - state[at + 1])", "w * away * away"),
    "warm-up one step late": interpreted(
        "schedule", "rate * (step + 1.0) / (warmup + 1.0)", "rate * step / (warmup + 1.0)"
    ),
    "blocks of moments not weighed": interpreted(
        "scaling", "mean[j] += distance * share", "mean[j] += distance"
    ),
    "the same order in each epoch": interpreted(
        "random", "np.uint64(seed), np.uint64(epoch)", "np.uint64(seed), np.uint64(0)"
    ),
    "one round of philox less": interpreted("random", "range(10)", "range(9)"),
    # what only a compiled run goes through
    "last tile of rows missing": compiled(
        "gemm", "tiles = (m + highest - 1) // highest", "tiles = max(m // highest, 1)", GEMM
    ),
    "panels of k not added up": compiled(
        "gemm",
        "if i > 0:\n                        begin",
        "if i > 999:\n                        begin",
        GEMM,
    ),
    "packed panels as wide as the first": compiled(
        "gemm", "width = (breadth + 1 if p < broader else breadth)", "width = (breadth + 1)", GEMM
    ),
    "first rows of B for all of k": compiled("gemm", "b + i * b_row * itemsize", "b", GEMM),
    "start left out for one row": compiled(
        "gemm", "begin, end = start + skip if start != 0 else 0, (vectors", "begin, end = 0, (vectors", GEMM
    ),
    "rest of a dot product missing": compiled(
        "tile", 'icmp_signed("<", i, k), part, over', 'icmp_signed("<", k, i), part, over', GEMM
    ),
    "start of a dot product for the first row only": compiled(
        "tile", "[x % columns for x in range(lanes)]", "[x for x in range(lanes)]", GEMM
    ),
    "narrow product left as its transpose": compiled(
        "gemm", "_transpose(m, n, pack, to_narrow", "_transpose(1, m * n, pack, to_narrow", GEMM
    ),
    "last row left out of a transposed matrix": compiled(
        "gemm",
        "for j in range(columns):\n            for i in range(rows):",
        "for j in range(columns):\n            for i in range(rows - 1):",
        GEMM,
    ),
    "last group of rows in one product": compiled("gemm", "while i < k:", "while i + 1 < k:", GEMM),
    "weights of the first op left out": compiled(
        "update",
        "    for i in range(net.n_ops):\n        op = record_at(net.ops, i, OP)",
        "    for i in range(1, net.n_ops):\n        op = record_at(net.ops, i, OP)",
        BESIDE_NUMPY,
    ),
    "pieces of weights from the first row on": compiled(
        "update",
        "own.n_weights = row, stop - row",
        "own.n_weights = 0, stop - row",
        "engine/test_threads.py::test_last_batches_of_any_size_give_the_same_bits",
    ),
    "cost of earlier ops counts twice": compiled(
        "update",
        "low, high = low - op.cost, high - op.cost",
        "low, high = low - op.cost, high",
        "engine/test_threads.py::test_threads_share_the_weights_by_their_cost",
    ),
    "loss of the last part left out": compiled(
        "rows",
        "for i in range(losses.size):",
        "for i in range(max(losses.size - 1, 1)):",
        "guarantees/test_parts.py",
    ),
    "weight left out of the gradient of a row loss": compiled(
        "row_loss", "factor = w * scale", "factor = scale", "training/test_row_losses.py::test_gradients"
    ),
    "variance taken for the standard deviation": compiled(
        "row_loss",
        "total += half * (constant + (log(least) if is_small else s) + error * ratio)",
        "total += half * constant + (log(least) if is_small else s) + half * error * ratio",
        "training/test_row_losses.py::test_values",
    ),
    "quantiles apart only from the second on": compiled(
        "row_loss", "above += dy[at]", "above = dy[at]", "training/test_row_losses.py::test_gradients"
    ),
    "components of a mixture of equal weights": compiled(
        "row_loss",
        "dy[i] = exp(y[i] - largest_logit) / logits - share",
        "dy[i] = exp(y[i] - largest_logit) / logits",
        "training/test_row_losses.py::test_gradients",
    ),
    "steps not counted": compiled("loop", "            step += 1\n", "", BESIDE_NUMPY),
    "loss divided by rows, not by weights": compiled(
        "rows",
        "(1.0 / weight if weight > 0.0 else 0.0)",
        "1.0 / rows",
        "training/test_fit.py::test_a_whole_weight_counts_a_row_as_often",
    ),
    "every gradient clipped": compiled(
        "update", "return limit / norm if norm > limit else 1.0", "return limit / norm", BESIDE_NUMPY
    ),
    "last part not summed": compiled(
        "batch",
        "range(1, rows_parts(net))",
        "range(1, rows_parts(net) - 1)",
        "guarantees/test_parts.py",
    ),
    "masks of parts alike": compiled(
        "dropout", "step, first_row * n_in, mask)", "step, 0, mask)", "guarantees/test_parts.py"
    ),
    "adam without bias correction": compiled(
        "optimizer", "1.0 / math.sqrt(1.0 - beta_2**t)", "1.0", BESIDE_NUMPY
    ),
    "statistics left alone by a backward pass": compiled(
        "passes",
        "thread == 0 and net.statistics != 0",
        "thread == 1",
        "engine/test_passes.py::test_the_parts_are_a_step",
    ),
    "a second batch takes the place of the first": compiled(
        "passes", "net.accumulates == 1", "net.accumulates == 2", SEVERAL
    ),
    "penalties counted with each batch": compiled(
        "unchecked",
        "descriptor.n_penalties, descriptor.accumulates = 0, 1",
        "descriptor.accumulates = 1",
        SEVERAL,
    ),
    "all passes of a step drop alike": compiled(
        "unchecked",
        "descriptor.passes += 1",
        "descriptor.passes += 0",
        "engine/test_passes.py::test_backward_has_the_mask_of_its_forward_pass",
    ),
    "alpha twice": compiled("penalty", "+ 0.5 * (row.alpha", "+ (row.alpha", "training/test_objective.py"),
    "worse steps of least squares kept": compiled(
        "levenberg_marquardt", "_copy(kept, parameters)", "_copy(parameters, kept)", LEAST_SQUARES
    ),
    "only the last rows of the Jacobian": compiled(
        "levenberg_marquardt", "filled, add = 0, True", "filled, add = 0, False", LEAST_SQUARES
    ),
    "damping that never falls": compiled(
        "levenberg_marquardt",
        "search.damping *= max(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3)",
        "search.damping *= 1.0",
        LEAST_SQUARES,
    ),
    "weights of the first output for all": compiled(
        "levenberg_marquardt", "weight[first + i, min(j, last)]", "weight[first + i, 0]", LEAST_SQUARES
    ),
    "blocks of Cholesky factors alone": compiled(
        "cholesky", "        if first > 0:\n", "        if first > n:\n", "kernels/test_cholesky.py"
    ),
}
