"""Maps of codes that can be asked for by their settings, as they form, and who is near whom on them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from .embedding import Embedding, neighbour_accuracy, pca, trustworthiness, tsne_steps


class Wanted(NamedTuple):
    """What a map depends on: the layer, the `method` ("pca" or "tsne"), and what only t-SNE asks for."""

    layer: str
    method: str
    perplexity: int = 0
    start: str = ""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Progress:
    """A map on its way: `index` of `total` iterations are done. Its numbers are NaN before the last."""

    index: int
    total: int
    map: Embedding
    wanted: Wanted


def map_steps(codes: Tensor, labels: Tensor | np.ndarray, wanted: Wanted, iterations: int = 500) -> Iterator[Progress]:
    """The map `wanted` of codes `[N, D]` as it forms, judged by the `labels` `[N]` when it is finished."""
    if wanted.method == "pca":
        made = Embedding(pca(codes)[0].float(), wanted.layer, "pca")
        yield Progress(1, 1, judged(made, codes, labels), wanted)
        return
    settings = {"start": wanted.start, "seed": wanted.seed, "iterations": iterations}
    for step in tsne_steps(codes, wanted.perplexity, **settings):
        made = Embedding(step.points, wanted.layer, "tsne", step.divergence)
        done = step.index == step.total
        yield Progress(step.index, step.total, judged(made, codes, labels) if done else made, wanted)


def judged(made: Embedding, codes: Tensor, labels: Tensor | np.ndarray) -> Embedding:
    """The map with its numbers: how far it is to be trusted, and how often the nearest has the same label."""
    count = min(10, (len(codes) - 1) // 2)
    trust = trustworthiness(codes, made.points, count)
    return replace(made, trustworthiness=trust, accuracy=neighbour_accuracy(made.points, labels))


def nearest(spaces: Mapping[str, Tensor], index: int, count: int) -> dict[str, list[int]]:
    """In each of `spaces` by name, `[N, D]`, the `count` rows nearest to row `index`, nearest first."""
    found = {}
    for name, space in spaces.items():
        apart = (space - space[index]).square().sum(1)
        apart[index] = math.inf
        found[name] = apart.topk(min(count, len(space) - 1), largest=False).indices.tolist()
    return found
