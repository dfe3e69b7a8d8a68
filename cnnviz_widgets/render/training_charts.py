"""What a training shows while it runs: loss, accuracy, and the gradients of its layers."""

from collections.abc import Sequence

import numpy as np

from ..i18n import _
from ..learning.training import TrainingStep
from .charts import line_drawing
from .drawing import Drawing, shares
from .words import number

SMOOTHED = 20  # batches that the lines of the charts average over
HEIGHT = 140  # screen pixels of a chart


def loss_chart(steps: Sequence[TrainingStep], epochs: int, width: int) -> Drawing:
    """The loss of the batches over the `epochs` of a whole training."""
    losses = smoothed([step.loss for step in steps])
    latest = _("loss {loss} in the latest batch")
    now = latest.format(loss=number(steps[-1].loss)) if steps else _("no step yet")
    return line_drawing(
        {_("batches"): ([step.epoch for step in steps], losses)},
        _("Cross entropy, mean of {n} batches: {now}").format(n=SMOOTHED, now=now),
        _("Loss of the batches: {now}").format(now=now),
        y_label=_("loss"),
        y_range=(0, losses.max(initial=2.5)),
        **_shape(epochs, width),
    )


def accuracy_chart(
    steps: Sequence[TrainingStep],
    tests: Sequence[tuple[float, float]],
    accuracy: float,
    total: int,
    epochs: int,
    width: int,
) -> Drawing:
    """The accuracy of the batches and that of `tests`, pairs of (epoch, share of right ones).

    `accuracy` is what the caption says of all `total` held-out pictures.
    """
    tested, right = zip(*tests, strict=True)
    lines = {
        _("batches"): ([step.epoch for step in steps], smoothed([100 * step.accuracy for step in steps])),
        _("held out"): (tested, [100 * share for share in right]),
    }
    caption = _("Held out: {accuracy:.1%} of {total:,} right").format(accuracy=accuracy, total=total)
    return line_drawing(lines, caption, y_label=_("right, %"), y_range=(0, 100), **_shape(epochs, width))


def gradient_bars(norms: Sequence[tuple[str, float]], width: int) -> Drawing:
    """Bars of (layer, norm of its gradient), the longest for the largest."""
    largest = max(norm for _layer, norm in norms)
    caption, what = _("Norm of each layer's gradient in the latest batch"), _("Norms of the gradients")
    return shares(norms, width, caption, what, high=largest or 1.0)


def smoothed(values: Sequence[float], over: int = SMOOTHED) -> np.ndarray:
    """The mean of each value and those before it, at most `over` in all."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - over, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _shape(epochs: int, width: int) -> dict:
    return {"size": (width, HEIGHT), "x_range": (0, epochs), "x_label": _("epochs")}
