"""What filters make of a picture: the filters' own numbers, and their responses alone or as colours."""

import numpy as np
from torch import Tensor

from ..i18n import _
from .drawing import Drawing, photograph
from .maps import channels_as_colour, coloured, enlarge, heat_map, signed_map
from .palette import GREY
from .sheets import mosaic
from .words import number

TOGETHER = "together"
ONE, OF_THREE = 90, 60  # screen pixels along the edge of a kernel: alone, one of three


def kernel_drawing(weights: np.ndarray) -> Drawing:
    """Kernels `[K, C, n, n]` with every number a square: one in blue and red around zero, three in colour (C = 3)."""
    size = weights.shape[-1]
    if len(weights) == 3:
        tiles, edge = [channels_as_colour(channels) for channels in weights], OF_THREE
        caption = _("Three random filters, {n} × {n} × 3").format(n=size)
    else:
        tiles, edge = [signed_map(weights[0, 0])], ONE
        caption = _("The kernel, {n} × {n}; red is positive, blue negative").format(n=size)
    picture = mosaic([enlarge(tile, edge // size) for tile in tiles], 3, gap=6)
    return Drawing(picture, caption, more={"pixelated": True})


def response_drawing(maps: np.ndarray, channel: int | str, box: int) -> Drawing:
    """The response `[K, h, w]` of one filter, or of three: one `channel` alone or `TOGETHER` as red, green and blue.

    A small one gets squares of whole pixels, as many as `box` screen pixels hold. The pointer is taken away.
    """
    height, width = maps.shape[1:]
    size = _("{h} × {w}").format(h=height, w=width)
    more = {"zoom": max(1, box // max(height, width)), "pixelated": True, "pointer": []}
    if len(maps) == 3 and channel == TOGETHER:
        caption = _("The three responses as red, green and blue, {size}").format(size=size)
        return Drawing(channels_as_colour(maps), caption, kind="jpeg", more=more)
    caption = _("The response, {size}").format(size=size)
    if len(maps) == 3:
        caption = _("The response of filter {n}, {size}").format(n=channel + 1, size=size)
    picture, scale = coloured(maps[channel if len(maps) == 3 else 0], _("response"))
    return Drawing(picture, caption, kind="jpeg", more={**more, "ramp": scale})


def channel_drawing(maps: np.ndarray, index: int, box: int) -> Drawing:
    """One of three responses `[3, h, w]` in grey, in a box of `box` screen pixels."""
    colour = [_("red"), _("green"), _("blue")][index]
    caption = _("Filter {n}, the {colour} of the whole").format(n=index + 1, colour=colour)
    return photograph(heat_map(maps[index], GREY), caption, box=box)


def origin_in_words(response: Tensor, x: int, y: int, extent: int) -> str:
    """The number or numbers at row `y`, column `x` of a response `[K, h, w]`, and the window they came from."""
    words = _("Response at row {y}, column {x}: {numbers}, from the window of {n} × {n} pixels marked in the picture.")
    numbers = ", ".join(number(value) for value in response[:, y, x].tolist())
    return words.format(y=y, x=x, numbers=numbers, n=extent)
