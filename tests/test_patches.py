"""Filters learned on patches: a known dictionary is found again, and Gabor functions come out of photographs only."""

import math

import numpy as np
import pytest
import torch

from cnnviz_widgets import images
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.learning import filters as technique
from cnnviz_widgets.learning.filters import (
    GAUSSIAN,
    contrast_normalised,
    filter_steps,
    gabor_fit,
    learn_filters,
    orientation_selectivity,
    picture_patches,
    same_spectrum,
    whiten,
)


def gabor(row, column, across, along, orientation, frequency, phase=0.0, size=11):
    """A Gabor function drawn from its formula: its stripes run at `orientation` degrees, counted anticlockwise."""
    rows, columns = np.mgrid[:size, :size].astype(float)
    x, up = columns - column, row - rows
    angle = math.radians(orientation)
    on, off = x * math.cos(angle) + up * math.sin(angle), -x * math.sin(angle) + up * math.cos(angle)
    bell = np.exp(-((off / across) ** 2 + (on / along) ** 2) / 2)
    return torch.from_numpy(bell * np.cos(2 * math.pi * frequency * off + phase)).float()


def cosines(one, other):
    """How alike any two of two sets are, whatever their length and sign: `[K, M]`, 1 for the same direction."""
    flat = [torch.nn.functional.normalize(each.flatten(1), dim=1) for each in (one, other)]
    return (flat[0] @ flat[1].T).abs()


@pytest.fixture(scope="module")
def photographs():
    return contrast_normalised(picture_patches(8000, seed=3))


@pytest.fixture(scope="module")
def learned(photographs):
    return list(filter_steps(photographs, 36, steps=300, seed=3))


# Learning


def test_a_dictionary_that_made_the_patches_is_found_again():
    numbers = torch.Generator().manual_seed(0)
    sources = torch.rand(20_000, 16, generator=numbers)
    sources = torch.log(sources) * (1 - 2 * (torch.rand(20_000, 16, generator=numbers) < 0.5).float())  # Laplace
    dictionary = torch.randn(16, 5, 8, generator=numbers)
    made = torch.einsum("nk,khw->nhw", sources, dictionary) + 7
    found = learn_filters(made, 16)
    alike = cosines(found.features, dictionary)
    assert alike.amax(1).min() > 0.99  # each one found is one of them
    assert sorted(alike.argmax(1).tolist()) == list(range(16))  # and each of them is found once
    start = next(filter_steps(made, 16))
    assert cosines(start.features, dictionary).amax(1).median() < 0.9
    # the filters undo the features: each answers to its own source and to no other
    responses = torch.einsum("nhw,khw->nk", made - made.mean(0), found.filters)
    correlation = torch.corrcoef(torch.cat([responses, sources], 1).T)[:16, 16:].abs()
    assert correlation.amax(1).min() > 0.99
    assert (correlation.sort(1).values[:, -2] < 0.1).all()


def test_responses_stay_uncorrelated_and_of_variance_one(photographs, learned):
    for step in (learned[0], learned[150], learned[-1]):
        responses = torch.einsum("nhw,khw->nk", photographs - photographs.mean(0), step.filters)
        torch.testing.assert_close(responses.T @ responses / len(responses), torch.eye(36), atol=2e-3, rtol=0)


def test_patches_are_the_sum_of_features_times_responses(photographs):
    every = whiten(photographs, 120)  # all that patches of mean zero can differ in
    step = learn_filters(photographs, 120, steps=2)
    centred = photographs[:50] - photographs.mean(0)
    responses = torch.einsum("nhw,khw->nk", centred, step.filters)
    again = torch.einsum("nk,khw->nhw", responses, step.features)
    torch.testing.assert_close(again, centred, atol=5e-3, rtol=0)
    assert every.kept == pytest.approx(1, abs=1e-4)


def test_photographs_make_gabor_functions_and_scrambled_ones_do_not(learned):
    noise = contrast_normalised(picture_patches(8000, scrambled=True, seed=3))
    without_edges = learn_filters(noise, 36, steps=300, seed=3)
    shares = {
        name: gabor_fit(filters).share.median().item()
        for name, filters in (
            ("start", learned[0].filters),
            ("photographs", learned[-1].filters),
            ("scrambled", without_edges.filters),
        )
    }
    assert shares["photographs"] > 0.7
    assert shares["start"] < 0.5 and shares["scrambled"] < 0.5
    selective = orientation_selectivity(learned[-1].filters).median()
    assert selective > 0.6
    assert selective > 2 * orientation_selectivity(learned[0].filters).median()
    assert selective > 2 * orientation_selectivity(without_edges.filters).median()


def test_the_loss_falls_from_near_that_of_noise(learned):
    first, last = (np.mean([step.loss for step in part]) for part in (learned[:20], learned[-20:]))
    assert last < first - 0.02 < GAUSSIAN
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    assert technique.log_cosh(noise).mean() == pytest.approx(GAUSSIAN, abs=2e-3)
    wide = torch.tensor([-200.0, 0.0, 0.01, 200.0])
    torch.testing.assert_close(technique.log_cosh(wide), torch.tensor([199.3069, 0.0, 5e-5, 199.3069]))


def test_steps_are_numbered_and_depend_on_nothing_but_the_seed(photographs, learned):
    assert [step.index for step in learned] == list(range(301))
    assert {step.total for step in learned} == {300}
    before = torch.get_rng_state()
    again = learn_filters(photographs, 36, steps=300, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(again.filters, learned[-1].filters)
    assert not torch.allclose(next(filter_steps(photographs, 36, seed=4)).filters, learned[0].filters)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"count": 0}, "number of filters"),
        ({"count": 121}, "differ in 120 ways only"),
        ({"steps": 0}, "number of steps"),
        ({"learning_rate": 0}, "above 0"),
        ({"learning_rate": math.nan}, "above 0"),
    ],
)
def test_wrong_settings_are_refused(photographs, settings, says):
    with pytest.raises(WrongSetting, match=says):
        next(filter_steps(photographs, **settings))


# Patches


def test_patches_are_cut_from_the_pictures():
    grey = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
    colours = np.repeat(grey[..., None], 3, 2)
    cut = picture_patches(40, 4, pictures=[colours], reduce=1, seed=1) * 255
    windows = np.lib.stride_tricks.sliding_window_view(grey, (4, 4)).reshape(-1, 16)
    for patch in cut.round().numpy().astype(np.uint8).reshape(40, 16):
        assert (windows == patch).all(1).any()
    assert len({tuple(patch.flatten().tolist()) for patch in cut}) > 30
    halved = picture_patches(10, 10, pictures=[colours], reduce=2, seed=1)
    means = images.greyscale(colours).reshape(10, 2, 15, 2).mean((1, 3))
    windows = np.lib.stride_tricks.sliding_window_view(means, (10, 10)).reshape(-1, 10, 10)
    assert all(np.abs(windows - patch.numpy()).max((1, 2)).min() < 1e-6 for patch in halved)


def test_every_picture_gives_its_share():
    black, white = (np.full((20, 20, 3), value, np.uint8) for value in (0, 255))
    means = picture_patches(101, 3, pictures=[black, white], reduce=1).mean((1, 2))
    assert len(means) == 101
    assert (means < 0.01).sum() in (50, 51) and (means > 0.99).sum() in (50, 51)


def test_a_patch_larger_than_the_picture_is_refused():
    with pytest.raises(WrongSetting, match="24 × 24 does not fit into a picture of 20 × 30"):
        picture_patches(5, 24, pictures=[np.zeros((40, 60, 3), np.uint8)])


def test_contrast_is_made_alike_and_plain_patches_are_left_out():
    numbers = torch.randn(200, 6, 6, generator=torch.Generator().manual_seed(0))
    mixed = torch.cat([numbers * 0.1 + 0.5, numbers[:100] * 0.5 + 2, torch.full((30, 6, 6), 0.7)])
    alike = contrast_normalised(mixed)
    assert len(alike) == 300
    assert alike.mean((1, 2)).abs().max() < 1e-5
    assert alike.flatten(1).std(1).min() > 0.7 and alike.flatten(1).std(1).max() < 1


def test_scrambling_keeps_the_spectrum_and_loses_the_edges():
    picture = torch.from_numpy(images.greyscale(images.load("camera")))
    noise = same_spectrum(picture, torch.Generator().manual_seed(0))
    assert noise.shape == picture.shape
    one, other = (torch.fft.rfft2(each).abs() for each in (picture, noise))
    # waves that are their own mirror image can be turned over but not shifted
    torch.testing.assert_close(other[:, 1:-1], one[:, 1:-1], rtol=1e-2, atol=0.05)
    assert noise.mean() == pytest.approx(picture.mean().item(), abs=1e-4)
    assert noise.std() == pytest.approx(picture.std().item(), rel=0.02)

    def kurtosis(image):
        step = (image[:, 1:] - image[:, :-1]).flatten()
        return ((step - step.mean()) ** 4).mean() / step.var() ** 2

    assert kurtosis(picture) > 10 and kurtosis(noise) == pytest.approx(3, abs=0.5)


def test_whitening_keeps_what_varies_most():
    numbers = torch.Generator().manual_seed(0)
    wide, narrow = torch.zeros(2, 3), torch.zeros(2, 3)
    wide[0, 1], narrow[1, 2] = 1, 1
    made = 5 * torch.randn(5000, 1, 1, generator=numbers) * wide + torch.randn(5000, 1, 1, generator=numbers) * narrow
    found = whiten(made + 3, 1)
    assert cosines(found.features, wide[None]).item() > 0.99
    assert found.features.norm() == pytest.approx(5, rel=0.05)
    assert found.kept == pytest.approx(25 / 26, abs=0.01)
    assert found(made + 3).var() == pytest.approx(1, abs=1e-3)


# Gabor functions

GABORS = [
    (5.0, 5.0, 1.5, 3.0, 0.0, 0.2, 0.0),
    (4.0, 6.0, 1.5, 2.0, 90.0, 0.25, 1.0),
    (5.5, 4.5, 2.0, 2.5, 30.0, 0.15, 2.0),
    (6.0, 5.0, 2.0, 2.0, 120.0, 0.3, 0.5),
]


def test_a_gabor_function_is_recognised_with_its_direction_and_frequency():
    drawn = torch.stack([gabor(*numbers) for numbers in GABORS])
    fit = gabor_fit(drawn * torch.tensor([1.0, -3, 0.01, 100])[:, None, None])
    assert fit.share.min() > 0.99
    for found, (*_middle, orientation, frequency, _phase) in zip(
        zip(fit.orientation.tolist(), fit.frequency.tolist(), strict=True), GABORS, strict=True
    ):
        assert abs((found[0] - orientation + 90) % 180 - 90) < 3
        assert found[1] == pytest.approx(frequency, rel=0.1)
    unit = drawn / drawn.flatten(1).norm(dim=1)[:, None, None]
    sign = torch.tensor([1.0, -1, 1, 1])[:, None, None]
    torch.testing.assert_close(fit.model, unit * sign, atol=0.03, rtol=0)


def test_noise_is_no_gabor_function():
    noise = torch.randn(30, 11, 11, generator=torch.Generator().manual_seed(1))
    assert gabor_fit(noise).share.max() < 0.5
    mixed = torch.stack([gabor(*numbers) for numbers in GABORS])
    mixed = mixed / mixed.flatten(1).norm(dim=1)[:, None, None]
    half = noise[:4] / noise[:4].flatten(1).norm(dim=1)[:, None, None]
    assert gabor_fit(mixed + half).share.tolist() == pytest.approx([0.5] * 4, abs=0.2)


def test_selectivity_is_one_for_a_grating_and_none_for_a_dot_in_rings():
    rows, columns = torch.meshgrid(torch.arange(21.0) - 10, torch.arange(21.0) - 10, indexing="ij")
    radius = torch.hypot(rows, columns)
    bell = torch.exp(-((radius / 5) ** 2))
    rings, grating = torch.cos(1.5 * radius) * bell, torch.cos(1.5 * columns) * bell
    both = (torch.cos(1.5 * columns) + torch.cos(1.5 * rows)) * bell
    selective = orientation_selectivity(torch.stack([rings, grating, both]))
    assert selective[0] < 0.02
    assert selective[1] > 0.95
    assert selective[2] < 0.02  # two directions at right angles cancel
    turned = orientation_selectivity(torch.stack([gabor(5, 5, 2, 2, angle, 0.25) for angle in (0, 20, 45, 70)]))
    assert turned.max() - turned.min() < 0.05


def test_what_leaves_no_patch_is_refused():
    with pytest.raises(WrongSetting, match="does not fit"):
        picture_patches(10, reduce=1000)
    with pytest.raises(WrongSetting, match="at least one picture"):
        picture_patches(10, pictures=[])


@pytest.mark.parametrize("settings", [{"learning_rate": "x"}, {"seed": "x"}])
def test_settings_of_another_type_are_refused(settings):
    with pytest.raises(WrongSetting):
        learn_filters(torch.rand(50, 5, 5), 4, 2, **settings)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_patches_of_another_type_are_learned_from_as_well(dtype):
    patches = torch.rand(300, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = learn_filters(patches.float(), 4, 3)
    found = learn_filters(patches, np.int64(4), np.int64(3), np.float64(0.3), np.int64(0))
    assert torch.equal(found.filters, expected.filters)


def test_inside_inference_mode_filters_are_learned_and_fitted_alike():
    patches = torch.rand(300, 6, 6, generator=torch.Generator().manual_seed(0))
    expected = learn_filters(patches, 4, 3)
    fit = gabor_fit(expected.filters, 20)
    with torch.inference_mode():
        found = learn_filters(patches * 1, 4, 3)
        again = gabor_fit(found.filters, 20)
    assert torch.equal(found.filters, expected.filters)
    assert torch.equal(again.model, fit.model)


def test_what_is_no_tensor_is_refused_in_one_sentence():
    for function in (learn_filters, contrast_normalised, gabor_fit, orientation_selectivity):
        with pytest.raises(WrongSetting, match="Give a tensor, not a ndarray"):
            function(np.ones((9, 6, 6)))
