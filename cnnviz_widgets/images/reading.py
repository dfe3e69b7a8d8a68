"""Safe reading: whatever a reader brings becomes a uint8 array [H, W, 3] in RGB, or is refused in one sentence."""

import difflib
import io
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np
import torch
from PIL import Image

from ..errors import ImageError
from ..i18n import _
from ..text import one_line
from .catalogue import PICTURES, course_file
from .decoding import convert, decode
from .limits import MAX_BYTES, MAX_PIXELS, MAX_SIDE, too_large
from .tensors import at_most, fit, from_array, resize

ImageSource = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray

_ADDRESS = re.compile(
    r"([a-z][a-z0-9+.-]+):[/\\]+", re.IGNORECASE
)  # one letter is a drive; Path makes one slash of two
_CAT_LEFT = 36  # of the 451 columns, 36 to 411 hold the face and both ears


def load(source: ImageSource, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture into a uint8 array [H, W, 3].

    `source` is a name of `PICTURES`, a path, the bytes of a file, a file object, a Pillow image, or an array
    ([H, W], [H, W, 1], [H, W, 3] or [H, W, 4]; integers 0 to 255 or floats 0 to 1). Transparency is laid over white,
    16-bit grey is scaled to 8 bits, CMYK becomes RGB, an embedded profile brings the colours to sRGB, an animation
    gives its first frame, a photograph is turned upright as its EXIF data ask. A picture whose longest side exceeds
    `MAX_SIDE` is scaled down to it. With `size=(H, W)` the largest centred part of that shape is cut out and resized.

    Raises `ImageError` when the source is no picture, is damaged, or would take too much memory or time to decode.
    """
    image = _read(source)
    return image if size is None else fit(image, size)


def _read(source: ImageSource) -> np.ndarray:
    if isinstance(source, str) and source in PICTURES:
        return _course_picture(source)
    if isinstance(source, (str, os.PathLike)):
        return _read_file(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        _check_bytes(len(memoryview(source).cast("B")))
        return decode(io.BytesIO(source))
    if isinstance(source, Image.Image):
        return _read_opened(source)
    if isinstance(source, np.ndarray):
        if math.prod(source.shape[:2]) > MAX_PIXELS:
            raise too_large(source.shape[1], source.shape[0])
        return at_most(from_array(source), MAX_SIDE)
    if isinstance(source, torch.Tensor):
        raise ImageError(_("A tensor was given where a picture is expected; to_image(tensor) makes a picture of it."))
    if hasattr(source, "read"):
        whole = _all_of(source)
        _check_bytes(whole.tell())
        return decode(whole)
    kind = one_line(type(source).__name__)
    raise ImageError(_("A picture cannot be read from a {kind}; give a name, a path or an array.").format(kind=kind))


def _check_bytes(count: int) -> None:
    if not count:
        raise ImageError(_("The file is empty."))
    if count > MAX_BYTES:
        raise ImageError(_("The file is larger than {limit} MB.").format(limit=MAX_BYTES // 1_000_000))


def _read_opened(image: Image.Image) -> np.ndarray:
    """A picture that Pillow has opened; a JPEG whose pixels it has not decoded yet is read from its file anew.

    So it can be decoded at a reduced size without a change to the reader's object.
    """
    file = getattr(image, "fp", None)
    if image.format != "JPEG" or not getattr(image, "tile", None) or file is None or file.closed:
        return convert(image)
    here = file.tell()
    try:
        file.seek(0)
        return decode(file)
    finally:
        file.seek(here)


# The course's pictures ----------------------------------------------------------------------------------------------


def _course_picture(name: str) -> np.ndarray:
    if name == "cat":
        return _cat()
    if name == "cat_and_coffee":
        return _cat_and_coffee()
    return _photograph(name)


def _photograph(name: str) -> np.ndarray:
    with course_file(name).open("rb") as file:
        return decode(file, managed=False)  # the rocket's profile is not applied: the course shows it as it is stored


def _cat() -> np.ndarray:
    """Chelsea at 320 × 400: all 300 rows of the photograph and the 375 columns that hold the face and both ears."""
    return resize(_photograph("cat")[:, _CAT_LEFT : _CAT_LEFT + 375], (320, 400))


def _cat_and_coffee() -> np.ndarray:
    """A square collage, the cup at the left and half of the cat's face at the right.

    Of the layouts tried, this is among those in which the bundled network gives both nearly the same probability.
    """
    cup = resize(_photograph("coffee")[:, 190:390], (400, 200))
    cat = resize(_photograph("cat")[:, 50:200], (400, 200))
    return np.hstack([cup, cat])


# Files --------------------------------------------------------------------------------------------------------------


def local_path(path: str | os.PathLike) -> Path:
    """The path meant by `path`, which may begin with "~" or be a file:// address.

    Raises `ImageError` for an address on the web.
    """
    text = os.fsdecode(path)
    address = _ADDRESS.match(text)
    if address is None:
        return Path(os.path.expanduser(text))
    if address[1].lower() != "file":
        raise ImageError(_("A picture is not fetched from the web: save it as a file, and give the file's path."))
    after = unquote(text[address.end() :])
    if text.lower().startswith("file://localhost/"):
        after = after.removeprefix("localhost/")
    return Path(after if re.match(r"[a-z]:", after, re.IGNORECASE) else f"/{after}")


def _read_file(path: str | os.PathLike) -> np.ndarray:
    file = local_path(path)
    name = one_line(file.name or file)
    try:
        kind = file.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ImageError(_('"{name}" is a folder, not a picture.').format(name=name))
        if not stat.S_ISREG(kind):  # a pipe would be waited for, and a device may never end
            raise ImageError(_('"{name}" is a pipe or a device, not a picture.').format(name=name))
        with file.open("rb") as stream:
            _check_bytes(os.fstat(stream.fileno()).st_size)
            return decode(stream)
    except FileNotFoundError:
        raise ImageError(_no_such_picture(file)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        reason = one_line(getattr(error, "strerror", None) or error)
        raise ImageError(_('"{name}" cannot be read: {reason}.').format(name=name, reason=reason)) from error


def _no_such_picture(file: Path) -> str:
    name = one_line(file.name)
    near = difflib.get_close_matches(file.name, PICTURES, n=3, cutoff=0.5)
    if near:
        return _('There is no picture or file "{name}". Did you mean {near}?').format(name=name, near=", ".join(near))
    if file.suffix or len(file.parts) > 1:
        return _('There is no file "{name}".').format(name=name)
    message = _('There is no picture or file "{name}". The pictures of the course are {all}.')
    return message.format(name=name, all=", ".join(PICTURES))


def _all_of(stream: Any) -> io.BytesIO:
    """All bytes of a file object, from its beginning: one that has just been written to stands at its end."""
    try:
        if hasattr(stream, "seekable") and stream.seekable():
            stream.seek(0)
        whole = io.BytesIO()
        while whole.tell() <= MAX_BYTES and (
            part := stream.read(1 << 20)
        ):  # pipes and web answers give a part at a time
            whole.write(part)
        return whole
    except (UnicodeDecodeError, TypeError) as error:
        raise ImageError(_('The file does not give bytes; open it with mode "rb".')) from error
    except Exception as error:  # a file object may be anybody's
        reason = one_line(error).strip(" .")
        raise ImageError(_("The picture's file cannot be read: {reason}.").format(reason=reason)) from error
