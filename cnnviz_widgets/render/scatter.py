"""Points in the plane as a picture: as dots, as the names of their classes, or as the pictures they stand for."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .. import render
from ..text import one_line

CLASSES = (*(render.OKABE_ITO[index] for index in (4, 5, 2, 6, 1, 0, 7)), "#A89A00", "#7B4FA3", "#7A7A7A")
MARGIN = 16  # screen pixels around the points
DOT, LETTER, TILE = 9, 12, 20  # screen pixels


def places(points: np.ndarray, side: int, margin: int = MARGIN) -> np.ndarray:
    """Where `points` `[N, 2]` stand in a square picture of `side` pixels: (x, y) with y down, float `[N, 2]`.

    Both axes have one scale, and the whole map fits. Points that are all in one place stand in the middle.
    """
    points = np.asarray(points, float)
    low, high = points.min(0), points.max(0)
    extent = (high - low).max()
    scale = (side - 2 * margin) / extent if extent > 0 else 0.0
    return (points - (low + high) / 2) * scale * (1, -1) + side / 2


def class_colour(label: int) -> tuple[int, int, int]:
    """The colour of class number `label`; every tenth is the same again, but darker."""
    red_green_blue = bytes.fromhex(CLASSES[label % len(CLASSES)][1:])
    return tuple(round(part * 0.65 ** (label // len(CLASSES))) for part in red_green_blue)


def value_colours(values: np.ndarray) -> tuple[np.ndarray, str, float, float]:
    """The colours uint8 `[N, 3]` of values `[N]`, their colour map and its ends: around zero where some are below."""
    low, high = render.limits(np.asarray(values, float))
    name = "viridis"
    if low < 0:
        name, high = render.SIGNED, max(-low, high)
        low = -high
    share = np.nan_to_num(render.scaled(np.asarray(values, float), low, high))
    return render.colour_table(name)[(share * 255).round().astype(int)], name, low, high


def scatter(
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    values: np.ndarray | None = None,
    pictures: np.ndarray | None = None,
    side: int = 440,
    density: int = 2,
) -> np.ndarray:
    """A map of `points` `[N, 2]` whose class is `labels` `[N]`, called `names[label]`: uint8 `[side, side, 3]`.

    Where every name is one letter, the letters stand for the points; else dots do, with each name in the middle of its
    class. `values` `[N]` colour dots instead, without names. `pictures` (uint8 `[N, h, w]`, light ink on dark, or
    `[N, h, w, 3]`) stand in place of the points. The picture has `density` pixels for one of the screen.
    """
    names = [one_line(name) for name in names]
    picture = Image.new("RGB", (side * density, side * density), render.PAPER)
    where = places(points, side * density, MARGIN * density)
    colours = np.array([class_colour(int(label)) for label in labels]) if values is None else value_colours(values)[0]
    if pictures is not None:
        _paste_pictures(picture, where, pictures, colours, density)
        return np.asarray(picture)
    lettered = values is None and all(len(name) == 1 for name in names)
    stamps = {label: _letter(names[label], density) if lettered else None for label in np.unique(labels).tolist()}
    dot, ring = _dot(DOT * density), _dot((DOT + 1) * density)
    for (x, y), label, colour in zip(where, np.asarray(labels).tolist(), colours.tolist(), strict=True):
        if lettered:
            _stamp(picture, stamps[label], x, y, tuple(colour))
        else:
            _stamp(picture, ring, x, y, tuple(part * 6 // 10 for part in colour))
            _stamp(picture, dot, x, y, tuple(colour))
    if not lettered and values is None:
        _write_names(picture, where, np.asarray(labels), names, density)
    return np.asarray(picture)


def _stamp(picture: Image.Image, mask: Image.Image, x: float, y: float, colour: tuple) -> None:
    picture.paste(colour, (round(x - mask.width / 2), round(y - mask.height / 2)), mask)


def _dot(size: int) -> Image.Image:
    large = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(large).ellipse((0, 0, 4 * size - 1, 4 * size - 1), fill=255)
    return large.resize((size, size), Image.Resampling.BOX)


def _letter(name: str, density: int) -> Image.Image:
    size = LETTER * density
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).text((size / 2, size / 2), name, font=render.font(11 * density), fill=255, anchor="mm")
    return mask


def _paste_pictures(
    picture: Image.Image, where: np.ndarray, pictures: np.ndarray, colours: np.ndarray, density: int
) -> None:
    size = TILE * density
    for (x, y), tile, colour in zip(where, pictures, colours.tolist(), strict=True):
        small = Image.fromarray(tile).resize((size, size), Image.Resampling.BOX)
        if tile.ndim == 2:  # light ink on dark becomes coloured ink on paper
            _stamp(picture, small, x, y, tuple(colour))
            continue
        corner = (round(x - size / 2), round(y - size / 2))
        frame = (
            corner[0] - density,
            corner[1] - density,
            corner[0] + size + density - 1,
            corner[1] + size + density - 1,
        )
        ImageDraw.Draw(picture).rectangle(frame, fill=tuple(colour))
        picture.paste(small, corner)


def _write_names(
    picture: Image.Image, where: np.ndarray, labels: np.ndarray, names: Sequence[str], density: int
) -> None:
    """Each name at the point of its class that lies most in its midst, where it is not over an earlier name."""
    draw, face = ImageDraw.Draw(picture), render.font(11 * density, bold=True)
    for label in np.unique(labels).tolist():
        own = where[labels == label]
        x, y = own[np.abs(own - np.median(own, axis=0)).sum(1).argmin()]
        half = face.getlength(names[label]) / 2
        x = float(np.clip(x, half + 2, picture.width - half - 2))
        colour = class_colour(label)
        halo = {"stroke_width": 3 * density, "stroke_fill": render.PAPER}
        draw.text((x, y), names[label], font=face, fill=colour, anchor="mm", **halo)


def neighbour_rows(
    rows: Sequence[tuple[str, str, Sequence[np.ndarray], Sequence[str], Sequence[bool]]],
    *,
    width: int = 240,
    tile: int = 36,
    density: int = 2,
) -> np.ndarray:
    """Rows of small pictures: for each its heading, the colour of its sign, pictures, a word for each, which are right.

    An empty colour leaves the sign out. A picture that is not right has an orange frame. uint8 `[H, W, 3]`, `density`
    pixels for one of the screen.
    """
    heading, words, gap = 16 * density, 14 * density, 4 * density
    size = tile * density
    height = heading + size + words + gap
    sheet = Image.new("RGB", (width * density, height * len(rows)), render.PAPER)
    draw, face = ImageDraw.Draw(sheet), render.font(10 * density)
    for index, (title, colour, pictures, names, right) in enumerate(rows):
        top = index * height
        indent = 14 * density if colour else 0
        if colour:
            draw.rectangle((0, top + 3 * density, 9 * density, top + 12 * density), outline=colour, width=2 * density)
        big = render.font(11 * density)
        draw.text((indent, top + 8 * density), title, font=big, fill=render.INK, anchor="lm")
        step = (width * density - size) / max(len(pictures) - 1, 1) if len(pictures) > 1 else 0
        step = min(step, size + gap)
        for place, (picture, name, fine) in enumerate(zip(pictures, names, right, strict=True)):
            left = round(place * step)
            small = Image.fromarray(render.as_colour(picture)).resize((size, size), Image.Resampling.BOX)
            sheet.paste(small, (left, top + heading))
            if not fine:
                box = (left, top + heading, left + size - 1, top + heading + size - 1)
                draw.rectangle(box, outline=render.OKABE_ITO[5], width=2 * density)
            text = render.fitted(name, step or size, face)
            draw.text((left + size / 2, top + heading + size + density), text, font=face, fill=render.INK, anchor="mt")
    return np.asarray(sheet)
