"""The occlusion panel under a reader's hands: the patch, the map that fills in, and what cannot be done."""

import time

import numpy as np
import pytest
import torch

from cnnviz_widgets import Network, load_network
from tests.browser.panels import (
    WAIT_SECONDS,
    names_of_controls,
    shown,
    status,
    view_of,
    wait_for_input,
    wait_until_shows,
)

MAKE = """
from cnnviz_widgets import OcclusionExplorer
explorer = OcclusionExplorer()
explorer
"""
NEIGHBOUR = """
from cnnviz_widgets import ConvolutionExplorer
neighbour = ConvolutionExplorer()
neighbour
"""
ZOOM = 1.5  # screen pixels for a pixel of what the network sees


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network()


def by_hand(network, left, top, edge=32):
    """The probabilities of the cat under a grey square."""
    inputs = network.preprocess("cat").clone()
    for channel in range(3):
        inputs[0, channel, top : top + edge, left : left + edge] = (0.5 - network.mean[channel]) / network.std[channel]
    with torch.no_grad():
        return network.module(inputs).softmax(1)[0]


def wait_for_predictions(notebook, network, probabilities):
    """Wait until the panel's five likeliest classes are those of `probabilities`."""
    likeliest = probabilities.topk(5)
    wanted = [network.labels[index] for index in likeliest.indices]
    end = time.monotonic() + WAIT_SECONDS
    while True:
        labels, seen = zip(*notebook.eval("explorer.predictions"), strict=True)
        # the panel rounds the patch to whole pixel values
        if list(labels[:3]) == wanted[:3] and np.abs(np.array(seen) - likeliest.values.numpy()).max() < 0.01:
            return
        assert time.monotonic() < end, (labels, seen, likeliest)
        notebook.page.wait_for_timeout(50)


def bars(notebook):
    return view_of(notebook, "explorer.bars").get_by_role("img").get_attribute("alt")


def test_the_patch_the_class_and_what_cannot_be_done(open_notebook, network):
    notebook = open_notebook([MAKE])
    notebook.run_all()
    page, view = notebook.page, view_of(notebook, "explorer.view")
    clear = wait_until_shows(notebook, "explorer.view")
    for name in ("bars", "map_view", "masked_view"):
        wait_until_shows(notebook, f"explorer.{name}")
    assert bars(notebook).startswith("Probabilities: tiger cat")
    controls = names_of_controls(notebook)  # none is without a name
    assert {("combobox", "Class"), ("slider", "Window"), ("button", "Run"), ("slider", "Threshold")} <= set(controls)

    # Dragged over the muzzle, the patch changes what the network believes.
    box, before = view.get_by_role("application").bounding_box(), bars(notebook)
    page.mouse.move(box["x"] + 20 * ZOOM, box["y"] + 20 * ZOOM)
    assert notebook.eval("explorer.view.pointer") == []  # nobody drags yet
    page.mouse.down()
    page.mouse.move(box["x"] + 130.5 * ZOOM, box["y"] + 180.5 * ZOOM, steps=8)
    page.mouse.up()
    notebook.wait_for("explorer.view.pointer", [130, 180])
    covered = by_hand(network, 114, 164)
    assert (covered - network.logits("cat").softmax(0)).abs().max() > 0.03
    wait_for_predictions(notebook, network, covered)
    notebook.wait_for("explorer.settle()")  # the picture is drawn after the predictions
    seen = wait_until_shows(notebook, "explorer.view", other_than=clear)
    patch = np.zeros((224, 224), bool)
    patch[164:196, 114:146] = True
    assert np.abs(seen[patch].astype(int) - 128).mean() < 6 < np.abs(clear[patch].astype(int) - 128).mean()
    assert np.abs(seen[~patch].astype(int) - clear[~patch]).mean() < 3
    page.wait_for_function(
        "([frame, old]) => frame.querySelector('img').alt !== old", arg=[_frame(notebook, "explorer.bars"), before]
    )
    wait_until_shows(notebook, "explorer.bars", tolerance=0.001)

    # The arrow keys move it by a 28th of the picture; Tab reaches it.
    page.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Tab")
    assert view.get_by_role("application").evaluate("frame => frame === document.activeElement")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    notebook.wait_for("explorer.view.pointer", [114, 172])
    wait_for_predictions(notebook, network, by_hand(network, 98, 156))
    mark = view.locator("rect")
    assert [mark.get_attribute(name) for name in ("x", "y", "width", "height")] == ["98", "156", "32", "32"]

    # A class by its name; one that there is not is answered with the nearest.
    field = page.get_by_role("combobox", name="Class")
    field.fill("tabby")
    field.press("Enter")
    view_of(notebook, "explorer.map_view").get_by_text("Probability of tabby").wait_for()
    assert notebook.eval("explorer.network.labels[explorer.value.target]") == "tabby"
    field.fill("tabbi")
    field.press("Enter")
    status(notebook).filter(has_text="tabbi").filter(has_text="tabby").wait_for()
    assert notebook.eval("explorer.target.value") == "tabby"
    wait_for_input(notebook, "tabby")

    # A bad picture is refused, and the panel keeps what it shows.
    seen = wait_until_shows(notebook, "explorer.view")
    page.locator("input[type=file]").set_input_files(
        {"name": "cat.png", "mimeType": "image/png", "buffer": b"This is a text."}
    )
    status(notebook).filter(has_text="“cat.png” was not taken.").wait_for()
    np.testing.assert_array_equal(shown(view), seen)

    # The threshold moves the mask, and Reset takes all of it back.
    page.get_by_role("slider", name="Threshold").press("Home")
    notebook.wait_for("explorer.threshold.value", 0.05)
    view_of(notebook, "explorer.masked_view").get_by_text("below 0.05 of its maximum: 0%").wait_for()
    page.get_by_role("button", name="Reset").click()
    view_of(notebook, "explorer.masked_view").get_by_text("below 0.85 of its maximum").wait_for()
    notebook.wait_for("(explorer.target.value, explorer.view.pointer)", ["tiger cat", []])
    wait_for_predictions(notebook, network, network.logits("cat").softmax(0))
    np.testing.assert_array_equal(wait_until_shows(notebook, "explorer.view", clear, tolerance=0.001), clear)
    mark.wait_for(state="detached")
    assert notebook.problems == []
    assert notebook.outside == []


def _frame(notebook, name):
    return view_of(notebook, name).locator(".cnnviz-image-frame").element_handle()


def test_run_and_stop(open_notebook, network):
    notebook = open_notebook([MAKE, NEIGHBOUR])
    notebook.run_all()
    page = notebook.page
    run, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Run", "Stop"))
    assert stop.is_disabled()
    fine_stride = "explorer.stride.value = 2"  # 9409 places: minutes
    notebook.kernel.run(fine_stride)
    notebook.wait_for("explorer.settle() and explorer.run.running", False)
    wait_until_shows(notebook, "explorer.map_view", tolerance=0.001)
    notebook.wait_for("explorer.map_view.shown == explorer.map_view.serial")
    notebook.kernel.run("""
pictures = []
explorer.map_view.observe(lambda change: pictures.append(change["new"]), "shown")
""")

    # The map fills in before the reader's eyes, with the time that is left.
    run.click()
    page.get_by_text("left", exact=False).filter(has_text="about").wait_for()
    notebook.wait_for("len(pictures) >= 3", timeout=120)
    assert 0 < notebook.eval("explorer.run.done") < 1
    early = shown(view_of(notebook, "explorer.map_view"))
    unknown = (early == early[-1, -1]).all(axis=2)
    assert 0.05 < unknown.mean() < 1  # the last places are not there yet

    # Meanwhile another panel answers.
    other = page.locator(".cnnviz-panel").nth(1)
    frame = other.locator(".cnnviz-image-frame").nth(2).element_handle()  # its <img> is a new one with each picture
    handle = other.get_by_role("slider", name="Kernel size")
    handle.focus()
    delays = []
    for _press in range(5):
        serial, began = frame.query_selector("img").get_attribute("data-serial"), time.monotonic()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "([frame, serial]) => frame.querySelector('img').dataset.serial !== serial", arg=[frame, serial], polling=5
        )
        delays.append(1e3 * (time.monotonic() - began))
    assert notebook.eval("(neighbour.kernel_size.value, explorer.run.running)") == [8, True]
    print(f"another panel's slider while a map is computed: {sorted(delays)[2]:.0f} ms (median of 5)")

    # Stop stops, and what is there stays.
    began = time.monotonic()
    stop.click()
    page.get_by_text("stopped after").wait_for()
    print(f"from Stop to its answer: {1e3 * (time.monotonic() - began):.0f} ms")
    notebook.wait_for("explorer.run.running", False)
    page.get_by_role("button", name="Stop", exact=True, disabled=True).wait_for()
    known = "(~explorer.value.probabilities.isnan()).sum().item()"
    there = notebook.eval(known)
    assert 0 < there < 9409
    notebook.wait_for("explorer.settle()")
    wait_until_shows(notebook, "explorer.map_view", tolerance=0.001)
    assert notebook.eval(known) == there

    # Run to its end, a map is the one that is found place by place.
    notebook.kernel.run("explorer.stride.value = 48")
    notebook.wait_for("explorer.settle() and explorer.run.running", False)
    notebook.kernel.run("""
runs = []
explorer.run.observe(lambda change: runs.append(change["new"]), "running")
""")
    run.click()
    notebook.wait_for("runs", [True, False], timeout=120)
    page.get_by_text("done in").wait_for()
    assert notebook.eval("(explorer.settle(), explorer.value.stride, explorer.run.done)") == [True, [48, 48], 1.0]
    tops, lefts, seen = notebook.eval("(explorer.value.tops, explorer.value.lefts, explorer.value.probabilities)")
    target = network.class_index("tiger cat")
    wanted = [[by_hand(network, left, top)[target].item() for left in lefts] for top in tops]
    np.testing.assert_allclose(seen, wanted, atol=1e-4)
    assert np.ptp(wanted) > 0.05
    wait_until_shows(notebook, "explorer.map_view", tolerance=0.001)
    wait_until_shows(notebook, "explorer.masked_view")
    assert notebook.problems == []
    assert notebook.outside == []
