"""Entries: made from a declaration of what an op owns and its kernels write, or of a body written by hand.

A kernel's parameters say by their names what it is given. `Op` says what there is: the tensors and numbers
that all ops have, and the op's own parameters, constants, scratch memory and settings::

    op = Op(constants={"shift": "n_in", "scale": "n_in"})
    forward_entry = op.entry(scaling_forward, writes="y")  # scaling_forward(x, shift, scale, y)

`Op.entry` writes the source of the entry, a line for each number and array, and lets Python compile it, as
`dataclass` and `namedtuple` do: Numba needs a function with these very lines. (Closures that look up one
array each give the same machine code, and take 20 to 40 % longer to compile.) ``print(forward_entry.source)``
shows it, and so do tracebacks.

What fits no declaration is a function ``body(op, net, T)`` that `entry` decorates.
"""

import ast
import functools
import inspect
import linecache

import numpy as np

from ..lowlevel._jit import inline_ir
from ..lowlevel.simd import element, record, view
from . import oprow
from .descriptor import DESCRIPTOR
from .oprow import OP
from .tensors import tensor_address

#: Numbers that every op has, in the order in which an entry computes them.
NUMBERS = {
    "rows": "net.rows",
    "n_in": "op.n_in",
    "n_out": "op.n_out",
    "stream": "op.stream",
    "y_is_x": "op.y == op.x",
    "dx_is_dy": "op.dx == op.dy",
    "first_row": "net.first_row",
    "seed": "net.seed",
    "step": "net.step",
    "training": "net.training == 1",
    "product": "op.product",
}

#: Shapes of an op's tensors: as they are, a row for each sample;
BY_ROW = {"x": "rows, n_in", "y": "rows, n_out", "dx": "rows, n_in", "dy": "rows, n_out"}
_TENSORS = ("x", "x2", "y", "dx", "dx2", "dy")
#: of one dimension, for what is done with each number by itself;
BY_ELEMENT = dict.fromkeys(_TENSORS, "rows * n_in")
#: a row for each of the positions that a sample has on all axes but the last.
BY_LAST_AXIS = dict.fromkeys(_TENSORS, "rows * positions, features")

_SOURCE = """\
def factory(T):
    def {name}_op(op_address, net_address):
        op = record(op_address, OP)
        net = record(net_address, DESCRIPTOR)
        {lines}

    return {name}_op
"""
_GLOBALS = {
    "DESCRIPTOR": DESCRIPTOR,
    "NONE": oprow.NONE,
    "OP": OP,
    "element": element,
    "float64": np.float64,
    "int64": np.int64,
    "record": record,
    "tensor_address": tensor_address,
    "view": view,
}


def entry(kind=None):
    """Decorator that makes ``body(row, net, T)`` the factory of an entry.

    The body is given a row of this kind, one of the dtypes in `oprow`, the descriptor and the model's dtype;
    where an entry has no row, ``body(net, T)``.
    """

    def decorate(body):
        inlined = inline_ir(body)

        @functools.wraps(body)
        def factory(T):
            def run(_, net_address):
                inlined(record(net_address, DESCRIPTOR), T)

            def run_row(row_address, net_address):
                inlined(record(row_address, kind), record(net_address, DESCRIPTOR), T)

            return run if kind is None else run_row

        return factory

    return decorate


class Op:
    """What there is for the kernels of an op.

    Shapes are written as in Python, ``"rows, n_in // 2"``, of `NUMBERS`, settings and `numbers`.

    Parameters
    ----------
    tensors : dict of name to shape
        The tensors that an op row has offsets of: x, x2, y, dx, dx2 and dy.
    parameters : dict of name to shape
        Trained arrays, in the order of the row's parameters. The gradient of ``w`` is ``dw``.
    constants : dict of name to shape
        Arrays of one dimension that are not trained, one behind the other from the row's constants on.
    scratch : dict of name to shape
        Of rows: what the op keeps for its gradient, at the row's scratch. Of another shape: memory that all
        ops use during a call only, at the descriptor's scratch. Two of a kind are one memory in two shapes.
    settings : dict of name to dtype
        Numbers in the order of the row's settings; None stands for the model's dtype.
    numbers : dict of name to number
        More numbers, computed of `NUMBERS` and settings.
    optional : tuple of str
        Tensors, parameters and scratch that a row may be without: their first dimension is then 0.
    """

    def __init__(
        self,
        *,
        tensors=BY_ROW,
        parameters=None,
        constants=None,
        scratch=None,
        settings=None,
        numbers=None,
        optional=(),
    ):
        self._numbers, self._arrays = dict(NUMBERS), {}
        for i, (name, dtype) in enumerate((settings or {}).items()):
            dtype_name = {None: "T", np.float64: "float64", np.int64: "int64"}[dtype]
            self._numbers[name] = f"{dtype_name}(op.settings[{i}])"
        self._numbers |= numbers or {}
        for name, shape in tensors.items():
            if name not in _TENSORS:
                raise TypeError(f"an op row has no offset of a tensor {name!r}")
            own = _unless_none(shape, name) if name in optional else shape
            self._add(name, own, _tensor(name, shape))
        for of_rows in (True, False):
            names = [
                name for name, shape in (scratch or {}).items() if (_split(shape)[0] == "rows") == of_rows
            ]
            if len({_factors(scratch[name]) for name in names}) > 1:
                raise TypeError(
                    f"the arrays of scratch {', '.join(names)} lie in one place and differ in size; let the "
                    "kernel take parts of one array"
                )
        for name, shape in (scratch or {}).items():
            own = _unless_none(shape, "scratch") if name in optional else shape
            self._add(name, own, _tensor("scratch", shape))
        for i, (name, shape) in enumerate((parameters or {}).items()):
            own = _unless_none(shape, f"parameters[{i}]") if name in optional else shape
            self._add(name, own, _element("parameters", f"op.parameters[{i}]"))
            self._add(f"d{name}", own, _element("rows_gradient", f"op.parameters[{i}]"))
        offset = "op.constants"
        for name, size in (constants or {}).items():
            self._add(name, size, _element("constants", f"({offset})"))
            offset += f" + {size}"

    def _add(self, name, shape, address):
        unknown = sorted(_names(shape) - self._numbers.keys() - {"op", "NONE"})
        if unknown:
            raise TypeError(f"the shape ({shape}) of {name!r} is of unknown numbers: {', '.join(unknown)}")
        sizes = f"({shape})" if "," in shape else shape
        self._arrays[name] = f"view({address}, {sizes}, T)"

    def entry(self, kernel, *, writes, over=()):
        """Factory of the entry that calls `kernel` with what its parameters name.

        Parameters
        ----------
        kernel : function
        writes : str
            The arrays that it writes, separated by spaces. It reads all others.
        over : tuple of str
            Tensors that may lie where the first of `writes` does: the kernel is then called with one array
            for both. A loop that is merged into its entry vectorises only so.

        Raises
        ------
        TypeError
            If the op has nothing by the name of a parameter, or what is written is no array of the kernel.
        """
        function = getattr(kernel, "py_func", kernel)
        place = f"{function.__module__}.{function.__qualname__}"
        names = list(inspect.signature(function).parameters)
        for name in names:
            if name not in self._arrays and name not in self._numbers:
                raise TypeError(f"{place} takes {name!r}, which its op does not have")
        written = writes.split()
        for name in (*written, *over):
            if name not in names or name not in self._arrays:
                raise TypeError(f"{place} takes no array {name!r}")
        source = self._source(function.__name__, names, written[0], over)
        file = f"<entry of {place}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        namespace = {"__name__": function.__module__, function.__name__: kernel, **_GLOBALS}
        exec(compile(source, file, "exec"), namespace)
        factory = namespace["factory"]
        factory.op, factory.kernel, factory.writes, factory.source = self, kernel, written, source
        return factory

    def _source(self, kernel, names, written, over):
        """Source of the entry of a kernel whose parameters are `names`."""
        lines = [f"{name} = {self._arrays[name]}" for name in names if name in self._arrays]
        used = set(names).union(*map(_names, lines))
        for name, value in reversed(self._numbers.items()):
            if name in used:
                lines.insert(0, f"{name} = {value}")
                used |= _names(value)
        for i, name in enumerate(over):
            same = ", ".join(written if argument == name else argument for argument in names)
            test = f"{'el' if i else ''}if op.{name} == op.{written}:"
            lines += [test, f"    {kernel}({same})"]
        call = f"{kernel}({', '.join(names)})"
        lines += ["else:", f"    {call}"] if over else [call]
        return _SOURCE.format(name=kernel, lines="\n        ".join(lines))


@functools.cache
def _names(source):
    """Names that Python source mentions."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _tensor(field, shape):
    """Source of the address of the rows at hand of a tensor whose offset is in a field of the op row.

    What is not of so many numbers a row is memory that is used during a call only.
    """
    rows, *others = _split(shape)
    if rows != "rows":
        return "net.scratch"
    width = " * ".join([f"({size})" for size in others]) or "1"
    return f"tensor_address(net, op.{field}, {width}, T)"


def _split(shape):
    """Sizes in the source of a shape, with the rows by themselves."""
    return shape.replace("rows * ", "rows, ").split(", ")


def _factors(shape):
    """What the numbers of an array of a shape are the product of, in order."""
    return tuple(sorted(shape.replace(" * ", ", ").split(", ")))


def _element(vector, offset):
    """Source of the address of an element of a flat vector."""
    return f"element(net.{vector}, {offset}, T)"


def _unless_none(shape, field):
    """Source of a shape whose first dimension is 0 in rows that have NONE in a field."""
    first, *others = shape.split(", ")
    return ", ".join([f"{first} if op.{field} != NONE else 0", *others])
