"""Numbers as colours: heat maps, signed maps, overlays, and the scale beside a map."""

import numpy as np
from PIL import Image, ImageDraw

from .palette import EVIDENCE, FAINT, GREY, PAPER, SIGNED, UNKNOWN, colour_table
from .words import font, number


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


def as_colour(image: np.ndarray) -> np.ndarray:
    """`image` as uint8 `[H, W, 3]`; a grey one gets three equal channels."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def upsampled(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map `[h, w]` stretched over a picture of `size` (H, W), each cell a rectangle."""
    rows = np.arange(size[0]) * values.shape[0] // size[0]
    columns = np.arange(size[1]) * values.shape[1] // size[1]
    return values[rows[:, None], columns]


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


def coloured(values: np.ndarray, label: str, low: float | None = None, high: float | None = None) -> tuple:
    """One map `[H, W]` as a picture and its scale (as `ImageView.ramp`): the picture is uint8 `[H, W, 3]`.

    Blue and red around a white zero if the map has both signs, otherwise grey, with zero black. `low` and `high` take
    the place of the map's own smallest and largest value, so that two maps can share one scale.
    """
    low, high = limits(values, low, high)
    if low < 0 < high and -low > high / 20:
        limit = max(-low, high)
        return signed_map(values, limit), ramp(SIGNED, -limit, limit, label)
    low, high = min(low, 0.0), max(high, 0.0)
    high = high if high > low else low + 1.0  # nothing but zeros
    return heat_map(values, GREY, low, high), ramp(GREY, low, high, label)
