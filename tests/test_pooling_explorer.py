"""The pooling panel: every control moved, every picture checked by its numbers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from cnnviz_widgets import PoolingExplorer, convolve, images, kernel, pool, relative_change, render, shifted
from cnnviz_widgets.errors import CnnvizError
from cnnviz_widgets.render import coloured

CAT = images.load("cat")
COLOUR = images.to_tensor(CAT)
GREY = torch.from_numpy(images.greyscale(CAT))[None, None]


@pytest.fixture
def panel():
    panel = PoolingExplorer()
    yield panel
    panel.close()


def png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def window_mark(panel):
    mark = panel.input_view.marks[0]
    return tuple(mark[name] for name in "xywh")


def test_the_first_state_is_the_cat_pooled_by_two(panel):
    blocks = CAT.reshape(160, 2, 200, 2, 3).max(axis=(1, 3))
    np.testing.assert_array_equal(panel.output_view.image, blocks)
    np.testing.assert_array_equal(panel.input_view.image, CAT)
    torch.testing.assert_close(panel.value, pool(COLOUR, 2)[0])
    assert panel.output_view.caption == (
        "Maximum of each 2 × 2, stride 2: 320 × 400 → 160 × 200, 25% of the numbers. "
        "⌊(320 − 2) / 2⌋ + 1 = 160; ⌊(400 − 2) / 2⌋ + 1 = 200"
    )
    assert panel.output_view.zoom == 2  # as large as the picture, each pixel a square
    assert panel.output_view.pixelated
    assert panel.input_view.zoom == 1


def test_the_average_is_the_mean_of_each_window(panel):
    panel.kind.value = "average"
    means = CAT.reshape(160, 2, 200, 2, 3).mean(axis=(1, 3))
    assert np.abs(panel.output_view.image - means).max() <= 0.51
    assert panel.output_view.caption.startswith("Average of each 2 × 2")


@pytest.mark.parametrize("window", [1, 3, 5, 8])
def test_the_window_sets_size_and_stride(panel, window):
    panel.window.value = window
    torch.testing.assert_close(panel.value, pool(COLOUR, window)[0])
    h, w = panel.value.shape[1:]
    assert (h, w) == (320 // window, 400 // window)
    assert f"320 × 400 → {h} × {w}" in panel.output_view.caption
    assert panel.output_view.image.shape == (h, w, 3)
    assert panel.output_view.zoom == window


def test_five_by_five_leaves_a_fifth_of_each_side_and_a_twenty_fifth_of_the_numbers(panel):
    panel.window.value = 5
    assert "320 × 400 → 64 × 80, 4% of the numbers" in panel.output_view.caption


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_a_stride_of_its_own(panel, stride):
    panel.window.value = 4
    panel.stride.value = stride
    assert panel.value.shape[1:] == (80, 100)  # not before it is asked for
    panel.linked.value = False
    torch.testing.assert_close(panel.value, pool(COLOUR, 4, stride)[0])
    assert f"⌊(320 − 4) / {stride}⌋ + 1 = {panel.value.shape[1]}" in panel.output_view.caption
    assert panel.output_view.zoom == stride
    panel.linked.value = True
    torch.testing.assert_close(panel.value, pool(COLOUR, 4)[0])


@pytest.mark.parametrize("source", ["convolved", "rectified"])
def test_a_convolved_picture_is_pooled_on_the_scale_of_its_input(panel, source):
    panel.source.value = source
    panel.kernel.value = "laplacian"
    inputs = convolve(GREY, kernel("laplacian")[None, None])
    inputs = inputs.relu() if source == "rectified" else inputs
    torch.testing.assert_close(panel.value, pool(inputs, 2)[0])
    limits = float(inputs.min()), float(inputs.max())
    for view, values in ((panel.input_view, inputs[0, 0]), (panel.output_view, panel.value[0])):
        picture, ramp = coloured(values.numpy(), view.ramp["label"], *limits)
        np.testing.assert_array_equal(view.image, picture)
        assert view.ramp == ramp
    assert "318 × 398 → 159 × 199" in panel.output_view.caption
    panel.source.value = "picture"
    assert panel.input_view.ramp == {} == panel.output_view.ramp


def test_another_picture_is_pooled(panel):
    panel.picture.value = "coffee"
    assert panel.value.shape == (3, 133, 200)
    assert "267 × 400 → 133 × 200" in panel.output_view.caption


# ------------------------------------------------------------------------------------------------------------- shifts
@pytest.mark.parametrize(("down", "right"), [(0, 1), (1, 0), (2, 3)])
def test_a_shift_moves_the_picture_and_changes_both(panel, down, right):
    panel.down.value, panel.right.value = down, right
    np.testing.assert_array_equal(panel.input_view.image, np.roll(CAT, (down, right), (0, 1)))
    moved = shifted(COLOUR, down, right)
    torch.testing.assert_close(panel.value, pool(moved, 2)[0])
    assert panel.changes == (
        relative_change(COLOUR, moved),
        relative_change(pool(COLOUR, 2), pool(moved, 2)),
    )
    for view, change in zip(panel.change_views, panel.changes, strict=True):
        assert change > 0.1
        assert f"{change:.0%}" in view.caption
    before = (moved - COLOUR).abs().mean(1)[0].numpy()
    high = float(np.quantile(before, 0.995))
    expected = render.heat_map(before, render.EVIDENCE, 0.0, high).astype(int)
    assert np.abs(panel.change_views[0].image - expected).max() <= 4
    assert panel.change_views[1].image.shape == (160, 200, 3)


def test_a_shift_by_the_window_is_a_shift_by_one_pixel_of_the_result(panel):
    still = panel.value.clone()
    panel.right.value = 2
    torch.testing.assert_close(panel.value, still.roll(1, -1))


def test_changes_are_shown_only_when_something_is_shifted(panel):
    assert panel.change.layout.display == "none"
    assert panel.changes == (0, 0)
    panel.right.value = 1
    assert panel.change.layout.display != "none"
    panel.right.value = 0
    assert panel.change.layout.display == "none"


def test_a_picture_without_contrast_does_not_change(panel):
    panel.picture.upload("flat.png", png(np.full((32, 32, 3), 77)))
    panel.right.value = 1
    assert panel.changes == (0, 0)
    assert not (panel.change_views[0].image > 5).any()  # the darkest of the colours


# ----------------------------------------------------------------------------------------------------------- pointing
def test_without_a_pointer_the_middle_window_is_marked(panel):
    assert window_mark(panel) == (200, 160, 2, 2)
    assert "Row" not in panel.status.value


def test_pointing_marks_the_window_and_says_its_number(panel):
    panel.window.value, panel.kind.value, panel.source.value = 5, "max", "convolved"
    panel.output_view.pointer = [20, 30]
    assert window_mark(panel) == (100, 150, 5, 5)
    window = convolve(GREY, kernel("sobel_x")[None, None])[0, 0, 150:155, 100:105]
    number = render.number(float(window.max()))
    assert f"Row 30, column 20: {number}, the maximum of rows 150 to 154, columns 100 to 104." in panel.status.value
    # the magnifier: the same window, and the pixel that won
    frame, winner = panel.near_view.marks
    assert (frame["w"], frame["h"]) == (5, 5)
    row, column = divmod(int(window.argmax()), 5)
    assert (winner["x"] - frame["x"], winner["y"] - frame["y"]) == (column, row)
    inside = panel.near_view.image[frame["y"] : frame["y"] + 5, frame["x"] : frame["x"] + 5]
    np.testing.assert_array_equal(inside, panel.input_view.image[150:155, 100:105])


@pytest.mark.parametrize("place", [[0, 0], [199, 159], [0, 159]])
def test_pointing_at_the_corners(panel, place):
    panel.output_view.pointer = place
    x, y = place
    assert window_mark(panel) == (2 * x, 2 * y, 2, 2)
    numbers = CAT[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].max((0, 1)) / 255
    words = ", ".join(render.number(float(number)) for number in numbers)
    assert f"{words} (red, green, blue)" in panel.status.value
    frame = panel.near_view.marks[0]
    inside = panel.near_view.image[frame["y"] : frame["y"] + 2, frame["x"] : frame["x"] + 2]
    np.testing.assert_array_equal(inside, CAT[2 * y : 2 * y + 2, 2 * x : 2 * x + 2])


def test_the_stride_sets_where_windows_begin(panel):
    panel.linked.value, panel.stride.value, panel.window.value = False, 3, 5
    panel.output_view.pointer = [10, 7]
    assert window_mark(panel) == (30, 21, 5, 5)


def test_leaving_the_picture_clears_the_number(panel):
    panel.output_view.pointer = [3, 3]
    assert "Row 3" in panel.status.value
    panel.output_view.pointer = []
    assert "Row" not in panel.status.value
    assert window_mark(panel) == (200, 160, 2, 2)


def test_a_pointer_that_is_outside_the_smaller_result_is_forgotten(panel):
    panel.output_view.pointer = [199, 159]
    panel.window.value = 8
    assert panel.output_view.pointer == []
    assert window_mark(panel) == (25 * 8, 20 * 8, 8, 8)


def test_a_pointer_beside_the_result_changes_nothing(panel):
    panel.output_view.pointer = [3, 3]
    for place in ([200, 0], [0, 160], [-1, 3]):
        panel.output_view.pointer = place
        assert window_mark(panel) == (6, 6, 2, 2)
        assert "Row 3, column 3" in panel.status.value


def test_a_pointer_that_is_no_place_is_refused(panel):
    panel.output_view.pointer = [3, 3]
    with pytest.raises(TraitError, match="2 numbers"):
        panel.output_view.set_state({"pointer": [3]})
    assert panel.output_view.pointer == [3, 3]
    assert "Row 3, column 3" in panel.status.value


# -------------------------------------------------------------------------------------------------------------- errors
def test_a_window_larger_than_the_picture_is_refused_and_the_panel_keeps_what_it_showed(panel):
    value, shown, caption = panel.value.clone(), panel.output_view.image.copy(), panel.output_view.caption
    panel.window.value = 6
    panel.picture.upload("tiny.png", png(np.full((5, 9, 3), 90)))
    assert "A pooling window of 6 × 6 does not fit into 5 × 9 pixels" in panel.status.value
    panel.window.value = 2
    assert "does not fit" not in panel.status.value
    assert panel.value.shape == (3, 2, 4)
    panel.window.value = 7
    assert "7 × 7 does not fit" in panel.status.value
    assert panel.value.shape == (3, 2, 4)
    panel.reset_button.click()
    torch.testing.assert_close(panel.value, value)
    np.testing.assert_array_equal(panel.output_view.image, shown)
    assert panel.output_view.caption == caption


def test_a_picture_smaller_than_the_kernel_is_refused(panel):
    panel.window.value = 1
    panel.picture.upload("dot.png", png(np.full((2, 2, 3), 90)))
    panel.source.value = "convolved"
    assert "A kernel of 3 × 3 does not fit into a picture of 2 × 2 pixels" in panel.status.value
    assert panel.value.shape == (3, 2, 2)


def test_pointing_after_a_refusal_still_reads_what_is_shown(panel):
    panel.picture.upload("tiny.png", png(np.full((1, 1, 3), 90)))
    assert "does not fit into 1 × 1" in panel.status.value
    panel.output_view.pointer = [7, 9]
    assert window_mark(panel) == (14, 18, 2, 2)


def test_one_pixel_can_be_pooled_by_one(panel):
    panel.window.value = 1
    panel.picture.upload("dot.png", png([[[10, 20, 30]]]))
    assert (panel.value[:, 0, 0] * 255).round().tolist() == [10, 20, 30]
    panel.right.value = 1
    assert panel.changes == (0, 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"window": 0}, "pooling window must be a whole number of at least 1, not 0"),
        ({"window": 2.5}, "not 2.5"),
        ({"stride": 0}, "stride must be"),
        ({"right": -1}, "shift right must be a whole number of at least 0"),
        ({"kind": "mean"}, "no pooling called 'mean'"),
        ({"source": "cat"}, "no source called 'cat'"),
        ({"kernel": "sobel"}, "no kernel called 'sobel'"),
        ({"window": 401}, "does not fit into 320 × 400"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(settings, says):
    with pytest.raises(CnnvizError, match=says):
        PoolingExplorer(**settings)


def test_settings_of_the_constructor_are_those_shown_and_reset_returns_to_them():
    settings = {"source": "rectified", "kernel": "emboss", "kind": "average", "window": 12, "down": 9, "right": 3}
    panel = PoolingExplorer("coffee", stride=10, **settings)
    for name, value in {**settings, "picture": "coffee", "stride": 10, "linked": False}.items():
        assert panel.settings[name].value == value
    value = panel.value.clone()
    for name, moved in {"picture": "cat", "source": "picture", "kind": "max", "window": 2, "linked": True}.items():
        panel.settings[name].value = moved
    panel.down.value = panel.right.value = 0
    assert panel.value.shape == (3, 160, 200)
    panel.reset_button.click()
    torch.testing.assert_close(panel.value, value)
    assert (panel.down.value, panel.window.value) == (9, 12)


def test_only_what_belongs_to_the_settings_is_shown(panel):
    hidden = lambda: [w.layout.display == "none" for w in (panel.kernel, panel.stride)]  # noqa: E731
    assert hidden() == [True, True]
    panel.source.value, panel.linked.value = "convolved", False
    assert hidden() == [False, False]


def test_the_whole_panel_is_also_a_picture(panel):
    kind, data = panel.snapshot_bytes()
    picture = np.asarray(Image.open(io.BytesIO(data)))
    assert kind == "image/jpeg"
    assert picture.shape[1] > 800 and picture.shape[0] > 640
