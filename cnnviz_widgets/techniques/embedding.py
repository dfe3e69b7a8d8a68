"""Many codes laid out in the plane: PCA and t-SNE, and numbers that say what such a map is worth.

A code is what a layer makes of one picture, as a row of numbers. t-SNE is that of Laurens van der Maaten and Geoffrey
Hinton, "Visualizing Data using t-SNE" (2008), with the exact gradient, in steps that can be watched and stopped, which
scikit-learn's cannot. Affinities, start, learning rate, momentum and exaggeration are those of its
`TSNE(method="exact")`; the default there is 1,000 iterations.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .. import images
from ..errors import WrongSetting
from ..i18n import _
from ..layers import record
from ..networks import Network, as_module, evaluating
from .settings import one_of, whole_number

MOST = 5000  # points; the exact gradient looks at every pair of them
EXAGGERATED = 250  # iterations at the beginning in which like points pull harder
EXAGGERATION = 12.0
STARTS = {"pca": _("PCA"), "random": _("random")}
BLOCK = 128  # codes whose affinities are found at once
WORK = 1e7  # pairs of points that one step may look at: some 50 ms
PIXELS = "pixels"
CROPPED = ("cat", "coffee", "astronaut", "rocket", "motorcycle", "camera", "brick", "grass", "gravel", "china")


# ------------------------------------------------------------------------------------------------------------- codes
def layer_codes(
    model: Network | nn.Module,
    names: str | Sequence[str],
    inputs: Tensor,
    *,
    pooled: bool = False,
    batch_size: int = 50,
) -> dict[str, Tensor]:
    """What the layers `names` make of `inputs` `[N, C, H, W]`: for each a matrix `[N, D]`, one row a picture.

    The name "pixels" stands for the inputs themselves, unrolled. Maps `[N, C, H, W]` are unrolled too, or with
    `pooled` averaged over their places, so that only how strongly each channel speaks is left. The model runs in eval
    mode without gradients, and its layers are found as in `record`; one that runs several times gives its last output.
    """
    names = [names] if isinstance(names, str) else list(names)
    layers = [name for name in names if name != PIXELS]
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    module = as_module(model)
    for batch in inputs.split(whole_number(_("batch size"), batch_size, 1)):
        with evaluating(module), record(module, layers) as seen, torch.no_grad():
            module(batch)
        for name in names:
            output = batch if name == PIXELS else seen[name]
            mean = pooled and output.ndim == 4 and name != PIXELS
            parts[name].append((output.mean((2, 3)) if mean else output.flatten(1)).float())
    return {name: torch.cat(rows) for name, rows in parts.items()}


@dataclass(frozen=True, eq=False)
class Crops:
    """Squares cut from pictures: uint8 `[N, side, side, 3]`, the picture of each (int64 `[N]`), the pictures' names."""

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def picture_crops(
    pictures: Sequence[images.ImageSource] = CROPPED, *, side: int = 64, each: int = 30, seed: int = 0
) -> Crops:
    """`each` squares of `side` pixels from every one of `pictures`, no two of which overlap, drawn from `seed`.

    Raises `WrongSetting` when a picture has no room for so many.
    """
    side, each = whole_number(_("side of a crop"), side, 1), whole_number(_("number of crops"), each, 1)
    generator = np.random.default_rng(seed)
    cut, labels = [], []
    for label, source in enumerate(pictures):
        picture = images.load(source)
        rows, columns = (extent // side for extent in picture.shape[:2])
        if rows * columns < each:
            message = _("Picture {number} has room for {room} squares of {side} × {side} pixels, not for {each}.")
            raise WrongSetting(message.format(number=label + 1, room=rows * columns, side=side, each=each))
        top, left = ((extent % side) // 2 for extent in picture.shape[:2])
        for place in np.sort(generator.permutation(rows * columns)[:each]):
            y, x = top + place // columns * side, left + place % columns * side
            cut.append(picture[y : y + side, x : x + side])
            labels.append(label)
    names = tuple(str(source) if isinstance(source, str) else str(n + 1) for n, source in enumerate(pictures))
    return Crops(np.stack(cut), np.array(labels), names)


def as_codes(codes: Tensor | np.ndarray, least: int = 3) -> Tensor:
    """`codes` as float64 `[N, D]`, what has more axes unrolled.

    Raises `WrongSetting` for fewer than `least` codes, more than 5,000, or numbers that are not finite.
    """
    matrix = torch.as_tensor(np.asarray(codes) if not isinstance(codes, Tensor) else codes.detach())
    if matrix.ndim < 2 or not least <= len(matrix) <= MOST or not matrix[0].numel():
        message = _("Give {least} to {most:,} codes, a row of numbers each, not an array of shape {shape}.")
        raise WrongSetting(message.format(least=least, most=MOST, shape=tuple(matrix.shape)))
    matrix = matrix.flatten(1).double()
    if not matrix.isfinite().all():
        raise WrongSetting(_("The codes hold values that are not numbers (nan or inf)."))
    return matrix


# --------------------------------------------------------------------------------------------------------------- PCA
def pca(codes: Tensor | np.ndarray, components: int = 2) -> tuple[Tensor, Tensor]:
    """The codes `[N, D]` in the directions in which they differ most, and the share of the variance of each.

    Points float64 `[N, components]` around 0, shares `[components]` of 1. Directions are told from their opposites as
    in scikit-learn: the largest weight is positive. Components beyond what the codes differ in are 0.
    """
    matrix = as_codes(codes, least=2)
    components = whole_number(_("number of components"), components, 1)
    centred = matrix - matrix.mean(0)
    wide = centred.shape[1] > len(centred)
    variances, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    variances, vectors = variances.flip(0)[:components].clamp(min=0), vectors.flip(1)[:, :components]
    if wide:
        vectors = centred.T @ vectors
        vectors = vectors / vectors.norm(dim=0).clamp(min=1e-12)
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    total = centred.square().sum().clamp(min=1e-300)
    points = centred @ (vectors * signs)
    points = points * (variances > 1e-12 * total)
    missing = components - points.shape[1]
    return torch.nn.functional.pad(points, (0, missing)), torch.nn.functional.pad(variances / total, (0, missing))


# ------------------------------------------------------------------------------------------------------------- t-SNE
@dataclass(frozen=True, eq=False)
class TsneStep:
    """The map after `index` of `total` iterations.

    `points` is float32 `[N, 2]`. `divergence` is the Kullback-Leibler divergence of the map's affinities from those of
    the codes, in nats, without the exaggeration of the first iterations; NaN while these are not known.
    """

    index: int
    total: int
    points: Tensor
    divergence: float


@dataclass(frozen=True, eq=False)
class Embedding:
    """A finished map: `points` float32 `[N, 2]`, by which `method` ("pca" or "tsne") and of which `layer`.

    `divergence` is what t-SNE leaves (NaN for PCA). `trustworthiness` and `accuracy`, the share of points whose
    nearest on the map has the same label, lie in 0..1, and are NaN for a map that is not finished.
    """

    points: Tensor
    layer: str
    method: str
    divergence: float = math.nan
    trustworthiness: float = math.nan
    accuracy: float = math.nan


def tsne_steps(
    codes: Tensor | np.ndarray,
    perplexity: float = 30.0,
    *,
    start: str | Tensor | np.ndarray = "pca",
    seed: int = 0,
    iterations: int = 500,
) -> Iterator[TsneStep]:
    """t-SNE of codes `[N, D]`, a few iterations a step; the first steps, while affinities are found, are the start.

    `perplexity`, below N, is how many neighbours each point attends to. `start` is "pca", "random" (drawn from `seed`,
    which matters for nothing else), or points `[N, 2]`. Like points pull 12 times as hard in the first 250 iterations.
    Raises `WrongSetting` for settings that make no sense.
    """
    matrix = as_codes(codes)
    total = whole_number(_("number of iterations"), iterations, 1)
    _check_perplexity(perplexity, len(matrix))
    points = _first_points(matrix, start, seed)
    rows = []
    for block in squared_distances(matrix).fill_diagonal_(math.inf).split(BLOCK):
        yield TsneStep(0, total, points, math.nan)
        rows.append(_attention(block, perplexity))
    P = torch.cat(rows)
    P = ((P + P.T) / (2 * len(P))).float()
    own = float(torch.special.xlogy(P, P).sum())
    rate = max(len(matrix) / EXAGGERATION / 4, 50.0)
    pulls = _Pulls(P)
    yield TsneStep(0, total, points, pulls.divergence(points, own))
    at_once = int(min(max(WORK // len(matrix) ** 2, 1), 10))
    velocity, gains = torch.zeros_like(points), torch.ones_like(points)
    for index in range(total):
        early = index < EXAGGERATED
        if index == EXAGGERATED:
            velocity, gains = torch.zeros_like(points), torch.ones_like(points)
        gradient = pulls(points, EXAGGERATION if early else 1.0)
        against = velocity * gradient < 0
        gains = torch.where(against, gains + 0.2, gains * 0.8).clamp(min=0.01)
        velocity = (0.5 if early else 0.8) * velocity - rate * gains * gradient
        points = points + velocity
        if (index + 1) % at_once == 0 or index + 1 == total:
            yield TsneStep(index + 1, total, points, pulls.divergence(points, own))


def tsne(
    codes: Tensor | np.ndarray,
    perplexity: float = 30.0,
    *,
    start: str | Tensor | np.ndarray = "pca",
    seed: int = 0,
    iterations: int = 500,
    progress: bool = True,
) -> TsneStep:
    """The last of `tsne_steps`, with a bar that shows how far it is."""
    from tqdm.auto import tqdm

    steps = tsne_steps(codes, perplexity, start=start, seed=seed, iterations=iterations)
    with tqdm(total=iterations, desc="t-SNE", disable=not progress, leave=False) as bar:

        def counted(step: TsneStep) -> TsneStep:
            bar.update(step.index - bar.n)
            return step

        return deque(map(counted, steps), maxlen=1).pop()


class _Pulls:
    """The gradient of the divergence from affinities P `[N, N]`; keeps the room that it computes in."""

    def __init__(self, P: Tensor) -> None:
        self.P = P
        self._W, self._M = torch.empty_like(P), torch.empty_like(P)

    def _nearness(self, points: Tensor) -> Tensor:
        """1 / (1 + squared distance) for every pair, 0 for a point with itself."""
        squares = points.square().sum(1)
        W = torch.addmm(squares[None] + 1, points, points.T, alpha=-2, out=self._W)
        W.add_(squares[:, None]).clamp_(min=1).reciprocal_().fill_diagonal_(0)
        return W

    def __call__(self, points: Tensor, exaggeration: float) -> Tensor:
        W = self._nearness(points)
        M = torch.mul(W, -1 / float(W.sum()), out=self._M).add_(self.P, alpha=exaggeration).mul_(W)
        return 4 * (M.sum(1, keepdim=True) * points - M @ points)

    def divergence(self, points: Tensor, own: float) -> float:
        """The sum of P log(P / Q), where `own` is that of P log P."""
        W = self._nearness(points)
        total = math.log(float(W.sum()))
        W.fill_diagonal_(1).log_()
        return own - float(torch.mul(W, self.P, out=self._M).sum()) + total * float(self.P.sum())


def affinities(codes: Tensor | np.ndarray, perplexity: float = 30.0) -> Tensor:
    """How much each pair of codes `[N, D]` belongs together: float64 `[N, N]`, symmetric, 0 on the diagonal, sum 1.

    Around each code stands a bell as wide as gives its neighbours the wanted `perplexity`: 2 to the power of their
    entropy in bits, so many neighbours it attends to. Both directions of a pair are averaged. Raises `WrongSetting`
    unless the perplexity lies between 1 and the number of codes.
    """
    conditional = neighbour_probabilities(codes, perplexity)
    return (conditional + conditional.T) / (2 * len(conditional))


def neighbour_probabilities(codes: Tensor | np.ndarray, perplexity: float = 30.0) -> Tensor:
    """For each code (row) how it shares its attention among the others: float64 `[N, N]`, rows sum to 1."""
    matrix = as_codes(codes)
    _check_perplexity(perplexity, len(matrix))
    squared = squared_distances(matrix).fill_diagonal_(math.inf)
    return torch.cat([_attention(rows, perplexity) for rows in squared.split(BLOCK)])


def _check_perplexity(perplexity: float, count: int) -> None:
    is_number = isinstance(perplexity, (int, float)) and not isinstance(perplexity, bool)
    if not is_number or not 1 <= perplexity < count:
        message = _("The perplexity must be a number from 1 to below the number of points, {count}, not {value!r}.")
        raise WrongSetting(message.format(count=count, value=perplexity))


def _attention(squared: Tensor, perplexity: float) -> Tensor:
    """Weights of the perplexity, falling with the `squared` distances `[n, N]`; a point's own is infinite."""
    squared = squared - squared.amin(1, keepdim=True)
    typical = squared.kthvalue(min(int(perplexity) + 1, squared.shape[1] - 1), dim=1, keepdim=True).values
    squared = squared / typical.clamp(min=1e-12 * typical.max().item() + 1e-300)
    finite = squared.where(squared.isfinite(), 0.0)
    wanted = math.log(perplexity)
    low, high = torch.full_like(typical, -40.0), torch.full_like(typical, 40.0)
    x = torch.zeros_like(typical)  # the logarithm of the bell's sharpness; entropy falls with it
    for _round in range(60):
        weights = torch.exp(-x.exp() * squared)
        total = weights.sum(1, keepdim=True)
        mean = (weights * finite).sum(1, keepdim=True) / total
        excess = total.log() + x.exp() * mean - wanted
        if excess.abs().max() < 1e-6:
            break
        spread = (weights * finite.square()).sum(1, keepdim=True) / total - mean.square()
        low, high = torch.where(excess > 0, x, low), torch.where(excess > 0, high, x)
        newton = x + excess / ((2 * x).exp() * spread).clamp(min=1e-12)
        x = torch.where((newton > low) & (newton < high), newton, (low + high) / 2)
    return weights / total


def _first_points(matrix: Tensor, start: str | Tensor | np.ndarray, seed: int) -> Tensor:
    if isinstance(start, str):
        if one_of(_("start"), start, STARTS) == "random":
            generator = torch.Generator().manual_seed(whole_number(_("seed"), seed, 0))
            return 1e-4 * torch.randn(len(matrix), 2, generator=generator)
        points = pca(matrix)[0]
        return (points / points[:, 0].std(correction=0).clamp(min=1e-12) * 1e-4).float()
    points = torch.as_tensor(np.asarray(start)).float()
    if points.shape != (len(matrix), 2) or not points.isfinite().all():
        message = _("Points to start from must be finite and of shape {wanted}, not {shape}.")
        raise WrongSetting(message.format(wanted=(len(matrix), 2), shape=tuple(points.shape)))
    return points.clone()


# -------------------------------------------------------------------------------------------- what the map is worth
def squared_distances(codes: Tensor) -> Tensor:
    """The squared distance of every pair of codes `[N, D]`: `[N, N]`, at least 0."""
    centred = codes - codes.mean(0)
    squares = centred.square().sum(1)
    return (squares[:, None] + squares - 2 * centred @ centred.T).clamp_(min=0)


def neighbours(codes: Tensor | np.ndarray, count: int = 1) -> Tensor:
    """The `count` other codes nearest to each of `[N, D]`, nearest first: int64 `[N, count]`."""
    matrix = as_codes(codes, least=2)
    count = whole_number(_("number of neighbours"), count, 1)
    if count >= len(matrix):
        message = _("Among {total} codes each has {most} neighbours, not {count}.")
        raise WrongSetting(message.format(total=len(matrix), most=len(matrix) - 1, count=count))
    return squared_distances(matrix).fill_diagonal_(math.inf).topk(count, dim=1, largest=False).indices


def neighbour_accuracy(codes: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> float:
    """The share (0..1) of codes `[N, D]` whose nearest other code has the same label of `[N]`.

    Raises `WrongSetting` unless there is a label for every code.
    """
    labels = torch.as_tensor(labels)
    if labels.shape != (len(codes),):
        message = _("There are {codes} codes and {labels} labels: give a label each.")
        raise WrongSetting(message.format(codes=len(codes), labels=len(labels)))
    return (labels[neighbours(codes)[:, 0]] == labels).double().mean().item()


def trustworthiness(codes: Tensor | np.ndarray, points: Tensor | np.ndarray, count: int = 10) -> float:
    """How far (0..1) the `count` neighbours of each of `points` `[N, 2]` are neighbours of its code `[N, D]` as well.

    scikit-learn's measure, after Jarkko Venna and Samuel Kaski, "Neighborhood Preservation in Nonlinear Projection
    Methods" (2001): 1 when every neighbour on the map is a true one, about 0.5 for a map at random. Raises
    `WrongSetting` unless `count` is below half of N.
    """
    from sklearn import manifold

    matrix, points = as_codes(codes), as_codes(points)
    if not 1 <= whole_number(_("number of neighbours"), count, 1) < len(matrix) / 2 or len(matrix) != len(points):
        message = _("Give as many points as codes, and fewer neighbours than half of them ({total}), not {count}.")
        raise WrongSetting(message.format(total=len(matrix), count=count))
    return float(manifold.trustworthiness(matrix.numpy(), points.numpy(), n_neighbors=count))
