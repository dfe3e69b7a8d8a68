"""The one picture part, in a page: what it shows, what it tells of the pointer, and that it stays where it is."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.browser.panels import figures, wait_until_shows

MAKE = """
import numpy as np
from cnnviz_widgets.views import ImageView
y, x = np.mgrid[:60, :81]
ramp = np.stack([3 * x, 4 * y, 0 * x], axis=2).astype(np.uint8)
view = ImageView(ramp, kind="png", follow="hover", alt="A ramp", caption="Red grows to the right", help="Point at it.")
told = []
view.observe(lambda change: told.append(change["new"]), "pointer")
view
"""
TALL = "from IPython.display import HTML\nHTML('<div style=\"height: 3000px\">a long text</div>')"
AGAIN = "view"

NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def move_to(notebook, frame, x, y):
    """Put the pointer into the middle of the picture's pixel (x, y)."""
    box, zoom = frame.bounding_box(), notebook.eval("view.zoom")
    notebook.page.mouse.move(box["x"] + (x + 0.5) * zoom, box["y"] + (y + 0.5) * zoom)


def brightness(figure):
    """The mean of what the page shows of a picture, 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(figure.locator("img").screenshot())).convert("L")).mean()


def active_cell(notebook):
    return notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.activeCellIndex")


def test_pointer_and_keyboard(open_notebook):
    notebook = open_notebook([MAKE, TALL, AGAIN])
    notebook.run_all()
    page, frame = notebook.page, figures(notebook).first.get_by_role("application")
    wait_until_shows(notebook, "view", np.array(notebook.eval("ramp")), tolerance=0.001)

    # The pointer is told in pixels of the picture, at every zoom and also after the page was scrolled.
    for zoom in (0.5, 1, 1.5, 2):
        notebook.kernel.run(f"view.zoom = {zoom}")
        page.wait_for_function(
            "width => document.querySelector('.cnnviz-image-frame').getBoundingClientRect().width === width",
            arg=81 * zoom,
        )
        for place in ([0, 0], [80, 59], [37, 22]):
            move_to(notebook, frame, *place)
            notebook.wait_for("view.pointer", place)
    top = frame.bounding_box()["y"]
    page.mouse.wheel(0, 23)
    page.wait_for_function(
        "top => Math.abs(document.querySelector('.cnnviz-image-frame').getBoundingClientRect().y - top) < 0.1",
        arg=top - 23,
    )
    move_to(notebook, frame, 41, 30)
    notebook.wait_for("view.pointer", [41, 30])
    page.mouse.move(5, 5)
    notebook.wait_for("view.pointer", [])

    # However many events there are in one frame, the kernel hears of the last.
    notebook.kernel.run("told.clear()")
    frame.evaluate("""frame => {
        const box = frame.getBoundingClientRect();
        for (let x = 0; x < 40; x++) {
            const place = {clientX: box.left + 2 * x + 1, clientY: box.top + 21};
            frame.dispatchEvent(new PointerEvent("pointermove", place));
        }
    }""")
    notebook.wait_for("told", [[39, 10]])

    # The keyboard does what the pointer does, and the notebook's own keys keep out of the way.
    frame.focus()
    before = active_cell(notebook)
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "Shift+ArrowUp"):
        page.keyboard.press(key)
        page.evaluate(NEXT_FRAME)
    notebook.wait_for("view.pointer", [40, 7])
    page.keyboard.press("Enter")
    notebook.wait_for("view.click", [40, 7, 1])
    page.keyboard.press(" ")
    notebook.wait_for("view.click", [40, 7, 2])
    for _press in range(3):
        page.keyboard.press("Shift+ArrowUp")
    notebook.wait_for("view.pointer", [40, 0])
    assert active_cell(notebook) == before
    assert frame.evaluate("frame => frame === document.activeElement")
    move_to(notebook, frame, 12, 34)
    page.mouse.down()
    page.mouse.up()
    notebook.wait_for("view.click", [12, 34, 3])
    assert notebook.problems == []
    assert notebook.outside == []


def test_words_and_pictures(open_notebook):
    notebook = open_notebook([MAKE, TALL, AGAIN])
    notebook.run_all()
    page, (first, second) = notebook.page, (figures(notebook).first, figures(notebook).last)
    wait_until_shows(notebook, "view")

    # A reader who does not see the picture hears of it, and can reach it while there is something to point at.
    assert first.get_by_role("img", name="A ramp").count() == 1
    assert first.locator("figcaption").inner_text() == "Red grows to the right"
    frame = first.get_by_role("application", name="A ramp Point at it.")
    assert frame.get_attribute("tabindex") == "0"
    notebook.kernel.run("view.follow = ''")
    page.wait_for_function("() => document.querySelector('.cnnviz-image-frame').tabIndex === -1")
    assert first.get_by_role("application").count() == 0
    notebook.kernel.run("view.follow = 'drag'; view.patch = [20, 10]; view.patch_fill = '#808080'")

    # Both views of one widget show the same, also after a change made in one of them.
    second.scroll_into_view_if_needed()
    box = second.get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + 30.5, box["y"] + 20.5)
    page.mouse.down()
    page.mouse.move(box["x"] + 40.5, box["y"] + 25.5, steps=3)
    page.mouse.up()
    notebook.wait_for("view.pointer", [40, 25])
    for view in (first, second):
        patch = view.locator("rect")
        assert [patch.get_attribute(name) for name in ("x", "y", "width", "height")] == ["30", "20", "20", "10"]
    page.mouse.move(box["x"] + 60.5, box["y"] + 25.5)  # let go of: it no longer follows
    page.evaluate(NEXT_FRAME)
    notebook.kernel.run("view.show(255 - ramp, kind='png', alt='Its negative', caption='Red grows to the left')")
    for view in (first, second):
        view.get_by_role("img", name="Its negative").wait_for()
    negative = 255 - np.array(notebook.eval("ramp"))
    for view in (first, second):
        wait_until_shows(notebook, "view", negative, tolerance=0.001, view=view)
    notebook.wait_for("view.shown == view.serial")
    assert notebook.eval("view.pointer") == [40, 25]  # what the page told later has arrived

    # The old picture stays until the new one is there, in a box that does not move.
    page.evaluate("""() => {
        window.seen = new Set();
        const look = () => {
            const img = document.querySelector(".cnnviz-image-img");
            const box = img.getBoundingClientRect();
            window.seen.add(`${img.naturalWidth} ${box.width} × ${box.height}`);
            window.looking = requestAnimationFrame(look);
        };
        look();
    }""")
    notebook.kernel.run("""
import time
for shift in range(12):
    view.show(np.roll(ramp, shift, axis=1), kind="png")
    time.sleep(0.03)
""")
    rolled = np.array(notebook.eval("np.roll(ramp, 11, axis=1)"))
    wait_until_shows(notebook, "view", rolled, tolerance=0.001, view=first)
    assert page.evaluate("() => { cancelAnimationFrame(window.looking); return [...window.seen]; }") == ["81 81 × 60"]

    # Scrolled out of sight and back, it is what it was, without being loaded again.
    first.scroll_into_view_if_needed()
    source, before = first.locator("img").get_attribute("src"), first.locator("img").screenshot()
    second.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.cnnviz-image').getBoundingClientRect().bottom < 0")
    page.evaluate(NEXT_FRAME)
    first.scroll_into_view_if_needed()
    assert first.locator("img").get_attribute("src") == source
    assert first.locator("img").screenshot() == before

    # On a dark page a drawing's paper is dark; photographs and maps are what they are.
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'false'; }")
    notebook.kernel.run("view.show(np.full_like(ramp, 255), kind='png')")
    wait_until_shows(notebook, "view", np.full((60, 81, 3), 255), tolerance=0.001, view=first)
    assert brightness(first) > 240  # the patch is over it
    notebook.kernel.run("view.drawing = True")
    first.locator("img.cnnviz-drawing").wait_for()
    assert brightness(first) < 40
    assert notebook.problems == []


@pytest.mark.parametrize("subshells", [True], indirect=True)
def test_a_panel_of_many_pictures_leaves_none_behind_when_it_is_closed(open_notebook):
    """Every picture is held by an address of its own, which must be given back."""
    notebook = open_notebook([MAKE])
    notebook.page.evaluate("""() => {
        window.held = new Set();
        const [make, drop] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = blob => { const url = make.call(URL, blob); window.held.add(url); return url; };
        URL.revokeObjectURL = url => { window.held.delete(url); return drop.call(URL, url); };
    }""")
    notebook.run_all()
    notebook.wait_for("view.shown == view.serial")
    notebook.kernel.run("for shift in range(30): view.show(np.roll(ramp, shift, axis=1), kind='png')")
    notebook.wait_for("view.shown == view.serial")
    held = "() => [...window.held].filter(url => url.startsWith('blob:')).length"
    notebook.page.wait_for_function(f"() => ({held})() === 1")
    notebook.kernel.run("view.close()")
    notebook.page.wait_for_function("() => !document.querySelector('.cnnviz-image')")
    notebook.page.wait_for_function(f"() => ({held})() === 0")
