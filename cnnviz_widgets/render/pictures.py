"""Arrays to pictures: heat maps, overlays, mosaics, scales, bar charts, and sheets that put them together.

Everything here takes and returns NumPy arrays (pictures are uint8 `[H, W, 3]`); nothing touches pyplot or a widget.
"""

import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..i18n import _
from ..settings import one_of

INK = (33, 33, 33)
FAINT = (117, 117, 117)
PAPER = (255, 255, 255)
UNKNOWN = (224, 224, 224)  # colour of map cells that have no value (yet)
NARROWEST = 160  # pixels: what a caption needs, however small its picture
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000")
EVIDENCE, SIGNED, GREY = "magma", "RdBu_r", "gray"


# ---------------------------------------------------------------------------------------------------------- encoding
def encode(image: np.ndarray, kind: str = "png", quality: int = 88, colours: int | None = None) -> bytes:
    """`image` (uint8, `[H, W]` or `[H, W, 3]`) as the bytes of a "png" (exact) or "jpeg" (photographs) file.

    With `colours` a PNG is reduced to that many, which makes a drawing with soft letters three times smaller.
    Raises `WrongSetting` for any other kind.
    """
    one_of(_("kind of picture"), kind, ("png", "jpeg"))
    picture = Image.fromarray(np.ascontiguousarray(image))
    file = io.BytesIO()
    if kind == "jpeg":
        picture.save(file, "JPEG", quality=quality, subsampling=0 if quality >= 95 else -1)
    elif colours:
        with_few_colours(picture, colours).save(file, "PNG", optimize=True)
    else:
        picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def with_few_colours(picture: Image.Image, colours: int) -> Image.Image:
    """`picture` in at most `colours` (2 to 256) colours, those of thin lines and small marks among them.

    Median cut gives its colours to large areas and paints a green line grey; a fifth of the colours therefore goes,
    one by one, to what is then furthest from its own.
    """
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.uint32), 2, 0)
    shades, where, counts = np.unique(red << 16 | green << 8 | blue, return_inverse=True, return_counts=True)
    shades = np.stack([shades >> 16, shades >> 8 & 255, shades & 255], axis=1).astype(np.float32)
    palette = list(shades)
    if len(shades) > colours:
        common = picture.quantize(colours - colours // 5, dither=Image.Dither.NONE).convert("RGB").getcolors()
        palette = [np.array(colour, np.float32) for _count, colour in common]
    distance = np.stack([((shades - colour) ** 2).sum(1) for colour in palette])
    nearest, distance = distance.argmin(0), distance.min(0)
    while len(palette) < colours and distance.any():
        palette.append(shades[(distance * np.sqrt(counts)).argmax()])
        to_new = ((shades - palette[-1]) ** 2).sum(1)
        nearest = np.where(to_new < distance, len(palette) - 1, nearest)
        distance = np.minimum(distance, to_new)
    reduced = Image.fromarray(nearest[where].reshape(red.shape).astype(np.uint8), "P")
    reduced.putpalette(np.array(palette).astype(np.uint8).tobytes())
    return reduced


# -------------------------------------------------------------------------------------------------------------- maps
@cache
def colour_table(name: str) -> np.ndarray:
    """The 256 colours of matplotlib's colour map `name`: uint8 `[256, 3]`, lowest value first."""
    import matplotlib

    return (matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255).round().astype(np.uint8)


def _numbers(values: object) -> np.ndarray:
    """An array, a list, or a tensor of any type, with or without gradients, as float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    return np.asarray(values, dtype=np.float64)


def limits(values: np.ndarray, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """The range a map is drawn in: `low` and `high` where given, else the smallest and largest finite value."""
    values = _numbers(values)
    finite = values[np.isfinite(values)]
    low = low if low is not None else float(finite.min()) if finite.size else 0.0
    high = high if high is not None else float(finite.max()) if finite.size else 1.0
    return low, high


def scaled(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """`values` brought into 0..1 between `low` and `high`, clipped there; a constant map becomes 0.

    What is not finite becomes NaN.
    """
    values = _numbers(values)
    low, high = limits(values, low, high)
    values = np.where(np.isfinite(values), values, np.nan)
    return np.clip((values - low) / (high - low), 0, 1) if high > low else values * 0


def heat_map(
    values: np.ndarray, cmap: str = EVIDENCE, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """`values` `[H, W]` as colours, `low` darkest; values that are not finite come out light grey."""
    share = scaled(values, low, high)
    known = np.isfinite(share)
    picture = colour_table(cmap)[np.where(known, share * 255, 0).round().astype(np.uint8)]
    picture[~known] = UNKNOWN
    return picture


def signed_map(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    """`values` `[H, W]` on a diverging map centred on zero (white): blue below, red above, full colour at ±`limit`."""
    values = _numbers(values)
    limit = limit if limit is not None else max(abs(bound) for bound in limits(values))
    limit = limit or 1.0
    return heat_map(values, SIGNED, -limit, limit)


def channels_as_colour(maps: np.ndarray) -> np.ndarray:
    """Three maps `[3, H, W]` as the red, green and blue of one picture, each stretched to its own range."""
    return np.stack([np.nan_to_num(scaled(channel) * 255).round() for channel in maps], axis=-1).astype(np.uint8)


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    cmap: str = EVIDENCE,
    low: float | None = None,
    high: float | None = None,
    opacity: float = 0.85,
) -> np.ndarray:
    """`image` with `values` `[H, W]` over it: the larger a value, the more of its colour, the less of the picture."""
    share = scaled(values, low, high)
    alpha = (np.nan_to_num(share) * opacity)[..., None]
    return (image * (1 - alpha) + heat_map(values, cmap, low, high) * alpha).round().astype(np.uint8)


def outside_faded(image: np.ndarray, mask: np.ndarray, shade: float = 0.0) -> np.ndarray:
    """`image` where `mask` (bool `[H, W]`) is true; elsewhere grey paper with `shade` (0..1) of the picture left."""
    faded = image * shade + np.asarray(UNKNOWN) * (1 - shade)
    return np.where(mask[..., None], image, faded).round().astype(np.uint8)


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """`image` with every pixel drawn as a square of `factor` × `factor` pixels."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def mosaic(pictures: Sequence[np.ndarray], columns: int, gap: int = 2, background: int = 255) -> np.ndarray:
    """Pictures of one size (`[H, W]` or `[H, W, 3]`) in rows of `columns`, `gap` pixels apart, as one picture."""
    pictures = [as_colour(picture) for picture in pictures]
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full(
        (rows * (height + gap) - gap, min(columns, len(pictures)) * (width + gap) - gap, 3), background, np.uint8
    )
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def as_colour(image: np.ndarray) -> np.ndarray:
    """`image` as uint8 `[H, W, 3]`; a grey one gets three equal channels."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


# ------------------------------------------------------------------------------------------------------------- words
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


@cache
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The copy of DejaVu Sans that matplotlib ships, so that words look the same on every machine."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf" / name, size)


def text_block(text: str, width: int, size: int = 12, colour: tuple = FAINT, bold: bool = False) -> np.ndarray:
    """`text` wrapped to `width` pixels, as a picture with a white ground; its height is what the lines need."""
    face = font(size, bold)
    lines = [line for part in text.split("\n") for line in wrapped(part, width, face)]
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


# ------------------------------------------------------------------------------------------------------------ charts
def ramp(cmap: str, low: float | str, high: float | str, label: str) -> dict:
    """The scale beside a map, as `ImageView.ramp` takes it: colours from low to high, both ends, what it measures."""
    stops = ["#" + bytes(colour).hex() for colour in colour_table(cmap)[np.linspace(0, 255, 12).astype(int)]]
    ends = [end if isinstance(end, str) else number(end) for end in (low, high)]
    return {"stops": stops, "low": ends[0], "high": ends[1], "label": label}


def ramp_strip(scale: dict, height: int) -> np.ndarray:
    """The drawn form of a `ramp`: a strip of `height` pixels with its two ends written beside it."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in scale["stops"]])
    share = np.linspace(len(stops) - 1, 0, height)
    strip = np.stack([np.interp(share, range(len(stops)), stops[:, channel]) for channel in range(3)], axis=-1)
    widest = max(font(11).getlength(scale[end]) for end in ("low", "high"))
    picture = Image.new("RGB", (max(64, 26 + round(widest)), height), PAPER)
    picture.paste(Image.fromarray(strip.round().astype(np.uint8)[:, None].repeat(12, axis=1)), (8, 0))
    draw = ImageDraw.Draw(picture)
    draw.text((24, 0), scale["high"], font=font(11), fill=FAINT)
    draw.text((24, height - 13), scale["low"], font=font(11), fill=FAINT)
    return np.asarray(picture)


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


def fitted(text: str, width: float, face: ImageFont.FreeTypeFont) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` pixels in `face`."""
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


# ------------------------------------------------------------------------------------------------------------ sheets
def figure(
    image: np.ndarray,
    *,
    zoom: float = 1.0,
    smooth: bool = False,
    marks: Iterable[dict] = (),
    ramp: dict | None = None,
    caption: str = "",
) -> np.ndarray:
    """`image` enlarged by `zoom`, with rectangles `marks` over it, its scale at the right and its caption below."""
    size = (max(round(image.shape[1] * zoom), 1), max(round(image.shape[0] * zoom), 1))
    if zoom == 1:
        picture = Image.fromarray(as_colour(image))
    else:
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BOX if zoom < 1 else Image.Resampling.NEAREST
        picture = Image.fromarray(as_colour(image)).resize(size, how)
    draw = ImageDraw.Draw(picture)
    for mark in marks:
        box = [mark["x"] * zoom, mark["y"] * zoom, (mark["x"] + mark["w"]) * zoom, (mark["y"] + mark["h"]) * zoom]
        fill = mark.get("fill")
        draw.rectangle(box, outline=mark["colour"], width=2, fill=None if fill in (None, "none") else fill)
    parts = [np.asarray(picture)]
    if ramp:
        parts.append(ramp_strip(ramp, parts[0].shape[0]))
    whole = beside(parts, gap=0)
    return above([whole, text_block(caption, max(whole.shape[1], NARROWEST))], gap=4) if caption else whole


def beside(pictures: Sequence[np.ndarray], gap: int = 16) -> np.ndarray:
    """Pictures of any size in a row, aligned at the top, `gap` pixels apart, on white."""
    height = max(picture.shape[0] for picture in pictures)
    sheet = np.full((height, sum(p.shape[1] for p in pictures) + gap * (len(pictures) - 1), 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = as_colour(picture)
        left += picture.shape[1] + gap
    return sheet


def above(pictures: Sequence[np.ndarray], gap: int = 12) -> np.ndarray:
    """Pictures of any size in a column, aligned at the left, `gap` pixels apart, on white."""
    turned = [as_colour(picture).transpose(1, 0, 2) for picture in pictures]
    return beside(turned, gap).transpose(1, 0, 2)


def margin(image: np.ndarray, width: int = 8) -> np.ndarray:
    """`image` with a white margin of `width` pixels all around."""
    return np.pad(image, ((width, width), (width, width), (0, 0)), constant_values=255)
