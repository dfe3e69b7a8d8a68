"""Pictures put together: with marks, scale and caption, beside and above each other."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from .maps import as_colour, ramp_strip
from .palette import NARROWEST
from .words import text_block


def figure(
    image: np.ndarray,
    *,
    zoom: float = 1.0,
    smooth: bool = False,
    marks: Iterable[dict] = (),
    ramp: dict | None = None,
    caption: str = "",
) -> np.ndarray:
    """`image` enlarged by `zoom`, with rectangles `marks` over it, its scale at the right and its caption below."""
    size = (max(round(image.shape[1] * zoom), 1), max(round(image.shape[0] * zoom), 1))
    if zoom == 1:
        picture = Image.fromarray(as_colour(image))
    else:
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BOX if zoom < 1 else Image.Resampling.NEAREST
        picture = Image.fromarray(as_colour(image)).resize(size, how)
    draw = ImageDraw.Draw(picture)
    for mark in marks:
        box = [mark["x"] * zoom, mark["y"] * zoom, (mark["x"] + mark["w"]) * zoom, (mark["y"] + mark["h"]) * zoom]
        fill = mark.get("fill")
        draw.rectangle(box, outline=mark["colour"], width=2, fill=None if fill in (None, "none") else fill)
    parts = [np.asarray(picture)]
    if ramp:
        parts.append(ramp_strip(ramp, parts[0].shape[0]))
    whole = beside(parts, gap=0)
    return above([whole, text_block(caption, max(whole.shape[1], NARROWEST))], gap=4) if caption else whole


def beside(pictures: Sequence[np.ndarray], gap: int = 16) -> np.ndarray:
    """Pictures of any size in a row, aligned at the top, `gap` pixels apart, on white."""
    height = max(picture.shape[0] for picture in pictures)
    sheet = np.full((height, sum(p.shape[1] for p in pictures) + gap * (len(pictures) - 1), 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = as_colour(picture)
        left += picture.shape[1] + gap
    return sheet


def above(pictures: Sequence[np.ndarray], gap: int = 12) -> np.ndarray:
    """Pictures of any size in a column, aligned at the left, `gap` pixels apart, on white."""
    turned = [as_colour(picture).transpose(1, 0, 2) for picture in pictures]
    return beside(turned, gap).transpose(1, 0, 2)


def margin(image: np.ndarray, width: int = 8) -> np.ndarray:
    """`image` with a white margin of `width` pixels all around."""
    return np.pad(image, ((width, width), (width, width), (0, 0)), constant_values=255)


def mosaic(pictures: Sequence[np.ndarray], columns: int, gap: int = 2, background: int = 255) -> np.ndarray:
    """Pictures of one size (`[H, W]` or `[H, W, 3]`) in rows of `columns`, `gap` pixels apart, as one picture."""
    pictures = [as_colour(picture) for picture in pictures]
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full(
        (rows * (height + gap) - gap, min(columns, len(pictures)) * (width + gap) - gap, 3), background, np.uint8
    )
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def fitting(height: int, width: int, box: int) -> dict:
    """How `ImageView` shows a picture of this size in a box of `box` screen pixels.

    A small picture gets squares of whole pixels; a larger one is scaled down smoothly.
    """
    zoom = box // max(height, width)
    return {"zoom": float(zoom or box / max(height, width)), "pixelated": zoom > 1}
