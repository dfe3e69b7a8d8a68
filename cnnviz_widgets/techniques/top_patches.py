"""The patches of pictures that excite a unit most, cut out exactly as large as what the unit sees.

Matthew D. Zeiler and Rob Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, show such patches
beside every unit; Ross Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection and Semantic
Segmentation", CVPR 2014, name units by them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .. import images
from ..errors import ImageError, WrongSetting
from ..i18n import _
from ..images import crop, picture_list
from ..layers import ReceptiveField, find_layer, layer_tree, receptive_field
from ..networks import Network
from ..settings import whole_number
from .feature_maps import feature_maps


@dataclass(frozen=True, eq=False)
class Patch:
    """A place that excites a unit: its `value` there, the `picture`'s name, and the unit's row `y` and column `x`.

    `box` is what the unit sees of the picture (top, left, bottom, right, the latter two exclusive), in pixels of what
    the network sees; it may hang over the border. `image` is the crop, uint8 [h, w, 3], grey beyond the border, and
    `seen` all that the network sees of the picture, uint8 [H, W, 3].
    """

    value: float
    picture: str
    y: int
    x: int
    box: tuple[int, int, int, int]
    image: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True, eq=False)
class TopPatches:
    """The `patches` found, the strongest first; `looked_at` counts the pictures, `refused` says why others were not."""

    patches: tuple[Patch, ...]
    looked_at: int
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """Pictures looked at so far (`index` of `total`), and the best patches in them."""

    index: int
    total: int
    found: TopPatches


def top_patches(
    network: Network | nn.Module,
    layer: str,
    channel: int,
    pictures: images.Pictures = None,
    *,
    count: int = 9,
) -> TopPatches:
    """The `count` patches of `pictures` that excite unit `channel` of `layer` most.

    `pictures` is a folder, or names, paths or arrays, or one of them (see `images.picture_list`); without it, the
    pictures of the course. Only answers above zero count. Of one picture several patches may be taken, but none whose
    middle lies inside a stronger one. A picture that cannot be read is left out and named in `refused`. Equal answers
    stand in the order of the pictures: behind an activation with a ceiling (ReLU6) many are equal, and the layer in
    front of it tells more.

    Raises `UnknownLayer`; `WrongSetting` for a channel that is not there or a layer without maps; and `ImageError` for
    a folder without pictures, or when none of them can be read.
    """
    found = TopPatches((), 0)
    for step in top_patches_steps(network, layer, channel, pictures, count=count):
        found = step.found
    return found


def top_patches_steps(
    network: Network | nn.Module,
    layer: str,
    channel: int,
    pictures: images.Pictures = None,
    *,
    count: int = 9,
) -> Iterator[Step]:
    """The same, one picture a step. What is wrong with the arguments is raised before the first."""
    network = network if isinstance(network, Network) else Network(network)
    count = whole_number(_("number of patches"), count, 1)
    find_layer(network, layer)
    sources = picture_list(pictures)
    return _steps(network, layer, channel, sources, count)


def strongest_places(values: Tensor, count: int, apart: tuple[float, float]) -> list[tuple[int, int]]:
    """The (row, column) of up to `count` places of a map [h, w] that are above zero, the strongest first.

    No place lies nearer to a stronger one than `apart` (rows, columns) in both directions. Of equals, the first in
    reading order is taken.
    """
    values = values.clone()
    rows, columns = torch.arange(values.shape[0]), torch.arange(values.shape[1])
    places = []
    while len(places) < count:
        index = int(values.argmax())
        y, x = divmod(index, values.shape[1])
        if not values[y, x] > 0:
            break
        places.append((y, x))
        near = ((rows - y).abs() < apart[0])[:, None] & ((columns - x).abs() < apart[1])[None]
        values[near] = -torch.inf
    return places


def unit_box(field: ReceptiveField, y: int, x: int) -> tuple[int, int, int, int]:
    """What the unit in row `y`, column `x` sees: top, left, bottom, right, where the border allows it exactly.

    A field that fits into the picture is given whole, also where it hangs over the border and sees padding; a field
    larger than the picture is cut to it.
    """
    inside = field.box(y, x)
    sides = []
    for axis, unit in enumerate((y, x)):
        first = round(unit * field.stride[axis] + field.offset[axis])
        fits = field.size[axis] <= field.picture[axis]
        sides.append((first, first + field.size[axis]) if fits else (inside[axis], inside[axis + 2]))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


def _steps(network: Network, layer: str, channel: int, sources: list[images.ImageSource], count: int) -> Iterator[Step]:
    field: ReceptiveField | None = None
    known: dict[str, object] = {}
    best: list[Patch] = []
    refused: list[str] = []
    for index, source in enumerate(sources, 1):
        name = _name(source, index)
        try:
            view = network.view(source)
            inputs = network.tensor(view)
        except ImageError as error:
            refused.append(f"{name}: {error}")
        else:
            if field is None:
                known = _latest_call(network, layer, inputs)
            maps = feature_maps(network, inputs, layer, **known)[0]
            values = _of_channel(maps, layer, channel)
            field = field or receptive_field(network, inputs, layer)
            new = _patches(_seen(network, view), values, name, field, count)
            best = sorted([*best, *new], key=lambda patch: -patch.value)[:count]
        if len(refused) == len(sources):
            raise ImageError(_("None of the {count} pictures can be read. {why}").format(count=index, why=refused[0]))
        yield Step(index, len(sources), TopPatches(tuple(best), index - len(refused), tuple(refused)))


def _seen(network: Network, view: np.ndarray) -> np.ndarray:
    """What the network sees of a picture, uint8 [H, W, 3]: in grey if that is all it takes."""
    return view if len(network.mean) == 3 else images.to_image(torch.from_numpy(images.greyscale(view))[None])


def _patches(seen: np.ndarray, values: Tensor, name: str, field: ReceptiveField, count: int) -> list[Patch]:
    """The strongest places of one picture as patches."""
    apart = tuple(
        size / 2 / stride if stride else max(values.shape)
        for size, stride in zip(field.size, field.stride, strict=True)
    )
    patches = []
    for y, x in strongest_places(values, count, apart):
        box = unit_box(field, y, x)
        patches.append(Patch(float(values[y, x]), name, y, x, box, crop(seen, box), seen))
    return patches


def _latest_call(network: Network, layer: str, inputs: Tensor) -> dict[str, object]:
    """The number of the layer's latest call in a pass, behind which nothing need be computed, and its axes."""
    infos = {info.name: info for info in layer_tree(network, inputs, containers=True)}
    return {"call": infos[layer].calls - 1, "axes": infos[layer].axes} if layer in infos else {}


def _of_channel(maps: Tensor, layer: str, channel: int) -> Tensor:
    if whole_number(_("channel"), channel, 0) >= len(maps):
        message = _('"{name}" has the channels 0 to {last}; there is no channel {channel}.')
        raise WrongSetting(message.format(name=layer, last=len(maps) - 1, channel=channel))
    return maps[channel]


def _name(source: images.ImageSource, number: int) -> str:
    return images.picture_name(source) or _("picture {number}").format(number=number)
