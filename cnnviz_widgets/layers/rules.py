"""How each operation changes what is seen of the picture: one rule for each kind of operation."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .regrouping import canonical, groups_of, is_plain, regrouped, settled
from .spans import COLUMNS, EVERYTHING, LOST, ROWS, UNKNOWN, WHOLE, Axis, Span, State

aten = torch.ops.aten

# Each rule takes the operation's arguments by name, the tracked inputs with their states, and one of its outputs.
Tracked = list[tuple[Tensor, State]]


def pointwise(_named: dict, tracked: Tracked, output: Tensor) -> State:
    """Each element comes from those at its own place; what is broadcast along rows or columns is seen by all."""
    aligned = []
    for tensor, state in tracked:
        if state.axes is None:
            whole_shape = state.folded is None or tensor.shape == output.shape
            aligned.append(state if whole_shape else _lost(state))
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
    folded = {canonical(state.folded): state.folded for state in states if state.folded}
    if any(state.axes != placed[0].axes for state in placed) or (not placed and len(folded) > 1):
        return LOST
    spans = tuple(_union([state.spans[axis] for state in states]) for axis in (0, 1))
    return State(placed[0].axes, spans) if placed else State(None, spans, next(iter(folded.values()), None))


def _union(spans: list[Axis]) -> Axis:
    if WHOLE in spans or UNKNOWN in spans:
        return WHOLE if WHOLE in spans else UNKNOWN
    if len({(span.stride, span.repeat) for span in spans}) > 1:
        return UNKNOWN
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    return replace(spans[0], low=low, high=high, cut=any(span.cut for span in spans))


def _placed(tracked: Tracked, output: Tensor) -> State:
    """Which pixels are seen cannot be told, but the operation is one of those that have rows and columns last."""
    return replace(LOST, axes=(2, 3)) if output.ndim == 4 else LOST


def _resized(_named: dict, tracked: Tracked, output: Tensor) -> State:
    return _placed(tracked, output)


def _lost(state: State) -> State:
    return settled(None, state.spans)


def whole_or(state: State, sources: Iterable[State]) -> State:
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
    spans = tuple(s if isinstance(s, str) else s.widened(*window) for s, *window in settings)
    if "weight" in named and named["groups"] == 1:
        return replace(state, spans=spans)
    cut = (isinstance(span, Span) and span.cut for span in state.spans)
    pairs = zip(spans, cut, strict=True)
    return replace(state, spans=tuple(replace(s, cut=True) if c and isinstance(s, Span) else s for s, c in pairs))


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
    if state.folded and count == 1 and is_plain(state.folded[-1]):  # over the channels at each place
        return state
    if state.axes is None and output.ndim == 4 and count == 1:  # wherever rows and columns were, now channels are last
        return replace(LOST, axes=(1, 2))
    return _reduction({"dim": list(range(-count, 0))}, tracked[:1], tracked[0][0])


def _batch_norm(named: dict, tracked: Tracked, output: Tensor) -> State:
    if named.get("training"):  # instance normalisation, written as a batch norm over each picture
        return State(tracked[0][1].axes, (WHOLE, WHOLE))
    return pointwise(named, tracked, output)


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
    if state.axes is None:
        return state if output.shape == tensor.shape else _lost(state)
    if axis not in state.axes:
        return state
    start = min(max(_index(named.get("start") or 0, tensor.shape[axis]), 0), tensor.shape[axis])
    spans, step = _moved(state, {axis: start}), named.get("step", 1)
    return replace(
        state,
        spans=tuple(
            span.every(step) if own == axis and isinstance(span, Span) else span
            for own, span in zip(state.axes, spans, strict=True)
        ),
    )


def _moved(state: State, by: dict[int, int]) -> tuple[Axis, Axis]:
    return tuple(
        span.shifted(by.get(axis, 0)) if isinstance(span, Span) else span
        for axis, span in zip(state.axes, state.spans, strict=True)
    )


def _view(_named: dict, tracked: Tracked, output: Tensor) -> State:
    """The same elements in the same order, in axes that are other parts of it."""
    tensor, state = tracked[0]
    groups = groups_of(tensor, state)
    return state if groups is None else regrouped(groups, state.spans, output.shape)


def _matrix_product(named: dict, tracked: Tracked, output: Tensor) -> State:
    """A sum over one axis, as a 1×1 convolution is over channels: rows and columns in other axes stay."""
    tensor, state = tracked[0]
    groups = groups_of(tensor, state)
    if len(tracked) > 1 or groups is None:
        return LOST
    first = named.get("mat1", named.get("batch1", named.get("self")))
    if tensor is not first and tensor is not named.get("mat2", named.get("batch2")):
        return LOST
    summed, kept = (-1, -2) if tensor is first else (-2, -1)
    along = {which for _size, which in groups[summed] if which is not None}
    if along == {ROWS, COLUMNS}:
        return EVERYTHING
    if along:
        return LOST
    new = ((output.shape[summed], None),)
    sides = (groups[kept], new) if tensor is first else (new, groups[kept])
    spans = state.spans
    if all(which is not None or size == 1 for parts in (*groups[:-2], groups[kept]) for size, which in parts):
        spans = tuple(replace(span, cut=False) if isinstance(span, Span) else span for span in spans)
    return settled((*groups[:-2], *sides), spans)


def _unfold_windows(named: dict, tracked: Tracked, output: Tensor) -> State:
    """Windows of the map, each a column of a matrix; all places in one long axis."""
    tensor, state = tracked[0]
    if state.axes != (tensor.ndim - 2, tensor.ndim - 1):
        return LOST
    settings = [_pair(named[name]) for name in ("kernel_size", "stride", "padding", "dilation")]
    places, spans = [], []
    for axis, (kernel, stride, padding, dilation) in enumerate(zip(*settings, strict=True)):
        places.append(((tensor.shape[axis - 2] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1, axis))
        span = state.spans[axis]
        wide = span if isinstance(span, str) else span.widened(kernel, stride, padding, dilation)
        spans.append(replace(wide, cut=True) if isinstance(wide, Span) and kernel > 1 else wide)
    outer = tuple(((size, None),) for size in output.shape[:-1])
    return settled((*outer, tuple(places)), tuple(spans))


def _unfold_axis(named: dict, tracked: Tracked, output: Tensor) -> State:
    """Windows along one axis; what is in a window comes last."""
    tensor, state = tracked[0]
    along = named["dimension"] % tensor.ndim
    if state.axes is None or along not in state.axes:
        return state if state.axes else LOST
    spans = list(state.spans)
    own = state.axes.index(along)
    if isinstance(spans[own], Span):
        wide = spans[own].widened(named["size"], named["step"], 0, 1)
        spans[own] = replace(wide, cut=True) if isinstance(wide, Span) and named["size"] > 1 else wide
    return replace(state, spans=tuple(spans))


def _unshuffle(named: dict, tracked: Tracked, output: Tensor) -> State:
    """The pixels of each square become channels."""
    tensor, state = tracked[0]
    if state.axes != (tensor.ndim - 2, tensor.ndim - 1):
        return _placed(tracked, output)
    spans = (s if isinstance(s, str) else s.gathered(named["downscale_factor"]) for s in state.spans)
    return replace(state, spans=tuple(spans))


def _shuffle(named: dict, tracked: Tracked, output: Tensor) -> State:
    """Channels become pixels, which see the same where channels were mixed before."""
    if any(isinstance(span, Span) and span.cut for span in tracked[0][1].spans):
        return _placed(tracked, output)
    return _enlarged(named, tracked, output)


def _enlarged(_named: dict, tracked: Tracked, output: Tensor) -> State:
    """Each pixel a whole number of times, one after the other."""
    tensor, state = tracked[0]
    times = [after / before for before, after in zip(tensor.shape[-2:], output.shape[-2:], strict=True)]
    if state.axes != (tensor.ndim - 2, tensor.ndim - 1) or any(one != int(one) for one in times):
        return _placed(tracked, output)
    spans = zip(state.spans, times, strict=True)
    return replace(state, spans=tuple(s if isinstance(s, str) else s.repeated(int(n)) for s, n in spans))


def _permute(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    groups = groups_of(tensor, state)
    if groups is None:
        return LOST
    if "dims" in named:
        order = [axis % tensor.ndim for axis in named["dims"]]
    else:
        order = list(range(tensor.ndim))
        one, other = named.get("dim0", -1) % tensor.ndim, named.get("dim1", 0) % tensor.ndim
        order[one], order[other] = other, one
    return settled(tuple(groups[axis] for axis in order), state.spans)


def _select(named: dict, tracked: Tracked, output: Tensor) -> State:
    """One place along an axis, which is gone afterwards; `unbind` gives them all."""
    tensor, state = tracked[0]
    gone = named.get("dim", 0) % tensor.ndim
    if state.axes is None or gone in state.axes:
        return LOST
    return replace(state, axes=tuple(axis - (gone < axis) for axis in state.axes))


def _unsqueeze(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    groups, new = groups_of(tensor, state), named["dim"] % output.ndim
    return state if groups is None else settled((*groups[:new], ((1, None),), *groups[new:]), state.spans)


def _split(named: dict, tracked: Tracked, output: Tensor) -> State:
    tensor, state = tracked[0]
    return LOST if state.axes is None or named.get("dim", 0) % tensor.ndim in state.axes else state


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values


def _index(index: int, size: int) -> int:
    return index + size if index < 0 else index


RULES = {
    operation: rule
    for rule, names in {
        pointwise: "clone alias detach _to_copy copy_ copy lift_fresh expand native_dropout channel_shuffle "
        "hardswish hardswish_ log_sigmoid_forward _prelu_kernel rrelu_with_noise",
        _window: "convolution max_pool2d_with_indices max_pool2d avg_pool2d",
        _resized: "upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa",
        _enlarged: "upsample_nearest2d _upsample_nearest_exact2d",
        _shuffle: "pixel_shuffle",
        _unshuffle: "pixel_unshuffle",
        _unfold_windows: "im2col",
        _unfold_axis: "unfold",
        _adaptive_pool: "_adaptive_avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d",
        _reduction: "mean sum amax amin max min var std var_mean linalg_vector_norm logsumexp _softmax _log_softmax",
        _layer_norm: "native_layer_norm",
        _batch_norm: "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
        "_batch_norm_impl_index cudnn_batch_norm miopen_batch_norm",
        _cat: "cat",
        _pad: "constant_pad_nd reflection_pad2d replication_pad2d",
        _slice: "slice",
        _view: "view _unsafe_view reshape _reshape_alias squeeze",
        _matrix_product: "mm addmm bmm baddbmm",
        _permute: "permute transpose t",
        _select: "select unbind",
        _unsqueeze: "unsqueeze",
        _split: "split split_with_sizes chunk",
    }.items()
    for name in names.split()
    for operation in [getattr(aten, name, None)]
    if operation is not None
}
