"""Files that readers might upload: what is shown right, and what is refused in one sentence."""

import io
import struct
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


def png(
    width: int, height: int, bits: int, colour: int, *, rows: int | None = None, before: list | None = None
) -> bytes:
    """A PNG of zeros, written by hand; `colour` is as in its header. It has only `rows` of its rows.

    `before` are chunks (name, data) that stand before the pixels.
    """
    row = 1 + width * bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] // 8
    packed = zlib.compressobj(1)
    pixels = b"".join(packed.compress(bytes(row)) for _ in range(height if rows is None else rows)) + packed.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *(before or []), (b"IDAT", pixels), (b"IEND", b"")]
    chunks = [
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(entries: dict[int, tuple[int, int]], data: bytes) -> bytes:
    """`entries` are (count, value) of each tag; `data` stands at byte 8."""
    table = b"".join(struct.pack("<HHII", tag, 4, *entry) for tag, entry in sorted(entries.items()))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + table + bytes(4)


def two_hundred_megapixels() -> bytes:
    """A PNG of 20,000 × 10,000 pixels in a few hundred bytes; only its header is meant to be read."""
    return png(20_000, 10_000, 8, 2, rows=1)


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


# Files that say more of their pixels than their numbers ---------------------------------------------------------------

SRGB_CURVE = (
    b"para"
    + bytes(4)
    + struct.pack(">HH5i", 3, 0, *(round(n * 65536) for n in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
)
LINEAR_CURVE = b"curv" + bytes(8)
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))  # adapted to D50
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
D50 = (0.9642, 1.0, 0.8249)


def profile(curve: bytes, primaries: tuple | None = None) -> bytes:
    """An ICC profile with one curve for all colours; without `primaries`, of greys."""

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))

    text = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + "p".encode("utf-16-be")
    tags = {b"desc": text, b"cprt": text, b"wtpt": xyz(D50)}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        for colour, place in zip(b"rgb", primaries, strict=True):
            tags[bytes([colour]) + b"XYZ"], tags[bytes([colour]) + b"TRC"] = xyz(place), curve
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    space = b"GRAY" if primaries is None else b"RGB "
    head = bytes(8) + struct.pack(">I", 0x04300000) + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(value * 65536) for value in D50)) + bytes(48)
    whole = head + table + data
    return struct.pack(">I", len(whole)) + whole[4:]
