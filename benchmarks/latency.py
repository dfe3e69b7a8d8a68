"""Milliseconds from a reader's hand to new pixels in a real JupyterLab: python benchmarks/latency.py [times]

The kernel-size slider of the convolution panel and the patch of the occlusion panel, and beside them the same slider
and the same convolution with `ipywidgets.interact` and matplotlib, in one notebook and one run. Measured in the page,
from the event to the first frame after the new picture is loaded; on a busy machine all rows are slow, so read ratios.
"""

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

from conftest import BROWSERS, CHROMIUM_ARGUMENTS, Notebook, _place, _start_lab, shutil  # noqa: E402

CELLS = [
    """
from cnnviz_widgets import ConvolutionExplorer
panel = ConvolutionExplorer()
panel
""",
    """
from cnnviz_widgets import OcclusionExplorer
occlusion = OcclusionExplorer()
occlusion
""",
    """
%matplotlib inline
import ipywidgets, matplotlib.pyplot as plt, torch
from cnnviz_widgets import images
from cnnviz_widgets.techniques.convolution import convolve, kernel
picture = torch.from_numpy(images.greyscale(images.load("cat")))[None, None]
def draw(size):
    plt.figure(figsize=(4, 3.2))
    plt.imshow(convolve(picture, kernel("blur", size)[None, None])[0, 0], cmap="gray")
    plt.axis("off")
    plt.show()
ipywidgets.interact(draw, size=ipywidgets.IntSlider(value=3, min=1, max=15, description="Kernel size"))
""",
]

# The time from an event to the first frame in which another picture is there. `find` names the <img>, because
# matplotlib's output is a new element every time.
MEASURE = """async ([find, act, key]) => {
    const old = document.querySelector(find).src;
    const began = performance.now();
    if (key) {
        const options = {key, code: key, keyCode: 39, bubbles: true, cancelable: true};
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", options));
    } else {
        const frame = document.querySelector(act);
        const box = frame.getBoundingClientRect();
        window.place = ((window.place ?? 0) + 37) % 200;
        const at = {clientX: box.left + 40 + window.place, clientY: box.top + 150, bubbles: true, button: 0};
        frame.dispatchEvent(new PointerEvent("pointermove", at));
    }
    for (;;) {
        await new Promise(requestAnimationFrame);
        const img = document.querySelector(find);
        if (img && img.complete && img.naturalWidth && img.src !== old) return performance.now() - began;
        if (performance.now() - began > 20000) throw new Error("no new picture");
    }
}"""


def cell(index: int, inner: str) -> str:
    """The CSS selector of something in the output of the cell numbered `index`, from 0."""
    return f".jp-Cell:nth-of-type({index + 1}) .jp-OutputArea-output {inner}"


def figure(notebook: Notebook, index: int, number: int) -> str:
    """The CSS selector of the <img> of a cell's picture view, by its number."""
    notebook.page.evaluate(
        """([index, number]) => {
            const cell = document.querySelectorAll(".jp-Notebook .jp-Cell")[index];
            cell.querySelectorAll(".cnnviz-image-frame")[number].dataset.bench = `${index}-${number}`;
        }""",
        [index, number],
    )
    return f"[data-bench='{index}-{number}'] img"


def by_key(notebook: Notebook, index: int, find: str, times: int) -> list[float]:
    """Milliseconds from each press of an arrow key on a cell's kernel-size slider to the new picture."""
    row = notebook.cell(index).locator(".widget-slider").filter(has_text="Kernel size")
    row.locator(".noUi-handle").focus()
    delays = []
    for number in range(times):
        key = "ArrowLeft" if number % 2 else "ArrowRight"
        delays.append(notebook.page.evaluate(MEASURE, [find, None, key]))
        notebook.page.wait_for_timeout(60)
    return delays


def by_drag(notebook: Notebook, times: int) -> list[float]:
    """Milliseconds from each move of the patch to the new bars."""
    frame = notebook.cell(1).get_by_role("application")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    notebook.page.mouse.move(box["x"] + 30, box["y"] + 30)
    notebook.page.mouse.down()
    notebook.page.wait_for_timeout(500)
    frame.evaluate("frame => { frame.dataset.patch = ''; }")
    bars = figure(notebook, 1, 1)
    delays = []
    for _move in range(times):
        delays.append(notebook.page.evaluate(MEASURE, [bars, "[data-patch]", None]))
        notebook.page.wait_for_timeout(60)
    notebook.page.mouse.up()
    return delays


def measure(page: Any, folder: Path, times: int) -> dict[str, list[float]]:
    """Open the notebook, warm every row up, and measure it."""
    server = _start_lab(folder, subshells=True)
    try:
        path = _place(server.folder / "notebooks" / "latency", "latency.ipynb", CELLS, None)
        notebook = Notebook(page, server, path)
        page.goto(f"{server.url}/doc/tree/latency/latency.ipynb?token={server.token}")
        notebook._wait_for_kernel()
        notebook.run_all()
        page.wait_for_timeout(1000)
        page.evaluate(
            """() => {
                const cell = document.querySelectorAll(".jp-Notebook .jp-Cell")[2];
                cell.dataset.bench = "matplotlib";
            }"""
        )
        kernel_size = figure(notebook, 0, 2)
        peers = "[data-bench='matplotlib'] .jp-OutputArea img[src]"
        page.locator(peers).wait_for()
        rows = {}
        for _round in range(2):  # the first warms up
            rows["kernel-size slider, ConvolutionExplorer"] = by_key(notebook, 0, kernel_size, times)
            rows["the same, interact + matplotlib"] = by_key(notebook, 2, peers, times)
            rows["patch to bars, OcclusionExplorer"] = by_drag(notebook, times)
        notebook.shut_down()
        return rows
    finally:
        server.stop()


def main(times: int) -> None:
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
        rows = measure(page, Path(folder), times)
        chromium.close()
    first = statistics.median(next(iter(rows.values())))
    print(f"{'milliseconds, median of ' + str(times):42}{'median':>8}{'slowest':>9}{'ratio':>7}")
    for name, delays in rows.items():
        median = statistics.median(delays)
        print(f"{name:42}{median:8.0f}{max(delays):9.0f}{median / first:7.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
