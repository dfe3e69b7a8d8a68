"""Arrays to pictures: every colour and every place checked against what it should be."""

import io
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz_widgets import images, render
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.render.scatter import scatter
from cnnviz_widgets.text import one_line

RAMP = np.linspace(-2, 6, 48).reshape(6, 8)


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def colour(name, share):
    return np.round(np.array(matplotlib.colormaps[name](share)[:3]) * 255).astype(np.uint8)


# Encoding -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7), (1, 1, 3)])
def test_png_is_exact(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = render.encode(picture, "png")
    assert Image.open(io.BytesIO(data)).format == "PNG"
    np.testing.assert_array_equal(decoded(data), picture)


def test_jpeg_is_close_and_smaller_than_png():
    cat = images.load("cat")
    data = render.encode(cat, "jpeg")
    assert Image.open(io.BytesIO(data)).format == "JPEG"
    assert np.abs(decoded(data).astype(int) - cat).mean() < 4
    assert len(data) < len(render.encode(cat, "png")) / 4


def test_a_slice_with_gaps_is_encoded_as_it_looks():
    picture = np.random.default_rng(1).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(render.encode(picture[::2, ::-3])), picture[::2, ::-3])


def photograph_with_thin_lines():
    """The cat, and on white five lines of two pixels in the colours that tell series apart."""
    lines = np.full((320, 400, 3), 255, np.uint8)
    for index, colour in enumerate(render.OKABE_ITO[:5]):
        lines[20 + 40 * index : 22 + 40 * index, 20:120] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.hstack([images.load("cat"), lines])


def test_few_colours_keep_those_of_thin_lines():
    picture = photograph_with_thin_lines()
    data = render.encode(picture, "png", colours=128)
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    for row in range(20, 200, 40):
        np.testing.assert_allclose(seen[row, 420:520], picture[row, 420:520], atol=6)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) <= 128
    assert np.abs(seen - picture).mean() < 4
    assert len(data) < len(render.encode(picture, "png")) / 3


def test_few_colours_are_exact_where_there_are_few():
    picture = np.random.default_rng(3).integers(0, 2, (20, 30, 3), dtype=np.uint8) * 200
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(render.encode(picture, "png", colours=8))).convert("RGB")), picture
    )


def test_another_kind_is_refused_with_what_there_is():
    with pytest.raises(WrongSetting, match="png, jpeg"):
        render.encode(np.zeros((2, 2), np.uint8), "jpg")


# Maps ---------------------------------------------------------------------------------------------------------------


def test_scaled_is_linear_between_its_limits_and_clipped_beyond():
    np.testing.assert_allclose(render.scaled(RAMP), (RAMP + 2) / 8)
    np.testing.assert_allclose(render.scaled(RAMP, 0, 4), np.clip(RAMP / 4, 0, 1))


def test_scaled_of_a_constant_is_zero_and_of_nothing_finite_is_nan():
    np.testing.assert_array_equal(render.scaled(np.full((2, 2), 7.0)), np.zeros((2, 2)))
    np.testing.assert_array_equal(render.scaled(np.array([[np.nan, 3.0]])), [[np.nan, 0.0]])
    np.testing.assert_array_equal(render.scaled(np.array([[np.nan, np.inf]])), [[np.nan, np.nan]])


def test_limits_look_at_finite_values_only_and_obey_what_is_given():
    values = np.array([[np.nan, -1.0], [np.inf, 4.0]])
    assert render.limits(values) == (-1, 4)
    assert render.limits(values, low=-3) == (-3, 4)
    assert render.limits(values, high=0) == (-1, 0)
    assert render.limits(np.full(3, np.nan)) == (0, 1)


def test_a_heat_map_runs_from_the_colour_map_s_first_colour_to_its_last():
    picture = render.heat_map(np.array([[0.0, 1.0], [2.0, 4.0]]), "viridis")
    np.testing.assert_array_equal(picture[0, 0], colour("viridis", 0.0))
    np.testing.assert_array_equal(picture[1, 1], colour("viridis", 1.0))
    np.testing.assert_allclose(picture[1, 0].astype(int), colour("viridis", 0.5), atol=2)
    np.testing.assert_allclose(picture[0, 1].astype(int), colour("viridis", 0.25), atol=2)


def test_a_grey_heat_map_is_the_values_themselves():
    values = np.arange(256.0).reshape(16, 16)
    np.testing.assert_array_equal(render.heat_map(values, render.GREY), values[..., None].repeat(3, 2))


def test_what_is_not_finite_is_drawn_as_unknown_and_leaves_the_rest_alone():
    values = RAMP.copy()
    values[0, 0], values[1, 1], values[2, 2] = np.nan, np.inf, -np.inf
    picture = render.heat_map(values, low=-2, high=6)
    for place in (0, 1, 2):
        np.testing.assert_array_equal(picture[place, place], render.UNKNOWN)
    untouched = render.heat_map(RAMP, low=-2, high=6)
    known = np.isfinite(values)
    np.testing.assert_array_equal(picture[known], untouched[known])


def test_zero_is_white_on_a_signed_map_whatever_the_other_values():
    for values in ([[0.0, 5.0]], [[0.0, -0.01]], [[0.0, 1.0], [-7.0, 2.0]]):
        picture = render.signed_map(np.array(values))
        assert picture[0, 0].min() >= 246, values


def test_a_signed_map_treats_both_signs_alike_and_gives_red_to_the_positive():
    values = np.array([[-4.0, -1.0, 1.0, 2.0]])
    picture = render.signed_map(values).astype(int)
    np.testing.assert_array_equal(picture[0, 0], colour("RdBu_r", 0.0))
    assert picture[0, 0, 2] > picture[0, 0, 0]  # blue
    assert picture[0, 3, 0] > picture[0, 3, 2]  # red
    assert abs(picture[0, 1].sum() - picture[0, 2].sum()) < 30  # equally far from white
    mirrored = render.signed_map(-values[:, ::-1]).astype(int)
    shares = render.scaled(values, -4, 4), render.scaled(-values[:, ::-1], -4, 4)
    np.testing.assert_allclose(shares[0] + shares[1][:, ::-1], 1)
    np.testing.assert_array_equal(mirrored[0, 3], colour("RdBu_r", 1.0))


def test_a_signed_map_of_zeros_is_white_all_over():
    assert render.signed_map(np.zeros((3, 3))).min() >= 246


def test_a_signed_map_with_a_limit_of_its_own_saturates_there():
    picture = render.signed_map(np.array([[-9.0, 1.0, 2.0]]), limit=2)
    np.testing.assert_array_equal(picture[0, 2], colour("RdBu_r", 1.0))
    np.testing.assert_array_equal(picture[0, 0], colour("RdBu_r", 0.0))


def test_three_channels_are_stretched_each_on_its_own_and_keep_their_order():
    maps = np.stack([RAMP, 100 * RAMP[::-1], np.zeros_like(RAMP)])
    picture = render.channels_as_colour(maps)
    expected = np.round((RAMP + 2) / 8 * 255)
    np.testing.assert_array_equal(picture[..., 0], expected)
    np.testing.assert_array_equal(picture[..., 1], expected[::-1])
    np.testing.assert_array_equal(picture[..., 2], 0)


def test_an_overlay_leaves_the_picture_where_the_value_is_lowest_or_unknown():
    cat = images.load("cat")[:6, :8]
    values = RAMP.copy()
    values[3, 4] = np.nan
    picture = render.overlay(cat, values, opacity=0.5)
    np.testing.assert_array_equal(picture[0, 0], cat[0, 0])
    np.testing.assert_array_equal(picture[3, 4], cat[3, 4])
    half = (cat[-1, -1].astype(float) + colour(render.EVIDENCE, 1.0)) / 2
    np.testing.assert_allclose(picture[-1, -1].astype(float), half, atol=0.51)


def test_outside_the_mask_only_grey_paper_is_left():
    cat = images.load("cat")
    mask = np.zeros(cat.shape[:2], bool)
    mask[10:20, 30:50] = True
    picture = render.outside_faded(cat, mask)
    np.testing.assert_array_equal(picture[10:20, 30:50], cat[10:20, 30:50])
    assert (picture[~mask] == render.UNKNOWN).all()
    half = render.outside_faded(cat, mask, shade=0.5)
    np.testing.assert_allclose(half[0, 0].astype(float), (cat[0, 0] + np.array(render.UNKNOWN)) / 2.0, atol=0.51)


# Layout -------------------------------------------------------------------------------------------------------------


def test_enlarge_draws_every_pixel_as_a_square():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = render.enlarge(picture, 3)
    assert large.shape == (6, 6, 3)
    for y in range(6):
        for x in range(6):
            np.testing.assert_array_equal(large[y, x], picture[y // 3, x // 3])


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 9])
def test_a_mosaic_puts_every_tile_in_its_place_and_background_between(columns):
    tiles = [np.full((4, 6, 3), 20 * (number + 1), np.uint8) for number in range(5)]
    picture = render.mosaic(tiles, columns, gap=2, background=0)
    rows, across = -(-5 // columns), min(columns, 5)
    assert picture.shape == (rows * 6 - 2, across * 8 - 2, 3)
    expected = np.zeros_like(picture)
    for number, tile in enumerate(tiles):
        top, left = number // columns * 6, number % columns * 8
        expected[top : top + 4, left : left + 6] = tile
    np.testing.assert_array_equal(picture, expected)


def test_grey_tiles_become_colour_with_three_equal_channels():
    tile = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(render.mosaic([tile], 1), tile[..., None].repeat(3, 2))


def test_beside_and_above_put_pictures_of_any_size_on_white():
    tall, wide = np.full((5, 2, 3), 10, np.uint8), np.full((2, 6, 3), 20, np.uint8)
    row = render.beside([tall, wide], gap=3)
    assert row.shape == (5, 11, 3)
    assert (row[:, :2] == 10).all()
    assert (row[:2, 5:] == 20).all()
    assert (row[:, 2:5] == 255).all()
    assert (row[2:, 5:] == 255).all()
    column = render.above([tall, wide], gap=3)
    assert column.shape == (10, 6, 3)
    assert (column[:5, :2] == 10).all()
    assert (column[8:, :] == 20).all()
    assert (column[5:8] == 255).all()
    assert (column[:5, 2:] == 255).all()


def test_a_margin_is_white_all_around():
    picture = render.margin(np.zeros((3, 4, 3), np.uint8), 2)
    assert picture.shape == (7, 8, 3)
    assert picture.sum() == 255 * 3 * (7 * 8 - 12)


def test_a_figure_of_zoom_one_shows_the_pixels_and_leaves_the_array_alone():
    cat = images.load("cat")
    before = cat.copy()
    mark = {"x": 10, "y": 20, "w": 30, "h": 40, "colour": "#ff0000"}
    picture = render.figure(cat, marks=[mark])
    np.testing.assert_array_equal(cat, before)
    for y, x in ((20, 10), (20, 40), (60, 10), (60, 40), (40, 10)):
        np.testing.assert_array_equal(picture[y, x], (255, 0, 0))
    changed = (picture != cat).any(2)
    assert not changed[:20].any()
    assert not changed[:, :10].any()
    assert not changed[23:57, 13:37].any()


def test_a_figure_enlarges_pixels_as_squares_with_their_marks():
    picture = np.random.default_rng(0).integers(0, 200, (3, 4, 3), dtype=np.uint8)
    large = render.figure(picture, zoom=10, marks=[{"x": 1, "y": 1, "w": 1, "h": 1, "colour": "#ffffff"}])
    expected = render.enlarge(picture, 10)
    np.testing.assert_array_equal(large[10, 10:21], np.full((11, 3), 255))
    np.testing.assert_array_equal(large[:10], expected[:10])
    np.testing.assert_array_equal(large[13:18, 13:18], expected[13:18, 13:18])


def test_the_caption_of_a_tiny_picture_has_room_to_be_read():
    picture = render.figure(np.zeros((1, 1, 3), np.uint8), caption="The response, 1 × 1, which is one number")
    assert picture.shape[1] == render.NARROWEST
    assert picture.shape[0] < 60
    assert (picture[5:] < 200).any()


def test_a_scale_stands_at_the_right_with_its_highest_colour_on_top():
    scale = render.ramp("magma", 0.25, 0.75, "probability")
    assert (scale["low"], scale["high"], scale["label"]) == ("0.25", "0.75", "probability")
    assert scale["stops"][0] == "#" + bytes(colour("magma", 0.0)).hex()
    assert scale["stops"][-1] == "#" + bytes(colour("magma", 1.0)).hex()
    picture = render.figure(np.zeros((80, 50, 3), np.uint8), ramp=scale)
    strip = picture[:, 50 + 12]
    np.testing.assert_array_equal(strip[0], colour("magma", 1.0))
    np.testing.assert_array_equal(strip[-1], colour("magma", 0.0))
    assert np.all(np.diff(strip.astype(int).sum(1)) <= 0)


# Words --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.394, "0.39"),
        (12.4, "12"),
        (-0.00312, "−0.0031"),
        (100.0, "100"),
        (123456, "120000"),
        (1.0, "1"),
        (0.000123, "0.00012"),
        (-5, "−5"),
        (1e-7, "1e−07"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_numbers_have_two_significant_digits_and_a_real_minus(value, words):
    assert render.number(value) == words


def test_text_is_wrapped_between_words_and_loses_none():
    face = render.font(12)
    text = "every word of this sentence must be found again in its lines"
    lines = render.wrapped(text, 120, face)
    assert " ".join(lines) == text
    assert len(lines) > 2
    assert all(face.getlength(line) <= 120 for line in lines)
    assert render.wrapped("", 120, face) == [""]


def test_a_text_block_is_as_high_as_its_lines():
    one, two = render.text_block("a", 50, 10), render.text_block("a\nb", 50, 10)
    assert two.shape[0] == 2 * one.shape[0]
    assert (one < 200).any()


def test_text_that_is_too_wide_ends_in_an_ellipsis():
    face = render.font(12)
    short = render.fitted("Egyptian cat, or something like it", 80, face)
    assert short.endswith("…")
    assert face.getlength(short) <= 80
    assert render.fitted("cat", 80, face) == "cat"


# Bars ---------------------------------------------------------------------------------------------------------------


def bar_lengths(picture, row, density):
    """Pixels of the row's bar in blue, in orange, and of its pale ground."""
    line = picture[row * 22 * density + 8 * density]
    blue, orange = (np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) for code in render.OKABE_ITO[4:6])
    return (line == blue).all(1).sum(), (line == orange).all(1).sum(), (line == 242).all(1).sum()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (2e-9, "< 0.001"),
        (0.0025, "0.0025"),
        (0.36, "0.36"),
        (0.99, "0.99"),
        (0.9964, "0.996"),
        (0.99949, "0.999"),
        (0.9996, "> 0.999"),
        (1.0, "1"),
    ],
)
def test_a_probability_is_never_rounded_to_a_certainty(value, words):
    assert render.probability(value) == words


def test_bars_are_as_long_as_their_values_and_the_chosen_one_is_orange():
    density = 2
    picture = render.bars([("a", 1.0), ("b", 0.5), ("c", 0.0), ("d", 7.0)], 400, chosen="b", density=density)
    full = bar_lengths(picture, 0, density)[0]
    assert full > 300
    assert bar_lengths(picture, 0, density)[1:] == (0, 0)
    blue, orange, ground = bar_lengths(picture, 1, density)
    assert blue == 0
    assert orange == pytest.approx(full / 2, abs=2)
    assert ground == pytest.approx(full / 2, abs=2)
    assert bar_lengths(picture, 2, density) == (0, 0, full)
    assert bar_lengths(picture, 3, density)[0] == full  # clipped


def test_a_line_marks_where_each_bar_stood_before():
    plain = render.bars([("a", 0.2)], 400)
    marked = render.bars([("a", 0.2)], 400, before=[0.75])
    places = np.flatnonzero((plain != marked).any((0, 2)))
    start = 400 * 0.36 * 2
    full = bar_lengths(render.bars([("a", 1.0)], 400), 0, 2)[0] - 1
    assert places.mean() == pytest.approx(start + 0.75 * full, abs=3)
    assert len(places) <= 5


def test_tensors_with_gradients_and_of_any_type_are_drawn_as_the_arrays_they_hold():
    values = np.array([[0.0, 1.0], [-2.0, 0.5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tensor in (torch.tensor(values, requires_grad=True), torch.tensor(values).bfloat16()):
            np.testing.assert_array_equal(render.heat_map(tensor), render.heat_map(values))
            np.testing.assert_array_equal(render.signed_map(tensor), render.signed_map(values))
            assert render.limits(tensor) == (-2.0, 1.0)


# Words from outside ---------------------------------------------------------------------------------------------------

ODD = ["two\nlines", "a paragraph\u2029behind", "bell\x07", "e" * 5000, "", "W.i"]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("width", [0, 7, 60, 300])
def test_a_text_is_cut_where_it_is_wider_than_its_place(text, width):
    face = render.font(12)
    found = render.fitted(text, width, face)
    longest = one_line(text, 6000)
    if face.getlength(longest) <= width:
        assert found == longest
    else:
        kept = found.removesuffix("…")
        assert longest.startswith(kept) and found.endswith("…")
        assert not kept or face.getlength(found) <= width
        assert face.getlength(longest[: len(kept) + 1] + "…") > width


@pytest.mark.parametrize("text", ODD)
def test_odd_names_are_drawn_everywhere(text):
    rows = [(text, 0.5), ("plain", 0.5)]
    assert render.bars(rows, 200).shape == render.bars([("plain", 0.5)] * 2, 200).shape
    assert render.text_block(text, 200).shape[1] == 200
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert scatter(points, np.array([0, 1]), [text, "plain"], side=100).shape == (200, 200, 3)
