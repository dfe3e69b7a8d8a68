"""The parts of a unit's card: what can be shown of one channel of a layer, each part a function of the unit."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..i18n import _
from ..networks import Network
from ..techniques.feature_maps import kernels_of
from ..techniques.top_patches import top_patches_steps
from .channel_maps import one_kernel
from .drawing import Drawing, over, plain_map
from .mosaics import patch_mosaic

SIDE, ROOM, KERNEL = 224, 496, 96  # screen pixels of a picture, of a row of patches, and of a kernel
PATCHES, TILE = 10, 96


@dataclass(frozen=True, eq=False)
class Unit:
    """What a card is about: a `channel` of a `layer`, and what it makes of the picture that the network has `seen`.

    `inputs` is the normalised picture [1, C, H, W]; `map` is the channel's map [h, w].
    """

    network: Network
    layer: str
    channel: int
    inputs: Tensor
    seen: np.ndarray
    map: Tensor


@dataclass(frozen=True)
class Part:
    """One part of the card, with a fixed place in one of its rows.

    `draw(unit)` yields drawings that take each other's place, the last one stays; each should take 0.1 s at most.
    A part that has nothing to say of a unit yields none and takes no room.
    """

    name: str
    draw: Callable[[Unit], Iterable[Drawing]]
    row: int = 1


def _picture(unit: Unit) -> Iterator[Drawing]:
    yield over(unit.seen, unit.map.numpy(), _("Where it answers: its map over the picture"), SIDE)


def _map(unit: Unit) -> Iterator[Drawing]:
    rows, columns = unit.map.shape
    caption = _("Its map, {rows} × {columns}").format(rows=rows, columns=columns)
    yield plain_map(unit.map.numpy(), caption, _("answer"), SIDE)


def _kernel(unit: Unit) -> Iterator[Drawing]:
    found = kernels_of(unit.network, unit.inputs, unit.layer)
    if found is None:
        return
    name, weights = found
    channels, height, width = weights.shape[1:]
    caption = _("Its kernel in {name}, {h} × {w} × {c}").format(name=name, h=height, w=width, c=channels)
    if channels != 3:
        caption += _("; red above 0, blue below")
    yield one_kernel(weights, unit.channel, KERNEL, caption)


def _patches(unit: Unit) -> Iterator[Drawing]:
    for step in top_patches_steps(unit.network, unit.layer, unit.channel, count=PATCHES):
        if step.found.patches:
            caption = _("What excites it most in {n} of the course's pictures").format(n=step.found.looked_at)
            tiles = patch_mosaic([patch.image for patch in step.found.patches], ROOM, TILE)
            yield Drawing(tiles.image, caption, kind="jpeg")


PARTS: tuple[Part, ...] = (
    Part("picture", _picture, row=0),
    Part("map", _map, row=0),
    Part("kernel", _kernel),
    Part("patches", _patches),
)
