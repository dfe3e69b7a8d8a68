"""Many small pictures of one size as one picture whose tiles can be pointed at: feature maps, kernels, patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import images
from .maps import enlarge, heat_map
from .palette import GREY, SIGNED, colour_table

PAPER = 255


@dataclass(frozen=True)
class Mosaic:
    """Tiles of one size in rows: `image` is uint8 `[H, W]` or `[H, W, 3]`, `order` has the number of each tile.

    A tile has `tile` (rows, columns) pixels, of which the map has `cells`; `gap` pixels lie between two.
    """

    image: np.ndarray
    order: tuple[int, ...]
    columns: int
    tile: tuple[int, int]
    cells: tuple[int, int]
    gap: int

    def at(self, x: int, y: int) -> tuple[int, int, int] | None:
        """Which tile is at pixel (x, y), and which (row, column) of its map; None between tiles and behind them."""
        if x < 0 or y < 0:
            return None
        row, top = divmod(y, self.tile[0] + self.gap)
        column, left = divmod(x, self.tile[1] + self.gap)
        place = row * self.columns + column
        if top >= self.tile[0] or left >= self.tile[1] or column >= self.columns or place >= len(self.order):
            return None
        return self.order[place], top * self.cells[0] // self.tile[0], left * self.cells[1] // self.tile[1]

    def mark(self, number: int, colour: str) -> dict:
        """A frame around the tile with this number, for `ImageView.marks`."""
        row, column = divmod(self.order.index(number), self.columns)
        (height, width), gap = self.tile, self.gap
        return {"x": column * (width + gap) - 1, "y": row * (height + gap) - 1, "w": width + 2, "h": height + 2} | {
            "colour": colour
        }


def map_mosaic(
    maps: Tensor, order: list[int], cmap: str, room: tuple[int, int], gap: int = 2, *, common: bool = False
) -> Mosaic:
    """Maps `[C, h, w]` as one picture that fits into `room` (rows, columns) of pixels, if whole numbers allow it.

    Each cell is a square of whole pixels; maps too large are averaged over squares of whole cells. Each map has its
    own scale from its smallest to its largest value, or, if `common`, that of all of them.
    """
    count, height, width = maps.shape
    zoom, thinning = _scale(count, height, width, room, gap)
    small = F.avg_pool2d(maps[None], thinning, ceil_mode=True)[0] if thinning > 1 else maps
    over = (0, 1, 2) if common else (1, 2)
    low, high = small.amin(over, keepdim=True), small.amax(over, keepdim=True)
    shades = ((small - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8).numpy()[order]
    shades = shades.repeat(zoom, axis=1).repeat(zoom, axis=2)
    tiles = shades if cmap == GREY else colour_table(cmap)[shades]
    columns = _columns(count, shades.shape[2], room[1], gap)
    return tiled(tiles, tuple(order), columns, gap, (height, width))


def tiled(tiles: np.ndarray, order: tuple[int, ...], columns: int, gap: int, cells: tuple[int, int]) -> Mosaic:
    """`tiles` `[C, h, w]` or `[C, h, w, 3]` (uint8) in rows of `columns`, on white."""
    count, height, width, *colour = tiles.shape
    rows = -(-count // columns)
    sheet = np.full((rows * columns, height + gap, width + gap, *colour), PAPER, np.uint8)
    sheet[:count, :height, :width] = tiles
    sheet = sheet.reshape(rows, columns, *sheet.shape[1:]).swapaxes(1, 2)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), *colour)
    return Mosaic(sheet[: -gap or None, : -gap or None], order, columns, (height, width), cells, gap)


def _columns(count: int, width: int, room: int, gap: int) -> int:
    return max(min((room + gap) // (width + gap), count), 1)


def _scale(count: int, height: int, width: int, room: tuple[int, int], gap: int) -> tuple[int, int]:
    """(zoom, thinning) with which `count` maps of this size fit into `room`; one of the two is 1."""
    for zoom, thinning in [*((zoom, 1) for zoom in range(16, 0, -1)), *((1, thin) for thin in range(2, 33))]:
        tall, wide = -(-height // thinning) * zoom, -(-width // thinning) * zoom
        columns = _columns(count, wide, room[1], gap)
        if wide <= room[1] and -(-count // columns) * (tall + gap) - gap <= room[0]:
            break
    return zoom, thinning


def kernel_mosaic(weights: np.ndarray, order: Sequence[int], room: tuple[int, int], cells: tuple[int, int]) -> Mosaic:
    """Filters `[K, C, k, k]` in this order as one picture that fits into `room` (rows, columns) if whole numbers allow.

    `cells` is the size of the maps that the filters make: a tile is pointed at as its map is.
    """
    tiles, gap = kernel_tiles(weights[list(order)]), 4
    count, height, width = tiles.shape[:3]

    def fits(zoom: int) -> bool:
        columns = (room[1] + gap) // (width * zoom + gap)
        return columns > 0 and -(-count // columns) * (height * zoom + gap) <= room[0]

    zoom = next((zoom for zoom in range(24, 1, -1) if fits(zoom)), 1)
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    return tiled(tiles, tuple(order), _columns(count, tiles.shape[2], room[1], gap), gap, cells)


def kernel_tile(weights: np.ndarray) -> np.ndarray:
    """A filter `[C, k, k]` as a picture: in colour if it reads colours, else one signed square for each channel."""
    return kernel_tiles(weights[None])[0]


def kernel_tiles(weights: np.ndarray) -> np.ndarray:
    """Filters `[K, C, k, k]` as pictures of one size: uint8 `[K, h, w, 3]`. Each has its own scale."""
    count, channels, height, width = weights.shape
    limit = np.abs(weights).max((1, 2, 3), keepdims=True)
    limit[limit == 0] = 1
    if channels == 3:
        return ((weights.transpose(0, 2, 3, 1) / limit + 1) * 127.5).round().astype(np.uint8)
    gap = 0 if height == 1 else 1
    columns = round(np.ceil(channels**0.5))
    rows = -(-channels // columns)
    sheet = np.full((count, rows * columns, height + gap, width + gap, 3), PAPER, np.uint8)
    shares = (weights.astype(np.float64) + limit) / (limit + limit)
    sheet[:, :channels, :height, :width] = heat_map(shares, SIGNED, 0.0, 1.0)
    sheet = sheet.reshape(count, rows, columns, height + gap, width + gap, 3).swapaxes(2, 3)
    sheet = sheet.reshape(count, rows * (height + gap), columns * (width + gap), 3)
    return sheet[:, : -gap or None, : -gap or None]


def patch_mosaic(patches: Sequence[np.ndarray], room: int, side: int, gap: int = 4) -> Mosaic:
    """Patches (uint8 `[h, w, 3]`) as tiles of `side` pixels in rows of at most `room` pixels."""
    tiles = np.stack([patch_tile(patch, side) for patch in patches])
    columns = max(min((room + gap) // (side + gap), len(tiles)), 1)
    return tiled(tiles, tuple(range(len(tiles))), columns, gap, (1, 1))


def patch_tile(image: np.ndarray, side: int) -> np.ndarray:
    """A patch (uint8 `[h, w, 3]`) in the middle of a white square: its pixels as squares, or scaled down."""
    height, width = image.shape[:2]
    zoom = side // max(height, width)
    image = enlarge(image, zoom) if zoom else images.at_most(image, side)
    tile = np.full((side, side, 3), PAPER, np.uint8)
    top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
    tile[top : top + image.shape[0], left : left + image.shape[1]] = image
    return tile
