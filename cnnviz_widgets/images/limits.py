"""What reading a picture may cost in memory and time, and how this is known before its pixels are decoded.

Any file gives a picture or a refusal with at most about 300 MB and 2 s of a processor.
"""

import math
import os
import re
import struct
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from ..errors import ImageError
from ..i18n import _

MAX_SIDE = 2048
"""Longest side, in pixels, of a picture that `load` returns; larger ones are scaled down to it."""

MAX_PIXELS = 40_000_000
"""Pixels that are decoded at full size."""

MAX_JPEG_PIXELS = 256_000_000
"""Pixels of a baseline JPEG, which can be decoded at an eighth of its size."""

MAX_BYTES = 128_000_000
"""Bytes of a file that are read at all."""

# Some decoders hold several copies; that for run-length BMP loops in Python for every pixel.
_FEWER_PIXELS = {"WEBP": 16_000_000, "AVIF": 24_000_000, "TIFF": 32_000_000, "bmp_rle": 4_000_000}
_PORTION = 1 << 14  # bytes of a file whose numbers are written in words
_MAX_MEMORY = 240_000_000  # bytes, of pixels and what a decoder needs beside them
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # of a pixel in Pillow's modes; 4 in the others
_MAX_SECONDS = 1.2  # of the processor, while a file is read; a slow disk costs nothing
_MAX_SCANS = 100  # passes over a progressive JPEG; cameras and editors make about ten
_MAX_MARKERS = 10_000  # of all kinds in a JPEG
_MAX_SCANNED = 1_000_000_000  # pixels, counted anew in each of these passes
_MAX_ENTRIES = 1 << 17  # numbers under one tag of a TIFF file: Pillow makes Python objects of them

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # of a JPEG, but for those that stand within a scan
_END, _SCAN = 0xD9, 0xDA
_TIFF_NUMBERS = {*range(3, 19)} - {6, 7}  # types of its entries that are not bytes
_TIFF_ROWS, _TIFF_SAMPLES, _TIFF_BITS, _TIFF_TILE = 278, 277, 258, (322, 323)


class Watched:
    """A file that refuses to be read on once decoding it has taken too long.

    Most of Pillow's decoders ask for a part of the file at a time, those that loop in Python for every few bytes.
    `portion` is how many bytes they get at once at most, so that they ask again before long.
    """

    def __init__(self, file: BinaryIO):
        self._file, self._end = file, time.thread_time() + _MAX_SECONDS
        self.portion: int | None = None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes. Raises `ImageError` when it is too late."""
        if time.thread_time() > self._end:
            raise ImageError(_("The picture takes too long to decode; save it anew as a JPEG or PNG."))
        return self._file.read(size if self.portion is None else min(size, self.portion))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def too_large(width: int, height: int, limit: int = MAX_PIXELS) -> ImageError:
    """What is said of a picture of more than `limit` pixels."""
    message = _("The picture has {megapixels} megapixels ({width} × {height}); at most {limit} can be read.")
    megapixels = round(width * height / 1e6)
    return ImageError(message.format(megapixels=megapixels, width=width, height=height, limit=limit // 1_000_000))


def check_tiff_directory(file: BinaryIO) -> None:
    """Refuse a TIFF file whose first directory lists so many numbers that already opening it would be too much."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", head[2:4]) == (43,)
    place, count, entry = ("Q", "Q", "HHQ8x") if big else ("L", "H", "HHL4x")
    try:
        file.seek(struct.unpack_from(f"{order}{place}", head, 8 if big else 4)[0])
        (entries,) = struct.unpack(f"{order}{count}", file.read(struct.calcsize(f"{order}{count}")))
        table = file.read(min(entries, 65535) * struct.calcsize(f"{order}{entry}"))
        found = list(struct.iter_unpack(f"{order}{entry}", table))
    except (struct.error, OverflowError, ValueError, OSError):
        return  # damaged: opening it will tell
    counts = [count for _tag, kind, count in found if kind in _TIFF_NUMBERS]
    if any(_MAX_ENTRIES < count < size for count in counts):  # what is not in the file is not read
        raise ImageError(_("The TIFF file is cut into too many parts; save it anew as a PNG."))


def check(image: Image.Image, file: Watched | None = None) -> None:
    """Refuse what would be too much to decode, and ask a large JPEG in `file` for a reduced size."""
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(_("The picture has no pixels ({width} × {height}).").format(width=width, height=height))
    decoder = image.tile[0][0] if getattr(image, "tile", None) else None
    limit = _FEWER_PIXELS.get(decoder) or _FEWER_PIXELS.get(image.format, MAX_PIXELS)
    if decoder == "ppm_plain" and file is not None:
        file.portion = _PORTION
    if image.format in ("JPEG", "MPO") and file is not None:
        limit = _check_jpeg(image, file)
    if width * height > limit:
        raise too_large(width, height, limit)
    if image.format == "TIFF" and hasattr(image, "tag_v2"):
        _check_tiff(image)


def _check_memory(needed: int) -> None:
    if needed > _MAX_MEMORY:
        message = _("Decoding this picture takes {needed} MB of memory, more than {limit}; save it anew as a JPEG.")
        raise ImageError(message.format(needed=needed // 1_000_000, limit=_MAX_MEMORY // 1_000_000))


def _check_jpeg(image: Image.Image, file: BinaryIO) -> int:
    """Ask for a reduced size. The pixels that may be decoded: fewer for a JPEG of several scans.

    Its decoder keeps the coefficients of the whole picture, two bytes each, however small it is asked to be.
    """
    width, height = image.size
    here = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(here)
    first = next((place for kind, place in _markers(data) if kind == _SCAN), None)
    components = data[first + 2] if first is not None and first + 2 < len(data) else 0
    several = bool(image.info.get("progressive")) or components < image.layers
    if several and width * height <= MAX_PIXELS:
        samples = [across * down for _name, across, down, *_table in image.layer]
        _check_memory(2 * width * height * sum(samples) // max(1, *samples))
        _check_scans(data, width * height)
    scale = MAX_SIDE / max(width, height)
    if scale < 1:
        image.draft(None, (max(1, int(width * scale)), max(1, int(height * scale))))
    return MAX_PIXELS if several or math.prod(image.size) > MAX_PIXELS else MAX_JPEG_PIXELS


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """The kind of each marker of the JPEG `data`, the first ten thousand up to its end, and the place behind it."""
    place, count = 2, 0
    while (
        count <= _MAX_MARKERS and (marker := _MARKER.search(data, place)) and (kind := data[marker.end() - 1]) != _END
    ):
        count += 1
        yield kind, marker.end()
        place = marker.end() + max(int.from_bytes(data[marker.end() : marker.end() + 2], "big"), 2)


def _check_scans(data: bytes, pixels: int) -> None:
    """Refuse a JPEG that goes over its pixels again and again."""
    most = min(_MAX_SCANS, max(_MAX_SCANNED // pixels, 12))
    kinds = [kind for kind, _place in _markers(data)]
    if kinds.count(_SCAN) > most:
        raise ImageError(_("The JPEG file draws its picture in too many passes; save it anew."))
    if len(kinds) > _MAX_MARKERS:
        raise ImageError(_("The JPEG file is cut into too many parts; save it anew."))


def _check_tiff(image: Any) -> None:
    """Refuse what is cut into parts too large for the memory: libtiff decodes a strip or tile as a whole."""

    def number(tag: int, otherwise: int) -> int:
        value = image.tag_v2.get(tag, otherwise)
        value = max(value, default=otherwise) if isinstance(value, tuple) else value
        return value if isinstance(value, int) and value > 0 else otherwise

    width, height = image.size
    turned = number(ExifTags.Base.Orientation, 1) > 1  # Pillow then makes a second one
    needed = width * height * _BYTES.get(image.mode, 4) * (1 + turned)
    if image.info.get("compression") != "raw":
        rows = min(number(_TIFF_ROWS, height), max(width, height))
        part = number(_TIFF_TILE[0], 0) * number(_TIFF_TILE[1], 0) or rows * max(width, height)
        needed += part * number(_TIFF_BITS, 8) * number(_TIFF_SAMPLES, 1) // 8
    _check_memory(needed)
