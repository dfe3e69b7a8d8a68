"""Occlusion: cover a part of the picture, ask the network again, and note how sure it still is.

Matthew D. Zeiler and Rob Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section 4.2.
The network is a black box: nothing is read from inside it, and nothing in it is changed.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from .. import images
from ..errors import WrongSetting
from ..i18n import _
from ..networks import Asked, Network, as_pictures
from ..settings import whole_number
from .fills import Bounds, bounds_of, cover_picture
from .steps import finished, next_batch
from .targets import Target, Wanted, as_target, asked

BATCH = 8  # pictures where nobody waits for a single step: fast, and small enough in memory for large networks too

ARTICLE = {"window": 70, "stride": 14, "core": 14, "fill": "grey"}
"""Settings as in the course's source article: a grey box of 70 × 70 pixels (five times 14) steps by 14 pixels.

Read so: the whole box is covered, and its value is written to the core of 14 × 14 in its middle, so that the cores
tile the picture: 16 × 16 values on 224 × 224. At the border the box hangs over the edge; only its part inside counts.
"""

Pair = int | tuple[int, int]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """What a network says of one class while a window covers one part of the picture after another.

    `probabilities` and `logits`, [rows, columns], belong to the windows whose upper left corners are at `tops[row]`,
    `lefts[column]`; NaN where no window has been yet. `clean_probability` and `clean_logit` are those of the picture
    without a window. `window`, `core`, `stride` and `size` are (height, width) in pixels; a value stands for the
    `core` in the middle of its window, which is the window itself unless set. `target` is the index of the class, None
    where it was a function (whose value then stands for logit and probability), and `label` what it is called. `fill`
    is the name of what was put in the picture's place, empty where it was a tensor.
    """

    probabilities: Tensor
    logits: Tensor
    clean_probability: float
    clean_logit: float
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    window: tuple[int, int]
    core: tuple[int, int]
    stride: tuple[int, int]
    size: tuple[int, int]
    target: int | None
    label: str = ""
    fill: str = ""

    @property
    def drop(self) -> Tensor:
        """By how much the probability falls under each window [rows, columns]; negative where it rises."""
        return self.clean_probability - self.probabilities

    def per_pixel(self, values: Tensor | None = None) -> Tensor:
        """The mean of `values` [rows, columns] over the windows (their cores) that cover a pixel: [H, W].

        `values` are the probabilities unless given. NaN where no visited window covers the pixel.
        """
        values = self.probabilities if values is None else torch.as_tensor(values)
        visited = ~values.isnan()
        rows = _cover(self.tops, self.window[0], self.core[0], self.size[0]).to(values)
        columns = _cover(self.lefts, self.window[1], self.core[1], self.size[1]).to(values)
        total = rows.T @ values.nan_to_num() @ columns
        return total / (rows.T @ visited.to(values) @ columns)

    def mask(self, threshold: float = 0.85) -> Tensor:
        """Where covering hurts: pixels whose probability is below `threshold` times the map's maximum, bool [H, W]."""
        values = self.per_pixel()
        return values < threshold * values.nan_to_num(-math.inf).max()

    def masked(self, image: np.ndarray, threshold: float = 0.85) -> np.ndarray:
        """`image` [H, W] or [H, W, 3] where `mask` is true, black elsewhere.

        Raises `WrongSetting` when the picture is of another size than the one that was occluded.
        """
        image = np.asarray(image)
        if image.shape[:2] != self.size:
            message = _(
                "The picture is {picture} pixels, but the map belongs to one of {size}: pass what was occluded."
            )
            raise WrongSetting(message.format(picture=_times(image.shape[:2]), size=_times(self.size)))
        mask = self.mask(threshold).numpy()
        return np.where(mask.reshape(mask.shape + (1,) * (image.ndim - 2)), image, 0).astype(image.dtype)


@dataclass(frozen=True, eq=False)
class Step:
    """How far an occlusion is: `index` of `total` windows are done, and `map` holds what they gave."""

    index: int
    total: int
    map: OcclusionMap


def occlusion(
    model: Network | nn.Module,
    inputs: Tensor,
    target: Wanted,
    window: Pair = 32,
    stride: Pair = 16,
    fill: str | Tensor = "grey",
    *,
    core: Pair | None = None,
    bounds: Bounds | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    progress: bool = True,
) -> OcclusionMap:
    """How the probability of class `target` changes while a window covers one part of the picture after another.

    Zeiler and Fergus (2014). See `occlusion_steps` for the arguments and errors; `progress` shows a bar. Nobody waits
    for a single step here, so `batch_size` is one that is fast and small enough in memory for large networks too.
    """
    steps = occlusion_steps(
        model, inputs, target, window, stride, fill, core=core, bounds=bounds, seed=seed, batch_size=batch_size
    )
    return finished(steps, _("Occlusion"), progress).map


def occlusion_steps(
    model: Network | nn.Module,
    inputs: Tensor,
    target: Wanted,
    window: Pair = 32,
    stride: Pair = 16,
    fill: str | Tensor = "grey",
    *,
    core: Pair | None = None,
    bounds: Bounds | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Iterator[Step]:
    """`occlusion` in short steps, each with the map so far; the first, of index 0, holds the clean prediction alone.

    - `model`: a `Network`, or any module that gives logits (or probabilities) [N, classes]. Nothing in it is changed.
    - `inputs`: one picture as the network wants it, [1, C, H, W].
    - `target`: index of the class, its label where the model is a `Network`, or a function of what the module
      returns that gives one number a picture.
    - `window`, `stride`: pixels, or (height, width). Windows stand at 0, stride, 2 * stride, …; when the last does
      not end at the picture's edge, one more does, so that every pixel (at strides up to the window) is covered and
      every window is whole.
    - `core`: the middle part of the window that a value stands for, as in `ARTICLE`. The cores are then placed as
      windows are otherwise, and windows may hang over the edge.
    - `fill`: one of `FILLS`, or a tensor that broadcasts to `inputs`. Black, white and grey are those of pixels; mean
      is that of each channel; blur is Gaussian with a sigma of a quarter of the window's longer side; noise is
      uniform between black and white, one field for the whole picture, drawn from `seed`.
    - `bounds`: what pixel values black and white have become in `inputs`, numbers or tensors [1, C, 1, 1]. A
      `Network` knows its own; without either, inputs that all lie in 0..1 are taken for pixels.
    - `batch_size`: pictures in one step. By default it follows the network's speed, so that steps stay short.

    Raises `WrongSetting` or `UnknownClass` at once, before the first step, or in the first step where only the
    network's answer tells how many classes it has.
    """
    ask, target, window = asked(model), as_target(model, target), _pair(_("window"), window)
    clean = ask.prepared(inputs, one=True)
    blank = _blank_map(tuple(clean.shape[2:]), window, stride, core, target, fill if isinstance(fill, str) else "")
    cover = cover_picture(clean, fill, window, bounds_of(model, bounds), seed)
    if batch_size is not None:
        batch_size = whole_number(_("batch size"), batch_size, 1)
    return _steps(ask, target, clean, cover, blank, batch_size)


def occlude(
    inputs: Tensor,
    y: int,
    x: int,
    window: Pair = 32,
    fill: str | Tensor = "grey",
    *,
    bounds: Bounds | None = None,
    seed: int = 0,
) -> Tensor:
    """`inputs` [1, C, H, W] with a window's upper left corner at row `y`, column `x`: a new tensor [1, C, H, W].

    The window may hang over the edge. Arguments and errors as in `occlusion_steps`; a network's `bounds` go in here.
    """
    clean, window = as_pictures(inputs, one=True).detach(), _pair(_("window"), window)
    covered = clean.clone()
    _paste(covered[0], cover_picture(clean, fill, window, bounds, seed)[0], y, x, window)
    return covered


def under_patch(
    network: Network, inputs: Tensor, corner: tuple[int, int], window: Pair, fill: str | Tensor
) -> tuple[np.ndarray, Tensor]:
    """One place of a map by itself: `inputs` [1, C, H, W] with the window's upper left at `corner` (row, column).

    Returns what the network then sees, uint8 [H, W, 3], and the probability of each class, float32 [classes].
    """
    ask = asked(network)
    covered = occlude(inputs, *corner, window, fill, bounds=network.bounds)
    probabilities = network.reading.probabilities(ask.scores(ask.prepared(covered))[0])
    return images.to_image(network.denormalise(covered.float())), probabilities


def _steps(
    ask: Asked, target: Target, clean: Tensor, cover: Tensor, blank: OcclusionMap, batch_size: int | None
) -> Iterator[Step]:
    score, probability = target.said(ask, ask.output(clean), 1)
    so_far = replace(blank, clean_probability=probability.item(), clean_logit=score.item())
    corners = [(y, x) for y in blank.tops for x in blank.lefts]
    logits = torch.full(blank.logits.shape, math.nan, dtype=score.dtype)
    probabilities = logits.clone()
    yield Step(0, len(corners), replace(so_far, logits=logits.clone(), probabilities=probabilities.clone()))

    ask.quicken(clean)
    batch_size = 1 if ask.one_by_one else batch_size
    done, count = 0, batch_size or 1
    while done < len(corners):
        began = time.perf_counter()
        batch = corners[done : done + count]
        score, probability = target.said(ask, ask.output(_covered_batch(clean, cover, batch, blank.window)), len(batch))
        logits.view(-1)[done : done + len(batch)] = score
        probabilities.view(-1)[done : done + len(batch)] = probability
        done += len(batch)
        if batch_size is None:
            count = next_batch(len(batch), time.perf_counter() - began)
        yield Step(done, len(corners), replace(so_far, logits=logits.clone(), probabilities=probabilities.clone()))


# The windows


def _pair(name: str, value: Pair) -> tuple[int, int]:
    height, width = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    return whole_number(name, height, 1), whole_number(name, width, 1)


def _times(size: tuple[int, int]) -> str:
    return " × ".join(str(side) for side in size)


def _blank_map(
    size: tuple[int, int], window: tuple[int, int], stride: Pair, core: Pair | None, target: Target, fill: str
) -> OcclusionMap:
    """A map of NaN whose windows are placed; raises `WrongSetting` when they cannot be."""
    stride = _pair(_("stride"), stride)
    core = window if core is None else _pair(_("core"), core)
    for inner, outer, message in (
        (window, size, _("The window of {inner} is larger than the picture of {outer}: make it smaller.")),
        (core, window, _("The core of {inner} is larger than the window of {outer} around it: make it smaller.")),
    ):
        if inner[0] > outer[0] or inner[1] > outer[1]:
            raise WrongSetting(message.format(inner=_times(inner), outer=_times(outer)))
    tops, lefts = (_starts(*side) for side in zip(size, window, core, stride, strict=True))
    nothing = torch.full((len(tops), len(lefts)), math.nan)
    places = {"tops": tops, "lefts": lefts, "window": window, "core": core, "stride": stride, "size": size}
    return OcclusionMap(
        nothing, nothing, math.nan, math.nan, **places, target=target.index, label=target.label, fill=fill
    )


def _starts(size: int, window: int, core: int, stride: int) -> tuple[int, ...]:
    """Where windows begin along one side: every `stride`, and once more at the edge when pixels are left there."""
    cores = list(range(0, size - core + 1, stride))
    if cores[-1] + core < size:
        cores.append(size - core)
    return tuple(start - (window - core) // 2 for start in cores)


def _cover(starts: tuple[int, ...], window: int, core: int, size: int) -> Tensor:
    """Which pixels of a side belong to which window's core, bool [len(starts), size]."""
    first = torch.tensor(starts)[:, None] + (window - core) // 2
    pixels = torch.arange(size)
    return (pixels >= first) & (pixels < first + core)


def _covered_batch(clean: Tensor, cover: Tensor, corners: list[tuple[int, int]], window: tuple[int, int]) -> Tensor:
    batch = clean.repeat(len(corners), 1, 1, 1)
    for picture, (y, x) in zip(batch, corners, strict=True):
        _paste(picture, cover[0], y, x, window)
    return batch


def _paste(picture: Tensor, cover: Tensor, y: int, x: int, window: tuple[int, int]) -> None:
    """Put the window's part of `cover` into `picture`, both [C, H, W]; what hangs over the edge is left out."""
    rows, columns = slice(max(y, 0), max(y + window[0], 0)), slice(max(x, 0), max(x + window[1], 0))
    picture[:, rows, columns] = cover[:, rows, columns]
