"""A sheet of what layers put out for a picture: a row for each layer, in it some of its channels, each a small map."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .. import images
from ..i18n import _
from . import words
from .maps import coloured, enlarge, limits, signed_map
from .palette import INK, NARROWEST
from .sheets import above, beside
from .words import font, number, text_block

GAP, DENSITY = 4, 2  # screen pixels between maps; picture pixels for one of the screen


@dataclass(frozen=True, eq=False)
class Tile:
    """One map as a picture (uint8 `[h, w, 3]`) with the lines below it."""

    image: np.ndarray
    lines: tuple[str, str]


@dataclass(frozen=True, eq=False)
class LayerRow:
    """One layer's row: its name, the shape it put out, its maps."""

    name: str
    shape: tuple[int, ...]
    tiles: list[Tile]

    @property
    def title(self) -> str:
        """Name and shape in words."""
        return f"{self.name} · {' × '.join(map(str, self.shape))}"


def layer_row(name: str, output: Tensor, channels: Sequence[int], tile: int) -> LayerRow:
    """The chosen `channels` of what a layer put out, `[C, H, W]` or `[C]`, as pictures that fit `tile` screen pixels.

    Each map has its own scale: grey, black at 0, or red and blue around a white 0. A pixel is a square of whole
    pixels; a map that is too large is brought down by the mean of whole squares. Numbers share one scale.
    """
    limit = float(output.abs().max()) if output.ndim == 1 else None
    tiles = [_tile(channel, output[channel].numpy(), tile, limit) for channel in channels]
    return LayerRow(name, tuple(output.shape), tiles)


def range_in_words(low: float, high: float) -> str:
    """Two numbers to the place of the larger one's second digit: "−4.7 to 0" for −4.7 and −0.0003."""
    larger = max(abs(low), abs(high))
    places = 1 - math.floor(math.log10(larger)) if larger > 0 else 0
    ends = {name: number(round(value, places) + 0.0) for name, value in (("low", low), ("high", high))}
    return _("{low} to {high}").format(**ends)


def fitted(values: np.ndarray, box: int) -> np.ndarray:
    """A map `[H, W]` in at most `box` pixels, each value a square of an even number of pixels, or a mean of several."""
    longest = max(values.shape)
    if longest <= box:
        zoom = box // longest
        return enlarge(values, zoom - zoom % DENSITY if zoom > 1 else zoom)
    step = -(-longest // box)
    rows, columns = (max(size // step, 1) for size in values.shape)
    kept = values[: rows * step, : columns * step]
    return kept.reshape(rows, -1, columns, kept.shape[1] // columns).mean((1, 3))


def layer_rows(title: str, picture: np.ndarray, rows: Sequence[LayerRow], columns: int, tile: int) -> np.ndarray:
    """Picture and title on top, then a row for each layer: uint8, `DENSITY` pixels for one of the screen."""
    width = max(columns * (tile + GAP) - GAP, NARROWEST)
    small = images.resize(picture, (tile * DENSITY, tile * DENSITY))
    text = text_block(title, max((width - tile) * DENSITY - 16, 60), 13 * DENSITY, INK, bold=True)
    head = beside([small, text], gap=16)
    sheet = above([head, *[_row(row, width, tile) for row in rows]], gap=6 * DENSITY)
    return sheet[:, : width * DENSITY]


def _tile(channel: int, values: np.ndarray, tile: int, limit: float | None) -> Tile:
    if limit is not None:
        square = signed_map(values.reshape(1, 1), limit)
        return Tile(enlarge(square, tile * DENSITY // 2), (str(channel), number(float(values))))
    image, _scale = coloured(fitted(values, tile * DENSITY), "")
    return Tile(image, (str(channel), range_in_words(*limits(values))))


def _row(row: LayerRow, width: int, tile: int) -> np.ndarray:
    title = words.fitted(row.title, width * DENSITY, font(11 * DENSITY))
    maps = beside([_with_lines(piece, tile) for piece in row.tiles], gap=GAP * DENSITY)
    wide = np.full((maps.shape[0], max(width * DENSITY, maps.shape[1]), 3), 255, np.uint8)
    wide[:, : maps.shape[1]] = maps
    heading = text_block(title, width * DENSITY, 11 * DENSITY, INK)
    return above([heading, wide[:, : width * DENSITY]], gap=2 * DENSITY)


def _with_lines(piece: Tile, tile: int) -> np.ndarray:
    canvas = np.full((piece.image.shape[0], tile * DENSITY, 3), 255, np.uint8)
    canvas[:, : piece.image.shape[1]] = piece.image
    face = font(9 * DENSITY)
    lines = [text_block(words.fitted(line, tile * DENSITY, face), tile * DENSITY, 9 * DENSITY) for line in piece.lines]
    return above([canvas, *lines], gap=1)
