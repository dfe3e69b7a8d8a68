"""The small network's panels in a real page: trained, paused, stepped and looked into by hand."""

import pytest

from tests.browser.panels import names_of_controls, status, view_of, wait_until_shows

SUBSHELLS_ONLY = pytest.mark.parametrize("subshells", [True], indirect=True)
MONITOR = """
from cnnviz_widgets import TrainingMonitor
explorer = TrainingMonitor(epochs=20)
explorer
"""
MATRIX = """
from cnnviz_widgets import LeNetExplorer
from cnnviz_widgets.images.digits import split_digits
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.learning.training import train
model = train(lenet(), *split_digits(), epochs=1, progress=False).model
explorer = LeNetExplorer(model)
explorer
"""


def test_training_is_watched_paused_and_begun_anew(open_notebook):
    notebook = open_notebook([MONITOR])
    notebook.page.set_viewport_size({"width": 1200, "height": 1100})
    notebook.run_all()
    page = notebook.page
    for view in ("loss_view", "accuracy_view", "gradients_view", "filters_view", "wrong_view", "layers_view"):
        wait_until_shows(notebook, f"explorer.{view}")
    names_of_controls(notebook)  # none is without a name
    notebook.screenshot("training_untrained")

    page.get_by_role("button", name="One step").click()
    status(notebook).filter(has_text="Step 1 of 1600").wait_for()
    page.get_by_role("button", name="Train").click()
    notebook.wait_for("explorer.training.index > 30 and explorer.loss_view.serial > 3")  # it is drawn while it trains
    page.get_by_role("button", name="Pause").click()
    status(notebook).filter(has_text="goes on from here").wait_for()
    notebook.wait_for("explorer.settle() and explorer.run.running", False)
    paused = notebook.eval("explorer.training.index")
    assert 30 < paused < 1600
    notebook.screenshot("training_paused")

    # Other settings wait for Restart; Train goes on from where it was.
    slider = page.get_by_role("slider", name="Epochs")
    for key in ("Home", "ArrowRight", "ArrowRight"):
        slider.press(key)
    notebook.wait_for("explorer.epochs.value", 3)
    status(notebook).filter(has_text="takes effect at Restart").wait_for()
    assert notebook.eval("explorer.training.index") == paused
    page.get_by_role("button", name="Train").click()
    notebook.wait_for(f"explorer.training.index > {paused}")
    page.get_by_role("button", name="Restart", exact=True).click()
    status(notebook).filter(has_text="kept in .previous").wait_for()
    notebook.wait_for("explorer.settle() and [explorer.training.index, explorer.run.running]", [0, False])

    # Stopped, it keeps its weights; the next Train begins anew.
    page.get_by_role("button", name="One step").click()
    status(notebook).filter(has_text="Step 1 of 240").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    status(notebook).filter(has_text="next Train begins anew").wait_for()
    assert notebook.eval("explorer.training.index") == 1
    notebook.screenshot("training_stopped")

    # Trained to its end.
    page.get_by_role("button", name="Train").click()
    notebook.wait_for("explorer.training.finished and not explorer.run.running", timeout=240)
    status(notebook).filter(has_text="Step 240 of 240").wait_for()
    assert notebook.eval("explorer.value") > 0.85
    for view in ("accuracy_view", "wrong_view", "layers_view"):
        wait_until_shows(notebook, f"explorer.{view}")

    tiles = view_of(notebook, "explorer.wrong_view").get_by_role("application")
    tiles.click(position={"x": 36 + 12, "y": 12})
    notebook.wait_for("explorer.digit.value == int(explorer._wrong[1])")
    wait_until_shows(notebook, "explorer.layers_view")
    notebook.screenshot("training_done")


@SUBSHELLS_ONLY
def test_a_confusion_matrix_opens_by_pointer_and_by_keyboard(open_notebook):
    notebook = open_notebook([MATRIX])
    notebook.page.set_viewport_size({"width": 1200, "height": 1100})
    notebook.run_all()
    for view in ("matrix_view", "tiles", "bars", "layers_view"):
        wait_until_shows(notebook, f"explorer.{view}")
    names_of_controls(notebook)  # none is without a name
    first = wait_until_shows(notebook, "explorer.matrix_view", tolerance=0.001)
    notebook.screenshot("matrix")

    matrix = view_of(notebook, "explorer.matrix_view").get_by_role("application")
    matrix.click(position={"x": 24 + 23 * 4 + 10, "y": 24 + 23 * 7 + 10})
    notebook.wait_for("explorer.cell", [7, 4])
    # With its picture comes the place from which the arrow keys start.
    opened = wait_until_shows(notebook, "explorer.matrix_view", tolerance=0.001, other_than=first)
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "Enter"):
        notebook.page.keyboard.press(key)
    notebook.wait_for("explorer.cell", [4, 4])
    wait_until_shows(notebook, "explorer.matrix_view", tolerance=0.001, other_than=opened)

    tiles = view_of(notebook, "explorer.tiles").get_by_role("application")
    view_of(notebook, "explorer.tiles").locator("figcaption").filter(has_text="4 taken for 4").wait_for()
    tiles.click(position={"x": 36 * 2 + 12, "y": 36 + 12})
    notebook.wait_for("explorer.digit == explorer._members[9]")
    for view in ("tiles", "layers_view", "bars"):
        wait_until_shows(notebook, f"explorer.{view}")
    notebook.screenshot("matrix_open")
