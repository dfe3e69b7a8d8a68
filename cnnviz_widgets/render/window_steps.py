"""A small kernel on a window of a small input: every product, their sum, and where the sum is written."""

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..i18n import _
from .drawing import Drawing
from .palette import FAINT, INK, OKABE_ITO, PAPER
from .words import font

DENSITY = 2  # picture pixels for one screen pixel, so that the numbers are sharp
CELL, GAP, HEAD = 60, 56, 24  # screen pixels
WINDOW_TINT, OUTPUT_TINT, EMPTY = (255, 236, 200), (205, 232, 248), (250, 250, 250)


def window_drawing(inputs: Tensor, kernel: Tensor, output: Tensor, row: int, column: int) -> Drawing:
    """The window at `row`, `column` of `output`, its sum in words; the arrow keys start from its middle."""
    window = inputs[row : row + kernel.shape[0], column : column + kernel.shape[1]]
    products = [f"{plain(x)}·{plain(k)}" for x, k in zip(window.flatten(), kernel.flatten(), strict=True)]
    caption = _("Row {row}, column {column} of the output: {sum} = {total}").format(
        row=row, column=column, sum=" + ".join(products), total=plain(output[row, column])
    )
    alt = _("Input, window and output.") + " " + caption
    more = {"zoom": 1 / DENSITY, "pointer": middle_of_window(kernel, row, column)}
    return Drawing(window_picture(inputs, kernel, output, row, column), caption, alt, more=more)


def middle_of_window(kernel: Tensor, row: int, column: int) -> list[int]:
    """The middle of the window at `row`, `column` of the output, as [x, y] in pixels of the picture."""
    x, y = column + kernel.shape[1] / 2, row + kernel.shape[0] / 2
    return [int(x * CELL * DENSITY), int((HEAD + y * CELL) * DENSITY)]


def window_at(x: float, y: float, inputs: Tensor, kernel: Tensor, output: Tensor) -> tuple[int, int]:
    """Row and column of the window that is meant by the pixel (x, y) of the picture.

    Over the input it is the one whose middle is there, over the output the one that makes the cell; the nearest that
    there is.
    """
    x, y, wide = x / DENSITY, y / DENSITY, inputs.shape[1] * CELL
    row, column = int((y - HEAD) // CELL), int(x // CELL)
    if x >= wide + GAP:
        column = int((x - wide - GAP) // CELL)
    else:
        row, column = row - kernel.shape[0] // 2, column - kernel.shape[1] // 2
    rows, columns = output.shape
    return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)


def plain(number: Tensor | float) -> str:
    """A number as one would write it by hand; zero has no sign."""
    return f"{float(number) + 0.0:.4g}".replace("-", "−")


def window_picture(inputs: Tensor, kernel: Tensor, output: Tensor, row: int, column: int) -> np.ndarray:
    """Input with its window and products at the left, output with what is computed so far at the right."""
    wide = inputs.shape[1] * CELL + GAP + output.shape[1] * CELL + 2
    high = HEAD + max(inputs.shape[0], output.shape[0]) * CELL + 2
    picture = Image.new("RGB", (wide * DENSITY, high * DENSITY), PAPER)
    draw = ImageDraw.Draw(picture)
    right = inputs.shape[1] * CELL + GAP
    _text(draw, 0, HEAD / 2, _("Input, with the kernel on its window"), 12, FAINT, "lm")
    _text(draw, right, HEAD / 2, _("Output"), 12, FAINT, "lm")
    for y in range(inputs.shape[0]):
        for x in range(inputs.shape[1]):
            ky, kx = y - row, x - column
            inside = 0 <= ky < kernel.shape[0] and 0 <= kx < kernel.shape[1]
            _cell(draw, x * CELL, HEAD + y * CELL, WINDOW_TINT if inside else EMPTY)
            centre, middle = (x + 0.5) * CELL, HEAD + (y + 0.5) * CELL
            if inside:
                weight = kernel[ky, kx]
                _text(draw, centre, middle - 13, f"{plain(inputs[y, x])} · {plain(weight)}", 13, FAINT, "mm")
                _text(draw, centre, middle + 11, plain(inputs[y, x] * weight), 17, INK, "mm", bold=True)
            else:
                _text(draw, centre, middle, plain(inputs[y, x]), 17, FAINT, "mm")
    _outline(draw, column * CELL, HEAD + row * CELL, kernel.shape[1], kernel.shape[0])
    _text(draw, right - GAP / 2, HEAD + (row + kernel.shape[0] / 2) * CELL, "Σ →", 17, INK, "mm")
    for y in range(output.shape[0]):
        for x in range(output.shape[1]):
            here, done = (y, x) == (row, column), (y, x) <= (row, column)
            _cell(draw, right + x * CELL, HEAD + y * CELL, OUTPUT_TINT if here else EMPTY)
            if done:
                colour = INK if here else FAINT
                place = right + (x + 0.5) * CELL, HEAD + (y + 0.5) * CELL
                _text(draw, *place, plain(output[y, x]), 17, colour, "mm", bold=here)
    _outline(draw, right + column * CELL, HEAD + row * CELL, 1, 1)
    return np.asarray(picture)


def _cell(draw: ImageDraw.ImageDraw, x: float, y: float, colour: tuple) -> None:
    box = [edge * DENSITY for edge in (x, y, x + CELL, y + CELL)]
    draw.rectangle(box, fill=colour, outline=(200, 200, 200), width=DENSITY)


def _outline(draw: ImageDraw.ImageDraw, x: float, y: float, columns: int, rows: int) -> None:
    box = [edge * DENSITY for edge in (x, y, x + columns * CELL, y + rows * CELL)]
    draw.rectangle(box, outline=OKABE_ITO[5], width=3 * DENSITY)


def _text(draw, x: float, y: float, words: str, size: int, colour: tuple, anchor: str, bold: bool = False) -> None:
    draw.text((x * DENSITY, y * DENSITY), words, font=font(size * DENSITY, bold), fill=colour, anchor=anchor)
