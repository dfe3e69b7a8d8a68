"""What is known of the pixels behind a tensor: their spans along rows and columns, and the field of one unit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of a layer can see of the picture: for rows and columns, in pixels.

    `size` is the side of one unit's field, `stride` the distance from one unit's field to the next, and `offset` where
    the field of the unit (0, 0) begins, which is below zero where it reaches into the padding. Units that see the
    whole picture (after global pooling, or with squeeze-and-excitation) have its size and stride 0. `picture` is the
    picture's (height, width). Where units were enlarged, `repeat` of them, one after the other, see the same.
    """

    size: tuple[int, int]
    stride: tuple[float, float]
    offset: tuple[float, float]
    picture: tuple[int, int]
    repeat: tuple[int, int] = (1, 1)

    @property
    def is_whole(self) -> bool:
        """Whether every unit sees the whole picture."""
        return self.stride == (0, 0)

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The pixels that the unit at (row, column) sees, cut to the picture: top, left, bottom, right (exclusive)."""
        sides = []
        for unit, size, stride, offset, limit, repeat in zip(
            (row, column), self.size, self.stride, self.offset, self.picture, self.repeat, strict=True
        ):
            start = round(unit // repeat * repeat * stride + offset)
            sides.append((min(max(start, 0), limit), min(max(start + size, 0), limit)))
        (top, bottom), (left, right) = sides
        return top, left, bottom, right


@dataclass(frozen=True)
class Span:
    """Along one axis, unit i sees the pixels from `i // repeat * stride + low` to `i // repeat * stride + high`.

    `cut` says that a unit's pixels are still apart in its channels, as after pixels became channels: put side by side
    again, each would see less than all of them.
    """

    stride: int = 1
    low: int = 0
    high: int = 0
    repeat: int = 1
    cut: bool = False

    def widened(self, kernel: int, stride: int, padding: int, dilation: int) -> "Axis":
        """What the units behind a window of `kernel` taps see, if all channels are mixed in it."""
        first, last = -padding, dilation * (kernel - 1) - padding
        if stride % self.repeat == 0:
            low, high = (self._of(first), self._of(last))
            return Span(self.stride * stride // self.repeat, low[0], high[1])
        if kernel == 1 and self.repeat % stride == 0:
            shifted = self.shifted(first)
            return shifted if shifted == UNKNOWN else replace(shifted, repeat=self.repeat // stride)
        return UNKNOWN  # some units see more than others

    def every(self, step: int) -> "Axis":
        """What every so many of the units see."""
        some = self.widened(1, step, 0, 1)
        return some if some == UNKNOWN else replace(some, cut=self.cut)

    def shifted(self, units: int) -> "Axis":
        """The span when unit 0 is what was unit `units`."""
        if units % self.repeat:
            return UNKNOWN
        low, high = self._of(units)
        return replace(self, low=low, high=high)

    def repeated(self, times: int) -> "Span":
        """The span when each unit comes so many times, one after the other."""
        return replace(self, repeat=self.repeat * times)

    def gathered(self, count: int) -> "Axis":
        """The span when so many units, one after the other, are taken together without being mixed."""
        if count == 1:
            return self
        wide = self.widened(count, count, 0, 1)
        return wide if wide == UNKNOWN else replace(wide, cut=True)

    def _of(self, unit: int) -> tuple[int, int]:
        moved = unit // self.repeat * self.stride
        return self.low + moved, self.high + moved


WHOLE, UNKNOWN = "whole", "unknown"  # in place of a Span: all pixels of the picture; some, but which cannot be told
Axis = Span | str
ROWS, COLUMNS = 0, 1
Factor = tuple[int, int | None]
"""Part of an axis: its length, and whether it runs along the picture's `ROWS`, its `COLUMNS`, or neither."""


@dataclass(frozen=True)
class State:
    """What is known of a tensor: which of its axes are the picture's rows and columns, and their spans.

    Without `axes` no axis is one of rows or of columns alone. `folded` says what each is made of, from the outer to the
    inner part, where that is known: rows and columns become one long axis on the way into a linear layer on channels.
    """

    axes: tuple[int, int] | None
    spans: tuple[Axis, Axis]
    folded: tuple[tuple[Factor, ...], ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every element depends on the whole picture."""
        return self.spans == (WHOLE, WHOLE)


LOST, EVERYTHING = State(None, (UNKNOWN, UNKNOWN)), State(None, (WHOLE, WHOLE))


def _share(span: Span) -> float:
    return span.stride // span.repeat if span.stride % span.repeat == 0 else span.stride / span.repeat


def field(state: State, shape: Sequence[int], picture: tuple[int, int]) -> ReceptiveField | None:
    """The receptive field of the units of a tensor with this state and shape; None where it cannot be told.

    A tensor without rows and columns is taken together and sees the whole picture.
    """
    spans = state.spans
    if state.axes is None and len(shape) < 4:
        spans = (WHOLE, WHOLE)
    if UNKNOWN in spans or (state.axes is None and spans != (WHOLE, WHOLE)):
        return None
    sides = [
        (limit, 0, 0, 1) if span == WHOLE else (span.high - span.low + 1, _share(span), span.low, span.repeat)
        for span, limit in zip(spans, picture, strict=True)
    ]
    size, stride, offset, repeat = zip(*sides, strict=True)
    return ReceptiveField(size, stride, offset, picture, repeat)
