"""Line charts drawn in a few milliseconds, for panels that draw them ten times a second.

Notebooks draw their charts with matplotlib; a matplotlib chart takes some 80 ms, too long for a moving panel.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from PIL import Image, ImageDraw

from .. import render
from .drawing import Drawing

LEFT, BOTTOM, TOP, RIGHT = 46, 34, 22, 10  # screen pixels around the plot


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    size: tuple[int, int] = (330, 170),
    x_label: str = "",
    y_label: str = "",
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    verticals: Sequence[float] = (),
    colours: Sequence[str] = (*render.OKABE_ITO[4:6], render.OKABE_ITO[2], render.OKABE_ITO[6], render.OKABE_ITO[0]),
    density: int = 2,
) -> np.ndarray:
    """Lines by name, each an (x, y) pair of equal length, in `size` (width, height) screen pixels.

    `verticals` are places on the x axis marked from top to bottom. Points that are not finite are left out, and so are
    those outside `x_range`; those outside `y_range` are drawn at its edge. Without a range, an axis covers the finite
    points. Several lines are named in the key at the upper right; colours begin again after the last. The picture,
    uint8 `[H, W, 3]`, has `density` pixels for one of the screen.
    """
    width, height = size
    picture = Image.new("RGB", (width * density, height * density), render.PAPER)
    draw = ImageDraw.Draw(picture)
    lines = {name: _finite(points, x_range) for name, points in series.items()}
    x_low, x_high = _range([np.asarray(x_range)] if x_range else [x for x, _y in lines.values()])
    y_low, y_high = _range([np.asarray(y_range)] if y_range else [y for _x, y in lines.values()])

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (width - LEFT - RIGHT)
        up = height - BOTTOM - (y - y_low) / (y_high - y_low) * (height - BOTTOM - TOP)
        return across * density, up * density

    face = render.font(10 * density)
    for tick in _ticks(y_low, y_high, 4):
        start, end = place(x_low, tick), place(x_high, tick)
        draw.line((*start, *end), fill=(230, 230, 230), width=density)
        draw.text((start[0] - 4 * density, start[1]), _label(tick), font=face, fill=render.FAINT, anchor="rm")
    for tick in _ticks(x_low, x_high, 6):
        x, y = place(tick, y_low)
        draw.line((x, y, x, y + 3 * density), fill=render.FAINT, width=density)
        draw.text((x, y + 5 * density), _label(tick), font=face, fill=render.FAINT, anchor="mt")
    draw.line((*place(x_low, y_low), *place(x_high, y_low)), fill=render.FAINT, width=density)
    for x in verticals:
        draw.line((*place(x, y_low), *place(x, y_high)), fill=(190, 190, 190), width=density)
    middle = (LEFT + width - RIGHT) / 2 * density
    draw.text((middle, (height - 2) * density), x_label, font=face, fill=render.FAINT, anchor="mb")
    draw.text((2 * density, 4 * density), y_label, font=face, fill=render.INK, anchor="lt")

    key = width * density - RIGHT * density
    for (name, (xs, ys)), colour in reversed(list(zip(lines.items(), cycle(colours), strict=False))):
        points = [place(x, min(max(y, y_low), y_high)) for x, y in zip(xs, ys, strict=True)]
        if len(points) > 1:
            draw.line(points, fill=colour, width=2 * density, joint="curve")
        elif points:
            x, y = points[0]
            draw.ellipse((x - 2 * density, y - 2 * density, x + 2 * density, y + 2 * density), fill=colour)
        if len(lines) > 1:
            draw.text((key, 4 * density), name, font=face, fill=colour, anchor="rt")
            key -= face.getlength(name) + 10 * density
    return np.asarray(picture)


def line_drawing(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    caption: str,
    alt: str = "",
    *,
    density: int = 2,
    **options: object,
) -> Drawing:
    """A `line_chart` of these lines with its words; `options` are those of `line_chart`."""
    picture = line_chart(series, density=density, **options)
    return Drawing(picture, caption, alt, more={"zoom": 1 / density, "drawing": True})


def _finite(
    points: tuple[Sequence[float], Sequence[float]], x_range: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, dtype=float) for values in points)
    known = np.isfinite(x) & np.isfinite(y)
    if x_range:
        known &= (x >= min(x_range)) & (x <= max(x_range))
    return x[known], y[known]


def _range(values: list[np.ndarray]) -> tuple[float, float]:
    together = np.concatenate(values) if values else np.empty(0)
    if not together.size:
        return 0.0, 1.0
    low, high = float(together.min()), float(together.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float, count: int) -> np.ndarray:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(count, steps=[1, 2, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return ticks[(ticks >= low - slack) & (ticks <= high + slack)]


def _label(tick: float) -> str:
    return f"{round(tick, 10) + 0.0:g}".replace("-", "−")
