"""Examples to learn from: pictures with their labels, from whatever holds them."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..images.digits import Digits
from ..seeds import Drawing

MOST_BYTES = 2 * 1024**3  # of pictures that are held in memory

Examples = Digits | tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Any]]
"""Digits, or pictures `[N, C, H, W]` with their labels `[N]`, or a `Dataset` or `DataLoader` of such."""


def as_tensors(examples: Examples) -> tuple[Tensor, Tensor]:
    """Pictures `[N, …]` and labels int64 `[N]` as tensors, all in memory.

    Labels are of any whole-number type; 0. and 1., also as `[N, 1]`, will do. What a `Dataset` or `DataLoader` gives is
    read once, in its order; what it draws at random is drawn from a seed of its own, always the same.

    Raises `WrongSetting` unless there is at least one picture, of floats that are numbers, and a label each, and for
    pictures that take more than 2 GB.
    """
    if isinstance(examples, Digits):
        examples = examples.tensors()
    is_pair = isinstance(examples, (tuple, list)) and len(examples) == 2
    try:
        pictures, labels = map(_as_tensor, examples if is_pair else _read(examples))
        counts = len(pictures), len(labels)
    except CnnvizError:
        raise
    except (TypeError, ValueError, RuntimeError):
        message = _("Examples are Digits, a pair (pictures [N, C, H, W], labels [N]), a Dataset or a DataLoader.")
        raise WrongSetting(message) from None
    if counts[0] == 0 or counts[0] != counts[1]:
        message = _("There are {pictures} pictures and {labels} labels: give at least one picture, and a label each.")
        raise WrongSetting(message.format(pictures=counts[0], labels=counts[1]))
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.is_floating_point() and ((labels == 0) | (labels == 1)).all():
        labels = labels.long()
    if not pictures.is_floating_point() or labels.ndim != 1 or labels.is_floating_point():
        message = _("Pictures must be floats and labels whole numbers [N], not {pictures} and {labels} {shape}.")
        words = {"pictures": _kind(pictures), "labels": _kind(labels), "shape": list(labels.shape)}
        raise WrongSetting(message.format(**words))
    sound = pictures.flatten(1).isfinite().all(1)
    if not sound.all():
        message = _("Picture number {number}, counted from 0, holds values that are not numbers (nan or inf).")
        raise WrongSetting(message.format(number=int((~sound).nonzero()[0])))
    return pictures, labels.long()


def _read(examples: Any) -> tuple[Tensor, Tensor]:
    """All pictures and labels of a `Dataset` (one an item) or of a `DataLoader` (a batch an item)."""
    from torch.utils.data import DataLoader

    if isinstance(examples, (Tensor, np.ndarray, str, bytes, dict)):
        raise TypeError
    pictures, labels = [], []
    with Drawing(0):
        for picture, label in _items(examples):
            pictures.append(_as_tensor(picture))
            labels.append(_as_tensor(label))
            _check_size(pictures, examples)
    shapes = {tuple(picture.shape[-3:]) for picture in pictures}
    if len(shapes) > 1:
        few = ", ".join(str(list(shape)) for shape in sorted(shapes)[:3])
        raise WrongSetting(_("The pictures must all be of one size, not of {sizes}.").format(sizes=few))
    join = torch.cat if isinstance(examples, DataLoader) else torch.stack
    return (join(pictures), join(labels)) if pictures else (torch.empty(0), torch.empty(0))


def _items(examples: Any) -> Iterator[tuple[Any, Any]]:
    """One item after another; a `Dataset` with a length need not know how to end by itself."""
    by_number = hasattr(examples, "__getitem__") and hasattr(examples, "__len__")
    items = (examples[number] for number in range(len(examples))) if by_number else iter(examples)
    number = 0
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as error:
            message = _("Item {number} of the examples cannot be read. {kind}: {reason}")
            words = {"kind": type(error).__name__, "reason": " ".join(str(error).split())[:300]}
            raise WrongSetting(message.format(number=number, **words)) from error
        yield item
        number += 1


def _check_size(pictures: list[Tensor], examples: Any) -> None:
    """Raises `WrongSetting` as soon as it is clear that the pictures will not fit into memory."""
    latest = pictures[-1]
    try:
        count = max(len(examples), len(pictures))
    except TypeError:  # a stream does not know how long it is
        count = len(pictures)
    size = count * latest.numel() * latest.element_size()
    if size > MOST_BYTES:
        message = _("The pictures would take {size:.1f} GB of memory: give fewer of them, or smaller ones.")
        raise WrongSetting(message.format(size=size / 1024**3))


def _as_tensor(values: Any) -> Tensor:
    return values.detach() if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))


def _kind(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
