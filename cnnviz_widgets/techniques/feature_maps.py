"""What every channel of a layer makes of a picture, how strongly it answers, and which kernel it answers with."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..layers import LAST_TWO, Trace, channels_first, find_layer, has_maps, hooked, map_layers, tap
from ..layers.hooks import Reached
from ..networks import Asked, Network, inputs_first
from ..settings import a_tensor, one_of, whole_number
from .targets import asked

STRENGTHS = {"mean": _("mean answer"), "peak": _("largest value")}


def feature_maps(
    model: Network | nn.Module,
    inputs: Tensor,
    layer: str,
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
    ask, (inputs, layer) = asked(model), inputs_first(inputs, layer)
    find_layer(ask.module, layer)
    call = None if call is None else whole_number(_("number of the call"), call, 0)
    inputs = ask.prepared(inputs)
    groups = inputs.split(1 if ask.one_by_one else len(inputs))
    return torch.cat([_maps(ask, layer, group, call, axes) for group in groups])


def _maps(ask: Asked, layer: str, inputs: Tensor, call: int | None, axes: tuple[int, int] | None) -> Tensor:
    following = nullcontext() if axes is not None else Trace(inputs)
    with (
        ask.awake(),
        torch.inference_mode(False),  # where operations cannot be followed
        following,
        tap(ask.module, layer, calls=None if call is None else call + 1) as calls,
    ):
        try:
            ask.output(inputs)
        except CnnvizError as error:
            if not calls:  # what stands behind the layer may take no picture of this size
                raise WrongSetting(_does_not_pass(layer, inputs, error)) from error
    if len(calls) <= (call or 0):
        message = _('"{name}" ran {count} times for this picture; there is no call {call}.')
        raise WrongSetting(message.format(name=layer, count=len(calls), call=call or 0))
    maps = calls[-1 if call is None else call]
    if isinstance(following, Trace):
        axes = following.axes(maps)
    return checked_maps(ask, layer, channels_first(maps, axes or LAST_TWO), inputs)


def strength(maps: Tensor, by: str = "mean") -> Tensor:
    """How strongly each of `maps` [K, h, w] answers: [K], never below 0.

    "mean": what lies above zero, averaged over the map; "peak": its largest value, if that is above zero. What lies
    below zero counts for nothing, as it would after a ReLU. Raises `WrongSetting` for any other `by`.
    """
    one_of(_("strength"), by, STRENGTHS)
    positive = a_tensor(maps).clamp(min=0).flatten(1)
    return positive.mean(1) if by == "mean" else positive.amax(1)


def by_strength(maps: Tensor, by: str = "mean") -> Tensor:
    """The numbers of the channels of `maps` [K, h, w], the strongest first and equals in order: int64 [K]."""
    return strength(maps, by).sort(descending=True, stable=True).indices


def strongest_channel(maps: Tensor, by: str = "mean") -> int:
    """The channel of `maps` [K, h, w] that answers most strongly; of equals, the first."""
    return int(by_strength(maps, by)[0])


def chosen_channels(output: Tensor, count: int, which: str, start: int = 0) -> list[int]:
    """Numbers of at most `count` channels of `[C, H, W]` or `[C]`: those from `start` on, or the strongest in order.

    `which` is "first" or "strongest". A layer that ends before `start` + `count` gives its last ones.
    """
    if which == "strongest":
        return by_strength(output if output.ndim == 3 else output[:, None, None])[:count].tolist()
    first = max(min(start, len(output) - count), 0)
    return list(range(first, min(first + count, len(output))))


def silent(maps: Tensor) -> Tensor:
    """True for each of `maps` [K, h, w] that is nowhere above zero: bool [K]."""
    return maps.flatten(1).amax(1) <= 0


def kernels_of(model: Network | nn.Module, inputs: Tensor, layer: str) -> tuple[str, Tensor] | None:
    """The convolution that makes the channels of `layer`: its name and its weights [K, C, k, k]; None if there is none.

    It is the layer itself, or the convolution before it if only layers that keep channels apart (norms, activations,
    pooling) lie between them: channel number i is then the answer of filter number i. Found by following the tensors of
    one forward pass for `inputs` [N, C, H, W], so what is added to a shortcut has no kernel of its own.
    """
    ask, (inputs, layer) = asked(model), inputs_first(inputs, layer)
    module, inputs = ask.module, ask.prepared(inputs)
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
            raise Reached(output)

    with ask.awake(), hooked(module.modules(), follow, enter), torch.inference_mode(False):
        try:
            ask.output(inputs.clone())  # a tensor made in inference mode has no version
        except Reached as reached:
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


def checked_maps(ask: Asked, layer: str, maps: Tensor, inputs: Tensor) -> Tensor:
    """What `layer` put out for `inputs` [N, C, H, W], channels first, if these are maps: float32 [N, K, h, w].

    Raises `WrongSetting`, which says what was put out instead.
    """
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
    raise WrongSetting(message.format(name=layer, shape=shape, h=height, w=width, how=_instead(ask.module, inputs)))


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
