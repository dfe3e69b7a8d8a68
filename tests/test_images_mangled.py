"""Mangled files of every format: each gives a picture or an `ImageError` of one sentence, and nothing else."""

import io
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from cnnviz_widgets.errors import ImageError
from cnnviz_widgets.images import FORMATS, load
from tests.uploads import SRGB, SRGB_CURVE, encoded, half_and_half, profile

EACH = 100  # ways in which each of the files is mangled
LARGE = [
    b"\xff\xff",
    b"\x7f\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00",
    b"\x00\x00\x00\x00",
    b"\x80\x00\x00\x00",
    b"\x40\x1f",
]


def originals() -> dict[str, bytes]:
    """Small files of all formats, in the kinds of pixels and of compression that they have."""
    colour = half_and_half(48, 32)
    exif = Image.Exif()
    exif[0x0112] = 6
    said = {"exif": exif, "icc_profile": profile(SRGB_CURVE, SRGB)}
    frames = {"save_all": True, "append_images": [Image.new("RGB", (48, 32), shade) for shade in ("red", "blue")]}
    deep = Image.fromarray((np.arange(48 * 32) * 42).astype(np.uint16).reshape(32, 48))
    floats = Image.fromarray(np.linspace(0, 1, 48 * 32).astype(np.float32).reshape(32, 48))
    run_length = bytearray(encoded(colour.convert("P"), "BMP"))
    run_length[30] = 1
    return {
        "JPEG": encoded(colour, "JPEG", **said),
        "JPEG progressive": encoded(colour, "JPEG", progressive=True),
        "JPEG CMYK": encoded(colour.convert("CMYK"), "JPEG"),
        "JPEG of several pictures": encoded(colour, "MPO", **frames),
        "PNG": encoded(colour, "PNG", **said),
        "PNG palette": encoded(colour.convert("P"), "PNG", transparency=0),
        "PNG see-through": encoded(colour.convert("RGBA"), "PNG"),
        "PNG deep": encoded(deep, "PNG"),
        "PNG animated": encoded(colour, "PNG", **frames),
        "GIF": encoded(colour, "GIF", **frames),
        "WEBP": encoded(colour, "WEBP", **said),
        "WEBP lossless": encoded(colour.convert("RGBA"), "WEBP", lossless=True),
        "WEBP animated": encoded(colour, "WEBP", **frames),
        "BMP": encoded(colour, "BMP"),
        "BMP run-length": bytes(run_length),
        "TIFF": encoded(colour, "TIFF", **said),
        "TIFF LZW": encoded(colour, "TIFF", compression="tiff_lzw"),
        "TIFF deflate": encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF JPEG": encoded(colour, "TIFF", compression="jpeg"),
        "TIFF float": encoded(floats, "TIFF"),
        "TIFF fax": encoded(colour.convert("1"), "TIFF", compression="group4"),
        "PPM": encoded(colour, "PPM"),
        "PPM in words": b"P3 # colours\n6 4\n99\n" + b"10 20 30 " * 24,
        "PPM deep": encoded(deep, "PPM"),
        "PPM float": encoded(floats, "PPM"),
        "AVIF": encoded(colour, "AVIF", speed=10, **said),
    }


def mangled(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """`data` cut off, with flipped bits, large numbers, a part missing or twice, or continued by `other`."""
    damaged = bytearray(data)
    first, last = sorted(int(place) for place in random.integers(0, len(data), 2))
    way = random.integers(6)
    if way == 0:
        del damaged[first:]
    elif way == 1:
        for place in random.integers(0, len(data), random.integers(1, 20)):
            damaged[place] ^= 1 << int(random.integers(8))
    elif way == 2:
        for place in random.integers(0, min(len(data), 400), 3):
            number = LARGE[random.integers(len(LARGE))]
            damaged[place : place + len(number)] = number
    elif way == 3:
        del damaged[first : min(last, first + 64)]
    elif way == 4:
        damaged[first:first] = damaged[first:last] * 3
    else:
        damaged[first:] = other[min(first, len(other)) :]
    return bytes(damaged)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_every_format_is_among_the_originals_and_they_can_be_read():
    files = originals()
    assert {Image.open(io.BytesIO(data)).format for data in files.values()} - {"MPO"} == set(FORMATS)
    for kind, data in files.items():
        if kind != "BMP run-length":  # its pixels are no runs
            assert load(data).ndim == 3, kind


@pytest.mark.parametrize("kind", originals())
def test_a_mangled_file_gives_a_picture_or_one_sentence_at_once(kind):
    files = originals()
    random = np.random.default_rng(list(files).index(kind))
    for _number in range(EACH):
        data = mangled(files[kind], files[random.choice(list(files))], random)
        began = time.thread_time()
        try:
            pixels = load(data)
        except ImageError as error:
            sentence = str(error)
            assert sentence.endswith(".") and sentence.isprintable() and len(sentence) < 250, sentence
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
            assert 1 <= max(pixels.shape[:2]) <= 2048
        assert time.thread_time() - began < 2


def test_more_than_six_hundred_are_tried():
    assert len(originals()) * EACH > 600
