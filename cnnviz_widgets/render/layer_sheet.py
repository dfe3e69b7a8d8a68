"""Everything that a small network computes from one picture, layer by layer, as one picture for a panel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor, nn

from .. import render
from ..i18n import _
from ..layers import layer_outputs
from ..networks import Network, as_module, as_pictures

WIDTH = 432  # screen pixels of the whole sheet
LABELS = 80  # screen pixels of the column of names
GAP = 2  # between the maps of a layer
BETWEEN = 8  # between two layers
TALLEST = 64  # screen pixels of a map
PER_ROW = 8  # maps, at most
STRIP = 14  # screen pixels of a vector's cells, from top to bottom
NUMBERED = 20  # values that still have room for their numbers
GROUND = 255


@dataclass(frozen=True, eq=False)
class LayerPicture:
    """One layer of a sheet: its dotted `name`, the `shape` it put out without the batch, its picture and its place.

    `image` is uint8 `[h, w, 3]`; `box` is the place (x, y, w, h) of that picture in the sheet.
    """

    name: str
    shape: tuple[int, ...]
    image: np.ndarray
    box: tuple[int, int, int, int]

    @property
    def title(self) -> str:
        """Name and shape in words: "conv1 · 6 × 28 × 28"."""
        return f"{self.name} · {_size(self.shape)}"


@dataclass(frozen=True, eq=False)
class LayerSheet:
    """The layers of a network for one picture: `image` uint8 `[H, 432, 3]` holds those of all `layers`.

    `outputs` has what each layer put out, by name, without the batch; `last` is the name of the last layer.
    """

    image: np.ndarray
    layers: tuple[LayerPicture, ...]
    outputs: dict[str, Tensor]

    @property
    def last(self) -> str:
        """The name of the last layer."""
        return self.layers[-1].name

    @property
    def alt(self) -> str:
        """The sheet in words."""
        return _("What each layer puts out: {layers}").format(layers=", ".join(layer.title for layer in self.layers))

    def drawing(self, caption: str, alt: str = "") -> render.Drawing:
        """The sheet to be shown, pixel by pixel; its alternative text is its own where none is given."""
        return render.Drawing(self.image, caption, alt or self.alt, more={"pixelated": True})


def layer_sheet(
    module: Network | nn.Module, inputs: Tensor, names: Sequence[str] | None = None, *, with_input: bool = True
) -> LayerSheet:
    """What every layer of a small network puts out for one picture `[1, C, H, W]`, from one forward pass.

    Maps are enlarged by a whole number (a map too large for its place is thinned out by one); a vector is a strip of
    cells. Each layer has a scale of its own. What convolutions and linear layers put out is signed: red above zero,
    blue below, white at zero. The rest is grey where nothing is below zero: black is 0, white the layer's largest.

    `names` are dotted names of layers; without them all are drawn but those that only rearrange numbers. The module
    runs in eval mode without gradients and is not changed. Raises `UnknownLayer`, and `WrongSetting` unless `inputs`
    is exactly one picture.
    """
    inputs, network = as_pictures(inputs, one=True), module
    module = as_module(network)
    wanted = list(_drawn_layers(module)) if names is None else list(names)
    seen = layer_outputs(network, inputs, wanted)
    outputs = {name: output[0].float().cpu() for name, output in seen.items()}
    signed = {name for name in outputs if isinstance(module.get_submodule(name), _WEIGHTED)}
    shown = [*([(_("input"), inputs[0].float().cpu())] if with_input else []), *outputs.items()]
    pictures = [
        _maps(values.numpy(), name in signed) if _has_maps(values) else _strip(values.flatten().numpy(), name in signed)
        for name, values in shown
    ]
    image, boxes = _composed([(name, tuple(values.shape)) for name, values in shown], pictures)
    layers = (
        LayerPicture(name, tuple(values.shape), picture, box)
        for (name, values), picture, box in zip(shown, pictures, boxes, strict=True)
    )
    return LayerSheet(image, tuple(layers), outputs)


_WEIGHTED = (nn.Conv2d, nn.Linear)
_REARRANGING = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout2d)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def _drawn_layers(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """The dotted names of the layers below `module`; a block of a kind of its own counts as one layer."""
    for name, part in module.named_children():
        if isinstance(part, _CONTAINERS):
            yield from _drawn_layers(part, f"{prefix}{name}.")
        elif not isinstance(part, _REARRANGING):
            yield prefix + name


def _has_maps(values: Tensor) -> bool:
    return values.ndim == 3 and values[0].numel() > 1


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _coloured(values: np.ndarray, signed: bool) -> np.ndarray:
    """Values of any shape as colours, with one more axis."""
    flat = values.reshape(1, -1)
    signed = signed or bool((flat < 0).any())
    colours = render.signed_map(flat) if signed else render.heat_map(flat, render.GREY, low=0.0)
    return colours.reshape(*values.shape, 3)


def _maps(values: np.ndarray, signed: bool) -> np.ndarray:
    """Maps `[C, H, W]` of one scale as a mosaic."""
    count, height, width = values.shape
    columns = -(-count // -(-count // PER_ROW))
    room = (WIDTH - LABELS + GAP) // columns - GAP
    thinning = max(-(-width // room), -(-height // (2 * TALLEST)), 1)
    values = values[:, ::thinning, ::thinning]
    zoom = max(min(room // values.shape[2], TALLEST // values.shape[1]), 1)
    return render.mosaic([render.enlarge(each, zoom) for each in _coloured(values, signed)], columns, GAP, GROUND)


def _strip(values: np.ndarray, signed: bool) -> np.ndarray:
    """A vector as a row of cells; few values carry their numbers below."""
    count = len(values)
    columns = min(count, (WIDTH - LABELS) // 2)
    width = min((WIDTH - LABELS) // columns, STRIP * 2)
    colours = _coloured(values, signed)
    rows = -(-count // columns)
    padded = np.full((rows * columns, 3), GROUND, np.uint8)
    padded[:count] = colours
    cells = padded.reshape(rows, columns, 3).repeat(STRIP, axis=0).repeat(width, axis=1)
    if width > 8:  # narrower cells would be half gap
        cells[:, width - 1 :: width] = GROUND
    if count > NUMBERED:
        return cells
    return np.concatenate([cells, _numbers(count, width)])


@lru_cache(maxsize=16)
def _numbers(count: int, width: int) -> np.ndarray:
    picture = Image.new("RGB", (count * width, 13), render.PAPER)
    draw = ImageDraw.Draw(picture)
    for index in range(count):
        draw.text(((index + 0.5) * width, 1), str(index), font=render.font(10), fill=render.FAINT, anchor="mt")
    return np.asarray(picture)


@lru_cache(maxsize=64)
def _label(name: str, size: str) -> np.ndarray:
    picture = Image.new("RGB", (LABELS - 4, 28), render.PAPER)
    draw = ImageDraw.Draw(picture)
    for top, words, bold in ((0, name, True), (14, size, False)):
        face = render.font(10, bold)
        colour = render.INK if bold else render.FAINT
        draw.text((0, top), render.fitted(words, LABELS - 6, face), font=face, fill=colour)
    return np.asarray(picture)


def _composed(
    titles: list[tuple[str, tuple[int, ...]]], pictures: list[np.ndarray]
) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """Names and shapes at the left, pictures at the right, a row for each layer; and where the pictures are."""
    labels = [_label(name, _size(shape)) for name, shape in titles]
    heights = [max(picture.shape[0], label.shape[0]) for picture, label in zip(pictures, labels, strict=True)]
    sheet = np.full((sum(heights) + BETWEEN * (len(heights) - 1), WIDTH, 3), GROUND, np.uint8)
    boxes, top = [], 0
    for label, picture, height in zip(labels, pictures, heights, strict=True):
        tall, wide = picture.shape[:2]
        sheet[top : top + label.shape[0], : label.shape[1]] = label
        sheet[top : top + tall, LABELS : LABELS + wide] = picture
        boxes.append((LABELS, top, wide, tall))
        top += height + BETWEEN
    return sheet, boxes
