"""Operators of windows over images and series: their attributes, and the padding that a layer has for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..layers import windows
from ._layout import BATCH

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ._call import Call
    from ._rows import Rows

_LARGEST = 1 << 20  # of the attributes, far above those of any network


@dataclass(frozen=True)
class Windows:
    """Windows over the axes behind samples and channels.

    Attributes
    ----------
    sizes, kernel, strides, dilations, before, after : tuple of int
        Of each axis: how long it is, and padding on both sides.
    outputs : tuple of int
        How many windows there are along each axis.
    """

    sizes: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    before: Shape
    after: Shape
    outputs: Shape

    @classmethod
    def of(cls, call: Call, x: Rows, kernel: Sequence[int]) -> Windows:
        """Those of an operator over a tensor."""
        options, n = call.attributes, len(kernel)
        strides, gaps = options.get("strides") or [1] * n, options.get("dilations") or [1] * n
        pads = options.get("pads") or [0] * 2 * n
        sizes = x.sizes[2:]
        if len(x.sizes) != n + 2 or x.sizes[0] != BATCH:
            raise ValueError(f"it takes windows of {list(kernel)} from {list(x.sizes)}")
        if not len(strides) == len(gaps) == n or len(pads) != 2 * n:
            raise ValueError(f"it has strides {strides}, dilations {gaps} and pads {pads} for {n} axes")
        if (
            min([*kernel, *strides, *gaps]) < 1
            or min(pads) < 0
            or max(*kernel, *strides, *gaps, *pads) > _LARGEST
        ):
            raise ValueError(f"its windows are {list(kernel)}, its strides {strides}, its pads {pads}")
        extents = [(k - 1) * gap + 1 for k, gap in zip(kernel, gaps, strict=True)]
        rule, axes = options.get("auto_pad", "NOTSET"), range(n)
        if rule in ("SAME_UPPER", "SAME_LOWER"):
            total = [
                max((-(-sizes[i] // strides[i]) - 1) * strides[i] + extents[i] - sizes[i], 0) for i in axes
            ]
            less = [one // 2 for one in total]
            more = [one - half for one, half in zip(total, less, strict=True)]
            before, after = (less, more) if rule == "SAME_UPPER" else (more, less)
        else:
            before, after = ([0] * n, [0] * n) if rule == "VALID" else (pads[:n], pads[n:])
        reach = [sizes[i] + before[i] + after[i] - extents[i] for i in axes]
        if options.get("ceil_mode"):
            # Windows may reach beyond the end, but must not begin there.
            for i in axes:
                rest = -reach[i] % strides[i]
                if rest and reach[i] + rest < sizes[i] + before[i]:
                    reach[i], after[i] = reach[i] + rest, after[i] + rest
        if min(reach) < 0:
            raise ValueError(f"its windows {extents} are larger than {list(sizes)}")
        outputs = [one // stride + 1 for one, stride in zip(reach, strides, strict=True)]
        return cls(*map(tuple, (sizes, kernel, strides, gaps, before, after, outputs)))

    def padding(self) -> str | None:
        """Keras's name of the padding; None if it has none."""
        names = windows.PADDINGS if len(self.kernel) == 1 else windows.PADDINGS[:2]
        for name in names:
            found = [
                windows.windows(*sizes, name)
                for sizes in zip(self.sizes, self.kernel, self.strides, self.dilations, strict=True)
            ]
            if self.outputs == tuple(one.output for one in found) and self.before == tuple(
                one.before for one in found
            ):
                return name
        return None
