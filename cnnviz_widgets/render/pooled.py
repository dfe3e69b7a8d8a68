"""What pooling makes of a picture: both, a window enlarged, and what a shift changes before and after."""

import numpy as np
from torch import Tensor

from ..i18n import _
from ..images import to_image
from ..techniques.convolution import output_size
from ..techniques.pooling import POOLINGS
from .drawing import Drawing, window_mark
from .maps import coloured, heat_map
from .palette import EVIDENCE, OKABE_ITO
from .sheets import fitting
from .words import number, percent

AROUND = 24  # picture pixels that the magnifier shows
WINNER = OKABE_ITO[2]
TRAVELS_AS_PNG = 20_000  # pixels up to which a pooled picture is small enough to be sent exactly


def before_pooling(inputs: Tensor, what: str, box: int) -> Drawing:
    """What is pooled, `[3, H, W]` or `[1, H, W]`, in a box of `box` screen pixels; `what` names it."""
    height, width = inputs.shape[1:]
    caption = _("{what}, {h} × {w} pixels").format(what=what[:1].upper() + what[1:], h=height, w=width)
    picture, scale = _picture_of(inputs, what, inputs)
    return Drawing(picture, caption, kind="jpeg", more={"ramp": scale, **fitting(height, width, box)})


def after_pooling(inputs: Tensor, pooled: Tensor, what: str, kind: str, size: int, stride: int, box: int) -> Drawing:
    """What is left, `[C, h, w]`, in the colours of `inputs` `[C, H, W]`, and how many numbers that are.

    A pixel of it is as large as the step between two windows in a picture of `box` screen pixels.
    """
    (height, width), (h, w) = inputs.shape[1:], pooled.shape[1:]
    words = _("{kind} of each {n} × {n}, stride {s}: {height} × {width} → {h} × {w}, {share} of the numbers.")
    share = percent(h * w / (height * width))
    caption = words.format(kind=POOLINGS[kind], n=size, s=stride, height=height, width=width, h=h, w=w, share=share)
    sums = [
        f"⌊({side} − {size}) / {stride}⌋ + 1 = {output_size(side, size, stride)}"
        for side in dict.fromkeys((height, width))
    ]
    picture, scale = _picture_of(pooled, what, inputs)
    zoom = fitting(height, width, box)["zoom"] * stride
    how = "png" if h * w < TRAVELS_AS_PNG else "jpeg"
    more = {"ramp": scale, "zoom": zoom, "pixelated": True}
    return Drawing(picture, f"{caption} {'; '.join(sums)}", kind=how, more=more)


def window_in_words(pooled: Tensor, x: int, y: int, kind: str, size: int, stride: int) -> str:
    """The number at row `y`, column `x` of `pooled` `[C, h, w]`, and the window it came from, in a sentence."""
    numbers = ", ".join(number(value) for value in pooled[:, y, x].tolist())
    if len(pooled) == 3:
        numbers = _("{numbers} (red, green, blue)").format(numbers=numbers)
    sentence = _("Row {y}, column {x}: {numbers}, the {kind} of rows {top} to {bottom}, columns {left} to {right}.")
    top, left = y * stride, x * stride
    ends = {"top": top, "bottom": top + size - 1, "left": left, "right": left + size - 1}
    return sentence.format(y=y, x=x, numbers=numbers, kind=POOLINGS[kind].lower(), **ends)


def magnifier(inputs: Tensor, left: int, top: int, size: int, kind: str, box: int) -> Drawing:
    """The pixels around a window of `inputs` `[C, H, W]`, with its edge and, for one channel, its maximum."""
    side = max(AROUND, size + 8)
    y0, x0 = (
        max(min(start + size // 2 - side // 2, whole - side), 0)
        for start, whole in zip((top, left), inputs.shape[1:], strict=True)
    )
    picture, _scale = _picture_of(inputs[:, y0 : y0 + side, x0 : x0 + side], "", inputs)
    marks = [window_mark(left - x0, top - y0, size)]
    caption = _("The window and what is around it")
    if kind == "max" and len(inputs) == 1:
        y, x = divmod(int(inputs[0, top : top + size, left : left + size].argmax()), size)
        marks.append(window_mark(left - x0 + x, top - y0 + y, 1, WINNER))
        caption = _("The window, its maximum (green), and what is around it")
    return Drawing(picture, caption, more={"marks": marks, **fitting(*picture.shape[:2], box)})


def changes_drawn(
    inputs: tuple[Tensor, Tensor], pooled: tuple[Tensor, Tensor], changes: tuple[float, float], stride: int, box: int
) -> list[Drawing]:
    """Where, and how much, a shift has changed what is pooled and what is left of it, on one scale.

    `inputs` and `pooled` are pairs of the unmoved and the moved `[C, H, W]`; `changes` is their `relative_change`.
    """
    maps = [(moved - still).abs().mean(0) for still, moved in (inputs, pooled)]
    high = float(maps[0].flatten().quantile(0.995)) or 1.0  # a few strong edges would leave all else black
    words = (
        _("Before pooling the shift changes it by {change} of its contrast (brightest: {high} and more)"),
        _("After pooling, by {change} of the contrast it has then"),
    )
    first = fitting(*maps[0].shape, box)["zoom"]
    drawings = []
    for values, sentence, change, zoom in zip(maps, words, changes, (first, first * stride), strict=True):
        share = f"{change:.0%}" if np.isfinite(change) else "∞"
        picture = heat_map(values.numpy(), EVIDENCE, 0.0, high)
        caption = sentence.format(change=share, high=number(high))
        drawings.append(Drawing(picture, caption, more={"zoom": zoom, "pixelated": zoom >= 1}))
    return drawings


def _picture_of(maps: Tensor, label: str, scale_of: Tensor) -> tuple[np.ndarray, dict]:
    """A colour picture as it is, or one map in colours over the range of `scale_of`, with its scale."""
    if len(maps) == 3:
        return to_image(maps[None]), {}
    return coloured(maps[0].numpy(), label, float(scale_of.min()), float(scale_of.max()))
