"""Seeded faults in the kernels of layers other than dense ones: see `mutants`."""

from tests.guarantees.seeded_faults import compiled

VALUES, PROMISES = (
    f"layers/test_layers.py::test_{what}" for what in ("what_a_layer_computes", "what_is_promised_of_a_layer")
)


def of(layer, file, before, after, test=VALUES):
    """A fault that the checks of one layer notice."""
    return compiled(file, before, after, f"{test}[{layer}]")


LAYERS = {
    "each group by the filters of the first": of(
        "conv2d with everything",
        "convolution",
        "product, places, filters, taps, x + group * channels * itemsize, positions, scratch,\n"
        "                w + skip",
        "product, places, filters, taps, x + group * channels * itemsize, positions, scratch,\n"
        "                w",
    ),
    "filters' gradient of the last sample alone": of(
        "conv2d", "convolution", "dw + skip if r + part > 0 else 0", "0"
    ),
    "windows not turned round": compiled(
        "convolution", "y[places - 1 - i, f,", "y[i, f,", "layers/test_convolution.py"
    ),
    "neighbours counted once": of(
        "conv2d of few filters",
        "convolution",
        "for k in range(n):\n                    total",
        "for k in range(1):\n                    total",
    ),
    "depthwise windows not turned round": of(
        "depthwise_conv2d", "depthwise", "opposite[window - 1 - i, f]", "opposite[i, f]"
    ),
    "of equal numbers the last is the largest": compiled(
        "pooling",
        "(place < place_of_largest)",
        "(place > place_of_largest)",
        "layers/test_pooling.py::test_the_first_of_several_largest_numbers_gets_the_gradient",
    ),
    "padding counts in the mean": of(
        "average_pooling_2d", "pooling", "count = T(rows * (end - start))", "count = T(rows * pool)"
    ),
    "gradient of overlapping windows overwritten": of(
        "max_pooling_2d of many channels", "pooling", "+ c] += dy[row, b, c]", "+ c] = dy[row, b, c]"
    ),
    "moments of parts joined without their distance": compiled(
        "batch_normalization",
        "moments[1, j] += sums[part, 1, j] + distance * distance * weight",
        "moments[1, j] += sums[part, 1, j]",
        "layers/test_batch_normalization.py::test_moments_of_parts_that_differ",
    ),
    "batch variance taken for a constant": compiled(
        "batch_normalization",
        "(x[i, j] - moments[0, j]) * dgamma[j]) * moments[2, j]",
        "(x[i, j] - moments[0, j]) * T(0)) * moments[2, j]",
        "layers/test_batch_normalization.py",
    ),
    "running mean forgets the wrong share": compiled(
        "batch_normalization",
        "mean[j] = mean[j] * momentum + moments[0, j] * rest",
        "mean[j] = mean[j] * rest + moments[0, j] * momentum",
        "layers/test_batch_normalization.py",
    ),
    "mean subtracted where nothing is centred": of(
        "rms_normalization",
        "normalization",
        "total = total / T(x.shape[1]) if centred else T(0)",
        "total = total / T(x.shape[1])",
    ),
    "sums of a group not divided": of(
        "group_normalization of channels", "normalization", "            total /= count\n", ""
    ),
    "reset gate left out": of(
        "gru", "recurrent_cells", "candidate[i] + r[i] * own[i]", "candidate[i] + own[i]"
    ),
    "update gate left out of the gradient": of("gru", "recurrent_cells", "    _multiply(dh, z)\n", ""),
    "forget gate left out of the gradient": of("lstm", "recurrent_cells", "    _multiply(dc, f_gate)\n", ""),
    "masked steps change the state": of(
        "masked lstm",
        "recurrent",
        "for k in range(carried):\n                    _restore",
        "for k in range(0):\n                    _restore",
    ),
    "weights' gradient without the first step": of(
        "simple_rnn",
        "recurrent",
        "product, count, columns, k, before",
        "product, count, columns, k - 1, before",
    ),
    "the future is seen": of(
        "multi_head_attention of the past",
        "attention",
        "count = t + 1 if causal else length\n                _products(x[",
        "count = length\n                _products(x[",
    ),
    "softmax of the weights without its inner product": of(
        "multi_head_attention", "attention", "(own[s] - mean) * scale", "own[s] * scale"
    ),
    "a vector that occurs twice has one gradient": of(
        "embedding", "embedding", "_add(out, i * width, gradient,", "_copy(out, i * width, gradient,"
    ),
    "categories of the first column for all": of(
        "entity_embedding of given categories", "embedding", "            first += count\n", ""
    ),
    "missing values replaced in every column": compiled(
        "impute", "(imputed[j] != zero)", "(imputed[j] == imputed[j])", "layers/test_impute.py"
    ),
    "time steps masked by their first feature": compiled(
        "masking",
        "for j in range(x.shape[2]):\n                if",
        "for j in range(1):\n                if",
        "layers/test_recurrent.py::test_masking_alone_gives_zeros",
    ),
    "gradient of one copy of a pixel": of(
        "up_sampling_2d", "resizing", "dx[r, b, c] += dy[a, k, c]", "dx[r, b, c] = dy[a, k, c]"
    ),
    "a branch's gradient left out": of("residual", "combine", "dx[i] = dy[i] + dx2[i]", "dx[i] = dy[i]"),
    "gradient of the first branch for both": of(
        "concatenate", "combine", "dx2[i, j] = dy[i, n + j]", "dx2[i, j] = dy[i, j]"
    ),
}
