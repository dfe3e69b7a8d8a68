"""What the units of a layer see of the picture: read off the operations, or probed where they do not tell."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from ..errors import CnnvizError
from ..i18n import _
from ..networks import Asked, Network
from .hooks import find_layer, tap
from .observing import observe
from .spans import ReceptiveField


def receptive_field(model: Network | nn.Module, inputs: Tensor, name: str) -> ReceptiveField:
    """What the units of the layer `name` (any submodule that puts out a tensor) see of the picture.

    Worked out from every operation on the way from `inputs` [N, C, H, W] to the layer, branches and functional code
    included, which is exact but for the padding at the picture's border: `ReceptiveField.box` gives each unit's pixels.
    Where an operation cannot be read so, the unit in the middle of the map is probed instead, by planting NaN in rows
    and columns of the first picture, which takes some tens of forward passes; the stride is found between it and units
    at the ends of the map, and the others are taken to be alike.

    Raises `UnknownLayer`, which names the nearest layers, and `CnnvizError` for a layer that did not run or put out no
    tensor, that could be known by probing only while the model is on the meta device, or whose units are not alike.
    """
    ask = Asked(model)
    inputs = ask.matched(inputs)
    part = find_layer(ask.module, name)
    seen = observe(ask, inputs, trace=True, wanted=part)
    if part not in seen.shapes:
        message = _('"{name}" put out no tensor when the network ran, so there is nothing for it to see.')
        raise CnnvizError(message.format(name=name))
    if seen.shapes[part][-1][:1] != inputs.shape[:1]:
        message = _('"{name}" puts out {shape} for a batch of {count}, so its units belong to no picture.')
        raise CnnvizError(message.format(name=name, shape=list(seen.shapes[part][-1]), count=len(inputs)))
    known = seen.known_axes(part)
    return seen.field(part) or _probed(ask, inputs, name, calls=len(seen.shapes[part]), known=known)


def _probed(
    ask: Asked, inputs: Tensor, name: str, calls: int = 1, known: tuple[int, int] | None = None
) -> ReceptiveField:
    """The receptive field of the middle unit of a map, found by where NaN must be planted for it to arrive there.

    NaN passes whatever the weights are and through ReLU and max pooling, where gradients may vanish by chance. `known`
    are the axes of rows and columns, where the operations tell them.
    """
    if inputs.is_meta:
        message = _('What "{name}" sees can only be found by probing, which needs a network with numbers in it.')
        raise CnnvizError(message.format(name=name))
    picture = tuple(inputs.shape[-2:])

    def reached(side: int, begin: int, end: int) -> Tensor:
        planted = inputs[:1].clone()
        planted.narrow(side + 2, begin, end - begin).fill_(torch.nan)
        output = _output(ask, planted, name, calls)[0]
        if not output.is_floating_point():
            message = _('What "{name}" sees can only be found by probing, which needs floating-point numbers.')
            raise CnnvizError(message.format(name=name))
        return output.isnan()

    # The axis along which NaN in other rows reaches other places is that of rows, which may be before channels.
    shape = reached(0, 0, 1).shape
    axes: list[int | None] = []
    for side, limit in enumerate(picture):
        parts = [(0, max(limit // 8, 1)), (0, limit // 2), (limit // 2, limit)]
        masks = [mask for part in parts if (mask := reached(side, *part)).any()]
        candidates = [known[side] - 1] if known else [axis for axis in range(len(shape)) if axis not in axes]
        axes.append(next((axis for axis in candidates if len({_along(mask, axis) for mask in masks}) > 1), None))
    sides = []
    for side, (axis, limit) in enumerate(zip(axes, picture, strict=True)):
        if axis is None:
            sides.append((limit, 0, 0))
            continue
        other = axes[1 - side]

        def arrives(begin: int, end: int, side: int = side, axis: int = axis, other: int | None = other) -> tuple:
            """Along `axis`, in the middle of the other one, the units that NaN from `begin` to `end` arrives at."""
            mask = reached(side, begin, end).movedim(axis, 0)
            if other is not None:
                mask = mask.select(other + (other < axis), shape[other] // 2)
            return tuple(mask.flatten(1).any(1).tolist())

        measured = _Side(shape[axis], limit, cache(arrives)).field()
        if measured is None:
            message = _('What the units of "{name}" see does not move evenly over the picture, so it is unknown.')
            raise CnnvizError(message.format(name=name))
        sides.append(measured)
    size, stride, offset = zip(*sides, strict=True)
    return ReceptiveField(size, stride, offset, picture)


@dataclass(frozen=True)
class _Side:
    """Rows (or columns) of a map of `count` units; of the picture's `limit`, those that `arrives` finds are seen."""

    count: int
    limit: int
    arrives: Callable[[int, int], tuple[bool, ...]]

    def first(self, unit: int) -> int:
        """The first row that a unit sees: the least end for which NaN in front of it arrives, found by bisection."""
        return bisect_left(range(1, self.limit), True, key=lambda end: self.arrives(0, end)[unit])

    def last(self, unit: int) -> int:
        """The last row that a unit sees."""
        found = bisect_left(range(1, self.limit), True, key=lambda n: self.arrives(self.limit - n, self.limit)[unit])
        return self.limit - 1 - found

    def field(self) -> tuple[int, float, float] | None:
        """Size, stride and offset, right for the unit in the middle; None where the others are not alike."""
        seeing = [unit for unit, sees in enumerate(self.arrives(0, self.limit)) if sees]
        middle = self.count // 2
        if middle not in seeing:
            return None
        first, last = self.first(middle), self.last(middle)
        size, stride = last - first + 1, self._stride(middle, first, last, seeing[0], seeing[-1])
        if stride is None:
            return None
        if stride == 0 and size == self.limit:
            return self.limit, 0, 0
        offset = first - stride * middle
        return (size, stride, offset) if self._is_even(size, stride, offset) else None

    def _is_even(self, size: int, stride: float, offset: float) -> bool:
        """Whether most units that see a row are near to where they should be, in three places of the picture."""
        for row in (self.limit // 4, self.limit // 2, 3 * self.limit // 4):
            seeing = [unit for unit, sees in enumerate(self.arrives(row, row + 1)) if sees]
            near = [unit for unit in seeing if -size <= row - (offset + stride * unit) < 2 * size]
            if 2 * len(near) < len(seeing):
                return False
        return True

    def _stride(self, middle: int, first: int, last: int, lowest: int, highest: int) -> float | None:
        """From one unit to the next, between the middle and half the way to an end of the map.

        Several units, one after the other, may see the same: counted is from the first (or last) of them.
        """
        if first > 0 and highest > middle:
            other = (middle + highest + 1) // 2
            end = self.first(other)
            apart = self._begin(other, end) - self._begin(middle, first)
            return (end - first) / apart if apart else 0
        if last < self.limit - 1 and lowest < middle:
            other = (lowest + middle) // 2
            end = self.last(other)
            apart = self._end(middle, last) - self._end(other, end)
            return (last - end) / apart if apart else 0
        if self.first(highest) == 0 and self.last(lowest) == self.limit - 1:
            return 0  # all see all of it, or there is one unit only
        return None

    def _begin(self, unit: int, first: int) -> int:
        """The first of the units up to this one that see nothing before the row `first`."""
        before, seeing = self.arrives(0, first), self.arrives(0, self.limit)
        while unit and seeing[unit - 1] and not before[unit - 1]:
            unit -= 1
        return unit

    def _end(self, unit: int, last: int) -> int:
        """The last of the units from this one on that see nothing behind the row `last`."""
        behind, seeing = self.arrives(last + 1, self.limit), self.arrives(0, self.limit)
        while unit + 1 < self.count and seeing[unit + 1] and not behind[unit + 1]:
            unit += 1
        return unit


def _along(mask: Tensor, axis: int) -> tuple[bool, ...]:
    """Where along `axis` there is anything."""
    return tuple(mask.movedim(axis, 0).flatten(1).any(1).tolist())


def _output(ask: Asked, inputs: Tensor, name: str, calls: int) -> Tensor:
    """What the layer `name` puts out in its last call of several."""
    with ask.awake(), tap(ask.module, name, calls=calls) as outputs:
        ask.output(inputs)
    return outputs[-1]
