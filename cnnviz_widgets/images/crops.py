"""Squares cut from pictures, as many small pictures to compare with each other."""

from dataclasses import dataclass

import numpy as np

from ..errors import WrongSetting
from ..i18n import _
from ..settings import whole_number
from .lists import Pictures, picture_list
from .reading import load

CROPPED = ("cat", "coffee", "astronaut", "rocket", "motorcycle", "camera", "brick", "grass", "gravel", "china")
"""The course's pictures that have room for thirty squares of 64 pixels."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Squares cut from pictures: uint8 `[N, side, side, 3]`, the picture of each (int64 `[N]`), the pictures' names."""

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def picture_crops(pictures: Pictures = CROPPED, *, side: int = 64, each: int = 30, seed: int = 0) -> Crops:
    """`each` squares of `side` pixels from every one of `pictures`, no two of which overlap, drawn from `seed`.

    `pictures` are as in `picture_list`. Raises `WrongSetting` when a picture has no room for so many, and `ImageError`
    for one that cannot be read.
    """
    side, each = whole_number(_("side of a crop"), side, 1), whole_number(_("number of crops"), each, 1)
    pictures = picture_list(pictures)
    generator = np.random.default_rng(seed)
    cut, labels = [], []
    for label, source in enumerate(pictures):
        picture = load(source)
        rows, columns = (extent // side for extent in picture.shape[:2])
        if rows * columns < each:
            message = _("Picture {number} has room for {room} squares of {side} × {side} pixels, not for {each}.")
            raise WrongSetting(message.format(number=label + 1, room=rows * columns, side=side, each=each))
        top, left = ((extent % side) // 2 for extent in picture.shape[:2])
        for place in np.sort(generator.permutation(rows * columns)[:each]):
            y, x = top + place // columns * side, left + place % columns * side
            cut.append(picture[y : y + side, x : x + side])
            labels.append(label)
    return Crops(np.stack(cut), np.array(labels), pictures.names)
