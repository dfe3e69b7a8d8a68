"""The sliding window under a reader's hands: every way of moving it shows the sum that one would find by hand."""

from tests.browser.panels import names_of_controls, status, view_of, wait_until_shows

MAKE = """
from cnnviz_widgets import SlidingWindowExplorer
explorer = SlidingWindowExplorer()
explorer
"""
NEXT_CELL = "'a cell below'"
CELL, GAP, HEAD = 60, 56, 24  # screen pixels of the drawing: a cell, the gap before the output, the headings


def test_the_window_moves(open_notebook):
    notebook = open_notebook([MAKE, NEXT_CELL])
    notebook.run_all()
    page, view = notebook.page, view_of(notebook, "explorer.view")
    wait_until_shows(notebook, "explorer.view", tolerance=0.001)
    caption = view.locator("figcaption")
    controls = names_of_controls(notebook)  # none is without a name
    assert {("slider", "Position"), ("button", "Play"), ("button", "Repeat")} <= set(controls)

    # By keyboard on the slider.
    caption.filter(has_text="Row 0, column 0 of the output").wait_for()
    page.get_by_role("slider", name="Position").press("ArrowRight")
    caption.filter(has_text="Row 0, column 1 of the output").wait_for()
    assert caption.inner_text().endswith("= 6")  # by hand: (3 − 0) + 2·(3 − 1) + (2 − 3)
    assert notebook.eval("explorer.position") == 1
    assert "Row 0, column 1" in view.get_by_role("img").get_attribute("alt")

    # By the arrow keys on the drawing: one window down, one to the right; the notebook's own keys keep out of it.
    drawing = view.get_by_role("application")
    drawing.focus()
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    before = page.evaluate(active)
    page.keyboard.press("ArrowDown")
    caption.filter(has_text="Row 1, column 1 of the output").wait_for()
    page.keyboard.press("ArrowRight")
    caption.filter(has_text="Row 1, column 2 of the output").wait_for()
    page.keyboard.press("ArrowUp")
    caption.filter(has_text="Row 0, column 2 of the output").wait_for()
    assert page.evaluate(active) == before

    # By the pointer: over the input the window has its middle there, over the output it is the one that makes the cell.
    box = drawing.bounding_box()

    def point(x, y):
        page.mouse.move(box["x"] + x, box["y"] + HEAD + y)

    point(1.5 * CELL, 3.5 * CELL)
    caption.filter(has_text="Row 2, column 0 of the output").wait_for()
    point(0.5 * CELL, 0.5 * CELL)  # the window stays inside
    caption.filter(has_text="Row 0, column 0 of the output").wait_for()
    point(5 * CELL + GAP + 2.5 * CELL, 1.5 * CELL)
    caption.filter(has_text="Row 1, column 2 of the output").wait_for()
    assert notebook.eval("explorer.step.value") == 5
    wait_until_shows(notebook, "explorer.view", tolerance=0.001)
    page.mouse.move(5, 5)

    # A number typed over is reckoned with at once; what is no number is refused.
    cells = page.get_by_role("group", name="Numbers of the input").get_by_role("textbox")
    cells.nth(9).fill("12")
    cells.nth(9).press("Enter")
    caption.filter(has_text="12·1").wait_for()
    assert notebook.eval("explorer.inputs.value[1][4]") == 12
    rows, weights = notebook.eval("(explorer.inputs.value, explorer.kernel.value)")
    by_hand = sum(rows[1 + y][2 + x] * weights[y][x] for y in range(3) for x in range(3))
    assert caption.inner_text().endswith(f"= {by_hand:g}".replace("-", "−"))
    assert notebook.eval("explorer.value[1, 2].item()") == by_hand
    cells.nth(9).fill("a dozen")
    cells.nth(9).press("Enter")
    status(notebook).filter(has_text="“a dozen” is not a number").wait_for()
    assert cells.nth(9).input_value() == "12"

    # Play moves on by itself, and stops where the reader stops it; played on, it stops at the last window.
    notebook.kernel.run("explorer.play.interval = 1000")
    page.get_by_role("button", name="Back to the start").click()
    caption.filter(has_text="Row 0, column 0 of the output").wait_for()
    page.get_by_role("button", name="Play").click()
    notebook.wait_for("explorer.position > 0")
    page.get_by_role("button", name="Pause").click()
    notebook.wait_for("explorer.play.playing", False)
    resting = notebook.eval("explorer.position")
    page.wait_for_timeout(1200)
    assert 0 < notebook.eval("explorer.position") == resting < 8
    notebook.kernel.run("explorer.play.interval = 100")
    page.get_by_role("button", name="Play").click()
    caption.filter(has_text="Row 2, column 2 of the output").wait_for()
    assert notebook.eval("explorer.position") == 8
    page.get_by_role("button", name="Play").wait_for()
    wait_until_shows(notebook, "explorer.view", tolerance=0.001)

    page.get_by_role("button", name="Reset").click()
    caption.filter(has_text="Row 0, column 0 of the output").wait_for()
    assert notebook.eval("explorer.inputs.value[1][4]") == 2
    assert notebook.problems == []
    assert notebook.outside == []
