"""The activation panel: every control moved, every picture checked by its numbers."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor
from traitlets import TraitError

from cnnviz_widgets import ActivationExplorer, activate, convolve, images, kernel, random_kernels, render, zeroed
from cnnviz_widgets.errors import CnnvizError, WrongSetting
from cnnviz_widgets.explorers import activation as panel_module
from cnnviz_widgets.render import coloured, percent
from cnnviz_widgets.render.transfer_chart import BARS, CURVE, DENSITY, bounds_of, transfer_chart
from cnnviz_widgets.techniques.activation import ACTIVATIONS
from cnnviz_widgets.techniques.convolution import KERNELS


@pytest.fixture
def panel():
    panel = ActivationExplorer()
    yield panel
    panel.close()


def grey(name="cat"):
    return torch.from_numpy(images.greyscale(images.load(name)))[None, None]


def png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def assert_shows(view, values):
    """The view shows `values` in colours of its own scale."""
    np.testing.assert_array_equal(view.image, coloured(values.numpy(), "")[0])


def test_the_first_state_is_the_cat_through_sobel_and_relu(panel):
    response = convolve(grey(), kernel("sobel_x")[None, None])[0]
    torch.testing.assert_close(panel.responses, response)
    torch.testing.assert_close(panel.value, response.clamp(min=0))
    assert panel.zeroed == [(response <= 0).double().mean().item()]
    assert_shows(panel.before_view, panel.responses[0])
    assert_shows(panel.after_view, panel.value[0])
    assert panel.after_view.caption == "After ReLU, 0 to 1.8: 50.2% of the pixels are 0"
    assert panel.before_view.caption == "The response, −2 to 1.8"
    assert panel.chart.image.any()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_function_is_applied_and_drawn(panel, name):
    panel.activation.value = name
    torch.testing.assert_close(panel.value, activate(panel.responses, name))
    assert_shows(panel.after_view, panel.value[0])
    title = ACTIVATIONS[name].title
    assert panel.after_view.caption.startswith(f"After {title}, ")
    assert panel.after_view.caption.endswith(f"{percent(panel.zeroed[0])} of the pixels are 0")
    assert panel.chart.caption.startswith(f"{title}: {ACTIVATIONS[name].formula}.")
    assert bounds_of(name) in panel.chart.caption
    np.testing.assert_array_equal(panel.chart.image, transfer_chart(name, panel.responses, panel.value))


def test_another_function_leaves_what_goes_in(panel, monkeypatch):
    before, shown = panel.responses.clone(), panel.before_view.image.copy()
    monkeypatch.setattr(panel_module, "responses", None)  # nothing is convolved anew
    panel.activation.value = "tanh"
    assert panel.status.value == ""
    assert torch.equal(panel.responses, before)
    np.testing.assert_array_equal(panel.before_view.image, shown)


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_is_used(panel, name):
    panel.kernel.value = name
    torch.testing.assert_close(panel.value, convolve(grey(), kernel(name)[None, None])[0].relu())
    assert_shows(panel.after_view, panel.value[0])


@pytest.mark.parametrize("size", [1, 2, 9, 15])
def test_the_kernel_size_moves_the_response(panel, size):
    panel.kernel_size.value = size
    assert panel.value.shape == (1, 321 - size, 401 - size)
    torch.testing.assert_close(panel.value, convolve(grey(), kernel("sobel_x", size)[None, None])[0].relu())


@pytest.mark.parametrize("bias", [-0.5, 0.3])
def test_the_bias_is_added_before_the_function(panel, bias):
    free = panel.responses.clone()
    panel.bias.value = bias
    torch.testing.assert_close(panel.responses, free + bias)
    torch.testing.assert_close(panel.value, (free + bias).relu())
    assert panel.zeroed[0] == pytest.approx((free <= -bias).double().mean().item(), abs=1e-4)


def test_the_picture_is_convolved_anew(panel):
    panel.picture.value = "coffee"
    assert panel.value.shape == (1, 265, 398)  # 400 × 600 pixels, made 267 × 400, less 2
    panel.picture.value = "cat"
    torch.testing.assert_close(panel.value, convolve(grey(), kernel("sobel_x")[None, None])[0].relu())


@pytest.mark.parametrize("seed", [0, 7])
def test_three_random_filters_have_a_fraction_each(panel, seed):
    panel.filters.value = "random"
    panel.seed.value = seed
    responses = convolve(images.to_tensor(images.load("cat")), random_kernels(3, 3, seed, channels=3))[0]
    torch.testing.assert_close(panel.value, responses.relu())
    assert panel.zeroed == zeroed(responses.relu()[None])[0].tolist()
    for index, (before, after) in enumerate(panel.channel_views):
        assert_shows(before, responses[index])
        assert_shows(after, responses[index].relu())
        assert f": {percent(panel.zeroed[index])} of the pixels are 0" in after.caption
        assert before.caption.startswith(f"Filter {index + 1}, ")


def test_pixels_less_their_mean_bring_all_channels_to_life(panel):
    panel.filters.value = "random"
    assert max(panel.zeroed) > 0.99 and min(panel.zeroed) < 0.01  # no pixel is negative: whole channels live or die
    panel.pixels.value = "centred"
    colour = images.to_tensor(images.load("cat"))
    centred = colour - colour.mean((2, 3), keepdim=True)
    torch.testing.assert_close(panel.value, convolve(centred, random_kernels(3, 3, 0, channels=3))[0].relu())
    assert all(0.3 < share < 0.7 for share in panel.zeroed)


def test_only_what_belongs_to_the_filters_is_shown(panel):
    def shown():
        widgets = (panel.pair, panel.kernel, panel.channels, panel.seed)
        return [widget.layout.display != "none" for widget in widgets]

    assert shown() == [True, True, False, False]
    panel.filters.value = "random"
    assert shown() == [False, False, True, True]
    panel.filters.value = "designed"
    assert shown() == [True, True, False, False]


def test_settings_of_the_constructor_are_those_shown():
    settings = {"activation": "tanh", "filters": "random", "kernel_size": 5, "pixels": "centred", "seed": 3}
    panel = ActivationExplorer("coffee", bias=0.25, **settings)
    for name, value in {**settings, "bias": 0.25, "picture": "coffee"}.items():
        assert panel.settings[name].value == value
    assert panel.value.shape[0] == 3
    torch.testing.assert_close(panel.value, panel.responses.tanh())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"activation": "relo"}, "Did you mean 'relu'"),
        ({"kernel": "sobel"}, "no kernel called 'sobel'"),
        ({"filters": "many"}, "no kind of filters called 'many'"),
        ({"pixels": "grey"}, "no kind of pixels called 'grey'"),
    ],
)
def test_unknown_names_are_refused_in_a_sentence(settings, says):
    with pytest.raises(CnnvizError, match=says):
        ActivationExplorer(**settings)


def test_reset_goes_back_to_where_the_panel_began(panel):
    value, shown = panel.value.clone(), panel.after_view.image.copy()
    for name, moved in {
        "picture": "coffee",
        "activation": "step",
        "bias": 0.5,
        "filters": "random",
        "seed": 5,
        "kernel_size": 7,
        "pixels": "centred",
    }.items():
        panel.settings[name].value = moved
    assert panel.value.shape[0] == 3
    panel.reset_button.click()
    torch.testing.assert_close(panel.value, value)
    np.testing.assert_array_equal(panel.after_view.image, shown)


def test_a_picture_smaller_than_the_kernel_is_refused_and_the_panel_keeps_what_it_showed(panel):
    panel.kernel_size.value = 5
    value, shown = panel.value.clone(), panel.after_view.image.copy()
    panel.picture.upload("tiny.png", png(np.full((3, 4, 3), 90)))
    assert "A kernel of 5 × 5 does not fit into a picture of 3 × 4 pixels" in panel.status.value
    assert torch.equal(panel.value, value)
    np.testing.assert_array_equal(panel.after_view.image, shown)
    panel.kernel_size.value = 3
    assert panel.value.shape == (1, 1, 2)
    assert "does not fit" not in panel.status.value


def test_a_picture_without_contrast_is_all_zero(panel):
    panel.picture.upload("flat.png", png(np.full((30, 30, 3), 128)))
    assert panel.value.abs().max() < 1e-5
    panel.kernel.value = "identity"
    panel.bias.value = -1.0
    assert panel.zeroed == [1.0]
    assert "100% of the pixels are 0" in panel.after_view.caption
    assert not panel.after_view.image.any()


# --------------------------------------------------------------------------------------------------------- the chart
def curve_rows(picture):
    """For each column of the left plot in which the curve is seen, the middle of its rows."""
    is_curve = (picture == ImageColor.getrgb(CURVE)).all(2)
    columns = [x for x in range(44 * DENSITY, 440 * DENSITY) if is_curve[:, x].any()]
    return np.array([[x, np.flatnonzero(is_curve[:, x]).mean()] for x in columns])


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu", "gelu"])
def test_the_curve_is_that_of_the_function(name):
    inputs = torch.linspace(-2, 2, 1000)[None, None]
    places = curve_rows(transfer_chart(name, inputs, activate(inputs, name)))
    assert len(places) > 700
    x = np.interp(places[:, 0], places[[0, -1], 0], [-2.08, 2.08])
    expected = activate(torch.from_numpy(x), name).numpy()
    slope, offset = np.polyfit(expected, places[:, 1], 1)
    assert slope < 0  # larger numbers stand higher
    error = (slope * expected + offset - places[:, 1]) / slope
    assert np.abs(error).max() < 0.04 * np.ptp(expected)


def test_the_step_is_low_at_the_left_and_high_at_the_right():
    inputs = torch.linspace(-2, 2, 1000)[None, None]
    rows = curve_rows(transfer_chart("step", inputs, activate(inputs, "step")))[:, 1]
    assert np.ptp(rows[: len(rows) // 2 - 10]) == 0 and np.ptp(rows[len(rows) // 2 + 10 :]) == 0
    assert rows[0] - rows[-1] > 200


def test_the_histograms_show_where_the_numbers_are():
    inputs = torch.full((1, 20, 20), -1.5)
    inputs[:, :, 10:] = 1.5
    picture = transfer_chart("relu", inputs, inputs.relu())
    bars = (picture == BARS).all(2)
    below = np.flatnonzero(bars[:, 44 * DENSITY : 440 * DENSITY].any(0))
    width = (440 - 44) * DENSITY
    middle = [below[below < width / 2].mean() / width, below[below > width / 2].mean() / width]
    assert middle == pytest.approx([(1.56 - 1.5) / 3.12, (1.56 + 1.5) / 3.12], abs=0.02)
    beside = np.flatnonzero(bars[:, 470 * DENSITY :].any(1))
    assert len(np.flatnonzero(np.diff(beside) > 10)) == 1  # two bars: at 0, and at 1.5


def test_the_whole_panel_is_also_a_picture(panel):
    kind, data = panel.snapshot_bytes()
    picture = np.asarray(Image.open(io.BytesIO(data)))
    assert kind == "image/jpeg"
    assert picture.shape[1] > 600 and picture.shape[0] > 400
    np.testing.assert_array_equal(panel.chart.figure()[:2], render.figure(panel.chart.image, zoom=0.5, smooth=True)[:2])


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0%"), (1, "100%"), (0.5, "50%"), (0.5021, "50.2%"), (0.00001, "0.1%"), (0.99999, "99.9%"), (0.04, "4%")],
)
def test_only_none_and_all_read_as_0_and_100_per_cent(share, words):
    assert percent(share) == words


def test_a_bias_and_a_seed_beyond_the_sliders_are_kept():
    panel = ActivationExplorer(bias=5.0, filters="random", seed=500)
    assert (panel.bias.value, panel.seed.value) == (5.0, 500)
    panel.close()


@pytest.mark.parametrize("wrong", [{"bias": "x"}, {"bias": math.nan}, {"seed": "x"}, {"seed": -1}])
def test_a_bias_or_a_seed_that_is_no_number_is_refused(wrong):
    with pytest.raises(WrongSetting, match="must be a"):
        ActivationExplorer(**wrong)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("bias", {"value": math.nan}),
        ("activation", {"index": 6}),
        ("picture", {"value": "x"}),
        ("seed", {"value": "x"}),
    ],
)
def test_what_the_page_may_not_set_is_put_back_and_the_panel_goes_on(panel, name, state):
    before, value = panel.snapshot(), panel.value
    with pytest.raises(TraitError):
        panel.settings[name].set_state(state)
    np.testing.assert_array_equal(panel.snapshot(), before)
    assert panel.value is value
    panel.activation.value = "tanh"
    torch.testing.assert_close(panel.value, panel.responses.tanh())
