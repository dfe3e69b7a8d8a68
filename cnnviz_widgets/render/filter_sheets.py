"""Filters of a first layer side by side, and what their learning shows."""

from collections.abc import Sequence

import numpy as np

from ..i18n import _
from ..learning.filters import FilterStep
from .charts import line_drawing
from .drawing import Drawing
from .maps import enlarge, signed_map
from .palette import OKABE_ITO
from .sheets import mosaic
from .words import number

GAP = 1  # picture pixels between two filters of a sheet
CHART = (290, 132)  # screen pixels


def filter_sheet(filters: np.ndarray) -> np.ndarray:
    """Filters `[K, h, w]` in a square of rows, each in its own range, a picture pixel for each weight: uint8."""
    return mosaic([signed_map(each) for each in filters], side_of(len(filters)), GAP)


def forming_filters(filters: np.ndarray, caption: str, chosen: int, widest: int) -> Drawing:
    """A `filter_sheet` in at most `widest` screen pixels, with a frame around the filter of number `chosen`."""
    height, width = filters.shape[1:]
    row, column = divmod(chosen, side_of(len(filters)))
    frame = {"x": column * (width + GAP), "y": row * (height + GAP), "w": width, "h": height, "colour": OKABE_ITO[0]}
    picture = filter_sheet(filters)
    more = {"zoom": widest // picture.shape[1], "pixelated": True, "marks": [frame]}
    return Drawing(picture, caption, more=more)


def side_of(count: int) -> int:
    """How many filters stand in a row of a sheet of `count`."""
    return round(count**0.5)


def filter_at(x: int, y: int, count: int, size: int) -> int | None:
    """The number of the filter at a place of a sheet of `count` filters of `size` pixels; None beside them."""
    column, row = x // (size + GAP), y // (size + GAP)
    place = row * side_of(count) + column
    return place if 0 <= column < side_of(count) and 0 <= place < count else None


def learning_charts(
    steps: Sequence[FilterStep], selectivity: Sequence[float], now: int, total: int
) -> tuple[Drawing, Drawing]:
    """The loss and the filters' preference for one direction after each of `steps`, with a line at the step `now`."""
    done = [step.index for step in steps]
    losses = [step.loss for step in steps]
    return (
        _over_steps(done, losses, now, _("loss (noise: 0.37)"), total, (0.28, 0.38)),
        _over_steps(done, selectivity, now, _("preference for one direction (0 to 1)"), total, (0.0, 1.0)),
    )


def _over_steps(
    done: Sequence[int], values: Sequence[float], now: int, label: str, total: int, y_range: tuple[float, float]
) -> Drawing:
    words = _("{label}, {value} after {n} steps").format(label=label, value=number(values[done.index(now)]), n=now)
    return line_drawing(
        {"": (done, values)},
        "",
        words,
        size=CHART,
        x_label=_("step"),
        y_label=label,
        x_range=(0, total),
        y_range=y_range,
        verticals=[now],
    )


def first_layer(filters: np.ndarray, width: int) -> Drawing:
    """The filters `[K, h, w]` of a first layer on one scale centred on zero, in `width` screen pixels."""
    caption = _("First layer: {n} filters, {h} × {w}; blue −{limit}, red {limit}").format(
        n=len(filters), h=filters.shape[1], w=filters.shape[2], limit=number(float(np.abs(filters).max()))
    )
    alt = _("The filters of the first layer")
    return Drawing(filter_mosaic(filters, width), caption, alt, more={"pixelated": True})


def filter_mosaic(filters: np.ndarray, width: int, gap: int = 4, rows: int = 2) -> np.ndarray:
    """Filters `[K, h, w]`, or the first of them, on one scale centred on zero, in `rows` rows of `width` pixels."""
    limit = float(np.abs(filters).max())
    most = max((width + gap) // (filters.shape[2] + gap), 1)
    shown = filters[: rows * most]
    columns = len(shown) if len(shown) <= min(8, most) else -(-len(shown) // rows)
    zoom = max(((width + gap) // columns - gap) // filters.shape[2], 1)
    return mosaic([enlarge(signed_map(each, limit), zoom) for each in shown], columns, gap)
