"""A confusion matrix of the ten digits as a picture whose cells can be pointed at."""

import numpy as np
from PIL import Image, ImageDraw

from ..i18n import _
from .drawing import Drawing
from .palette import INK, PAPER
from .words import font

CLASSES = 10
DENSITY = 2  # picture pixels for one screen pixel, so that the numbers are sharp
CELL, HEAD, SIDE = 23, 24, 256  # screen pixels: a cell, the margin with the digits, the whole matrix
RIGHT, WRONG = (214, 232, 246), (213, 94, 0)


def confusion_matrix(counts: np.ndarray, cell: tuple[int, int]) -> Drawing:
    """The matrix `[10, 10]` with its words; the pointer is put into the middle of `cell`, from where keys move it."""
    right, total = int(counts.trace()), int(counts.sum())
    middle = [(HEAD + place * CELL + CELL // 2) * DENSITY for place in reversed(cell)]
    return Drawing(
        matrix_picture(counts, cell),
        _("Rows: what it is; columns: what it was taken for. {right:,} of {total:,} right").format(
            right=right, total=total
        ),
        _("Confusion matrix: {right:,} of {total:,} digits right").format(right=right, total=total),
        more={"zoom": 1 / DENSITY, "pointer": middle},
    )


def cell_at(x: int, y: int) -> tuple[int, int] | None:
    """The cell (row, column) of the matrix at a place in picture pixels; None beside the cells."""
    column, row = ((place // DENSITY - HEAD) // CELL for place in (x, y))
    return (row, column) if 0 <= column < CLASSES and 0 <= row < CLASSES else None


def matrix_picture(counts: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """The matrix `[10, 10]` with its numbers: mistakes the redder the more frequent; `cell` is framed.

    uint8 `[512, 512, 3]`, two pixels to one of the screen.
    """
    picture = Image.new("RGB", (SIDE * DENSITY, SIDE * DENSITY), PAPER)
    draw = ImageDraw.Draw(picture)
    face, bold = font(10 * DENSITY), font(10 * DENSITY, True)
    worst = max(int((counts - np.diag(counts.diagonal())).max()), 1)
    for digit in range(CLASSES):
        middle = (HEAD + (digit + 0.5) * CELL) * DENSITY
        draw.text((middle, HEAD // 2 * DENSITY), str(digit), font=bold, fill=INK, anchor="mm")
        draw.text((HEAD // 2 * DENSITY, middle), str(digit), font=bold, fill=INK, anchor="mm")
    for row in range(CLASSES):
        for column in range(CLASSES):
            count = int(counts[row, column])
            box = _box(row, column)
            ground = RIGHT if row == column else _tint(count / worst)
            draw.rectangle(box, fill=ground, outline=(225, 225, 225), width=DENSITY)
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            if count:
                draw.text(middle, str(count), font=face, fill=INK, anchor="mm")
    draw.rectangle(_box(*cell), outline=INK, width=2 * DENSITY)
    return np.asarray(picture)


def _box(row: int, column: int) -> tuple[int, int, int, int]:
    left, top = HEAD + column * CELL, HEAD + row * CELL
    return left * DENSITY, top * DENSITY, (left + CELL) * DENSITY, (top + CELL) * DENSITY


def _tint(share: float) -> tuple[int, int, int]:
    """White for no mistake, orange for the most frequent."""
    weight = 0.0 if share == 0 else 0.15 + 0.6 * share
    return tuple(round(255 + (full - 255) * weight) for full in WRONG)
