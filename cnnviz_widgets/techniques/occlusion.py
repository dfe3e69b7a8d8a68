"""Occlusion: cover a part of the picture, ask the network again, and note how sure it still is.

Matthew D. Zeiler and Rob Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section 4.2.
The network is a black box: nothing is read from inside it, and nothing in it is changed. The work is done on a
private copy that shares its weights.
"""

import copy
import math
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UnknownClass, WrongSetting
from ..i18n import _
from ..networks import Network, as_logits, as_module, evaluating
from ..settings import one_of, whole_number

FILLS = {
    "grey": _("Grey"),
    "black": _("Black"),
    "white": _("White"),
    "mean": _("Mean colour of the picture"),
    "blur": _("Blurred picture"),
    "noise": _("Noise"),
}

ARTICLE = {"window": 70, "stride": 14, "core": 14, "fill": "grey"}
"""Settings as in the course's source article: a grey box of 70 × 70 pixels (five times 14) steps by 14 pixels.

Read so: the whole box is covered, and its value is written to the core of 14 × 14 in its middle, so that the cores
tile the picture: 16 × 16 values on 224 × 224. At the border the box hangs over the edge; only its part inside counts.
"""

SECONDS_A_STEP = 0.07
BATCH = 8
LARGEST_BATCH = 16

Pair = int | tuple[int, int]
Bounds = tuple[float | Tensor, float | Tensor]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """What a network says of one class while a window covers one part of the picture after another.

    `probabilities` and `logits`, [rows, columns], belong to the windows whose upper left corners are at `tops[row]`,
    `lefts[column]`; NaN where no window has been yet. `clean_probability` and `clean_logit` are those of the picture
    without a window. `window`, `core`, `stride` and `size` are (height, width) in pixels; a value stands for the
    `core` in the middle of its window, which is the window itself unless set. `target` is the index of the class.
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
    target: int

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
    target: int | str,
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
    from tqdm.auto import tqdm

    steps = occlusion_steps(
        model, inputs, target, window, stride, fill, core=core, bounds=bounds, seed=seed, batch_size=batch_size
    )
    with tqdm(desc=_("Occlusion"), disable=not progress, leave=False) as bar:
        for step in steps:
            bar.total = step.total
            bar.update(step.index - bar.n)
    return step.map


def occlusion_steps(
    model: Network | nn.Module,
    inputs: Tensor,
    target: int | str,
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
    - `target`: index of the class, or its label where the model is a `Network`.
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
    clean, window = _one_picture(inputs), _pair(_("window"), window)
    blank = _blank_map(tuple(clean.shape[2:]), window, stride, core, _class_index(model, target))
    cover = _cover_picture(clean, fill, window, _bounds_of(model, bounds), seed)
    if batch_size is not None:
        batch_size = whole_number(_("batch size"), batch_size, 1)
    return _steps(as_module(model), clean, cover, blank, batch_size)


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
    clean, window = _one_picture(inputs), _pair(_("window"), window)
    covered = clean.clone()
    _paste(covered[0], _cover_picture(clean, fill, window, bounds, seed)[0], y, x, window)
    return covered


def _steps(
    module: nn.Module, clean: Tensor, cover: Tensor, blank: OcclusionMap, batch_size: int | None
) -> Iterator[Step]:
    ask, target = _private_copy(module), blank.target
    answer = _checked(ask(clean), target, 1)
    so_far = replace(blank, clean_probability=answer.softmax(1)[0, target].item(), clean_logit=answer[0, target].item())
    corners = [(y, x) for y in blank.tops for x in blank.lefts]
    logits = torch.full(blank.logits.shape, math.nan, dtype=answer.dtype)
    probabilities = logits.clone()
    yield Step(0, len(corners), replace(so_far, logits=logits.clone(), probabilities=probabilities.clone()))

    done, count = 0, batch_size or 1
    while done < len(corners):
        began = time.perf_counter()
        batch = corners[done : done + count]
        answer = _checked(ask(_covered_batch(clean, cover, batch, blank.window)), target, len(batch))
        logits.view(-1)[done : done + count] = answer[:, target].cpu()
        probabilities.view(-1)[done : done + count] = answer.softmax(1)[:, target].cpu()
        done += len(batch)
        if batch_size is None:
            count = _next_batch(len(batch), time.perf_counter() - began)
        yield Step(done, len(corners), replace(so_far, logits=logits.clone(), probabilities=probabilities.clone()))


def _next_batch(count: int, seconds: float) -> int:
    """As many pictures as fit the time of a step, but at most twice as many as last time."""
    affordable = int(SECONDS_A_STEP * count / max(seconds, 1e-9))
    return max(1, min(affordable, 2 * count, LARGEST_BATCH))


def _private_copy(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function that asks a copy of `module`, in eval mode and without gradients, for its logits.

    On a copy, another thread that runs the same network meets neither our modes nor our memory layout. Parameters
    are shared, except that the kernels of convolutions become channels-last, which halves the time on a CPU.
    """
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        values = parameter.detach()
        if values.ndim == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        memo[id(parameter)] = nn.Parameter(values, requires_grad=False)
    try:
        private = copy.deepcopy(module, memo)
    except Exception:  # a module may hold anything, also what cannot be copied; then we ask the module itself
        private = module

    def ask(batch: Tensor) -> Tensor:
        with evaluating(private), torch.no_grad():
            return private(batch)

    return ask


def _checked(answer: Tensor, target: int, count: int) -> Tensor:
    """The network's answer to `count` pictures as logits [count, classes]."""
    if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != count:
        what = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        message = _("The network must give one value a class, [{count}, classes] for {count} pictures, not {what}.")
        raise WrongSetting(message.format(count=count, what=what))
    if not 0 <= target < answer.shape[1]:
        message = _("There is no class {target}: the network has {count}, numbered from 0.")
        raise UnknownClass(message.format(target=target, count=answer.shape[1]))
    return as_logits(answer)


def _class_index(model: Network | nn.Module, target: int | str) -> int:
    if isinstance(model, Network):
        return model.class_index(target)
    try:
        return operator.index(target)
    except TypeError:
        message = _("A bare module has no class names: pass the index of {target!r}, or wrap the module in a Network.")
        raise UnknownClass(message.format(target=target)) from None


# The windows


def _pair(name: str, value: Pair) -> tuple[int, int]:
    height, width = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    return whole_number(name, height, 1), whole_number(name, width, 1)


def _times(size: tuple[int, int]) -> str:
    return " × ".join(str(side) for side in size)


def _blank_map(
    size: tuple[int, int], window: tuple[int, int], stride: Pair, core: Pair | None, target: int
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
    return OcclusionMap(nothing, nothing, math.nan, math.nan, tops, lefts, window, core, stride, size, target)


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
    batch = clean.repeat(len(corners), 1, 1, 1).contiguous(memory_format=torch.channels_last)
    for picture, (y, x) in zip(batch, corners, strict=True):
        _paste(picture, cover[0], y, x, window)
    return batch


def _paste(picture: Tensor, cover: Tensor, y: int, x: int, window: tuple[int, int]) -> None:
    """Put the window's part of `cover` into `picture`, both [C, H, W]; what hangs over the edge is left out."""
    rows, columns = slice(max(y, 0), max(y + window[0], 0)), slice(max(x, 0), max(x + window[1], 0))
    picture[:, rows, columns] = cover[:, rows, columns]


# The fills


def _one_picture(inputs: Tensor) -> Tensor:
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or len(inputs) != 1:
        shape = list(inputs.shape) if hasattr(inputs, "shape") else type(inputs).__name__
        raise WrongSetting(_("Give one picture as a tensor [1, C, H, W], not {shape}.").format(shape=shape))
    return inputs.detach()


def _bounds_of(model: Network | nn.Module, bounds: Bounds | None) -> Bounds | None:
    return model.bounds if bounds is None and isinstance(model, Network) else bounds


def _cover_picture(
    clean: Tensor, fill: str | Tensor, window: tuple[int, int], bounds: Bounds | None, seed: int
) -> Tensor:
    """The picture that shows through a window, [1, C, H, W]."""
    if isinstance(fill, (Tensor, np.ndarray)):
        try:
            return torch.as_tensor(fill).to(clean).expand_as(clean)
        except RuntimeError:
            message = _(
                "A fill of shape {fill} does not fit inputs of shape {inputs}: give [1, C, 1, 1] or [1, C, H, W]."
            )
            raise WrongSetting(message.format(fill=list(fill.shape), inputs=list(clean.shape))) from None
    one_of(_("fill"), fill, FILLS)
    if fill == "mean":
        return clean.mean((2, 3), keepdim=True).expand_as(clean)
    if fill == "blur":
        return _blurred(clean, sigma=max(window) / 4)
    try:
        black, white = (torch.as_tensor(bound).to(clean) for bound in _pixel_bounds(clean, bounds))
        torch.broadcast_to(black, clean.shape), torch.broadcast_to(white, clean.shape)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, WrongSetting):
            raise
        raise WrongSetting(_("bounds are (black, white): two numbers, or two tensors [1, C, 1, 1].")) from None
    if fill == "noise":
        generator = torch.Generator().manual_seed(seed)
        share = torch.rand(clean.shape, generator=generator).to(clean)
    else:
        share = {"black": 0.0, "grey": 0.5, "white": 1.0}[fill]
    return (black + share * (white - black)).expand_as(clean)


def _pixel_bounds(clean: Tensor, bounds: Bounds | None) -> Bounds:
    if bounds is not None:
        return bounds
    if clean.min() >= 0 and clean.max() <= 1:
        return 0.0, 1.0
    raise WrongSetting(
        _(
            "The inputs are normalised, so nobody can tell what is black: pass bounds=(black, white) as they are in "
            "the inputs, or a Network, or choose the fill 'mean' or 'blur'."
        )
    )


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of [1, C, H, W], with the edge pixels repeated outwards."""
    radius = math.ceil(3 * sigma)
    bell = torch.exp(-((torch.arange(-radius, radius + 1) / sigma) ** 2) / 2).to(picture)
    bell = (bell / bell.sum()).reshape(1, 1, -1, 1)
    channels = picture.transpose(0, 1)
    channels = F.conv2d(F.pad(channels, (0, 0, radius, radius), mode="replicate"), bell)
    channels = F.conv2d(F.pad(channels, (radius, radius, 0, 0), mode="replicate"), bell.transpose(2, 3))
    return channels.transpose(0, 1)
