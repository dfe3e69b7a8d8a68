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
