"""Files made to take for ever or all memory: each gives a picture or a sentence within 2 s and 300 MB."""

import json
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.uploads import encoded, png, tiff

SECONDS, MEGABYTES = 2, 300
SIDE = 6324  # of a square of just under 40 megapixels

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read from /proc")


def empty_scans(count: int) -> bytes:
    data = encoded(Image.new("L", (1000, 1000), 100), "JPEG", progressive=True)
    return data[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" * count + data[-2:]


def one_colour_after_another(side: int) -> bytes:
    """A baseline JPEG whose colours come in three scans, so that its decoder keeps all of them until the end."""
    data = encoded(Image.new("RGB", (16, 16)), "JPEG", subsampling=0)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    head = data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 : scan]
    scans = (b"\xff\xda\x00\x08\x01" + bytes([colour]) + b"\x00\x00\x3f\x00" + bytes(10) for colour in (1, 2, 3))
    return head + b"".join(scans) + b"\xff\xd9"


def commented_jpeg(count: int) -> bytes:
    return b"\xff\xd8" + b"\xff\xfe\0\2" * count + encoded(Image.new("L", (8, 8)), "JPEG")[2:]


def run_length_bmp(width: int, height: int, codes: bytes) -> bytes:
    data = encoded(Image.new("P", (4, 4)), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:30] + struct.pack("<I", 1) + data[34:] + codes


def one_tile(side: int) -> bytes:
    data = zlib.compress(bytes(50_000_000), 9)
    entries = {256: 100, 257: 100, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: len(data)}
    return tiff({tag: (1, value) for tag, value in entries.items()}, data)


def strips(count: int) -> bytes:
    entries = {256: 8, 257: count, 258: 8, 259: 1, 262: 1, 277: 1, 278: 1}
    parts = {273: (count, 8), 279: (count, 8)}
    return tiff({tag: (1, value) for tag, value in entries.items()} | parts, struct.pack("<I", 8) * count)


def blank(mode: str, side: int, kind: str, **options) -> bytes:
    return encoded(Image.new(mode, (side, side)), kind, **options)


def photograph(width: int, height: int) -> Image.Image:
    """Colours that change smoothly, with the noise of a sensor."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (height // 16, width // 16, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR)) // 2
    return Image.fromarray(smooth + random.integers(0, 16, smooth.shape, np.uint8))


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "JPEG of 20,000 empty scans": (lambda: empty_scans(20_000), "too many passes"),
    "JPEG of 256 megapixels, one colour after another": (lambda: one_colour_after_another(16_000), "at most 40"),
    "JPEG of ten million comments": (lambda: commented_jpeg(10_000_000), "too long"),
    "JPEG of a hundred thousand comments": (lambda: commented_jpeg(100_000), "too many parts"),
    "progressive CMYK": (lambda: blank("CMYK", 6250, "JPEG", progressive=True), "312 MB of memory"),
    "PPM in words": (lambda: b"P3\n6000 6000\n255\n" + b"0 " * 20_000_000, "too long"),
    "PGM of comments": (lambda: b"P2\n6000 6000\n255\n" + b"#\n" * 15_000_000, "too long"),
    "PPM of odd brightness": (lambda: b"P6\n6000 6000\n100\n" + bytes(60_000_000), "too long"),
    "run-length BMP": (lambda: run_length_bmp(6000, 6000, b"\1\5" * 9_000_000), "at most 4"),
    "run-length BMP of one row": (lambda: run_length_bmp(39_000_000, 1, b"\1\5\0\0"), "at most 4"),
    "TIFF of one tile of 30,000²": (lambda: one_tile(30_000), "900 MB of memory"),
    "TIFF of two million strips": (lambda: strips(2_000_000), "too many parts"),
    "PNG of 900 megapixels": (lambda: png(30_000, 30_000, 8, 2, rows=10), "900 megapixels"),
    "PNG of a million texts": (lambda: png(4, 4, 8, 0, before=[(b"tEXt", b"a\0b")] * 1_000_000), "too long"),
    "GIF of 4,295 megapixels": (
        lambda: (lambda data: data[:6] + b"\xff" * 4 + data[10:])(blank("P", 4, "GIF")),
        "4295 megapixels",
    ),
    "GIF of comments": (
        lambda: (lambda data: data[:13] + b"\x21\xfe" + b"\1a" * 5_000_000 + b"\0" + data[13:])(blank("1", 4, "GIF")),
        "too long",
    ),
    "WebP of 36 megapixels": (lambda: blank("RGB", 6000, "WEBP", method=0), "at most 16"),
    "AVIF of 36 megapixels": (lambda: blank("RGB", 6000, "AVIF", speed=10), "at most 24"),
}
SHOWN: dict[str, Callable[[], bytes]] = {
    "JPEG of 50 megapixels": lambda: encoded(photograph(8160, 6120), "JPEG", quality=90, exif=turned()),
    "JPEG of 256 megapixels": lambda: blank("RGB", 16_000, "JPEG"),
    "progressive JPEG of 24 megapixels": lambda: encoded(photograph(6000, 4000), "JPEG", progressive=True),
    "progressive JPEG at the limit": lambda: blank("RGB", 6250, "JPEG", progressive=True, subsampling=0),
    "JPEG, one colour after another": lambda: one_colour_after_another(6000),
    "PNG of 12 megapixels": lambda: encoded(photograph(4000, 3000), compress_level=1),
    "PNG of colours": lambda: png(SIDE, SIDE, 8, 2),
    "PNG, deep": lambda: png(SIDE, SIDE, 16, 0),
    "PNG, deep and see-through": lambda: png(SIDE, SIDE, 16, 6),
    "PNG with a palette": lambda: png(SIDE, SIDE, 8, 3, before=[(b"PLTE", bytes(768)), (b"tRNS", bytes(9))]),
    "PNG with a colour that is clear": lambda: png(SIDE, SIDE, 8, 2, before=[(b"tRNS", bytes(6))]),
    "GIF": lambda: blank("P", SIDE, "GIF"),
    "PPM": lambda: b"P6\n6324 6324\n255\n" + bytes(3 * SIDE * SIDE),
    "PGM, deep": lambda: b"P5\n6324 6324\n65535\n" + bytes(2 * SIDE * SIDE),
    "TIFF of floats": lambda: blank("F", 5600, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF of integers": lambda: blank("I", 5600, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, see-through": lambda: blank("RGBA", 5600, "TIFF", compression="tiff_lzw"),
    "TIFF that lies on its side": lambda: blank("RGB", 5400, "TIFF", compression="packbits", exif=turned()),
    "WebP": lambda: blank("RGBA", 4000, "WEBP", lossless=True, method=0),
    "AVIF": lambda: blank("RGB", 4800, "AVIF", speed=10),
}


def peak(entry: str) -> float:
    """A number of megabytes in /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 1024


def measure(folder: str) -> None:
    """Load every file of `folder`, each in a process of its own, and print what came of it as JSON."""
    from cnnviz_widgets import images
    from cnnviz_widgets.errors import ImageError

    images.load("cat")
    for file in sorted(Path(folder).iterdir()):
        sys.stdout.flush()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        memory, began = peak("VmRSS"), time.process_time()
        try:
            said = str(images.load(file).shape)
        except ImageError as error:
            said = str(error)
        seconds, megabytes = time.process_time() - began, peak("VmHWM") - memory
        print(json.dumps({"file": file.name, "said": said, "seconds": seconds, "megabytes": megabytes}), flush=True)
        os._exit(0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in {**SHOWN, **{name: make for name, (make, _says) in REFUSED.items()}}.items():
        (folder / name).write_bytes(make())
    code = f"from tests.test_images_bombs import measure; measure({str(folder)!r})"
    run = [sys.executable, "-c", code]
    printed = subprocess.run(
        run, check=True, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[1]
    )
    return {found["file"]: found for found in map(json.loads, printed.stdout.splitlines())}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_in_one_sentence_before_it_costs_much(measured, name):
    found = measured[name]
    assert REFUSED[name][1] in found["said"], found
    assert found["seconds"] < SECONDS and found["megabytes"] < MEGABYTES, found


@pytest.mark.parametrize("name", SHOWN)
def test_a_large_picture_is_shown_at_a_bounded_cost(measured, name):
    found = measured[name]
    assert found["said"].startswith("(") and "2048" in found["said"], found
    assert found["seconds"] < SECONDS and found["megabytes"] < MEGABYTES, found
