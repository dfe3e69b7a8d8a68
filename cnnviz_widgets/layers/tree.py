"""What is inside any `nn.Module`: its layers, in the order they run, and what they put out."""

from collections.abc import Container
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ..networks import Asked, Network
from .observing import observe
from .spans import ReceptiveField

LAST_TWO = (2, 3)


@dataclass(frozen=True)
class LayerInfo:
    """One layer: its dotted name, its kind (class), the shape it put out, and how many parameters it has.

    `calls` is how often it ran in one pass, and the shape is that of the latest, as `record` has it; `leaf` tells a
    layer that computes from a container of layers. `trainable` counts the parameters with `requires_grad`,
    `multiply_adds` the multiplications (each with its addition) of convolutions and matrix products in all its calls
    together. `receptive_field` is what its units see of the picture, where that was asked for and can be told.

    A parameter that an earlier layer has as well counts for that one only; `shares_with` names such layers.

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
    shares_with: tuple[str, ...] = ()

    @property
    def channels_first(self) -> tuple[int, ...]:
        """The shape that it put out, with the channels in front of rows and columns."""
        return tuple(self.output_shape[axis] for axis in channels_first_axes(len(self.output_shape), self.axes))


def channels_first(output: Tensor, axes: tuple[int, int] = LAST_TWO) -> Tensor:
    """What a layer put out with its channels in front: [N, K, h, w] if it has four axes, `axes` rows and columns."""
    return output.permute(channels_first_axes(output.ndim, axes))


def channels_first_axes(count: int, axes: tuple[int, int]) -> tuple[int, ...]:
    """The order of `count` axes in which the channels come first, if rows and columns are `axes`."""
    return (0, 6 - sum(axes), *axes) if count == 4 and 0 not in axes else tuple(range(count))


def layer_tree(
    model: Network | nn.Module, inputs: Tensor, *, containers: bool = False, receptive_fields: bool = False
) -> list[LayerInfo]:
    """The layers of `model` that put out a tensor for `inputs` [N, C, H, W], in the order in which they finished.

    Found by one real forward pass in eval mode without gradients, so a layer that is never called is not listed, and
    one that is called several times is listed once. A layer is a module none of whose submodules ran, or one with
    parameters of its own, which is listed without those of its parts. A parameter that several layers share counts for
    the first of them: parameters of all layers sum up to the network's, but for those of modules that put out no tensor
    and of the model itself. With `containers=True` the modules made of layers (a
    block, a stage) are listed too, after their parts, with all that is in them, marked by `leaf=False`; the model
    itself is not. Nothing is kept but shapes, so the meta device works as well.

    With `receptive_fields=True` each layer says what its units see of the picture. Layers where this cannot be read off
    the operations (shifted windows, transposed convolutions) say None, and `receptive_field` probes them one by one.
    """
    ask = Asked(model)
    inputs = ask.matched(inputs)
    seen = observe(ask, inputs, trace=receptive_fields or inputs.ndim == 4)
    owners: dict[nn.Parameter, str] = {}  # the layer that a parameter counts for
    layers = []
    for part, shapes in seen.shapes.items():
        name, leaf = seen.names[part], _is_leaf(part, seen.multiply_adds)
        own, shares_with = _own_parameters(part, seen.shapes, leaf), ()
        if leaf:
            shares_with = tuple(dict.fromkeys(owners[parameter] for parameter in own if parameter in owners))
            own = [parameter for parameter in own if parameter not in owners]
            owners.update(dict.fromkeys(own, name))
        layers.append(
            LayerInfo(
                name=name,
                kind=type(part).__name__,
                output_shape=shapes[-1],
                parameters=sum(parameter.numel() for parameter in own),
                calls=len(shapes),
                leaf=leaf,
                trainable=sum(parameter.numel() for parameter in own if parameter.requires_grad),
                multiply_adds=(seen.own_multiply_adds if leaf else seen.multiply_adds)[part],
                receptive_field=seen.field(part) if receptive_fields else None,
                axes=seen.known_axes(part) or LAST_TWO,
                shares_with=shares_with,
            )
        )
    return [layer for layer in layers if layer.leaf or containers]


def map_layers(model: Network | nn.Module, inputs: Tensor) -> tuple[str, ...]:
    """The layers (blocks too) that put out maps for `inputs` [N, C, H, W]: more than one place in each channel."""
    layers = layer_tree(model, inputs, containers=True)
    return tuple(info.name for info in layers if has_maps(info.channels_first) and info.output_shape[0] == len(inputs))


def has_maps(shape: tuple[int, ...]) -> bool:
    """True if an output of this shape is made of maps: [N, K, h, w] with more than one place."""
    return len(shape) == 4 and shape[1] > 0 and shape[2] * shape[3] > 1


def _own_parameters(part: nn.Module, listed: Container[nn.Module], leaf: bool) -> list[nn.Parameter]:
    """All parameters of a container; of a layer, those that none of its `listed` parts has."""
    parts = [inner for inner in part.modules() if inner is not part and inner in listed] if leaf else []
    others = {id(parameter) for inner in parts for parameter in inner.parameters()}
    return [parameter for parameter in part.parameters() if id(parameter) not in others]


def _is_leaf(part: nn.Module, ran: Container[nn.Module]) -> bool:
    """Whether a module computes by itself: it has parameters of its own, or nothing inside it `ran`."""
    inner = any(one in ran for one in part.modules() if one is not part) and not is_parametrized(part)
    return not inner or next(part.parameters(recurse=False), None) is not None
