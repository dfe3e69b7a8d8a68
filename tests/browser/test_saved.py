"""A notebook that was saved shows its panels as pictures, also where no kernel runs any more."""

import base64
import io

import numpy as np
from PIL import Image

from tests.browser.panels import figures, wait_until_shows

CELLS = [
    "from cnnviz_widgets import ConvolutionExplorer, OcclusionExplorer, SlidingWindowExplorer",
    "convolution = ConvolutionExplorer(kernel='sobel_x')\nconvolution",
    "window = SlidingWindowExplorer()\nwindow",
    "occlusion = OcclusionExplorer()\nocclusion",
]
VIEW = "application/vnd.jupyter.widget-view+json"


def test_a_saved_panel_is_a_picture(open_notebook):
    notebook = open_notebook(CELLS)
    notebook.run_all()
    wait_until_shows(notebook, "convolution.response_view")
    figures(notebook).nth(7).wait_for()
    saved = notebook.save()
    assert "widgets" not in saved.metadata
    sizes = []
    for cell in saved.cells[1:]:
        (output,) = cell.outputs
        assert VIEW not in output.data
        (kind,) = (kind for kind in output.data if kind.startswith("image/"))
        picture = Image.open(io.BytesIO(base64.b64decode(output.data[kind])))
        assert np.ptp(np.asarray(picture.convert("L"))) > 200  # it is not blank
        sizes.append(picture.size)

    notebook.reopen()
    for index, size in enumerate(sizes, start=1):
        picture = notebook.output(index).locator("img")
        picture.scroll_into_view_if_needed()
        seen = picture.evaluate("async img => { await img.decode(); return [img.naturalWidth, img.naturalHeight]; }")
        assert tuple(seen) == size
        assert picture.is_visible()
        box = picture.bounding_box()
        assert box["width"] > 300 and box["height"] > 200
        assert "not found" not in notebook.output(index).inner_text().lower()
    assert figures(notebook).count() == 0
    assert notebook.problems == []
    assert notebook.outside == []


BOXES = [
    "import ipywidgets as widgets\nfrom cnnviz_widgets import SlidingWindowExplorer, beside",
    "window = SlidingWindowExplorer()\nwidgets.HBox([window])",
    "tab = widgets.Tab([window])\ntab",
    "output = widgets.Output()\nwith output:\n    display(window)\noutput",
    "beside(window, SlidingWindowExplorer(position=3))",
    "widgets.HBox([widgets.IntSlider(description='theirs')])",
]


def test_panels_in_boxes_of_others_are_pictures_as_well(open_notebook):
    notebook = open_notebook(BOXES)
    notebook.run_all()
    figures(notebook).nth(4).wait_for()
    saved = notebook.save()
    for cell in saved.cells[1:5]:
        (output,) = cell.outputs
        assert VIEW not in output.data, cell.source
        assert any(kind.startswith("image/") for kind in output.data), cell.source
    (theirs,) = saved.cells[5].outputs
    assert VIEW in theirs.data
    notebook.reopen()
    for index in range(1, 5):
        picture = notebook.output(index).locator("img")
        picture.scroll_into_view_if_needed()
        assert picture.is_visible()
        assert picture.bounding_box()["width"] > 300


MONEY = [
    "from cnnviz_widgets import Predict, images, show",
    "show(images.load('cat'), 'a cat', caption='costs $5 or $6 here')",
    "question = Predict('Is it $5 or $6?', ['$5', '$6'])\nquestion.choice.value = '$5'\nquestion.reveal('$6')",
    "question",
    "from IPython.display import HTML\nHTML('<p>mathematics: $x^2$</p>')",
]


def test_dollars_in_words_are_not_mathematics(open_notebook):
    notebook = open_notebook(MONEY)
    notebook.run_all()
    notebook.output(4).locator("mjx-container").wait_for()  # by now the page has typeset what it takes for mathematics
    for index in (1, 2, 3):
        assert notebook.output(index).locator("mjx-container").count() == 0
        assert "$" in notebook.output(index).inner_text()
