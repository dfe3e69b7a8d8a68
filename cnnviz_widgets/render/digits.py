"""What panels on digits show of a network's ten answers."""

from collections.abc import Sequence

import numpy as np

from ..i18n import _
from .charts import line_drawing
from .drawing import Drawing, probabilities

FOLLOWED = 5  # digits in the chart of a drawing's history


def digit_bars(answers: Sequence[float], width: int, chosen: int | None) -> Drawing:
    """Bars of the ten probabilities in `width` screen pixels; that of the digit `chosen` is orange."""
    rows = [(str(digit), float(p)) for digit, p in enumerate(answers)]
    mark = None if chosen is None else str(chosen)
    return probabilities(rows, width, _("Probability of each digit"), chosen=mark, label_width=24)


def answers_over_time(
    moments: Sequence[int], answers: np.ndarray, ends: Sequence[int], size: tuple[int, int]
) -> Drawing:
    """The probabilities `[moments, 10]` after so many points of a drawing whose strokes end at the points `ends`.

    Only the digits that were likeliest at any time are followed. Without points the chart is empty.
    """
    likeliest = np.argsort(-answers.max(0), kind="stable")[:FOLLOWED] if len(moments) else []
    return line_drawing(
        {str(digit): (moments, answers[:, digit].tolist()) for digit in sorted(likeliest)},
        _("Which stroke decides: the five digits that were likeliest at any time"),
        _("Probabilities of five digits while the drawing grew"),
        size=size,
        x_label=_("points drawn; lines end a stroke"),
        y_label=_("probability"),
        x_range=(1, max(ends[-1], 2)) if len(ends) else (1, 2),
        y_range=(0, 1),
        verticals=ends,
    )
