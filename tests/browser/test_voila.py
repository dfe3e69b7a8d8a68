"""The occlusion panel as a page of its own, served by Voilà."""

from tests.browser.panels import view_of, wait_until_shows

CELLS = ["from cnnviz_widgets import OcclusionExplorer\nexplorer = OcclusionExplorer()\nexplorer"]


def test_the_patch_is_dragged_on_a_page_of_voila(voila):
    notebook = voila(CELLS)
    page, view = notebook.page, view_of(notebook, "explorer.view")
    view.wait_for()
    wait_until_shows(notebook, "explorer.view")
    clear = wait_until_shows(notebook, "explorer.bars", tolerance=0.001)
    before = view_of(notebook, "explorer.bars").get_by_role("img").get_attribute("alt")
    assert before.startswith("Probabilities: tiger cat")
    box = view.get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 195.5, box["y"] + 270.5, steps=5)
    page.mouse.up()
    notebook.wait_for("explorer.view.pointer", [130, 180])
    wait_until_shows(notebook, "explorer.bars", tolerance=0.001, other_than=clear)
    after = view_of(notebook, "explorer.bars").get_by_role("img").get_attribute("alt")
    assert after.startswith("Probabilities: ") and after != before
    wait_until_shows(notebook, "explorer.view")
    page.get_by_role("slider", name="Window").press("ArrowRight")
    notebook.wait_for("explorer.window.value", 34)
    # Voilà's own template asks for icon fonts; nothing else may be asked for outside.
    assert [address for address in notebook.outside if "fontawesome" not in address] == []
