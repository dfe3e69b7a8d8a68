"""What the tests of panels share: the pixels that a reader sees, beside those that the kernel means."""

import base64
import io
import re
import time
from typing import Any

import numpy as np
from PIL import Image

WAIT_SECONDS = 60

# Draws what an <img> shows, and says which of its view's pictures that is; there may be none yet.
TO_PNG = """async img => {
    await img.decode().catch(() => null);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
    canvas.getContext("2d").drawImage(img, 0, 0);
    return [Number(img.dataset.serial ?? 0), img.naturalWidth ? canvas.toDataURL("image/png") : ""];
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
    """The pixels of the <img> of a picture view: uint8 `[H, W, 3]`, without any while nothing is loaded."""
    return _numbered(view)[1]


def _numbered(view: Any) -> tuple[int, np.ndarray]:
    """The number and the pixels of the picture that a view shows."""
    serial, address = view.locator("img").evaluate(TO_PNG)
    if not address:
        return serial, np.zeros((0, 0, 3), np.uint8)
    data = base64.b64decode(address.partition(",")[2])
    return serial, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def meant(notebook: Any, name: str) -> tuple[int, np.ndarray]:
    """The number and the pixels, uint8 `[H, W, 3]`, of the picture that the kernel gave the view `name`."""
    pixels = f"{name}.image.shape, __import__('base64').b64encode({name}.image.tobytes()).decode()"
    serial, shape, data = notebook.eval(f"({name}.serial, {pixels})")
    image = np.frombuffer(base64.b64decode(data), np.uint8).reshape(shape)
    return serial, image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def distance(image: np.ndarray, wanted: np.ndarray) -> float:
    """The mean difference of two pictures in steps of 0 to 255; infinite if they differ in size."""
    if image.shape[:2] != wanted.shape[:2]:
        return float("inf")
    return float(np.abs(image.astype(float) - wanted).mean())


def wait_until_shows(
    notebook: Any,
    name: str,
    wanted: np.ndarray | None = None,
    tolerance: float = 6,
    *,
    other_than: np.ndarray | None = None,
    view: Any = None,
) -> np.ndarray:
    """Wait until the page shows the picture `wanted` in the view `name`, up to the losses of JPEG; return the pixels.

    Without `wanted` it is the newest picture that the kernel gave the view. After an action whose effect the kernel may
    not have seen yet, that may still be the old one: give it as `other_than`, and what is shown is not that. `view` is
    the locator of the figure, where the kernel's view has more than one.
    """
    view, end = view or view_of(notebook, name), time.monotonic() + WAIT_SECONDS
    while True:
        serial, seen = _numbered(view)
        newest, picture = (serial, wanted) if wanted is not None else meant(notebook, name)
        apart = distance(seen, picture)
        is_new = other_than is None or not np.array_equal(seen, other_than)
        if apart < tolerance and serial == newest and is_new:
            return seen
        assert time.monotonic() < end, (
            f"{name} shows picture {serial} of {newest}, {apart:.1f} of 255 away from what it should show"
            + ("" if is_new else ", and the same as before")
        )
        notebook.page.wait_for_timeout(50)


def status(notebook: Any) -> Any:
    """The locator of the panel's status line."""
    return notebook.page.get_by_role("status").last


def wait_for_silence(notebook: Any) -> None:
    """Wait until the panel's status line says nothing."""
    status(notebook).filter(has_text=re.compile("^$")).wait_for(state="attached")


def wait_for_input(notebook: Any, text: str) -> None:
    """Wait until a field of the page has `text` in it."""
    notebook.page.wait_for_function(
        "text => [...document.querySelectorAll('input')].some(input => input.value === text)", arg=text
    )


CONTROLS = {
    *("application", "button", "checkbox", "combobox", "group", "image", "radio", "radiogroup"),
    *("slider", "spinbutton", "status", "textbox"),
}


def names_of_controls(notebook: Any) -> list[tuple[str, str]]:
    """Role and name of all that a screen reader finds in the last panel of the page.

    Waits until all but the status line have a name, which some get once the panel is in the page.
    """
    client, end = notebook.page.context.new_cdp_session(notebook.page), time.monotonic() + WAIT_SECONDS
    while True:
        found = _controls(client)
        nameless = [role for role, name in found if not name and role != "status"]
        if "status" in dict(found) and not nameless:
            break
        assert time.monotonic() < end, f"without a name: {nameless}, among {found}"
        notebook.page.wait_for_timeout(50)
    client.detach()
    return found


def _controls(client: Any) -> list[tuple[str, str]]:
    wanted = "[...document.querySelectorAll('.cnnviz-panel')].at(-1)"
    panel = client.send("Runtime.evaluate", {"expression": wanted})["result"]["objectId"]
    nodes = client.send("Accessibility.queryAXTree", {"objectId": panel})["nodes"]
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    return [(role, name.strip()) for role, name in found if role in CONTROLS]
