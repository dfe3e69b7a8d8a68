"""What a panel shows, as data: a picture with its words. Made by functions of numbers, shown by any view or figure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..i18n import _
from .barchart import bars
from .maps import coloured, heat_map, limits, overlay, ramp, signed_map, upsampled
from .palette import EVIDENCE, GREY, OKABE_ITO, SIGNED
from .sheets import fitting
from .words import number, probability

WINDOW = OKABE_ITO[0]


@dataclass(frozen=True, eq=False)
class Drawing:
    """An `image` (uint8 `[H, W]` or `[H, W, 3]`) with its `caption` and `alt`ernative text, by default the caption.

    `kind` is "jpeg" for photographs and "png" for all else. `more` are further traits of `ImageView`: scale, zoom,
    marks. What a drawing does not say is not left over from the drawing before it.
    """

    image: np.ndarray
    caption: str = ""
    alt: str = ""
    kind: str = "png"
    more: dict = field(default_factory=dict)

    def traits(self) -> dict:
        """What `ImageView.show` takes beside the image."""
        always = {"ramp": {}, "kind": self.kind, "caption": self.caption, "alt": self.alt or self.caption}
        return {**always, **self.more}


def photograph(image: np.ndarray, caption: str, alt: str = "", box: int | None = None, **more: object) -> Drawing:
    """A picture of the reader's or the course's, in its own size or fitted into `box` screen pixels."""
    size = {} if box is None else fitting(*image.shape[:2], box)
    return Drawing(image, caption, alt, "jpeg", {**size, **more})


def map_drawing(values: np.ndarray, caption: str, label: str, box: int, **ends: float | None) -> Drawing:
    """One map `[H, W]` in a box of `box` screen pixels, in grey or around a white zero, with its scale.

    `label` is what the scale counts; `low` and `high` take the place of the map's own ends.
    """
    picture, scale = coloured(values, label, **ends)
    return Drawing(picture, caption, kind="jpeg", more={"ramp": scale, **fitting(*values.shape, box)})


def plain_map(values: np.ndarray, caption: str, label: str, box: int, cmap: str = GREY) -> Drawing:
    """One map `[H, W]` from its smallest to its largest value in the colours `cmap`, each cell a square."""
    low, high = limits(values)
    high = high if high > low else low + 1
    more = {**fitting(*values.shape, box), "pixelated": True, "ramp": ramp(cmap, low, high, label)}
    return Drawing(heat_map(values, cmap, low, high), caption, more=more)


def evidence(values: np.ndarray, caption: str, label: str, zoom: float = 1.0) -> Drawing:
    """A map `[H, W]` of what speaks for something, with its scale; `label` is what the scale counts."""
    low, high = limits(values)
    high = high if high > low else low + 1
    more = {"ramp": ramp(EVIDENCE, low, high, label), "zoom": zoom, "pixelated": zoom >= 1}
    return Drawing(heat_map(values, low=low, high=high), caption, more=more)


def signed_evidence(values: np.ndarray, caption: str, label: str, zoom: float = 1.0) -> Drawing:
    """A map `[H, W]` of what speaks for something (red) and against it (blue), zero white, with its scale."""
    limit = max(abs(end) for end in limits(values)) or 1.0
    more = {"ramp": ramp(SIGNED, -limit, limit, label), "zoom": zoom, "pixelated": zoom >= 1}
    return Drawing(signed_map(values, limit), caption, more=more)


def over(picture: np.ndarray, values: np.ndarray, caption: str, box: int | None = None) -> Drawing:
    """`picture` with a map `[h, w]` over it, whose cells are stretched to the picture; what is below 0 is left out."""
    shown = overlay(picture, upsampled(values.clip(0), picture.shape[:2]), low=0.0)
    return photograph(shown, caption, box=box)


def probabilities(
    rows: Sequence[tuple[str, float]], width: int, caption: str, *, density: int = 2, **options: object
) -> Drawing:
    """Bars of (label, probability) in `width` screen pixels; `options` are those of `bars`."""
    words = ", ".join(f"{label} {probability(value)}" for label, value in rows)
    alt = _("Probabilities: {words}").format(words=words)
    more = {"zoom": 1 / density, "drawing": True}
    return Drawing(bars(rows, width, density=density, **options), caption, alt, more=more)


def shares(
    rows: Sequence[tuple[str, float]], width: int, caption: str, what: str, *, density: int = 2, **options: object
) -> Drawing:
    """Bars of (label, value) that are no probabilities; `what` says in the alternative text what they are."""
    words = ", ".join(f"{label} {number(value)}" for label, value in rows)
    alt = _("{what}: {words}").format(what=what, words=words)
    return Drawing(
        bars(rows, width, density=density, **options), caption, alt, more={"zoom": 1 / density, "drawing": True}
    )


def window_mark(left: int, top: int, size: int, colour: str = WINDOW) -> dict:
    """The edge of a window of `size` × `size` pixels of a picture, as `ImageView.marks` takes it."""
    return {"x": left, "y": top, "w": size, "h": size, "colour": colour}
