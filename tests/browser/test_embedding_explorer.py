"""The map of codes under a reader's hands: pointing, clicking, keys, a map that forms, and Stop."""

import numpy as np

from tests.browser.panels import names_of_controls, shown, status, view_of, wait_until_shows

MAKE = """
import numpy as np
from cnnviz_widgets import EmbeddingExplorer
numbers = np.random.default_rng(0)
labels = np.repeat([0, 1, 2], 100)
pictures = numbers.integers(0, 255, (300, 8, 8)).astype(np.uint8)
codes = {"first": numbers.normal(size=(300, 4)), "last": numbers.normal(size=(300, 5)) + 12 * np.eye(5)[labels]}
explorer = EmbeddingExplorer(codes, pictures, labels, "abc", iterations=60)
explorer
"""
ZOOM = 0.5  # screen pixels for a pixel of the picture


def test_point_click_and_choose(open_notebook):
    notebook = open_notebook([MAKE])
    notebook.run_all()
    page, view = notebook.page, view_of(notebook, "explorer.view")
    wait_until_shows(notebook, "explorer.view", tolerance=0.001)
    for name in ("point_view", "neighbours_view", "scores_view"):
        wait_until_shows(notebook, f"explorer.{name}", tolerance=0.001)
    controls = names_of_controls(notebook)  # none is without a name
    assert {("slider", "Layer"), ("combobox", "Method"), ("slider", "Perplexity"), ("button", "Run")} <= set(controls)

    # What is under the pointer is shown; when the pointer leaves, the chosen picture is back.
    chosen = shown(view_of(notebook, "explorer.point_view"))
    box = view.get_by_role("application").bounding_box()
    x, y = notebook.eval("explorer._places[150].tolist()")
    page.mouse.move(box["x"] + x * ZOOM, box["y"] + y * ZOOM)
    notebook.wait_for("explorer._over is not None")
    over = notebook.eval("explorer._over")
    assert notebook.eval(f"float(np.hypot(*(explorer._places[{over}] - explorer._places[150])))") < 3
    page.get_by_alt_text(f"Picture {over}: b. under the pointer").wait_for()
    wait_until_shows(notebook, "explorer.point_view", tolerance=0.001)

    # A click chooses it, and its neighbours come; frames on the map say where they are.
    page.mouse.click(box["x"] + x * ZOOM, box["y"] + y * ZOOM)
    notebook.wait_for("explorer.point.value", over)
    page.get_by_alt_text(f"Neighbours of picture {over}.").wait_for()
    wait_until_shows(notebook, "explorer.neighbours_view", tolerance=0.001)
    page.mouse.move(box["x"] - 60, box["y"])
    notebook.wait_for("explorer._over is None")
    page.get_by_alt_text(f"Picture {over}: b. chosen").wait_for()
    frames = "document.querySelector('.cnnviz-image-marks').querySelectorAll('rect').length"
    page.wait_for_function(f"() => {frames} === 13")  # the chosen one, six nearest by its code, six by its pixels
    assert not np.array_equal(wait_until_shows(notebook, "explorer.point_view", tolerance=0.001), chosen)

    # The keyboard points and clicks as well.
    view.get_by_role("application").focus()
    notebook.kernel.run("explorer.view.pointer = [int(p) for p in explorer._places[20].round()]")
    page.wait_for_function(f"() => {frames} === 14")  # and what is under the pointer
    page.keyboard.press("Enter")
    notebook.wait_for("explorer.labels[explorer.point.value].item()", 0)
    assert notebook.problems == []
    assert notebook.outside == []


def test_a_map_forms_and_stops(open_notebook):
    notebook = open_notebook([MAKE])
    notebook.run_all()
    page = notebook.page
    view = view_of(notebook, "explorer.view")
    first = wait_until_shows(notebook, "explorer.view", tolerance=0.001)
    notebook.kernel.run("explorer.iterations = 200_000")
    page.get_by_role("slider", name="Layer").focus()
    page.keyboard.press("ArrowLeft")
    notebook.wait_for("(explorer.layer.value, explorer.run.running)", ["first", True])
    page.get_by_text("left", exact=False).filter(has_text="about").wait_for()
    notebook.wait_for("explorer.view.serial > 4")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("stopped after").wait_for()
    status(notebook).filter(has_text="Stopped before its end").wait_for()
    assert notebook.eval("0 < explorer.value.trustworthiness < 1")
    wait_until_shows(notebook, "explorer.view", tolerance=0.001)
    assert not np.array_equal(shown(view), first)

    # PCA is there at once; Reset brings the first map back as it was.
    page.get_by_role("combobox", name="Method").select_option("PCA")
    notebook.wait_for("explorer.value.method", "pca")
    assert notebook.eval("explorer.perplexity.disabled")
    page.get_by_role("button", name="Reset").click()
    notebook.wait_for("(explorer.value.layer, explorer.value.method)", ["last", "tsne"])
    np.testing.assert_array_equal(wait_until_shows(notebook, "explorer.view", first, tolerance=0.001), first)
    assert notebook.problems == []
