"""The panel on filters that form: what it shows is what the learning gives at the same settings."""

import numpy as np
import pytest
import torch

from cnnviz_widgets import FilterFormation, images, render
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.explorers import filters as module
from cnnviz_widgets.learning.filters import (
    contrast_normalised,
    filter_steps,
    learn_filters,
    orientation_selectivity,
    picture_patches,
)

LONG = 60


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Runs of 40 steps instead of 500."""
    monkeypatch.setattr(module, "STEPS", 40)


@pytest.fixture
def panel():
    panel = FilterFormation(count=16)
    yield panel
    panel.settle(LONG)
    panel.close()


def expected(scrambled=False, count=16, rate=0.3, seed=0):
    patches = contrast_normalised(picture_patches(scrambled=scrambled))
    return learn_filters(patches, count, 40, rate, seed)


def drawn(filters):
    """The sheet of filters by its definition: squares of 11 pixels in a square of rows, a pixel of white between."""
    side = round(len(filters) ** 0.5)
    picture = np.full((side * 12 - 1, side * 12 - 1, 3), 255, np.uint8)
    for index, each in enumerate(filters):
        top, left = index // side * 12, index % side * 12
        picture[top : top + 11, left : left + 11] = render.signed_map(each.numpy())
    return picture


def test_it_begins_with_what_was_learned(panel):
    torch.testing.assert_close(panel.value.filters, expected().filters)
    assert [step.index for step in panel.history] == [0, 10, 20, 30, 40]
    assert panel.moment.value == 40
    np.testing.assert_array_equal(panel.filters_view.image, drawn(panel.value.filters))
    assert panel.selectivity == [orientation_selectivity(step.filters).median().item() for step in panel.history]
    assert "after 40 steps" in panel.filters_view.caption
    assert panel.run._job is None  # nothing runs on after the cell


def test_it_can_begin_with_the_random_start_and_learn_then():
    panel = FilterFormation(count=16, learned=False)
    assert (panel.value.index, len(panel.history), panel.moment.value) == (0, 1, 0)
    panel.run.run_button.click()
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value.filters, expected().filters)
    panel.close()


@pytest.mark.parametrize(
    ("control", "setting", "like"),
    [
        ("patches", "scrambled", {"scrambled": True}),
        ("count", 36, {"count": 36}),
        ("learning_rate", 10.0, {"rate": 10.0}),
        ("seed", 7, {"seed": 7}),
    ],
)
def test_a_moved_setting_learns_anew(panel, control, setting, like):
    getattr(panel, control).value = setting
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value.filters, expected(**like).filters)
    np.testing.assert_array_equal(panel.filters_view.image, drawn(panel.value.filters))
    assert [step.index for step in panel.history] == [0, 10, 20, 30, 40]


def test_noise_has_nothing_to_learn(panel):
    panel.patches.value = "noise"
    assert panel.settle(LONG)
    assert panel.history[-1].loss == pytest.approx(0.3746, abs=0.01)
    assert panel.selectivity[-1] < 0.3


def test_the_slider_goes_back_to_any_moment(panel):
    steps = list(filter_steps(contrast_normalised(picture_patches()), 16, 40))
    panel.moment.value = 10
    assert panel.value.index == 10
    torch.testing.assert_close(panel.value.filters, steps[10].filters)
    np.testing.assert_array_equal(panel.filters_view.image, drawn(panel.value.filters))
    panel.shown.value = "features"
    np.testing.assert_array_equal(panel.filters_view.image, drawn(steps[10].features))
    panel.moment.value = 27  # not kept: the nearest is
    assert panel.value.index == panel.moment.value == 30


def test_a_click_shows_what_that_filter_answers_to_the_cat(panel):
    panel.filters_view.click = [2 * 12 + 5, 12 + 5, 1]  # third in the second row
    assert panel.chosen == 6
    grey = torch.from_numpy(images.greyscale(images.load("cat")))
    small = grey.unfold(0, 2, 2).unfold(1, 2, 2).mean((2, 3))
    windows = small.unfold(0, 11, 1).unfold(1, 11, 1)
    response = torch.einsum("yxij,ij->yx", windows, panel.value.filters[6])
    reference = render.signed_map(response.numpy(), float(response.abs().quantile(0.995)))
    assert np.abs(panel.response_view.image.astype(int) - reference).max() <= 6  # one of the 256 colours
    (mark,) = panel.filters_view.marks
    assert (mark["x"], mark["y"]) == (24, 12)
    for nowhere in ([500, 500, 2], [5 * 12, 12, 3], [-20, 30, 4], [30, -20, 5], []):
        panel.filters_view.click = nowhere
        assert (panel.chosen, panel.status.value) == (6, "")


def test_a_filter_that_is_no_longer_there_is_not_the_chosen_one(panel):
    panel.count.value = 36
    assert panel.settle(LONG)
    panel.filters_view.click = [5 * 12 + 5, 5 * 12 + 5, 1]
    assert panel.chosen == 35
    panel.count.value = 16
    assert panel.settle(LONG)
    assert panel.chosen == 15 and "filter 16 answers" in panel.response_view.caption and panel.status.value == ""


def test_stopped_before_its_first_step_it_shows_what_it_showed(panel):
    before, charts = panel.value, panel.loss_view.image.copy()
    with panel._lock:  # the worker waits for it before it can hand over a step
        panel.seed.value = 3
        panel.run.stop()
    assert panel.settle(LONG) and panel.value is before
    panel.moment.value = 10
    panel.shown.value = "features"
    assert panel.status.value == "" and np.array_equal(panel.loss_view.image, charts)
    np.testing.assert_array_equal(panel.filters_view.image, drawn(before.features))
    panel.reset()
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value.filters, expected().filters)


def test_closing_ends_the_learning(panel, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 100_000)
    panel.seed.value = 3
    panel.close()
    assert panel.settle(LONG) and len(panel.history) < 5_000


def test_stop_keeps_what_has_formed_and_reset_learns_to_the_end(panel, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 100_000)
    panel.seed.value = 3
    while not panel.history:
        assert panel.status.value == ""
    panel.run.stop_button.click()
    assert panel.settle(LONG)
    assert panel.value is panel.history[-1]
    assert panel.value.index < 100_000
    monkeypatch.setattr(module, "STEPS", 40)
    panel.reset_button.click()
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value.filters, expected().filters)
    assert panel.seed.value == 0


@pytest.mark.parametrize("wrong", [{"patches": "cats"}, {"count": 17}, {"learning_rate": 1.0}])
def test_what_is_not_offered_is_refused(wrong):
    with pytest.raises(WrongSetting, match="choose one of"):
        FilterFormation(**wrong)


def test_the_panel_is_a_picture_too(panel):
    mime, data = panel.snapshot_bytes()
    assert mime == "image/png" and len(data) > 10_000
    for words in ("Filters as they form", "Patches of: photographs", "After step: 40", "What filter 1 answers"):
        assert words in panel.alt


def test_a_seed_beyond_the_slider_is_kept():
    panel = FilterFormation(learned=False, seed=500)
    assert panel.seed.value == 500
    panel.close()


@pytest.mark.parametrize("wrong", [{"learning_rate": "fast"}, {"learning_rate": None}, {"seed": "x"}])
def test_settings_of_another_type_are_refused(wrong):
    with pytest.raises(WrongSetting):
        FilterFormation(learned=False, **wrong)
