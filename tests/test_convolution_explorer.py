"""The convolution panel without a page: each control moved, each picture compared with numbers made apart from it."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from traitlets import TraitError

from cnnviz_widgets import images, render
from cnnviz_widgets.errors import CnnvizError
from cnnviz_widgets.explorers import ConvolutionExplorer
from cnnviz_widgets.explorers import convolution as panel_module
from cnnviz_widgets.techniques.convolution import KERNELS, convolve, kernel, random_kernels
from tests import uploads
from tests.panels import complains, sentence, updates


@pytest.fixture
def convolution():
    panel = ConvolutionExplorer()
    yield panel
    panel.close()


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


def test_the_channel_that_is_shown_is_not_convolved_anew(convolution, monkeypatch):
    convolution.filters.value = "random"
    value, calls = convolution.value, []
    monkeypatch.setattr(panel_module, "convolve", lambda *given: (calls.append(given), convolve(*given))[1])
    for channel in (0, 2, "together"):
        convolution.show_channel.value = channel
    assert calls == []
    assert convolution.value is value
    convolution.seed.value = 8
    assert len(calls) == 1


def test_size_and_numbers_that_change_together_agree(convolution):
    with convolution.held():
        convolution.kernel_size.value = 6
        convolution.stride.value = 2
    assert convolution.kernel.size == 6
    assert_shows(convolution, grey(), kernel("blur", 6)[None, None], 2)
    with convolution.held():
        convolution.kernel.name = "emboss"
        convolution.kernel.size = 4
    assert convolution.kernel_size.value == 4
    assert_shows(convolution, grey(), kernel("emboss", 4)[None, None], 2)


def test_a_kernel_beyond_the_slider_is_cut_to_what_it_offers(convolution):
    convolution.kernel.value = [[float(row == column == 8) for column in range(17)] for row in range(17)]
    assert (convolution.kernel_size.value, convolution.kernel.size) == (15, 15)
    assert_shows(convolution, grey(), kernel("identity", 15)[None, None])


@pytest.mark.parametrize(
    ("control", "state", "says"),
    [
        (lambda panel: panel.picture, {"value": "no such picture"}, "There is no picture"),
        (lambda panel: panel.kernel.grid, {"value": [[1.0, 2.0]]}, "as many rows as columns"),
        (lambda panel: panel.kernel.grid, {"value": [[1e300]]}, "no number to compute with"),
        (lambda panel: panel.kernel._picker, {"index": 99}, "out of bounds"),
        (lambda panel: panel.padding, {"index": -7}, "out of bounds"),
        (lambda panel: panel.kernel_size, {"value": "five"}, "int"),
        (lambda panel: panel.response_view, {"pointer": [3]}, "2 numbers"),
        (lambda panel: panel.response_view, {"pointer": [3, 4, 5]}, "2 numbers"),
    ],
)
def test_what_the_page_may_not_set_is_put_back_and_the_panel_goes_on(convolution, control, state, says):
    before, value = convolution.snapshot(), convolution.value
    with pytest.raises(TraitError, match=says):
        control(convolution).set_state(state)
    np.testing.assert_array_equal(convolution.snapshot(), before)
    assert convolution.value is value
    convolution.kernel_size.value = 5
    assert_shows(convolution, grey(), kernel("blur", 5)[None, None])


@pytest.mark.parametrize("pointer", [[-1, 5], [5, -1], [398, 0], [0, 318]])
def test_a_pointer_beside_the_response_marks_nothing(convolution, pointer):
    convolution.response_view.pointer = [5, 5]
    convolution.response_view.pointer = pointer
    assert (convolution.input_view.marks, sentence(convolution)) == ([], "")
