"""Pictures as the bytes of files."""

import io

import numpy as np
from PIL import Image

from ..i18n import _
from ..settings import one_of


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
