"""From the bytes of a picture file to its pixels: upright, in sRGB, over white, with 8 bits for each colour."""

import io
import threading
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from ..errors import ImageError
from ..i18n import _
from ..text import one_line
from .limits import MAX_SIDE, Watched, check, check_tiff_directory
from .tensors import is_16_bit

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
_TIFF_PHOTOMETRIC, _TIFF_SIGN = 262, 339
_TIFF_BITS, _TIFF_TOP, _TIFF_TOP_OF_ANY_TYPE = 258, 281, 341
_BAND = 2_000_000  # pixels that are converted at a time, so that the picture is not in memory twice

_quiet = threading.RLock()  # the filters of warnings are one list for all threads


def decode(file: BinaryIO, *, managed: bool = True) -> np.ndarray:
    """The picture in a seekable `file` as uint8 [H, W, 3], its longest side at most `MAX_SIDE`.

    `managed` brings its colours to sRGB where the file holds a profile of them. Raises `ImageError`.
    """
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what is odd in a file: it is shown, or refused below
        watched = Watched(file)
        try:
            watched.seek(0)
            image = _identify(watched)
            check(image, watched)
            return _convert(image, managed)
        except Exception as error:  # parsers and decoders raise whatever they trip over
            raise _refusal(error) from error


def convert(image: Image.Image) -> np.ndarray:
    """The same for a picture that Pillow has opened already."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check(image)
            return _convert(image, managed=True)
        except Exception as error:
            raise _refusal(error) from error


def _identify(file: Watched) -> Image.Image:
    """Open the header with the format that claims the file.

    Image.open would try the same plugins, but it refuses large JPEG files before they can be asked for a reduced size,
    and it does not tell a damaged picture from a file that is none.
    """
    Image.init()
    head = file.read(512)
    brands = _brands(head)
    if brands & _HEIC_BRANDS and not brands & _AVIF_BRANDS:
        raise ImageError(_("HEIC pictures cannot be read here; save the photograph as JPEG."))
    for name in FORMATS:
        factory, accepts = Image.OPEN.get(name, (None, None))
        # An accept function answers with a text where this build of Pillow lacks the format.
        if factory is not None and accepts(head[:16]) is True:
            if name == "TIFF":
                check_tiff_directory(file)
            file.seek(0)
            return factory(file, "")
    raise ImageError(_("The file is not a picture that can be read here; JPEG, PNG, GIF, WebP, BMP and TIFF can."))


def _brands(head: bytes) -> set[bytes]:
    """What an ISO media file (AVIF, HEIC, MP4 …) says it is: its major brand and those it is compatible with."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[place : place + 4] for place in range(16, end, 4))}


def _refusal(error: Exception) -> ImageError:
    """`error` as one sentence."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError(_("There is not enough memory to read this picture; make it smaller first."))
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(_("The picture has too many pixels to be read; make it smaller first."))
    if "unknown pixel mode" in str(error):
        return ImageError(_("Pixels of this kind cannot be read here; save the picture with 8 bits for each colour."))
    said = error.args[0] if len(error.args) == 1 else str(error)
    said = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    reason = one_line(said or type(error).__name__).strip(" .")
    return ImageError(_("The picture is damaged or incomplete ({reason}).").format(reason=reason))


# Pixels -------------------------------------------------------------------------------------------------------------


def _convert(image: Image.Image, managed: bool) -> np.ndarray:
    image.load()
    orientation, profile = _orientation(image), image.info.get("icc_profile") if managed else None
    plain = _shrunk(image)
    if image.mode == "LAB":
        plain = _to_srgb(plain, ImageCms.createProfile("LAB"))
    elif isinstance(profile, bytes):
        plain = _with_profile(plain, profile)
    plain = plain.convert("RGB")
    plain.getexif()[ExifTags.Base.Orientation] = orientation
    return np.array(ImageOps.exif_transpose(plain))


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # unreadable EXIF data are no reason to refuse the pixels
        return 1


def _shrunk(image: Image.Image) -> Image.Image:
    """`image` with 8 bits a colour, over white, and scaled down to `MAX_SIDE`.

    Band by band it is scaled down across, then as a whole downwards, which is the order in which Pillow does it.
    """
    width, height = image.size
    scale = min(MAX_SIDE / max(width, height), 1)
    across, down = (max(1, round(side * scale)) for side in (width, height))
    eight_bit = _eight_bit_of(image)
    narrow = None
    for top, band in _bands(image):
        band = eight_bit(band)
        if across < width:
            band = band.resize((across, band.height), Image.Resampling.BICUBIC)
        narrow = narrow or Image.new(band.mode, (across, height))
        narrow.paste(band, (0, top))
    return narrow if down == height else narrow.resize((across, down), Image.Resampling.BICUBIC)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    width, height = image.size
    rows = max(_BAND // width, 1)
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _eight_bit_of(image: Image.Image) -> Any:
    """The function that brings a part of `image` to one of Pillow's modes of 8 bits without transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        low, high = _range(image)
        negative = getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == 0 and image.mode.startswith("I;16")
        if negative:  # white is zero
            low, high = high, low
        return lambda part: Image.fromarray(_deep_grey(_deep_values(part, image), low, high))
    if image.has_transparency_data:
        return _over_white
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return lambda part: part
    return lambda part: part.convert("RGB")


def _over_white(part: Image.Image) -> Image.Image:
    part = part.convert("LA") if part.mode == "La" else part
    part = part.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB")


# Deep grey ----------------------------------------------------------------------------------------------------------


def _range(image: Image.Image) -> tuple[float, float]:
    """What is black and what is white in a picture of more than 8 bits: as its file or type says, else stretched."""
    dark, bright, values = np.inf, -np.inf, np.empty(0)
    for _top, band in _bands(image):
        values = _deep_values(band, image)
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if finite.size:
            dark, bright = min(dark, float(finite.min())), max(bright, float(finite.max()))
    if dark > bright:
        return 0.0, 1.0  # nothing but nan
    said = _said_top(image)
    if said is not None and dark >= 0 and bright <= said:
        return 0.0, said
    if is_16_bit(values) or (image.format, image.mode) == ("PPM", "I"):
        return 0.0, 65535.0
    if dark < 0 or bright > 65535:
        return dark, bright
    return 0.0, next(top for top in (1.0, 255.0, 65535.0) if bright <= top)


def _said_top(image: Image.Image) -> float | None:
    """The value that a TIFF file names as its brightest, by a tag of its own or by its number of bits."""
    tags = getattr(image, "tag_v2", {})
    for tag in (_TIFF_TOP, _TIFF_TOP_OF_ANY_TYPE):
        top = tags.get(tag)
        top = max(top, default=None) if isinstance(top, tuple) else top
        if isinstance(top, (int, float)) and 0 < top < np.inf:
            return float(top)
    bits = tags.get(_TIFF_BITS)
    bits = bits[0] if isinstance(bits, tuple) and bits else bits
    return float(2**bits - 1) if isinstance(bits, int) and 8 < bits < 16 else None


def _deep_values(part: Image.Image, image: Image.Image) -> np.ndarray:
    """The numbers of a part of a deep grey `image`, also where Pillow takes those of a TIFF for signed."""
    values, tags = np.asarray(part), getattr(image, "tag_v2", {})
    if tags and values.dtype == np.int32 and tags.get(_TIFF_SIGN, (1,)) == (1,):
        values = values.view(np.uint32)
    return values


def _deep_grey(values: np.ndarray, black: float, white: float) -> np.ndarray:
    values = np.nan_to_num(values.astype(np.float64), posinf=white, neginf=black)
    return np.round(((values - black) / ((white - black) or 1.0)).clip(0, 1) * 255.0).astype(np.uint8)


# Colours ------------------------------------------------------------------------------------------------------------


def _with_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """`image` in sRGB, from the colours that its `profile` describes; a broken one is passed over."""
    try:
        described = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = described.profile.xcolor_space.strip()
        if space == "GRAY" and image.mode == "RGB":  # a palette of greys, or transparency laid over white
            image = image.convert("L")
        elif space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        return _to_srgb(image, described)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
