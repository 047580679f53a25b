"""Seeded faults in derivatives, in prediction by samples, and in what outputs say: see `mutants`."""

from tests.guarantees.seeded_faults import compiled

DERIVATIVES = [
    f"layers/test_derivatives.py::test_{what}"
    for what in ("more_rows_than_are_computed_at_a_time", "a_closed_form", "activations", "layers")
]
SAMPLES = "engine/test_sampling.py"
GRAM, LAPLACE, MIXTURES = (
    "kernels/test_gram.py",
    "uncertainty/test_laplace.py",
    "uncertainty/test_mixtures.py",
)
NETWORK = "engine/test_network_derivatives.py"


def derivatives(before, after):
    return compiled("derivatives", before, after, *DERIVATIVES)


OUTPUTS = {
    # the layer `Derivatives`
    "unit vectors of the first inputs": derivatives("int(inputs[k])] = one", "k] = one"),
    "bias in the derivatives, too": derivatives(
        "for i in range(start, start + positions):\n            for j in range(b.size):",
        "for i in range(start, start + places):\n            for j in range(b.size):",
    ),
    "bias's gradient of the derivatives, too": derivatives(
        "for i in range(start, start + positions):\n            for j in range(db.size):",
        "for i in range(start, start + places):\n            for j in range(db.size):",
    ),
    "derivatives shifted": derivatives(
        "y[i, k, j] = x[i, k, j] / scale[j]", "y[i, k, j] = (x[i, k, j] - shift[j]) / scale[j]"
    ),
    "first derivative not squared in the second": derivatives(
        "f2[at + j] * z * z + f1", "f2[at + j] * z + f1"
    ),
    "second derivatives of the first one's inputs": derivatives(
        "f1[at + j] * x[r, firsts + d, j]\n", "f1[at + j] * x[r, firsts + 1, j]\n"
    ),
    "square's derivative without its factor": derivatives("+= two * curved * z", "+= curved * z"),
    "curvature left out of the gradient": derivatives(
        "f3[at + j] * z * z * g + curved * x[r, firsts + d, j]", "f3[at + j] * z * z * g"
    ),
    "gradient of a first derivative overwritten": derivatives("dx[r, d, j] += two", "dx[r, d, j] = two"),
    "third derivative of tanh": derivatives(
        "type(x)(4) - type(x)(6) * first", "type(x)(4) - type(x)(4) * first"
    ),
    "slope of silu once too often": derivatives(
        "type(x)(3) * _sigmoid_second(x, s, p)", "type(x)(2) * _sigmoid_second(x, s, p)"
    ),
    "the first chunk of rows for all": derivatives(
        "f[i * n + j] = x[start + i, 0, j]\n            for k", "f[i * n + j] = x[i, 0, j]\n            for k"
    ),
    "the first chunk of rows for all gradients": derivatives(
        "f1[i * n + j] = y[start + i, 0, j]", "f1[i * n + j] = y[i, 0, j]"
    ),
    # prediction by samples
    "samples of each thread from the first on": compiled(
        "sample", "net.step, net.output = first + k,", "net.step, net.output = k,", SAMPLES
    ),
    "samples of a block behind each other": compiled(
        "sample", "place + k * net.draw_bytes", "place + k * net.n_outputs * net.itemsize", SAMPLES
    ),
    "the first block of rows for all": compiled(
        "sample", "net.x + position * net.n_features * net.itemsize", "net.x", SAMPLES
    ),
    "one op too few for each sample": compiled(
        "sample",
        "_forward_some(net.common_ops, net.n_ops",
        "_forward_some(net.common_ops + 1, net.n_ops",
        SAMPLES,
    ),
    "threads draw the same samples": compiled(
        "engine/sampling",
        "net.fields.seed, net.fields.step = seed, first",
        "net.fields.seed, net.fields.step = seed, 0",
        SAMPLES,
    ),
    "channels dropped position by position": compiled(
        "dropout", "multiply(x[i, k], mask, y[i, k])", "multiply(x[i, 0], mask, y[i, k])", SAMPLES
    ),
    # uncertainty
    "factors of the first block for all": compiled(
        "kernels/linalg/gram", "factor = factors[first + i, p]", "factor = factors[i, p]", GRAM
    ),
    "only the last block of rows": compiled(
        "kernels/linalg/gram", "matrix[i, j] += block[i, j]", "matrix[i, j] = block[i, j]", GRAM
    ),
    "forms by the first matrix": compiled(
        "kernels/linalg/gram",
        "gram.matrices + 8 * p * width * width, width, 1",
        "gram.matrices, width, 1",
        GRAM,
    ),
    "sums in the rows' dtype": compiled(
        "kernels/linalg/gram",
        "rows[i, j] = np.float64(x[first + i, j])",
        "rows[i, j] = np.float32(x[first + i, j])",
        GRAM,
    ),
    "noise as if no weights were fitted": compiled(
        "uncertainty/_evidence", "np.maximum(n - gamma, 1e-3)", "n", LAPLACE
    ),
    "effective parameters of the first target alone": compiled(
        "uncertainty/_evidence", "_ratio(float(gamma.sum()), size)", "_ratio(float(gamma[0]), size)", LAPLACE
    ),
    "covariance of two classes' weights left out": compiled(
        "uncertainty/_evidence", " - parts[a, :, b] - parts[b, :, a]", "", LAPLACE
    ),
    "evidence without the size of the weights": compiled(
        "uncertainty/_evidence",
        "evidence = likelihood - 0.5 * (found * size + np.log((values",
        "evidence = likelihood - 0.5 * (np.log((values",
        LAPLACE,
    ),
    "probit's factor of the logistic": compiled(
        "uncertainty/_laplace", "1 + math.pi / 8 * forms", "1 + math.pi / 4 * forms", LAPLACE
    ),
    "targets' units left out of the evidence": compiled(
        "uncertainty/_laplace", "found.evidence - units)", "found.evidence)", LAPLACE
    ),
    "spread without the members' own": compiled(
        "layers/mixtures", "np.sqrt(within + spread)", "np.sqrt(spread)", MIXTURES
    ),
    "mean of standard deviations": compiled(
        "layers/mixtures", 'opinion["std"] ** 2 for', 'opinion["std"] for', MIXTURES
    ),
    "entropy of the mean for that of the members": compiled(
        "layers/mixtures",
        "_mean([_entropy(each, of_labels) for each in p], weights)",
        "_entropy(mean, of_labels)",
        MIXTURES,
    ),
    # derivatives in compiled code
    "derivatives of the first rows for all": compiled(
        "jacobian",
        "net.x + position * net.n_features * net.itemsize",
        "net.x",
        NETWORK,
    ),
    "blocks of a jacobian one over the other": compiled(
        "jacobian", "position * n_out * n_in * net.itemsize", "position * n_in * net.itemsize", NETWORK
    ),
    "derivatives of the first sample for all": compiled(
        "jacobian", "            net.input += net.n_features * net.itemsize\n", "", NETWORK
    ),
    "categories up to their probability": compiled(
        "categorical", "if remaining < 0:", "if remaining <= 0:", "engine/test_categorical.py"
    ),
}
