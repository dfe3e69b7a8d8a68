"""The channels of a layer in pictures and words: all maps or kernels at once, one enlarged, and what a unit sees."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from ..i18n import _
from ..techniques.feature_maps import silent, strength
from .drawing import Drawing, over, photograph, plain_map
from .mosaics import Mosaic, kernel_mosaic, kernel_tile, map_mosaic
from .words import number

ORDERS = {"mean": _("strongest first, by mean"), "peak": _("strongest first, by peak"), "number": _("by number")}


def all_maps(
    maps: Tensor, order: Sequence[int], by: str, cmap: str, room: tuple[int, int], *, common: bool
) -> tuple[Mosaic, str]:
    """The maps [C, h, w] in this order (`by` is one of `ORDERS`) in `room` (rows, columns) pixels, and the caption."""
    count, rows, columns = maps.shape
    caption = _("{count} maps of {rows} × {columns}, {order}").format(
        count=count, rows=rows, columns=columns, order=ORDERS[by]
    )
    quiet = int(silent(maps).sum())
    if quiet:
        caption += _("; {count} silent").format(count=quiet)
    return map_mosaic(maps, list(order), cmap, room, common=common), caption


def all_kernels(
    name: str, weights: Tensor, order: Sequence[int], cells: tuple[int, int], room: tuple[int, int]
) -> tuple[Mosaic, str]:
    """The kernels [C, c, k, k] of the layer `name` in this order, and the caption; `cells` are those of their maps."""
    caption = _("The kernels of {name}, {size}: {what}").format(name=name, size=_size(weights), what=_reads(weights))
    return kernel_mosaic(weights.numpy(), order, room, cells), caption


def no_kernels(name: str) -> str:
    """Why the layer `name` has no kernels to show."""
    message = _('The maps of "{name}" come from more than one convolution, or from none: there is no kernel for each.')
    return message.format(name=name)


def one_map(maps: Tensor, channel: int, box: int, cmap: str) -> Drawing:
    """One of `maps` [C, h, w] in a box of `box` screen pixels, and its place among the others."""
    strengths, values = strength(maps), maps[channel].numpy()
    caption = _("Channel {channel}: {rows} × {columns}, number {place} of {count} by mean").format(
        channel=channel,
        rows=values.shape[0],
        columns=values.shape[1],
        place=1 + int((strengths > strengths[channel]).sum()),
        count=len(maps),
    )
    return plain_map(values, caption, _("answer"), box, cmap)


def one_kernel(weights: Tensor, channel: int, box: int, caption: str = "") -> Drawing:
    """The kernel of a channel, of those of its layer [C, c, k, k], in a box of `box` screen pixels."""
    caption = caption or _("Its kernel, {size}: {what}").format(size=_size(weights), what=_reads(weights))
    tile = kernel_tile(weights[channel].numpy())
    return Drawing(tile, caption, more={"zoom": max(box // max(tile.shape[:2]), 1), "pixelated": True})


def picture_of(
    seen: np.ndarray, title: str, box: int, channel: int | None = None, maps: Tensor | None = None
) -> Drawing:
    """What the network sees [H, W, 3] of the picture called `title`, with the map of a `channel` over it if wanted."""
    if channel is None:
        caption = _("{h} × {w} pixels").format(h=seen.shape[0], w=seen.shape[1])
        drawing = photograph(seen, caption, box=box)
    else:
        caption = _("Channel {channel} over the picture, where it is above 0").format(channel=channel)
        drawing = over(seen, maps[channel].numpy(), caption, box)
    return replace(drawing, alt=f"{title}. {caption}")


def reading(maps: Tensor, channel: int, y: int, x: int) -> str:
    """The value of a unit in words; empty for a place that the maps [C, h, w] do not have."""
    if not all(0 <= place < size for place, size in zip((channel, y, x), maps.shape, strict=True)):
        return ""
    message = _("Channel {channel}, row {y}, column {x}: {value}.")
    return message.format(channel=channel, y=y, x=x, value=number(float(maps[channel, y, x])))


def sight(box: tuple[int, int, int, int], field: tuple[int, int], whole: tuple[int, int]) -> str:
    """What a unit sees in words: the pixels in `box` (top, left, bottom, right) of its `field` (height, width).

    `whole` is the size of the picture.
    """
    top, left, bottom, right = box
    size = bottom - top, right - left
    if size == tuple(whole):
        return _("This unit sees the whole picture.")
    sentence = _("This unit sees {h} × {w} pixels of the picture: rows {top} to {bottom}, columns {left} to {right}.")
    if size != tuple(field):
        sentence += " " + _("Its field of {rows} × {columns} hangs over the border.")
    rows, columns = field
    return sentence.format(
        h=size[0], w=size[1], top=top, bottom=bottom - 1, left=left, right=right - 1, rows=rows, columns=columns
    )


def _size(weights: Tensor) -> str:
    channels, height, width = weights.shape[1:]
    return f"{height} × {width} × {channels}"


def _reads(weights: Tensor) -> str:
    """How the picture of a kernel is read."""
    channels = weights.shape[1]
    if channels == 3:
        return _("each pixel a weight for red, green and blue; grey is 0")
    if channels > 1:
        return _("red above 0, blue below; one square for each of the {n} maps before it").format(n=channels)
    return _("red above 0, blue below")
