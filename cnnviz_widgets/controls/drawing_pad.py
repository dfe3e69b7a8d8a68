"""A sheet to draw on."""

import math
from numbers import Real
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image, ImageDraw

from ..i18n import _

HERE = Path(__file__).parent
MOMENTS = 40  # how many moments of a drawing are looked back at
FARTHEST = 1e4  # pixels from the sheet's corner that a point may lie; no drawing reaches so far
FINER = 4  # strokes are drawn this much larger and then reduced, which softens their edges
Strokes = list[list[list[float]]]


class DrawingPad(anywidget.AnyWidget):
    """A sheet of `side` × `side` pixels to draw on with the pointer, or with arrow keys and space.

    `value` is the strokes, each a list of points `[x, y]` in pixels of the sheet; only the points travel. `image` is
    the drawing, white on black. `undo` takes the last stroke away, `clear` all of them.
    """

    _esm = (HERE / "drawing_pad.js").read_text(encoding="utf-8")
    _css = (HERE / "drawing_pad.css").read_text(encoding="utf-8")

    value = traitlets.List().tag(sync=True)
    side = traitlets.Int(28, help="pixels of the sheet").tag(sync=True)
    edge = traitlets.Int(262, help="screen pixels").tag(sync=True)
    pen = traitlets.Float(2.4, help="width of a stroke in pixels of the sheet").tag(sync=True)
    help = traitlets.Unicode("").tag(sync=True)

    def __init__(self, value: Strokes = (), **traits):
        words = _("Draw with the pointer; or move with the arrow keys, space puts the pen down and lifts it.")
        super().__init__(value=list(value), **{"help": words, **traits})

    @traitlets.validate("value")
    def _strokes(self, proposal: dict) -> Strokes:
        for stroke in proposal["value"]:
            if not isinstance(stroke, (list, tuple)) or not all(map(_is_point, stroke)):
                message = _("A drawing is a list of strokes, each a list of points [x, y], not {value}.")
                raise traitlets.TraitError(message.format(value=str(proposal["value"])[:100]))
        return proposal["value"]

    @property
    def image(self) -> np.ndarray:
        """The drawing: uint8 `[side * 4, side * 4]`, white ink (255) on black."""
        return rasterised(self.value, self.side, self.pen)

    def undo(self) -> None:
        """Take the last stroke away."""
        self.value = self.value[:-1]

    def clear(self) -> None:
        """Take all strokes away."""
        self.value = []

    def __repr__(self) -> str:
        return "DrawingPad()"


def rasterised(strokes: Strokes, side: int = 28, pen: float = 2.4) -> np.ndarray:
    """Strokes drawn with a round pen, white on black: uint8 `[side * 4, side * 4]`."""
    picture = Image.new("L", (side * FINER, side * FINER))
    draw = ImageDraw.Draw(picture)
    width, radius = round(pen * FINER), pen * FINER / 2
    for stroke in filter(None, strokes):
        points = [(x * FINER, y * FINER) for x, y in stroke]
        if len(points) > 1:
            draw.line(points, fill=255, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture)


def drawing_moments(strokes: Strokes) -> list[int]:
    """Numbers of points at which to look back at a drawing: evenly spaced, and wherever a stroke ends."""
    total = sum(len(stroke) for stroke in strokes)
    if not total:
        return []
    return sorted({*range(1, total + 1, max(1, total // MOMENTS)), *stroke_ends(strokes)})


def stroke_ends(strokes: Strokes) -> list[int]:
    """After how many points of a drawing each of its strokes ends."""
    return np.cumsum([len(stroke) for stroke in strokes], dtype=int).tolist()


def first_points(strokes: Strokes, count: int) -> Strokes:
    """The drawing when only its first `count` points were there."""
    shown, left = [], count
    for stroke in strokes:
        if left <= 0:
            break
        shown.append(stroke[:left])
        left -= len(stroke)
    return shown


def _is_point(value: object) -> bool:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    return pair and all(isinstance(place, Real) and math.isfinite(place) and abs(place) < FARTHEST for place in value)
