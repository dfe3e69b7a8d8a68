"""Axes as products of parts: where rows and columns are after a tensor was viewed in another shape."""

import math
from collections.abc import Sequence

from torch import Tensor

from .spans import COLUMNS, ROWS, UNKNOWN, WHOLE, Axis, Factor, State

Groups = tuple[tuple[Factor, ...], ...]
"""For each axis its parts, from the outer to the inner."""


def groups_of(tensor: Tensor, state: State) -> Groups | None:
    """What each axis of a tensor is made of, where that is known."""
    if state.axes is None:
        return state.folded
    which = dict(zip(state.axes, (ROWS, COLUMNS), strict=True))
    return tuple(((size, which.get(axis)),) for axis, size in enumerate(tensor.shape))


def is_plain(parts: Sequence[Factor]) -> bool:
    """Whether an axis runs along neither rows nor columns."""
    return all(which is None for _size, which in parts)


def canonical(groups: Groups) -> Groups:
    """The same axes, where parts that run along neither rows nor columns are one."""
    axes = []
    for parts in groups:
        merged: list[Factor] = []
        for size, which in parts:
            if which is None and merged and merged[-1][1] is None:
                merged[-1] = (merged[-1][0] * size, None)
            elif which is not None or size > 1:
                merged.append((size, which))
        axes.append(tuple(merged))
    return tuple(axes)


def regrouped(groups: Groups, spans: tuple[Axis, Axis], shape: Sequence[int]) -> State:
    """The state when the same parts, in the same order, become the axes of another `shape`.

    Parts may be cut: of rows that become a longer and a shorter axis the outer one stays that of rows.
    """
    left = [part for parts in groups for part in parts]
    gathered = [1, 1]
    axes: list[tuple[Factor, ...]] = []
    for axis, size in enumerate(shape):
        taken: list[Factor] = []
        room = size
        while left and room and (room > 1 or (not taken and left[0][0] == 1)):
            length, which = left.pop(0)
            if room % length == 0:
                taken.append((length, which))
                room //= length
            elif length % room == 0:
                taken.append((room, which))
                left.insert(0, (length // room, None))
                if which is not None:
                    gathered[which] *= length // room
                room = 1
            else:
                return settled(None, spans)
        if room != 1:
            return settled(None, spans)
        more = shape[axis + 1] if axis + 1 < len(shape) else 0
        while left and left[0][0] == 1 and more != 1:  # maps of one row or column
            taken.append(left.pop(0))
        axes.append(tuple(taken))
    if left:
        return settled(None, spans)
    pairs = zip(spans, gathered, strict=True)
    return settled(tuple(axes), tuple(span if isinstance(span, str) else span.gathered(n) for span, n in pairs))


def settled(groups: Groups | None, spans: tuple[Axis, Axis]) -> State:
    """The state of a tensor whose axes are made of these parts; where they are not known, all is lost.

    An axis is that of rows if they are all of it, or if each comes several times, one after the other.
    """
    if groups is None:
        return State(None, tuple(WHOLE if span == WHOLE else UNKNOWN for span in spans))
    axes, settled_spans = [], []
    for which in (ROWS, COLUMNS):
        axis = next((at for at, parts in enumerate(groups) if any(part[1] == which for part in parts)), None)
        parts = [] if axis is None else [part for part in groups[axis] if part[1] is not None or part[0] > 1]
        times, span = math.prod(size for size, _none in parts[1:]), spans[which]
        if not parts or parts[0][1] != which or not is_plain(parts[1:]) or (times > 1 and getattr(span, "cut", False)):
            return State(None, spans, groups)
        axes.append(axis)
        settled_spans.append(span if isinstance(span, str) else span.repeated(times))
    return State(tuple(axes), tuple(settled_spans))
