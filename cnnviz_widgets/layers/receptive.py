"""Which pixels a unit of a layer can see, followed through whatever a network computes.

Every operation of one forward pass is looked at as it runs, whether it comes from a module or from a function, and the
field of its result is worked out from those of its inputs: convolutions and pooling widen it, strides spread it, sums
and concatenations join the fields of their branches. The recurrences for a chain are those of André Araujo, Wade Norris
and Jack Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019. They tell what a unit can
see, which Wenjie Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", NIPS
2016, contrast with what it pays attention to.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

aten = torch.ops.aten


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of a layer can see of the picture: for rows and columns, in pixels.

    `size` is the side of one unit's field, `stride` the distance from one unit's field to the next, and `offset` where
    the field of the unit (0, 0) begins, which is below zero where it reaches into the padding. Units that see the
    whole picture (after global pooling, or with squeeze-and-excitation) have its size and stride 0. `picture` is the
    picture's (height, width).
    """

    size: tuple[int, int]
    stride: tuple[float, float]
    offset: tuple[float, float]
    picture: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether every unit sees the whole picture."""
        return self.stride == (0, 0)

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The pixels that the unit at (row, column) sees, cut to the picture: top, left, bottom, right (exclusive)."""
        sides = []
        for unit, size, stride, offset, limit in zip(
            (row, column), self.size, self.stride, self.offset, self.picture, strict=True
        ):
            start = round(unit * stride + offset)
            sides.append((min(max(start, 0), limit), min(max(start + size, 0), limit)))
        (top, bottom), (left, right) = sides
        return top, left, bottom, right


@dataclass(frozen=True)
class Span:
    """Along one axis, unit i sees the pixels from `i * stride + low` to `i * stride + high`."""

    stride: int = 1
    low: int = 0
    high: int = 0

    def widened(self, kernel: int, stride: int, padding: int, dilation: int) -> "Span":
        """What the units behind a window of `kernel` taps see."""
        low = self.low - padding * self.stride
        return Span(self.stride * stride, low, self.high + (dilation * (kernel - 1) - padding) * self.stride)

    def shifted(self, units: int) -> "Span":
        """The span when unit 0 is what was unit `units`."""
        return replace(self, low=self.low + units * self.stride, high=self.high + units * self.stride)


WHOLE, UNKNOWN = "whole", "unknown"  # in place of a Span: all pixels of the picture; some, but which cannot be told
Axis = Span | str


@dataclass(frozen=True)
class State:
    """What is known of a tensor: which of its axes are the picture's rows and columns, and their spans.

    Without `axes` its elements are no longer in rows and columns. `folded` is the shape in which they were, where rows
    and columns only became one long axis, as on the way into a linear layer on channels.
    """

    axes: tuple[int, int] | None
    spans: tuple[Axis, Axis]
    folded: tuple[int, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every element depends on the whole picture."""
        return self.spans == (WHOLE, WHOLE)


LOST, EVERYTHING = State(None, (UNKNOWN, UNKNOWN)), State(None, (WHOLE, WHOLE))


@dataclass(frozen=True)
class Node:
    """One tensor in the course of a forward pass, with the nodes it was made from."""

    operation: str
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    state: State


class Trace(TorchDispatchMode):
    """Follows `inputs` [N, C, H, W] through all that is computed from them inside the `with`; `nodes` come in order."""

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.nodes = [Node("input", (), tuple(inputs.shape), State((2, 3), (Span(), Span())))]
        self._numbers = WeakTensorKeyDictionary()
        self._numbers[inputs] = 0
        self._written: dict[int, int] = {}  # storage: the latest node that was written into part of it

    def number(self, tensor: Tensor) -> int | None:
        """The number of the node that is this tensor's present content; None for what does not come from the inputs."""
        own = self._numbers.get(tensor)
        written = self._written.get(_storage(tensor)) if self._written else None
        if written is None or (own is not None and own >= written):
            return own
        sources = (written,) if own is None else (own, written)
        return self._add("partly written", sources, tensor, _whole_or(LOST, (self.nodes[i].state for i in sources)))

    def axes(self, tensor: Tensor) -> tuple[int, int] | None:
        """Which axes of the tensor are the picture's rows and columns; None where that cannot be told."""
        number = self.number(tensor)
        return None if number is None else self.nodes[number].state.axes

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run the operation and note what it made of what."""
        options = options or {}
        tensors = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, Tensor)]
        numbers = [self.number(tensor) for tensor in tensors]
        results = function(*arguments, **options)
        sources = tuple(dict.fromkeys(number for number in numbers if number is not None))
        if sources:
            self._note(function, arguments, options, tensors, numbers, sources, results)
        return results

    def _note(self, function, arguments, options, tensors, numbers, sources, results) -> None:
        outputs = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
        tracked = [
            (tensor, self.nodes[number].state)
            for tensor, number in zip(tensors, numbers, strict=True)
            if number is not None
        ]
        named = _named(function, arguments, options)
        for output in outputs:
            rule = _RULES.get(function.overloadpacket)
            if rule is None and torch.Tag.pointwise in function.tags:
                rule = _pointwise
            state = rule(named, tracked, output) if rule else LOST
            name = function.overloadpacket.__name__
            number = self._add(name, sources, output, _whole_or(state, (state for _tensor, state in tracked)))
            if function._schema.is_mutable and output._is_view():
                self._written[_storage(output)] = number

    def _add(self, operation: str, sources: tuple[int, ...], tensor: Tensor, state: State) -> int:
        self.nodes.append(Node(operation, sources, tuple(tensor.shape), state))
        self._numbers[tensor] = len(self.nodes) - 1
        return len(self.nodes) - 1

    def passes_all(self, end: int) -> list[int]:
        """The nodes that everything passes on its way from the input to node `end`, the last first.

        These are the articulation points between the two: without any one of them nothing would arrive.
        """
        upstream = {end}
        for number in range(end, -1, -1):
            if number in upstream:
                upstream.update(self.nodes[number].sources)
        farthest, passes = 0, [0]  # a node is passed by all if no edge leads from before it to behind it
        reach = {number: number for number in upstream}
        for number in upstream:
            for source in self.nodes[number].sources:
                reach[source] = max(reach[source], number)
        for number in sorted(upstream):
            if number and farthest <= number:
                passes.append(number)
            farthest = max(farthest, reach[number])
        return passes[::-1]


def field(state: State, shape: Sequence[int], picture: tuple[int, int]) -> ReceptiveField | None:
    """The receptive field of the units of a tensor with this state and shape; None where it cannot be told.

    A tensor without rows and columns is taken together and sees the whole picture.
    """
    spans = state.spans
    if state.axes is None and len(shape) < 4:
        spans = (WHOLE, WHOLE)
    if UNKNOWN in spans:
        return None
    sides = [
        (limit, 0, 0) if span == WHOLE else (span.high - span.low + 1, span.stride, span.low)
        for span, limit in zip(spans, picture, strict=True)
    ]
    size, stride, offset = zip(*sides, strict=True)
    return ReceptiveField(size, stride, offset, picture)


# How operations change what is seen ----------------------------------------------------------------------------------
# Each rule takes the operation's arguments by name, the tracked inputs with their states, and one of its outputs.

Tracked = list[tuple[Tensor, State]]


def _pointwise(_named: dict, tracked: Tracked, output: Tensor) -> State:
    """Each element comes from those at its own place; what is broadcast along rows or columns is seen by all."""
    aligned = []
    for tensor, state in tracked:
        if state.axes is None:
            aligned.append(state)
            continue
        axes = tuple(axis + output.ndim - tensor.ndim for axis in state.axes)
        spans = tuple(
            UNKNOWN if tensor.shape[own] < output.shape[there] and span != WHOLE else span
            for own, there, span in zip(state.axes, axes, state.spans, strict=True)
        )
        aligned.append(State(axes, spans))
    return _joined(aligned)


def _joined(states: Iterable[State]) -> State:
    """What is seen by one who sees what all of these see."""
    states = list(states)
    placed = [state for state in states if state.axes is not None]
    folded = {state.folded for state in states if state.folded}
    if any(state.axes != placed[0].axes for state in placed) or (not placed and len(folded) > 1):
        return LOST
    spans = tuple(_union([state.spans[axis] for state in states]) for axis in (0, 1))
    return State(placed[0].axes, spans) if placed else State(None, spans, next(iter(folded), None))


def _union(spans: list[Axis]) -> Axis:
    if WHOLE in spans or UNKNOWN in spans:
        return WHOLE if WHOLE in spans else UNKNOWN
    if len({span.stride for span in spans}) > 1:
        return UNKNOWN
    return Span(spans[0].stride, min(span.low for span in spans), max(span.high for span in spans))


def _placed(tracked: Tracked, output: Tensor) -> State:
    """Which pixels are seen cannot be told, but the operation is one of those that have rows and columns last."""
    return replace(LOST, axes=(2, 3)) if output.ndim == 4 else LOST


def _resized(_named: dict, tracked: Tracked, output: Tensor) -> State:
    return _placed(tracked, output)


def _lost(state: State) -> State:
    return State(None, tuple(WHOLE if span == WHOLE else UNKNOWN for span in state.spans))


def _whole_or(state: State, sources: Iterable[State]) -> State:
    """What is made of nothing but numbers that see the whole picture sees the whole picture."""
    return replace(state, spans=(WHOLE, WHOLE)) if all(source.is_whole for source in sources) else state


def _window(named: dict, tracked: Tracked, output: Tensor) -> State:
    """Convolution and pooling with a window."""
    (tensor, state), *others = tracked
    if others or state.axes != (tensor.ndim - 2, tensor.ndim - 1) or named.get("transposed"):
        return _placed(tracked, output)
    kernel = named["weight"].shape[-2:] if "weight" in named else _pair(named["kernel_size"])
    settings = zip(
        state.spans,
        kernel,
        _pair(named.get("stride") or kernel),
        _pair(named.get("padding", 0)),
        _pair(named.get("dilation", 1)),
        strict=True,
    )
    return replace(state, spans=tuple(s if isinstance(s, str) else s.widened(*window) for s, *window in settings))


def _adaptive_pool(_named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    if state.axes != (tensor.ndim - 2, tensor.ndim - 1):
        return _placed(tracked, output)
    sizes = zip(state.spans, tensor.shape[-2:], output.shape[-2:], strict=True)
    return replace(state, spans=tuple(_adapted(*sides) for sides in sizes))


def _adapted(span: Axis, before: int, after: int) -> Axis:
    if after == 1 and before > 1:
        return WHOLE
    if isinstance(span, str) or before % after:
        return span if span == WHOLE else UNKNOWN
    return span.widened(before // after, before // after, 0, 1)


def _reduction(named: dict, tracked: Tracked, output: Tensor) -> State:
    """Sums and means over some axes; also softmax and normalisations, which leave the shape as it is."""
    tensor, state = tracked[0]
    if state.axes is None:
        return _lost(state)
    over = named.get("dim")
    over = range(tensor.ndim) if over is None or over == [] else [over] if isinstance(over, int) else over
    over = {axis % tensor.ndim for axis in over}
    spans = tuple(WHOLE if axis in over else span for axis, span in zip(state.axes, state.spans, strict=True))
    if output.ndim == tensor.ndim:
        return State(state.axes, spans)
    if over & set(state.axes):
        return EVERYTHING if spans == (WHOLE, WHOLE) else LOST
    return State(tuple(axis - sum(other < axis for other in over) for axis in state.axes), spans)


def _layer_norm(named: dict, tracked: Tracked, output: Tensor) -> State:
    count = len(named["normalized_shape"])
    state = tracked[0][1]
    if state.folded and count == 1:  # over the channels at each place
        return state
    if state.axes is None and output.ndim == 4 and count == 1:  # wherever rows and columns were, now channels are last
        return replace(LOST, axes=(1, 2))
    return _reduction({"dim": list(range(-count, 0))}, tracked[:1], tracked[0][0])


def _batch_norm(named: dict, tracked: Tracked, output: Tensor) -> State:
    if named.get("training"):  # instance normalisation, written as a batch norm over each picture
        return State(tracked[0][1].axes, (WHOLE, WHOLE))
    return _pointwise(named, tracked, output)


def _cat(named: dict, tracked: Tracked, output: Tensor) -> State:
    state = _joined(state for _tensor, state in tracked)
    along = named.get("dim", 0) % output.ndim
    return LOST if state.axes is None or along in state.axes else state


def _pad(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    if state.axes is None:
        return LOST
    amounts = named.get("pad") or named["padding"]
    before = {tensor.ndim - 1 - index: amount for index, amount in enumerate(amounts[::2])}
    return replace(state, spans=_moved(state, {axis: -before.get(axis, 0) for axis in state.axes}))


def _slice(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    axis = named.get("dim", 0) % tensor.ndim
    if state.axes is None or axis not in state.axes:
        return state if output.shape == tensor.shape else replace(state, folded=None)
    start = min(max(_index(named.get("start") or 0, tensor.shape[axis]), 0), tensor.shape[axis])
    spans, step = _moved(state, {axis: start}), named.get("step", 1)
    return replace(
        state,
        spans=tuple(
            replace(span, stride=span.stride * step) if own == axis and isinstance(span, Span) else span
            for own, span in zip(state.axes, spans, strict=True)
        ),
    )


def _moved(state: State, by: dict[int, int]) -> tuple[Axis, Axis]:
    return tuple(
        span.shifted(by.get(axis, 0)) if isinstance(span, Span) else span
        for axis, span in zip(state.axes, state.spans, strict=True)
    )


def _view(_named: dict, tracked: Tracked, output: Tensor) -> State:
    """Rows and columns stay such if as many elements come before them as before; also where several become one row."""
    tensor, state = tracked[0]
    axes, before = state.axes, tuple(tensor.shape)
    if axes is None and state.folded:
        before = state.folded
        axes = (len(before) - 3, len(before) - 2)
    if axes is None:
        return state
    places: list[int | None] = []
    for axis in axes:
        places.append(_same_place(axis, before, output.shape, places))
    if None not in places:
        merged = (before[axis] // output.shape[place] for axis, place in zip(axes, places, strict=True))
        spans = zip(state.spans, merged, strict=True)
        return State(tuple(places), tuple(s if isinstance(s, str) else s.widened(k, k, 0, 1) for s, k in spans))
    if axes == (len(before) - 3, len(before) - 2):  # channels last: pictures, rows and columns become one long axis
        return State(None, state.spans, before)
    return _lost(state)


def _same_place(axis: int, before: Sequence[int], after: Sequence[int], taken: Sequence[int | None]) -> int | None:
    """Where an axis is found again: whole, or its first part when it was split, as when patches are merged."""
    count, size = math.prod(before[:axis]), before[axis]
    order = [*range(1, len(after)), 0]  # where a map has one row only, that is not the axis of pictures
    starts = [at for at in order if math.prod(after[:at]) == count and at not in taken]
    whole = (at for at in starts if after[at] == size)
    parts = (at for at in starts if 1 < after[at] < size and math.prod(after[at : at + 2]) == size)
    return next(whole, next(parts, None))


def _linear(named: dict, tracked: Tracked, output: Tensor) -> State:
    """A matrix product on channels, row after row."""
    tensor, state = tracked[0]
    left = named.get("mat1", named.get("self"))
    if len(tracked) > 1 or tensor is not left or not state.folded:
        return LOST
    return state


def _permute(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    if state.axes is None:
        return LOST
    if "dims" in named:
        order = [axis % tensor.ndim for axis in named["dims"]]
    else:
        order = list(range(tensor.ndim))
        one, other = named["dim0"] % tensor.ndim, named["dim1"] % tensor.ndim
        order[one], order[other] = other, one
    return replace(state, axes=tuple(order.index(axis) for axis in state.axes))


def _select(named: dict, tracked: Tracked, output: Tensor) -> State:
    """One place along an axis, which is gone afterwards; `unbind` gives them all."""
    tensor, state = tracked[0]
    gone = named.get("dim", 0) % tensor.ndim
    if state.axes is None or gone in state.axes:
        return LOST
    return replace(state, axes=tuple(axis - (gone < axis) for axis in state.axes))


def _unsqueeze(named: dict, tracked: Tracked, output: Tensor) -> State:
    _tensor, state = tracked[0]
    new = named["dim"] % output.ndim
    return state if state.axes is None else replace(state, axes=tuple(axis + (new <= axis) for axis in state.axes))


def _split(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    return LOST if state.axes is None or named.get("dim", 0) % tensor.ndim in state.axes else state


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values


def _index(index: int, size: int) -> int:
    return index + size if index < 0 else index


def _named(function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> dict[str, Any]:
    names = [argument.name for argument in function._schema.arguments]
    return {**dict(zip(names, arguments, strict=False)), **options}


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


_RULES = {
    operation: rule
    for rule, names in {
        _pointwise: "clone alias detach _to_copy copy_ copy lift_fresh expand native_dropout "
        "hardswish hardswish_ log_sigmoid_forward _prelu_kernel rrelu_with_noise",
        _window: "convolution max_pool2d_with_indices max_pool2d avg_pool2d",
        _resized: "upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d "
        "_upsample_bilinear2d_aa _upsample_bicubic2d_aa pixel_shuffle",
        _adaptive_pool: "_adaptive_avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d",
        _reduction: "mean sum amax amin max min var std var_mean linalg_vector_norm logsumexp _softmax _log_softmax",
        _layer_norm: "native_layer_norm",
        _batch_norm: "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
        "_batch_norm_impl_index cudnn_batch_norm miopen_batch_norm",
        _cat: "cat",
        _pad: "constant_pad_nd reflection_pad2d replication_pad2d",
        _slice: "slice",
        _view: "view _unsafe_view reshape _reshape_alias squeeze",
        _linear: "mm addmm",
        _permute: "permute transpose t",
        _select: "select unbind",
        _unsqueeze: "unsqueeze",
        _split: "split split_with_sizes chunk",
    }.items()
    for name in names.split()
    for operation in [getattr(aten, name, None)]
    if operation is not None
}
