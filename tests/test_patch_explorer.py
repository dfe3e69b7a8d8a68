"""The panel of patches without a page: each control moved, its patches compared with the technique's."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz_widgets import images
from cnnviz_widgets.errors import ImageError, UnknownLayer, WrongSetting
from cnnviz_widgets.explorers import PatchExplorer
from cnnviz_widgets.explorers.top_patches import TILE
from cnnviz_widgets.networks import Network
from cnnviz_widgets.render import patch_tile
from cnnviz_widgets.techniques.top_patches import top_patches
from tests.helpers import fingerprint

LONG = 60


def small_network():
    torch.manual_seed(8)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip
    with torch.no_grad():
        module[1].weight[3], module[1].bias[3] = 0, -1  # a silent channel
    return Network(module, ["a", "b"], size=32)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture
def panel(network):
    panel = PatchExplorer(network, layer="2")
    yield panel
    panel.close()
    assert panel.settle(LONG)


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (9, 11, 3), np.uint8)
        Image.fromarray(pixels.repeat(5, 0).repeat(5, 1)).save(tmp_path / f"own{number}.png")
    return tmp_path


def assert_shows(panel, expected):
    """The panel's value and its tiles are the patches `expected`."""
    found = panel.value
    assert [(p.value, p.picture, p.y, p.x) for p in found.patches] == [
        (p.value, p.picture, p.y, p.x) for p in expected.patches
    ]
    assert len(found.patches) > 0
    columns = panel._mosaic.columns
    for number, patch in enumerate(expected.patches):
        top, left = (100 * place for place in divmod(number, columns))
        tile = panel.patches_view.image[top : top + TILE, left : left + TILE]
        np.testing.assert_array_equal(tile, patch_tile(patch.image, TILE))


def test_the_first_state_is_the_course_s_pictures(network, panel):
    expected = top_patches(network, "2", 0, count=12)
    assert_shows(panel, expected)
    assert f"{len(images.PICTURES)} pictures" in panel.patches_view.caption
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == repr(panel) == "PatchExplorer()"
    assert panel.snapshot().shape[1] <= 1100


@pytest.mark.parametrize(("name", "value"), [("channel", 2), ("count", 3), ("layer", "0")])
def test_every_setting_looks_anew(network, panel, name, value):
    getattr(panel, name).value = value
    assert panel.settle(LONG)
    assert not panel.status.wrong
    settings = {"layer": "2", "channel": 0, "count": 12, name: value}
    assert_shows(panel, top_patches(network, settings["layer"], settings["channel"], count=settings["count"]))
    panel.reset()
    assert panel.settle(LONG)
    assert_shows(panel, top_patches(network, "2", 0, count=12))


def test_another_layer_bounds_the_channel(panel):
    panel.layer.value = "0"
    assert panel.channel.max == 5
    panel.channel.value = 5
    panel.layer.value = "1"
    assert panel.channel.value == 3
    assert panel.settle(LONG)


def test_pointing_at_a_patch_shows_its_picture_and_its_frame(network, panel):
    for number in (4, 1):
        row, column = divmod(number, panel._mosaic.columns)
        panel.patches_view.pointer = [100 * column + 50, 100 * row + 50]
        patch = panel.value.patches[number]
        np.testing.assert_array_equal(panel.source_view.image, network.view(patch.picture))
        (mark,) = panel.source_view.marks
        assert (mark["y"], mark["x"], mark["y"] + mark["h"], mark["x"] + mark["w"]) == patch.box
        assert f"row {patch.y}, column {patch.x}" in panel.source_view.caption


def test_a_silent_unit_says_so(panel):
    panel.channel.value = 3
    assert panel.settle(LONG)
    assert panel.value.patches == ()
    assert "nowhere above zero" in panel.patches_view.caption
    panel.patches_view.pointer = [5, 5]
    assert not panel.status.wrong
    assert panel.snapshot().size


def test_equal_answers_are_said_to_be_equal(network):
    ceiling = Network(nn.Sequential(network.module[0], nn.Hardtanh(-1, 0.01)), size=32)
    panel = PatchExplorer(ceiling, layer="1", count=5)
    assert "the first 5 are equal" in panel.patches_view.caption
    panel.close()


def test_a_folder_of_the_reader_s_and_back(network, panel, folder):
    panel.folder.value = str(folder)
    assert panel.settle(LONG)
    assert_shows(panel, top_patches(network, "2", 0, folder, count=12))
    assert "in 3 pictures" in panel.patches_view.caption
    panel.folder.value = ""
    assert panel.settle(LONG)
    assert_shows(panel, top_patches(network, "2", 0, count=12))


def test_a_folder_with_a_broken_file_is_shown_without_it_and_says_so(network, panel, folder):
    (folder / "bad <b>.jpg").write_bytes(b"\xff\xd8\xff and no more")
    panel.folder.value = str(folder)
    assert panel.settle(LONG)
    assert panel.status.wrong
    assert panel.status.value.startswith("1 of 4 pictures could not be read and was left out. bad <b>.jpg: ")
    assert_shows(panel, top_patches(network, "2", 0, folder, count=12))


def test_an_empty_folder_or_none_is_a_sentence_and_the_panel_keeps_what_it_showed(panel, tmp_path):
    value, picture = panel.value, panel.patches_view.image
    for name, says in ((str(tmp_path), "no pictures in the folder"), (str(tmp_path / "no"), 'no folder "no"')):
        panel.folder.value = name
        assert panel.settle(LONG)
        assert panel.status.wrong
        assert says in panel.status.value
        assert panel.value is value
        assert panel.patches_view.image is picture
        assert not panel.run.running
    panel.folder.value = ""
    assert panel.settle(LONG)
    assert not panel.status.wrong


def test_pictures_can_be_given(network, folder):
    arrays = [images.load(folder / "own0.png"), "coffee"]
    panel = PatchExplorer(network, layer="2", pictures=arrays, count=4)
    assert_shows(panel, top_patches(network, "2", 0, arrays, count=4))
    panel.close()
    panel = PatchExplorer(network, layer="2", pictures=folder)
    assert panel.value.looked_at == 3
    panel.close()


class Gate(nn.Module):
    """Waits before the call number `after` on until it is opened."""

    def __init__(self, module):
        super().__init__()
        self.module, self.after, self.count = module, 10**9, 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def forward(self, pictures):
        self.count += 1
        if self.count > self.after:
            self.entered.set()
            assert self.opened.wait(LONG)
        return self.module(pictures)


def test_stop_keeps_what_has_been_found_and_the_model_is_as_it_was(network):
    before = fingerprint(network.module)
    gate = Gate(network.module)
    panel = PatchExplorer(Network(gate, ["a", "b"], size=32), layer="module.2")
    gate.after = gate.count + 4
    panel.run.run_button.click()
    assert gate.entered.wait(LONG)
    assert panel.run.running
    panel.run.stop_button.click()
    gate.opened.set()
    assert panel.settle(LONG)
    assert not panel.run.running
    assert 0 < panel.value.looked_at < len(images.PICTURES)
    names = list(images.PICTURES)[: panel.value.looked_at]
    assert_shows(panel, top_patches(network, "2", 0, names, count=12))
    assert fingerprint(network.module) == before
    panel.close()


def test_what_cannot_be_is_refused_at_the_start(network, tmp_path):
    with pytest.raises(UnknownLayer):
        PatchExplorer(network, layer="nowhere")
    with pytest.raises(WrongSetting, match="no map"):
        PatchExplorer(network, layer="5")
    with pytest.raises(WrongSetting, match="channels 0 to 3"):
        PatchExplorer(network, layer="2", channel=4)
    with pytest.raises(ImageError, match="no pictures"):
        PatchExplorer(network, layer="2", pictures=tmp_path)


def test_pointing_at_a_patch_while_a_run_has_found_others_shows_the_one_that_is_seen():
    panel = PatchExplorer(layer="stem", pictures=["cat", "coffee"], count=12)
    last = len(panel.value.patches) - 1
    seen = panel.value.patches[last]
    panel.value = replace(panel.value, patches=panel.value.patches[:1])  # what a new run has after its first step
    mark = panel._mosaic.mark(last, "#000000")
    panel.patches_view.pointer = [mark["x"] + 5, mark["y"] + 5]
    assert not panel.status.wrong
    np.testing.assert_array_equal(panel.source_view.image, seen.seen)
    panel.close()
