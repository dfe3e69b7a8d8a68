"""Which pictures are meant by nothing, one picture, a folder or a list, and what each is called."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import ImageError
from ..i18n import _
from ..text import one_line
from .catalogue import PICTURES
from .reading import ImageSource, local_path

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif")
"""How the files end that are taken for pictures in a folder."""

Pictures = ImageSource | Iterable[ImageSource] | None
_ONE = (bytes, bytearray, memoryview, Image.Image, Tensor)  # a tensor is no picture, and `load` says so once


class PictureList(list):
    """Sources of pictures in order, each as `load` takes it.

    `labels` holds for each the subfolder that it lies in, or None.
    """

    def __init__(self, sources: Iterable[ImageSource], labels: Iterable[str | None] | None = None):
        super().__init__(sources)
        self.labels = [None] * len(self) if labels is None else list(labels)

    @property
    def names(self) -> tuple[str, ...]:
        """What each is called: the picture's or file's name, otherwise its number, from 1."""
        return tuple(picture_name(source) or str(number) for number, source in enumerate(self, 1))


def picture_list(pictures: Pictures = None) -> PictureList:
    """The pictures meant by `pictures`.

    None means those of the course, a folder the picture files in it and in its subfolders, by name; the subfolders are
    their labels. What `load` takes is one picture, also an array `[H, W]` or `[H, W, 3]`, and anything else is a list
    of such; an array `[N, H, W, 3]` holds N. Hidden files are left out.

    Raises `ImageError` for a folder or file that is not there, a folder without pictures, and an empty list.
    """
    if pictures is None:
        return PictureList(PICTURES)
    if isinstance(pictures, PictureList):
        return pictures
    if isinstance(pictures, (str, os.PathLike)):
        return _named(pictures)
    if isinstance(pictures, _ONE) or _is_picture(pictures) or hasattr(pictures, "read"):
        return PictureList([pictures])
    try:
        found = PictureList(pictures)
    except TypeError:
        found = PictureList([pictures])  # `load` says what is wrong with it
    if not found:
        raise ImageError(_("There are no pictures to look at: the list is empty."))
    return found


def picture_name(source: ImageSource) -> str | None:
    """The name of a picture of the course or of a file, on one line; None for pixels and bytes."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    return one_line(source if source in PICTURES else Path(os.fsdecode(source)).name)


def _is_picture(pictures: object) -> bool:
    """Whether an array is one picture, not several: two axes, or colours on its last."""
    return isinstance(pictures, np.ndarray) and (
        pictures.ndim == 2 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))
    )


def _named(path: str | os.PathLike) -> PictureList:
    if isinstance(path, str) and path in PICTURES:
        return PictureList([path])
    place = local_path(path)
    name = one_line(place.name or place)
    try:
        if place.is_dir():
            return _in_folder(place, name)
        if place.exists():
            return PictureList([place])
    except (OSError, ValueError) as error:
        reason = one_line(getattr(error, "strerror", None) or error)
        message = _('The folder "{name}" cannot be read: {reason}.').format(name=name, reason=reason)
        raise ImageError(message) from error
    if place.suffix.lower() in SUFFIXES:
        raise ImageError(_('There is no file "{name}".').format(name=name))
    raise ImageError(_('There is no folder "{name}".').format(name=name))


def _in_folder(folder: Path, name: str) -> PictureList:
    found = [(file, None) for file in _pictures_in(folder)]
    for part in sorted(folder.iterdir()):
        if not part.name.startswith(".") and part.is_dir() and os.access(part, os.R_OK | os.X_OK):
            found += [(file, one_line(part.name)) for file in _pictures_in(part)]
    if not found:
        message = _(
            'There are no pictures in the folder "{name}"; '
            "JPEG, PNG, GIF, WebP, BMP, TIFF and AVIF files are looked for."
        )
        raise ImageError(message.format(name=name))
    files, labels = zip(*found, strict=True)
    return PictureList(files, labels)


def _pictures_in(folder: Path) -> list[Path]:
    """The picture files in `folder`, by name, without hidden ones and those that macOS puts beside each (._name)."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
