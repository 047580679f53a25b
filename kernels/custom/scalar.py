"""A user's functions of numbers: compiled like the project's own, or refused with a reason.

Numba takes a literal such as ``0.5`` or ``1`` beside a float32 number for float64, the result with it,
and halves the speed. Here it takes the dtype of the number beside it, as in NumPy (NEP 50).
"""

import inspect
import operator
import re

import numpy as np
from numba import cfunc, njit, types
from numba.core import ir
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.errors import NumbaError
from numba.core.ir_utils import get_definition, guard, mk_unique_var
from numba.core.typed_passes import type_inference_stage
from numba.core.untyped_passes import ReconstructSSA
from numba.np.numpy_support import from_dtype

from ..lowlevel._jit import CHECK_OPTIONS, FORCE_INLINE_OPTIONS, INTERPRETED

# x**2 stays a power by an integer, which is a product and not a call of the C library.
_KEPT = {operator.pow, operator.ipow, operator.floordiv, operator.lshift, operator.rshift}


@register_pass(mutates_CFG=False, analysis_only=False)
class _WeakLiterals(FunctionPass):
    _name = "fastnn_weak_literals"

    def __init__(self):
        FunctionPass.__init__(self)

    def run_pass(self, state):
        changed = False
        while self._replace_some(state):  # what was float64 by a literal is so no longer
            changed = True
        return changed

    def _replace_some(self, state):
        function = state.func_ir
        try:
            inferred = type_inference_stage(
                state.typingctx, state.targetctx, function, state.args, state.return_type
            )
        except NumbaError:  # the pass that comes next reports it
            return False
        changed = False
        for block in function.blocks.values():
            body = []
            for statement in block.body:
                if isinstance(statement, ir.Assign) and isinstance(statement.value, ir.Expr):
                    changed |= _replace_literals(state, block, statement.value, inferred.typemap, body)
                body.append(statement)
            block.body = body
        return changed


def _replace_literals(state, block, expression, typemap, body):
    """Make the literals beside a float32 number float32; put their making into `body`."""
    function = state.func_ir
    operands = _operands(function, expression)
    floats = {typemap[v.name] for v in operands if _literal(function, v, state.args) is None}
    if floats != {types.float32}:
        return False
    new = {}
    for variable in operands:
        value = _literal(function, variable, state.args)
        if value is None:
            continue
        place = ir.Var(block.scope, mk_unique_var("$literal"), expression.loc)
        constant = ir.Const(np.float32(value), expression.loc)
        body.append(ir.Assign(constant, place, expression.loc))
        function._definitions[place.name] = [constant]
        new[variable.name] = place
    if expression.op == "call":
        expression.args = [new.get(v.name, v) for v in expression.args]
    else:
        expression.lhs = new.get(expression.lhs.name, expression.lhs) if new else expression.lhs
        expression.rhs = new.get(expression.rhs.name, expression.rhs) if new else expression.rhs
    return bool(new)


def _operands(function, expression):
    """Variables that an operation makes one dtype of: those of a binary operator, of min and of max."""
    if expression.op in ("binop", "inplace_binop") and expression.fn not in _KEPT:
        return [expression.lhs, expression.rhs]
    if expression.op == "call" and not expression.kws:
        called = guard(get_definition, function, expression.func)
        if getattr(called, "value", None) in (min, max):
            return list(expression.args)
    return []


def _literal(function, variable, arguments):
    """The number that a variable is in any case: a literal, a global, what is computed of them; or None.

    A parameter that is left at its default is one, too.
    """
    made = guard(get_definition, function, variable)
    value = None
    if isinstance(made, (ir.Const, ir.Global, ir.FreeVar)):
        value = made.value
    elif isinstance(made, ir.Arg):
        value = getattr(arguments[made.index], "value", None)  # of types.Omitted
    elif isinstance(made, ir.Expr) and made.op == "getattr":  # math.pi
        module = guard(get_definition, function, made.value)
        value = getattr(getattr(module, "value", None), made.attr, None)
    elif isinstance(made, ir.Expr) and made.op == "unary":
        number = _literal(function, made.value, arguments)
        value = None if number is None else made.fn(number)
    elif isinstance(made, ir.Expr) and made.op == "binop":
        numbers = [_literal(function, side, arguments) for side in (made.lhs, made.rhs)]
        value = None if None in numbers else made.fn(*numbers)
    return value if type(value) in (int, float) else None


class _Pipeline(CompilerBase):
    def define_pipelines(self):
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(_WeakLiterals, ReconstructSSA)
        pipeline.finalize()
        return [pipeline]


class Refused(Exception):
    """A function that the engine cannot run; the message says why."""


def scalar(function):
    """A user's function, decorated or not, for use in kernels."""
    function = getattr(function, "py_func", function)
    return function if INTERPRETED else njit(pipeline_class=_Pipeline, **FORCE_INLINE_OPTIONS)(function)


def _of_numbers(function, count):
    """A function of `count` parameters, as Numba asks for one with a signature: the others have defaults."""
    function = getattr(function, "py_func", function)
    if len(inspect.signature(function).parameters) == count:
        return function
    inner = scalar(function)
    return (lambda x: inner(x)) if count == 1 else (lambda x, y: inner(x, y))


def check(function, count, T):
    """Compile a user's function of `count` numbers of dtype `T`; True if it computes in float64 for float32.

    Raises
    ------
    Refused
        If it does not compile to a function of numbers that cannot fail.
    """
    number = from_dtype(T)
    try:
        function = _of_numbers(function, count)
        compiled = cfunc(number(*[number] * count), pipeline_class=_Pipeline, **CHECK_OPTIONS)(function)
        code = compiled.inspect_llvm()
    except Exception as error:  # Numba's own, and whatever else its passes raise
        raise _refused(error) from error
    name = compiled.native_name.removeprefix("cfunc.")
    return _judge(code, name, T)


def check_of_rows(function, count, T):
    """As `check`, of a function of two arrays that may only be read, and perhaps of one that is written."""
    number = from_dtype(T)
    read = types.Array(number, 1, "C", readonly=True)
    arguments = (read, read) if count == 2 else (read, read, types.Array(number, 1, "C"))
    try:
        inner = scalar(function)
        function = (lambda y, t: inner(y, t)) if count == 2 else (lambda y, t, out: inner(y, t, out))
        result = number if count == 2 else types.void
        compiled = njit(result(*arguments), pipeline_class=_Pipeline, **CHECK_OPTIONS)(function)
        code = compiled.inspect_llvm(compiled.signatures[0])
    except Exception as error:
        raise _refused(error) from error
    return _judge(code, compiled.overloads[compiled.signatures[0]].fndesc.llvm_func_name, T)


def _refused(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if not line.startswith("Failed in")), type(error).__name__)
    return Refused(f"it does not compile: {reason}")


def _judge(code, name, T):
    """What the machine code of a function says: True if it computes in float64 for float32."""
    bodies = [
        body
        for name, body in re.findall(r'^define [^@]*@"?([^"(]+)"?\(.*?\{\n(.*?)^\}', code, re.M | re.S)
        if not name.startswith(("cfunc.", "_ZN7cpython"))
    ]
    if name not in code or not bodies:
        raise Refused("its machine code was not found")
    text = "\n".join(bodies)
    if re.search(r"@_?(Py|NRT_)", text):
        raise Refused("it allocates, prints, or uses Python objects")
    if re.search(r"ret i32 (?!0\b)", text):
        raise Refused("it may raise an exception")
    return T().itemsize == 4 and "fpext" in text
