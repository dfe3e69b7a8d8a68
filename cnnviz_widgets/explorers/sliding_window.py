"""A 3×3 window over a 5×5 input: every product and every sum where it happens."""

from collections.abc import Sequence

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from ..controls import NumberGrid, SettingSlider
from ..i18n import _
from ..render.window_steps import CELL, DENSITY, middle_of_window, window_at, window_drawing
from ..techniques.convolution import convolve
from ..views import ImageView
from .base import Explorer, follows

INPUT = ((0, 0, 1, 3, 3), (0, 1, 3, 3, 2), (1, 3, 3, 2, 1), (3, 3, 2, 1, 0), (3, 2, 1, 0, 0))
KERNEL = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))


class SlidingWindowExplorer(Explorer):
    """Slide a small kernel over a small input and see each product, their sum, and where the sum is written.

    The window moves by the slider, by play, under the pointer (over the input or over the output) and by arrow keys.
    Input and kernel can be typed over. `value` is the whole response, a float32 tensor `[h, w]`; `position` is the
    number of the window, row by row from 0, and setting it moves the window.
    """

    title = _("A sliding window")
    twin_kind = "png"
    position = traitlets.Int(0)

    def __init__(
        self, inputs: Sequence[Sequence[float]] = INPUT, kernel: Sequence[Sequence[float]] = KERNEL, position: int = 0
    ) -> None:
        last = max(position, 0)  # until it is known how many there are
        tip = _("Which window is looked at, counted row by row")
        step = SettingSlider(position, 0, last, _("Position"), tip)
        numbers = NumberGrid([list(row) for row in inputs], description=_("Numbers of the input"), width=200)
        weights = NumberGrid([list(row) for row in kernel], description=_("Numbers of the kernel"), width=120)
        layout = {"margin": "2px 0 2px 92px"}
        self.play = widgets.Play(value=position, min=0, max=last, interval=900, description=_("Play"), layout=layout)
        widgets.link((self.play, "value"), (step, "value"))
        help_text = _("Point at a cell, or use the arrow keys, to move the window.")
        words = [widgets.Label(_("Input (type over a number)")), widgets.Label(_("Kernel"))]
        super().__init__(
            {"step": step, "inputs": numbers, "kernel": weights},
            [["view"]],
            views={"view": ImageView(follow="hover", key_step=CELL * DENSITY, help=help_text)},
            column=(step, self.play, words[0], numbers, words[1], weights),
        )
        self.on(self.view, "pointer", self._follow_pointer)
        self.observe(lambda change: setattr(self.step, "value", change["new"]), "position")

    @traitlets.validate("position")
    def _on_the_output(self, proposal: dict) -> int:
        return min(max(proposal["value"], 0), self.value.numel() - 1)

    @follows("inputs", "kernel")
    def compute(self) -> Tensor:
        """The whole response."""
        inputs, kernel = torch.tensor(self.inputs.value), torch.tensor(self.kernel.value)
        found = convolve(inputs[None, None], kernel[None, None])[0, 0]
        self._numbers = inputs, kernel
        return found

    @follows("compute", "step")
    def place(self) -> None:
        """Keep the window on the output."""
        with self.quietly():
            self.play.max = self.step.max = self.value.numel() - 1
            self.position = self.step.value

    @follows("place")
    def draw(self) -> None:
        """The window at its present position."""
        self.view.draw(window_drawing(*self._numbers, self.value, *self._window()))

    def _window(self) -> tuple[int, int]:
        """Row and column of the present window."""
        return divmod(self.position, self.value.shape[1])

    def _follow_pointer(self) -> None:
        """Move the window to the pointer, and the pointer into the window's middle, from where arrow keys go on."""
        if self.view.pointer:
            row, column = window_at(*self.view.pointer, *self._numbers, self.value)
            self.step.value = row * self.value.shape[1] + column
        self.view.pointer = middle_of_window(self._numbers[1], *self._window())
