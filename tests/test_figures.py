"""Pictures in a cell's output: the right pixels, with words for those who cannot see them."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure as Chart
from PIL import Image

from cnnviz_widgets import images, show
from cnnviz_widgets.errors import ImageError, WrongSetting


def pixels_of(figure):
    kind, data = re.search(r'src="data:image/(\w+);base64,([^"]+)"', figure._repr_html_()).groups()
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == kind.upper()
    return np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)


def squares(*values):
    return [np.full((6, 5, 3), value, np.uint8) for value in values]


def test_one_picture_is_shown_pixel_for_pixel():
    cat = images.load("cat")
    figure = show(cat, alt="a cat", kind="png")
    np.testing.assert_array_equal(pixels_of(figure), cat)
    assert 'width="400"' in figure._repr_html_()
    assert repr(figure) == "Figure('a cat')"


def test_photographs_travel_as_jpeg_unless_told_otherwise():
    cat = images.load("cat")
    assert np.abs(pixels_of(show(cat, alt="a cat")).astype(int) - cat).mean() < 4


def test_zoom_draws_pixels_as_squares():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(
        pixels_of(show(picture, alt="four pixels", kind="png", zoom=5)), picture.repeat(5, 0).repeat(5, 1)
    )


def test_several_pictures_stand_in_rows():
    picture = pixels_of(show(squares(10, 20, 30), alt="three", kind="png", columns=2))
    assert picture.shape == (6 + 10 + 6, 5 + 12 + 5, 3)
    assert (picture[:6, :5] == 10).all()
    assert (picture[:6, 17:] == 20).all()
    assert (picture[16:, :5] == 30).all()
    assert (picture[16:, 17:] == 255).all()


def test_titles_stand_above_their_pictures():
    figure = show(squares(10, 20), alt="two", kind="png", titles=["left", "right"])
    picture = pixels_of(figure)
    left, right = picture[:, :60], picture[:, 72:]
    assert (left[-6:, :5] == 10).all()
    assert (right[-6:, :5] == 20).all()
    assert (left[:-8] < 128).any()
    assert (right[:-8] < 128).any()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (np.full((3, 4), 0.5), 128),
        (np.full((3, 4, 1), 7, np.uint8), 7),
        (Image.new("RGB", (4, 3), (9, 9, 9)), 9),
        (np.ones((3, 4), bool), 255),
    ],
)
def test_whatever_is_a_picture_is_taken(source, expected):
    picture = pixels_of(show(source, alt="a plain picture", kind="png"))
    assert picture.shape == (3, 4, 3)
    assert (picture == expected).all()


def test_a_matplotlib_chart_is_shown_sharp_and_left_as_it_was():
    chart = Chart(figsize=(4, 3))
    axes = chart.subplots()
    axes.plot([0, 1], [0, 1], color="#ff0000", linewidth=5)
    dpi, canvas = chart.dpi, chart.canvas
    figure = show(chart, alt="a rising line")
    picture = pixels_of(figure)
    assert picture.shape == (480, 640, 3)
    assert 'width="320"' in figure._repr_html_()
    red = np.argwhere(np.abs(picture.astype(int) - (255, 0, 0)).max(2) < 10)  # the colours of a chart are reduced
    assert len(red) > 1000
    assert np.corrcoef(red[:, 0], red[:, 1])[0, 1] < -0.99  # from the lower left to the upper right
    assert (picture[0] == 255).all()
    assert (chart.dpi, chart.canvas) == (dpi, canvas)


def test_words_are_escaped():
    html = show(squares(0)[0], alt='"><script>alert(1)</script>', caption="<b>1 < 2</b> & more")._repr_html_()
    assert "<script>" not in html
    assert 'alt="&quot;&gt;&lt;script&gt;' in html
    assert "<figcaption>&lt;b&gt;1 &lt; 2&lt;/b&gt; &amp; more</figcaption>" in html


def test_without_a_caption_there_is_none():
    assert "figcaption" not in show(squares(0)[0], alt="black")._repr_html_()


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_alternative_text_is_required(alt):
    with pytest.raises(WrongSetting, match="alternative text"):
        show(squares(0)[0], alt=alt)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"pictures": []}, WrongSetting, "0 pictures"),
        ({"pictures": squares(1, 2), "titles": ["one"]}, WrongSetting, "2 pictures and 1 titles"),
        ({"pictures": squares(1), "kind": "jpg"}, WrongSetting, "png, jpeg"),
        ({"pictures": np.full((2, 2), 3.0)}, ImageError, "run from"),
        ({"pictures": 5}, ImageError, "int"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words(arguments, error, words):
    with pytest.raises(error, match=words):
        show(**arguments, alt="something")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"zoom": 0}, "zoom above 0"),
        ({"zoom": "2"}, "zoom above 0"),
        ({"columns": -1}, "number of columns"),
        ({"columns": 0}, "number of columns"),
        ({"alt": None}, "alternative text"),
    ],
)
def test_a_setting_that_leaves_nothing_to_show_is_refused(settings, says):
    with pytest.raises(WrongSetting, match=says):
        show(np.zeros((4, 5, 3), np.uint8), **{"alt": "black", **settings})


def test_an_array_without_pixels_is_no_picture():
    for shape in [(0, 5), (0, 5, 3)]:
        with pytest.raises(ImageError, match="is no picture"):
            show(np.zeros(shape, np.uint8), alt="nothing")
