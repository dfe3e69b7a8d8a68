"""Convolution against a brute-force loop, against torch, and against kernels written by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.techniques.convolution import (
    KERNELS,
    convolve,
    kernel,
    output_size,
    padding_amounts,
    random_kernels,
    visits,
)

KERNEL_SIZES = [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3)]
STRIDES = [1, 2, 3]
PADDINGS = ["valid", "same", "full", 0, 1, 3]
DILATIONS = [1, 2]
grid = pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "dilation"),
    [(k, s, p, d) for k in KERNEL_SIZES for s in STRIDES for p in PADDINGS for d in DILATIONS],
)


def zeros_around(size, padding, dilation):
    """The definition of each padding, written out once more."""
    total = dilation * (size - 1)
    if padding == "same":
        return int(np.floor(total / 2)), int(np.ceil(total / 2))
    border = {"valid": 0, "full": total}.get(padding, padding)
    return border, border


def slide(picture, weights, stride, padding, dilation):
    """One window after another, one product after another: (output, reads of every pixel)."""
    channels, height, width = picture.shape
    count, _, rows, columns = weights.shape
    (top, bottom), (left, right) = (zeros_around(n, padding, dilation) for n in (rows, columns))
    padded = np.pad(picture, ((0, 0), (top, bottom), (left, right)))
    reads = np.zeros(padded.shape[1:], int)
    output = []
    for y in range(0, padded.shape[1] - dilation * (rows - 1), stride):
        output.append([])
        for x in range(0, padded.shape[2] - dilation * (columns - 1), stride):
            total = np.zeros(count)
            for i in range(rows):
                for j in range(columns):
                    reads[y + i * dilation, x + j * dilation] += 1
                    for c in range(channels):
                        total += weights[:, c, i, j] * padded[c, y + i * dilation, x + j * dilation]
            output[-1].append(total)
    return np.array(output).transpose(2, 0, 1), reads[top : top + height, left : left + width]


@grid
def test_convolve_and_visits_equal_the_brute_force_loop(kernel_size, stride, padding, dilation):
    random = np.random.default_rng(0)
    picture, weights = random.normal(size=(2, 9, 11)), random.normal(size=(3, 2, *kernel_size))
    expected, reads = slide(picture, weights, stride, padding, dilation)
    settings = (stride, padding, dilation)
    actual = convolve(torch.tensor(picture)[None], torch.tensor(weights), *settings)
    np.testing.assert_allclose(actual[0].numpy(), expected, rtol=0, atol=1e-12)
    assert actual.shape[2:] == tuple(output_size(n, k, *settings) for n, k in zip((9, 11), kernel_size, strict=True))
    np.testing.assert_array_equal(visits((9, 11), kernel_size, *settings).numpy(), reads)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("dilation", DILATIONS)
@pytest.mark.parametrize("padding", ["valid", "same", 2])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_convolve_equals_torch(size, padding, dilation):
    inputs, weights = torch.randn(2, 3, 17, 20), torch.randn(4, 3, size, size)
    expected = F.conv2d(inputs, weights, padding=padding, dilation=dilation)
    torch.testing.assert_close(convolve(inputs, weights, 1, padding, dilation), expected)


def test_a_batch_is_convolved_picture_by_picture_and_whole_numbers_are_welcome():
    inputs = torch.arange(50).reshape(2, 1, 5, 5)
    output = convolve(inputs, kernel("sobel_x")[None, None])
    assert torch.equal(output, torch.full((2, 1, 3, 3), 8.0))  # brightness rises by 1 a pixel: (1 + 2 + 1) * 2


def test_full_padding_with_a_flipped_kernel_is_the_mathematicians_convolution():
    from scipy.signal import convolve2d

    picture, weights = torch.randn(6, 7, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    output = convolve(picture[None, None], weights.flip(0, 1)[None, None], padding="full")
    np.testing.assert_allclose(output[0, 0].numpy(), convolve2d(picture, weights), atol=1e-12)


def test_the_odd_zero_of_same_padding_goes_after():
    assert padding_amounts(4, "same") == (1, 2)
    assert padding_amounts(4, "same", dilation=2) == (3, 3)
    assert padding_amounts(3, "full", dilation=2) == (4, 4)
    assert padding_amounts(5, 1) == (1, 1)


@pytest.mark.parametrize("size", [1, 2, 7, 15])
@pytest.mark.parametrize("stride", STRIDES)
def test_same_padding_gives_the_size_divided_by_the_stride_rounded_up(size, stride):
    assert output_size(20, size, stride, "same") == -(-20 // stride)


HAND_WRITTEN = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "blur": [[1 / 9] * 3] * 3,
    "sharpen": [[-1 / 9] * 3, [-1 / 9, 17 / 9, -1 / 9], [-1 / 9] * 3],
    "sobel_x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel_y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "emboss": [[-1, -1, 0], [-1, 1, 1], [0, 1, 1]],
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_3x3_kernels_are_the_well_known_ones(name):
    torch.testing.assert_close(kernel(name), torch.tensor(HAND_WRITTEN[name], dtype=torch.float32))


def test_the_5x5_sobel_is_the_well_known_one_scaled_to_positive_weights_of_4():
    by_hand = torch.outer(torch.tensor([1.0, 4, 6, 4, 1]), torch.tensor([-1.0, -2, 0, 2, 1]))
    torch.testing.assert_close(kernel("sobel_x", 5), by_hand / 12)


@pytest.mark.parametrize("size", range(1, 16))
def test_kernels_of_every_size_do_what_their_name_says(size):
    """On a flat picture, a slope and a bowl, where blur, Sobel and Laplacian have known answers."""
    y, x = (axis.double() for axis in torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"))

    def answer(name, picture):
        return (kernel(name, size).double() * picture).sum().item()

    flat = {name: answer(name, torch.ones_like(x)) for name in KERNELS}
    averages = {"identity", "blur", "sharpen", "emboss"}
    assert flat == pytest.approx({name: float(name in averages) for name in KERNELS}, abs=1e-5)
    assert answer("blur", x) == pytest.approx((size - 1) / 2, abs=1e-5)
    assert answer("identity", x) == answer("identity", y) == (size - 1) // 2
    if size > 1:
        assert answer("sobel_x", x) > 1
        assert answer("sobel_x", y) == pytest.approx(0, abs=1e-4)
        assert answer("sobel_y", y) > 1
        assert answer("sobel_y", x) == pytest.approx(0, abs=1e-4)
    if size > 2:
        assert answer("laplacian", x**2 + y**2) > 0.1
        assert answer("laplacian", x) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("size", range(1, 16))
def test_the_identity_leaves_the_picture_unchanged_also_for_even_sizes(size):
    picture = torch.randn(1, 1, 9, 9)
    torch.testing.assert_close(convolve(picture, kernel("identity", size)[None, None], padding="same"), picture)


def test_random_kernels_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    first = random_kernels(3, 10, seed=1, channels=2)
    assert first.shape == (3, 2, 10, 10)
    assert torch.equal(first, random_kernels(3, 10, seed=1, channels=2))
    assert not torch.equal(first, random_kernels(3, 10, seed=2, channels=2))
    assert torch.equal(before, torch.get_rng_state())
    assert random_kernels(100, 8, channels=3).std().item() == pytest.approx(1 / (8 * 3**0.5), rel=0.05)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: output_size(4, 7), "covers 7 pixels, 3 more than the 4"),
        (lambda: output_size(6, 3, dilation=4), "covers 9 pixels, 3 more than the 6"),
        (lambda: convolve(torch.zeros(1, 1, 9, 4), torch.zeros(1, 1, 5, 5)), "1 more than the 4"),
        (lambda: output_size(9, 3, stride=0), "stride must be a whole number of at least 1, not 0"),
        (lambda: output_size(9, 0), "kernel size must be a whole number of at least 1, not 0"),
        (lambda: output_size(9, 3, dilation=0), "dilation"),
        (lambda: output_size(9, 3, padding=-1), "padding must be a whole number of at least 0, not -1"),
        (lambda: output_size(9, 3, padding="sam"), "Did you mean 'same'?"),
        (lambda: output_size(9, 2.5), "not 2.5"),
        (lambda: visits((9, 9), 10), "1 more than the 9"),
        (lambda: kernel("sobel"), "Did you mean 'sobel_"),
        (lambda: kernel("blur", 0), "kernel size"),
        (lambda: random_kernels(0, 3), "number of kernels"),
        (lambda: convolve(torch.zeros(5, 5), torch.zeros(3, 3)), r"not shapes \[5, 5\] and \[3, 3\]"),
        (lambda: convolve(torch.zeros(1, 3, 5, 5), torch.zeros(1, 1, 3, 3)), "as many channels"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(call, says):
    with pytest.raises(WrongSetting, match=says):
        call()


def test_arrays_and_sizes_that_are_no_pair_are_refused_in_words():
    with pytest.raises(WrongSetting, match="Give tensors, not ndarray"):
        convolve(np.zeros((1, 1, 5, 5)), np.ones((1, 1, 3, 3)))
    for size, kernel_size in [(5, 3), ((5, 5, 5), 3), ((5, 5), (3, 3, 3)), ((5, 5), 2.5)]:
        with pytest.raises(WrongSetting):
            visits(size, kernel_size)
    assert torch.equal(visits((5, 5), np.int64(3)), visits((5, 5), 3))


def test_numbers_of_numpy_are_numbers():
    picture, weights = torch.rand(1, 2, 9, 9), random_kernels(3, 3, 1, 2)
    assert torch.equal(random_kernels(np.int64(3), np.int64(3), np.int64(1), np.int64(2)), weights)
    found = convolve(picture, weights, np.int64(2), np.int64(1), np.int64(2))
    assert torch.equal(found, convolve(picture, weights, 2, 1, 2))
    for seed in (-1, "a", 1.5):
        with pytest.raises(WrongSetting, match="seed must be a whole number"):
            random_kernels(1, 3, seed)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_are_convolved_alike(dtype):
    picture = torch.rand(1, 1, 9, 9).to(dtype)
    with torch.inference_mode():
        found = convolve(picture, kernel("blur")[None, None].to(dtype))
    expected = convolve(picture.double(), kernel("blur")[None, None].to(dtype).double())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.01)
