"""Many codes laid out in the plane: PCA and t-SNE, and numbers that say what such a map is worth.

A code is what a layer makes of one picture, as a row of numbers. t-SNE (Laurens van der Maaten and Geoffrey Hinton,
"Visualizing Data using t-SNE", 2008) is openTSNE's, which goes on from where it stopped and so can be watched and
stopped; scikit-learn's cannot. PCA and trustworthiness are scikit-learn's.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..images.crops import CROPPED, Crops, picture_crops  # noqa: F401 (read from here so far)
from ..layers import LAST_TWO, channels_first, layer_outputs, layer_tree
from ..networks import Network, inputs_first
from ..settings import one_of, whole_number
from .steps import finished
from .targets import asked

MOST = 5000  # points; the distances of all pairs are looked at
EXAGGERATED = 250  # iterations at the beginning in which like points pull harder
EXAGGERATION = 12.0
SPREAD = 1e-4  # standard deviation of a map as it begins, along its longer side
STARTS = {"pca": _("PCA"), "random": _("random")}
EXACT = 2000  # points up to which all pairs are counted in float64, which is slower
WORK = 10_000  # points that one step may move, each once an iteration: some 50 ms
PIXELS = "pixels"


# ------------------------------------------------------------------------------------------------------------- codes
def layer_codes(
    model: Network | nn.Module,
    inputs: Tensor,
    names: str | Sequence[str],
    *,
    pooled: bool = False,
    batch_size: int = 50,
) -> dict[str, Tensor]:
    """What the layers `names` make of `inputs` `[N, C, H, W]`: for each a matrix `[N, D]`, one row a picture.

    The name "pixels" stands for the inputs themselves, unrolled. Maps `[N, C, H, W]` are unrolled too, or with
    `pooled` averaged over their places, so that only how strongly each channel speaks is left. The model runs in eval
    mode without gradients, and its layers are found as in `record`; one that runs several times gives its last output.
    """
    inputs, names = inputs_first(inputs, names)
    names = [names] if isinstance(names, str) else list(names)
    layers = [name for name in names if name != PIXELS]
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    ask = asked(model)
    inputs = ask.prepared(inputs)
    size = 1 if ask.one_by_one else whole_number(_("batch size"), batch_size, 1)
    axes = {info.name: info.axes for info in layer_tree(model, inputs[:1], containers=True)} if pooled else {}
    for batch in inputs.split(size):
        seen = layer_outputs(model, batch, layers)
        for name in names:
            output = batch if name == PIXELS else channels_first(seen[name], axes.get(name, LAST_TWO))
            if not output.ndim or len(output) != len(batch):
                message = _('"{name}" puts out {shape} for a batch of {count}: what it says belongs to no picture.')
                raise WrongSetting(message.format(name=name, shape=list(output.shape), count=len(batch)))
            mean = pooled and output.ndim == 4 and name != PIXELS
            parts[name].append((output.mean((2, 3)) if mean else output.flatten(1)).float().cpu())
    return {name: torch.cat(rows) for name, rows in parts.items()}


def as_tensor(values: Tensor | np.ndarray) -> Tensor:
    """Numbers of any type, on any device, as a tensor on the CPU that is no part of a computation."""
    return values.detach().cpu() if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))


def as_codes(codes: Tensor | np.ndarray, least: int = 3) -> Tensor:
    """`codes` as float64 `[N, D]`, what has more axes unrolled.

    Raises `WrongSetting` for fewer than `least` codes, more than 5,000, or numbers that are not finite.
    """
    matrix = as_tensor(codes)
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

    Points float64 `[N, components]` around 0, shares `[components]` of 1, by scikit-learn. Components beyond what the
    codes differ in are 0.
    """
    from sklearn.decomposition import PCA

    matrix = as_codes(codes, least=2).numpy()
    components = whole_number(_("number of components"), components, 1)
    count = min(components, *matrix.shape)
    points, shares = np.zeros((len(matrix), components)), np.zeros(components)
    if np.ptp(matrix, axis=0).any():
        solver = "arpack" if count < min(matrix.shape) else "full"
        found = PCA(count, svd_solver=solver, random_state=0)
        points[:, :count] = found.fit_transform(matrix)
        shares[:count] = found.explained_variance_ratio_
    return torch.from_numpy(points), torch.from_numpy(shares)


# ------------------------------------------------------------------------------------------------------------- t-SNE
@dataclass(frozen=True, eq=False)
class TsneStep:
    """The map after `index` of `total` iterations.

    `points` is float32 `[N, 2]`. `divergence` is the Kullback-Leibler divergence of the map's affinities from those of
    the codes, in nats, over all pairs and without the exaggeration of the first iterations; NaN before these.
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
    """t-SNE of codes `[N, D]`, a few iterations a step; the first step is the start, while affinities are not known.

    `perplexity`, below N, is how many neighbours each point attends to. `start` is "pca", "random" (drawn from `seed`,
    which matters for nothing else), or points `[N, 2]`. Like points pull 12 times as hard in the first 250 iterations.
    Repulsion is counted after Joshua Barnes and Piet Hut: far groups of points as one. Among few points, where nearly
    all are neighbours, that pull alone would draw them into one place; the map is then kept as wide as it began.
    Raises `WrongSetting` for settings that make no sense.
    """
    import openTSNE

    matrix = as_codes(codes)
    total = whole_number(_("number of iterations"), iterations, 1)
    _check_perplexity(perplexity, len(matrix))
    points = _first_points(matrix, start, seed)
    yield TsneStep(0, total, points.float(), math.nan)
    perplexity = min(float(perplexity), len(matrix) - 1)  # beyond that openTSNE would take a third of it
    nearest = openTSNE.affinity.PerplexityBasedNN(matrix.numpy(), perplexity, method="exact")
    moving = openTSNE.TSNEEmbedding(points.numpy(), nearest, negative_gradient_method="bh")
    sparse = nearest.P.tocoo()
    pairs = sparse.data, sparse.row, sparse.col
    at_once = min(max(WORK // len(matrix), 1), 10)
    index = 0
    while index < total:
        early = index < EXAGGERATED
        goal = min(index + at_once, min(EXAGGERATED, total) if early else total)
        phase = {"exaggeration": EXAGGERATION, "momentum": 0.5} if early else {"momentum": 0.8}
        moving.optimize(goal - index, inplace=True, **phase)
        if early:
            _keep_wide(moving)
        index = goal
        points = torch.from_numpy(np.array(moving, np.float32))
        yield TsneStep(index, total, points, _divergence(*pairs, points))


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
    steps = tsne_steps(codes, perplexity, start=start, seed=seed, iterations=iterations)
    return finished(steps, "t-SNE", progress)


def _keep_wide(moving: Any) -> None:
    """Stretch a map that has shrunk to a hundredth of what it began with, and its momentum, to that width again.

    While all points lie so close that all of them repel one another alike, only their places relative to each other
    matter; smaller still, openTSNE takes different places for the same.
    """
    spread = float(np.std(moving, axis=0).max())
    if 0 < spread < SPREAD / 100:
        moving *= SPREAD / spread
        moving.optimizer.update *= SPREAD / spread


def _divergence(shares: np.ndarray, first: np.ndarray, second: np.ndarray, points: Tensor) -> float:
    """The Kullback-Leibler divergence of the map `points` `[N, 2]` from affinities, as it is defined.

    The affinities are given by the `shares` of the pairs of points `first` and `second` whose share is not 0. In NumPy:
    torch's threads and openTSNE's, taking turns at every step, wait for each other ten times as long as they work.
    """
    count = len(points)
    x, y = points.numpy().T.astype(np.float64 if count <= EXACT else np.float32)
    squared = (x[first] - x[second]).astype(np.float64) ** 2 + (y[first] - y[second]).astype(np.float64) ** 2
    rows = max(160_000 // count, 1)  # that many fit into a processor's cache at a time
    nearness = -float(count)  # that of each point to itself, which is 1
    for start in range(0, count, rows):
        some = slice(start, start + rows)
        distance = np.square(x[some, None] - x)
        distance += np.square(y[some, None] - y)
        distance += 1
        nearness += float(np.reciprocal(distance, out=distance).sum(dtype=np.float64))
    some = shares > 0
    attraction = (shares[some] * np.log(shares[some])).sum() + shares @ np.log1p(squared)
    return max(float(attraction + shares.sum() * math.log(nearness)), 0.0)


def _check_perplexity(perplexity: float, count: int) -> None:
    is_number = isinstance(perplexity, Real) and not isinstance(perplexity, bool)
    if not is_number or not 1 <= perplexity < count:
        message = _("The perplexity must be a number from 1 to below the number of points, {count}, not {value!r}.")
        raise WrongSetting(message.format(count=count, value=perplexity))


def _first_points(matrix: Tensor, start: str | Tensor | np.ndarray, seed: int) -> Tensor:
    """The points, float64 `[N, 2]`, that a map begins at."""
    if isinstance(start, str):
        if one_of(_("start"), start, STARTS) == "random":
            generator = torch.Generator().manual_seed(whole_number(_("seed"), seed, 0))
            return SPREAD * torch.randn(len(matrix), 2, generator=generator, dtype=torch.float64)
        points = pca(matrix)[0]
        return points / points[:, 0].std(correction=0).clamp(min=1e-12) * SPREAD
    points = as_tensor(start).double()
    if points.shape != (len(matrix), 2) or not points.isfinite().all():
        message = _("Points to start from must be finite and of shape {wanted}, not {shape}.")
        raise WrongSetting(message.format(wanted=(len(matrix), 2), shape=tuple(points.shape)))
    return points


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
    """The share (0..1) of codes `[N, D]` whose nearest other code has the same label of `[N]`, numbers or words.

    Raises `WrongSetting` unless there is a label for every code.
    """
    labels = labels if isinstance(labels, Tensor) else np.unique(np.asarray(labels), return_inverse=True)[1]
    labels = as_tensor(labels)
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
