"""Draw a digit and watch every layer of a trained LeNet answer."""

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from .. import render
from ..controls.drawing_pad import DrawingPad, Strokes, rasterised
from ..i18n import _
from ..images.digits import as_input, centred
from ..learning.training import predictions
from ..render.charts import line_chart
from ..render.layer_sheet import layer_sheet
from ..views import ImageView
from .base import Explorer

FOUR: Strokes = [
    [[9.0, 5.0], [8.3, 8.0], [7.5, 11.0], [7.0, 14.0], [10.0, 14.3], [13.0, 14.3], [16.0, 14.0], [20.0, 13.8]],
    [[16.0, 4.5], [15.8, 8.0], [15.6, 11.5], [15.5, 15.0], [15.4, 18.5], [15.3, 22.0], [15.2, 24.5]],
]
MOMENTS = 40  # how many moments of a drawing the chart of its history is made from
FOLLOWED = 5
WIDTH = 236  # screen pixels of bars and chart


class DigitPad(Explorer):
    """A pad to draw a digit on; a trained LeNet answers with every stroke.

    `model` maps `[N, 1, 32, 32]` (see `digits.as_input`) to logits `[N, 10]`. `value` is the ten probabilities, a
    float32 tensor `[10]`, or None while the pad is empty. `history` is what they were as the drawing grew.
    """

    title = _("Draw a digit")
    twin_kind = "png"

    def __init__(self, model: nn.Module, strokes: Strokes = FOUR):
        self.model = model
        self.pad = DrawingPad(strokes)
        self.invert = widgets.ToggleButton(
            description=_("Invert"),
            tooltip=_("Black ink on white paper: the network has never seen that"),
            layout={"width": "86px"},
        )
        self.undo_button = widgets.Button(
            description=_("Undo"), tooltip=_("Take the last stroke away"), layout={"width": "86px"}
        )
        self.clear_button = widgets.Button(description=_("Clear"), tooltip=_("Empty the pad"), layout={"width": "86px"})
        self.undo_button.on_click(lambda _button: self.pad.undo())
        self.clear_button.on_click(lambda _button: self.pad.clear())
        self.seen_view = ImageView(zoom=4, pixelated=True)
        self.bars = ImageView(zoom=0.5, drawing=True)
        self.history_view = ImageView(zoom=0.5, drawing=True)
        self.layers_view = ImageView(pixelated=True)
        answers = widgets.VBox(
            [self.seen_view, self.bars, self.history_view], layout={"grid_gap": "8px", "overflow": "visible"}
        )
        super().__init__(
            {"drawing": self.pad, "invert": self.invert},
            widgets.HBox([answers, self.layers_view], layout={"grid_gap": "12px", "overflow": "visible"}),
            column=(self.pad, widgets.HBox([self.undo_button, self.clear_button, self.invert])),
        )

    def update(self, changed: str | None = None) -> None:
        """Ask the network about the drawing as it is now."""
        strokes = [stroke for stroke in self.pad.value if stroke]
        if not rasterised(strokes, self.pad.side, self.pad.pen).any():  # also when all of it is beside the pad
            strokes = []
        self.moments, self.history = self._over_time(strokes)
        self.value = self.history[-1] if strokes else None
        self._draw(strokes)
        self.say(self._verdict())

    def _seen(self, strokes: Strokes) -> np.ndarray:
        """The drawing as the network gets it: uint8 `[28, 28]`."""
        seen = centred(rasterised(strokes, self.pad.side, self.pad.pen))
        return 255 - seen if self.invert.value else seen

    def _over_time(self, strokes: Strokes) -> tuple[list[int], Tensor]:
        """After how many points each moment of the drawing is, and the ten probabilities then: `[moments, 10]`."""
        moments = drawing_moments(strokes)
        if not moments:
            return [], torch.empty(0, 10)
        seen = np.stack([self._seen(first_points(strokes, count)) for count in moments])
        return moments, predictions(self.model, as_input(seen)).softmax(1)

    def _verdict(self) -> str:
        if self.value is None:
            return _("The pad is empty: draw a digit on it.")
        best = int(self.value.argmax())
        return _(
            "It reads {digit}, with probability {p}. It knows ten answers and gives one to whatever you draw."
        ).format(digit=best, p=render.probability(float(self.value[best])))

    # -------------------------------------------------------------------------------------------------------- draw
    def _draw(self, strokes: Strokes) -> None:
        seen = self._seen(strokes)
        caption = _("What the network sees, 28 × 28")
        self.seen_view.show(seen, kind="png", alt=caption, caption=caption)
        probabilities = [0.0] * 10 if self.value is None else self.value.tolist()
        best = None if self.value is None else str(int(self.value.argmax()))
        rows = [(str(digit), p) for digit, p in enumerate(probabilities)]
        words = ", ".join(f"{digit} {render.probability(p)}" for digit, p in rows)
        self.bars.show(
            render.bars(rows, WIDTH, chosen=best, label_width=24),
            kind="png",
            alt=_("Probabilities: {words}").format(words=words),
            caption=_("Probability of each digit"),
        )
        self._draw_history(strokes)
        sheet = layer_sheet(self.model, as_input(seen[None])).image
        self.layers_view.show(
            sheet, kind="png", alt=_("The maps of every layer"), caption=_("Every layer, each in its own range")
        )

    def _draw_history(self, strokes: Strokes) -> None:
        ends = np.cumsum([len(stroke) for stroke in strokes]).tolist()
        followed = self.history.max(0).values.argsort(descending=True)[:FOLLOWED].sort().values if ends else []
        series = {str(int(digit)): (self.moments, self.history[:, digit].tolist()) for digit in followed}
        self.history_view.show(
            line_chart(
                series,
                size=(WIDTH, 180),
                x_label=_("points drawn; lines end a stroke"),
                y_label=_("probability"),
                x_range=(1, max(ends[-1], 2)) if ends else (1, 2),
                y_range=(0, 1),
                verticals=ends,
            ),
            kind="png",
            alt=_("Probabilities of five digits while the drawing grew"),
            caption=_("Which stroke decides: the five digits that were likeliest at any time"),
        )


def drawing_moments(strokes: Strokes) -> list[int]:
    """Numbers of points at which to look back at a drawing: evenly spaced, and wherever a stroke ends."""
    total = sum(len(stroke) for stroke in strokes)
    if not total:
        return []
    ends = np.cumsum([len(stroke) for stroke in strokes]).tolist()
    return sorted({*range(1, total + 1, max(1, total // MOMENTS)), *ends})


def first_points(strokes: Strokes, count: int) -> Strokes:
    """The drawing when only its first `count` points were there."""
    shown, left = [], count
    for stroke in strokes:
        if left <= 0:
            break
        shown.append(stroke[:left])
        left -= len(stroke)
    return shown
