"""The convolution panel under a reader's hands: by keyboard, by pointer, and with pictures of their own."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz_widgets import images
from tests.browser.panels import distance, names_of_controls, shown, status, view_of, wait_for_silence, wait_until_shows

MAKE = """
from cnnviz_widgets import ConvolutionExplorer
explorer = ConvolutionExplorer(kernel="identity")
explorer
"""


@pytest.fixture
def notebook(open_notebook):
    notebook = open_notebook([MAKE])
    notebook.run_all()
    wait_until_shows(notebook, "explorer.response_view")
    return notebook


def slider(notebook, name):
    return notebook.page.get_by_role("slider", name=name)


def grey_cat():
    return torch.from_numpy(images.greyscale(images.load("cat")))


def as_grey(response):
    """What a response without negative numbers looks like: black is 0, white its largest number."""
    return (255 * response / response.max())[:, :, None].numpy()


def test_settings_by_keyboard_and_pointer(notebook):
    page = notebook.page

    # Every control says to a screen reader what it is.
    assert notebook.problems == []
    controls = names_of_controls(notebook)  # none is without a name
    assert {"slider", "button", "combobox", "radio", "textbox", "application", "status"} <= {
        role for role, _ in controls
    }
    wanted = {("slider", "Kernel size"), ("slider", "Stride"), ("slider", "Dilation"), ("combobox", "Kernel")}
    assert wanted | {("group", "Padding"), ("radiogroup", "Picture"), ("radio", "Chelsea the cat")} <= set(controls)
    thumbnails = page.locator(".cnnviz-picker-item img").evaluate_all("all => all.map(img => img.alt)")
    assert thumbnails == [picture.title for picture in images.PICTURES.values()]

    # The kernel-size slider by keyboard: the page shows what seven pixels each way have on average.
    clear = wait_until_shows(notebook, "explorer.response_view", as_grey(grey_cat()[1:-1, 1:-1]))
    page.get_by_role("combobox", name="Kernel").select_option("Blur")
    for _press in range(4):
        slider(notebook, "Kernel size").press("ArrowRight")
    wanted = as_grey(torch.nn.functional.avg_pool2d(grey_cat()[None], 7, 1)[0])
    blurred = wait_until_shows(notebook, "explorer.response_view", wanted, tolerance=2)
    assert notebook.eval("(explorer.kernel_size.value, explorer.kernel.name)") == [7, "blur"]
    assert distance(blurred, clear[2:-2, 2:-2]) > 6

    # Padding and stride.
    page.get_by_role("button", name="same").press("Enter")
    view_of(notebook, "explorer.response_view").get_by_text("The response, 320 × 400").wait_for()
    page.get_by_role("button", name="same", pressed=True).wait_for()
    page.get_by_role("button", name="valid", pressed=False).wait_for()
    assert wait_until_shows(notebook, "explorer.response_view").shape == (320, 400, 3)
    slider(notebook, "Stride").press("ArrowRight")
    view_of(notebook, "explorer.response_view").get_by_text("The response, 160 × 200").wait_for()
    assert wait_until_shows(notebook, "explorer.response_view").shape == (160, 200, 3)
    assert notebook.eval("(explorer.padding.value, explorer.stride.value)") == ["same", 2]

    # The pointer over the response marks the window it came from: 7 × 7 pixels, the middle one at (2x, 2y).
    box = view_of(notebook, "explorer.response_view").get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + (50 + 0.5) * 2, box["y"] + (40 + 0.5) * 2)
    notebook.wait_for("explorer.response_view.pointer", [50, 40])
    mark = view_of(notebook, "explorer.input_view").locator("rect")
    mark.wait_for()
    assert [mark.get_attribute(name) for name in ("x", "y", "width", "height")] == ["97", "77", "7", "7"]
    status(notebook).filter(has_text="row 40, column 50").wait_for()
    assert status(notebook).get_attribute("role") == "status"
    page.mouse.move(5, 5)
    mark.wait_for(state="detached")

    # Typing into the kernel: a single 1 below and to the right of the middle shifts the picture up and to the left.
    for _press in range(4):
        slider(notebook, "Kernel size").press("ArrowLeft")
    slider(notebook, "Stride").press("ArrowLeft")
    cells = page.get_by_role("group", name="Numbers of the kernel").get_by_role("textbox")
    cells.nth(9).wait_for(state="detached")
    for index in range(9):
        cells.nth(index).fill("1" if index == 8 else "0")
    cells.nth(8).press("Enter")
    wanted = torch.nn.functional.pad(grey_cat()[1:, 1:], (0, 1, 0, 1))
    shifted = wait_until_shows(notebook, "explorer.response_view", as_grey(wanted), tolerance=2)
    assert distance(shifted, as_grey(grey_cat())) > 2
    assert notebook.eval("explorer.kernel.value") == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert notebook.eval("explorer.kernel.name") == "own"
    cells.nth(4).fill("three")
    cells.nth(4).press("Tab")
    status(notebook).filter(has_text="“three” is not a number; the cell keeps the one it had.").wait_for()
    assert cells.nth(4).input_value() == "0"

    page.get_by_role("button", name="Reset").click()
    wait_until_shows(notebook, "explorer.response_view", clear, tolerance=0.001)
    assert notebook.eval("(explorer.kernel.name, explorer.padding.value)") == ["identity", "valid"]
    assert notebook.problems == []
    assert notebook.outside == []


def photograph(width, height, rotate=False, quality=90):
    """A noisy JPEG, dark but for a bright top left quarter; `rotate` stores it turned, and says so in its EXIF."""
    pixels = np.random.default_rng(0).integers(0, 90, (height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] += 150
    picture, exif = Image.fromarray(pixels), Image.Exif()
    if rotate:
        picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6  # to be shown turned back
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def quarters(image):
    """The mean of each quarter of a picture: top left, top right, bottom left, bottom right."""
    top, left = image.shape[0] // 2, image.shape[1] // 2
    return [part.mean() for half in (image[:top], image[top:]) for part in (half[:, :left], half[:, left:])]


def upload(notebook, name, content):
    file = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    notebook.page.locator("input[type=file]").set_input_files(file)


def test_thumbnails_and_pictures_of_ones_own(notebook):
    page = notebook.page
    thumbnails = page.get_by_role("radiogroup", name="Picture")

    # A thumbnail by click, and from there by keyboard.
    cat, coffee = (
        images.resize(images.load(name), size) for name, size in (("cat", (320, 400)), ("coffee", (267, 400)))
    )
    thumbnails.get_by_role("radio", name="A cup of espresso").click()
    wait_until_shows(notebook, "explorer.input_view", coffee)
    page.keyboard.press("ArrowRight")
    notebook.wait_for("explorer.picture.value", "astronaut")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    cat = wait_until_shows(notebook, "explorer.input_view", cat)
    assert page.evaluate("() => document.activeElement.title") == "Chelsea the cat"
    assert thumbnails.get_by_role("radio", checked=True).get_attribute("title") == "Chelsea the cat"

    # What is no picture is refused in one sentence, and the panel keeps what it had.
    upload(notebook, "notes.png", b"This is a text.")
    complaint = status(notebook).filter(has_text="“notes.png” was not taken.")
    complaint.wait_for()
    assert "Error" not in complaint.inner_text()
    assert notebook.eval("explorer.picture.value") == "cat"
    np.testing.assert_array_equal(shown(view_of(notebook, "explorer.input_view")), cat)
    upload(notebook, "huge.jpg", b"This is no picture either. " * 200_000)
    status(notebook).filter(has_text="“huge.jpg” has 5 MB").wait_for()
    assert notebook.eval("explorer.picture.value") == "cat"

    # A good file is shown, upright, and the complaint is over.
    upload(notebook, "small.jpg", photograph(300, 200, rotate=True))
    view_of(notebook, "explorer.input_view").get_by_text("The picture, 200 × 300").wait_for()
    seen = wait_until_shows(notebook, "explorer.input_view", tolerance=20)  # noise suffers from JPEG
    bright, *dark = quarters(seen)
    assert bright > 150 and max(dark) < 80
    wait_for_silence(notebook)
    thumbnails.get_by_role("radio", name="small.jpg", checked=True).wait_for()

    # A telephone's photograph is scaled down before it travels, and arrives upright as well.
    photo = photograph(4000, 3000, rotate=True)
    assert len(photo) > 5e6
    upload(notebook, "photo.jpg", photo)
    view_of(notebook, "explorer.input_view").get_by_role("img", name="photo.jpg").wait_for(timeout=120_000)
    assert notebook.eval("explorer.picture.image.shape") == [1536, 2048, 3]
    bright, *dark = quarters(wait_until_shows(notebook, "explorer.input_view", tolerance=20))
    assert bright > 150 and max(dark) < 80
    slider(notebook, "Kernel size").press("ArrowRight")
    view_of(notebook, "explorer.response_view").get_by_text("The response, 297 × 397").wait_for()

    # Three filters at random: the whole, and one of them alone.
    thumbnails.get_by_role("radio", name="Chelsea the cat").click()
    page.get_by_role("button", name="three random").click()
    view = view_of(notebook, "explorer.response_view")
    view.get_by_text("The three responses as red, green and blue, 317 × 397").wait_for()
    whole = wait_until_shows(notebook, "explorer.response_view")
    page.get_by_role("button", name="2", exact=True).click()
    view.get_by_text("The response of filter 2").wait_for()
    alone = wait_until_shows(notebook, "explorer.response_view", other_than=whole)
    assert distance(alone, whole) > 10
    for channel in range(3):
        wait_until_shows(notebook, f"explorer.channel_views[{channel}]")
    assert notebook.problems == []
    assert notebook.outside == []
