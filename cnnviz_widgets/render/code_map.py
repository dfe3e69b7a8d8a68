"""A map of codes with what stands beside it: the picture pointed at, the neighbours, and what the map is worth."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..i18n import _
from ..techniques.embedding import PIXELS, Embedding
from .barchart import bars
from .drawing import Drawing
from .maps import as_colour, enlarge, ramp
from .palette import INK, OKABE_ITO
from .scatter import neighbour_rows, scatter, value_colours
from .sheets import beside
from .words import text_block

DENSITY = 2  # picture pixels for one of the screen
BESIDE, CARD = 240, 72  # screen pixels: width of what stands beside the map, height of the picture pointed at
CHOSEN, POINTED_AT, IN_CODES, IN_PIXELS = "#000000", "#666666", OKABE_ITO[4], OKABE_ITO[6]


def code_map(
    made: Embedding,
    labels: np.ndarray,
    names: Sequence[str],
    side: int,
    *,
    perplexity: int = 0,
    values: np.ndarray | None = None,
    value_name: str = "",
    pictures: np.ndarray | None = None,
) -> Drawing:
    """A `scatter` of a map in `side` screen pixels, with the scale of `values` where they colour it.

    `perplexity` is what a map by t-SNE was made with.
    """
    scale = {}
    if values is not None:
        _colours, cmap, low, high = value_colours(values)
        scale = ramp(cmap, low, high, value_name)
    method = "PCA" if made.method == "pca" else _("t-SNE, perplexity {n}").format(n=perplexity)
    method = method if math.isnan(made.divergence) else f"{method}, KL {made.divergence:.2f}"
    caption = _("{count:,} pictures by {method}, layer {layer}")
    caption = caption.format(count=len(made.points), method=method, layer=made.layer)
    what = {"values": values, "pictures": pictures, "side": side, "density": DENSITY}
    alt, more = _("A map of {caption}").format(caption=caption), {"zoom": 1 / DENSITY, "ramp": scale}
    return Drawing(scatter(made.points.numpy(), labels, names, **what), caption, alt, more=more)


def card(picture: np.ndarray, lines: Sequence[str]) -> Drawing:
    """One of the pictures, uint8 `[h, w]` or `[h, w, 3]`, enlarged, with lines about it at its right."""
    tile = np.asarray(as_colour(picture))
    factor = max(CARD * DENSITY // max(tile.shape[:2]), 1)
    words = text_block("\n".join(lines), (BESIDE - CARD - 12) * DENSITY, 12 * DENSITY, INK)
    found = beside([enlarge(tile, factor), words], gap=8 * DENSITY)
    room = np.full((CARD * DENSITY, BESIDE * DENSITY, 3), 255, np.uint8)
    height, width = min(found.shape[0], room.shape[0]), min(found.shape[1], room.shape[1])
    room[:height, :width] = found[:height, :width]
    return Drawing(room, alt=". ".join(lines), more={"zoom": 1 / DENSITY})


def neighbourhood(
    pictures: np.ndarray, labels: np.ndarray, names: Sequence[str], chosen: int, near: dict[str, list[int]], layer: str
) -> Drawing:
    """The pictures nearest to number `chosen`, in rows: by the codes of `layer`, by "pixels", and on the "map"."""
    rows, said = [], []
    for name, title, colour in (
        ("codes", _("nearest in {layer}").format(layer=layer), IN_CODES),
        ("pixels", _("nearest in pixels"), IN_PIXELS),
        ("map", _("nearest on this map"), ""),
    ):
        indices = near[name]
        words = [names[labels[index]] for index in indices]
        same = [labels[index] == labels[chosen] for index in indices]
        rows.append((title, colour, [pictures[index] for index in indices], words, same))
        said.append(f"{title}: {', '.join(words)}")
    return Drawing(
        neighbour_rows(rows, width=BESIDE, density=DENSITY),
        _("Nearest first; another class in an orange frame"),
        _("Neighbours of picture {n}. {rows}").format(n=chosen, rows="; ".join(said)),
        more={"zoom": 1 / DENSITY},
    )


def scores(made: Embedding, flat: Embedding, accuracy: Mapping[str, float]) -> Drawing:
    """How often the nearest has the same class, and how far a map is to be trusted, beside PCA's map `flat`.

    `accuracy` has by layer how often the nearest code is of the same class, "pixels" among them.
    """
    rows = [(_("in pixels"), accuracy[PIXELS])] if made.layer != PIXELS else []
    rows += [(_("in {layer}").format(layer=made.layer), accuracy[made.layer]), (_("on PCA's map"), flat.accuracy)]
    trusted = [(_("trust, PCA"), flat.trustworthiness)]
    if made.method == "tsne":
        rows.append((_("on t-SNE's map"), made.accuracy))
        trusted.append((_("trust, t-SNE"), made.trustworthiness))
    words = ", ".join(f"{name} {value:.3f}" for name, value in [*rows, *trusted])
    return Drawing(
        bars([*rows, *trusted], BESIDE, label_width=106),
        _("Share whose nearest is of their class; trustworthiness"),
        _("Nearest of the same class: {words}").format(words=words),
        more={"zoom": 1 / DENSITY, "drawing": True},
    )


def frames(places: np.ndarray, chosen: int, near: dict[str, list[int]], over: int | None) -> list[dict]:
    """Frames around the points at `places` `[N, 2]`: the neighbours of `chosen`, itself, and what is pointed at."""
    marks = [_frame(places[index], IN_PIXELS, 9) for index in near["pixels"]]
    marks += [_frame(places[index], IN_CODES, 7) for index in near["codes"]]
    marks.append(_frame(places[chosen], CHOSEN, 11))
    if over is not None:
        marks.append(_frame(places[over], POINTED_AT, 8))
    return marks


def _frame(place: np.ndarray, colour: str, half: int) -> dict:
    x, y = (round(float(coordinate)) for coordinate in place)
    half *= DENSITY
    return {"x": x - half, "y": y - half, "w": 2 * half, "h": 2 * half, "colour": colour}
