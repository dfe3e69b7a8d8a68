"""Draw a digit and watch every layer of a trained LeNet answer."""

from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from .. import render
from ..controls.drawing_pad import DrawingPad, Strokes, drawing_moments, first_points, rasterised, stroke_ends
from ..i18n import _
from ..images.digits import as_input, centred
from ..learning.answers import predictions, reading_of
from ..networks import Network
from ..render.digits import answers_over_time, digit_bars
from ..render.layer_sheet import LayerSheet, layer_sheet
from .base import Explorer, follows

FOUR: Strokes = [
    [[9.0, 5.0], [8.3, 8.0], [7.5, 11.0], [7.0, 14.0], [10.0, 14.3], [13.0, 14.3], [16.0, 14.0], [20.0, 13.8]],
    [[16.0, 4.5], [15.8, 8.0], [15.6, 11.5], [15.5, 15.0], [15.4, 18.5], [15.3, 22.0], [15.2, 24.5]],
]
WIDTH, HEIGHT = 236, 180  # screen pixels of bars and chart
BUTTON = {"width": "86px"}


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of a drawing: uint8 `seen` `[28, 28]` of its `strokes`, and all its `layers` for that.

    `history` has the ten probabilities `[moments, 10]` when so many points were drawn as `moments` says.
    """

    strokes: Strokes
    seen: np.ndarray
    moments: list[int]
    history: Tensor
    layers: LayerSheet


class DigitPad(Explorer):
    """A pad to draw a digit on; a trained LeNet answers with every stroke.

    `model` maps `[N, 1, 32, 32]` (see `digits.as_input`) to logits `[N, 10]`. `value` is the ten probabilities, a
    float32 tensor `[10]`, or None while the pad is empty. `history` is what they were as the drawing grew.
    """

    title = _("Draw a digit")
    twin_kind = "png"
    measured = True

    def __init__(self, model: Network | nn.Module, strokes: Strokes = FOUR) -> None:
        self.model = model
        self.pad = DrawingPad(strokes)
        black = _("Black ink on white paper: the network has never seen that")
        invert = widgets.ToggleButton(description=_("Invert"), tooltip=black, layout=dict(BUTTON))
        undo, clear = _("Take the last stroke away"), _("Empty the pad")
        self.undo_button = widgets.Button(description=_("Undo"), tooltip=undo, layout=dict(BUTTON))
        self.clear_button = widgets.Button(description=_("Clear"), tooltip=clear, layout=dict(BUTTON))
        self.undo_button.on_click(lambda _button: self.pad.undo())
        self.clear_button.on_click(lambda _button: self.pad.clear())
        super().__init__(
            {"drawing": self.pad, "invert": invert},
            [[["seen_view", "bars", "history_view"], "layers_view"]],
            column=[self.pad, widgets.HBox([self.undo_button, self.clear_button, invert])],
        )

    @follows("drawing", "invert")
    def compute(self) -> Answers:
        """Ask the network about the drawing as it is now, and as it was at every moment before."""
        strokes, invert = [stroke for stroke in self.pad.value if stroke], self.invert.value
        if not rasterised(strokes, self.pad.side, self.pad.pen).any():  # also when all of it is beside the pad
            strokes = []
        moments, history = drawing_moments(strokes), torch.empty(0, 10)
        if moments:
            grown = np.stack([self._seen(first_points(strokes, count), invert) for count in moments])
            history = reading_of(self.model).probabilities(predictions(self.model, as_input(grown)))
        seen = self._seen(strokes, invert)
        return Answers(strokes, seen, moments, history, layer_sheet(self.model, as_input(seen[None])))

    def keep(self, found: Answers) -> None:
        """Keep the answers, of which `value` is the last."""
        self._answers, self.moments, self.history = found, found.moments, found.history
        self.value = found.history[-1] if found.moments else None

    @follows("compute")
    def draw(self) -> None:
        """What the network sees, its answers, and every layer."""
        found, size = self._answers, (WIDTH, HEIGHT)
        best = None if self.value is None else int(self.value.argmax())
        seen = _("What the network sees, 28 × 28")
        self.seen_view.draw(render.Drawing(found.seen, seen, more={"zoom": 4, "pixelated": True}))
        self.bars.draw(digit_bars([0.0] * 10 if best is None else self.value.tolist(), WIDTH, best))
        ends = stroke_ends(found.strokes)
        self.history_view.draw(answers_over_time(found.moments, found.history.numpy(), ends, size))
        caption, alt = _("Every layer, each in its own range"), _("The maps of every layer")
        self.layers_view.draw(found.layers.drawing(caption, alt))

    @follows("draw")
    def judge(self) -> None:
        """Say what it reads."""
        if self.value is None:
            self.say(_("The pad is empty: draw a digit on it."))
            return
        best = int(self.value.argmax())
        words = _("It reads {digit}, with probability {p}. It knows ten answers and gives one to whatever you draw.")
        self.say(words.format(digit=best, p=render.probability(float(self.value[best]))))

    def _seen(self, strokes: Strokes, invert: bool) -> np.ndarray:
        """A drawing as the network gets it: uint8 `[28, 28]`."""
        seen = centred(rasterised(strokes, self.pad.side, self.pad.pen))
        return 255 - seen if invert else seen
