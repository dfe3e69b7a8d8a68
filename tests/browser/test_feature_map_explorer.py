"""The panel of feature maps under a reader's hands: pointing, clicking, the keyboard, and a layer that is not there."""

import time

import numpy as np
import pytest

from cnnviz_widgets import feature_maps, load_network, render
from cnnviz_widgets.layers import receptive_field
from tests.browser.panels import status, view_of, wait_for_input, wait_until_shows

MAKE = """
from cnnviz_widgets import FeatureMapExplorer
explorer = FeatureMapExplorer(layer="stem")
explorer
"""


@pytest.mark.parametrize("subshells", [True], indirect=True)
def test_pointing_clicking_and_the_keyboard(open_notebook):
    network = load_network()
    cat = network.preprocess("cat")
    maps = feature_maps(network, cat, "stem")[0].numpy()
    notebook = open_notebook([MAKE])
    notebook.run_all()
    page = notebook.page
    mosaic, picture = (view_of(notebook, f"explorer.{name}") for name in ("mosaic_view", "picture_view"))
    wait_until_shows(notebook, "explorer.mosaic_view", tolerance=0.01)
    frame = mosaic.locator(".cnnviz-image-frame")
    tile, gap, columns = notebook.eval("(explorer._mosaic.tile[0], explorer._mosaic.gap, explorer._mosaic.columns)")
    order = notebook.eval("explorer._mosaic.order")

    # The map under the pointer is enlarged and read.
    def place(channel, y, x):
        row, column = divmod(order.index(channel), columns)
        return {"x": column * (tile + gap) + x // 2 + 0.5, "y": row * (tile + gap) + y // 2 + 0.5}

    frame.hover(position=place(5, 40, 60))
    wait_until_shows(notebook, "explorer.map_view", render.heat_map(maps[5], "gray"), tolerance=0.01)
    value = render.number(float(maps[5, 40, 60]))
    status(notebook).get_by_text(f"Channel 5, row 40, column 60: {value}.").wait_for()

    # A click chooses the map and outlines what the unit sees.
    began = time.monotonic()
    frame.click(position=place(5, 40, 60))
    mark = picture.locator("svg rect")
    mark.wait_for(state="attached")
    print(f"click to receptive field, the layer's first: {1e3 * (time.monotonic() - began):.0f} ms")
    top, left, bottom, right = receptive_field(network, cat, "stem").box(40, 60)
    assert [float(mark.get_attribute(name)) for name in ("x", "y", "width", "height")] == [
        left, top, right - left, bottom - top,
    ]  # fmt: skip
    notebook.wait_for("(explorer.channel.value, explorer.unit)", [5, [40, 60]])
    began = time.monotonic()
    clicked = place(5, 80, 20)
    frame.click(position=clicked)
    page.wait_for_function("rect => rect().getAttribute('x') === '40'".replace("rect()", _RECT), arg=None)
    print(f"click to receptive field, the next: {1e3 * (time.monotonic() - began):.0f} ms")

    # With the keyboard: arrows move the pointer, Enter clicks.
    before = [int(clicked["x"]), int(clicked["y"])]
    notebook.wait_for("explorer.mosaic_view.pointer", before)
    frame.focus()
    page.keyboard.press("ArrowRight")
    before[0] += 1
    notebook.wait_for("explorer.mosaic_view.pointer", before)
    page.keyboard.press("Shift+ArrowDown")
    notebook.wait_for("explorer.mosaic_view.pointer", [before[0], before[1] + 4])
    page.keyboard.press("Enter")
    notebook.wait_for("explorer.mosaic_view.click[:2]", [before[0], before[1] + 4])
    channel, y, x = notebook.eval(f"explorer._mosaic.at({before[0]}, {before[1] + 4})")
    notebook.wait_for("(explorer.channel.value, explorer.unit)", [channel, [y, x]])

    # A layer that is not there is a sentence; one that is there is shown.
    layer = page.get_by_role("combobox", name="Layer")
    layer.fill("block3_9")
    layer.press("Enter")
    status(notebook).get_by_text("Did you mean").wait_for()
    assert notebook.eval("explorer.layer.value") == "stem"
    wait_for_input(notebook, "stem · ConvUnit · 32 × 112 × 112")  # what was refused has been put back
    layer.fill("block3_2.expand")
    layer.press("Enter")
    notebook.wait_for("explorer.value.shape[0]", 240)
    wait_until_shows(notebook, "explorer.mosaic_view", tolerance=0.01)
    expected = feature_maps(network, cat, "block3_2.expand")[0]
    seen = notebook.eval("explorer.value[7]")
    np.testing.assert_allclose(seen, expected[7], atol=1e-4)
    assert notebook.problems == []
    assert notebook.outside == []


_RECT = "document.querySelectorAll('.cnnviz-image-marks rect')[1]"
