"""The layer to take for Grad-CAM, from one forward pass."""

from typing import NamedTuple

from torch import Tensor, nn

from ..errors import CnnvizError
from ..i18n import _
from ..networks import Asked, Network
from .observing import Observation, observe
from .receptive import Node
from .spans import State
from .tree import LAST_TWO, channels_first_axes


class Proposal(NamedTuple):
    """A layer for Grad-CAM and the reason for it, in a sentence."""

    name: str
    reason: str


def propose_layer(model: Network | nn.Module, inputs: Tensor) -> Proposal:
    """The layer to take for Grad-CAM: (name, reason), the reason in a sentence.

    It is the last layer whose maps have spatial extent (more than one row and column), which everything passes on its
    way to the scores, and behind which there is only pooling, not the map of the classes themselves. So neither a
    1×1 convolution on pooled maps, nor the gate of a squeeze-and-excitation block, nor one branch of several is taken.
    A container is proposed where no single layer puts out the whole map.

    Ramprasaath R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
    ICCV 2017. Raises `CnnvizError` for a network without such maps.
    """
    ask = Asked(model)
    seen = observe(ask, ask.matched(inputs), trace=True)
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
        classes = node.shape[channels_first_axes(4, node.state.axes or LAST_TWO)[1]]
        if number == end or seen.nodes[end].shape == (node.shape[0], classes):
            continue  # a map of the classes themselves, as SqueezeNet and networks that segment have
        return _proposal(seen, putting_out[number], node)
    message = _("No layer of this network has maps with spatial extent through which everything passes.")
    raise CnnvizError(message)


def _proposal(seen: Observation, parts: list[nn.Module], node: Node) -> Proposal:
    """The innermost of the parts that put out this map, preferring one that runs but once."""
    best = max(parts, key=lambda part: (len(seen.shapes[part]) == 1, seen.names[part].count(".")))
    _count, channels, height, width = (node.shape[axis] for axis in channels_first_axes(4, node.state.axes or LAST_TWO))
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
