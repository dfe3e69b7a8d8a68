"""What the tests of panels share: the pixels that a reader sees, beside those that the kernel means."""

import base64
import io
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
    """The locator of the view whose widget is `name` in the kernel, found by its caption."""
    caption = notebook.eval(f"{name}.caption")
    return figures(notebook).filter(has=notebook.page.get_by_text(caption, exact=True)).first


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


def wait_until_shown(notebook: Any, name: str) -> Any:
    """Wait until the page shows the newest picture of the view `name`, and return its locator."""
    serial = notebook.eval(f"{name}.serial")
    notebook.wait_for(f"{name}.shown >= {serial}")
    return view_of(notebook, name)


def assert_shows(notebook: Any, name: str) -> np.ndarray:
    """Check that the page shows what the kernel means, up to the losses of JPEG, and return the pixels."""
    view = wait_until_shown(notebook, name)
    seen, wanted = shown(view), meant(notebook, name)
    assert seen.shape == wanted.shape
    error = np.abs(seen.astype(float) - wanted).mean()
    assert error < 6, f"{name} differs from what the kernel shows by {error:.1f} of 255"
    return seen


def status(notebook: Any) -> Any:
    """The locator of the panel's status line."""
    return notebook.page.get_by_role("status").last
