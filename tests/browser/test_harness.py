"""The browser tests stand on real ground: what they drive is a real front end, and what they read is its own kernel."""

import re

import pytest

SLIDER = """
import threading
import ipywidgets
slider = ipywidgets.IntSlider(value=3, min=0, max=10, description="Size")
threads = []
slider.observe(lambda change: threads.append(threading.current_thread().name), "value")
slider
"""

COUNTER = """
import pathlib, anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = pathlib.Path("counter.js")
    count = traitlets.Int(0).tag(sync=True)
counter = Counter(count=41)
counter
"""

COUNTER_JS = """
function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "counter";
  const show = () => { button.textContent = `count ${model.get("count")}`; };
  button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
  model.on("change:count", show);
  show();
  el.append(button);
}
export default { render };
"""

PANEL = """
import ipywidgets
class Panel(ipywidgets.IntSlider):
    def _repr_mimebundle_(self, **kwargs):
        bundle = {**super()._repr_mimebundle_(**kwargs), "text/html": "<b>a twin</b>"}
        return bundle, {"text/html": {"cnnviz": True}}  # as what is ours is marked
Panel()
"""

ASK_OUTSIDE = """
import urllib.request
try:
    urllib.request.urlopen("http://example.org", timeout=5)
except OSError as error:
    answer = str(error)
"""


@pytest.mark.parametrize("view", ["doc", "lab"])
def test_a_slider_moved_by_keyboard_is_moved_in_the_kernel(open_notebook, subshells, view):
    notebook = open_notebook([SLIDER], view=view)
    notebook.run_all()
    handle = notebook.page.get_by_role("slider")
    handle.press("ArrowRight")
    handle.press("ArrowRight")
    notebook.wait_for("slider.value if threads else None", 5)
    where = notebook.eval("threads[-1]")
    assert ("subshell" in where) == subshells, where
    assert notebook.outside == []


def test_a_value_set_in_the_kernel_moves_the_slider(open_notebook):
    notebook = open_notebook([SLIDER])
    notebook.run_all()
    notebook.page.get_by_role("slider").wait_for()
    notebook.kernel.run("slider.value = 8")
    notebook.page.locator(".widget-readout", has_text=re.compile("^8$")).wait_for()


def test_an_anywidget_from_a_file_works_without_the_network(open_notebook):
    notebook = open_notebook([COUNTER], files={"counter.js": COUNTER_JS})
    notebook.run_all()
    button = notebook.page.get_by_role("button", name="count 41")
    button.click()
    notebook.page.get_by_role("button", name="count 42").wait_for()
    notebook.wait_for("counter.count", 42)
    assert notebook.outside == []
    assert notebook.problems == []


def test_the_kernel_is_cut_off_from_the_network(open_notebook):
    notebook = open_notebook([ASK_OUTSIDE])
    notebook.run_all()
    assert "The network is cut off in tests" in notebook.eval("answer")


def test_reading_the_kernel_leaves_no_trace_in_the_notebook(open_notebook):
    notebook = open_notebook(["a = 1\na", "a + 1"])
    notebook.run_cell(0)
    for _ in range(3):
        assert notebook.eval("(a, {'twice': 2 * a})") == [1, {"twice": 2}]
    notebook.run_cell(1)
    assert [cell.execution_count for cell in notebook.save().cells] == [1, 2]
    notebook.output(1).get_by_text("2", exact=True).wait_for()


def test_an_error_in_the_kernel_is_not_taken_for_a_value(open_notebook):
    notebook = open_notebook([""])
    with pytest.raises(RuntimeError, match="NameError"):
        notebook.eval("nothing_of_that_name")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        notebook.kernel.run("1 / 0")


def test_a_saved_output_is_there_after_reopening_and_the_variables_are_gone(open_notebook):
    notebook = open_notebook(["a = 6\nprint(a * 7)"])
    notebook.run_all()
    assert notebook.save().cells[0].outputs[0].text == "42\n"
    notebook.reopen()
    notebook.output(0).get_by_text("42", exact=True).wait_for()
    assert notebook.eval("'a' in globals()") is False


def test_voila_serves_a_slider_that_reaches_its_kernel(voila):
    page = voila([SLIDER])
    handle = page.page.get_by_role("slider")
    handle.press("ArrowRight")
    page.wait_for("slider.value", 4)
    # Voilà's own template asks for icon fonts; nothing else may be asked for outside.
    assert [address for address in page.outside if "fontawesome" not in address] == []


def test_voila_serves_an_anywidget(voila):
    page = voila([COUNTER], files={"counter.js": COUNTER_JS})
    page.page.get_by_role("button", name="count 41").click()
    page.wait_for("counter.count", 42)


def test_the_settings_of_the_course_are_in_force(open_notebook):
    """What a reader saves holds the twin of a widget, and no view of it."""
    notebook = open_notebook([PANEL])
    notebook.run_all()
    notebook.page.get_by_role("slider").wait_for()
    (output,) = notebook.save().cells[0].outputs
    assert set(output.data) == {"text/plain", "text/html"}
    notebook.reopen()
    notebook.output(0).get_by_text("a twin", exact=True).wait_for()
