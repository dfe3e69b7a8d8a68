"""The panel of occlusion without a page: each control moved, each picture compared with numbers made apart from it."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz_widgets import render
from cnnviz_widgets.controls.worker import WORKER
from cnnviz_widgets.errors import UnknownClass, WrongSetting
from cnnviz_widgets.explorers import OcclusionExplorer
from cnnviz_widgets.networks import Network
from cnnviz_widgets.render import occluded
from cnnviz_widgets.techniques.fills import FILLS
from cnnviz_widgets.techniques.occlusion import ARTICLE, occlude, occlusion
from tests import uploads
from tests.helpers import fingerprint
from tests.panels import LABELS, LONG, Gate, complains, sentence, small_network


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture
def occluder(network):
    panel = OcclusionExplorer(network, window=8, stride=8)
    yield panel
    panel.close()
    assert panel.settle(LONG)


def same_map(got, expected):
    torch.testing.assert_close(got.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    torch.testing.assert_close(got.logits, expected.logits, rtol=0, atol=1e-4)
    assert (got.target, got.window, got.stride, got.tops) == (
        expected.target, expected.window, expected.stride, expected.tops
    )  # fmt: skip


def assert_map_drawn(panel, values):
    per_pixel = panel.value.per_pixel(values).numpy()
    np.testing.assert_array_equal(panel.map_view.image, render.heat_map(per_pixel))
    low, high = np.nanmin(per_pixel), np.nanmax(per_pixel)
    assert (panel.map_view.ramp["low"], panel.map_view.ramp["high"]) == (render.number(low), render.number(high))
    mask = panel.value.mask(panel.threshold.value).numpy()
    seen = panel.network.view(panel.picture.image)
    np.testing.assert_array_equal(panel.masked_view.image, render.outside_faded(seen, mask))
    assert f"{mask.mean():.0%}" in panel.masked_view.caption


def test_the_first_state_is_a_coarse_map_of_the_likeliest_class(network, occluder):
    inputs = network.preprocess("cat")
    assert occluder.target.value == network.predict("cat")[0][0]
    same_map(occluder.value, occlusion(network, inputs, occluder.target.value, 8, 8, progress=False))
    assert_map_drawn(occluder, occluder.value.probabilities)
    np.testing.assert_array_equal(occluder.view.image, network.view("cat"))
    assert occluder.predictions == network.predict("cat")


def test_run_fills_the_whole_map(network, occluder):
    occluder.stride.value = 4
    assert occluder.settle(LONG)
    assert occluder.value.stride == (8, 8)  # while a slider moves, a coarse preview
    occluder.run.run_button.click()
    assert occluder.settle(LONG)
    same_map(occluder.value, occlusion(network, network.preprocess("cat"), occluder.target.index, 8, 4, progress=False))
    assert_map_drawn(occluder, occluder.value.probabilities)
    assert (occluder.run.running, occluder.run.done) == (False, 1.0)


@pytest.mark.parametrize("fill", FILLS)
def test_every_fill(network, occluder, fill):
    occluder.fill.value = fill
    assert occluder.settle(LONG)
    same_map(
        occluder.value, occlusion(network, network.preprocess("cat"), occluder.target.index, 8, 8, fill, progress=False)
    )
    assert FILLS[fill].lower() in occluder.map_view.caption
    assert_map_drawn(occluder, occluder.value.probabilities)


@pytest.mark.parametrize("name", ["<b>tabby</b>", "daisy", "5", "WALL"])
def test_another_class_by_name_or_number(network, occluder, name):
    occluder.target._field.value = name
    assert occluder.settle(LONG)
    index = network.class_index(5 if name == "5" else name)
    same_map(occluder.value, occlusion(network, network.preprocess("cat"), index, 8, 8, progress=False))
    assert network.labels[index] in occluder.map_view.caption
    assert_map_drawn(occluder, occluder.value.probabilities)


def test_an_unknown_class_is_a_sentence_with_the_nearest_and_everything_is_kept(occluder):
    value, target = occluder.value, occluder.target.value
    occluder.target._field.value = "tigre <cat>"
    assert complains(occluder)
    assert "tiger cat" in sentence(occluder)
    assert "<cat>" in sentence(occluder)
    assert (occluder.value, occluder.target.value) == (value, target)
    with pytest.raises(UnknownClass, match="tiger cat"):
        occluder.target.value = "tigre cat"
    assert not occluder.run.running


def test_the_map_can_be_of_the_drop_or_of_the_logit(occluder):
    value = occluder.value
    occluder.map_of.value = "drop"
    assert_map_drawn(occluder, value.drop)
    assert occluder.map_view.caption.startswith("Drop in probability")
    occluder.map_of.value = "logit"
    assert_map_drawn(occluder, value.logits)
    assert occluder.value is value  # nothing is computed anew
    assert not occluder.run.running


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.97, 1.0])
def test_the_threshold_makes_the_mask(occluder, threshold):
    occluder.threshold.value = threshold
    per_pixel = occluder.value.per_pixel().numpy()
    mask = per_pixel < threshold * per_pixel.max()
    seen = occluder.network.view("cat")
    expected = np.where(mask[..., None], seen, np.uint8(224))
    np.testing.assert_array_equal(occluder.masked_view.image, expected)
    assert not occluder.run.running


@pytest.mark.parametrize("fill", ["grey", "black", "white", "mean"])
@pytest.mark.parametrize("pointer", [[0, 0], [16, 10], [31, 31]])
def test_the_dragged_patch_moves_the_predictions(network, occluder, fill, pointer):
    occluder.fill.value = fill
    occluder.view.pointer = pointer
    assert occluder.settle(LONG)
    seen = network.view("cat")
    left, top = (min(max(place - 4, 0), 24) for place in pointer)
    colour = {"grey": 127.5, "black": 0, "white": 255, "mean": seen.reshape(-1, 3).mean(0)}[fill]
    covered = seen.copy()
    covered[top : top + 8, left : left + 8] = np.round(colour)
    assert np.abs(occluder.view.image.astype(int) - covered).max() <= 1
    outside = np.ones((32, 32), bool)
    outside[top : top + 8, left : left + 8] = False
    np.testing.assert_array_equal(occluder.view.image[outside], seen[outside])
    assert dict(occluder.predictions) == pytest.approx(dict(network.predict(covered)), abs=5e-3)
    exact = occlude(network.preprocess("cat"), top, left, 8, fill, bounds=network.bounds)  # no whole pixel values
    with torch.no_grad():
        probabilities = network.module.eval()(exact).softmax(1)[0]
    assert dict(occluder.predictions) == pytest.approx(
        {network.labels[index]: float(probabilities[index]) for index in probabilities.topk(5).indices}, abs=1e-6
    )
    probabilities = dict(network.predict(occluder.view.image, top=6))
    clean = dict(network.predict("cat", top=6))
    rows = [(label, probabilities[label]) for label, _probability in network.predict("cat", top=5)]
    for label in (occluder.target.value, occluder.predictions[0][0]):
        if label not in dict(rows):
            rows[-1] = (label, probabilities[label])
    expected = render.bars(rows, 336, before=[clean[label] for label, _value in rows], chosen=occluder.target.value)
    assert np.abs(occluder.bars.image.astype(int) - expected).mean() < 0.5
    occluder.view.pointer = []
    assert occluder.settle(LONG)
    assert occluder.predictions == network.predict("cat")
    np.testing.assert_array_equal(occluder.view.image, seen)


def test_the_patch_follows_the_window_s_size(occluder):
    occluder.view.pointer = [16, 16]
    occluder.window.value = 12
    assert occluder.settle(LONG)
    assert occluder.view.patch == [12, 12]
    changed = (occluder.view.image != occluder.network.view("cat")).any(2)
    assert changed[10:22, 10:22].mean() > 0.9
    assert changed.sum() == changed[10:22, 10:22].sum()
    assert occluder.value.window == (12, 12)


def test_another_picture_brings_its_own_map_and_keeps_the_class(network, occluder):
    target = occluder.target.value
    occluder.picture.value = "coffee"
    assert occluder.settle(LONG)
    assert occluder.target.value == target
    same_map(occluder.value, occlusion(network, network.preprocess("coffee"), target, 8, 8, progress=False))
    np.testing.assert_array_equal(occluder.view.image, network.view("coffee"))
    assert list(occluder.target._field.options)[:5] == [label for label, _p in network.predict("coffee")]
    assert_map_drawn(occluder, occluder.value.probabilities)


def test_the_article_s_settings_are_set_and_locked_and_set_free_again(network):
    network = small_network(size=96)
    panel = OcclusionExplorer(network, window=16, stride=16)
    panel.preset.value = "article"
    assert panel.settle(LONG)
    assert (panel.window.value, panel.stride.value, panel.fill.value) == (70, 14, "grey")
    assert panel.window.disabled
    assert panel.stride.disabled
    assert panel.fill.disabled
    panel.start()
    assert panel.settle(LONG)
    same_map(panel.value, occlusion(network, network.preprocess("cat"), panel.target.index, **ARTICLE, progress=False))
    assert panel.value.core == (14, 14)
    panel.preset.value = "own"
    assert panel.settle(LONG)
    assert not panel.window.disabled
    assert panel.value.core == (70, 70)
    panel.reset()
    assert panel.settle(LONG)
    assert (panel.window.value, panel.stride.value, panel.preset.value) == (16, 16, "own")
    panel.close()


def test_the_article_s_box_is_refused_where_the_network_sees_less(occluder):
    before = occluder.value
    occluder.preset.value = "article"
    assert occluder.settle(LONG)
    assert occluder.status.wrong
    assert occluder.status.value == "The article's box of 70 pixels is larger than the 32 that this network sees."
    assert (occluder.preset.value, occluder.window.value, occluder.window.disabled) == ("own", 8, False)
    assert occluder.value is before
    occluder.threshold.value = 0.5
    assert not occluder.status.wrong


def test_a_window_larger_than_the_picture_becomes_the_picture(network, occluder):
    occluder.window.value = 1000
    assert occluder.settle(LONG)
    assert occluder.window.value == 32
    assert occluder.value.probabilities.shape == (1, 1)
    panel = OcclusionExplorer(network, window=500)
    assert panel.window.value == 32
    panel.close()


def test_a_small_window_has_a_preview_that_is_still_quick(occluder):
    panel = OcclusionExplorer(small_network(size=96), window=4, stride=2)
    assert panel.value.probabilities.numel() <= 17 * 17
    panel.close()


def test_stop_keeps_the_map_so_far(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    whole = occlusion(network, network.preprocess("cat"), panel.target.index, 8, 2, progress=False)
    gate.after = gate.count + 30
    panel.run.run_button.click()
    assert gate.entered.wait(LONG)
    assert panel.run.running
    panel.run.stop_button.click()
    gate.opened.set()
    assert panel.settle(LONG)
    missing = panel.value.probabilities.isnan()
    assert missing.any()
    assert not missing.all()
    torch.testing.assert_close(panel.value.probabilities[~missing], whole.probabilities[~missing], rtol=0, atol=1e-5)
    assert_map_drawn(panel, panel.value.probabilities)
    assert (panel.map_view.image[-1, -1] == render.UNKNOWN).all()
    assert not panel.run.running
    assert not complains(panel)
    panel.threshold.value = 0.5  # a half-filled map can be looked at in every way
    panel.map_of.value = "drop"
    assert_map_drawn(panel, panel.value.drop)
    panel.close()


def test_a_newer_request_replaces_a_run_and_no_step_of_the_old_one_is_kept(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    gate.after = gate.count + 30
    panel.start()
    assert gate.entered.wait(LONG)
    panel.target.value = "daisy"
    assert panel.run.running
    gate.opened.set()
    assert panel.settle(LONG)
    same_map(panel.value, occlusion(network, network.preprocess("cat"), "daisy", 8, 8, progress=False))
    assert (panel.run.running, panel.run.done) == (False, 1.0)
    assert_map_drawn(panel, panel.value.probabilities)
    panel.close()


class Moody(nn.Module):
    """A network that fails when it is told to."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.failing = []

    def forward(self, inputs):
        if self.failing:
            raise RuntimeError("cannot <go> on")
        return self.module(inputs)


def test_a_network_that_fails_in_a_run_is_said_in_the_status_line_and_the_panel_lives_on(network):
    moody = Moody(network.module)
    panel = OcclusionExplorer(Network(moody, LABELS, size=32), window=8, stride=8)
    value = panel.value
    moody.failing.append(True)
    panel.start()
    assert panel.settle(LONG)
    assert sentence(panel) == "Moody stopped on pictures of shape [1, 3, 32, 32]. RuntimeError: cannot <go> on."
    assert panel.value is value
    assert not panel.run.running
    panel.view.pointer = [5, 5]
    assert panel.settle(LONG)
    assert "cannot" in sentence(panel)
    moody.failing.clear()
    panel.start()
    assert panel.settle(LONG)
    assert panel.value is not value
    assert panel.run.done == 1
    panel.close()


def test_a_drawing_that_fails_in_a_run_is_said_in_the_status_line(occluder, monkeypatch):
    def broken(*_arguments, **_options):
        raise RuntimeError("no paint")

    monkeypatch.setattr(occluded, "outside_faded", broken)
    occluder.start()
    assert occluder.settle(LONG)
    assert sentence(occluder) == "RuntimeError: no paint"
    assert not occluder.run.running


def test_the_model_is_bit_for_bit_as_it_was_after_everything_a_reader_does(network):
    gate = Gate(network.module)
    model = Network(gate, LABELS, size=32)
    gate.train()
    gate.module[1].eval()
    before = fingerprint(network.module)
    panel = OcclusionExplorer(model, window=8, stride=2)
    assert fingerprint(network.module) == before
    for change in (
        lambda: setattr(panel.view, "pointer", [3, 9]),
        lambda: setattr(panel.fill, "value", "noise"),
        lambda: setattr(panel.picture, "value", "flower"),
        panel.start,
        panel.reset,
    ):
        change()
        assert panel.settle(LONG)
        assert fingerprint(network.module) == before
    gate.after = gate.count + 30
    panel.start()
    assert gate.entered.wait(LONG)
    panel.run.stop()
    gate.opened.set()
    assert panel.settle(LONG)
    assert fingerprint(network.module) == before
    panel.close()
    gate.eval()


def test_any_module_of_the_reader_s_works(network):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    panel = OcclusionExplorer(module, "coffee", target=2, window=100, stride=50)
    assert panel.target.value == "class 2"
    expected = Network(module).predict("coffee")
    assert panel.predictions == expected
    same_map(
        panel.value,
        occlusion(Network(module), Network(module).preprocess("coffee"), 2, 100, 100, progress=False),
    )
    panel.close()


def test_a_grey_network_shows_the_grey_that_it_sees():
    module = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))
    network = Network(module, [str(digit) for digit in range(10)], mean=(0.5,), std=(0.5,), size=28)
    panel = OcclusionExplorer(network, target="7", window=6, stride=6)
    assert panel.target.index == 7
    picture = panel.view.image
    assert (picture == picture[..., :1]).all()
    panel.view.pointer = [14, 14]
    assert panel.settle(LONG)
    outside = np.ones((28, 28), bool)
    outside[11:17, 11:17] = False
    np.testing.assert_array_equal(panel.view.image[outside], picture[outside])
    panel.close()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_a_picture_of_one_pixel_or_one_line(network, occluder, size):
    occluder.picture.upload("thin.png", uploads.encoded(Image.new("RGB", size, uploads.GREEN)))
    assert occluder.settle(LONG)
    assert not complains(occluder)
    assert (occluder.view.image == uploads.GREEN).all()
    assert occluder.value.probabilities.isfinite().all()


def test_two_panels_fill_their_maps_side_by_side(network):
    panels = [OcclusionExplorer(network, name, window=8, stride=4) for name in ("cat", "coffee")]
    for panel in panels:
        panel.start()
    for panel, name in zip(panels, ("cat", "coffee"), strict=True):
        assert panel.settle(LONG)
        expected = occlusion(network, network.preprocess(name), panel.target.index, 8, 4, progress=False)
        same_map(panel.value, expected)
        panel.close()


def test_the_newest_place_of_the_pointer_is_the_one_shown(network, occluder):
    for x in range(0, 32, 2):
        occluder.view.pointer = [x, 16]
    assert occluder.settle(LONG)
    assert occluder.view.pointer == [30, 16]
    changed = (occluder.view.image != network.view("cat")).any(2)
    assert changed[:, :24].sum() == 0
    assert changed[12:20, 24:].mean() > 0.9


def test_an_unknown_class_or_fill_at_the_start_is_refused(network):
    with pytest.raises(UnknownClass, match="tiger cat"):
        OcclusionExplorer(network, target="tigre cat")
    with pytest.raises(WrongSetting, match="Did you mean 'grey'"):
        OcclusionExplorer(network, fill="green")


def test_panels_share_the_package_s_one_worker(occluder):
    occluder.start()
    assert occluder.settle(LONG)
    assert WORKER._thread.name == "cnnviz-worker"
    assert [thread.name for thread in threading.enumerate()].count("cnnviz-worker") >= 1


def test_a_panel_that_is_closed_while_it_runs_stops(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    gate.after = gate.count + 20
    panel.start()
    assert gate.entered.wait(LONG)
    panel.close()
    gate.opened.set()
    assert panel.settle(LONG)
    assert panel.value.probabilities.isnan().any()


@pytest.mark.parametrize("fill", FILLS)
def test_one_patch_is_one_number_in_the_bars_and_in_the_map(occluder, fill):
    occluder.fill.value = fill
    assert occluder.settle(LONG)
    found = occluder.value
    for row, column in ((0, 0), (1, 2), (3, 3)):
        occluder.view.pointer = [found.lefts[column] + 4, found.tops[row] + 4]
        assert occluder.settle(LONG)
        shown = dict(occluder.predictions)[found.label]
        assert shown == pytest.approx(float(found.probabilities[row, column]), abs=1e-5)


def test_the_coarse_map_stays_until_a_run_has_a_first_place(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    before, shown = panel.value, panel.map_view.image.copy()
    gate.after = gate.count + 1  # the picture without a patch passes
    panel.start()
    assert gate.entered.wait(LONG)
    assert panel.value is before
    np.testing.assert_array_equal(panel.map_view.image, shown)
    gate.opened.set()
    assert panel.settle(LONG)
    assert panel.value.probabilities.numel() == 169
    panel.close()


def test_the_map_says_with_which_fill_it_was_made_also_when_the_next_one_fails(network):
    moody = Moody(network.module)
    panel = OcclusionExplorer(Network(moody, LABELS, size=32), window=8, stride=8)
    moody.failing.append(True)
    panel.fill.value = "white"
    assert panel.settle(LONG)
    panel.threshold.value = 0.5
    assert panel.map_view.caption.endswith("when the patch is here (grey)")
    panel.close()


def test_a_refused_preset_leaves_a_finished_map_alone(occluder):
    occluder.stride.value = 4
    assert occluder.settle(LONG)
    occluder.start()
    assert occluder.settle(LONG)
    whole = occluder.value
    occluder.preset.value = "article"
    occluder.threshold.value = 0.5
    assert occluder.settle(LONG)
    assert occluder.value is whole


def test_a_network_of_independent_labels_has_its_own_probabilities_in_bars_and_map(network):
    labelled = Network(network.module, LABELS, size=32, output="sigmoid")
    panel = OcclusionExplorer(labelled, target="daisy", window=8, stride=8)
    assert panel.predictions == labelled.predict("cat")
    assert panel.value.clean_probability == pytest.approx(dict(labelled.predict("cat", 6))["daisy"], abs=1e-6)
    panel.view.pointer = [4, 4]
    assert panel.settle(LONG)
    assert dict(panel.predictions).get("daisy", 0) in (
        0,
        pytest.approx(float(panel.value.probabilities[0, 0]), abs=1e-5),
    )
    panel.close()


def test_a_picture_that_is_not_square():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    panel = OcclusionExplorer(Network(module, size=(24, 40)), window=12, stride=4)
    assert (panel.view.image.shape, panel.window.max) == ((24, 40, 3), 24)
    assert "24 × 40 pixels" in panel.view.caption
    panel.view.pointer = [39, 23]
    assert panel.settle(LONG)
    changed = (panel.view.image != panel.network.view("cat")).any(2)
    assert changed[:12].sum() == changed[:, :28].sum() == 0
    panel.close()


@pytest.mark.parametrize("pointer", [[10**6, 3], [-7, -5]])
def test_a_pointer_outside_of_the_picture_is_no_error(occluder, pointer):
    occluder.view.pointer = pointer
    assert occluder.settle(LONG)
    assert not complains(occluder)
