"""Optimizers: one pass over the flat parameter vector.

Every kernel starts with ``(w, g, ...)``, the parameters and their gradient, arrays of shape (n,), and
takes numbers of their dtype:

- rate: learning rate; decay: rate * decoupled weight decay, by which w shrinks first;
- factor: what the gradient is multiplied with first, to clip it by its global norm (R. Pascanu,
  T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013);
- limit: the gradient is clipped to -limit ... limit after that; infinity for no clipping.

Behind an optimizer's row and the schedule's stand the ranges of the flat vector that are not trained:
`n_frozen` pairs of a start and an end, int64, sorted and apart from each other.
"""

import math
from collections import namedtuple

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import OPTIMIZER
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import view

Optimizer = namedtuple("Optimizer", "kernel forward_entry")


@force_inline
def _clipped(g, factor, limit):
    g = g * factor
    low = -limit if g < -limit else g
    return limit if low > limit else low


@kernel
def sgd_kernel(w, g, velocity, rate, decay, factor, limit, momentum, nesterov):
    """Write `w` and `velocity`: gradient descent with momentum.

    I. Sutskever et al., *On the importance of initialization and momentum*, ICML 2013, in the form
    ``v = momentum v + g; w -= rate v``, with Nesterov's ``w -= rate (g + momentum v)``. Without
    momentum `velocity` has shape (0,).
    """
    if velocity.size == 0:
        for i in range(w.size):
            w[i] -= decay * w[i] + rate * _clipped(g[i], factor, limit)
    else:
        for i in range(w.size):
            gradient = _clipped(g[i], factor, limit)
            v = momentum * velocity[i] + gradient
            velocity[i] = v
            step = gradient + momentum * v if nesterov else v
            w[i] -= decay * w[i] + rate * step


@kernel
def rmsprop_kernel(w, g, square, velocity, rate, decay, factor, limit, rho, rest, epsilon, momentum):
    """Write `w`, `square` and `velocity`: the gradient over its root mean square.

    T. Tieleman, G. Hinton, *Neural Networks for Machine Learning*, lecture 6.5 (2012). Without
    momentum `velocity` has shape (0,). `rest` is ``1 - rho``: see `adam_kernel`.
    """
    for i in range(w.size):
        gradient = _clipped(g[i], factor, limit)
        s = rho * square[i] + rest * gradient * gradient
        square[i] = s
        step = gradient / (math.sqrt(s) + epsilon)
        if velocity.size > 0:
            step += momentum * velocity[i]
            velocity[i] = step
        w[i] -= decay * w[i] + rate * step


@kernel
def adagrad_kernel(w, g, square, rate, decay, factor, limit, epsilon):
    """Write `w` and `square`: the gradient over the root of the sum of its squares.

    J. Duchi, E. Hazan, Y. Singer, *Adaptive Subgradient Methods*, JMLR 12 (2011).
    """
    for i in range(w.size):
        gradient = _clipped(g[i], factor, limit)
        s = square[i] + gradient * gradient
        square[i] = s
        w[i] -= decay * w[i] + rate * gradient / (math.sqrt(s) + epsilon)


@kernel
def adam_kernel(w, g, m, v, rate, decay, factor, limit, beta_1, rest_1, beta_2, rest_2, root, epsilon):
    """Write `w`, `m` and `v`: Adam, with AdamW's decoupled decay.

    D. Kingma, J. Ba, *Adam*, ICLR 2015; I. Loshchilov, F. Hutter, *Decoupled Weight Decay
    Regularization*, ICLR 2019. `rate` is divided by ``1 - beta_1**t`` and `root` is
    ``1 / sqrt(1 - beta_2**t)``, the bias corrections of step t. `rest_1` and `rest_2` are ``1 - beta``,
    rounded after the subtraction: of a float32 beta near 1 little would be left.
    """
    for i in range(w.size):
        gradient = _clipped(g[i], factor, limit)
        m[i] = beta_1 * m[i] + rest_1 * gradient
        v[i] = beta_2 * v[i] + rest_2 * gradient * gradient
        w[i] -= decay * w[i] + rate * m[i] / (math.sqrt(v[i]) * root + epsilon)


@inline_ir
def _vectors(row, net, T):
    """Parameters and gradient, a thread's part; rate, decay, factor and limit of an update."""
    skip, n = net.part_start * net.itemsize, net.part_size
    w = view(net.parameters + skip, n, T)
    g = view(net.gradient + skip, n, T)
    rate, limit = net.learning_rate, T(row.clipvalue if row.clipvalue > 0.0 else np.inf)
    return w, g, rate, T(rate * row.weight_decay), T(net.norm_factor), limit


@inline_ir
def _state(net, number, used, T):
    """Vector `number` of the optimizer, a thread's part; empty if it is not used."""
    start = number * net.n_parameters + net.part_start
    address = net.optimizer_state + start * net.itemsize
    return view(address, net.part_size if used else 0, T)


@entry(OPTIMIZER)
def _sgd_entry(row, net, T):
    w, g, rate, decay, factor, limit = _vectors(row, net, T)
    momentum, nesterov = row.settings[0], row.settings[1] != 0.0
    velocity = _state(net, 0, momentum != 0.0, T)
    sgd_kernel(w, g, velocity, T(rate), decay, factor, limit, T(momentum), nesterov)


@entry(OPTIMIZER)
def _rmsprop_entry(row, net, T):
    w, g, rate, decay, factor, limit = _vectors(row, net, T)
    rho, epsilon, momentum = row.settings[0], T(row.settings[1]), row.settings[2]
    square, velocity = _state(net, 0, True, T), _state(net, 1, momentum != 0.0, T)
    own = T(rho), T(1.0 - rho), epsilon, T(momentum)
    rmsprop_kernel(w, g, square, velocity, T(rate), decay, factor, limit, *own)


@entry(OPTIMIZER)
def _adagrad_entry(row, net, T):
    w, g, rate, decay, factor, limit = _vectors(row, net, T)
    square = _state(net, 0, True, T)
    adagrad_kernel(w, g, square, T(rate), decay, factor, limit, T(row.settings[0]))


@entry(OPTIMIZER)
def _adam_entry(row, net, T):
    w, g, rate, decay, factor, limit = _vectors(row, net, T)
    beta_1, beta_2, epsilon = row.settings[0], row.settings[1], T(row.settings[2])
    t = np.float64(net.step + 1)
    rate, root = rate / (1.0 - beta_1**t), 1.0 / math.sqrt(1.0 - beta_2**t)
    if row.settings[3] != 0.0:  # epsilon is added before the correction, which then is the rate's
        rate, root = rate / root, 1.0
    m, v = _state(net, 0, True, T), _state(net, 1, True, T)
    own = T(beta_1), T(1.0 - beta_1), T(beta_2), T(1.0 - beta_2), T(root), epsilon
    adam_kernel(w, g, m, v, T(rate), decay, factor, limit, *own)


sgd = Optimizer(sgd_kernel, _sgd_entry)
rmsprop = Optimizer(rmsprop_kernel, _rmsprop_entry)
adagrad = Optimizer(adagrad_kernel, _adagrad_entry)
adam = Optimizer(adam_kernel, _adam_entry)
