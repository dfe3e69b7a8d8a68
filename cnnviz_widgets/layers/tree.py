"""What is inside any `nn.Module`: its layers, in the order they run, and what they put out.

Hooks live only inside a `with` and are gone after an error as well. They see only calls made by the thread that
entered the `with`, so that a cell and a panel can use one network at the same time.
"""

import re
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..errors import CnnvizError, UnknownLayer
from ..i18n import _
from ..networks import Network, as_module, evaluating
from .receptive import Node, ReceptiveField, State, Trace, aten, field

LAST_TWO = (2, 3)


@dataclass(frozen=True)
class LayerInfo:
    """One layer: its dotted name, its kind (class), the shape it put out, and how many parameters it has.

    `calls` is how often it ran in one pass, and the shape is that of the latest, as `record` has it; `leaf` tells a
    layer that computes from a container of layers. `trainable` counts the parameters with `requires_grad`,
    `multiply_adds` the multiplications (each with its addition) of convolutions and matrix products in all its calls
    together. `receptive_field` is what its units see of the picture, where that was asked for and can be told.

    `axes` are those of the output's four that are the picture's rows and columns: (1, 2) inside the blocks of ConvNeXt
    and Swin, which keep channels last. Where the operations do not tell, they are taken to be (2, 3).
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    calls: int = 1
    leaf: bool = True
    trainable: int = 0
    multiply_adds: int = 0
    receptive_field: ReceptiveField | None = None
    axes: tuple[int, int] = LAST_TWO

    @property
    def channels_first(self) -> tuple[int, ...]:
        """The shape that it put out, with the channels in front of rows and columns."""
        return tuple(self.output_shape[axis] for axis in _channels_first(len(self.output_shape), self.axes))


def channels_first(output: Tensor, axes: tuple[int, int] = LAST_TWO) -> Tensor:
    """What a layer put out with its channels in front: [N, K, h, w] if it has four axes, `axes` rows and columns."""
    return output.permute(_channels_first(output.ndim, axes))


def _channels_first(count: int, axes: tuple[int, int]) -> tuple[int, ...]:
    return (0, 6 - sum(axes), *axes) if count == 4 and 0 not in axes else tuple(range(count))


class Proposal(NamedTuple):
    """A layer for Grad-CAM and the reason for it, in a sentence."""

    name: str
    reason: str


def layer_tree(
    model: Network | nn.Module, inputs: Tensor, *, containers: bool = False, receptive_fields: bool = False
) -> list[LayerInfo]:
    """The layers of `model` that put out a tensor for `inputs` [N, C, H, W], in the order in which they finished.

    Found by one real forward pass in eval mode without gradients, so a layer that is never called is not listed, and
    one that is called several times is listed once. A layer is a module without submodules, or one with parameters of
    its own, which is listed without those of its parts: parameters of all layers sum up to the network's, but for those
    of modules that put out no tensor and of the model itself. With `containers=True` the modules made of layers (a
    block, a stage) are listed too, after their parts, with all that is in them, marked by `leaf=False`; the model
    itself is not. Nothing is kept but shapes, so the meta device works as well.

    With `receptive_fields=True` each layer says what its units see of the picture. Layers where this cannot be read off
    the operations (shifted windows, transposed convolutions) say None, and `receptive_field` probes them one by one.
    """
    module = as_module(model)
    seen = _observe(module, inputs, trace=receptive_fields or inputs.ndim == 4)
    layers = [
        LayerInfo(
            name=seen.names[part],
            kind=type(part).__name__,
            output_shape=shapes[-1],
            parameters=sum(parameter.numel() for parameter in _own_parameters(part, seen.shapes)),
            calls=len(shapes),
            leaf=_is_leaf(part),
            trainable=sum(p.numel() for p in _own_parameters(part, seen.shapes) if p.requires_grad),
            multiply_adds=(seen.own_multiply_adds if _is_leaf(part) else seen.multiply_adds)[part],
            receptive_field=seen.field(part) if receptive_fields else None,
            axes=seen.known_axes(part) or LAST_TWO,
        )
        for part, shapes in seen.shapes.items()
    ]
    return [layer for layer in layers if layer.leaf or containers]


def receptive_field(model: Network | nn.Module, inputs: Tensor, name: str) -> ReceptiveField:
    """What the units of the layer `name` (any submodule that puts out a tensor) see of the picture.

    Worked out from every operation on the way from `inputs` [N, C, H, W] to the layer, branches and functional code
    included, which is exact but for the padding at the picture's border: `ReceptiveField.box` gives each unit's pixels.
    Where an operation cannot be read so, the unit in the middle of the map is probed instead, by planting NaN in rows
    and columns of the first picture, which takes some tens of forward passes; the others are taken to be alike, and
    the stride to be the picture's size over the map's.

    Raises `UnknownLayer`, which names the nearest layers, and `CnnvizError` for a layer that did not run or put out no
    tensor, or that could be known by probing only while the model is on the meta device.
    """
    module = as_module(model)
    part = find_layer(module, name)
    seen = _observe(module, inputs, trace=True, wanted=part)
    if part not in seen.shapes:
        message = _('"{name}" put out no tensor when the network ran, so there is nothing for it to see.')
        raise CnnvizError(message.format(name=name))
    if seen.shapes[part][-1][:1] != inputs.shape[:1]:
        message = _('"{name}" puts out {shape} for a batch of {count}, so its units belong to no picture.')
        raise CnnvizError(message.format(name=name, shape=list(seen.shapes[part][-1]), count=len(inputs)))
    known = seen.known_axes(part)
    return seen.field(part) or _probed(module, inputs, name, calls=len(seen.shapes[part]), known=known)


def propose_layer(model: Network | nn.Module, inputs: Tensor) -> Proposal:
    """The layer to take for Grad-CAM: (name, reason), the reason in a sentence.

    It is the last layer whose maps have spatial extent (more than one row and column), which everything passes on its
    way to the scores, and behind which there is only pooling, not the map of the classes themselves. So neither a
    1×1 convolution on pooled maps, nor the gate of a squeeze-and-excitation block, nor one branch of several is taken.
    A container is proposed where no single layer puts out the whole map.

    Ramprasaath R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
    ICCV 2017. Raises `CnnvizError` for a network without such maps.
    """
    module = as_module(model)
    seen = _observe(module, inputs, trace=True)
    end = seen.end
    if end is None:
        message = _("The network puts out no tensor of scores, so no layer can be proposed: choose one yourself.")
        raise CnnvizError(message)
    candidates = [number for number in seen.trace.passes_all(end) if number]
    putting_out: dict[int, list[nn.Module]] = {}
    for part, number in seen.numbers.items():
        putting_out.setdefault(number, []).append(part)
    for number in candidates:
        node = seen.nodes[number]
        if number not in putting_out or not _is_map(node.shape, node.state) or "pool" in node.operation:
            continue
        classes = node.shape[_channels_first(4, node.state.axes or LAST_TWO)[1]]
        if number == end or seen.nodes[end].shape == (node.shape[0], classes):
            continue  # a map of the classes themselves, as SqueezeNet and networks that segment have
        return _proposal(seen, putting_out[number], node)
    message = _("No layer of this network has maps with spatial extent through which everything passes.")
    raise CnnvizError(message)


def _proposal(seen: "_Observation", parts: list[nn.Module], node: Node) -> Proposal:
    """The innermost of the parts that put out this map, preferring one that runs but once."""
    best = max(parts, key=lambda part: (len(seen.shapes[part]) == 1, seen.names[part].count(".")))
    _count, channels, height, width = (node.shape[axis] for axis in _channels_first(4, node.state.axes or LAST_TWO))
    name = seen.names[best]
    reason = _(
        "{name} puts out the last maps with spatial extent, {channels} of {height}×{width}, that everything passes on "
        "its way to the scores."
    ).format(name=name, channels=channels, height=height, width=width)
    if seen.numbers[best] < seen.end / 2:
        reason += " " + _("Most of the network comes behind it, though, and has no maps, which Grad-CAM was made for.")
    return Proposal(name, reason)


def _is_map(shape: tuple[int, ...], state: State) -> bool:
    height, width = (shape[axis] for axis in state.axes or LAST_TWO) if len(shape) == 4 else (1, 1)
    return height > 1 and width > 1


@dataclass
class _Observation:
    """What one forward pass showed of each module that put out a tensor."""

    names: dict[nn.Module, str]
    shapes: dict[nn.Module, list[tuple[int, ...]]]
    multiply_adds: dict[nn.Module, int]
    own_multiply_adds: dict[nn.Module, int]
    numbers: dict[nn.Module, int]
    trace: Trace | None
    picture: tuple[int, int]
    end: int | None = None

    @property
    def nodes(self) -> list[Node]:
        return self.trace.nodes

    def field(self, part: nn.Module) -> ReceptiveField | None:
        """The receptive field in the part's latest output."""
        if part not in self.numbers:
            return None
        node = self.nodes[self.numbers[part]]
        return field(node.state, node.shape, self.picture)

    def known_axes(self, part: nn.Module) -> tuple[int, int] | None:
        """Which axes of the part's latest output are rows and columns, where the operations tell."""
        return self.nodes[self.numbers[part]].state.axes if part in self.numbers else None


def _observe(module: nn.Module, inputs: Tensor, trace: bool, wanted: nn.Module | None = None) -> _Observation:
    """Run `module` once in eval mode without gradients and note what each part put out, and at what cost.

    What fails behind the part that is `wanted` does not matter: it may not take a picture of this size.
    """
    if trace and inputs.ndim != 4:
        message = _("Pictures [N, C, H, W] are needed to follow what layers see, not a tensor of shape {shape}.")
        raise CnnvizError(message.format(shape=list(inputs.shape)))
    names = _layers_of(module)
    seen = _Observation(names, {}, defaultdict(int), defaultdict(int), {}, None, tuple(inputs.shape[-2:]))
    counter = _MultiplyAdds()
    begun, by_parts = [], [0]  # of the modules that are running: the count when they began, and what their parts took

    def note(part: nn.Module, _arguments: Any, output: Any) -> None:
        spent, parts = counter.total - begun.pop(), by_parts.pop()
        by_parts[-1] += spent
        seen.multiply_adds[part] += spent
        seen.own_multiply_adds[part] += spent - parts
        if isinstance(output, Tensor):
            seen.shapes.setdefault(part, []).append(tuple(output.shape))
            number = seen.trace.number(output) if trace else None
            if number is not None:
                seen.numbers[part] = number

    def begin(_part: nn.Module, _arguments: Any) -> None:
        begun.append(counter.total)
        by_parts.append(0)

    with ExitStack() as stack:
        stack.enter_context(_hooked(names, note, begin))
        stack.enter_context(evaluating(module))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(counter)
        if trace:
            seen.trace = stack.enter_context(Trace(inputs))
        try:
            output = run(module, inputs)
        except Exception:
            if wanted not in seen.shapes:
                raise
            return seen
        if trace and isinstance(output, Tensor):
            seen.end = seen.trace.number(output)
    return seen


def _layers_of(module: nn.Module) -> dict[nn.Module, str]:
    """The submodules that are on a picture's way, by name: not those that make weights (as spectral norm does)."""
    aside = {inner for part in module.modules() if isinstance(part, ParametrizationList) for inner in part.modules()}
    named = {part: name for name, part in module.named_modules() if name and part not in aside}
    shown = {part: name for part, name in named.items() if not isinstance(part, torch.jit.ScriptModule)}
    if isinstance(module, torch.jit.ScriptModule) or (named and not shown):
        raise CnnvizError(_COMPILED)
    return shown


_COMPILED = _("What torch.jit has compiled cannot be looked into: give the module that it was made from.")


def run(module: nn.Module, inputs: Tensor) -> Any:
    """`module(inputs)`, where torch's complaint about the commonest mistakes becomes a sentence."""
    try:
        return module(inputs)
    except TypeError as error:
        try:
            signature(module.forward).bind(inputs)
        except TypeError as wrong:
            message = _("{name} cannot run on a picture alone ({reason}): wrap it in a module that gives it the rest.")
            raise CnnvizError(message.format(name=type(module).__name__, reason=wrong)) from error
        raise
    except RuntimeError as error:
        own = next((p for p in module.parameters() if p.is_floating_point()), inputs)
        if (own.device, own.dtype) != (inputs.device, inputs.dtype):
            message = _(
                "The network works on {device} in {dtype}, but the picture is on {other_device} in {other_dtype}; "
                "move it with inputs.to(device, dtype), or let Network.preprocess do it."
            )
            names = {"device": own.device, "dtype": str(own.dtype).removeprefix("torch.")}
            others = {"other_device": inputs.device, "other_dtype": str(inputs.dtype).removeprefix("torch.")}
            raise CnnvizError(message.format(**names, **others)) from error
        channels = re.search(r"to have (\d+) channels, but got (\d+) channels", str(error))
        if channels and int(channels[2]) == inputs.shape[1]:
            message = _(
                "The number of channels that the network takes is {wanted}, that of the picture {given}; "
                "Network(module, mean=…, std=…) makes pictures with a channel for each number in mean and std."
            )
            raise CnnvizError(message.format(wanted=channels[1], given=channels[2])) from error
        if "kernel size can't be greater" in str(error).lower() or "output size is too small" in str(error).lower():
            height, width = inputs.shape[-2:]
            message = _("A picture of {height}×{width} is too small for this network: nothing is left of it.")
            raise CnnvizError(message.format(height=height, width=width)) from error
        raise


class _MultiplyAdds(TorchDispatchMode):
    """Counts the multiply-adds of convolutions and matrix products, wherever they are called from."""

    total = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run the operation and add what it costs; torch's formulas count a multiply-add as two."""
        options = options or {}
        results = function(*arguments, **options)
        formula = flop_registry.get(function.overloadpacket) or _FLOPS.get(function.overloadpacket)
        if formula:
            self.total += formula(*arguments, **options, out_val=results) // 2
        return results


def _self_attention_flops(tokens: Tensor, _key, _value, size: int, *_others: Any, **_options: Any) -> int:
    """Four products of the tokens [N, L, size] with matrices, and two of each token with all of its picture."""
    return 2 * tokens.shape[0] * tokens.shape[1] * (4 * size * size + 2 * tokens.shape[1] * size)


def _recurrent_flops(inputs: Tensor, weights: Tensor, again: Tensor, *_others: Any, **_options: Any) -> int:
    return 2 * inputs.shape[0] * inputs.shape[1] * (weights.numel() + again.numel())


# What torch computes in one operation on the CPU, and its own table of formulas lacks.
_FLOPS = {
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._native_multi_head_attention: _self_attention_flops,
    aten.mkldnn_rnn_layer: _recurrent_flops,
}


def _probed(
    module: nn.Module, inputs: Tensor, name: str, calls: int = 1, known: tuple[int, int] | None = None
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
        output = _output(module, planted, name, calls)[0]
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

        def arrives(begin: int, end: int, side: int = side) -> bool:
            mask = reached(side, begin, end)
            for at in sorted({at for at in axes if at is not None}, reverse=True):
                mask = mask.select(at, mask.shape[at] // 2)
            return bool(mask.any())

        # Bisection: the least end for which NaN in front of it arrives, and the greatest begin.
        stop = 1 + bisect_left(range(1, limit), True, key=lambda end, arrives=arrives: arrives(0, end))
        start = bisect_left(range(1, limit), True, key=lambda n, at=limit, arrives=arrives: arrives(at - n, at)) + 1
        first, last = stop - 1, limit - start
        stride = limit / shape[axis]
        sides.append((last - first + 1, stride, first - stride * (shape[axis] // 2)))
    size, stride, offset = zip(*sides, strict=True)
    return ReceptiveField(size, stride, offset, picture)


def _along(mask: Tensor, axis: int) -> tuple[bool, ...]:
    """Where along `axis` there is anything."""
    return tuple(mask.movedim(axis, 0).flatten(1).any(1).tolist())


class _Reached(Exception):
    """The layer that was waited for has put out what was wanted; the rest of the network need not run."""


def _output(module: nn.Module, inputs: Tensor, name: str, calls: int) -> Tensor:
    """What the layer `name` puts out in its last call of several."""
    outputs: list[Tensor] = []

    def keep(_part: nn.Module, _arguments: Any, output: Tensor) -> None:
        outputs.append(output)
        if len(outputs) == calls:
            raise _Reached

    with _hooked([find_layer(module, name)], keep), evaluating(module), torch.no_grad(), suppress(_Reached):
        module(inputs)
    return outputs[-1]


class Recording(dict[str, Tensor]):
    """What layers put out, by name: `seen[name]` is the tensor of the latest call, `seen.calls[name]` has them all."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Tensor]] = {}

    def add(self, name: str, output: Tensor) -> None:
        """Keep one more output of the layer `name`."""
        self[name] = output
        self.calls.setdefault(name, []).append(output)

    def __missing__(self, name: str) -> Tensor:
        raise UnknownLayer(
            _('Nothing was recorded for "{name}": run the network inside the with; recorded are: {names}.').format(
                name=name, names=", ".join(self) or "–"
            )
        )


@contextmanager
def record(model: Network | nn.Module, names: str | Sequence[str]) -> Iterator[Recording]:
    """Record what the named layers (any submodules, containers too) put out while the model runs inside the `with`.

    ::

        with record(network, ["stem", "block3_1"]) as seen, torch.no_grad():
            network.module(network.preprocess("cat"))
        seen["stem"]                                            # Tensor [1, 32, 112, 112]

    Each output is copied when it appears, so an in-place layer behind it does not change what was recorded. Where
    gradients are on, `torch.autograd.grad(score, seen[name])` gives those at the layer. A layer that runs several
    times, in one pass or in several, leaves its latest output in `seen[name]` and all of them, in order, in
    `seen.calls[name]`. The mode of the model and gradients are the caller's affair: see `evaluating` and
    `torch.no_grad`.

    Raises `UnknownLayer`, which names the nearest layers, before anything runs, and `CnnvizError` from the forward pass
    when a named layer puts out something other than a tensor.
    """
    module = as_module(model)
    wanted: dict[nn.Module, list[str]] = {}
    for name in [names] if isinstance(names, str) else names:
        wanted.setdefault(find_layer(module, name), []).append(name)
    seen = Recording()

    def keep(part: nn.Module, _arguments: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            message = _('"{name}" puts out a {kind}, not a tensor; choose one of the layers inside it.')
            raise CnnvizError(message.format(name=wanted[part][0], kind=type(output).__name__))
        kept = output.clone()
        for name in dict.fromkeys(wanted[part]):
            seen.add(name, kept)
        # With gradients the rest of the network goes on from the kept tensor, so that they can be taken with respect
        # to it; from a copy of it, so that no in-place layer changes what was kept.
        return kept.clone() if kept.requires_grad else None

    with _hooked(wanted, keep):
        yield seen


def find_layer(model: Network | nn.Module, name: str) -> nn.Module:
    """The submodule of this dotted name. Raises `UnknownLayer`, which names the nearest."""
    parts = dict(as_module(model).named_modules(remove_duplicate=False))
    if name and name in parts:
        return parts[name]
    known = [part for part in parts if part]
    below = [part for part in known if name and part.endswith(f".{name}")]
    if str(name) in known:
        raise UnknownLayer(_('Layers go by their names as text: "{name}".').format(name=name))
    near = list(dict.fromkeys([*below, *get_close_matches(str(name), known, n=4, cutoff=0.5)]))[:4]
    message = _('There is no layer "{name}". Did you mean {near}?')
    raise UnknownLayer(message.format(name=name, near=", ".join(near or known[:4])))


def _own_parameters(part: nn.Module, listed: Container[nn.Module]) -> list[nn.Parameter]:
    """All parameters of a container; of a layer, those that none of its `listed` parts has."""
    parts = [inner for inner in part.modules() if inner is not part and inner in listed] if _is_leaf(part) else []
    others = {id(parameter) for inner in parts for parameter in inner.parameters()}
    return [parameter for parameter in part.parameters() if id(parameter) not in others]


def _is_leaf(part: nn.Module) -> bool:
    has_children = next(part.children(), None) is not None and not is_parametrized(part)
    return not has_children or next(part.parameters(recurse=False), None) is not None


@contextmanager
def _hooked(
    parts: Iterable[nn.Module],
    hook: Callable[[nn.Module, Any, Any], Tensor | None],
    before: Callable[[nn.Module, Any], None] | None = None,
) -> Iterator[None]:
    """Call `hook(part, arguments, output)` after each forward of `parts` by this thread, inside the `with`.

    A tensor that the hook returns takes the place of the output. `before(part, arguments)` is called before each.
    """
    owner, parts = threading.get_ident(), list(parts)
    if any(isinstance(part, torch.jit.ScriptModule) for part in parts):
        raise CnnvizError(_COMPILED)

    def mine(part: nn.Module, arguments: Any, output: Any) -> Tensor | None:
        return hook(part, arguments, output) if threading.get_ident() == owner else None

    def ahead(part: nn.Module, arguments: Any) -> None:
        if threading.get_ident() == owner:
            before(part, arguments)

    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.register_forward_hook(mine).remove)
            if before:
                stack.callback(part.register_forward_pre_hook(ahead).remove)
        yield
