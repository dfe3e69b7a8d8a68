"""A network drawn to scale: a box for what each layer puts out, as high, wide and deep as its shape says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from .. import render
from ..errors import WrongSetting
from ..i18n import _
from ..layers import LayerInfo

SLANT = 0.35  # a box's width recedes to the upper right; this much of it is drawn across, and as much upwards
GAP, SHORTEST = 16.0, 2.0  # screen pixels between boxes; the thinnest side that is still seen
EDGE = 6.0  # screen pixels left and right of all boxes: the words below a thin one are wider than it is
COLOURS = {"conv": render.OKABE_ITO[1], "pool": render.OKABE_ITO[0], "input": "#BBBBBB", "other": render.OKABE_ITO[2]}


@dataclass(frozen=True)
class Box:
    """One layer's output on the drawing, in screen pixels.

    `left` and `bottom` are the lower left corner of the front; the front is `depth` across (the channels) and `height`
    up (the rows); `recede` is how long the slanted side is drawn along each axis (the columns). A vector is a bar
    without a slanted side, as high as it has numbers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    left: float
    bottom: float
    depth: float
    height: float
    recede: float

    @property
    def right(self) -> float:
        """The outermost point at the right, the slanted side included."""
        return self.left + self.depth + self.recede


def boxes(
    layers: Sequence[LayerInfo],
    pixel: float,
    channel: float,
    number: float,
    *,
    input_shape: Sequence[int] | None = None,
) -> list[Box]:
    """The boxes of a chain of layers from left to right, all to one scale.

    A row or column of a map is `pixel` screen pixels, a channel `channel`, a number of a vector `number`; no side is
    thinner than two. Layers that neither mix channels nor change how many numbers there are (ReLU, dropout, batch
    norm, flattening) are left out. `input_shape` [N, C, H, W] puts the input in front.

    Raises `WrongSetting` for a layer that puts out neither maps nor vectors.
    """
    drawn, shape_before = [], None
    chain = [(info.name, info.kind, tuple(info.output_shape)) for info in layers]
    if input_shape is not None:
        chain = [(_("input"), "input", tuple(input_shape)), *chain]
    left = 0.0
    for name, kind, shape in chain:
        if not _worth_a_box(kind, shape, shape_before):
            continue
        shape_before = shape
        if len(shape) not in (2, 4):
            message = _("The layer {name} puts out {shape}; only maps [N, C, H, W] and vectors [N, C] can be drawn.")
            raise WrongSetting(message.format(name=name, shape=list(shape)))
        if len(shape) == 4:
            sides = (shape[1] * channel, shape[2] * pixel, shape[3] * pixel * SLANT)
        else:
            sides = (SHORTEST * 3, shape[1] * number, 0.0)
        depth, height = (max(side, SHORTEST) for side in sides[:2])
        drawn.append(Box(name, kind, shape[1:], left, 0.0, depth, height, sides[2]))
        left = drawn[-1].right + GAP
    return drawn


def draw_architecture(
    layers: Sequence[LayerInfo],
    *,
    input_shape: Sequence[int] | None = None,
    width: int = 940,
    height: int = 300,
    density: int = 2,
) -> np.ndarray:
    """A chain of layers drawn to scale in at most `width` × `height` screen pixels: uint8 `[H, W, 3]`.

    The scales of rows, channels and vector lengths are each chosen as large as fits, and are the same for all boxes.
    `layers` are those of `layer_tree`; see `boxes` for which of them are drawn. Raises `WrongSetting` when there are
    none, or more of them than have room side by side.
    """
    plan = _fitted(layers, input_shape, width, height)
    top = max(box.height + box.recede for box in plan)
    face = render.font(10 * density)
    labels = [_label(box) for box in plan]
    words = max(face.getlength(label) for label in labels) / density + 8
    picture = Image.new("RGB", (width * density, int((top + words + 6) * density)), render.PAPER)
    draw = ImageDraw.Draw(picture)
    for box, label in zip(plan, labels, strict=True):
        box = replace(box, left=box.left + EDGE)
        base = (top + 2 - box.bottom) * density
        _draw_box(draw, box, base, density)
        _write_upright(picture, label, face, (box.left + (box.depth + box.recede) / 2) * density, base + 6 * density)
    return np.asarray(picture)


def _worth_a_box(kind: str, shape: tuple[int, ...], before: tuple[int, ...] | None) -> bool:
    mixes = "conv" in kind.lower() or "linear" in kind.lower()
    return mixes or before is None or math.prod(shape) != math.prod(before)


def _fitted(layers: Sequence[LayerInfo], input_shape: Sequence[int] | None, width: int, height: int) -> list[Box]:
    unit = boxes(layers, 1.0, 1.0, 1.0, input_shape=input_shape)
    if not unit:
        raise WrongSetting(_("There is no layer to draw."))
    maps = [box.shape for box in unit if len(box.shape) == 3]
    vectors = [box.shape[0] for box in unit if len(box.shape) == 1]
    pixel = height / max((shape[1] + shape[2] * SLANT for shape in maps), default=1)
    number = height / max(vectors, default=1)
    slanted = sum(shape[2] * pixel * SLANT for shape in maps)
    room = width - 2 * EDGE - GAP * (len(unit) - 1) - 3 * SHORTEST * len(vectors)
    if room < 2 * SHORTEST * len(maps):
        message = _("{count} layers have no room side by side in {width} pixels: draw fewer of them, or wider.")
        raise WrongSetting(message.format(count=len(unit), width=width))
    most = min(room * 0.7, room - SHORTEST * len(maps))
    if slanted > most:  # many wide maps: they must be smaller for all boxes to fit
        pixel *= most / slanted
        slanted = most
    channel = max(room - slanted - SHORTEST * len(maps), 0) / max(sum(shape[0] for shape in maps), 1)
    return boxes(layers, pixel, channel, number, input_shape=input_shape)


def _label(box: Box) -> str:
    return f"{box.name}  {' × '.join(map(str, box.shape))}"


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, base: float, density: int) -> None:
    left, right = box.left * density, (box.left + box.depth) * density
    top, slant = base - box.height * density, box.recede * density
    kind = next((kind for kind in ("input", "conv", "pool") if kind in box.kind.lower()), "other")
    front = np.array([int(COLOURS[kind][i : i + 2], 16) for i in (1, 3, 5)])
    lid, side = (tuple((front * shade + 255 * (1 - shade)).astype(int)) for shade in (0.45, 0.7))
    outline = (90, 90, 90)
    if slant:
        draw.polygon(
            [(left, top), (left + slant, top - slant), (right + slant, top - slant), (right, top)], lid, outline
        )
        draw.polygon(
            [(right, top), (right + slant, top - slant), (right + slant, base - slant), (right, base)], side, outline
        )
    draw.rectangle((left, top, right, base), fill=tuple(front), outline=outline)


def _write_upright(picture: Image.Image, words: str, face, x: float, y: float) -> None:
    """`words` from bottom to top, centred on `x`, ending at `y`."""
    box = face.getbbox(words)
    strip = Image.new("RGB", (box[2] + 2, box[3] + 4), render.PAPER)
    ImageDraw.Draw(strip).text((0, 0), words, font=face, fill=render.INK)
    turned = strip.rotate(90, expand=True)
    picture.paste(turned, (int(x - turned.width / 2), int(y)))
