"""A first layer that learns on patches of pictures, until its filters look like Gabor functions.

Bruno A. Olshausen and David J. Field, "Emergence of simple-cell receptive field properties by learning a sparse code
for natural images" (1996) showed that asking for rare strong responses is enough; Anthony J. Bell and Terrence J.
Sejnowski, "The 'independent components' of natural scenes are edge filters" (1997), that one layer of filters without
a way back does it as well. That one layer is learned here.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real

import torch
from torch import Tensor

from .. import images
from ..errors import WrongSetting
from ..i18n import _
from ..settings import a_tensor, whole_number
from .adam import Adam

PHOTOGRAPHS = ("cat", "coffee", "astronaut", "rocket", "camera", "china", "flower", "motorcycle")
SOURCES = {"photographs": _("photographs"), "scrambled": _("scrambled photographs"), "noise": _("noise")}
SIZE = 11  # pixels of a filter's side, as in the first layer of AlexNet
GAUSSIAN = 0.3746  # mean log cosh of numbers from a normal distribution, mean 0 and variance 1
FAINTEST = 0.01  # standard deviation (of 0..1) below which a patch is plain background
BATCH = 1000


# ----------------------------------------------------------------------------------------------------------- patches
def picture_patches(
    count: int = 20_000,
    size: int = SIZE,
    *,
    pictures: images.Pictures = PHOTOGRAPHS,
    reduce: int = 2,
    scrambled: bool = False,
    seed: int = 0,
) -> Tensor:
    """`count` grey patches `[count, size, size]` in 0..1, equally many from each picture, from places drawn at random.

    `reduce` × `reduce` pixels are first averaged into one, which takes away what cameras and compression add.
    `scrambled` cuts them from `same_spectrum` instead of the picture. Raises `WrongSetting` when a patch does not fit
    into a picture.
    """
    count, size = whole_number(_("number of patches"), count, 1), whole_number(_("size of a patch"), size, 2)
    reduce = whole_number(_("reduction"), reduce, 1)
    generator = torch.Generator().manual_seed(whole_number(_("seed"), seed, 0))
    if isinstance(pictures, (list, tuple)) and not pictures:
        raise WrongSetting(_("Give at least one picture to cut patches from."))
    pictures = images.picture_list(pictures)
    cut, offsets = [], torch.arange(size)
    for picture in pictures:
        grey = reduced(picture, reduce)
        if min(grey.shape) < size:
            message = _("A patch of {size} × {size} does not fit into a picture of {height} × {width}.")
            raise WrongSetting(message.format(size=size, height=grey.shape[0], width=grey.shape[1]))
        if scrambled:
            grey = same_spectrum(grey, generator)
        share = -(-count // len(pictures))
        top, left = (torch.randint(0, side - size + 1, (share,), generator=generator) for side in grey.shape)
        cut.append(grey[(top[:, None] + offsets)[:, :, None], (left[:, None] + offsets)[:, None, :]])
    mixed = torch.cat(cut)
    return mixed[torch.randperm(len(mixed), generator=generator)[:count]]


def reduced(picture: images.ImageSource, by: int = 2) -> Tensor:
    """A picture in grey, `[H, W]` in 0..1, of which `by` × `by` pixels are averaged into one."""
    grey = torch.from_numpy(images.greyscale(images.load(picture)))
    return torch.nn.functional.avg_pool2d(grey[None], min(by, *grey.shape))[0]


@lru_cache(maxsize=3)
def patches_of(source: str) -> Tensor:
    """20,000 patches, less those that show next to nothing, normalised, of one of `SOURCES`; made once."""
    if source == "noise":
        return contrast_normalised(torch.rand(20_000, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    return contrast_normalised(picture_patches(scrambled=source == "scrambled"))


def same_spectrum(picture: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Noise that holds every wave of `picture` `[H, W]` as strongly, each shifted by an amount drawn at random.

    Its mean, its contrast and the likeness of its neighbouring pixels are the picture's; edges it has none, because an
    edge is where many waves meet in step.
    """
    noise = torch.fft.rfft2(torch.randn(picture.shape, generator=generator))
    waves = torch.fft.rfft2(picture)
    shifts = noise / noise.abs().clamp(min=1e-12)
    shifts[0, 0] = 1
    return torch.fft.irfft2(waves * shifts, picture.shape)


def contrast_normalised(patches: Tensor) -> Tensor:
    """Patches `[N, h, w]` with mean 0 and about the same contrast; those that show next to nothing are left out."""
    patches = a_tensor(patches)
    centred = patches - patches.mean((1, 2), keepdim=True)
    contrast = centred.flatten(1).std(1)
    seen = contrast > FAINTEST
    return centred[seen] / (contrast[seen] + 2 * FAINTEST)[:, None, None]


@dataclass(frozen=True, eq=False)
class Whitening:
    """`filters` `[K, h, w]` turn patches into K numbers of mean 0 and variance 1 that no straight line relates.

    They are the first K principal components, each divided by its standard deviation; `features` `[K, h, w]` lead
    back: the sum of features times numbers is the patch, less what the other components hold. `mean` `[h, w]` is what
    is taken off each patch first, `kept` the share (0..1) of the variance that K components hold.
    """

    filters: Tensor
    features: Tensor
    mean: Tensor
    kept: float

    def __call__(self, patches: Tensor) -> Tensor:
        """The numbers `[N, K]` of patches `[N, h, w]`."""
        return (patches.float() - self.mean).flatten(1) @ self.filters.flatten(1).T


def whiten(patches: Tensor, components: int) -> Whitening:
    """The whitening of patches `[N, h, w]` that keeps the `components` directions in which they differ most.

    Raises `WrongSetting` for more components than the patches differ in.
    """
    patches = a_tensor(patches).float()
    shape, mean = patches.shape[1:], patches.mean(0)
    flat = (patches - mean).flatten(1)
    variances, directions = torch.linalg.eigh(flat.T.double() @ flat.double() / max(len(flat), 1))
    variances, directions = variances.flip(0).float(), directions.flip(1).T.float()
    possible = int((variances > 1e-6 * variances[0]).sum())
    if not 1 <= components <= possible:
        message = _("{count} filters cannot be learned from these patches: they differ in {possible} ways only.")
        raise WrongSetting(message.format(count=components, possible=possible))
    scale = variances[:components].sqrt()[:, None]
    kept = (variances[:components].sum() / variances.sum()).item()
    first = directions[:components]
    return Whitening((first / scale).unflatten(1, shape), (first * scale).unflatten(1, shape), mean, kept)


# ---------------------------------------------------------------------------------------------------------- learning
@dataclass(frozen=True, eq=False)
class FilterStep:
    """The filters after `index` of `total` steps.

    `filters` `[K, h, w]` are what is slid over a picture. `features` `[K, h, w]` are what each filter stands for: a
    patch is the sum of the features, each times its filter's response. `loss` is the mean log cosh of the responses
    to the patches of this step: `GAUSSIAN` for responses like noise, less the rarer strong responses are.
    """

    index: int
    total: int
    filters: Tensor
    features: Tensor
    loss: float


def filter_steps(
    patches: Tensor, count: int = 64, steps: int = 500, learning_rate: float = 0.3, seed: int = 0
) -> Iterator[FilterStep]:
    """Learn `count` filters on patches `[N, h, w]` by gradient descent; step 0 is the random start.

    Responses are linear, of variance 1 and uncorrelated; within that, the filters turn towards a small mean log cosh,
    that is towards responses that are mostly near zero and seldom strong. Each step takes the gradient on 1,000
    patches, then makes the filters orthogonal again on whitened patches (Hyvärinen, Karhunen and Oja, "Independent
    Component Analysis", 2001, section 8.4). The rate falls to zero along a half cosine. Everything random comes from
    `seed`.
    """
    count, steps = whole_number(_("number of filters"), count, 1), whole_number(_("number of steps"), steps, 1)
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < math.inf:
        raise WrongSetting(_("The learning rate must be a number above 0, not {rate!r}.").format(rate=learning_rate))
    whitening = whiten(patches, count)
    inputs = whitening(patches)
    generator = torch.Generator().manual_seed(whole_number(_("seed"), seed, 0))
    turn = torch.linalg.qr(torch.randn(count, count, generator=generator))[0]
    for index in range(steps + 1):
        batch = inputs[torch.randint(len(inputs), (min(BATCH, len(inputs)),), generator=generator)]
        responses = batch @ turn.T
        filters, features = (torch.einsum("ij,jhw->ihw", turn, w) for w in (whitening.filters, whitening.features))
        yield FilterStep(index, steps, filters, features, log_cosh(responses).mean().item())
        gradient = responses.tanh().T @ batch / len(batch)
        rate = learning_rate * (1 + math.cos(math.pi * index / steps)) / 2
        turn = orthogonal(turn - rate * gradient)


def source_steps(source: str, steps: int, count: int, learning_rate: float, seed: int) -> Iterator[FilterStep]:
    """The `filter_steps` on `patches_of` a source, which are cut when the first step is taken."""
    yield from filter_steps(patches_of(source), count, steps, learning_rate, seed)


def learn_filters(
    patches: Tensor, count: int = 64, steps: int = 500, learning_rate: float = 0.3, seed: int = 0
) -> FilterStep:
    """The last of `filter_steps`."""
    return deque(filter_steps(patches, count, steps, learning_rate, seed), maxlen=1).pop()


def log_cosh(values: Tensor) -> Tensor:
    """The log cosh of `values`, without overflow: half the square near zero, the size less log 2 far from it."""
    size = values.abs()
    return size + torch.log1p(torch.exp(-2 * size)) - math.log(2)


def orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal matrix nearest to `matrix`."""
    left, _sizes, right = torch.linalg.svd(matrix)
    return left @ right


# ------------------------------------------------------------------------------------------------ how Gabor-like it is
@dataclass(frozen=True, eq=False)
class GaborFit:
    """The Gabor function nearest to each of K filters.

    `share` `[K]` is how much of the filter's energy it explains, 0..1. `orientation` `[K]` is the direction of its
    stripes in degrees, 0..180: 0 is level, 90 upright, and what lies between rises to the right. `frequency` `[K]` is
    in cycles per pixel. `model` `[K, h, w]` is the function itself.
    """

    share: Tensor
    orientation: Tensor
    frequency: Tensor
    model: Tensor


@torch.inference_mode(False)
def gabor_fit(filters: Tensor, steps: int = 250) -> GaborFit:
    """Fit a Gabor function, a wave under a bell (Gabor, 1946), to each filter `[K, h, w]`.

    Middle, both widths, direction and frequency are found by gradient descent from the strongest wave of the filter's
    spectrum, from three frequencies around it; the wave's phase and height follow exactly. Deterministic.
    """
    filters = a_tensor(filters).detach().float()
    filters = filters / filters.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
    starts = torch.cat([_start(filters, factor) for factor in (0.7, 1.0, 1.3)])
    targets = filters.repeat(3, 1, 1)
    bell = starts.requires_grad_(True)
    optimiser = Adam([bell])
    with torch.enable_grad():
        for _step in range(steps):
            loss = (_best_wave(bell, targets) - targets).square().sum()
            (bell.grad,) = torch.autograd.grad(loss, bell)
            optimiser.step(0.1)
    with torch.no_grad():
        models = _best_wave(bell, targets)
        shares = 1 - (models - targets).flatten(1).square().sum(1)
        best = shares.view(3, -1).argmax(0) * len(filters) + torch.arange(len(filters))
        chosen = bell[best]
    # in pictures rows run downwards, so a wave vector (x, y) is at minus its angle, and stripes are across it
    across = torch.rad2deg(torch.atan2(-chosen[:, 5], chosen[:, 4]))
    frequency = chosen[:, 4:6].norm(dim=1) / _WAVE / math.tau
    return GaborFit(shares[best].clamp(0, 1), (across + 90) % 180, frequency, models[best])


_WAVE = 4.0  # wave vectors are optimised in quarters of a radian per pixel, places in pixels: steps of like effect


def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    return torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")


def _start(filters: Tensor, factor: float) -> Tensor:
    """First guesses `[K, 6]`: row and column of the middle, log widths across and along, wave vector (x, y)."""
    count, height, width = filters.shape
    rows, columns = _grid(height, width)
    energy = filters.square()
    middle = torch.stack([(energy * place).sum((1, 2)) for place in (rows, columns)], 1)
    side = 64
    spectrum = torch.fft.rfft2(filters, (side, side)).abs().flatten(1)
    peak = spectrum.argmax(1)
    bins = side // 2 + 1
    down = torch.div(peak, bins, rounding_mode="floor")
    down = torch.where(down > side // 2, down - side, down)
    wave = torch.stack([peak % bins, down], 1).float() * (math.tau / side * _WAVE * factor)
    wave = torch.where(wave.norm(dim=1, keepdim=True) < 0.3, torch.tensor([0.8, 0.0]), wave)
    return torch.cat([middle, torch.full((count, 2), math.log(2.0)), wave], 1)


def _best_wave(bell: Tensor, filters: Tensor) -> Tensor:
    """Under the bells `[K, 6]`, the waves of best phase and height for each filter: `[K, h, w]`."""
    rows, columns = _grid(*filters.shape[1:])
    y, x = rows - bell[:, 0, None, None], columns - bell[:, 1, None, None]
    wave = bell[:, 4:6] / _WAVE
    direction = wave / wave.norm(dim=1, keepdim=True).clamp(min=1e-6)
    dx, dy = direction[:, 0, None, None], direction[:, 1, None, None]
    across, along = x * dx + y * dy, y * dx - x * dy
    widths = bell[:, 2:4].clamp(math.log(0.6), math.log(12.0)).exp()
    envelope = torch.exp(-((across / widths[:, 0, None, None]) ** 2 + (along / widths[:, 1, None, None]) ** 2) / 2)
    phase = x * wave[:, 0, None, None] + y * wave[:, 1, None, None]
    pair = torch.stack([envelope * phase.cos(), envelope * phase.sin()], 1).flatten(2)
    flat = filters.flatten(1)
    inner = pair @ pair.transpose(1, 2) + 1e-4 * torch.eye(2)
    height = torch.linalg.solve(inner, (pair @ flat[:, :, None]))
    return (height.transpose(1, 2) @ pair)[:, 0].unflatten(1, filters.shape[1:])


def orientation_selectivity(filters: Tensor) -> Tensor:
    """How much each filter `[K, h, w]` prefers one direction: 0 all alike, 1 one only.

    The length of the mean of e^(2i angle) over the filter's power spectrum without its mean, that is 1 less the
    circular variance. Waves too fine for every direction to hold them (above half a cycle a pixel) are left out.
    """
    side = 64
    power = torch.fft.fft2(a_tensor(filters).float(), (side, side)).abs().square()
    frequency = torch.fft.fftfreq(side)
    y, x = torch.meshgrid(frequency, frequency, indexing="ij")
    radius = torch.hypot(x, y)
    power = power * ((radius > 0) & (radius < 0.5))
    angle = torch.atan2(y, x)
    mean = (power * torch.exp(2j * angle)).sum((1, 2)) / power.sum((1, 2)).clamp(min=1e-12)
    return mean.abs()
