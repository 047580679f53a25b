"""Recurrent layers: a cell that goes along the time axis of each sample.

The op before has computed the input's part of the gates, for all time steps by one product; it is the input
here. A step is the product of the state and the recurrent weights, and the arithmetic of the cell
(`recurrent_cells`). It is made for some rows at a time. Their numbers are copied together gate by gate, so
that each loop of the cell runs over rows and units together.

While training, what the gradient is computed from is kept step by step, for those rows, as the cell has it.
The state before each step overwrites the first columns of the input, row by row, so that the gradient of the
recurrent weights is one product over all rows and time steps.

The gradient goes back from the last step to the first: P. Werbos, *Backpropagation through time: what it does
and how to do it*, Proceedings of the IEEE 78 (1990).
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import Op, entry
from ..abi.oprow import NONE, OP, PACK_SIZE, RECURRENT_ROWS
from ..abi.tensors import tensor_address
from ..linalg.gemm import multiply
from ..lowlevel._jit import kernel
from ..lowlevel.simd import address, element, view
from .recurrent_cells import (
    copy,
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    part,
    simple_backward,
    simple_forward,
)
from .recurrent_rows import add_rows, copy_rows

Recurrent = namedtuple("Recurrent", "forward_entry backward_input_entry backward_weights_entry")
LastStep = namedtuple("LastStep", "forward_entry backward_input_entry")

# Rows that a cell computes at a time.
_ROWS = RECURRENT_ROWS


@kernel
def _transpose(x, y):
    """Write ``y = x'``."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[j, i] = x[i, j]


@kernel
def _restore(mask, first, t, held, units, target):
    """Write the rows of `target` masked at time step t: those of `held`, or zeros if that is empty."""
    rows = target.size // units
    for i in range(rows):
        if mask[first + i, t] == 0:
            for j in range(i * units, (i + 1) * units):
                target[j] = held[j] if held.size > 0 else target.dtype.type(0)


@kernel
def _sum_rows(x, skip, result):
    """Write `result`: the sums of some columns of x, of two dimensions, over its rows."""
    for j in range(result.size):
        result[j] = result.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(result.size):
            result[j] += x[i, skip + j]


@kernel
def _start(b, alike, memory):
    """Address of what the product of a step begins with, or 0: the bias.

    Of two biases the first `alike` numbers are added up, and of the others the second is taken, and `memory`,
    of as many numbers as one has, is written.
    """
    width = memory.size
    if b.size > width:
        for i in range(width):
            memory[i] = b[width + i]
        for i in range(alike):
            memory[i] += b[i]
        return address(memory)
    return address(b) if b.size > 0 else 0


def _recurrent(cell_forward, cell_backward, *, gates, carried, saved, biases):
    """Entries of a recurrent layer.

    Parameters
    ----------
    cell_forward, cell_backward : function
    gates : int
        Parts that the input has for each time step.
    carried : int
        Parts of the state.
    saved : int
        Parts that are kept of each time step: the gates, and what else the gradient needs.
    biases : int
        2 where the input's part has a bias of its own, the first one; otherwise 1. With two of them the last
        gate is not computed from the sum of both parts: what the state gives it comes behind the gates, and
        so does its gradient.
    """
    alike = gates - biases + 1  # gates that are computed from the sum of both parts

    @kernel
    def forward_rows(
        product, x, mask, w, b, y, kept, memory, known, at, first, count, backwards, in_time, activation
    ):
        """Write `y`, `x`, `kept` and `known` of `count` rows from `first` on; and `memory`. See `forward`."""
        steps, units, width = y.shape[1], y.shape[2], x.shape[2]
        T, n, size = x.dtype, count * units, x.itemsize
        training = kept.shape[0] > 0
        pack = address(memory)
        start = _start(b, alike * units, view(element(pack, PACK_SIZE, T), width, T))
        own = element(pack, PACK_SIZE + width, T)
        rows = element(own, saved * n, T)
        state = view(element(rows, gates * n, T), carried * n, T)
        held = view(element(address(state), carried * n, T), carried * n if mask.shape[0] > 0 else 0, T)
        for i in range(state.size):
            state[i] = state.dtype.type(0)
        if known.shape[0] > 0:
            for k in range(carried):
                source = element(address(known), first * known.shape[2] + at + k * units, T)
                target = element(address(state), k * n, T)
                copy_rows(source, known.shape[2], target, units, count, units, T, size)
        for s in range(steps):
            t = steps - 1 - s if backwards else s
            if training:
                own = element(address(kept), (first * steps + t * count) * saved * units, T)
            x_at = element(address(x), (first * steps + t) * width, T)
            multiply(
                product, count, width, units, address(state), units, 1, address(w), width, 1,
                start, rows, pack, T, size
            )  # fmt: skip
            for k in range(gates):
                of_input, of_state = x_at + k * units * size, rows + k * units * size
                target = own + k * n * size
                if k < alike:
                    add_rows(of_input, steps * width, of_state, width, target, units, count, units, T, size)
                    continue
                if b.size > 0:
                    bias = element(address(b), k * units, T)
                    add_rows(of_input, steps * width, bias, 0, target, units, count, units, T, size)
                else:
                    copy_rows(of_input, steps * width, target, units, count, units, T, size)
                copy_rows(of_state, width, own + gates * n * size, units, count, units, T, size)
            if training:
                copy_rows(address(state), units, x_at, steps * width, count, units, T, size)
            copy(state, held)
            cell_forward(view(own, saved * n, T), state, n, activation)
            if mask.shape[0] > 0:
                for k in range(carried):
                    _restore(mask, first, t, part(held, k, n), units, part(state, k, n))
            target = element(address(y), (first * steps + (t if in_time else s)) * units, T)
            copy_rows(address(state), units, target, steps * units, count, units, T, size)
        if known.shape[0] > 0:
            for k in range(carried):
                target = element(address(known), first * known.shape[2] + at + k * units, T)
                source = element(address(state), k * n, T)
                copy_rows(source, units, target, known.shape[2], count, units, T, size)

    @kernel
    def forward(
        product,
        x,
        x2,
        w,
        b,
        y,
        kept,
        memory,
        backwards,
        in_time,
        activation,
        states_at,
        state_width,
        state_at,
    ):
        """Write `y`, and `x`, `kept` and `memory`, from which the gradients are computed.

        Where `states_at` is the address of the states of rows, `state_width` numbers each, that of this op is
        there from number `state_at` on: what the first step takes, and the last one leaves.
        """
        rows = x.shape[0]
        known = view(states_at, (rows if states_at != 0 else 0, 1, state_width), x.dtype)
        for first in range(0, rows, _ROWS):
            count = min(_ROWS, rows - first)
            forward_rows(
                product, x, x2, w, b, y, kept, memory, known, state_at,
                first, count, backwards, in_time, activation
            )  # fmt: skip

    @kernel
    def backward_rows(
        product, x, mask, transposed, dy, dx, kept, memory, first, count, backwards, in_time, activation
    ):
        """Write `dx` and `x` of `count` rows from `first` on; and `memory`. See `backward_input`."""
        steps, units, width = dy.shape[1], dy.shape[2], x.shape[2]
        T, n, size = x.dtype, count * units, x.itemsize
        none = view(0, 0, T)
        pack = address(memory)
        own = element(address(transposed), transposed.size, T)
        gradient = view(own, (gates + biases - 1) * n, T)
        own = element(own, gradient.size, T)
        before, dh = view(own, n, T), view(element(own, n, T), n, T)
        dc, by_product = view(element(own, 2 * n, T), n, T), view(element(own, 3 * n, T), n, T)
        held = view(element(own, 4 * n, T), 2 * n if mask.shape[0] > 0 else 0, T)
        rows = element(own, 6 * n, T)
        for i in range(n):
            dh[i] = dc[i] = dh.dtype.type(0)
        for s in range(steps - 1, -1, -1):
            t = steps - 1 - s if backwards else s
            x_at, skip = element(address(x), (first * steps + t) * width, T), (first * steps + t) * width
            copy_rows(x_at, steps * width, address(before), units, count, units, T, size)
            source = element(address(dy), (first * steps + (t if in_time else s)) * units, T)
            target = address(dh)
            add_rows(source, steps * units, target, units, target, units, count, units, T, size)
            copy(dh, part(held, 0, n if mask.shape[0] > 0 else 0))
            copy(dc, view(element(address(held), n, T), n if mask.shape[0] > 0 else 0, T))
            step = view(element(address(kept), (first * steps + t * count) * saved * units, T), saved * n, T)
            cell_backward(step, before, gradient, dh, dc, activation)
            if mask.shape[0] > 0:
                _restore(mask, first, t, part(held, 0, n), units, dh)
                _restore(mask, first, t, part(held, 1, n), units, dc)
                for k in range(gates + biases - 1):
                    _restore(mask, first, t, none, units, part(gradient, k, n))
            for k in range(gates):
                gate = element(address(gradient), k * n, T)
                target = element(address(dx), skip + k * units, T)
                copy_rows(gate, units, target, steps * width, count, units, T, size)
                if biases > 1 and k == gates - 1:
                    gate = element(address(gradient), gates * n, T)
                    target = element(x_at, k * units, T)
                    copy_rows(gate, units, target, steps * width, count, units, T, size)
                copy_rows(gate, units, element(rows, k * units, T), width, count, units, T, size)
            if s > 0:
                multiply(
                    product, count, units, width, rows, width, 1,
                    address(transposed), units, 1, 0, address(by_product), pack, T, size
                )  # fmt: skip
                for i in range(n):
                    dh[i] += by_product[i]

    @kernel
    def backward_input(product, x, x2, w, dy, dx, kept, memory, backwards, in_time, activation):
        """Write `dx`, and `x` and `memory`."""
        T = x.dtype
        transposed = view(element(address(memory), PACK_SIZE, T), (w.shape[1], w.shape[0]), T)
        _transpose(w, transposed)
        for first in range(0, x.shape[0], _ROWS):
            count = min(_ROWS, x.shape[0] - first)
            backward_rows(
                product, x, x2, transposed, dy, dx, kept, memory, first, count, backwards, in_time, activation
            )  # fmt: skip

    @kernel
    def backward_weights(product, x, dx, first, dw, db, memory):
        """Write `dw`, of rows of w from `first` on, `db` unless it is empty, and `memory`."""
        count, width, units = dw.shape[0], dx.shape[1], dx.shape[1] // gates
        T, size, k = dx.dtype, dx.itemsize, x.shape[0]
        pack, before = address(memory), element(address(x), first, T)
        columns = alike * units
        result = address(dw) if biases == 1 else element(pack, PACK_SIZE, T)
        multiply(
            product, count, columns, k, before, 1, width, address(dx), width, 1, 0, result, pack, T, size
        )  # fmt: skip
        if biases > 1:
            others = element(result, count * columns, T)
            own = element(address(x), columns, T)
            multiply(product, count, units, k, before, 1, width, own, width, 1, 0, others, pack, T, size)
            copy_rows(result, columns, address(dw), width, count, columns, T, size)
            copy_rows(others, units, element(address(dw), columns, T), width, count, units, T, size)
        if db.size > 0:
            _sum_rows(dx, 0, view(address(db), width, T))
            if biases > 1:
                second = element(address(db), width, T)
                copy(db, view(second, columns, T))
                _sum_rows(x, columns, view(element(second, columns, T), units, T))

    op = Op(
        tensors={
            "x": "rows, steps, width",
            "x2": "rows, steps",
            "y": "rows, steps, units",
            "dx": "rows, steps, width",
            "dy": "rows, steps, units",
        },
        parameters={"w": "units, width", "b": f"{biases} * width"},
        scratch={"kept": f"rows, steps, {saved} * units", "memory": "memory_size"},
        settings=dict.fromkeys(("backwards", "in_time", "activation", "memory_size"), np.int64),
        numbers={
            "units": "op.matrix_rows",
            "width": "op.matrix_columns",
            "steps": "n_in // width",
            "states_at": "net.state",
            "state_width": "net.state_width",
            "state_at": "op.state",
        },
        optional=("x2", "b", "kept"),
    )

    @entry(OP)
    def backward_weights_entry(op, net, T):
        """The gradient of `n_weights` rows of w from `first_weight` on, and with the last row that of b."""
        units, width = op.matrix_rows, op.matrix_columns
        steps = op.n_in // width
        rows = net.rows * steps
        first = net.first_weight
        count = min(net.n_weights, units - first)
        vector = net.rows_gradient
        x = view(tensor_address(net, op.x, steps * width, T), (rows, width), T)
        dx = view(tensor_address(net, op.dx, steps * width, T), (rows, width), T)
        dw = view(element(vector, op.parameters[0] + first * width, T), (count, width), T)
        has_bias = first + count == units and op.parameters[1] != NONE
        db = view(element(vector, op.parameters[1], T), biases * width if has_bias else 0, T)
        memory = view(net.scratch, np.int64(op.settings[3]), T)
        backward_weights(op.product, x, dx, first, dw, db, memory)

    return Recurrent(
        op.entry(forward, writes="y x kept memory"),
        op.entry(backward_input, writes="dx x memory"),
        backward_weights_entry,
    )


simple_rnn = _recurrent(simple_forward, simple_backward, gates=1, carried=1, saved=1, biases=1)
gru = _recurrent(gru_forward, gru_backward, gates=3, carried=1, saved=4, biases=2)
lstm = _recurrent(lstm_forward, lstm_backward, gates=4, carried=2, saved=6, biases=1)


@kernel
def last_step_forward(x, y):
    """Write `y`, the last columns of x; arrays of two dimensions."""
    skip = x.shape[1] - y.shape[1]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, skip + j]


@kernel
def last_step_backward(dy, dx):
    """Write `dx`: 0, but for the last columns, which are `dy`."""
    skip = dx.shape[1] - dy.shape[1]
    for i in range(dx.shape[0]):
        for j in range(skip):
            dx[i, j] = dx.dtype.type(0)
        for j in range(dy.shape[1]):
            dx[i, skip + j] = dy[i, j]


_last = Op()
last_step = LastStep(_last.entry(last_step_forward, writes="y"), _last.entry(last_step_backward, writes="dx"))
