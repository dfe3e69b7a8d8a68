"""The one object that knows how a network wants its pictures, what it calls its classes, and how it is read."""

import difflib
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from .. import images
from ..errors import CnnvizError, ImageError, UnknownClass
from ..i18n import _
from ..settings import whole_number
from ..text import one_line
from .asking import Asked, as_module, like
from .output import Output, reading_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Network:
    """An image classifier together with how it wants its pictures, what it calls its classes and how it is read.

    `module` is any `nn.Module` that takes [N, C, H, W]; C is the length of `mean` and `std` (3 for colour and 1 for
    grey pictures; a module that takes other channels is given tensors), which are in pixel units of 0 to 1. `labels`
    are the names of the classes; without them they are "class 0", "class 1", … `size` is the side of the square that
    the network sees, or (height, width).

    `output` says how what the module returns is read: as logits of classes that exclude each other ("softmax"), or of
    labels each of which is true or false by itself ("sigmoid"). A function makes scores [N, classes] of a dictionary,
    a tuple, a detector's or a segmenter's output; a pair of function and word does both. A single score is read by the
    sigmoid; with two labels and "sigmoid" these are its no and its yes. A module that ends in a softmax may be given as
    well; the logarithms of its probabilities serve as its logits.

    The module stays as it was: its device, its parameters, their gradients, and the mode of each part. What runs is a
    private copy in eval mode that shares its weights (see `Asked`).
    """

    def __init__(
        self,
        module: nn.Module,
        labels: Sequence[str] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size: int | tuple[int, int] = 224,
        name: str | None = None,
        *,
        output: Output = "softmax",
    ) -> None:
        if not isinstance(module, nn.Module):
            kind = type(module).__name__
            raise CnnvizError(_("A network is made from a torch.nn.Module, not from a {kind}.").format(kind=kind))
        self.module = as_module(module)
        self.name = name or type(module).__name__
        try:
            self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        except (TypeError, ValueError):
            self.mean = self.std = ()
        if not self.mean or len(self.mean) != len(self.std) or not all(one > 0 for one in self.std):
            raise CnnvizError(_("mean and std need one number for each channel, and std must be above 0."))
        if not all(abs(one) <= 1 for one in self.mean):
            raise CnnvizError(_("mean and std are in pixel units of 0 to 1: divide those for 0 to 255 by 255."))
        self.shape = _height_and_width(size)
        self.size = self.shape[0] if self.shape[0] == self.shape[1] else self.shape
        self._labels = None if labels is None else _unique(labels)
        self.reading = replace(reading_of(output), two_sided=labels is not None and len(self._labels) == 2)

    def __repr__(self) -> str:
        return f"Network({self.name}, {self.shape[0]}×{self.shape[1]})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, each one different; "class 0", "class 1", … where none were given."""
        if self._labels is None:
            count = self._scores(torch.zeros(1, len(self.mean), *self.shape)).shape[0]
            self._labels = tuple(_("class {index}").format(index=index) for index in range(count))
        return self._labels

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """What black and white become for the network: two tensors [1, C, 1, 1]."""
        black = torch.zeros(1, len(self.mean), 1, 1, device=self._like.device, dtype=self._like.dtype)
        return self.normalise(black), self.normalise(black + 1)

    def view(self, image: images.ImageSource) -> np.ndarray:
        """The picture as the network sees it: uint8 [H, W, 3], of the network's `shape`.

        The largest centred part of that shape, resized. Nothing further is cut off, as is customary when accuracy is
        measured, so that a panel can show the whole of what the network sees, and it recognises our pictures as well.
        """
        return images.fit(_picture(image), self.shape)

    def preprocess(self, image: images.ImageSource) -> Tensor:
        """`view(image)` as the normalised tensor [1, C, H, W], on the network's device and of its type.

        Raises `ImageError` for what is no picture, and `CnnvizError` for a network that takes neither grey nor colour.
        """
        return self.tensor(self.view(image))

    def tensor(self, view: np.ndarray) -> Tensor:
        """A picture [H, W, 3] in its own size as the normalised tensor [1, C, H, W]."""
        if len(self.mean) not in (1, 3):
            message = _("{name} takes {count} channels, and pictures have 1 or 3: give it tensors [N, {count}, H, W].")
            raise CnnvizError(message.format(name=self.name, count=len(self.mean)))
        pixels = images.to_tensor(view) if len(self.mean) == 3 else torch.from_numpy(images.greyscale(view))[None, None]
        return self.normalise(pixels.to(self._like.device)).to(self._like.dtype)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels [N, C, H, W] in 0..1 on the network's scale: (pixels - mean) / std."""
        mean, std = self._scale(pixels)
        return (pixels - mean) / std

    def denormalise(self, inputs: Tensor) -> Tensor:
        """The inverse of `normalise`: pixels in 0..1 from what the network is fed."""
        mean, std = self._scale(inputs)
        return inputs * std + mean

    def logits(self, image: images.ImageSource) -> Tensor:
        """The network's scores of a picture before softmax or sigmoid: float32 [classes], on the CPU."""
        logits = self._scores(self.preprocess(image))
        if logits.is_meta:
            message = _("{name} is an architecture without weights; load_network makes one that can look at pictures.")
            raise CnnvizError(message.format(name=self.name))
        logits = logits.float()
        if len(self.labels) != len(logits):
            message = _("{name} puts out {count} scores, but {labels} labels were given.")
            raise CnnvizError(message.format(name=self.name, count=len(logits), labels=len(self.labels)))
        if self.reading.probabilities(logits).isnan().any():
            raise CnnvizError(_("{name} puts out scores that are not numbers (nan or inf).").format(name=self.name))
        return logits

    def probabilities(self, image: images.ImageSource) -> Tensor:
        """The probability of each class of a picture: float32 [classes] in 0..1, which add up to 1 under softmax."""
        return self.reading.probabilities(self.logits(image))

    def predict(self, image: images.ImageSource, top: int = 5) -> list[tuple[str, float]]:
        """The `top` most probable classes of a picture as (label, probability), the most probable first."""
        return self.best(self.probabilities(image), whole_number("top", top, 1))

    def best(self, probabilities: Tensor, top: int) -> list[tuple[str, float]]:
        """The `top` largest of `probabilities` [classes] as (label, probability), the largest first."""
        best = probabilities.sort(descending=True)
        pairs = zip(best.values[:top].tolist(), best.indices[:top].tolist(), strict=True)
        return [(self.labels[index], probability) for probability, index in pairs]

    def class_index(self, label_or_index: str | int) -> int:
        """The number of a class, from its label (in any case) or from the number itself.

        Raises `UnknownClass`, which names the nearest labels.
        """
        if isinstance(label_or_index, str):
            return self._label_index(label_or_index)
        try:
            index = operator.index(label_or_index)
        except TypeError:
            kind = type(label_or_index).__name__
            raise UnknownClass(
                _("A class is given by its label or number, not by a {kind}.").format(kind=kind)
            ) from None
        if not 0 <= index < len(self.labels):
            message = _("There is no class {index}; {name} numbers its classes from 0 to {last}.")
            raise UnknownClass(message.format(index=index, name=self.name, last=len(self.labels) - 1))
        return index

    def _label_index(self, label: str) -> int:
        if label in self.labels:
            return self.labels.index(label)
        wanted = label.strip().casefold()
        same = [index for index, known in enumerate(self.labels) if known.casefold() == wanted]
        if len(same) == 1:
            return same[0]
        near = nearest_names(wanted, self.labels)
        hint = _("Did you mean {near}?").format(near=", ".join(near)) if near else _("See labels for its classes.")
        message = _('{name} has no class "{label}". {hint}')
        raise UnknownClass(message.format(name=self.name, label=label, hint=hint))

    def _scores(self, inputs: Tensor) -> Tensor:
        ask = Asked(self)
        return ask.scores(ask.prepared(inputs))[0]

    def _scale(self, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, device=like.device, dtype=like.dtype) for values in (self.mean, self.std))
        return mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)

    @property
    def _like(self) -> Tensor:
        return like(self.module)


def _picture(image: images.ImageSource) -> np.ndarray:
    if isinstance(image, Tensor):
        raise ImageError(_("A tensor was given where a picture is expected; call network.module(tensor) instead."))
    return images.load(image)


def _height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    name = _("size of the picture that a network sees")
    return whole_number(name, height, 1), whole_number(name, width, 1)


def _unique(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, each in one line, as a tuple in which none occurs twice: repeated ones carry their number."""
    if isinstance(labels, Mapping) or not isinstance(labels, Iterable):
        kind = type(labels).__name__
        raise CnnvizError(
            _("The labels are a list of names, in the order of the classes, not a {kind}.").format(kind=kind)
        )
    names = [one_line(label) for label in labels]  # lines of a file end in "\n"
    counts = Counter(names)
    return tuple(name if counts[name] == 1 else f"{name} ({index})" for index, name in enumerate(names))


def nearest_names(wanted: str, names: Sequence[str], count: int = 4) -> list[str]:
    """The names that contain `wanted` as a word, then those spelt most like it."""
    word = re.compile(rf"\b{re.escape(wanted)}\b", re.IGNORECASE)
    containing = sorted((name for name in names if wanted and word.search(name)), key=len)
    folded = {name.casefold(): name for name in names}
    alike = [folded[match] for match in difflib.get_close_matches(wanted, folded, n=count, cutoff=0.6)]
    return list(dict.fromkeys([*containing, *alike]))[:count]
