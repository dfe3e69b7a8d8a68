"""What every channel of a layer makes of a picture, how strongly it answers, and which kernel it answers with."""

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..layers import LAST_TWO, channels_first, find_layer, layer_tree, record
from ..layers.receptive import Trace
from ..networks import Network, as_module, evaluating
from ..settings import one_of

STRENGTHS = {"mean": _("mean answer"), "peak": _("largest value")}


def feature_maps(
    model: Network | nn.Module,
    layer: str,
    inputs: Tensor,
    *,
    call: int | None = None,
    axes: tuple[int, int] | None = None,
) -> Tensor:
    """The maps that `layer` (a dotted name, containers too) puts out for `inputs` [N, C, H, W]: float32 [N, K, h, w].

    The network runs in eval mode and without gradients. A convolution takes a picture of any size; where what stands
    behind the layer does not, the maps are returned all the same. Of a layer that runs several times in one pass they
    are those of its latest call, as with `record`, or of call number `call`, counted from 0; the network then runs no
    further than that call, which saves time and memory.

    Maps whose channels come last (inside the blocks of ConvNeXt and Swin) are told by following the operations, and are
    turned; where `axes`, those of rows and columns, are known from `layer_tree`, that is left out.

    Raises `UnknownLayer`, which names the nearest; `CnnvizError` when the layer puts out something other than a tensor;
    and `WrongSetting` when it puts out no maps, is not reached, or the picture is too small to reach it.
    """
    module = as_module(model)
    part = find_layer(module, layer)
    inputs = _as_the_module_wants(module, inputs)
    hook = _after(math.inf if call is None else call + 1)
    following = Trace(inputs) if axes is None and inputs.ndim == 4 else nullcontext()
    with (
        record(module, layer) as seen,
        _hooked([part], hook),
        evaluating(module),
        torch.inference_mode(False),  # where operations cannot be followed
        torch.no_grad(),
        following,
    ):
        try:
            module(inputs)
        except _Reached:
            pass
        except CnnvizError:
            raise
        except Exception as error:
            if layer not in seen:
                raise WrongSetting(_does_not_pass(layer, inputs, error)) from error
    calls = seen.calls.get(layer, [])
    if len(calls) <= (call or 0):
        message = _('"{name}" ran {count} times for this picture; there is no call {call}.')
        raise WrongSetting(message.format(name=layer, count=len(calls), call=call or 0))
    maps = calls[-1 if call is None else call]
    if isinstance(following, Trace):
        axes = following.axes(maps)
    return _checked(module, layer, channels_first(maps, axes or LAST_TWO), inputs)


def strength(maps: Tensor, by: str = "mean") -> Tensor:
    """How strongly each of `maps` [K, h, w] answers: [K], never below 0.

    "mean": what lies above zero, averaged over the map; "peak": its largest value, if that is above zero. What lies
    below zero counts for nothing, as it would after a ReLU. Raises `WrongSetting` for any other `by`.
    """
    one_of(_("strength"), by, STRENGTHS)
    positive = maps.clamp(min=0).flatten(1)
    return positive.mean(1) if by == "mean" else positive.amax(1)


def by_strength(maps: Tensor, by: str = "mean") -> Tensor:
    """The numbers of the channels of `maps` [K, h, w], the strongest first and equals in order: int64 [K]."""
    return strength(maps, by).sort(descending=True, stable=True).indices


def strongest_channel(maps: Tensor, by: str = "mean") -> int:
    """The channel of `maps` [K, h, w] that answers most strongly; of equals, the first."""
    return int(by_strength(maps, by)[0])


def silent(maps: Tensor) -> Tensor:
    """True for each of `maps` [K, h, w] that is nowhere above zero: bool [K]."""
    return maps.flatten(1).amax(1) <= 0


def map_layers(model: Network | nn.Module, inputs: Tensor) -> tuple[str, ...]:
    """The layers (blocks too) that put out maps for `inputs` [N, C, H, W]: more than one place in each channel."""
    layers = layer_tree(model, _as_the_module_wants(as_module(model), inputs), containers=True)
    return tuple(info.name for info in layers if has_maps(info.channels_first) and info.output_shape[0] == len(inputs))


def has_maps(shape: tuple[int, ...]) -> bool:
    """True if an output of this shape is made of maps: [N, K, h, w] with more than one place."""
    return len(shape) == 4 and shape[1] > 0 and shape[2] * shape[3] > 1


def kernels_of(model: Network | nn.Module, layer: str, inputs: Tensor) -> tuple[str, Tensor] | None:
    """The convolution that makes the channels of `layer`: its name and its weights [K, C, k, k]; None if there is none.

    It is the layer itself, or the convolution before it if only layers that keep channels apart (norms, activations,
    pooling) lie between them: channel number i is then the answer of filter number i. Found by following the tensors of
    one forward pass for `inputs` [N, C, H, W], so what is added to a shortcut has no kernel of its own.
    """
    module = as_module(model)
    wanted = find_layer(module, layer)
    # The tensors themselves are kept so that no id is given twice, and their versions since `x += y` keeps the id.
    made: dict[int, tuple[Tensor, int, nn.Conv2d | None]] = {}
    entered: dict[nn.Module, nn.Conv2d | None] = {}

    def maker(tensor: object) -> nn.Conv2d | None:
        known, version, conv = made.get(id(tensor), (None, 0, None))
        return conv if known is not None and known._version == version else None

    def enter(part: nn.Module, arguments: tuple) -> None:
        entered[part] = maker(arguments[0]) if arguments else None

    def follow(part: nn.Module, _arguments: tuple, output: object) -> None:
        whole = isinstance(part, (nn.Conv2d, *_CHANNEL_BY_CHANNEL)) or next(part.children(), None) is None
        if whole and isinstance(output, Tensor):
            conv = entered.get(part) if isinstance(part, _CHANNEL_BY_CHANNEL) else None
            made[id(output)] = output, output._version, part if isinstance(part, nn.Conv2d) else conv
        if part is wanted:
            raise _Reached(output)

    inputs = _as_the_module_wants(module, inputs)
    with _hooked(module.modules(), follow, enter), evaluating(module), torch.no_grad():
        try:
            module(inputs)
        except _Reached as reached:
            conv = maker(reached.args[0])
            names = {part: name for name, part in module.named_modules()}
            return None if conv is None else (names[conv], conv.weight.detach().float())
    return None


_CHANNEL_BY_CHANNEL = (
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Sigmoid,
    nn.Tanh,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
)


class _Reached(BaseException):
    """Ends a forward pass once it has gone as far as it is needed; no `except Exception` of a module may keep it."""


@contextmanager
def _hooked(
    parts: Iterable[nn.Module],
    hook: Callable[[nn.Module, tuple, object], None],
    before: Callable[[nn.Module, tuple], None] | None = None,
) -> Iterator[None]:
    """Call `hook(part, arguments, output)` after each forward of `parts` by this thread, inside the `with`.

    `before(part, arguments)` is called in front of it.
    """
    owner = threading.get_ident()

    def mine(call: Callable[..., None]) -> Callable[..., None]:
        return lambda *given: call(*given) if threading.get_ident() == owner else None

    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.register_forward_hook(mine(hook)).remove)
            if before is not None:
                stack.callback(part.register_forward_pre_hook(mine(before)).remove)
        yield


def _after(calls: float) -> Callable[..., None]:
    """A hook that ends the forward pass when it is called for the time number `calls`."""
    count = itertools.count(1)

    def stop(*_arguments: object) -> None:
        if next(count) == calls:
            raise _Reached

    return stop


def _as_the_module_wants(module: nn.Module, inputs: Tensor) -> Tensor:
    """`inputs` on the module's device and in the type of its weights, which may be half precision."""
    like = next((value for value in module.parameters() if value.is_floating_point()), None)
    return inputs if like is None else inputs.to(like.device, like.dtype)


def _checked(module: nn.Module, layer: str, maps: Tensor, inputs: Tensor) -> Tensor:
    if len(maps) != len(inputs):
        message = _('"{name}" puts out {shape} for a batch of {count}: what it says belongs to no picture.')
        raise WrongSetting(message.format(name=layer, shape=list(maps.shape), count=len(inputs)))
    if has_maps(tuple(maps.shape)):
        return maps.dequantize() if maps.is_quantized else maps.float()
    height, width = inputs.shape[-2:]
    if maps.ndim == 4 and maps.numel() == 0:
        message = _('Of a picture of {h} × {w} pixels nothing is left at "{name}"; take a larger one.')
        raise WrongSetting(message.format(h=height, w=width, name=layer))
    shape = " × ".join(map(str, maps.shape[1:]))
    message = _(
        '"{name}" puts out {shape} for a picture of {h} × {w} pixels: no map, since there is one place only{how}.'
    )
    if maps.ndim != 4:
        message = _('"{name}" puts out {shape}, numbers without a place in the picture, and no map{how}.')
    raise WrongSetting(message.format(name=layer, shape=shape, h=height, w=width, how=_instead(module, inputs)))


def _instead(module: nn.Module, inputs: Tensor) -> str:
    """The last layer that has maps, as the end of a sentence."""
    try:
        layers = map_layers(module, inputs)
    except Exception:  # the whole network may refuse what its first part takes
        return ""
    return _('; the last layer with maps is "{name}"').format(name=layers[-1]) if layers else ""


def _does_not_pass(layer: str, inputs: Tensor, error: Exception) -> str:
    height, width = inputs.shape[-2:]
    message = _(
        'A picture of {h} × {w} pixels does not get as far as "{name}"; if it is too small, take a larger one. {why}'
    )
    return message.format(h=height, w=width, name=layer, why=f"({' '.join(str(error).split())[:160]})")
