"""The course's pictures by name, safe reading of a reader's picture, and the way between pictures and tensors.

A picture is always a uint8 array of shape [H, W, 3] in RGB order. Whatever a reader brings is turned into that, or
refused with an `ImageError` of one sentence.
"""

import difflib
import io
import math
import os
import re
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image

from ..errors import ImageError, WrongSetting
from ..i18n import _

MAX_SIDE = 2048
"""Longest side, in pixels, of a picture that `load` returns; larger ones are scaled down to it."""

MAX_PIXELS = 40_000_000
"""Pixels that are decoded at full size: about 0.5 GB while reading, which the smallest Binder machine can afford."""

MAX_JPEG_PIXELS = 512_000_000
"""Pixels of a baseline JPEG, which can be decoded at an eighth of its size."""

MAX_BYTES = 256_000_000
"""Bytes of a file that are read at all."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_ORIENTATION = 0x0112
_TIFF_PHOTOMETRIC, _TIFF_SAMPLES = 262, 339
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

ImageSource = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray


@dataclass(frozen=True)
class Picture:
    """A picture of the course: its name in the code, its title and alternative text, and to whom it is owed."""

    name: str
    title: str
    alt: str
    credit: str
    licence: str
    source: str


_CHELSEA_CREDIT = "Stéfan van der Walt"
_COFFEE_CREDIT = "Rachel Michetti, courtesy of Pikolo Espresso Bar"

PICTURES: dict[str, Picture] = {
    picture.name: picture
    for picture in (
        Picture(
            "cat",
            "Chelsea the cat",
            "Face of a striped ginger cat with green eyes, a reddish nose and long whiskers, seen from close by",
            _CHELSEA_CREDIT,
            "CC0",
            "scikit-image, chelsea.png (cropped to 4:5)",
        ),
        Picture(
            "coffee",
            "A cup of espresso",
            "Red and white cup of espresso on a red saucer with a spoon, on a wooden table",
            _COFFEE_CREDIT,
            "CC0",
            "scikit-image, coffee.png",
        ),
        Picture(
            "astronaut",
            "Eileen Collins",
            "Astronaut Eileen Collins smiling in an orange space suit, a flag and a model of a shuttle behind her",
            "NASA Great Images database",
            "public domain",
            "scikit-image, astronaut.png",
        ),
        Picture(
            "rocket",
            "A Falcon 9 before its launch",
            "White rocket standing upright between lattice towers under a deep blue sky, lamps at its foot",
            "SpaceX",
            "public domain",
            "scikit-image, rocket.jpg",
        ),
        Picture(
            "motorcycle",
            "A motorcycle in a garage",
            "Red motorcycle seen from the side in front of shelves full of boxes",
            "Middlebury 2014 stereo data set: D. Scharstein, H. Hirschmüller, Y. Kitajima, G. Krathwohl, N. Nešić, "
            "X. Wang and P. Westling",
            "no licence stated; made available for research, cite the authors (GCPR 2014)",
            "scikit-image, motorcycle_left.png",
        ),
        Picture(
            "camera",
            "Photographer with a tripod",
            "Grey photograph of a man in a dark coat bending over a camera on a tripod, on a wide lawn",
            "Lav Varshney",
            "CC0",
            "scikit-image, camera.png",
        ),
        Picture(
            "brick",
            "Brick wall",
            "Upright rows of dark bricks with light joints, in grey",
            "CC0 Textures",
            "CC0",
            "scikit-image, brick.png",
        ),
        Picture(
            "grass",
            "Grass",
            "Blades of grass in all directions, in grey",
            "linolafett (DeviantArt)",
            "CC0",
            "scikit-image, grass.png",
        ),
        Picture(
            "gravel", "Gravel", "Pebbles of all shapes, in grey", "CC0 Textures", "CC0", "scikit-image, gravel.png"
        ),
        Picture(
            "hubble_deep_field",
            "Hubble eXtreme Deep Field",
            "Hundreds of small galaxies of many colours on a black sky",
            "NASA, HubbleSite",
            "public domain",
            "scikit-image, hubble_deep_field.jpg",
        ),
        Picture(
            "immunohistochemistry",
            "Stained tissue",
            "Microscope picture of colonic glands, rings of cells stained brown and blue",
            "Center for Microscopy and Molecular Imaging (CMMI)",
            "no known copyright restrictions",
            "scikit-image, ihc.png",
        ),
        Picture(
            "china",
            "A tower in China",
            "Chinese tower of four storeys with curved roofs, on a wooded hill above a lake",
            "danielbuechele (Flickr)",
            "CC BY 2.0",
            "scikit-learn, china.jpg",
        ),
        Picture(
            "flower",
            "A flower",
            "Round orange flower with many rows of petals before dark leaves",
            "vultilion (Flickr)",
            "CC BY 2.0",
            "scikit-learn, flower.jpg",
        ),
        Picture(
            "cat_and_coffee",
            "Cat and coffee",
            "Two photographs side by side: a red and white cup of espresso and half of a cat's face",
            f"{_CHELSEA_CREDIT}; {_COFFEE_CREDIT}",
            "CC0",
            "scikit-image, chelsea.png and coffee.png (collage)",
        ),
    )
}

_FILES = {
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "camera": ("skimage", "data/camera.png"),
    "brick": ("skimage", "data/brick.png"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "hubble_deep_field": ("skimage", "data/hubble_deep_field.jpg"),
    "immunohistochemistry": ("skimage", "data/ihc.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
_CAT_LEFT = 36  # of the 451 columns, 36 to 411 hold the face and both ears
_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def load(source: ImageSource, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture into a uint8 array [H, W, 3].

    `source` is a name of `PICTURES`, a path, the bytes of a file, a file object, a Pillow image, or an array
    ([H, W], [H, W, 1], [H, W, 3] or [H, W, 4]; integers 0 to 255 or floats 0 to 1). Transparency is laid over white,
    16-bit grey is scaled to 8 bits, CMYK becomes RGB, an animation gives its first frame, a photograph is turned
    upright as its EXIF data ask. A picture whose longest side exceeds `MAX_SIDE` is scaled down to it.
    With `size=(H, W)` the largest centred part of that shape is cut out and resized.

    Raises `ImageError` when the source is no picture, is damaged, or is too large to be decoded.
    """
    image = _read(source)
    return image if size is None else fit(image, size)


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """A picture [H, W, 3] (uint8, or float in 0..1) as a float32 tensor [1, 3, H, W] in 0..1."""
    channels = np.ascontiguousarray(_from_array(image).transpose(2, 0, 1))
    return torch.from_numpy(channels.astype(np.float32) / 255.0)[None]


def to_image(tensor: torch.Tensor) -> np.ndarray:
    """A tensor [1, 3, H, W] or [3, H, W] in 0..1, or uint8 (one channel is grey), as a uint8 picture [H, W, 3].

    Values outside 0..1 are clipped. Raises `ImageError` for other shapes.
    """
    shape = tuple(tensor.shape)
    if len(shape) == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise ImageError(_("A tensor of shape {shape} is no picture; it must be [1, 3, H, W].").format(shape=shape))
    pixels = tensor.detach().cpu()
    if pixels.dtype != torch.uint8:
        pixels = pixels.float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` [h, w, 3] uint8 resized to `size=(H, W)`, bicubic, smoothed before it is made smaller."""
    height, width = _checked_size(size)
    if image.shape[:2] == (height, width):
        return image.copy()
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def centre_crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The H × W pixels in the middle of `image`, for `size=(H, W)`. Raises `WrongSetting` if it has fewer."""
    height, width = _checked_size(size)
    if height > image.shape[0] or width > image.shape[1]:
        message = _("A part of {height} × {width} pixels does not fit into a picture of {rows} × {columns}.")
        raise WrongSetting(message.format(height=height, width=width, rows=image.shape[0], columns=image.shape[1]))
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width].copy()


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred part of `image` that has the shape of `size=(H, W)`, resized to it."""
    height, width = _checked_size(size)
    rows, columns = image.shape[:2]
    scale = min(rows / height, columns / width)
    part = (max(1, min(rows, round(height * scale))), max(1, min(columns, round(width * scale))))
    return resize(centre_crop(image, part), (height, width))


def greyscale(image: np.ndarray) -> np.ndarray:
    """Brightness of a picture: float32 [H, W] in 0..1, with the weights of ITU-R BT.601 (green counts most)."""
    return (image[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)) / 255.0


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError):
        raise WrongSetting(_("The size of a picture is (height, width), not {size!r}.").format(size=size)) from None
    if height < 1 or width < 1:
        message = _("A picture cannot be {height} × {width} pixels; both sides must be at least 1.")
        raise WrongSetting(message.format(height=height, width=width))
    return height, width


# Sources ------------------------------------------------------------------------------------------------------------


def _read(source: ImageSource) -> np.ndarray:
    if isinstance(source, str) and source in PICTURES:
        return _course_picture(source)
    if isinstance(source, (str, os.PathLike)):
        return _decode(_read_file(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source))
    if isinstance(source, Image.Image):
        return _convert_safely(source)
    if isinstance(source, np.ndarray):
        if math.prod(source.shape[:2]) > MAX_PIXELS:
            raise _too_large(source.shape[1], source.shape[0], MAX_PIXELS)
        return _shrink(_from_array(source))
    if isinstance(source, torch.Tensor):
        raise ImageError(_("A tensor was given where a picture is expected; to_image(tensor) makes a picture of it."))
    if hasattr(source, "read"):
        return _decode(_read_stream(source))
    kind = type(source).__name__
    raise ImageError(_("A picture cannot be read from a {kind}; give a name, a path or an array.").format(kind=kind))


def _course_picture(name: str) -> np.ndarray:
    if name == "cat":
        return _cat()
    if name == "cat_and_coffee":
        return _cat_and_coffee()
    return _decode(_course_file(name))


def _course_file(name: str) -> bytes:
    package, file = _FILES[name]
    # Looking a package up does not import it: scikit-image alone would cost more memory than all our pictures.
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.is_file():
        message = _(
            'The picture "{name}" comes with {package}, which is not installed: python -m pip install {package}'
        )
        raise ImageError(message.format(name=name, package=_DISTRIBUTIONS[package]))
    return path.read_bytes()


def _cat() -> np.ndarray:
    """Chelsea at 320 × 400: all 300 rows of the photograph and the 375 columns that hold the face and both ears."""
    chelsea = _decode(_course_file("cat"))
    return resize(chelsea[:, _CAT_LEFT : _CAT_LEFT + 375], (320, 400))


def _cat_and_coffee() -> np.ndarray:
    """A square collage, the cup at the left and half of the cat's face at the right.

    Of the layouts tried, this is among those in which the bundled network gives both nearly the same probability.
    """
    cup = resize(_decode(_course_file("coffee"))[:, 190:390], (400, 200))
    cat = resize(_decode(_course_file("cat"))[:, 50:200], (400, 200))
    return np.hstack([cup, cat])


def _read_file(path: str | os.PathLike) -> bytes:
    file = Path(os.path.expanduser(path))
    name = _short(file.name or str(path))
    try:
        if re.match(r"https?://", str(path)):
            raise ImageError(_("A picture is not fetched from the web: save it as a file, and give the file's path."))
        if file.is_dir():
            raise ImageError(_('"{name}" is a folder, not a picture.').format(name=name))
        if not file.exists():
            raise ImageError(_no_such_picture(file))
        with file.open("rb") as stream:
            return _read_stream(stream)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ImageError(_('"{name}" cannot be read: {reason}.').format(name=name, reason=reason)) from error


def _short(name: str) -> str:
    return name if len(name) <= 80 else name[:79] + "…"


def _no_such_picture(file: Path) -> str:
    name = _short(file.name)
    near = difflib.get_close_matches(file.name, PICTURES, n=3, cutoff=0.5)
    if near:
        return _('There is no picture or file "{name}". Did you mean {near}?').format(name=name, near=", ".join(near))
    if file.suffix or len(file.parts) > 1:
        return _('There is no file "{name}".').format(name=name)
    message = _('There is no picture or file "{name}". The pictures of the course are {all}.')
    return message.format(name=name, all=", ".join(PICTURES))


def _read_stream(stream: Any) -> bytes:
    """All bytes of a file object, from its beginning: one that has just been written to stands at its end."""
    try:
        if hasattr(stream, "seekable") and stream.seekable():
            stream.seek(0)
        parts, left = [], MAX_BYTES + 1
        while left > 0 and (part := stream.read(left)):  # pipes and web answers give a part at a time
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    except (UnicodeDecodeError, TypeError) as error:
        raise ImageError(_('The file does not give bytes; open it with mode "rb".')) from error
    except Exception as error:  # a file object may be anybody's
        reason = str(error).strip(" .")
        raise ImageError(_("The picture's file cannot be read: {reason}.").format(reason=reason)) from error


# Decoding -----------------------------------------------------------------------------------------------------------


def _decode(data: bytes) -> np.ndarray:
    if not data:
        raise ImageError(_("The file is empty."))
    if len(data) > MAX_BYTES:
        raise ImageError(_("The file is larger than {limit} MB.").format(limit=MAX_BYTES // 1_000_000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what is odd in a file: it is shown, or refused below
        return _convert_safely(_identify(data))


def _identify(data: bytes) -> Image.Image:
    """Open the header with the first format that claims the file.

    Image.open would do the same for every format Pillow knows, and it refuses, or warns of, large JPEG files before
    they can be asked for a reduced size; our own limits are checked before a pixel is decoded.
    """
    Image.init()
    for name in FORMATS:
        factory, accepts = Image.OPEN.get(name, (None, None))
        try:
            # An accept function answers with a text where this build of Pillow lacks the format.
            if factory is not None and accepts(data[:16]) is True:
                return factory(io.BytesIO(data), "")
        except Exception as error:  # plugins raise whatever their parser trips over
            raise _damaged(error) from error
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        raise ImageError(_("HEIC pictures cannot be read here; save the photograph as JPEG."))
    raise ImageError(_("The file is not a picture that can be read here; JPEG, PNG, GIF, WebP, BMP and TIFF can."))


def _convert_safely(image: Image.Image) -> np.ndarray:
    try:
        _limit(image)
        return _convert(image)
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever their parser trips over
        raise _damaged(error) from error


def _damaged(error: Exception) -> ImageError:
    if isinstance(error, MemoryError):
        return ImageError(_("There is not enough memory to read this picture; make it smaller first."))
    if "unknown pixel mode" in str(error):
        return ImageError(_("Pixels of this kind cannot be read here; save the picture with 8 bits for each colour."))
    return ImageError(_("The picture is damaged or incomplete ({reason}).").format(reason=str(error).strip(" .")))


def _limit(image: Image.Image) -> None:
    """Ask a JPEG for a reduced size, and refuse what would still be too much to decode."""
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(_("The picture has no pixels ({width} × {height}).").format(width=width, height=height))
    scale = MAX_SIDE / max(width, height)
    # A progressive JPEG needs memory for all of its coefficients, however small it is asked to be.
    if scale < 1 and hasattr(image, "draft") and not image.info.get("progressive"):
        image.draft(None, (max(1, int(width * scale)), max(1, int(height * scale))))
    limit = MAX_PIXELS if image.size == (width, height) else MAX_JPEG_PIXELS
    if math.prod(image.size) > MAX_PIXELS or width * height > limit:
        raise _too_large(width, height, limit)


def _too_large(width: int, height: int, limit: int) -> ImageError:
    message = _("The picture has {megapixels} megapixels ({width} × {height}); at most {limit} can be read.")
    megapixels = round(width * height / 1e6)
    return ImageError(message.format(megapixels=megapixels, width=width, height=height, limit=limit // 1_000_000))


def _convert(image: Image.Image) -> np.ndarray:
    image.load()
    orientation = _orientation(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_deep_grey(_deep_values(image)))
    elif image.mode == "La":
        image = image.convert("LA")
    see_through = image.has_transparency_data
    image = _shrunk(image.convert("RGBA" if see_through else "RGB"))
    if see_through:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return np.array(image)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # unreadable EXIF data are no reason to refuse the pixels
        return 1


def _deep_values(image: Image.Image) -> np.ndarray:
    """The numbers of a deep grey picture, also where Pillow passes over what a TIFF file says of their meaning."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if tags and values.dtype == np.int32 and tags.get(_TIFF_SAMPLES, (1,)) == (1,):
        values = values.view(np.uint32)
    if tags.get(_TIFF_PHOTOMETRIC) == 0 and _is_16_bit(values):  # white is zero
        values = 65535 - values
    return values


def _is_16_bit(values: np.ndarray) -> bool:
    return values.dtype.kind == "u" and values.dtype.itemsize == 2  # in either order of bytes


def _deep_grey(values: np.ndarray) -> np.ndarray:
    """Grey of more than 8 bits, or of floats, as uint8: by its type's range where that is known, else stretched."""
    if _is_16_bit(values):
        return np.round(values / 257.0).astype(np.uint8)
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values.astype(np.float64), posinf=high, neginf=low)
    if low < 0 or high > 65535:
        return np.round((values - low).clip(0) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)
    top = next(top for top in (1.0, 255.0, 65535.0) if high <= top)
    return np.round(values * (255.0 / top)).astype(np.uint8)


def _shrunk(image: Image.Image) -> Image.Image:
    scale = MAX_SIDE / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _shrink(image: np.ndarray) -> np.ndarray:
    return image if max(image.shape) <= MAX_SIDE else np.array(_shrunk(Image.fromarray(image)))


def _from_array(array: np.ndarray) -> np.ndarray:
    """An array of any accepted shape and type as a new uint8 picture [H, W, 3]."""
    pixels = np.asarray(array)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        message = _("An array of shape {shape} is no picture; it must be [H, W], [H, W, 3] or [H, W, 4].")
        raise ImageError(message.format(shape=np.shape(array)))
    pixels = _eight_bit(pixels)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255.0
        pixels = np.round(pixels[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if _is_16_bit(pixels):
        return np.round(pixels / 257.0).astype(np.uint8)
    if pixels.dtype.kind not in "fiu":
        raise ImageError(_("An array of {dtype} is no picture; use uint8 or floats.").format(dtype=pixels.dtype))
    top = 1.0 if pixels.dtype.kind == "f" else 255
    low, high = pixels.min(), pixels.max()
    slack = 1e-3 if top == 1.0 else 0  # arithmetic with floats oversteps 0 and 1 a little
    if not (low >= -slack and high <= top + slack):  # also true of NaN
        message = _("The array's values run from {low:.3g} to {high:.3g}; {dtype} pixels run from 0 to {top:.0f}.")
        raise ImageError(message.format(low=low, high=high, dtype=pixels.dtype, top=top))
    return np.round(pixels.clip(0, top) * (255.0 / top)).astype(np.uint8)
