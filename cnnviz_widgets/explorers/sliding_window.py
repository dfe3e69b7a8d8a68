"""A 3×3 window over a 5×5 input: every product and every sum where it happens."""

import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from PIL import Image, ImageDraw
from torch import Tensor

from .. import render
from ..controls import NumberGrid
from ..controls.sliders import ROW, STYLE
from ..i18n import _
from ..techniques.convolution import convolve
from ..views import ImageView
from .base import Explorer

INPUT = ((0, 0, 1, 3, 3), (0, 1, 3, 3, 2), (1, 3, 3, 2, 1), (3, 3, 2, 1, 0), (3, 2, 1, 0, 0))
KERNEL = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))
DENSITY = 2  # picture pixels for one screen pixel, so that the numbers are sharp
CELL, GAP, HEAD = 60, 56, 24  # screen pixels
WINDOW_TINT, OUTPUT_TINT, EMPTY = (255, 236, 200), (205, 232, 248), (250, 250, 250)


class SlidingWindowExplorer(Explorer):
    """Slide a small kernel over a small input and see each product, their sum, and where the sum is written.

    The window moves by the slider, by play, under the pointer (over the input or over the output) and by arrow keys.
    Input and kernel can be typed over. `value` is the whole response, a float32 tensor `[h, w]`; `position` is the
    number of the window, row by row from 0, and setting it moves the window.
    """

    title = _("A sliding window")
    twin_kind = "png"
    position = traitlets.Int(0)

    def __init__(self, inputs=INPUT, kernel=KERNEL, position: int = 0):
        self.inputs = NumberGrid([list(row) for row in inputs], description=_("Numbers of the input"), width=200)
        self.kernel = NumberGrid([list(row) for row in kernel], description=_("Numbers of the kernel"), width=120)
        self.step = widgets.IntSlider(
            value=position,
            min=0,
            max=max(position, 0),
            description=_("Position"),
            tooltip=_("Which window is looked at, counted row by row"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.play = widgets.Play(
            value=position,
            min=0,
            max=max(position, 0),
            interval=900,
            description=_("Play"),
            layout={"margin": "2px 0 2px 92px"},
        )
        widgets.link((self.play, "value"), (self.step, "value"))
        self.view = ImageView(
            zoom=1 / DENSITY,
            follow="hover",
            key_step=CELL * DENSITY,
            help=_("Point at a cell, or use the arrow keys, to move the window."),
        )
        words = [widgets.Label(_("Input (type over a number)")), widgets.Label(_("Kernel"))]
        super().__init__(
            {"step": self.step, "inputs": self.inputs, "kernel": self.kernel},
            widgets.VBox([self.view], layout={"overflow": "visible"}),
            column=(self.step, self.play, words[0], self.inputs, words[1], self.kernel),
        )
        self.view.observe(lambda _change: self.attempt(self._follow_pointer), "pointer")
        self.observe(lambda change: setattr(self.step, "value", change["new"]), "position")

    @traitlets.validate("position")
    def _on_the_output(self, proposal: dict) -> int:
        return min(max(proposal["value"], 0), self.value.numel() - 1)

    def update(self, changed: str | None = None) -> None:
        """Compute the response and draw the window at its present position."""
        inputs, kernel = torch.tensor(self.inputs.value), torch.tensor(self.kernel.value)
        self.value = convolve(inputs[None, None], kernel[None, None])[0, 0]
        with self.quietly():
            self.play.max = self.step.max = self.value.numel() - 1
            self.position = self.step.value
        row, column = divmod(self.position, self.value.shape[1])
        window = inputs[row : row + kernel.shape[0], column : column + kernel.shape[1]]
        sum_of = " + ".join(f"{_plain(x)}·{_plain(k)}" for x, k in zip(window.flatten(), kernel.flatten(), strict=True))
        total = _plain(self.value[row, column])
        caption = _("Row {row}, column {column} of the output: {sum} = {total}").format(
            row=row, column=column, sum=sum_of, total=total
        )
        picture = _drawing(inputs, kernel, self.value, row, column)
        self.view.show(
            picture,
            kind="png",
            caption=caption,
            alt=_("Input, window and output.") + " " + caption,
            pointer=self._middle_of_window(),
        )

    def _middle_of_window(self) -> list[int]:
        """Where the arrow keys start from, in pixels of the drawing."""
        row, column = divmod(self.position, self.value.shape[1])
        x, y = column + len(self.kernel.value[0]) / 2, row + len(self.kernel.value) / 2
        return [int(x * CELL * DENSITY), int((HEAD + y * CELL) * DENSITY)]

    def _follow_pointer(self) -> None:
        if not self.view.pointer:
            self.view.pointer = self._middle_of_window()
            return
        x, y = (place / DENSITY for place in self.view.pointer)
        rows, columns = self.value.shape
        wide = len(self.inputs.value[0]) * CELL
        row, column = int((y - HEAD) // CELL), int(x // CELL)
        if x >= wide + GAP:
            column = int((x - wide - GAP) // CELL)
        else:  # the window whose middle is under the pointer
            row, column = row - len(self.kernel.value) // 2, column - len(self.kernel.value[0]) // 2
        self.step.value = min(max(row, 0), rows - 1) * columns + min(max(column, 0), columns - 1)
        self.view.pointer = self._middle_of_window()


def _plain(number: Tensor | float) -> str:
    """A number as one would write it by hand; zero has no sign."""
    return f"{float(number) + 0.0:.4g}".replace("-", "−")


def _drawing(inputs: Tensor, kernel: Tensor, output: Tensor, row: int, column: int) -> np.ndarray:
    """Input with its window and products at the left, output with what is computed so far at the right."""
    wide = inputs.shape[1] * CELL + GAP + output.shape[1] * CELL + 2
    high = HEAD + max(inputs.shape[0], output.shape[0]) * CELL + 2
    picture = Image.new("RGB", (wide * DENSITY, high * DENSITY), render.PAPER)
    draw = ImageDraw.Draw(picture)
    right = inputs.shape[1] * CELL + GAP
    _text(draw, 0, HEAD / 2, _("Input, with the kernel on its window"), 12, render.FAINT, "lm")
    _text(draw, right, HEAD / 2, _("Output"), 12, render.FAINT, "lm")
    for y in range(inputs.shape[0]):
        for x in range(inputs.shape[1]):
            ky, kx = y - row, x - column
            inside = 0 <= ky < kernel.shape[0] and 0 <= kx < kernel.shape[1]
            _cell(draw, x * CELL, HEAD + y * CELL, WINDOW_TINT if inside else EMPTY)
            centre, middle = (x + 0.5) * CELL, HEAD + (y + 0.5) * CELL
            if inside:
                weight = kernel[ky, kx]
                _text(draw, centre, middle - 13, f"{_plain(inputs[y, x])} · {_plain(weight)}", 13, render.FAINT, "mm")
                _text(draw, centre, middle + 11, _plain(inputs[y, x] * weight), 17, render.INK, "mm", bold=True)
            else:
                _text(draw, centre, middle, _plain(inputs[y, x]), 17, render.FAINT, "mm")
    _outline(draw, column * CELL, HEAD + row * CELL, kernel.shape[1], kernel.shape[0])
    _text(draw, right - GAP / 2, HEAD + (row + kernel.shape[0] / 2) * CELL, "Σ →", 17, render.INK, "mm")
    for y in range(output.shape[0]):
        for x in range(output.shape[1]):
            here, done = (y, x) == (row, column), (y, x) <= (row, column)
            _cell(draw, right + x * CELL, HEAD + y * CELL, OUTPUT_TINT if here else EMPTY)
            if done:
                colour = render.INK if here else render.FAINT
                place = right + (x + 0.5) * CELL, HEAD + (y + 0.5) * CELL
                _text(draw, *place, _plain(output[y, x]), 17, colour, "mm", bold=here)
    _outline(draw, right + column * CELL, HEAD + row * CELL, 1, 1)
    return np.asarray(picture)


def _cell(draw: ImageDraw.ImageDraw, x: float, y: float, colour: tuple) -> None:
    box = [edge * DENSITY for edge in (x, y, x + CELL, y + CELL)]
    draw.rectangle(box, fill=colour, outline=(200, 200, 200), width=DENSITY)


def _outline(draw: ImageDraw.ImageDraw, x: float, y: float, columns: int, rows: int) -> None:
    box = [edge * DENSITY for edge in (x, y, x + columns * CELL, y + rows * CELL)]
    draw.rectangle(box, outline=render.OKABE_ITO[5], width=3 * DENSITY)


def _text(draw, x: float, y: float, words: str, size: int, colour: tuple, anchor: str, bold: bool = False) -> None:
    draw.text((x * DENSITY, y * DENSITY), words, font=render.font(size * DENSITY, bold), fill=colour, anchor=anchor)
