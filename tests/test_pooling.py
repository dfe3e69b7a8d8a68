"""Pooling against a loop over every window, and what a shift changes."""

import math

import numpy as np
import pytest
import torch

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.techniques.activation import additivity_gap
from cnnviz_widgets.techniques.convolution import output_size
from cnnviz_widgets.techniques.pooling import pool, relative_change, shifted

SHAPES = [(8, 8), (7, 9), (5, 12), (11, 6)]
SIZES = [1, 2, 3, 5]
STRIDES = [None, 1, 2, 3, 6]
both_kinds = pytest.mark.parametrize("kind", ["max", "average"])


def picture(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def windows(channel, size, stride):
    """Every window that fits, row by row."""
    height, width = channel.shape
    return [
        [channel[y : y + size, x : x + size] for x in range(0, width - size + 1, stride)]
        for y in range(0, height - size + 1, stride)
    ]


@both_kinds
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pool_equals_a_loop_over_every_window(shape, size, stride, kind):
    inputs = picture(2, 3, *shape)
    reduce = {"max": np.max, "average": np.mean}[kind]
    expected = [
        [[[reduce(w) for w in row] for row in windows(channel, size, stride or size)] for channel in one]
        for one in inputs.double().numpy()
    ]
    result = pool(inputs, size, stride, kind)
    assert result.dtype == inputs.dtype
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)
    assert result.shape[-2:] == tuple(output_size(side, size, stride or size) for side in shape)


def test_pool_of_a_picture_that_can_be_checked_by_hand():
    inputs = torch.tensor([[1.0, 2, 5, 6], [3, 4, 7, 8], [-1, -2, 0, 0], [-3, -4, 0, 9]])[None, None]
    assert pool(inputs, 2).tolist() == [[[[4, 8], [-1, 9]]]]
    assert pool(inputs, 2, kind="average").tolist() == [[[[2.5, 6.5], [-2.5, 2.25]]]]
    assert pool(inputs, 2, stride=1).tolist() == [[[[4, 7, 8], [4, 7, 8], [-1, 0, 9]]]]


def test_five_by_five_leaves_a_fifth_of_each_side_of_the_cat():
    assert pool(torch.zeros(1, 3, 320, 400), 5).shape == (1, 3, 64, 80)
    assert pool(torch.zeros(1, 3, 320, 400), 2).shape == (1, 3, 160, 200)


def test_rows_that_fill_no_window_are_left_out():
    inputs = torch.zeros(1, 1, 8, 8)
    inputs[..., 6:, :] = 7.0
    inputs[..., :, 6:] = 7.0
    assert pool(inputs, 3).tolist() == [[[[0, 0], [0, 0]]]]


@both_kinds
def test_a_window_as_large_as_the_picture_leaves_one_number(kind):
    inputs = picture(1, 2, 6, 6)
    expected = inputs.amax((-2, -1)) if kind == "max" else inputs.mean((-2, -1))
    torch.testing.assert_close(pool(inputs, 6, kind=kind)[..., 0, 0], expected)


def test_whole_numbers_keep_their_maximum_and_have_a_fractional_mean():
    inputs = torch.tensor([[1, 2], [3, 5]], dtype=torch.uint8)[None, None]
    assert pool(inputs, 2, kind="average").item() == 2.75
    assert pool(inputs.int(), 2).item() == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 6}, r"window of 6 × 6 does not fit into 5 × 9 pixels"),
        ({"size": 0}, "pooling window must be a whole number of at least 1, not 0"),
        ({"size": -2}, "at least 1, not -2"),
        ({"size": 2.5}, "must be a whole number of at least 1, not 2.5"),
        ({"size": True}, "must be a whole number"),
        ({"size": 2, "stride": 0}, "stride must be a whole number of at least 1, not 0"),
        ({"size": 2, "stride": 1.5}, "stride must be a whole number of at least 1, not 1.5"),
        ({"size": 2, "kind": "maximum"}, "no pooling called 'maximum'.*Did you mean 'max'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(options, says):
    with pytest.raises(WrongSetting, match=says):
        pool(picture(1, 1, 5, 9), **options)


@pytest.mark.parametrize("shape", [(5, 5), (3, 5, 5), (1, 1, 1, 5, 5)])
def test_feature_maps_have_four_sides(shape):
    with pytest.raises(WrongSetting, match=r"Give feature maps \[N, C, H, W\]"):
        pool(torch.zeros(shape), 2)


# ------------------------------------------------------------------------------------------------------------- shifts
def test_shifted_moves_pixels_down_and_right_and_around():
    inputs = torch.arange(12).reshape(1, 1, 3, 4)
    moved = shifted(inputs, 1, 2)
    assert moved[0, 0].tolist() == [[10, 11, 8, 9], [2, 3, 0, 1], [6, 7, 4, 5]]
    assert torch.equal(shifted(moved, -1, -2), inputs)
    assert torch.equal(shifted(inputs), inputs)


@both_kinds
@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_shift_by_the_stride_is_a_shift_by_one_pixel_of_the_pooled_picture(kind, size):
    inputs = picture(1, 2, 6 * size, 7 * size)
    torch.testing.assert_close(
        pool(shifted(inputs, size, 0), size, kind=kind), shifted(pool(inputs, size, kind=kind), 1)
    )


def test_a_shift_by_one_pixel_can_make_stripes_vanish():
    stripes = torch.tensor([0.0, 0, 1, 1]).repeat(3).expand(1, 1, 12, 12)
    assert pool(stripes, 2)[0, 0, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert pool(shifted(stripes, 0, 1), 2)[0, 0, 0].tolist() == [1, 1, 1, 1, 1, 1]


def test_relative_change_is_measured_against_the_contrast():
    before = torch.tensor([[0.0, 2.0], [0.0, 2.0]])[None, None]
    after = torch.tensor([[0.0, 2.0], [0.0, 1.0]])[None, None]
    assert relative_change(before, after) == pytest.approx(0.5)  # one pixel of four by 1; the others are 1 off the mean
    assert relative_change(before + 100, after + 100) == pytest.approx(0.5)
    assert relative_change(before * 3, after * 3) == pytest.approx(0.5)
    assert relative_change(before, before) == 0
    assert relative_change(before, shifted(before, 0, 1)) == pytest.approx(2)


def test_relative_change_takes_the_mean_of_each_channel():
    before = torch.stack([torch.zeros(4, 4), torch.full((4, 4), 50.0)])[None]
    assert relative_change(before, before) == 0
    assert relative_change(before, before + 1) == math.inf  # neither channel has any contrast


def test_unrelated_pictures_differ_by_the_root_of_two():
    assert relative_change(picture(1, 1, 200, 200), picture(1, 1, 200, 200, seed=1)) == pytest.approx(2**0.5, abs=0.02)


def test_average_pooling_is_additive_and_maximum_pooling_is_not():
    first, second = picture(1, 2, 9, 9), picture(1, 2, 9, 9, seed=1)
    assert additivity_gap(lambda x: pool(x, 3, kind="average"), first, second) < 1e-6
    assert additivity_gap(lambda x: pool(x, 3), first, second) > 0.1


def test_relative_change_of_bytes_is_that_of_their_values():
    before, after = (torch.tensor([values], dtype=torch.uint8)[None] for values in ([0, 255], [255, 0]))
    assert relative_change(before, after) == pytest.approx(relative_change(before.double(), after.double())) == 2.0


def test_a_rounding_error_is_no_contrast():
    before = torch.full((3, 203, 201), 0.1, dtype=torch.float64) * 1.1
    assert relative_change(before, before + 1) == math.inf


def test_numbers_of_numpy_are_numbers_and_arrays_are_no_tensors():
    maps = torch.rand(1, 2, 6, 6)
    assert torch.equal(pool(maps, np.int64(2), np.int64(3)), pool(maps, 2, 3))
    assert torch.equal(shifted(maps, np.int64(1), np.int64(-2)), shifted(maps, 1, -2))
    for call in (lambda: pool(maps.numpy(), 2), lambda: shifted([1], 1), lambda: relative_change(maps, maps.numpy())):
        with pytest.raises(WrongSetting, match="Give a tensor, not a"):
            call()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_other_types_are_pooled_alike(dtype, kind):
    maps = torch.rand(1, 2, 6, 6).to(dtype)
    with torch.inference_mode():
        found = pool(maps, 2, kind=kind)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), pool(maps.double(), 2, kind=kind), rtol=0, atol=5e-3)
