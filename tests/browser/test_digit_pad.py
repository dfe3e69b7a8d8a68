"""A digit drawn in a page, by pointer and by keyboard: the network answers to what was drawn."""

import numpy as np
import pytest

from cnnviz_widgets.controls.drawing_pad import rasterised
from cnnviz_widgets.images.digits import centred
from tests.browser.panels import names_of_controls, status, view_of, wait_until_shows

MAKE = """
from cnnviz_widgets import DigitPad
from cnnviz_widgets.networks.lenet import lenet
pad = DigitPad(lenet(), strokes=[])
pad
"""
SIDE = 28
WHITE_PIXELS = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    .data.filter((value, index) => index % 4 === 0 && value > 128).length"""


@pytest.mark.parametrize("subshells", [True], indirect=True)
def test_drawing_by_pointer_and_by_keyboard(open_notebook):
    notebook = open_notebook([MAKE])
    notebook.run_all()
    page, sheet = notebook.page, notebook.page.locator("canvas.cnnviz-pad")
    status(notebook).filter(has_text="The pad is empty").wait_for()
    names_of_controls(notebook)  # none is without a name
    box = sheet.bounding_box()

    def at(x, y):
        return box["x"] + x / SIDE * box["width"], box["y"] + y / SIDE * box["height"]

    # A vertical stroke with the pointer: its points arrive where they were drawn, and nothing while the button is up.
    page.mouse.move(*at(8, 4))
    page.mouse.down()
    for y in range(5, 25):
        page.mouse.move(*at(8, y))
    page.mouse.up()
    page.mouse.move(*at(20, 20))
    notebook.wait_for("[stroke[-1][1] > 23.8 for stroke in pad.pad.value]", [True])
    points = np.array(notebook.eval("pad.pad.value[0]"))
    assert np.allclose(points[:, 0], 8, atol=0.2) and np.allclose(points[[0, -1], 1], [4, 24], atol=0.2)
    assert (np.diff(points[:, 1]) > 0).all()
    status(notebook).filter(has_text="It reads").wait_for()
    seen = np.repeat(centred(rasterised([points.tolist()]))[..., None], 3, axis=2)
    ink = wait_until_shows(notebook, "pad.seen_view", seen, tolerance=0.001)[:, :, 0].astype(int)
    wait_until_shows(notebook, "pad.bars", tolerance=0.001)
    wait_until_shows(notebook, "pad.history_view", tolerance=0.001)
    assert ink[:, 12:16].sum() > 0.99 * ink.sum()  # an upright stroke in the middle, whichever half it was drawn in

    # A second stroke by keyboard: from the last place of the pointer's pen two to the right, pen down, three down.
    sheet.focus()
    for key in ["ArrowRight", "ArrowRight", "Space", "ArrowUp", "ArrowUp", "ArrowUp", "Space", "ArrowUp"]:
        page.keyboard.press(key)
    notebook.wait_for("[len(stroke) for stroke in pad.pad.value][1:]", [4])
    second = np.array(notebook.eval("pad.pad.value[1]"))
    assert np.allclose(second[:, 0], 10, atol=0.2) and np.allclose(np.diff(second[:, 1]), -1)
    np.testing.assert_array_equal(notebook.eval("pad.pad.value[0]"), points)

    # Undo by key and by button, invert, clear: the page's sheet follows the kernel.
    page.keyboard.press("Backspace")
    notebook.wait_for("len(pad.pad.value)", 1)
    page.get_by_role("button", name="Invert").click()
    notebook.wait_for("int(pad.seen_view.image[0, 0])", 255)
    wait_until_shows(notebook, "pad.seen_view", tolerance=0.001)
    page.get_by_role("button", name="Clear").click()
    status(notebook).filter(has_text="The pad is empty").wait_for()
    page.mouse.click(5, 5)
    page.wait_for_function(f"() => ({WHITE_PIXELS})(document.querySelector('canvas.cnnviz-pad')) === 0")
    notebook.kernel.run("pad.pad.value = [[[5, 5], [20, 20]]]")
    page.wait_for_function(f"() => ({WHITE_PIXELS})(document.querySelector('canvas.cnnviz-pad')) > 500")
    assert view_of(notebook, "pad.layers_view").locator("img").get_attribute("alt")
    assert notebook.problems == [] and notebook.outside == []
