"""The panel of layers side by side under a reader's hands."""

import re

from tests.browser.panels import distance, names_of_controls, view_of, wait_for_silence, wait_until_shows

MAKE = """
from cnnviz_widgets import LayerExplorer
panel = LayerExplorer()
panel
"""
TRAINED, UNTRAINED = "panel.views['trained']", "panel.views['untrained']"


def test_layers_by_keyboard_and_pointer(open_notebook):
    notebook = open_notebook([MAKE])
    notebook.run_all()
    page = notebook.page
    first = wait_until_shows(notebook, TRAINED)
    beside = wait_until_shows(notebook, UNTRAINED)
    assert distance(first, beside) > 10
    boxes = [view_of(notebook, name).bounding_box() for name in (TRAINED, UNTRAINED)]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 2 and boxes[1]["x"] > boxes[0]["x"] + boxes[0]["width"] - 1

    # Every control says to a screen reader what it is.
    assert notebook.problems == []
    controls = names_of_controls(notebook)  # none is without a name
    assert {("combobox", "Weights"), ("slider", "Channels"), ("combobox", "Which"), ("slider", "From channel")} <= set(
        controls
    )

    # Layers: one by click, another added with Ctrl, one more with the arrow keys and Shift.
    layers = page.locator(".cnnviz-panel select[multiple]")
    layers.locator("option", has_text="block3_2 · 40×28×28").click()
    notebook.wait_for("list(panel.value)", ["block3_2"])
    layers.locator("option", has_text="block1_1 · 16×112×112").click(modifiers=["Control"])
    notebook.wait_for("list(panel.value)", ["block1_1", "block3_2"])
    notebook.wait_for("list(panel.untrained)", ["block1_1", "block3_2"])
    for name in (TRAINED, UNTRAINED):
        view_of(notebook, name).get_by_alt_text(re.compile(": maps of the layers block1_1, block3_2$")).wait_for()
    two = wait_until_shows(notebook, TRAINED)
    assert len(two) < len(first)

    # One network alone has room for larger maps.
    page.get_by_role("combobox", name="Weights").select_option("trained")
    view_of(notebook, UNTRAINED).wait_for(state="hidden")
    large = wait_until_shows(notebook, TRAINED)
    assert large.shape[1] > two.shape[1] * 1.1

    # Channels and from which one, by keyboard; the strongest.
    slider = page.get_by_role("slider", name="From channel")
    slider.press("ArrowRight")
    notebook.wait_for("panel.start.value", 1)
    shifted = wait_until_shows(notebook, TRAINED, other_than=large)
    assert distance(shifted, large) > 1
    page.get_by_role("slider", name="Channels").press("ArrowRight")
    notebook.wait_for("panel.channels.value", 6)
    six = wait_until_shows(notebook, TRAINED, other_than=shifted)
    page.get_by_role("combobox", name="Which").select_option("the strongest")
    slider.wait_for(state="hidden")
    strongest = wait_until_shows(notebook, TRAINED, other_than=six)

    # Another picture, and back to the beginning.
    page.get_by_role("radio", name="A cup of espresso").click()
    notebook.wait_for("panel.picture.value", "coffee")
    coffee = wait_until_shows(notebook, TRAINED, other_than=strongest)
    page.get_by_role("button", name="Reset").click()
    wait_until_shows(notebook, TRAINED, first, tolerance=0.001)
    wait_until_shows(notebook, UNTRAINED, beside, tolerance=0.001)
    assert coffee.shape != first.shape
    wait_for_silence(notebook)
    assert notebook.problems == []
    assert notebook.outside == []
