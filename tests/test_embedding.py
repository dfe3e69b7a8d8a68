"""PCA, t-SNE and the numbers about them, against other libraries and against the definitions written out slowly."""

import math
import threading

import numpy as np
import openTSNE
import pytest
import torch
from sklearn import decomposition, manifold
from torch import nn

from cnnviz_widgets.errors import UnknownLayer, WrongSetting
from cnnviz_widgets.images import load
from cnnviz_widgets.images.digits import load_digits
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.techniques.embedding import (
    layer_codes,
    neighbour_accuracy,
    neighbours,
    pca,
    picture_crops,
    trustworthiness,
    tsne,
    tsne_steps,
)
from tests.helpers import fingerprint


def clouds(count=20, groups=4, width=6, apart=6.0, seed=0):
    """`groups` round clouds of `count` codes each, and which cloud each code is of."""
    numbers = np.random.default_rng(seed)
    centres = numbers.normal(size=(groups, width)) * apart
    labels = np.repeat(np.arange(groups), count)
    return centres[labels] + numbers.normal(size=(groups * count, width)), labels


# PCA


@pytest.mark.parametrize("shape", [(40, 5), (12, 30), (9, 9)])
def test_pca_is_scikit_learns(shape):
    codes = np.random.default_rng(1).normal(size=shape) * np.linspace(3, 1, shape[1]) + 7
    points, shares = pca(codes)
    theirs = decomposition.PCA(2, svd_solver="full").fit(codes)
    np.testing.assert_allclose(points, theirs.transform(codes), atol=1e-9)
    np.testing.assert_allclose(shares, theirs.explained_variance_ratio_, atol=1e-12)


def test_pca_finds_the_line_that_codes_lie_on():
    along = torch.linspace(-2, 3, 11)
    points, shares = pca(torch.outer(along, torch.tensor([0.6, 0.0, 0.8])) + 5)
    torch.testing.assert_close(points[:, 0], (along - along.mean()).double(), rtol=0, atol=1e-5)
    assert points[:, 1].abs().max() < 1e-5
    torch.testing.assert_close(shares, torch.tensor([1.0, 0.0], dtype=torch.float64), rtol=0, atol=1e-9)


def test_codes_that_do_not_differ_lie_on_one_point():
    for codes in (np.full((7, 4), 3.0), np.full((7, 1), 3.0)):
        points, shares = pca(codes)
        assert points.shape == (7, 2)
        assert not points.any()
        assert not shares.any()
    points, shares = pca(np.arange(7.0)[:, None])
    np.testing.assert_allclose(points, np.stack([np.arange(7) - 3, np.zeros(7)], axis=1), atol=1e-12)


# t-SNE


def slow_attention(codes, perplexity):
    """The conditional probabilities of van der Maaten and Hinton (2008), eq. 1, by bisection, a row at a time."""
    rows = []
    for index, code in enumerate(codes):
        squared = [float(((code - other) ** 2).sum()) for other in codes]
        low, high = -50.0, 50.0
        for _round in range(200):
            middle = (low + high) / 2
            nearest = min(d for j, d in enumerate(squared) if j != index)
            weights = [
                0.0 if j == index else math.exp(-math.exp(middle) * (d - nearest)) for j, d in enumerate(squared)
            ]
            share = [weight / sum(weights) for weight in weights]
            bits = -sum(p * math.log2(p) for p in share if p > 0)
            low, high = (middle, high) if 2**bits > perplexity else (low, middle)
        rows.append(share)
    return np.array(rows)


def divergence(P, points):
    """The Kullback-Leibler divergence of a map from affinities, as it is defined."""
    squared = ((points[:, None] - points[None]) ** 2).sum(2)
    nearness = (1 / (1 + squared)) * (1 - np.eye(len(points)))
    Q = nearness / nearness.sum()
    there = P > 0
    return (P[there] * np.log(P[there] / Q[there])).sum()


def affinities(codes, perplexity):
    """Those of openTSNE, of all pairs."""
    return openTSNE.affinity.PerplexityBasedNN(np.asarray(codes, float), perplexity, method="exact").P.toarray()


def few_points(count, kind, seed=0):
    if kind == "digits":
        chosen = np.random.default_rng(seed).permutation(5000)[:count]
        return load_digits().images[chosen].reshape(count, -1) / 255
    return np.random.default_rng(seed).random((count, {"flat noise": 2, "noise": 784}[kind]))


@pytest.mark.parametrize("kind", ["digits", "noise", "flat noise"])
@pytest.mark.parametrize(("count", "perplexity"), [(30, 10), (30, 20), (30, 28), (60, 29), (100, 30), (200, 100)])
@pytest.mark.parametrize("seed", [0, 1])
def test_few_points_do_not_fall_into_one_place(kind, count, perplexity, seed):
    """Where nearly all are neighbours, the exaggeration of the first iterations would pull them together for good."""
    codes = few_points(count, kind, seed)
    P = affinities(codes, perplexity)
    for step in tsne_steps(codes, perplexity):
        if step.index:
            assert step.divergence == pytest.approx(divergence(P, step.points.double().numpy()), rel=1e-9, abs=1e-12)
            assert step.divergence >= 0
    at_one_place = divergence(P, 1e-6 * np.random.default_rng(0).normal(size=(count, 2)))
    assert step.divergence < 0.95 * at_one_place
    assert step.points.std(0).min() > 0.1


def test_neighbours_that_are_all_the_others_are_one_heap_and_no_negative_divergence():
    """At a perplexity of N - 1 all pairs are alike, and the best map of that is a single place."""
    for perplexity in (11, 11.9):
        for step in list(tsne_steps(few_points(12, "noise"), perplexity))[1:]:
            assert 0 <= step.divergence < 1e-6


@pytest.mark.parametrize("number", [np.int64(10), np.float32(10), np.float64(10), np.array(10)[()]])
def test_numbers_of_numpy_are_numbers(number):
    codes, labels = clouds()
    expected = tsne(codes, 10, iterations=20, progress=False)
    found = tsne(codes, number, iterations=np.int64(20), seed=np.int8(0), progress=False)
    assert torch.equal(found.points, expected.points)
    assert torch.equal(neighbours(codes, np.int16(2)), neighbours(codes, 2))
    assert torch.equal(pca(codes, np.int64(2))[0], pca(codes)[0])
    assert trustworthiness(codes, found.points, np.int64(5)) == trustworthiness(codes, found.points, 5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_codes_and_starts_of_any_type_are_taken(dtype):
    codes = torch.randn(30, 6, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    start = torch.randn(30, 2, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    same = codes.detach().double().numpy(), start.detach().double().numpy()
    expected = tsne(same[0], 5, start=same[1], iterations=30, progress=False)
    with torch.inference_mode():
        found = tsne(codes, 5, start=start, iterations=30, progress=False)
    assert torch.equal(found.points, expected.points)
    assert torch.equal(pca(codes)[0], pca(same[0])[0])
    assert neighbour_accuracy(codes, torch.arange(30) % 2) == neighbour_accuracy(same[0], np.arange(30) % 2)


def test_each_step_says_how_far_the_map_is_from_the_codes():
    codes, _labels = clouds(count=8, groups=3)
    codes[:8] *= 10  # sparse beside dense
    attention = slow_attention(codes, 7.5)
    P = (attention + attention.T) / (2 * len(codes))
    first, *steps = tsne_steps(codes, 7.5, iterations=280)
    assert math.isnan(first.divergence)
    # far groups of points count as one, which is rough while all points still lie within a hair's breadth
    for step in steps[1:]:
        assert step.divergence == pytest.approx(divergence(P, step.points.double().numpy()), rel=1e-3, abs=1e-3)
    assert steps[-1].divergence < 0.2 * steps[24].divergence  # the exaggeration has come to its end


def test_stepping_changes_nothing():
    """The steps, taken together, are one run of openTSNE with the settings that the docstring names."""
    codes, _labels = clouds()
    start = 1e-4 * np.random.default_rng(3).normal(size=(80, 2))
    for iterations in (1, 13, 100):
        whole = openTSNE.TSNE(
            perplexity=10,
            initialization=start,
            early_exaggeration=12,
            early_exaggeration_iter=iterations,
            n_iter=0,
            initial_momentum=0.5,
            negative_gradient_method="bh",
            neighbors="exact",
        ).fit(codes)
        ours = tsne(codes, 10, start=start, iterations=iterations, progress=False)
        np.testing.assert_allclose(ours.points, whole, rtol=1e-4, atol=1e-6)
        assert ours.divergence == pytest.approx(divergence(affinities(codes, 10), ours.points.double().numpy()))


def test_start_and_exaggeration_are_those_of_the_docstring():
    codes, _labels = clouds()
    first = next(tsne_steps(codes, 10)).points
    flat = pca(codes)[0].float()
    torch.testing.assert_close(first, flat / flat[:, 0].std(correction=0) * 1e-4)
    torch.testing.assert_close(next(tsne_steps(codes, 10, start="random")).points.std().item(), 1e-4, rtol=0.2, atol=0)


def test_codes_that_are_all_the_same_are_no_problem():
    found = tsne(np.ones((12, 3)), 3, iterations=260, progress=False)
    assert found.points.isfinite().all()


def test_the_map_is_as_good_as_scikit_learns():
    codes, labels = clouds(count=40, groups=5, apart=2.0)
    ours = tsne(codes, 20, iterations=1000, progress=False)
    theirs = manifold.TSNE(perplexity=20, method="exact", init="pca", max_iter=1000, random_state=0)
    their_points = theirs.fit_transform(codes)
    assert ours.divergence == pytest.approx(theirs.kl_divergence_, rel=0.05)
    assert trustworthiness(codes, ours.points) == pytest.approx(trustworthiness(codes, their_points), abs=0.01)
    assert neighbour_accuracy(ours.points, labels) == pytest.approx(neighbour_accuracy(their_points, labels), abs=0.05)


def test_clouds_far_apart_stay_apart():
    codes, labels = clouds(apart=20)
    found = tsne(codes, 10, iterations=400, progress=False)
    assert neighbour_accuracy(found.points, labels) == 1
    mixed = np.random.default_rng(0).permutation(labels)
    assert neighbour_accuracy(found.points, mixed) < 0.6


def test_the_seed_matters_for_a_random_start_only():
    codes, _labels = clouds()

    def points(**settings):
        return tsne(codes, 10, iterations=40, progress=False, **settings).points

    assert torch.equal(points(seed=0), points(seed=1))
    assert torch.equal(points(start="random", seed=1), points(start="random", seed=1))
    assert not torch.allclose(points(start="random", seed=0), points(start="random", seed=1), atol=0.1)


def test_steps_come_often_and_the_last_one_is_the_whole():
    codes, _labels = clouds()
    steps = list(tsne_steps(codes, 10, iterations=45))
    assert [step.index for step in steps] == [0, 10, 20, 30, 40, 45]
    assert {step.total for step in steps} == {45}
    assert torch.equal(steps[-1].points, tsne(codes, 10, iterations=45, progress=False).points)
    across = [step.index for step in tsne_steps(clouds(count=750)[0], 10, iterations=256)]
    assert across[-4:] == [
        249,
        250,
        253,
        256,
    ]  # 3,000 points, 3 iterations a step, and a step ends with the exaggeration


def test_two_maps_made_in_turn_do_not_disturb_each_other():
    codes, _labels = clouds()
    other = codes[::-1].copy()
    alone = [tsne(matrix, 10, iterations=30, progress=False).points for matrix in (codes, other)]
    pairs = list(zip(tsne_steps(codes, 10, iterations=30), tsne_steps(other, 10, iterations=30), strict=True))
    assert torch.equal(pairs[-1][0].points, alone[0])
    assert torch.equal(pairs[-1][1].points, alone[1])


def test_in_another_thread_it_is_the_same():
    codes, _labels = clouds()
    found = []
    thread = threading.Thread(target=lambda: found.append(tsne(codes, 10, iterations=20, progress=False).points))
    thread.start()
    thread.join()
    assert torch.equal(found[0], tsne(codes, 10, iterations=20, progress=False).points)


@pytest.mark.parametrize(
    ("codes", "settings", "says"),
    [
        (np.zeros((2, 3)), {}, "Give 3 to 5,000 codes"),
        (np.zeros(9), {}, "a row of numbers each"),
        (np.zeros((5001, 1)), {}, "5,000"),
        (np.full((9, 2), np.nan), {}, "not numbers"),
        (np.eye(9), {"perplexity": 9}, "below the number of points, 9"),
        (np.eye(9), {"perplexity": 0.5}, "from 1"),
        (np.eye(9), {"perplexity": "many"}, "'many'"),
        (np.eye(9), {"perplexity": 3, "start": "PCA"}, "Did you mean|choose one of"),
        (np.eye(9), {"perplexity": 3, "start": np.zeros((8, 2))}, r"\(9, 2\)"),
        (np.eye(9), {"perplexity": 3, "iterations": 0}, "at least 1"),
        (np.eye(9), {"perplexity": 3, "start": "random", "seed": -1}, "seed"),
    ],
)
def test_what_makes_no_sense_is_refused(codes, settings, says):
    with pytest.raises(WrongSetting, match=says):
        list(tsne_steps(codes, **settings))


# Neighbours and trust


def test_neighbours_are_the_nearest_others():
    codes, _labels = clouds(count=9, groups=3)
    found = neighbours(codes, 4)
    for index, row in enumerate(found.tolist()):
        others = sorted((j for j in range(27) if j != index), key=lambda j: ((codes[j] - codes[index]) ** 2).sum())
        assert row == others[:4]


def test_neighbour_accuracy_counts_by_hand():
    codes = np.array([[0.0], [1.0], [1.5], [5.0], [5.2]])
    assert neighbour_accuracy(codes, [0, 0, 1, 1, 1]) == pytest.approx(3 / 5)  # the second and third disagree
    assert neighbour_accuracy(codes, [0, 0, 0, 1, 1]) == 1
    assert neighbour_accuracy(codes, ["cat", "cat", "dog", "dog", "dog"]) == pytest.approx(3 / 5)
    with pytest.raises(WrongSetting, match="a label each"):
        neighbour_accuracy(codes, [0, 1])
    with pytest.raises(WrongSetting, match="each has 4 neighbours"):
        neighbours(codes, 5)


def test_trustworthiness_tells_a_true_map_from_a_false_one():
    codes, _labels = clouds()
    assert trustworthiness(codes, codes) == pytest.approx(1)
    at_random = np.random.default_rng(0).normal(size=(80, 2))
    assert trustworthiness(codes, at_random) == pytest.approx(0.5, abs=0.1)
    assert trustworthiness(codes, at_random, 5) == manifold.trustworthiness(codes, at_random, n_neighbors=5)
    with pytest.raises(WrongSetting, match="half of them"):
        trustworthiness(codes, at_random, 40)


# Codes


class Twice(nn.Module):
    """A convolution that is used twice, an in-place ReLU behind it, and a dropout that must be asleep."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.widen = nn.Conv2d(3, 4, 1)
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.relu(self.widen(self.conv(self.conv(x)[:, :1])))).mean((2, 3))


def test_codes_are_what_the_layers_put_out():
    network, inputs = Twice().train(), torch.randn(7, 1, 5, 6)
    before = fingerprint(network)
    codes = layer_codes(network, inputs, ["pixels", "conv", "widen"], batch_size=3)
    pooled = layer_codes(network, inputs, ["pixels", "widen"], pooled=True)
    assert fingerprint(network) == before
    with torch.no_grad():
        last = network.conv(network.conv(inputs)[:, :1])
        widened = network.widen(last)
    torch.testing.assert_close(codes["pixels"], inputs.flatten(1))
    torch.testing.assert_close(codes["conv"], last.flatten(1))
    torch.testing.assert_close(codes["widen"], widened.flatten(1))
    assert codes["widen"].min() < 0  # before the ReLU that works in place
    torch.testing.assert_close(pooled["widen"], widened.mean((2, 3)))
    torch.testing.assert_close(pooled["pixels"], inputs.flatten(1))


class Statistics(nn.Module):
    """Normalises with the statistics of the batch in eval mode too, so that pictures change each other's answers."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.conv(x)).relu().mean((2, 3))


def test_pictures_do_not_change_each_others_codes():
    network, inputs = Statistics().eval(), torch.randn(5, 1, 6, 6) * torch.arange(1.0, 6)[:, None, None, None]
    alone = torch.cat([network.norm(network.conv(one)).flatten(1) for one in inputs.split(1)]).detach()
    assert not torch.allclose(network.norm(network.conv(inputs)).flatten(1), alone, atol=0.1)
    for size in (1, 2, 5):
        torch.testing.assert_close(layer_codes(network, inputs, "norm", batch_size=size)["norm"], alone)


def test_a_swin_blocks_channels_are_averaged_over_its_places():
    torchvision = pytest.importorskip("torchvision")
    network = torchvision.models.swin_t(weights=None).eval()
    inputs = torch.rand(2, 3, 64, 64)
    codes = layer_codes(network, inputs, "features.1.0", pooled=True)["features.1.0"]
    with torch.no_grad():
        expected = network.features[1][0](network.features[0](inputs)).mean((1, 2))
    assert codes.shape == (2, 96)
    torch.testing.assert_close(codes, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_codes_of_a_network_of_another_type(dtype):
    network, inputs = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()).to(dtype), torch.rand(4, 1, 6, 6)
    with torch.no_grad():
        expected = network(inputs.to(dtype)).flatten(1).float()
    with torch.inference_mode():
        codes = layer_codes(network, inputs, ["1", "pixels"], batch_size=np.int64(3))
    torch.testing.assert_close(codes["1"], expected, rtol=1e-2, atol=1e-2)
    assert codes["1"].dtype == codes["pixels"].dtype == torch.float32


def test_codes_of_a_layer_that_is_not_there():
    with pytest.raises(UnknownLayer, match="relu4"):
        layer_codes(lenet(), torch.zeros(2, 1, 32, 32), "relu5")


def test_crops_are_parts_of_their_pictures_and_do_not_overlap():
    names = ("cat", "coffee", "brick")
    crops = picture_crops(names, side=50, each=9, seed=4)
    assert crops.names == names
    assert crops.labels.tolist() == [0] * 9 + [1] * 9 + [2] * 9
    assert crops.images.shape == (27, 50, 50, 3)
    for label, name in enumerate(names):
        picture = load(name)
        used = np.zeros(picture.shape[:2], int)
        windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (50, 50))
        for crop in crops.images[crops.labels == label]:
            y, x = np.argwhere((windows[..., ::7, ::7] == crop[::7, ::7, 0]).all((2, 3)))[0]
            np.testing.assert_array_equal(picture[y : y + 50, x : x + 50], crop)
            used[y : y + 50, x : x + 50] += 1
        assert used.max() == 1
    assert not np.array_equal(picture_crops(names, side=50, each=9, seed=5).images, crops.images)
    with pytest.raises(WrongSetting, match="has room for 12 squares"):
        picture_crops(("cat",), side=100, each=13)
