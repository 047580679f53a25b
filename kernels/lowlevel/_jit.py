"""Every Numba option of the project, in one place.

============ ================================================================================
decorator    for
============ ================================================================================
kernel       loops over arrays; IEEE arithmetic in the order it is written
reduction    loops that contain a sum, which LLVM may reorder so that it vectorises
force_inline small functions that LLVM must inline; IEEE arithmetic in the order it is written
inline_ir    functions that Numba merges into their caller, before LLVM sees either
============ ================================================================================

``error_model="numpy"`` makes a division by zero an infinity instead of a raised exception,
``_nrt=False`` makes an allocation in a kernel a compile-time error, and ``nogil`` releases the GIL
when a kernel is called from Python. Of LLVM's fast-math flags only ``reassoc``, ``nsz`` and
``contract`` are used: with ``nnan`` or ``ninf`` a NaN would no longer be visible.
"""

import os

from llvmlite import binding
from numba import njit, types
from numba.core import codegen, config

from . import target

# A function whose `fastmath` is not said takes over that of the caller it happens to be compiled for
# first. In strict ones it is said: the argument reductions in `math` do not survive reordering.
_OPTIONS = {"error_model": "numpy", "nogil": True, "_nrt": False, "fastmath": False}

#: LLVM's level of optimization, for entries: see `compile_entry`.
_LEVEL = int(config.OPT)

# A process that only makes object code calls nothing from Python, and spares the functions for that, and the
# machine code for itself that Numba makes of each function, at once, to tell it where its environment is.
# Nor is a function optimized by itself: LLVM does that once more in each that it is merged into.
_WITHOUT_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
if os.environ.get("FASTNN_OBJECTS_ONLY") == "1":
    _OPTIONS |= _WITHOUT_WRAPPERS
    codegen.JitEngine.finalize_object = codegen.JITCPUCodegen.set_env = lambda *_: None
    config.OPT = type(config.OPT)(0)

kernel = njit(**_OPTIONS)
reduction = njit(**_OPTIONS | {"fastmath": {"reassoc", "nsz", "contract"}})
#: Also for ``numba.extending.overload``, which takes options as a dictionary.
FORCE_INLINE_OPTIONS = {"forceinline": True, **_OPTIONS}
force_inline = njit(**FORCE_INLINE_OPTIONS)
#: For a look at how a user's function compiles.
CHECK_OPTIONS = {"error_model": "numpy", "_nrt": False, "fastmath": False}
# For functions that return an array, which they cannot do without the run-time library unless they
# are merged, and for loops over two arrays that the caller runs over one: on its own such a loop is
# compiled with a check for overlap, and the way it then goes is not vectorised any more.
inline_ir = njit(inline="always", **_OPTIONS)

#: True under ``NUMBA_DISABLE_JIT=1``, where kernels are plain Python functions.
INTERPRETED = bool(config.DISABLE_JIT)

#: The one C signature of all entries: the address of an op row and that of the descriptor.
ENTRY_SIGNATURE = types.void(types.int64, types.int64)


_WRAPPER = """
declare i32 @"{inner}"(ptr, ptr, {kinds})
declare void @llvm.trap()

define {returned} @"{symbol}"({arguments}) {{
  %result = alloca {held}
  %exception = alloca ptr
  %status = call i32 @"{inner}"(ptr %result, ptr %exception, {arguments})
  %ok = icmp eq i32 %status, 0
  br i1 %ok, label %return, label %stop
stop:  ; reached in the bounds-checking mode only: an entry raises nothing of its own
  call void @llvm.trap()
  unreachable
return:
  %value = load {held}, ptr %result
  ret {value}
}}
"""
_KINDS = {types.int32: "i32", types.int64: "i64", types.float64: "double"}


def _wrapper(signature, inner, symbol):
    """LLVM's form of a C function of a signature around one of Numba's."""
    kinds, returned = [_KINDS[kind] for kind in signature.args], _KINDS.get(signature.return_type, "void")
    arguments = ", ".join(f"{kind} %a{i}" for i, kind in enumerate(kinds))
    held, value = ("ptr", "void") if returned == "void" else (returned, f"{returned} %value")
    return _WRAPPER.format(
        inner=inner,
        symbol=symbol,
        kinds=", ".join(kinds),
        arguments=arguments,
        returned=returned,
        held=held,
        value=value,
    )


def compile_entry(body, symbol):
    """Compile an entry's body to object code with one plain C function in it.

    Numba's own wrapper around a C callback prints an exception and continues, with the help of Python and of
    Numba's run-time library. The wrapper here needs neither, so that the object can be loaded by a process
    that has not imported Numba.

    Parameters
    ----------
    body : function
        Python function of two int64 addresses, as an entry factory returns it; of others, if it has a
        `signature`.
    symbol : str
        Name of the C function ``void (int64, int64)``, or of that signature.

    Returns
    -------
    bytes
        Object code for the CPU of `target`, the host unless Numba's settings name another.
    """
    function = njit(**_OPTIONS | _WITHOUT_WRAPPERS)(body)
    signature = getattr(body, "signature", ENTRY_SIGNATURE)
    function.compile(signature)
    (compiled,) = function.overloads.values()
    inner = compiled.fndesc.llvm_func_name
    module = binding.parse_assembly(compiled.library.get_llvm_str())
    module.link_in(binding.parse_assembly(_wrapper(signature, inner, symbol)))
    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name != symbol:
            value.linkage = "internal"
    machine = target_machine()
    _optimize(module, machine)
    return machine.emit_object(module)


def _optimize(module, machine):
    """Let LLVM optimize a whole entry, all that is merged into it included."""
    options = binding.create_pipeline_tuning_options(_LEVEL)
    options.loop_vectorization = bool(config.LOOP_VECTORIZE)
    options.slp_vectorization = bool(config.SLP_VECTORIZE)
    builder = binding.create_pass_builder(machine, options)
    first = binding.create_new_module_pass_manager()
    first.add_always_inliner_pass()
    first.add_global_dead_code_eliminate_pass()
    for passes in (first, builder.getModulePassManager()):
        passes.run(module, builder)


def target_machine():
    """LLVM's target machine for that CPU."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=target.name(),
        features=target.features(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
        jit=True,
    )
