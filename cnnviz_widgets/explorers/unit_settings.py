"""What panels about the units of a layer share: choosing layer and channel, tiles, and kernels as pictures."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import render
from ..controls import ChannelPicker, LayerPicker
from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..layers import LayerInfo
from ..networks import Network, load_network
from ..techniques.feature_maps import feature_maps

PAPER = 255


def as_network(network: Network | nn.Module | None) -> Network:
    """`network` as a `Network`; without one, the bundled one. Raises `CnnvizError` where it has no numbers in it."""
    network = load_network() if network is None else network
    network = network if isinstance(network, Network) else Network(network)
    if network.bounds[0].is_meta:
        message = _("{name} is an architecture without weights; load_network makes one that can look at pictures.")
        raise CnnvizError(message.format(name=network.name))
    return network


def layer_picker(network: Network, inputs: Tensor, layer: str | None) -> LayerPicker:
    """A picker of the layers of `network` that have maps; without a `layer`, the first activation is chosen.

    Raises `UnknownLayer`, which names the nearest, and `WrongSetting` for a layer without maps.
    """
    picker = LayerPicker(network, inputs, maps_only=True)
    if layer is not None and layer not in picker.layers:
        feature_maps(network, layer, inputs)  # says what is wrong with it
    picker.value = first_answer(list(picker.layers.values())) if layer is None else layer
    return picker


def first_answer(listed: list[LayerInfo]) -> str:
    """The layer that a panel begins with: the first activation, or the first layer where these are functions."""
    activations = (layer.name for layer in listed if "LU" in layer.kind or "swish" in layer.kind.lower())
    return next(activations, listed[0].name)


def channel_picker(layer: LayerInfo, channel: int) -> ChannelPicker:
    """A picker of the channels of `layer`. Raises `WrongSetting` for a channel that is not there."""
    channels = layer.channels_first[1]
    if channel not in range(channels):
        message = _("{layer} has the channels 0 to {last}; there is no channel {channel}.")
        raise WrongSetting(message.format(layer=layer.name, last=channels - 1, channel=channel))
    return ChannelPicker(channels, channel)


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
    tiles = shades if cmap == render.GREY else render.colour_table(cmap)[shades]
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


def kernel_tile(weights: np.ndarray) -> np.ndarray:
    """A filter `[C, k, k]` as a picture: in colour if it reads colours, else one signed square for each channel."""
    if len(weights) == 3:
        limit = np.abs(weights).max() or 1.0
        return ((weights.transpose(1, 2, 0) / limit + 1) * 127.5).round().astype(np.uint8)
    limit = np.abs(weights).max() or 1.0
    slices = [render.signed_map(part, limit) for part in weights]
    return render.mosaic(slices, round(np.ceil(len(slices) ** 0.5)), gap=0 if slices[0].shape[0] == 1 else 1)


def upsampled(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map `[h, w]` stretched over a picture of `size` (H, W), each cell a rectangle."""
    rows = np.arange(size[0]) * values.shape[0] // size[0]
    columns = np.arange(size[1]) * values.shape[1] // size[1]
    return values[rows[:, None], columns]
