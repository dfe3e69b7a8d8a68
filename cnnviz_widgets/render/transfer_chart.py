"""The chart of an activation function: its curve, over what goes in and beside what comes out."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..i18n import _
from ..techniques.activation import ACTIVATIONS, activate
from .drawing import Drawing, map_drawing
from .palette import FAINT, INK, OKABE_ITO, PAPER
from .words import font, number, percent

CHART = (676, 196)  # screen pixels
DENSITY = 2
CURVE, BARS, BOUND = OKABE_ITO[5], (198, 214, 232), (150, 150, 150)


def transfer_drawing(name: str, inputs: Tensor, outputs: Tensor) -> Drawing:
    """The chart of the activation `name` with what it does to these numbers, in words."""
    function = ACTIVATIONS[name]
    low, high = number(float(outputs.min())), number(float(outputs.max()))
    caption = _("{title}: {formula}. {bounds} Here it gives {low} to {high}").format(
        title=function.title, formula=function.formula, bounds=bounds_of(name), low=low, high=high
    )
    alt = _("The curve of the function over a histogram of what goes in, beside a histogram of what comes out.")
    more = {"zoom": 1 / DENSITY, "drawing": True}
    return Drawing(transfer_chart(name, inputs, outputs), caption, f"{alt} {caption}", more=more)


def before_and_after(
    name: str, what: str, before: np.ndarray, after: np.ndarray, box: int, *, scale: bool
) -> tuple[Drawing, Drawing]:
    """A map `[h, w]` before and after the activation `name`, each in a box of `box` screen pixels.

    `what` says what the map is of. Without a `scale` beside it a map has its range in words alone.
    """
    share = percent((after == 0).mean())
    captions = (
        _("{what}, {low} to {high}").format(what=what, low=number(before.min()), high=number(before.max())),
        _("After {title}, {low} to {high}: {share} of the pixels are 0").format(
            title=ACTIVATIONS[name].title, low=number(after.min()), high=number(after.max()), share=share
        ),
    )
    drawings = [map_drawing(*shown, what, box) for shown in zip((before, after), captions, strict=True)]
    return tuple(drawings if scale else [replace(one, more={**one.more, "ramp": {}}) for one in drawings])


def bounds_of(name: str) -> str:
    """What limits the values of the activation `name`, in a sentence."""
    function = ACTIVATIONS[name]
    low, high = number(function.low), number(function.high)
    if function.bounded:
        return _("Whatever goes in, what comes out stays between {low} and {high}.").format(low=low, high=high)
    if np.isfinite(function.low):
        return _("What comes out is never below {low}, and has no upper bound.").format(low=low)
    return _("What comes out is bounded neither below nor above.")


def transfer_chart(name: str, inputs: Tensor, outputs: Tensor) -> np.ndarray:
    """The curve of the activation `name` over a histogram of its `inputs`, and that of its `outputs` beside it.

    Both histograms show the square root of their counts, so that what is rare is seen beside what is frequent. The two
    plots share their vertical axis. A picture, uint8 `[H, W, 3]`, with `DENSITY` pixels for one of the screen.
    """
    function = ACTIVATIONS[name]
    reach = max(1.0, float(inputs.abs().max())) * 1.04
    x = torch.linspace(-reach, reach, 401)
    y = activate(x, name)
    bounds = [bound for bound in (function.low, function.high) if np.isfinite(bound)]
    low, high = min(float(y.min()), 0.0, *bounds), max(float(y.max()), 0.0, *bounds)
    margin = (high - low) * 0.07
    plot = _Plot(-reach, reach, low - margin, high + margin)

    plot.histogram_below(inputs)
    plot.histogram_beside(outputs)
    plot.axes(bounds, low, high)
    plot.curve(x.tolist(), y.tolist())
    return np.asarray(plot.picture)


class _Plot:
    """Two plots on one vertical axis: the function at the left, how often each value comes out at the right."""

    LEFT, RIGHT, TOP, BOTTOM = 44, 440, 22, CHART[1] - 22  # screen pixels of the left plot
    BESIDE, END = 470, CHART[0] - 12  # and of the right one
    BINS_BELOW, BINS_BESIDE = 110, 56

    def __init__(self, x_low: float, x_high: float, y_low: float, y_high: float):
        self.x_low, self.x_high, self.y_low, self.y_high = x_low, x_high, y_low, y_high
        self.picture = Image.new("RGB", (CHART[0] * DENSITY, CHART[1] * DENSITY), PAPER)
        self.draw = ImageDraw.Draw(self.picture)

    def x(self, value: float) -> float:
        return self.LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (self.RIGHT - self.LEFT)

    def y(self, value: float) -> float:
        return self.BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (self.BOTTOM - self.TOP)

    def histogram_below(self, values: Tensor) -> None:
        heights = self._shares(values, self.BINS_BELOW, self.x_low, self.x_high) * (self.BOTTOM - self.TOP)
        edges = np.linspace(self.LEFT, self.RIGHT, self.BINS_BELOW + 1)
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            self._box(left, self.BOTTOM - height, right, self.BOTTOM)

    def histogram_beside(self, values: Tensor) -> None:
        widths = self._shares(values, self.BINS_BESIDE, self.y_low, self.y_high) * (self.END - self.BESIDE)
        edges = np.linspace(self.BOTTOM, self.TOP, self.BINS_BESIDE + 1)
        for bottom, top, width in zip(edges, edges[1:], widths, strict=False):
            self._box(self.BESIDE, top, self.BESIDE + width, bottom)

    @staticmethod
    def _shares(values: Tensor, bins: int, low: float, high: float) -> np.ndarray:
        counts = torch.histc(values.float(), bins, low, high).sqrt().numpy()
        return counts / max(counts.max(), 1.0)

    def _box(self, left: float, top: float, right: float, bottom: float) -> None:
        left, top, right, bottom = (round(place * DENSITY) for place in (left, top, right, bottom))
        if right > left and bottom > top:
            self.draw.rectangle((left, top, right - 1, bottom - 1), fill=BARS)

    def axes(self, bounds: list[float], low: float, high: float) -> None:
        """Lines at zero, dashes at the bounds of the function, and numbers at both, and at the ends."""
        for value in {0.0, *bounds}:
            self._line(self.LEFT, self.y(value), self.END, self.y(value), dashed=value in bounds)
        self._line(self.x(0), self.TOP, self.x(0), self.BOTTOM)
        for place in (self.LEFT, self.BESIDE):
            self._line(place, self.TOP, place, self.BOTTOM)
        written: list[float] = []
        for value in (*bounds, 0.0, low, high):
            if all(abs(self.y(value) - other) >= 12 for other in written):
                self._text(self.LEFT - 5, self.y(value), number(value), "rm")
                written.append(self.y(value))
        for value, anchor in ((self.x_low, "lt"), (0.0, "mt"), (self.x_high, "rt")):
            self._text(self.x(value), self.BOTTOM + 4, number(value), anchor)
        self._text(self.LEFT, 2, _("the function, over what goes in (bars: square root of how often)"), "lt", INK)
        self._text(self.BESIDE, 2, _("what comes out"), "lt", INK)

    def curve(self, xs: list[float], ys: list[float]) -> None:
        points = [(self.x(x) * DENSITY, self.y(y) * DENSITY) for x, y in zip(xs, ys, strict=True)]
        self.draw.line(points, fill=CURVE, width=2 * DENSITY, joint="curve")

    def _line(self, x0: float, y0: float, x1: float, y1: float, dashed: bool = False) -> None:
        if not dashed:
            self.draw.line([place * DENSITY for place in (x0, y0, x1, y1)], fill=(215, 215, 215), width=DENSITY)
            return
        for start in np.arange(x0, x1, 8):
            self.draw.line([p * DENSITY for p in (start, y0, min(start + 4, x1), y1)], fill=BOUND, width=DENSITY)

    def _text(self, x: float, y: float, words: str, anchor: str, colour: tuple = FAINT) -> None:
        self.draw.text((x * DENSITY, y * DENSITY), words, font=font(10 * DENSITY), fill=colour, anchor=anchor)
