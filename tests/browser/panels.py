"""What the tests of panels share: the pixels that a reader sees, beside those that the kernel means."""

import base64
import io
import time
from typing import Any

import numpy as np
from PIL import Image

# Draws what an <img> shows; an image that is still loading shows its old picture.
TO_PNG = """img => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
    canvas.getContext("2d").drawImage(img, 0, 0);
    return canvas.toDataURL("image/png");
}"""


def figures(notebook: Any) -> Any:
    """The locator of all picture views of the page, in their order."""
    return notebook.page.locator("figure.cnnviz-image")


def view_of(notebook: Any, name: str) -> Any:
    """The locator of the figure of a view of the page's first panel, which the kernel calls "panel.view"."""
    panel, _, inner = name.partition(".")
    if not inner:
        return figures(notebook).first
    notebook.kernel.run("from cnnviz_widgets.explorers.base import ImageView, descendants")
    views = f"[inner for inner in descendants({panel}) if isinstance(inner, ImageView)]"
    return figures(notebook).nth(notebook.eval(f"{views}.index({name})"))


def shown(view: Any) -> np.ndarray:
    """The pixels of the <img> of a picture view: uint8 `[H, W, 3]`."""
    _head, data = view.locator("img").evaluate(TO_PNG).split(",", 1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def meant(notebook: Any, name: str) -> np.ndarray:
    """The pixels that the kernel gave the view `name`: uint8 `[H, W, 3]`."""
    shape, data = notebook.eval(
        f"({name}.image.shape, __import__('base64').b64encode({name}.image.tobytes()).decode())"
    )
    image = np.frombuffer(base64.b64decode(data), np.uint8).reshape(shape)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def distance(image: np.ndarray, wanted: np.ndarray) -> float:
    """The mean difference of two pictures in steps of 0 to 255; infinite if they differ in size."""
    if image.shape[:2] != wanted.shape[:2]:
        return float("inf")
    return float(np.abs(image.astype(float) - wanted).mean())


def wait_until_shows(
    notebook: Any, name: str, wanted: np.ndarray | None = None, tolerance: float = 6, timeout: float = 30
) -> np.ndarray:
    """Wait until the page shows the picture `wanted` in the view `name`, up to the losses of JPEG; return the pixels.

    Without `wanted` it is the picture that the kernel gave the view.
    """
    view, end = view_of(notebook, name), time.monotonic() + timeout
    while True:
        seen = shown(view)
        apart = distance(seen, meant(notebook, name) if wanted is None else wanted)
        if apart < tolerance:
            return seen
        assert time.monotonic() < end, f"{name} is {apart:.1f} of 255 away from what it should show"
        notebook.page.wait_for_timeout(50)


def status(notebook: Any) -> Any:
    """The locator of the panel's status line."""
    return notebook.page.get_by_role("status").last


CONTROLS = {
    *("application", "button", "checkbox", "combobox", "group", "image", "radio", "radiogroup"),
    *("slider", "spinbutton", "status", "textbox"),
}


def names_of_controls(notebook: Any) -> list[tuple[str, str]]:
    """Role and name of all that a screen reader finds in the last panel of the page."""
    client = notebook.page.context.new_cdp_session(notebook.page)
    wanted = "[...document.querySelectorAll('.cnnviz-panel')].at(-1)"
    panel = client.send("Runtime.evaluate", {"expression": wanted})["result"]["objectId"]
    nodes = client.send("Accessibility.queryAXTree", {"objectId": panel})["nodes"]
    client.detach()
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    return [(role, name.strip()) for role, name in found if role in CONTROLS]
