"""What notebook 01 claims about the cat is so: its prose names these filters and these places."""

import pytest
import torch

from cnnviz_widgets import convolve, images, kernel, random_kernels
from cnnviz_widgets.exercises.convolution import EYES, strongest

SEED = 82
TOP, LEFT, SIDE = 103, 125, 41  # the window that is cut from the left eye
LEFT_EYE, RIGHT_EYE = EYES


@pytest.fixture(scope="module")
def grey():
    return torch.from_numpy(images.greyscale(images.load("cat")))[None, None]


@pytest.fixture(scope="module")
def eye(grey):
    return grey[:, :, TOP : TOP + SIDE, LEFT : LEFT + SIDE]


def similarity(picture, eye):
    centred, ones = eye - eye.mean(), torch.ones_like(eye)
    spread = convolve(picture**2, ones) - convolve(picture, ones) ** 2 / SIDE**2
    return convolve(picture, centred) / (centred.norm() * spread.clamp(min=1e-6).sqrt())


def distance(place, other):
    return torch.dist(torch.tensor(place).float(), torch.tensor(other).float())


@pytest.mark.parametrize(
    ("size", "likes_the_eyes", "draws_the_outline"), [(3, 2, 1), (10, 2, 3), (15, 3, 2)], ids=["3", "10", "15"]
)
def test_of_three_random_filters_one_likes_the_eyes_and_another_draws_the_outline(
    size, likes_the_eyes, draws_the_outline
):
    filters = random_kernels(3, size, seed=SEED, channels=3)
    maps = convolve(images.to_tensor(images.load("cat")), filters, padding="same")[0][:, 8:-8, 8:-8]
    eyes = torch.zeros(320, 400, dtype=torch.bool)
    eyes[98:150, 112:180] = eyes[120:172, 280:326] = True
    scores = (maps[:, eyes[8:-8, 8:-8]].mean(1) - maps.mean((1, 2))) / maps.std((1, 2))
    areas = convolve(maps[:, None], kernel("blur", 31)[None, None]).std((1, 2, 3)) / maps.std((1, 2))
    assert scores.argmax() + 1 == likes_the_eyes
    assert scores.max() > 1.2
    assert areas.argmin() + 1 == draws_the_outline
    sums = filters.sum((2, 3))
    assert sums[likes_the_eyes - 1, 0] < 0, "it answers where there is little red"
    assert sums.abs().amax(1).argmin() + 1 == draws_the_outline, "it answers little over even patches"


def test_the_plain_dot_product_finds_bright_fur_and_not_even_the_eye_itself(grey, eye):
    response = convolve(grey, eye)[0, 0]
    assert (response > response[TOP, LEFT]).float().mean() > 0.9
    for place in strongest(response, SIDE // 2):
        assert min(distance(place, LEFT_EYE), distance(place, RIGHT_EYE)) > 60
    row, column = strongest(response, 0, count=1)[0]
    assert grey[0, 0, row : row + SIDE, column : column + SIDE].mean() > grey.mean() + 0.1


def test_a_kernel_cut_from_one_eye_finds_the_other_once_its_mean_is_subtracted(grey, eye):
    for response in (convolve(grey, eye - eye.mean()), similarity(grey, eye)):
        first, second = strongest(response[0, 0], SIDE // 2)
        assert first == LEFT_EYE
        assert distance(second, RIGHT_EYE) < 12
    assert similarity(grey, eye)[0, 0, TOP, LEFT] == pytest.approx(1, abs=1e-3)


def test_in_the_turned_picture_the_same_kernel_finds_no_eye(grey, eye):
    found = strongest(similarity(torch.rot90(grey, 1, (2, 3)), eye)[0, 0], SIDE // 2, count=1)[0]
    for row, column in EYES:
        assert distance(found, (399 - column, row)) > 60


def test_the_zero_border_holds_nearly_all_of_the_strongest_edges(grey):
    edges = convolve(grey, kernel("sobel_x", 5)[None, None], padding="same")[0, 0].abs()
    places = edges.flatten().topk(500).indices % 400
    assert ((places < 2) | (places >= 398)).float().mean() > 0.95
