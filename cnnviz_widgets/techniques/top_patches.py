"""The patches of pictures that excite a unit most, cut out exactly as large as what the unit sees.

Matthew D. Zeiler and Rob Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, show such patches
beside every unit; Ross Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection and Semantic
Segmentation", CVPR 2014, name units by them.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import images
from ..errors import ImageError, WrongSetting
from ..i18n import _
from ..layers import find_layer, layer_tree, receptive_field
from ..layers.receptive import ReceptiveField
from ..networks import Network
from ..settings import whole_number
from .feature_maps import feature_maps

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")
BEYOND = 224  # grey of what a crop has beyond the picture's border, where the network pads


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
    pictures: str | os.PathLike | Iterable[images.ImageSource] | None = None,
    *,
    count: int = 9,
) -> TopPatches:
    """The `count` patches of `pictures` that excite unit `channel` of `layer` most.

    `pictures` is a folder, or names, paths or arrays; without it, the pictures of the course. Only answers above zero
    count. Of one picture several patches may be taken, but none whose middle lies inside a stronger one. A picture
    that cannot be read is left out and named in `refused`. Equal answers stand in the order of the pictures: behind an
    activation with a ceiling (ReLU6) many are equal, and the layer in front of it tells more.

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
    pictures: str | os.PathLike | Iterable[images.ImageSource] | None = None,
    *,
    count: int = 9,
) -> Iterator[Step]:
    """The same, one picture a step. What is wrong with the arguments is raised before the first."""
    network = network if isinstance(network, Network) else Network(network)
    count = whole_number(_("number of patches"), count, 1)
    find_layer(network, layer)
    sources = picture_list(pictures)
    return _steps(network, layer, channel, sources, count)


def picture_list(pictures: str | os.PathLike | Iterable[images.ImageSource] | None = None) -> list[images.ImageSource]:
    """The pictures meant by `pictures`: those of the course for None, those in a folder, by name, or the list itself.

    Raises `ImageError` for a folder that is not there or has no pictures, and for an empty list.
    """
    if pictures is None:
        return list(images.PICTURES)
    if isinstance(pictures, (str, os.PathLike)):
        if isinstance(pictures, str) and pictures in images.PICTURES:
            return [pictures]
        return _in_folder(Path(pictures).expanduser())
    found = list(pictures)
    if not found:
        raise ImageError(_("There are no pictures to look at: the list is empty."))
    return found


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


def crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels of `image` [H, W, 3] in `box` (top, left, bottom, right), grey where it hangs over the border."""
    top, left, bottom, right = box
    height, width = image.shape[:2]
    cut = np.full((bottom - top, right - left, 3), BEYOND, np.uint8)
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    y, x = max(-top, 0), max(-left, 0)
    cut[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return cut


def _steps(network: Network, layer: str, channel: int, sources: list[images.ImageSource], count: int) -> Iterator[Step]:
    field: ReceptiveField | None = None
    known: dict[str, object] = {}
    best: list[Patch] = []
    refused: list[str] = []
    for index, source in enumerate(sources, 1):
        name = _name(source, index)
        try:
            inputs = network.preprocess(source)
        except ImageError as error:
            refused.append(f"{name}: {error}")
        else:
            if field is None:
                known = _latest_call(network, layer, inputs)
            maps = feature_maps(network, layer, inputs, **known)[0]
            values = _of_channel(maps, layer, channel)
            field = field or receptive_field(network, inputs, layer)
            new = _patches(network, inputs, values, name, field, count)
            best = sorted([*best, *new], key=lambda patch: -patch.value)[:count]
        if len(refused) == len(sources):
            raise ImageError(_("None of the {count} pictures can be read. {why}").format(count=index, why=refused[0]))
        yield Step(index, len(sources), TopPatches(tuple(best), index - len(refused), tuple(refused)))


def _patches(
    network: Network, inputs: Tensor, values: Tensor, name: str, field: ReceptiveField, count: int
) -> list[Patch]:
    """The strongest places of one picture as patches."""
    apart = tuple(
        size / 2 / stride if stride else max(values.shape)
        for size, stride in zip(field.size, field.stride, strict=True)
    )
    seen = images.to_image(network.denormalise(inputs.float()))
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
    if isinstance(channel, bool) or not isinstance(channel, (int, np.integer)) or not 0 <= channel < len(maps):
        message = _('"{name}" has the channels 0 to {last}; there is no channel {channel}.')
        raise WrongSetting(message.format(name=layer, last=len(maps) - 1, channel=channel))
    return maps[channel]


def _in_folder(folder: Path) -> list[images.ImageSource]:
    try:
        if not folder.is_dir():
            raise ImageError(_('There is no folder "{name}".').format(name=folder.name or folder))
        found = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    except OSError as error:
        message = _('The folder "{name}" cannot be read: {reason}.')
        raise ImageError(message.format(name=folder.name, reason=error.strerror or error)) from error
    if not found:
        message = _(
            'There are no pictures in the folder "{name}"; JPEG, PNG, GIF, WebP, BMP and TIFF files are looked for.'
        )
        raise ImageError(message.format(name=folder.name or folder))
    return found


def _name(source: images.ImageSource, number: int) -> str:
    if isinstance(source, (str, os.PathLike)):
        return Path(source).name
    return _("picture {number}").format(number=number)
