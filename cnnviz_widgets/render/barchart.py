"""Labelled horizontal bars, such as the probabilities of classes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .palette import INK, OKABE_ITO, PAPER
from .words import fitted, font, number, probability


def bars(
    rows: Sequence[tuple[str, float]],
    width: int = 448,
    *,
    before: Sequence[float] | None = None,
    high: float = 1.0,
    chosen: str | None = None,
    label_width: int | None = None,
    density: int = 2,
) -> np.ndarray:
    """Labelled horizontal bars from 0 to `high`, one a row, `density` picture pixels to one screen pixel.

    With `high` of 1 the values are taken for probabilities. `before` marks with a line where each bar stood before;
    `chosen` names the row that is drawn in orange.
    """
    line, value_width = 22 * density, 56 * density
    label_width = (label_width or int(width * 0.36)) * density
    full = width * density - label_width - value_width
    picture = Image.new("RGB", (width * density, line * len(rows) + 2 * density), PAPER)
    draw = ImageDraw.Draw(picture)
    face = font(12 * density)
    for index, (label, value) in enumerate(rows):
        top, middle = index * line + 3 * density, index * line + line // 2
        place = (4 * density, middle)
        draw.text(place, fitted(label, label_width - 12 * density, face), font=face, fill=INK, anchor="lm")
        length = full * min(max(value / high, 0), 1) if np.isfinite(value) else 0
        draw.rectangle((label_width, top, label_width + full, top + line - 6 * density), fill=(242, 242, 242))
        colour = OKABE_ITO[5] if label == chosen else OKABE_ITO[4]
        if length >= 1:
            draw.rectangle((label_width, top, label_width + length, top + line - 6 * density), fill=colour)
        if before is not None:
            x = label_width + full * min(max(before[index] / high, 0), 1)
            draw.line((x, top - density, x, top + line - 5 * density), fill=INK, width=2 * density)
        words = probability(value) if high == 1 else number(value)
        if high != 1 and 0 < value < high / 1000:
            words = f"< {number(high / 1000)}"
        draw.text((label_width + full + 6 * density, middle), words, font=face, fill=INK, anchor="lm")
    return np.asarray(picture)
