"""Which layers of a network are worth showing side by side."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from ..errors import UnknownLayer, WrongSetting
from ..i18n import _
from ..networks import Network, as_module
from .hooks import find_layer
from .tree import LayerInfo, layer_tree


def shown_layers(model: Network | nn.Module, inputs: Tensor) -> list[LayerInfo]:
    """The layers and blocks whose output for one picture is a tensor of channels: `[1, C]` or `[1, C, H, W]`.

    Raises `WrongSetting` where there are none.
    """
    layers = layer_tree(model, inputs, containers=True)
    found = [info for info in layers if len(info.output_shape) in (2, 4) and info.output_shape[0] == 1]
    if not found:
        raise WrongSetting(_("No layer of this network puts out maps [N, C, H, W] or numbers [N, C] for a picture."))
    return found


def spread(module: nn.Module, layers: Sequence[LayerInfo], count: int = 4) -> list[str]:
    """The names of at most `count` of `layers` that are spread over the network, from its largest maps to its smallest.

    Blocks and activation functions are preferred to what is inside them; of each size of map the last, of the largest
    the first.
    """
    maps = [info for info in layers if len(info.output_shape) == 4 and max(info.channels_first[2:]) > 1]
    outer = set(_outer_layers(module))
    ending = [info for info in maps if info.name in outer and _is_block_or_activation(module, info.name)]
    chosen = ending if len(ending) >= count else [info for info in maps if info.leaf] or maps or list(layers)
    sizes: dict[tuple[int, ...], LayerInfo] = {}
    for info in chosen:
        sizes[info.channels_first[2:]] = info
    names = [chosen[0].name, *[info.name for info in list(sizes.values())[1:]]]
    if len(names) < count:
        names = [info.name for info in chosen]
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[place] for place in places]


def chosen_layers(
    model: Network | nn.Module, names: str | Sequence[str] | None, listed: Sequence[LayerInfo]
) -> list[str]:
    """The layers called `names`, or without them those that are spread over the network, if all are among `listed`.

    Raises `UnknownLayer`, which names the nearest.
    """
    if names is None:
        return spread(as_module(model), listed)
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        find_layer(model, name)
        if name not in {info.name for info in listed}:
            message = _('"{name}" puts out no tensor of channels for one picture: choose a layer inside it.')
            raise UnknownLayer(message.format(name=name))
    return names


def _outer_layers(module: nn.Module, prefix: str = "") -> list[str]:
    """Dotted names of the parts that `module` is made of; a block of a kind of its own counts as one."""
    names = []
    for name, part in module.named_children():
        inside = isinstance(part, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
        names += _outer_layers(part, f"{prefix}{name}.") if inside else [prefix + name]
    return names


def _is_block_or_activation(module: nn.Module, name: str) -> bool:
    part = module.get_submodule(name)
    return next(part.children(), None) is not None or type(part).__module__ == "torch.nn.modules.activation"
