"""Files that readers might upload: what is shown right, and what is refused in one sentence."""

import io
import zlib

import numpy as np
from PIL import Image

GREEN = (30, 160, 60)


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def half_and_half(width=60, height=40) -> Image.Image:
    """Green at the left, white at the right."""
    picture = Image.new("RGB", (width, height), "white")
    picture.paste(GREEN, (0, 0, width // 2, height))
    return picture


def one_pixel() -> bytes:
    return encoded(Image.new("RGB", (1, 1), GREEN))


def cmyk() -> bytes:
    return encoded(half_and_half().convert("CMYK"), "JPEG", quality=95)


def deep_grey() -> bytes:
    values = np.zeros((40, 60), np.uint16)
    values[:, 30:] = 65535
    return encoded(Image.fromarray(values))


def see_through() -> bytes:
    picture = half_and_half().convert("RGBA")
    picture.paste((0, 0, 0, 0), (30, 0, 60, 40))
    return encoded(picture)


def animated() -> bytes:
    later = Image.new("RGB", (60, 40), "red")
    return encoded(half_and_half(), "GIF", save_all=True, append_images=[later, later])


def rotated() -> bytes:
    """Lies on its side in the file; its EXIF data ask for a quarter turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(half_and_half().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def text() -> bytes:
    return b"This is no picture at all, whatever its name may say.\n" * 20


def truncated() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), "JPEG", quality=95)[:4000]


def two_hundred_megapixels() -> bytes:
    """A PNG of 20,000 × 10,000 pixels in a few hundred bytes; only its header is meant to be read."""
    side = (20000).to_bytes(4, "big"), (10000).to_bytes(4, "big")
    parts = [(b"IHDR", b"".join(side) + bytes([8, 2, 0, 0, 0])), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    chunks = [
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


SHOWN = {"cmyk": cmyk, "deep grey": deep_grey, "see through": see_through, "animated": animated, "rotated": rotated}
REFUSED = {
    "text": (text, "not a picture"),
    "truncated": (truncated, "damaged or incomplete"),
    "200 megapixels": (two_hundred_megapixels, "200 megapixels"),
    "empty": (bytes, "empty"),
}


def assert_left_and_right(image: np.ndarray, kind: str) -> None:
    """The picture stands upright, with its left half dark or green and its right half white."""
    assert image.shape == (40, 60, 3)
    left, right = image[5:35, 5:25].astype(int), image[5:35, 35:55].astype(int)
    assert right.min() > 240
    expected = (0, 0, 0) if kind == "deep grey" else GREEN
    assert np.abs(left - expected).max() < (40 if kind == "cmyk" else 12)
