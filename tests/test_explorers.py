"""Every panel without a page: each control moved, each picture compared with numbers computed apart from it."""

import base64
import io
import subprocess
import sys
import threading

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from ipywidgets.widgets import widget as registry
from PIL import Image
from torch import nn

from cnnviz_widgets import images, render
from cnnviz_widgets.controls import SettingSlider
from cnnviz_widgets.controls.worker import WORKER
from cnnviz_widgets.errors import CnnvizError, UnknownClass, WrongSetting
from cnnviz_widgets.explorers import ConvolutionExplorer, Explorer, OcclusionExplorer, SlidingWindowExplorer
from cnnviz_widgets.explorers.sliding_window import CELL, DENSITY, GAP, HEAD
from cnnviz_widgets.networks import Network
from cnnviz_widgets.techniques.convolution import KERNELS, convolve, kernel, random_kernels
from cnnviz_widgets.techniques.occlusion import ARTICLE, FILLS, occlusion
from cnnviz_widgets.views.twin import VIEW
from tests import uploads
from tests.helpers import fingerprint

LONG = 60
LABELS = ("tiger cat", "<b>tabby</b>", "espresso", "daisy", "moped", "wall")


def small_network(classes=6, size=32):
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(54, classes),
    )  # fmt: skip
    with torch.no_grad():
        module[-1].weight *= 20
    return Network(module, LABELS[:classes], size=size)


class Gate(nn.Module):
    """Waits before the pictures from number `after` on until it is opened, so that a run can be met half way.

    Its locks cannot be copied, so a run asks this module itself and not a copy.
    """

    def __init__(self, module):
        super().__init__()
        self.module, self.after, self.count = module, 10**9, 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def forward(self, inputs):
        self.count += len(inputs)
        if self.count > self.after:
            self.entered.set()
            assert self.opened.wait(LONG)
        return self.module(inputs)


def sentence(panel):
    """What the status line says; the page shows it as text, so nothing in it is read as HTML."""
    return panel.status.value


def complains(panel):
    return panel.status.wrong


def updates(panel):
    """A list that grows whenever the panel computes anew."""
    seen = []
    update = panel.update
    panel.update = lambda changed=None: (seen.append(changed), update(changed))
    return seen


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture
def convolution():
    panel = ConvolutionExplorer()
    yield panel
    panel.close()


@pytest.fixture
def sliding():
    panel = SlidingWindowExplorer()
    yield panel
    panel.close()


@pytest.fixture
def occluder(network):
    panel = OcclusionExplorer(network, window=8, stride=8)
    yield panel
    panel.close()
    assert panel.settle(LONG)


PANELS = {
    "convolution": ConvolutionExplorer,
    "sliding window": SlidingWindowExplorer,
    "occlusion": lambda: OcclusionExplorer(small_network(), window=8, stride=8),
}


# What all panels have in common -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_is_also_a_picture_with_a_short_fixed_name(name):
    panel = PANELS[name]()
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == repr(panel) == f"{type(panel).__name__}()"
    assert bundle[VIEW]["model_id"] == panel.model_id
    mime = next(kind for kind in bundle if kind.startswith("image/"))
    data = base64.b64decode(bundle[mime])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert picture.shape == panel.snapshot().shape
    assert np.abs(picture - panel.snapshot()).mean() < 4
    assert picture.shape[1] <= 1100
    assert len(data) < 150_000
    panel.close()


def test_the_picture_of_the_panel_shows_what_the_panel_shows(convolution):
    before = convolution.snapshot()
    shown = convolution.response_view.figure()
    height, width = shown.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(before[..., 0], (1, width))
    assert any((row == shown[height // 2, :, 0]).all() for row in windows[:, :, 0].reshape(-1, width))
    convolution.kernel.name = "sobel_y"
    assert (convolution.snapshot() != before).any()


@pytest.mark.parametrize("name", PANELS)
def test_close_leaves_nothing_of_the_panel_alive(name):
    PANELS[name]().close()  # whatever is made once stays
    before = set(registry._instances)
    panel = PANELS[name]()
    assert len(set(registry._instances) - before) > 20
    panel.close()
    panel.close()
    assert set(registry._instances) == before


def test_a_panel_that_is_closed_while_it_runs_stops(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    gate.after = gate.count + 20
    panel.start()
    assert gate.entered.wait(LONG)
    panel.close()
    gate.opened.set()
    assert panel.settle(LONG)
    assert panel.value.probabilities.isnan().any()


@pytest.mark.parametrize("name", PANELS)
def test_reset_restores_every_setting_the_value_and_the_pictures(name):
    panel = PANELS[name]()
    first = {key: control.value for key, control in panel.settings.items()}
    before = panel.snapshot()
    others = {
        "picture": "coffee", "filters": "random", "kernel_size": 5, "seed": 4, "show_channel": 1, "stride": 3,
        "padding": "same", "dilation": 2, "step": 5, "inputs": [[1.0] * 6] * 6, "target": "daisy", "preset": "article",
        "window": 12, "fill": "white", "map_of": "drop", "threshold": 0.5,
        "kernel": [[0.0, 1.0], [2.0, 3.0]] if name != "sliding window" else [[0.0, 1.0, 0.0]] * 3,
    }  # fmt: skip
    for key, control in panel.settings.items():
        control.value = others[key]
    if name == "occlusion":
        panel.view.pointer = [10, 10]
        assert panel.settle(LONG)
    assert (panel.snapshot().shape != before.shape) or (panel.snapshot() != before).any()
    panel.reset_button.click()
    if name == "occlusion":
        assert panel.settle(LONG)
    assert {key: control.value for key, control in panel.settings.items()} == first
    assert not complains(panel)
    np.testing.assert_array_equal(panel.snapshot(), before)
    panel.close()


class Plain(Explorer):
    """A panel that fails on demand."""

    title = "Plain"

    def __init__(self):
        self.first = SettingSlider(1, 0, 9, "First", "A number")
        self.second = SettingSlider(2, 0, 9, "Second", "Another number")
        self.computed = 0
        super().__init__({"first": self.first, "second": self.second}, widgets.VBox())

    def update(self, changed=None):
        if self.first.value == 7:
            raise WrongSetting("Seven & <eight> will not do.")
        if self.first.value == 8:
            raise KeyError("what\nis this")
        self.computed += 1
        self.value = self.first.value + self.second.value


def test_an_error_is_said_in_the_status_line_and_the_value_kept():
    panel = Plain()
    panel.first.value = 7
    assert sentence(panel) == "Seven & <eight> will not do."
    assert complains(panel)
    assert panel.value == 3
    panel.first.value = 8
    assert sentence(panel) == "KeyError: 'what\\nis this'"
    panel.first.value = 5
    assert (panel.value, sentence(panel)) == (7, "")


def test_several_settings_changed_together_are_computed_once():
    panel = Plain()
    with panel.held():
        panel.first.value = 4
        with panel.held():
            panel.second.value = 5
        assert panel.value == 3
    assert (panel.value, panel.computed) == (9, 2)
    with panel.quietly():
        panel.first.value = 1
    assert (panel.value, panel.computed) == (9, 2)


def test_an_error_on_reset_is_not_wiped_away():
    panel = Plain()
    panel.first_values["first"] = 7
    panel.reset()
    assert "Seven" in sentence(panel)


def test_what_another_thread_changes_while_a_panel_is_held_is_not_lost():
    panel = Plain()
    moved = threading.Thread(target=lambda: setattr(panel.second, "value", 6))
    with panel.held():
        panel.first.value = 3
        moved.start()
        moved.join(0.05)
    moved.join(LONG)
    assert panel.value == 9


def test_many_threads_moving_one_panel_end_in_its_settings():
    panel = Plain()

    def move(control):
        for number in range(40):
            control.value = number % 6

    threads = [threading.Thread(target=move, args=(control,)) for control in (panel.first, panel.second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert panel.value == panel.first.value + panel.second.value == 6


def test_a_panel_without_update_says_so():
    with pytest.raises(TypeError, match="Empty"):
        type("Empty", (Explorer,), {})({}, widgets.VBox())


def test_everything_public_can_be_imported_at_once():
    code = "from cnnviz_widgets import *; print(ConvolutionExplorer, OcclusionExplorer, show, check, convolve)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# Convolution --------------------------------------------------------------------------------------------------------


def grey(name="cat"):
    return torch.from_numpy(images.greyscale(images.load(name)))[None, None]


def drawn(values):
    """The response of one kernel as the panel should draw it."""
    low, high = float(values.min()), float(values.max())
    if low < 0 < high and -low > high / 20:
        return render.signed_map(values.numpy())
    return render.heat_map(values.numpy(), render.GREY, min(low, 0.0), max(high, 0.0) or (1.0 if low == 0 else 0.0))


def assert_shows(panel, inputs, filters, stride=1, padding="valid", dilation=1):
    expected = convolve(inputs, filters, stride, padding, dilation)[0]
    torch.testing.assert_close(panel.value, expected, rtol=0, atol=0)
    assert not complains(panel)
    if len(expected) == 1:
        np.testing.assert_array_equal(panel.response_view.image, drawn(expected[0]))
    assert f"{expected.shape[1]} × {expected.shape[2]}" in panel.response_view.caption
    assert panel.response_view.alt


def test_the_first_state_is_the_cat_blurred(convolution):
    assert_shows(convolution, grey(), kernel("blur", 3)[None, None])
    np.testing.assert_array_equal(convolution.input_view.image, images.load("cat"))


@pytest.mark.parametrize("size", [1, 2, 4, 7, 15])
def test_kernel_size_follows_the_slider(convolution, size):
    convolution.kernel.name = "sobel_x"
    seen = updates(convolution)
    convolution.kernel_size.value = size
    assert seen == ["kernel_size"]
    assert_shows(convolution, grey(), kernel("sobel_x", size)[None, None])
    tile = render.signed_map(kernel("sobel_x", size).numpy())
    np.testing.assert_array_equal(convolution.kernel_view.image, render.enlarge(tile, 90 // size))


@pytest.mark.parametrize("name", KERNELS)
def test_every_named_kernel(convolution, name):
    seen = updates(convolution)
    convolution.kernel.name = name
    assert seen == ["kernel"] * (name != "blur")
    assert_shows(convolution, grey(), kernel(name, 3)[None, None])


@pytest.mark.parametrize(
    ("control", "value"), [("stride", 4), ("padding", "same"), ("padding", "full"), ("dilation", 3)]
)
@pytest.mark.parametrize("size", [3, 4])
def test_stride_padding_and_dilation(convolution, control, value, size):
    convolution.kernel_size.value = size
    seen = updates(convolution)
    convolution.settings[control].value = value
    assert seen == [control]
    assert_shows(convolution, grey(), kernel("blur", size)[None, None], **{control: value})


def test_an_even_kernel_with_same_padding_keeps_the_size(convolution):
    convolution.kernel_size.value = 4
    convolution.padding.value = "same"
    assert convolution.value.shape == (1, 320, 400)


def test_stride_zero_set_by_a_program_becomes_one(convolution):
    convolution.stride.value = 0
    assert convolution.stride.value == 1
    assert convolution.value.shape == (1, 318, 398)


def test_an_edited_kernel_is_computed_once_and_resized_about_its_middle(convolution):
    rows = [[0.0, -1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.5]]
    seen = updates(convolution)
    convolution.kernel.grid.value = rows
    assert seen == ["kernel"]
    assert_shows(convolution, grey(), torch.tensor(rows)[None, None])
    convolution.kernel_size.value = 5
    assert seen == ["kernel", "kernel_size"]
    assert_shows(convolution, grey(), nn.functional.pad(torch.tensor(rows), (1, 1, 1, 1))[None, None])
    assert convolution.kernel.name == "own"


def test_a_kernel_of_another_size_moves_the_slider(convolution):
    seen = updates(convolution)
    convolution.kernel.value = [[1.0, -1.0], [0.5, 0.0]]
    assert seen == ["kernel"]
    assert convolution.kernel_size.value == 2
    assert_shows(convolution, grey(), torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]]))


def test_a_kernel_of_zeros_gives_a_black_response_with_a_sensible_scale(convolution):
    convolution.kernel.value = [[0.0]]
    assert convolution.value.abs().max() == 0
    assert (convolution.response_view.image == 0).all()
    assert convolution.response_view.ramp["high"] == "1"


def test_a_kernel_of_negative_numbers_is_drawn_in_grey_up_to_zero(convolution):
    convolution.kernel.value = [[-1.0]]
    assert_shows(convolution, grey(), torch.full((1, 1, 1, 1), -1.0))
    assert convolution.response_view.ramp["high"] == "0"


def test_a_word_in_the_kernel_is_a_complaint_that_goes_with_the_next_number(convolution):
    value = convolution.value
    convolution.kernel.grid._handle_custom_msg({"kind": "not a number", "text": "<i>x</i>"}, [])
    assert complains(convolution)
    assert "“<i>x</i>” is not a number" in sentence(convolution)
    assert convolution.value is value
    convolution.kernel.grid.value = [[1.0]]
    assert sentence(convolution) == ""


@pytest.mark.parametrize("picture", ["coffee", "camera", "hubble_deep_field"])
def test_another_picture_is_scaled_down_to_what_is_quick(convolution, picture):
    convolution.picture.value = picture
    image = images.load(picture)
    height, width = (round(side * 400 / max(image.shape[:2])) for side in image.shape[:2])
    image = images.resize(image, (height, width))
    np.testing.assert_array_equal(convolution.input_view.image, image)
    inputs = torch.from_numpy(images.greyscale(image))[None, None]
    assert_shows(convolution, inputs, kernel("blur", 3)[None, None])


@pytest.mark.parametrize(("size", "seed"), [(3, 0), (10, 0), (15, 7)])
def test_three_random_filters_are_the_colours_of_the_response(convolution, size, seed):
    convolution.filters.value = "random"
    convolution.kernel_size.value = size
    convolution.seed.value = seed
    filters = random_kernels(3, size, seed, channels=3)
    assert_shows(convolution, images.to_tensor(images.load("cat")), filters)
    np.testing.assert_array_equal(convolution.response_view.image, render.channels_as_colour(convolution.value.numpy()))
    assert convolution.response_view.ramp == {}
    for view, channel in zip(convolution.channel_views, convolution.value.numpy(), strict=True):
        np.testing.assert_array_equal(view.image, render.heat_map(channel, render.GREY))
    for number in range(3):
        convolution.show_channel.value = number
        np.testing.assert_array_equal(convolution.response_view.image, drawn(convolution.value[number]))
        assert f"filter {number + 1}" in convolution.response_view.caption


def test_only_the_controls_that_matter_take_room(convolution):
    def shown():
        names = ("kernel", "seed", "show_channel", "channels")
        return [name for name in names if getattr(convolution, name).layout.display != "none"]

    assert shown() == ["kernel"]
    convolution.filters.value = "random"
    assert shown() == ["seed", "show_channel", "channels"]
    convolution.filters.value = "designed"
    assert shown() == ["kernel"]


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
@pytest.mark.parametrize(("size", "stride", "dilation"), [(3, 1, 1), (4, 2, 1), (5, 3, 2)])
def test_the_marked_window_is_the_one_that_the_response_comes_from(convolution, padding, size, stride, dilation):
    """Brute force: of the pixels of the picture, exactly those in the marked window move this response."""
    for name, value in (("kernel_size", size), ("stride", stride), ("dilation", dilation), ("padding", padding)):
        convolution.settings[name].value = value
    rows, columns = convolution.value.shape[1:]
    for x, y in ((0, 0), (columns // 2, rows // 3), (columns - 1, rows - 1)):
        convolution.response_view.pointer = [x, y]
        (mark,) = convolution.input_view.marks
        picture = grey().requires_grad_()
        response = convolve(picture, torch.ones(1, 1, size, size), stride, padding, dilation)[0, 0, y, x]
        touched = torch.autograd.grad(response, picture)[0][0, 0].nonzero()
        inside = mark["x"] + torch.arange(0, mark["w"], dilation), mark["y"] + torch.arange(0, mark["h"], dilation)
        expected = [
            (row, column) for row in inside[1].tolist() for column in inside[0].tolist()
            if 0 <= row < 320 and 0 <= column < 400
        ]  # fmt: skip
        assert [tuple(place) for place in touched.tolist()] == expected
        assert mark["w"] == mark["h"] == dilation * (size - 1) + 1
        assert f"row {y}, column {x}: {render.number(convolution.value[0, y, x].item())}" in sentence(convolution)


def test_the_marks_and_the_words_go_with_the_pointer_and_with_a_new_response(convolution):
    convolution.response_view.pointer = [5, 5]
    assert convolution.input_view.marks
    convolution.response_view.pointer = []
    assert (convolution.input_view.marks, sentence(convolution)) == ([], "")
    convolution.response_view.pointer = [5, 5]
    convolution.stride.value = 2
    assert (convolution.input_view.marks, convolution.response_view.pointer) == ([], [])
    convolution.response_view.pointer = [1000, 1000]
    assert convolution.input_view.marks == []


@pytest.mark.parametrize("kind", uploads.SHOWN)
def test_every_kind_of_picture_reaches_the_panel(convolution, kind):
    convolution.picture.upload("<b>x</b>.png", uploads.SHOWN[kind]())
    uploads.assert_left_and_right(convolution.input_view.image, kind)
    inputs = torch.from_numpy(images.greyscale(convolution.input_view.image))[None, None]
    assert_shows(convolution, inputs, kernel("blur", 3)[None, None])
    assert convolution.input_view.alt == "<b>x</b>.png"  # set as a property in the page, never as HTML


@pytest.mark.parametrize("name", ["convolution", "occlusion"])
@pytest.mark.parametrize("kind", uploads.REFUSED)
def test_a_refused_picture_leaves_the_panel_as_it_was(name, kind):
    panel = PANELS[name]()
    value, before = panel.value, panel.snapshot()
    make, words = uploads.REFUSED[kind]
    panel.picture.upload("<b>x</b>.png", make())
    assert complains(panel)
    assert words in sentence(panel)
    assert "<b>x</b>.png" in sentence(panel)
    assert panel.value is value
    np.testing.assert_array_equal(panel.snapshot(), before)
    panel.close()


def test_a_picture_smaller_than_the_kernel_is_a_sentence_and_the_panel_goes_on(convolution):
    value, shown = convolution.value, convolution.response_view.image
    convolution.picture.upload("dot.png", uploads.one_pixel())
    assert complains(convolution)
    assert "The kernel covers 3 pixels" in sentence(convolution)
    assert convolution.value is value
    assert convolution.response_view.image is shown
    convolution.response_view.pointer = [300, 200]  # what is still shown can still be pointed at
    assert convolution.input_view.marks[0]["x"] == 300
    convolution.padding.value = "same"
    dot = torch.from_numpy(images.greyscale(np.array([[uploads.GREEN]], np.uint8)))[None, None]
    assert_shows(convolution, dot, kernel("blur", 3)[None, None], padding="same")
    np.testing.assert_array_equal(convolution.input_view.image, [[uploads.GREEN]])
    assert convolution.input_view.zoom == 200
    convolution.picture.value = "cat"
    assert_shows(convolution, grey(), kernel("blur", 3)[None, None], padding="same")
    np.testing.assert_array_equal(convolution.input_view.image, images.load("cat"))
    assert convolution.input_view.zoom == 0.5


def test_a_dilated_kernel_larger_than_the_picture_keeps_the_last_response(convolution):
    convolution.picture.upload("small.png", uploads.encoded(Image.new("RGB", (40, 30), "white")))
    convolution.kernel_size.value = 15
    value = convolution.value
    convolution.dilation.value = 4
    assert "57 pixels" in sentence(convolution)
    assert convolution.value is value
    convolution.dilation.value = 2
    assert convolution.value.shape == (1, 2, 12)
    assert sentence(convolution) == ""


def test_settings_given_at_the_start_are_those_shown():
    panel = ConvolutionExplorer(
        "coffee", filters="random", kernel="emboss", kernel_size=5, stride=2, padding="full", dilation=2, seed=9
    )
    image = images.resize(images.load("coffee"), (267, 400))
    assert_shows(panel, images.to_tensor(image), random_kernels(3, 5, 9, channels=3), 2, "full", 2)
    assert panel.kernel.name == "emboss"
    panel.close()


@pytest.mark.parametrize(
    "arguments", [{"image": "dog"}, {"kernel": "sobel"}, {"padding": "reflect"}, {"filters": "all"}]
)
def test_a_wrong_argument_is_refused(arguments):
    with pytest.raises(CnnvizError, match=r"There is no (picture|kernel|padding|kind of filters)"):
        ConvolutionExplorer(**arguments)


def test_a_panel_that_is_refused_leaves_nothing_of_it_alive():
    SlidingWindowExplorer().close()
    before = set(registry._instances)
    with pytest.raises(WrongSetting, match="covers 6 pixels"):
        SlidingWindowExplorer(kernel=[[1] * 6] * 6)
    assert set(registry._instances) == before


# The sliding window -------------------------------------------------------------------------------------------------


def response(panel):
    inputs, weights = (torch.tensor(grid.value)[None, None] for grid in (panel.inputs, panel.kernel))
    return convolve(inputs, weights)[0, 0]


def cell(panel, row, column, output=False):
    """The drawn cell's own pixels, its outline left out."""
    left = (len(panel.inputs.value[0]) * CELL + GAP if output else 0) + column * CELL
    top = HEAD + row * CELL
    inner = (
        slice((top + 4) * DENSITY, (top + CELL - 4) * DENSITY),
        slice((left + 4) * DENSITY, (left + CELL - 4) * DENSITY),
    )
    return panel.view.image[inner]


def ground(pixels):
    return tuple(pixels[0, 0].tolist())


def caption_sum(panel):
    """The sum of the products written in the caption, worked out from its words."""
    words, total = panel.view.caption.split(": ", 1)[1].split(" = ")
    products = [part.replace("−", "-").split("·") for part in words.split(" + ")]
    assert len(products) == sum(map(len, panel.kernel.value))
    return sum(float(a) * float(b) for a, b in products), float(total.replace("−", "-"))


def test_every_position_shows_its_window_its_products_and_their_sum(sliding):
    assert torch.equal(sliding.value, response(sliding))
    for position in range(9):
        sliding.step.value = position
        row, column = divmod(position, 3)
        assert sliding.position == position
        assert caption_sum(sliding) == (sliding.value[row, column].item(),) * 2
        assert f"Row {row}, column {column}" in sliding.view.caption
        for y in range(5):
            for x in range(5):
                inside = row <= y < row + 3 and column <= x < column + 3
                assert (ground(cell(sliding, y, x)) == (255, 236, 200)) == inside
        for y in range(3):
            for x in range(3):
                pixels = cell(sliding, y, x, output=True)
                assert (ground(pixels) == (205, 232, 248)) == ((y, x) == (row, column))
                written = (pixels != pixels[0, 0]).any()
                assert written == (y * 3 + x <= position)


def test_play_and_the_slider_move_together(sliding):
    sliding.play.value = 4
    assert (sliding.step.value, sliding.position) == (4, 4)
    sliding.step.value = 7
    assert sliding.play.value == 7


def test_position_can_be_set_and_stays_on_the_output(sliding):
    sliding.position = 5
    assert (sliding.step.value, sliding.play.value) == (5, 5)
    assert "Row 1, column 2" in sliding.view.caption
    sliding.position = 99
    assert (sliding.position, sliding.step.value) == (8, 8)
    sliding.position = -4
    assert (sliding.position, sliding.step.value) == (0, 0)


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("column", range(3))
def test_the_pointer_on_an_output_cell_moves_the_window_there(sliding, row, column):
    sliding.position = 4
    for dx, dy in ((1, 1), (30, 30), (59, 59)):
        x, y = 5 * CELL + GAP + column * CELL + dx, HEAD + row * CELL + dy
        sliding.view.pointer = [x * DENSITY, y * DENSITY]
        assert sliding.position == row * 3 + column


def test_the_pointer_on_an_input_cell_puts_the_middle_of_the_window_there(sliding):
    for row in range(5):
        for column in range(5):
            sliding.view.pointer = [
                int((column + 0.5) * CELL * DENSITY), int((HEAD + (row + 0.5) * CELL) * DENSITY)
            ]  # fmt: skip
            expected = min(max(row - 1, 0), 2) * 3 + min(max(column - 1, 0), 2)
            assert sliding.position == expected


def test_arrow_keys_move_the_window_by_one_and_stop_at_the_edges(sliding):
    def press(dx, dy):
        """What the page does with an arrow key."""
        (x, y), step = sliding.view.pointer, sliding.view.key_step
        sliding.view.pointer = [
            min(max(x + dx * step, 0), sliding.view.width - 1), min(max(y + dy * step, 0), sliding.view.height - 1)
        ]  # fmt: skip

    visited = []
    for dx, dy in [(1, 0)] * 4 + [(0, 1)] * 4 + [(-1, 0)] * 4 + [(0, -1)] * 4 + [(1, 0)]:
        press(dx, dy)
        visited.append(sliding.position)
    assert visited == [1, 2, 2, 2, 5, 8, 8, 8, 7, 6, 6, 6, 3, 0, 0, 0, 1]


def test_arrow_keys_start_from_where_the_slider_left_the_window(sliding):
    sliding.view.pointer = [10, 100]
    sliding.step.value = 4
    x, y = sliding.view.pointer
    sliding.view.pointer = [x + sliding.view.key_step, y]
    assert sliding.position == 5
    sliding.view.pointer = []  # the pointer leaves the picture
    assert sliding.position == 5
    x, y = sliding.view.pointer
    sliding.view.pointer = [x, y + sliding.view.key_step]
    assert sliding.position == 8


def test_typed_numbers_change_the_response_and_the_drawing(sliding):
    before = sliding.view.image
    rows = [list(row) for row in sliding.inputs.value]
    rows[0][0] = -2.5
    sliding.inputs.value = rows
    assert torch.equal(sliding.value, response(sliding))
    assert sliding.value[0, 0] == 9 + 2.5
    assert caption_sum(sliding) == (11.5, 11.5)
    assert (cell(sliding, 0, 0) != before[4 * 2 + HEAD * 2 : 4 * 2 + HEAD * 2 + 104, 8:112]).any()
    sliding.kernel.value = [[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(sliding.value, 3 * torch.tensor(rows)[1:4, 1:4])


def test_an_input_of_another_size_brings_other_positions(sliding):
    sliding.step.value = 8
    sliding.inputs.value = [[1.0, 2.0, 3.0, 4.0]] * 3
    assert sliding.value.shape == (1, 2)
    assert (sliding.step.max, sliding.play.max, sliding.position) == (1, 1, 1)
    sliding.inputs.value = [[1.0] * 7] * 7
    assert (sliding.step.max, sliding.play.max) == (24, 24)
    sliding.step.value = 24
    assert "Row 4, column 4" in sliding.view.caption


def test_a_kernel_larger_than_the_input_is_a_sentence_and_the_value_is_kept(sliding):
    value, shown = sliding.value, sliding.view.image
    sliding.kernel.value = [[1.0] * 6] * 6
    assert complains(sliding)
    assert "The kernel covers 6 pixels" in sentence(sliding)
    assert sliding.value is value
    assert sliding.view.image is shown
    sliding.kernel.value = [[1.0] * 2] * 2
    assert sliding.value.shape == (4, 4)
    assert sentence(sliding) == ""


def test_it_starts_where_it_is_told_with_the_numbers_it_is_given():
    panel = SlidingWindowExplorer([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, -1]], position=1)
    assert panel.value.tolist() == [[-4.0, -4.0]]
    assert panel.position == 1
    assert caption_sum(panel) == (-4, -4)
    panel.close()
    with pytest.raises(WrongSetting, match="The kernel covers 3"):
        SlidingWindowExplorer([[1, 2], [3, 4]])


# Occlusion ----------------------------------------------------------------------------------------------------------


def same_map(got, expected):
    torch.testing.assert_close(got.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    torch.testing.assert_close(got.logits, expected.logits, rtol=0, atol=1e-4)
    assert (got.target, got.window, got.stride, got.tops) == (
        expected.target, expected.window, expected.stride, expected.tops
    )  # fmt: skip


def assert_map_drawn(panel, values):
    per_pixel = panel.value.per_pixel(values).numpy()
    np.testing.assert_array_equal(panel.map_view.image, render.heat_map(per_pixel))
    low, high = np.nanmin(per_pixel), np.nanmax(per_pixel)
    assert (panel.map_view.ramp["low"], panel.map_view.ramp["high"]) == (render.number(low), render.number(high))
    mask = panel.value.mask(panel.threshold.value).numpy()
    seen = panel.network.view(panel.picture.image)
    np.testing.assert_array_equal(panel.masked_view.image, render.outside_faded(seen, mask))
    assert f"{mask.mean():.0%}" in panel.masked_view.caption


def test_the_first_state_is_a_coarse_map_of_the_likeliest_class(network, occluder):
    inputs = network.preprocess("cat")
    assert occluder.target.value == network.predict("cat")[0][0]
    same_map(occluder.value, occlusion(network, inputs, occluder.target.value, 8, 8, progress=False))
    assert_map_drawn(occluder, occluder.value.probabilities)
    np.testing.assert_array_equal(occluder.view.image, network.view("cat"))
    assert occluder.predictions == network.predict("cat")


def test_run_fills_the_whole_map(network, occluder):
    occluder.stride.value = 4
    assert occluder.settle(LONG)
    assert occluder.value.stride == (8, 8)  # while a slider moves, a coarse preview
    occluder.run.run_button.click()
    assert occluder.settle(LONG)
    same_map(occluder.value, occlusion(network, network.preprocess("cat"), occluder.target.index, 8, 4, progress=False))
    assert_map_drawn(occluder, occluder.value.probabilities)
    assert (occluder.run.running, occluder.run.done) == (False, 1.0)


@pytest.mark.parametrize("fill", FILLS)
def test_every_fill(network, occluder, fill):
    occluder.fill.value = fill
    assert occluder.settle(LONG)
    same_map(
        occluder.value, occlusion(network, network.preprocess("cat"), occluder.target.index, 8, 8, fill, progress=False)
    )
    assert FILLS[fill].lower() in occluder.map_view.caption
    assert_map_drawn(occluder, occluder.value.probabilities)


@pytest.mark.parametrize("name", ["<b>tabby</b>", "daisy", "5", "WALL"])
def test_another_class_by_name_or_number(network, occluder, name):
    occluder.target._field.value = name
    assert occluder.settle(LONG)
    index = network.class_index(5 if name == "5" else name)
    same_map(occluder.value, occlusion(network, network.preprocess("cat"), index, 8, 8, progress=False))
    assert network.labels[index] in occluder.map_view.caption
    assert_map_drawn(occluder, occluder.value.probabilities)


def test_an_unknown_class_is_a_sentence_with_the_nearest_and_everything_is_kept(occluder):
    value, target = occluder.value, occluder.target.value
    occluder.target._field.value = "tigre <cat>"
    assert complains(occluder)
    assert "tiger cat" in sentence(occluder)
    assert "<cat>" in sentence(occluder)
    assert (occluder.value, occluder.target.value) == (value, target)
    with pytest.raises(UnknownClass, match="tiger cat"):
        occluder.target.value = "tigre cat"
    assert not occluder.run.running


def test_the_map_can_be_of_the_drop_or_of_the_logit(occluder):
    value = occluder.value
    occluder.map_of.value = "drop"
    assert_map_drawn(occluder, value.drop)
    assert occluder.map_view.caption.startswith("Drop in probability")
    occluder.map_of.value = "logit"
    assert_map_drawn(occluder, value.logits)
    assert occluder.value is value  # nothing is computed anew
    assert not occluder.run.running


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.97, 1.0])
def test_the_threshold_makes_the_mask(occluder, threshold):
    occluder.threshold.value = threshold
    per_pixel = occluder.value.per_pixel().numpy()
    mask = per_pixel < threshold * per_pixel.max()
    seen = occluder.network.view("cat")
    expected = np.where(mask[..., None], seen, np.uint8(224))
    np.testing.assert_array_equal(occluder.masked_view.image, expected)
    assert not occluder.run.running


@pytest.mark.parametrize("fill", ["grey", "black", "white", "mean"])
@pytest.mark.parametrize("pointer", [[0, 0], [16, 10], [31, 31]])
def test_the_dragged_patch_moves_the_predictions(network, occluder, fill, pointer):
    occluder.fill.value = fill
    occluder.view.pointer = pointer
    assert occluder.settle(LONG)
    seen = network.view("cat")
    left, top = (min(max(place - 4, 0), 24) for place in pointer)
    colour = {"grey": 127.5, "black": 0, "white": 255, "mean": seen.reshape(-1, 3).mean(0)}[fill]
    covered = seen.copy()
    covered[top : top + 8, left : left + 8] = np.round(colour)
    assert np.abs(occluder.view.image.astype(int) - covered).max() <= 1
    outside = np.ones((32, 32), bool)
    outside[top : top + 8, left : left + 8] = False
    np.testing.assert_array_equal(occluder.view.image[outside], seen[outside])
    assert dict(occluder.predictions) == pytest.approx(dict(network.predict(covered)), abs=5e-3)
    assert occluder.predictions == network.predict(occluder.view.image)
    probabilities = dict(network.predict(occluder.view.image, top=6))
    clean = dict(network.predict("cat", top=6))
    rows = [(label, probabilities[label]) for label, _probability in network.predict("cat", top=5)]
    for label in (occluder.target.value, occluder.predictions[0][0]):
        if label not in dict(rows):
            rows[-1] = (label, probabilities[label])
    expected = render.bars(rows, 336, before=[clean[label] for label, _value in rows], chosen=occluder.target.value)
    assert np.abs(occluder.bars.image.astype(int) - expected).mean() < 0.5
    occluder.view.pointer = []
    assert occluder.settle(LONG)
    assert occluder.predictions == network.predict("cat")
    np.testing.assert_array_equal(occluder.view.image, seen)


def test_the_patch_follows_the_window_s_size(occluder):
    occluder.view.pointer = [16, 16]
    occluder.window.value = 12
    assert occluder.settle(LONG)
    assert occluder.view.patch == [12, 12]
    changed = (occluder.view.image != occluder.network.view("cat")).any(2)
    assert changed[10:22, 10:22].mean() > 0.9
    assert changed.sum() == changed[10:22, 10:22].sum()
    assert occluder.value.window == (12, 12)


def test_another_picture_brings_its_own_map_and_keeps_the_class(network, occluder):
    target = occluder.target.value
    occluder.picture.value = "coffee"
    assert occluder.settle(LONG)
    assert occluder.target.value == target
    same_map(occluder.value, occlusion(network, network.preprocess("coffee"), target, 8, 8, progress=False))
    np.testing.assert_array_equal(occluder.view.image, network.view("coffee"))
    assert list(occluder.target._field.options)[:5] == [label for label, _p in network.predict("coffee")]
    assert_map_drawn(occluder, occluder.value.probabilities)


def test_the_article_s_settings_are_set_and_locked_and_set_free_again(network):
    network = small_network(size=96)
    panel = OcclusionExplorer(network, window=16, stride=16)
    panel.preset.value = "article"
    assert panel.settle(LONG)
    assert (panel.window.value, panel.stride.value, panel.fill.value) == (70, 14, "grey")
    assert panel.window.disabled
    assert panel.stride.disabled
    assert panel.fill.disabled
    panel.start()
    assert panel.settle(LONG)
    same_map(panel.value, occlusion(network, network.preprocess("cat"), panel.target.index, **ARTICLE, progress=False))
    assert panel.value.core == (14, 14)
    panel.preset.value = "own"
    assert panel.settle(LONG)
    assert not panel.window.disabled
    assert panel.value.core == (70, 70)
    panel.reset()
    assert panel.settle(LONG)
    assert (panel.window.value, panel.stride.value, panel.preset.value) == (16, 16, "own")
    panel.close()


def test_the_article_s_box_is_refused_where_the_network_sees_less(occluder):
    before = occluder.value
    occluder.preset.value = "article"
    assert occluder.settle(LONG)
    assert occluder.status.wrong
    assert occluder.status.value == "The article's box of 70 pixels is larger than the 32 that this network sees."
    assert (occluder.preset.value, occluder.window.value, occluder.window.disabled) == ("own", 8, False)
    assert occluder.value is before
    occluder.threshold.value = 0.5
    assert not occluder.status.wrong


def test_a_window_larger_than_the_picture_becomes_the_picture(network, occluder):
    occluder.window.value = 1000
    assert occluder.settle(LONG)
    assert occluder.window.value == 32
    assert occluder.value.probabilities.shape == (1, 1)
    panel = OcclusionExplorer(network, window=500)
    assert panel.window.value == 32
    panel.close()


def test_a_small_window_has_a_preview_that_is_still_quick(occluder):
    panel = OcclusionExplorer(small_network(size=96), window=4, stride=2)
    assert panel.value.probabilities.numel() <= 17 * 17
    panel.close()


def test_stop_keeps_the_map_so_far(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    whole = occlusion(network, network.preprocess("cat"), panel.target.index, 8, 2, progress=False)
    gate.after = gate.count + 30
    panel.run.run_button.click()
    assert gate.entered.wait(LONG)
    assert panel.run.running
    panel.run.stop_button.click()
    gate.opened.set()
    assert panel.settle(LONG)
    missing = panel.value.probabilities.isnan()
    assert missing.any()
    assert not missing.all()
    torch.testing.assert_close(panel.value.probabilities[~missing], whole.probabilities[~missing], rtol=0, atol=1e-5)
    assert_map_drawn(panel, panel.value.probabilities)
    assert (panel.map_view.image[-1, -1] == render.UNKNOWN).all()
    assert not panel.run.running
    assert not complains(panel)
    panel.threshold.value = 0.5  # a half-filled map can be looked at in every way
    panel.map_of.value = "drop"
    assert_map_drawn(panel, panel.value.drop)
    panel.close()


def test_a_newer_request_replaces_a_run_and_no_step_of_the_old_one_is_kept(network):
    gate = Gate(network.module)
    panel = OcclusionExplorer(Network(gate, LABELS, size=32), window=8, stride=2)
    gate.after = gate.count + 30
    panel.start()
    assert gate.entered.wait(LONG)
    panel.target.value = "daisy"
    assert panel.run.running
    gate.opened.set()
    assert panel.settle(LONG)
    same_map(panel.value, occlusion(network, network.preprocess("cat"), "daisy", 8, 8, progress=False))
    assert (panel.run.running, panel.run.done) == (False, 1.0)
    assert_map_drawn(panel, panel.value.probabilities)
    panel.close()


class Moody(nn.Module):
    """A network that fails when it is told to."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.failing = []

    def forward(self, inputs):
        if self.failing:
            raise RuntimeError("cannot <go> on")
        return self.module(inputs)


def test_a_network_that_fails_in_a_run_is_said_in_the_status_line_and_the_panel_lives_on(network):
    moody = Moody(network.module)
    panel = OcclusionExplorer(Network(moody, LABELS, size=32), window=8, stride=8)
    value = panel.value
    moody.failing.append(True)
    panel.start()
    assert panel.settle(LONG)
    assert sentence(panel) == "RuntimeError: cannot <go> on"
    assert panel.value is value
    assert not panel.run.running
    panel.view.pointer = [5, 5]
    assert panel.settle(LONG)
    assert "cannot" in sentence(panel)
    moody.failing.clear()
    panel.start()
    assert panel.settle(LONG)
    assert panel.value is not value
    assert panel.run.done == 1
    panel.close()


def test_a_drawing_that_fails_in_a_run_is_said_in_the_status_line(occluder, monkeypatch):
    def broken(*_arguments, **_options):
        raise RuntimeError("no paint")

    monkeypatch.setattr(render, "outside_faded", broken)
    occluder.start()
    assert occluder.settle(LONG)
    assert sentence(occluder) == "RuntimeError: no paint"
    assert not occluder.run.running


def test_the_model_is_bit_for_bit_as_it_was_after_everything_a_reader_does(network):
    gate = Gate(network.module)
    model = Network(gate, LABELS, size=32)
    gate.train()
    gate.module[1].eval()
    before = fingerprint(network.module)
    panel = OcclusionExplorer(model, window=8, stride=2)
    assert fingerprint(network.module) == before
    for change in (
        lambda: setattr(panel.view, "pointer", [3, 9]),
        lambda: setattr(panel.fill, "value", "noise"),
        lambda: setattr(panel.picture, "value", "flower"),
        panel.start,
        panel.reset,
    ):
        change()
        assert panel.settle(LONG)
        assert fingerprint(network.module) == before
    gate.after = gate.count + 30
    panel.start()
    assert gate.entered.wait(LONG)
    panel.run.stop()
    gate.opened.set()
    assert panel.settle(LONG)
    assert fingerprint(network.module) == before
    panel.close()
    gate.eval()


def test_any_module_of_the_reader_s_works(network):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    panel = OcclusionExplorer(module, "coffee", target=2, window=100, stride=50)
    assert panel.target.value == "class 2"
    expected = Network(module).predict("coffee")
    assert panel.predictions == expected
    same_map(
        panel.value,
        occlusion(Network(module), Network(module).preprocess("coffee"), 2, 100, 100, progress=False),
    )
    panel.close()


def test_a_grey_network_shows_the_grey_that_it_sees():
    module = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))
    network = Network(module, [str(digit) for digit in range(10)], mean=(0.5,), std=(0.5,), size=28)
    panel = OcclusionExplorer(network, target="7", window=6, stride=6)
    assert panel.target.index == 7
    picture = panel.view.image
    assert (picture == picture[..., :1]).all()
    panel.view.pointer = [14, 14]
    assert panel.settle(LONG)
    outside = np.ones((28, 28), bool)
    outside[11:17, 11:17] = False
    np.testing.assert_array_equal(panel.view.image[outside], picture[outside])
    panel.close()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_a_picture_of_one_pixel_or_one_line(network, occluder, size):
    occluder.picture.upload("thin.png", uploads.encoded(Image.new("RGB", size, uploads.GREEN)))
    assert occluder.settle(LONG)
    assert not complains(occluder)
    assert (occluder.view.image == uploads.GREEN).all()
    assert occluder.value.probabilities.isfinite().all()


def test_two_panels_fill_their_maps_side_by_side(network):
    panels = [OcclusionExplorer(network, name, window=8, stride=4) for name in ("cat", "coffee")]
    for panel in panels:
        panel.start()
    for panel, name in zip(panels, ("cat", "coffee"), strict=True):
        assert panel.settle(LONG)
        expected = occlusion(network, network.preprocess(name), panel.target.index, 8, 4, progress=False)
        same_map(panel.value, expected)
        panel.close()


def test_the_newest_place_of_the_pointer_is_the_one_shown(network, occluder):
    for x in range(0, 32, 2):
        occluder.view.pointer = [x, 16]
    assert occluder.settle(LONG)
    assert occluder.view.pointer == [30, 16]
    changed = (occluder.view.image != network.view("cat")).any(2)
    assert changed[:, :24].sum() == 0
    assert changed[12:20, 24:].mean() > 0.9


def test_an_unknown_class_or_fill_at_the_start_is_refused(network):
    with pytest.raises(UnknownClass, match="tiger cat"):
        OcclusionExplorer(network, target="tigre cat")
    with pytest.raises(WrongSetting, match="Did you mean 'grey'"):
        OcclusionExplorer(network, fill="green")


def test_panels_share_the_package_s_one_worker(occluder):
    occluder.start()
    assert occluder.settle(LONG)
    assert WORKER._thread.name == "cnnviz-worker"
    assert [thread.name for thread in threading.enumerate()].count("cnnviz-worker") >= 1
