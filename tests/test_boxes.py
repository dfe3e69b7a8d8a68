"""Panels in boxes: by `beside`, or in boxes of ipywidgets, they are also one picture."""

import base64
import io

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from cnnviz_widgets import SlidingWindowExplorer, beside, render
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.views.boxes import bundle_of
from cnnviz_widgets.views.twin import VIEW


@pytest.fixture
def panels():
    made = [SlidingWindowExplorer(), SlidingWindowExplorer(position=3)]
    yield made
    for panel in made:
        panel.close()


def decoded(bundle):
    (mime,) = (kind for kind in bundle if kind.startswith("image/"))
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle[mime]))).convert("RGB")).astype(int)


def test_panels_beside_each_other_are_one_picture(panels):
    bundle = beside(*panels)._repr_mimebundle_()
    shown = render.beside([panel.snapshot() for panel in panels]).astype(int)
    assert decoded(bundle).shape == shown.shape
    assert np.abs(decoded(bundle) - shown).mean() < 4
    assert VIEW in bundle


@pytest.mark.parametrize("kind", [widgets.HBox, widgets.VBox, widgets.Tab, widgets.Accordion])
def test_a_box_of_ipywidgets_with_a_panel_in_it_is_a_picture_as_well(panels, kind):
    bundle, marks = bundle_of(kind([widgets.VBox([panels[1]])]))
    shown = panels[1].snapshot().astype(int)
    assert decoded(bundle).shape == shown.shape
    assert np.abs(decoded(bundle) - shown).mean() < 4
    (words,) = marks.values()
    assert words["alt"] == panels[1].alt


def test_a_box_without_a_panel_stays_as_it_is():
    box = widgets.HBox([widgets.IntSlider()])
    assert bundle_of(box) == box._repr_mimebundle_()


@pytest.mark.parametrize("strangers", [(), (3,), (widgets.IntSlider(),)])
def test_only_panels_can_stand_beside_each_other(strangers):
    with pytest.raises(WrongSetting, match="panels that should stand beside"):
        beside(*strangers)


def test_a_closed_panel_says_that_it_is_closed(capsys):
    panel = SlidingWindowExplorer()
    panel.close()
    panel._ipython_display_()
    assert "This panel is closed" in capsys.readouterr().out
