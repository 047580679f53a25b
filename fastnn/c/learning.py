"""Functions of a training step as C text: dense layers both ways, losses, penalties and optimizers.

They compute what the kernels of the same names do, a row at a time. What may be missing is NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .elementary import Helper

_FORWARD = """
/* y = x * w + b at each position, for a matrix of n rows and m columns. */
static inline void $p_dense_forward(
    const $real *$P_RESTRICT x, int positions, const $real *$P_RESTRICT w, const $real *$P_RESTRICT b,
    int n, int m, $real *$P_RESTRICT y)
{
    for (int p = 0; p < positions; p++, x += n, y += m) {
        for (int j = 0; j < m; j++)
            y[j] = b ? b[j] : 0.0r;
        for (int i = 0; i < n; i++) {
            const $real *$P_RESTRICT row = w + (ptrdiff_t)i * m;
            const $real xi = x[i];
            for (int j = 0; j < m; j++)
                y[j] += xi * row[j];
        }
    }
}
"""

_BACKWARD = """
/* Add to the gradients dw and db of a dense layer, and write that of its input, dx. */
static inline void $p_dense_backward(
    const $real *$P_RESTRICT x, int positions, const $real *$P_RESTRICT w, int n, int m,
    const $real *$P_RESTRICT dy, $real *$P_RESTRICT dw, $real *$P_RESTRICT db, $real *$P_RESTRICT dx)
{
    for (int p = 0; p < positions; p++, x += n, dy += m) {
        for (int j = 0; db && j < m; j++)
            db[j] += dy[j];
        for (int i = 0; i < n; i++) {
            $real *$P_RESTRICT row = dw + (ptrdiff_t)i * m;
            const $real xi = x[i];
            for (int j = 0; j < m; j++)
                row[j] += xi * dy[j];
        }
        if (dx) {
            for (int i = 0; i < n; i++)
                dx[i] = $p_dot(dy, m, w + (ptrdiff_t)i * m);
            dx += n;
        }
    }
}
"""

_MSE = """
/* The mean squared error of n outputs, and factor times its derivatives. */
static inline $real $p_mse(
    const $real *$P_RESTRICT x, int n, const $real *$P_RESTRICT target, $real factor, $real *$P_RESTRICT dx)
{
    const $real share = 1.0r / ($real)n;
    $real sum = 0.0r;
    for (int i = 0; i < n; i++) {
        const $real d = x[i] - target[i];
        sum += d * d;
        dx[i] = factor * share * (2.0r * d);
    }
    return sum * share;
}
"""

_BINARY = """
/* The mean binary cross-entropy of n logits, and factor times its derivatives. */
static inline $real $p_binary_cross_entropy(
    const $real *$P_RESTRICT x, int n, const $real *$P_RESTRICT target, $real factor, $real *$P_RESTRICT dx)
{
    const $real share = 1.0r / ($real)n;
    $real sum = 0.0r;
    for (int i = 0; i < n; i++) {
        const $real z = x[i], t = target[i];
        sum += (z < 0.0r ? 0.0r : z) - t * z + $p_softplus(z < 0.0r ? z : -z);
        dx[i] = factor * share * ($p_sigmoid(z) - t);
    }
    return sum * share;
}
"""

_CROSS_ENTROPY = """
/* The cross-entropy of n logits, for a share of each class or for class c, and factor times its derivatives.
 * Smoothing moves the shares towards those that are all the same. */
static inline $real $p_cross_entropy(
    const $real *$P_RESTRICT x, int n, const $real *$P_RESTRICT shares, int c, $real smoothing, $real factor,
    $real *$P_RESTRICT dx)
{
    const $real keep = 1.0r - smoothing, spread = smoothing / ($real)n;
    $real largest = x[0], inner = 0.0r, whole = 0.0r, sum = 0.0r;
    for (int i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (int i = 0; i < n; i++) {
        const $real share = keep * (shares ? shares[i] : (i == c ? 1.0r : 0.0r)) + spread;
        inner += share * (x[i] - largest);
        whole += share;
    }
    for (int i = 0; i < n; i++)
        dx[i] = $p_exp(x[i] - largest);
    for (int i = 0; i < n; i++)
        sum += dx[i];
    const $real normalize = whole / sum;
    for (int i = 0; i < n; i++) {
        const $real share = keep * (shares ? shares[i] : (i == c ? 1.0r : 0.0r)) + spread;
        dx[i] = factor * (dx[i] * normalize - share);
    }
    return whole * $p_log(sum) - inner;
}
"""

_PENALIZE = """
/* l1 * sum(|w|) + l2 * sum(w * w); its derivatives are added to g. */
static inline $real $p_penalize(const $real *$P_RESTRICT w, int n, $real l1, $real l2, $real *$P_RESTRICT g)
{
    $real sum = 0.0r;
    for (int i = 0; i < n; i++) {
        sum += l1 * (w[i] < 0.0r ? -w[i] : w[i]) + l2 * w[i] * w[i];
        g[i] += (w[i] > 0.0r ? l1 : (w[i] < 0.0r ? -l1 : 0.0r)) + 2.0r * l2 * w[i];
    }
    return sum;
}
"""

_CLIP = """
/* A number times a factor, and then between -limit and limit; a limit of 0 is none. */
static inline $real $p_clip($real g, $real factor, $real limit)
{
    g *= factor;
    if (limit > 0.0r)
        g = g < -limit ? -limit : (g > limit ? limit : g);
    return g;
}
"""

_SGD = """
/* Gradient descent with momentum, which is in v; decay is the rate times the weight decay. */
static inline void $p_sgd(
    $real *$P_RESTRICT w, const $real *$P_RESTRICT g, $real *$P_RESTRICT v, int n, $real rate, $real decay,
    $real factor, $real limit, $real momentum, int nesterov)
{
    for (int i = 0; i < n; i++) {
        const $real slope = $p_clip(g[i], factor, limit);
        $real step = slope;
        if (v) {
            v[i] = momentum * v[i] + slope;
            step = nesterov ? slope + momentum * v[i] : v[i];
        }
        w[i] -= decay * w[i] + rate * step;
    }
}
"""

_ADAM = """
/* Adam, whose means are m and v; rate and root hold the corrections for their start at zero. */
static inline void $p_adam(
    $real *$P_RESTRICT w, const $real *$P_RESTRICT g, $real *$P_RESTRICT m, $real *$P_RESTRICT v, int n,
    $real rate, $real decay, $real factor, $real limit, $real beta_1, $real rest_1, $real beta_2,
    $real rest_2, $real root, $real epsilon)
{
    for (int i = 0; i < n; i++) {
        const $real slope = $p_clip(g[i], factor, limit);
        m[i] = beta_1 * m[i] + rest_1 * slope;
        v[i] = beta_2 * v[i] + rest_2 * slope * slope;
        const $real size = v[i] > 0.0r ? v[i] * $p_rsqrt(v[i]) : 0.0r;
        w[i] -= decay * w[i] + rate * m[i] / (size * root + epsilon);
    }
}
"""

_SQUARES = """
/* The sum of the squares of n numbers. */
static inline $real $p_squares(const $real *$P_RESTRICT g, int n)
{
    return $p_dot(g, n, g);
}
"""

FUNCTIONS: dict[str, Helper] = {
    "dense_forward": ((), _FORWARD, ""),
    "dense_backward": (("dot",), _BACKWARD, ""),
    "mse": ((), _MSE, ""),
    "binary_cross_entropy": (("softplus", "sigmoid"), _BINARY, ""),
    "cross_entropy": (("exp", "log"), _CROSS_ENTROPY, ""),
    "penalize": ((), _PENALIZE, ""),
    "clip": ((), _CLIP, ""),
    "squares": (("dot",), _SQUARES, ""),
    "sgd": (("clip",), _SGD, ""),
    "adam": (("clip", "rsqrt"), _ADAM, ""),
}
