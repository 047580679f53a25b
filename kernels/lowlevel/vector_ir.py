"""Building LLVM IR with vectors: what the intrinsics of the matrix product are written with."""

from llvmlite import ir

from . import target

_I1, _I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def _vector_bytes():
    """Width of the CPU's vector registers in bytes."""
    if target.has("avx512f"):
        return 64
    return 32 if target.has("avx2", "fma") else 16


VECTOR_BYTES = _vector_bytes()
#: Bytes that the CPU fetches at a time.
CACHE_LINE = 64


class Vectors:
    """Vectors of a number type.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    number : llvmlite.ir.Type
        float or double.
    itemsize : int
        Its bytes.
    width : int, optional
        Bytes of a vector, if it is not that of the CPU.
    """

    def __init__(self, builder, number, itemsize, width=None):
        self.builder, self.number, self.itemsize = builder, number, itemsize
        self.lanes = (width or VECTOR_BYTES) // itemsize
        self.type = ir.VectorType(number, self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)

    def pointer(self, address):
        """Pointer to numbers, out of an int64."""
        return self.builder.inttoptr(address, self.number.as_pointer())

    def at(self, base, offset):
        """Pointer to the vector that begins `offset` numbers behind the pointer `base`."""
        return self.builder.bitcast(self.builder.gep(base, [offset]), self.type.as_pointer())

    def splat(self, number):
        """Vector with `number` in every lane."""
        undefined = ir.Constant(ir.VectorType(number.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, number, _I32(0))
        return self.shuffle(first, undefined, [0] * self.lanes)

    def shuffle(self, a, b, lanes):
        """Vector of the given lanes, those of `b` counted on from those of `a`."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, self.lanes), lanes))

    def first_lanes(self, count):
        """Mask of the first `count` lanes."""
        lane = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lane, self.splat(count))

    def load(self, pointer, mask=None):
        """Vector at `pointer`; lanes that are not in the mask are not read, and 0."""
        if mask is None:
            return self.builder.load(pointer, align=self.itemsize)
        args = [pointer, _I32(self.itemsize), mask, self.zero]
        return self._call("llvm.masked.load.{}.p0", self.type, args)

    def store(self, value, pointer, mask=None):
        """Write a vector to `pointer`; lanes that are not in the mask are not written."""
        if mask is None:
            self.builder.store(value, pointer, align=self.itemsize)
        else:
            args = [value, pointer, _I32(self.itemsize), mask]
            self._call("llvm.masked.store.{}.p0", ir.VoidType(), args)

    def fma(self, a, b, c):
        """``a * b + c``, rounded once."""
        return self._call("llvm.fma.{}", self.type, [a, b, c])

    def prefetch(self, pointer, write):
        """Tell the CPU to fetch the cache line of `pointer`; any address will do."""
        pointer = self.builder.bitcast(pointer, ir.IntType(8).as_pointer())
        signature = ir.FunctionType(ir.VoidType(), [pointer.type, _I32, _I32, _I32])
        module, name = self.builder.module, "llvm.prefetch.p0"
        function = module.globals.get(name) or ir.Function(module, signature, name)
        self.builder.call(function, [pointer, _I32(int(write)), _I32(3), _I32(1)])  # keep it; it is data

    def _call(self, name, result, args):
        """Call an LLVM intrinsic whose name ends in the vector's type."""
        name = name.format(f"v{self.lanes}f{8 * self.itemsize}")
        signature = ir.FunctionType(result, [arg.type for arg in args])
        module = self.builder.module
        function = module.globals.get(name) or ir.Function(module, signature, name)
        return self.builder.call(function, args)

    def sums_from(self, starts, none, block):
        """Sums at the head of a loop, rows of vectors: `starts` after the block, zeros after `none`."""
        sums = [[self.builder.phi(self.type) for _ in row] for row in starts]
        for row, firsts in zip(sums, starts, strict=True):
            for total, first in zip(row, firsts, strict=True):
                total.add_incoming(self.zero, none)
                total.add_incoming(first, block)
        return sums

    def repeat(self, head):
        """Jump back to a loop's head. The loop is not unrolled: its sums then no longer fit the registers."""
        module = self.builder.module
        disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
        loop = module.add_metadata([disable])
        loop.operands = (loop, disable)  # LLVM knows a loop's properties by a node that begins with itself
        self.builder.branch(head).set_metadata("llvm.loop", loop)

    def hidden(self, number):
        """The int64 `number`, of which LLVM no longer knows how it was computed."""
        return self.builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [number], False)

    def sums(self, vectors):
        """Vector whose lane i is the sum of the lanes of vector i, of as many vectors as lanes."""
        vectors, width = list(vectors), 1
        while len(vectors) > 1:
            vectors = [
                self.builder.fadd(*self._exchange(a, b, width))
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            width *= 2
        return vectors[0]

    def _exchange(self, a, b, width):
        """The vectors (a, b), of whose squares of `width` lanes those off the diagonal change places."""
        lower = [x - width + self.lanes if x & width else x for x in range(self.lanes)]
        upper = [x + self.lanes if x & width else x + width for x in range(self.lanes)]
        return self.shuffle(a, b, lower), self.shuffle(a, b, upper)

    def transpose(self, rows):
        """Columns of a square of vectors: bit by bit, row and lane numbers are exchanged."""
        rows, width = list(rows), 1
        while width < self.lanes:
            for r in range(self.lanes):
                if not r & width:
                    rows[r], rows[r + width] = self._exchange(rows[r], rows[r + width], width)
            width *= 2
        return rows
