"""A panel that is closed and let go of is gone: nothing of it, of its network or of its pictures stays in memory."""

import gc
import io
import time
import weakref

import ipywidgets as widgets
import numpy as np
import pytest
from ipywidgets.widgets import widget as registry
from PIL import Image

from cnnviz_widgets.controls import ImagePicker
from cnnviz_widgets.explorers import ActivationExplorer
from cnnviz_widgets.explorers import filters as filter_panel
from cnnviz_widgets.explorers.tree import descendants
from cnnviz_widgets.views import ImageView
from tests.every_panel import EVERY_PANEL, network_for, panel_classes
from tests.panels import LONG

UPLOADS = 30


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Filters learn for 20 steps instead of 500."""
    monkeypatch.setattr(filter_panel, "STEPS", 20)


def test_every_panel_is_looked_at_here():
    assert set(EVERY_PANEL) == panel_classes()


def use_a_little(panel):
    """Move, point, run and stop, as a reader would."""
    for control in panel.settings.values():
        if isinstance(control, (widgets.IntSlider, widgets.FloatSlider)):
            control.value = control.min
    for view in descendants(panel.body):
        if isinstance(view, ImageView):
            view.pointer, view.click = [3, 3], [4, 4, 1]
    for run in panel.run_controls():
        run.run_button.click()
        run.stop_button.click()
    panel.snapshot()


def used(name, settled):
    """Weak references to a panel that was used and closed, to all that was in it, and to its network."""
    network = network_for(name)
    panel = EVERY_PANEL[name](network)
    use_a_little(panel)
    if settled:
        assert panel.settle(LONG)
    parts = [panel, network, network.module, *descendants(panel), *panel.settings.values(), *panel.views.values()]
    watched = [(type(part).__name__, weakref.ref(part)) for part in parts]
    panel.close()
    assert panel.settle(LONG)
    return watched


@pytest.mark.parametrize("settled", [True, False], ids=["at rest", "while it computes"])
@pytest.mark.parametrize("name", EVERY_PANEL)
def test_nothing_of_a_closed_panel_stays_alive(name, settled):
    used(name, settled)  # what is made once, such as a thumbnail, stays
    gc.collect()
    before = set(registry._instances)
    watched = used(name, settled)
    until = time.monotonic() + 5
    while any(part() is not None for _kind, part in watched) and time.monotonic() < until:
        time.sleep(0.01)  # the worker lets go of a job a moment after it has ended
        gc.collect()
    assert sorted({kind for kind, part in watched if part() is not None}) == []
    assert set(registry._instances) <= before


def png(seed, side=512):
    """A picture that compresses well, another for each seed."""
    picture = np.full((side, side, 3), seed * 7 % 256, np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def test_a_picker_keeps_a_bounded_number_of_uploads():
    picker = ImagePicker()
    for number in range(UPLOADS):
        picker.upload(f"{number}.png", png(number))
        assert picker.value == f"{number}.png"
        assert picker.image[0, 0, 0] == number * 7 % 256
    kept = [name for name in picker._images if name.endswith(".png")]
    offered = [choice["name"] for choice in picker.choices if choice["name"].endswith(".png")]
    assert len(kept) <= UPLOADS / 2
    assert set(offered) == set(kept), "what is offered can be shown"
    assert f"{UPLOADS - 1}.png" in kept
    picker.close()


def test_the_picture_that_a_picker_began_with_outlasts_all_uploads():
    picker = ImagePicker(np.full((20, 30, 3), 9, np.uint8))
    first = picker.value
    picker.upload(first, png(1))
    for number in range(UPLOADS):
        picker.upload(f"{number}.png", png(number))
    picker.value = first
    assert picker.image.shape == (512, 512, 3)
    picker.close()


def test_uploads_go_with_the_panel_that_they_were_brought_to():
    def brought():
        panel = ActivationExplorer()
        watched = []
        for number in range(UPLOADS):
            panel.picture.upload(f"{number}.png", png(number))
            watched.append(weakref.ref(panel.picture.image))
        assert panel.settle(LONG)
        assert any(picture() is not None for picture in watched)
        panel.close()
        return watched

    watched = brought()
    gc.collect()
    assert [number for number, picture in enumerate(watched) if picture() is not None] == []
