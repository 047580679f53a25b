"""Oracles: what fastnn computes, in plain NumPy, as simple as it can be said, always in float64.

`ACTIVATIONS`, `LOSSES` and `OPTIMIZERS` map fastnn's names to functions.
`tests/integration/test_reference.py` shows that they may be trusted.
"""

import math

import numpy as np

erfc = np.vectorize(math.erfc, otypes=[np.float64])

# Klambauer et al., "Self-normalizing neural networks", 2017
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def double(*arrays):
    """Return float64 copies; a single one alone."""
    copies = tuple(np.array(array, dtype=np.float64) for array in arrays)
    return copies[0] if len(copies) == 1 else copies


# --- activations: forward(x), and vector_jacobian(x, dy): the gradient of sum(dy * forward(x)) for x


def elementwise(function, derivative):
    """Pair a function of one element with its vector-Jacobian product."""

    def forward(x, **settings):
        return function(double(x), **settings)

    def vector_jacobian(x, dy, **settings):
        return double(dy) * derivative(double(x), **settings)

    return forward, vector_jacobian


def sigmoid(x):
    # exp of a negative number only: it cannot overflow
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x, alpha=1.0):
    """Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2016."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_derivative(x, alpha=1.0):
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def normal_cdf(x):
    return 0.5 * erfc(-x / math.sqrt(2))


def normal_density(x):
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def gelu_tanh_argument(x):
    """Twice the argument of the tanh in Hendrycks & Gimpel, "Gaussian error linear units", 2016.

    They write 0.5 x (1 + tanh(u)), which is x sigmoid(2 u).
    """
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def gelu_tanh_derivative(x):
    s = sigmoid(gelu_tanh_argument(x))
    slope = 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return s + x * s * (1 - s) * slope


def log_softmax(x):
    x = double(x)
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(x):
    return np.exp(log_softmax(x))


def softmax_vector_jacobian(x, dy):
    p, dy = softmax(x), double(dy)
    return p * (dy - (p * dy).sum(axis=-1, keepdims=True))


def log_softmax_vector_jacobian(x, dy):
    dy = double(dy)
    return dy - softmax(x) * dy.sum(axis=-1, keepdims=True)


# At the kinks: relu has slope 0 at 0; leaky_relu, elu and selu that of their left side; hard_tanh 0 at -1
# and at 1.
ACTIVATIONS = {
    "identity": elementwise(lambda x: x, lambda x: np.ones_like(x)),
    "sigmoid": elementwise(sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "relu": elementwise(lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "leaky_relu": elementwise(
        lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        lambda x, negative_slope=0.01: np.where(x > 0, 1, negative_slope),
    ),
    "elu": elementwise(elu, elu_derivative),
    "selu": elementwise(
        lambda x: SELU_SCALE * elu(x, SELU_ALPHA), lambda x: SELU_SCALE * elu_derivative(x, SELU_ALPHA)
    ),
    "gelu": elementwise(lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * normal_density(x)),
    "gelu_tanh": elementwise(lambda x: x * sigmoid(gelu_tanh_argument(x)), gelu_tanh_derivative),
    "silu": elementwise(lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    "softplus": elementwise(softplus, sigmoid),
    "tanh": elementwise(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "softmax": (softmax, softmax_vector_jacobian),
    "log_softmax": (log_softmax, log_softmax_vector_jacobian),
    "hard_tanh": elementwise(lambda x: np.clip(x, -1, 1), lambda x: np.where(np.abs(x) < 1, 1.0, 0.0)),
}


# --- dense layer


def _padded(x, window, strides, dilation, padding):
    """Samples with zeros around them, and how many windows there are along each axis."""
    before, after, counts = [], [], []
    for size, k, s, d in zip(x.shape[1:-1], window, strides, dilation, strict=True):
        extent = (k - 1) * d + 1
        count = (size - extent) // s + 1 if padding == "valid" else -(-size // s)
        total = 0 if padding == "valid" else max((count - 1) * s + extent - size, 0)
        before.append(total if padding == "causal" else total // 2)
        after.append(total - before[-1])
        counts.append(count)
    return np.pad(x, [(0, 0), *zip(before, after, strict=True), (0, 0)]), counts


def convolution(x, w, b=0.0, strides=1, padding="valid", dilation=1, groups=1):
    """Images or series, channels last, place by place of the window and group by group."""
    rank = x.ndim - 2
    steps, dilation = ((n,) * rank if isinstance(n, int) else n for n in (strides, dilation))
    x, counts = _padded(x, w.shape[:rank], steps, dilation, padding)
    y = np.zeros((len(x), *counts, w.shape[-1]))
    channels, filters = w.shape[-2], w.shape[-1] // groups
    for place in np.ndindex(w.shape[:rank]):
        seen = x[
            (
                slice(None),
                *(
                    slice(i * d, i * d + (n - 1) * s + 1, s)
                    for i, n, s, d in zip(place, counts, steps, dilation, strict=True)
                ),
            )
        ]
        for g in range(groups):
            into = slice(g * filters, (g + 1) * filters)
            y[..., into] += seen[..., g * channels : (g + 1) * channels] @ w[place][:, into]
    return y + b


def transposed_convolution(x, w, b, strides, cut, shape):
    """Images that each position of x adds a window to; of these the part of a shape from `cut` on."""
    (n, height, width, _), (rows, columns, filters, _) = x.shape, w.shape
    y = np.zeros((n, height * strides + rows + strides, width * strides + columns + strides, filters))
    for i, j, u, v in np.ndindex(height, width, rows, columns):
        y[:, i * strides + u, j * strides + v] += x[:, i, j] @ w[u, v].T
    return y[:, cut[0] : cut[0] + shape[0], cut[1] : cut[1] + shape[1]] + b


def dense_forward(x, weights, bias=None):
    x, weights = double(x, weights)
    return x @ weights if bias is None else x @ weights + double(bias)


def dense_backward(x, weights, dy):
    """Return the gradients with respect to x, the weights and the bias."""
    x, weights, dy = double(x, weights, dy)
    return dy @ weights.T, x.T @ dy, dy.sum(axis=0)


def l1_l2(weights, l1=0.0, l2=0.0):
    """Return the penalty l1 sum(|w|) + l2 sum(w^2), as Keras has it, and its gradient."""
    weights = double(weights)
    value = l1 * np.abs(weights).sum() + l2 * (weights**2).sum()
    return value, l1 * np.sign(weights) + 2 * l2 * weights


# --- losses: (value, gradient with respect to the prediction); arrays of shape (rows, outputs)


def weighted_mean(row_losses, row_gradients, sample_weight):
    """Return sum(w_i l_i) / sum(w_i) over the rows, and its gradient."""
    weights = np.ones(len(row_losses)) if sample_weight is None else double(sample_weight)
    weights = weights / weights.sum()
    return float(weights @ row_losses), weights[:, np.newaxis] * row_gradients


def mean_over_outputs(function):
    """Turn (losses, gradients) of single outputs into a loss: a mean over outputs, then over rows."""

    def loss(prediction, target, sample_weight=None, **settings):
        losses, gradients = function(*double(prediction, target), **settings)
        return weighted_mean(losses.mean(axis=1), gradients / losses.shape[1], sample_weight)

    return loss


def huber(p, t, delta=1.0):
    """Huber, "Robust estimation of a location parameter", 1964."""
    e = p - t
    quadratic = np.abs(e) <= delta
    losses = np.where(quadratic, e**2 / 2, delta * (np.abs(e) - delta / 2))
    return losses, np.where(quadratic, e, delta * np.sign(e))


def binary_cross_entropy(z, t, pos_weight=1.0):
    """-pos_weight t log(s) - (1 - t) log(1 - s) of s = sigmoid(z), where log(s) = -softplus(-z)."""
    losses = pos_weight * t * softplus(-z) + (1 - t) * softplus(z)
    return losses, (1 - t) * sigmoid(z) - pos_weight * t * sigmoid(-z)


def poisson(log_rate, t):
    """Negative log-likelihood without its constant log(t!)."""
    return np.exp(log_rate) - t * log_rate, np.exp(log_rate) - t


def quantile(p, t, q=0.5):
    """Pinball loss of Koenker & Bassett, "Regression quantiles", 1978; gradient 0 at equality."""
    losses = np.maximum(q * (t - p), (q - 1) * (t - p))
    return losses, np.where(t > p, -q, np.where(t < p, 1 - q, 0.0))


def sse(prediction, target, sample_weight=None):
    """Plain sum of squared errors, each row times its weight: not a mean."""
    p, t = double(prediction, target)
    w = np.ones((len(p), 1)) if sample_weight is None else double(sample_weight)[:, np.newaxis]
    return float((w * (p - t) ** 2).sum()), 2 * w * (p - t)


def as_probabilities(target, classes):
    """Turn integer labels of shape (n,) to one-hot rows; one-hot and soft targets stay as they are."""
    target = np.asarray(target)
    return np.eye(classes)[target] if target.ndim == 1 else double(target)


def nll(log_probabilities, target, sample_weight=None):
    log_probabilities = double(log_probabilities)
    t = as_probabilities(target, log_probabilities.shape[1])
    return weighted_mean(-(t * log_probabilities).sum(axis=1), -t, sample_weight)


def cross_entropy(logits, target, sample_weight=None, label_smoothing=0.0):
    """Label smoothing: Szegedy et al., "Rethinking the Inception architecture", 2016, section 7."""
    logits = double(logits)
    classes = logits.shape[1]
    t = (1 - label_smoothing) * as_probabilities(target, classes) + label_smoothing / classes
    losses = -(t * log_softmax(logits)).sum(axis=1)
    gradients = softmax(logits) * t.sum(axis=1, keepdims=True) - t
    return weighted_mean(losses, gradients, sample_weight)


def hinge(p, t):
    """Of targets -1 and 1, or 0 and 1. At the edge the gradient is 0."""
    side = np.where(t > 0, 1.0, -1.0)
    margin = np.maximum(0, 1 - side * p)
    return margin, np.where(margin > 0, -side, 0.0)


def squared_hinge(p, t):
    margin, derivative = hinge(p, t)
    return margin**2, 2 * margin * derivative


LOSSES = {
    "hinge": mean_over_outputs(hinge),
    "squared_hinge": mean_over_outputs(squared_hinge),
    "mse": mean_over_outputs(lambda p, t: ((p - t) ** 2, 2 * (p - t))),
    "sse": sse,
    "mae": mean_over_outputs(lambda p, t: (np.abs(p - t), np.sign(p - t))),  # gradient 0 at equality
    "huber": mean_over_outputs(huber),
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": mean_over_outputs(binary_cross_entropy),
    "weighted_binary_cross_entropy": mean_over_outputs(binary_cross_entropy),
    "nll": nll,
    "poisson": mean_over_outputs(poisson),
    "quantile": mean_over_outputs(quantile),
}


# --- optimizers: f(parameters, gradient, state) -> new parameters; state is a dict, empty at first


def sgd(p, g, state, learning_rate=0.01, momentum=0.0, nesterov=False):
    """Momentum in PyTorch's form.

    With Nesterov's it is that of Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013, seen from the point looked ahead to.
    """
    v = state["velocity"] = momentum * state.get("velocity", np.zeros_like(p)) + g
    return p - learning_rate * (g + momentum * v if nesterov else v)


def rmsprop(p, g, state, learning_rate=1e-3, rho=0.9, epsilon=1e-8):
    """Tieleman & Hinton, Coursera lecture 6.5, 2012."""
    s = state["square"] = rho * state.get("square", np.zeros_like(p)) + (1 - rho) * g**2
    return p - learning_rate * g / (np.sqrt(s) + epsilon)


def adagrad(p, g, state, learning_rate=0.01, initial_accumulator_value=0.0, epsilon=1e-8):
    """Duchi et al., "Adaptive subgradient methods", 2011."""
    s = state["square"] = state.get("square", np.full_like(p, initial_accumulator_value)) + g**2
    return p - learning_rate * g / (np.sqrt(s) + epsilon)


def adam(p, g, state, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, epsilon_hat=False):
    """Kingma & Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1, and end of section 2."""
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = beta_1 * state.get("m", np.zeros_like(p)) + (1 - beta_1) * g
    v = state["v"] = beta_2 * state.get("v", np.zeros_like(p)) + (1 - beta_2) * g**2
    if epsilon_hat:
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return p - rate * m / (np.sqrt(v) + epsilon)
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    return p - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


# AdamW is Adam with the weight decay of `train_step`.
OPTIMIZERS = {"SGD": sgd, "RMSprop": rmsprop, "Adagrad": adagrad, "Adam": adam, "AdamW": adam}


def clip_by_global_norm(g, global_clipnorm):
    """Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, algorithm 1."""
    norm = np.sqrt((g**2).sum())
    return g * (global_clipnorm / norm) if norm > global_clipnorm else g


def train_step(
    name, p, g, state, learning_rate, weight_decay=0.0, global_clipnorm=None, clipvalue=None, **settings
):
    """Return the parameters after one step of the optimizer called `name`.

    Weight decay is decoupled from the gradient: Loshchilov & Hutter, "Decoupled weight decay
    regularization", 2019.
    """
    p, g = double(p, g)
    if global_clipnorm is not None:
        g = clip_by_global_norm(g, global_clipnorm)
    if clipvalue is not None:
        g = np.clip(g, -clipvalue, clipvalue)
    p = p - learning_rate * weight_decay * p
    return OPTIMIZERS[name](p, g, state, learning_rate=learning_rate, **settings)


# --- the measure of every gradient


def central_difference(function, x, eps=1e-6):
    """Return the gradient of a function of an array to a number, by moving each element to both sides."""
    x = double(x)
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        gradient[i] = (function(x + step) - function(x - step)) / (2 * eps)
    return gradient


def tanh_of(x, p, path):
    return np.tanh(dense_forward(x, p[f"{path}weights"], p[f"{path}bias"]))
