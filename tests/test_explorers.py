"""Every panel without a page: each control moved, each picture compared with numbers computed apart from it."""

import base64
import io
import subprocess
import sys
import threading

import ipywidgets as widgets
import numpy as np
import pytest
from ipywidgets.widgets import widget as registry
from PIL import Image

from cnnviz_widgets.controls import SettingSlider
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.explorers import ConvolutionExplorer, Explorer, OcclusionExplorer, SlidingWindowExplorer
from cnnviz_widgets.views.twin import VIEW
from tests import uploads
from tests.panels import LONG, complains, sentence, small_network


@pytest.fixture
def convolution():
    panel = ConvolutionExplorer()
    yield panel
    panel.close()


PANELS = {
    "convolution": ConvolutionExplorer,
    "sliding window": SlidingWindowExplorer,
    "occlusion": lambda: OcclusionExplorer(small_network(), window=8, stride=8),
}


# What all panels have in common -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_is_also_a_picture_with_a_short_fixed_name(name):
    panel = PANELS[name]()
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == repr(panel) == f"{type(panel).__name__}()"
    assert bundle[VIEW]["model_id"] == panel.model_id
    mime = next(kind for kind in bundle if kind.startswith("image/"))
    data = base64.b64decode(bundle[mime])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert picture.shape == panel.snapshot().shape
    assert np.abs(picture - panel.snapshot()).mean() < 4
    assert picture.shape[1] <= 1100
    assert len(data) < 150_000
    panel.close()


def test_the_picture_of_the_panel_shows_what_the_panel_shows(convolution):
    before = convolution.snapshot()
    shown = convolution.response_view.figure()
    height, width = shown.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(before[..., 0], (1, width))
    assert any((row == shown[height // 2, :, 0]).all() for row in windows[:, :, 0].reshape(-1, width))
    convolution.kernel.name = "sobel_y"
    assert (convolution.snapshot() != before).any()


@pytest.mark.parametrize("name", PANELS)
def test_close_leaves_nothing_of_the_panel_alive(name):
    PANELS[name]().close()  # whatever is made once stays
    before = set(registry._instances)
    panel = PANELS[name]()
    assert len(set(registry._instances) - before) > 20
    panel.close()
    panel.close()
    assert set(registry._instances) == before


@pytest.mark.parametrize("name", PANELS)
def test_reset_restores_every_setting_the_value_and_the_pictures(name):
    panel = PANELS[name]()
    first = {key: control.value for key, control in panel.settings.items()}
    before = panel.snapshot()
    others = {
        "picture": "coffee", "filters": "random", "kernel_size": 5, "seed": 4, "show_channel": 1, "stride": 3,
        "padding": "same", "dilation": 2, "step": 5, "inputs": [[1.0] * 6] * 6, "target": "daisy", "preset": "article",
        "window": 12, "fill": "white", "map_of": "drop", "threshold": 0.5,
        "kernel": [[0.0, 1.0], [2.0, 3.0]] if name != "sliding window" else [[0.0, 1.0, 0.0]] * 3,
    }  # fmt: skip
    for key, control in panel.settings.items():
        control.value = others[key]
    if name == "occlusion":
        panel.view.pointer = [10, 10]
        assert panel.settle(LONG)
    assert (panel.snapshot().shape != before.shape) or (panel.snapshot() != before).any()
    panel.reset_button.click()
    if name == "occlusion":
        assert panel.settle(LONG)
    assert {key: control.value for key, control in panel.settings.items()} == first
    assert not complains(panel)
    np.testing.assert_array_equal(panel.snapshot(), before)
    panel.close()


@pytest.mark.parametrize("name", ["convolution", "occlusion"])
@pytest.mark.parametrize("kind", uploads.REFUSED)
def test_a_refused_picture_leaves_the_panel_as_it_was(name, kind):
    panel = PANELS[name]()
    value, before = panel.value, panel.snapshot()
    make, words = uploads.REFUSED[kind]
    panel.picture.upload("<b>x</b>.png", make())
    assert complains(panel)
    assert words in sentence(panel)
    assert "<b>x</b>.png" in sentence(panel)
    assert panel.value is value
    np.testing.assert_array_equal(panel.snapshot(), before)
    panel.close()


class Plain(Explorer):
    """A panel that fails on demand."""

    title = "Plain"

    def __init__(self):
        self.first = SettingSlider(1, 0, 9, "First", "A number")
        self.second = SettingSlider(2, 0, 9, "Second", "Another number")
        self.computed = 0
        super().__init__({"first": self.first, "second": self.second}, widgets.VBox())

    def update(self, changed=None):
        if self.first.value == 7:
            raise WrongSetting("Seven & <eight> will not do.")
        if self.first.value == 8:
            raise KeyError("what\nis this")
        self.computed += 1
        self.value = self.first.value + self.second.value


def test_an_error_is_said_in_the_status_line_and_the_value_kept():
    panel = Plain()
    panel.first.value = 7
    assert sentence(panel) == "Seven & <eight> will not do."
    assert complains(panel)
    assert panel.value == 3
    panel.first.value = 8
    assert sentence(panel) == "KeyError: 'what\\nis this'"
    panel.first.value = 5
    assert (panel.value, sentence(panel)) == (7, "")


def test_several_settings_changed_together_are_computed_once():
    panel = Plain()
    with panel.held():
        panel.first.value = 4
        with panel.held():
            panel.second.value = 5
        assert panel.value == 3
    assert (panel.value, panel.computed) == (9, 2)
    with panel.quietly():
        panel.first.value = 1
    assert (panel.value, panel.computed) == (9, 2)


def test_an_error_on_reset_is_not_wiped_away():
    panel = Plain()
    panel.first_values["first"] = 7
    panel.reset()
    assert "Seven" in sentence(panel)


def test_what_another_thread_changes_while_a_panel_is_held_is_not_lost():
    panel = Plain()
    moved = threading.Thread(target=lambda: setattr(panel.second, "value", 6))
    with panel.held():
        panel.first.value = 3
        moved.start()
        moved.join(0.05)
    moved.join(LONG)
    assert panel.value == 9


def test_many_threads_moving_one_panel_end_in_its_settings():
    panel = Plain()

    def move(control):
        for number in range(40):
            control.value = number % 6

    threads = [threading.Thread(target=move, args=(control,)) for control in (panel.first, panel.second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert panel.value == panel.first.value + panel.second.value == 6


def test_a_panel_without_update_says_so():
    with pytest.raises(TypeError, match="Empty"):
        type("Empty", (Explorer,), {})({}, widgets.VBox())


def test_everything_public_can_be_imported_at_once():
    code = "from cnnviz_widgets import *; print(ConvolutionExplorer, OcclusionExplorer, show, check, convolve)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
