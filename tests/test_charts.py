"""Line charts: the lines lie where the numbers are."""

import numpy as np
import pytest

from cnnviz_widgets import render
from cnnviz_widgets.render import charts
from cnnviz_widgets.render.charts import line_chart

BLUE, RED = (np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in render.OKABE_ITO[4:6])
SIZE = (330, 170)
PLOT = (charts.LEFT, charts.TOP, SIZE[0] - charts.RIGHT, SIZE[1] - charts.BOTTOM)  # left, top, right, bottom


def places(picture: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(x, y) of the pixels of this colour inside the plot, in screen pixels at density 1."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) < 8).all(2))
    inside = rows > PLOT[1] - 2
    return np.stack([columns[inside], rows[inside]], axis=1)


def height_at(picture: np.ndarray, x: int, colour: np.ndarray = BLUE) -> float:
    found = places(picture, colour)
    return found[found[:, 0] == x, 1].mean()


def test_a_line_runs_from_its_first_point_to_its_last():
    picture = line_chart({"a": ([0, 10], [2, 4])}, x_range=(0, 10), y_range=(0, 4), size=SIZE, density=1)
    assert picture.shape == (170, 330, 3) and picture.dtype == np.uint8
    left, top, right, bottom = PLOT
    assert height_at(picture, left + 3) == pytest.approx((top + bottom) / 2, abs=2)
    assert height_at(picture, right - 3) == pytest.approx(top, abs=2)
    assert height_at(picture, (left + right) // 2) == pytest.approx(top + (bottom - top) / 4, abs=2)


def test_without_ranges_the_axes_cover_the_points():
    picture = line_chart({"a": ([5, 6, 7], [-3, 8, 1])}, size=SIZE, density=1)
    found = places(picture, BLUE)
    left, top, right, bottom = PLOT
    assert found.min(0) == pytest.approx([left, top], abs=2)
    assert found.max(0) == pytest.approx([right, bottom], abs=2)


def test_more_pixels_for_a_sharp_screen_show_the_same_chart():
    series = {"a": ([0, 1, 2], [1, 0, 3]), "b": ([0, 2], [2, 2])}
    single, double = (line_chart(series, size=SIZE, density=density) for density in (1, 2))
    assert double.shape == (340, 660, 3)
    halved = double.reshape(170, 2, 330, 2, 3).mean((1, 3))
    assert np.abs(halved - single).mean() < 6


def test_points_that_are_not_finite_are_left_out():
    with_gaps = line_chart({"a": ([0, 1, 2, 3, 4], [0, np.nan, 1, np.inf, 2])}, size=SIZE)
    assert np.array_equal(with_gaps, line_chart({"a": ([0, 2, 4], [0, 1, 2])}, size=SIZE))


def test_points_outside_the_ranges_do_not_leave_the_plot():
    series = {"a": ([-5, 0, 1, 2, 9], [0, 1, 50, 1, 0])}
    picture = line_chart(series, x_range=(0, 2), y_range=(0, 2), size=SIZE, density=1)
    left, top, right, bottom = PLOT
    found = places(picture, BLUE)
    assert found[:, 0].min() >= left - 1 and found[:, 0].max() <= right + 1
    assert height_at(picture, (left + right) // 2) == pytest.approx(top, abs=2)


def test_every_line_has_a_colour_and_its_name_in_the_key():
    picture = line_chart({"loss": ([0, 1], [0, 0]), "held out": ([0, 1], [1, 1])}, size=SIZE, density=1)
    left, top, right, bottom = PLOT
    middle = (left + right) // 2
    assert height_at(picture, middle, BLUE) == pytest.approx(bottom, abs=2)
    assert height_at(picture, middle, RED) == pytest.approx(top, abs=2)
    key = picture[: charts.TOP - 3].astype(int)
    blue, red = ((np.abs(key - colour) < 40).all(2).nonzero()[1] for colour in (BLUE, RED))
    assert blue.size and red.size and blue.max() < red.min() <= right


def test_more_lines_than_colours_are_all_drawn():
    six = {str(n): ([0, 1], [n, n]) for n in range(6)}
    five = {name: points for name, points in six.items() if name != "5"}
    drawn = [line_chart(series, y_range=(0, 5), size=SIZE, density=1) for series in (six, five)]
    assert len(places(drawn[0], BLUE)) > 1.8 * len(places(drawn[1], BLUE))


@pytest.mark.parametrize("series", [{}, {"a": ([], [])}, {"a": ([3], [7])}, {"a": ([1, 2], [np.nan, np.nan])}])
def test_few_points_or_none_make_a_chart_too(series):
    picture = line_chart(series, size=SIZE, density=1)
    found = places(picture, BLUE)
    if series.get("a") == ([3], [7]):
        left, top, right, bottom = PLOT
        assert found.mean(0) == pytest.approx([(left + right) / 2, (top + bottom) / 2], abs=2)
    else:
        assert not found.size


def test_a_range_of_no_width_is_widened():
    picture = line_chart({"a": ([2], [2])}, x_range=(2, 2), y_range=(2, 2), size=SIZE, density=1)
    assert places(picture, BLUE).size


def test_verticals_mark_places_on_the_x_axis():
    plain, marked = (
        line_chart({}, x_range=(0, 10), y_range=(0, 1), verticals=at, size=SIZE, density=1) for at in ((), (5,))
    )
    columns = np.flatnonzero((plain != marked).any((0, 2)))
    assert columns.tolist() == [(PLOT[0] + PLOT[2]) // 2]


def test_ticks_are_round_numbers_inside_the_axis():
    ticks = charts._ticks(0, 2.4, 4)
    assert ticks[0] == 0 and ticks[-1] <= 2.4 and 3 <= len(ticks) <= 6
    assert [charts._label(tick) for tick in (-0.5, 0.0, 0.30000000000000004, 20.0)] == ["−0.5", "0", "0.3", "20"]
