"""Numbers in words, and words as pictures."""

from bisect import bisect_right
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..text import one_line
from .palette import FAINT, PAPER


def number(value: float) -> str:
    """`value` to two significant digits, without an exponent where that stays short: 0.39, 12, −0.0031."""
    if not np.isfinite(value):
        return "–"
    text = f"{value + 0.0:.2g}"  # zero has no sign
    if "e" in text and 1e-4 <= abs(value) < 1e6:
        text = f"{float(text):.10f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def probability(value: float) -> str:
    """`value` as `number` has it, but never rounded to a certainty: < 0.001, 0.4, 0.996, > 0.999."""
    if 0 < value < 0.001:
        return "< 0.001"
    if 0.99 < value < 1:
        return f"{value:.3f}" if value < 0.9995 else "> 0.999"
    return number(value)


PLAIN_TEXT = "mathjax_ignore tex2jax_ignore"
"""The classes of HTML in which a notebook's page leaves dollars as they are, and takes nothing for mathematics."""


@cache
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The copy of DejaVu Sans that matplotlib ships, so that words look the same on every machine."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf" / name, size)


def text_block(text: str, width: int, size: int = 12, colour: tuple = FAINT, bold: bool = False) -> np.ndarray:
    """`text` wrapped to `width` pixels, as a picture with a white ground; its height is what the lines need."""
    face = font(size, bold)
    parts = (part if part.isprintable() else one_line(part, len(part) + 1) for part in text.split("\n"))
    lines = [line for part in parts for line in wrapped(part, width, face)]
    line_height = round(size * 1.4)
    picture = Image.new("RGB", (width, line_height * len(lines)), PAPER)
    draw = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        draw.text((0, row * line_height), line, font=face, fill=colour)
    return np.asarray(picture)


def wrapped(text: str, width: float, face: ImageFont.FreeTypeFont) -> list[str]:
    """`text` as lines of at most `width` pixels in `face`, broken between words."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def fitted(text: str, width: float, face: ImageFont.FreeTypeFont) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` pixels in `face`."""
    text = one_line(text, len(text) + 1)
    start = text[: max(int(width), 0) + 1]  # no letter is narrower than a pixel
    if start == text and face.getlength(text) <= width:
        return text
    room = bisect_right(range(len(start)), width, key=lambda count: face.getlength(start[: count + 1] + "…"))
    return start[:room] + "…"


def percent(share: float) -> str:
    """`share` (0..1) in per cent; only none and all read as 0 and 100."""
    if share not in (0, 1):
        share = min(max(share, 0.001), 0.999)
    return f"{share:.1%}".replace(".0%", "%")
