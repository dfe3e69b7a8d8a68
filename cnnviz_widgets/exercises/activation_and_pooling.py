"""The exercises of notebook 02: a bounded function, pooling with any stride, pooling that a shift changes little."""

import numpy as np
import torch

from .. import images
from ..i18n import _
from ..techniques.pooling import pool, relative_change
from ._compare import Wrong, expect_close, numbers
from ._framework import Exercise, Misreading

STEADIER = 0.8  # the change by a shift that is allowed, as a share of that of maximum pooling
CONTRAST = 0.75  # the contrast that must be left, as a share of that of average pooling


# ------------------------------------------------------------------------------------------------- a bounded function
def hard_tanh(x):
    """`x` between -1 and 1, and the nearer of the two beyond."""
    return np.clip(x, -1, 1)


def _check_hard_tanh(answer: object) -> None:
    x = np.array([[-30.0, -1.2, -1.0, -0.6], [0.0, 0.3, 1.0, 2.5]])
    what, expected = _("Your function of [[−30, −1.2, −1, −0.6], [0, 0.3, 1, 2.5]]"), np.clip(x, -1, 1)
    actual = numbers(answer(x.copy()), what)
    if _same(actual, np.tanh(x)):
        raise Wrong(
            _("That is tanh, which bends everywhere: 0.3 becomes 0.29. Between −1 and 1 nothing should change.")
        )
    if _same(actual, np.clip(x, 0, 1)):
        raise Wrong(_("Your function is bounded by 0 and 1; −0.6 should stay −0.6, and −30 become −1."))
    expect_close(actual, expected, what)


def _same(actual: np.ndarray, expected: np.ndarray) -> bool:
    return actual.shape == expected.shape and np.allclose(actual, expected)


def _one_number_at_a_time(x):
    return 1 if x > 1 else -1 if x < -1 else x


def _scaled_into_the_bounds(x):
    return x / np.abs(x).max()


HARD_TANH = Exercise(
    name="hard_tanh",
    question=_("Write an activation function that leaves −1 to 1 as it is, and is bounded by −1 and 1."),
    starter='''def hard_tanh(x):
    """`x` between -1 and 1, and the nearer of the two beyond; `x` is an array."""
    result = ...
    return result


check("activation_and_pooling.hard_tanh", hard_tanh)''',
    solution=hard_tanh,
    check=_check_hard_tanh,
    hints=(
        _("ReLU is np.maximum(x, 0): it does not let anything below 0. You need a floor and a ceiling."),
        _("np.minimum(x, 1) is a ceiling at 1. Put a floor of −1 around it; or look for np.clip."),
    ),
    misreadings=(
        Misreading("takes the smooth function", np.tanh, "That is tanh"),
        Misreading("takes 0 for the floor", lambda x: np.clip(x, 0, 1), "bounded by 0 and 1"),
        Misreading("forgets the floor", lambda x: np.minimum(x, 1), "wrong in 2 of 8 places"),
        Misreading("compares an array with a number", _one_number_at_a_time, "stopped with an error"),
        Misreading("divides by the largest", _scaled_into_the_bounds, "wrong in 6 of 8 places"),
    ),
    praise=_("right: bounded like tanh, and as straight as ReLU in between."),
)


# -------------------------------------------------------------------------------------------- pooling with any stride
def pool_windows(image, size, stride):
    """The largest number of each window of `size` × `size`, which moves by `stride`."""
    rows = (image.shape[0] - size) // stride + 1
    columns = (image.shape[1] - size) // stride + 1
    result = np.zeros((rows, columns))
    for y in range(rows):
        for x in range(columns):
            window = image[y * stride : y * stride + size, x * stride : x * stride + size]
            result[y, x] = window.max()
    return result


def _check_pool_windows(answer: object) -> None:
    generator = np.random.default_rng(2)
    for shape, size, stride in (((6, 8), 2, 2), ((7, 9), 3, 3), ((7, 10), 3, 2), ((9, 8), 2, 4), ((5, 6), 4, 1)):
        image = generator.normal(size=shape)
        what = _("With {h} × {w} pixels, size={size} and stride={stride}, the result").format(
            h=shape[0], w=shape[1], size=size, stride=stride
        )
        actual = numbers(answer(image.copy(), size, stride), what)
        if _same(actual, _pooled(image, size, stride, "average")):
            raise Wrong(_("{what} is the mean of each window, not its largest number.").format(what=what))
        if (
            stride != size
            and np.shape(actual) == _pooled(image, size, size).shape
            and not _fits(actual, shape, size, stride)
        ):
            raise Wrong(_("{what} has the shape that stride={size} would give.").format(what=what, size=size))
        expect_close(actual, _pooled(image, size, stride), what)
        below = _pooled(image - 9, size, stride)
        if _same(numbers(answer(image - 9, size, stride), what), np.maximum(below, 0)):
            raise Wrong(_("Where all numbers are negative, the largest is negative as well; yours is 0."))
        expect_close(answer(image - 9, size, stride), below, what)


def _fits(actual: object, shape: tuple[int, int], size: int, stride: int) -> bool:
    return np.shape(actual) == tuple((side - size) // stride + 1 for side in shape)


def _pooled(image: np.ndarray, size: int, stride: int, kind: str = "max") -> np.ndarray:
    return pool(torch.from_numpy(image)[None, None], size, stride, kind)[0, 0].numpy()


def _by_size_only(image, size, stride):
    return pool_windows(image, size, size)


def _incomplete_windows(image, size, stride):
    starts = [range(0, side, stride) for side in image.shape]
    return np.array([[image[y : y + size, x : x + size].max() for x in starts[1]] for y in starts[0]])


def _from_zero(image, size, stride):
    return np.maximum(pool_windows(image, size, stride), 0)


def _smallest(image, size, stride):
    return -pool_windows(-image, size, stride)


POOL_WINDOWS = Exercise(
    name="pool_windows",
    question=_("Write maximum pooling with loops, for windows of any size that move by any stride."),
    starter='''def pool_windows(image, size, stride):
    """The largest number of each window of `size` × `size`, which moves by `stride`."""
    result = ...
    return result


check("activation_and_pooling.pool_windows", pool_windows)''',
    solution=pool_windows,
    check=_check_pool_windows,
    hints=(
        _("The loops are those of a convolution, with the maximum in place of the sum of products."),
        _("There are (side - size) // stride + 1 windows along a side; the last pixels may belong to none."),
        _("The window of the result at [y, x] begins at row y * stride and column x * stride, and is `size` long."),
    ),
    misreadings=(
        Misreading("ignores the stride", _by_size_only, "the shape that stride=3 would give"),
        Misreading("counts windows that stick out", _incomplete_windows, r"has shape \(4, 5\)|has shape"),
        Misreading("starts every maximum at 0", _from_zero, "wrong in|the largest is negative as well"),
        Misreading("takes the smallest", _smallest, "wrong in"),
        Misreading(
            "takes the mean",
            lambda image, size, stride: _pooled(image, size, stride, "average"),
            "the mean of each window",
        ),
    ),
    praise=_("right for every size and stride that was tried, and for negative numbers."),
)


# -------------------------------------------------------------------------------- pooling that a shift changes little
def steady_pool(image):
    """Half of each side of `image`, and little changed when the image moves by a pixel."""
    corners = [np.roll(image, (-i, -j), (0, 1)) for i in (0, 1) for j in (0, 1)]
    result = np.maximum.reduce(corners)  # the maximum of each 2 × 2, at every pixel
    for axis in (0, 1):  # blurred, and only then …
        result = (np.roll(result, 1, axis) + 2 * result + np.roll(result, -1, axis)) / 4
    return result[::2, ::2]  # … every second one


def _check_steady_pool(answer: object) -> None:
    _check_blank(answer)
    _check_place(answer)
    for name in ("cat", "grass"):
        image = images.greyscale(images.load(name))
        still, largest, mean = _halved(answer, image), _pooled(image, 2, 2), _pooled(image, 2, 2, "average")
        contrast = still.std() / mean.std()
        if contrast < CONTRAST:
            message = _(
                "Your result for the picture {name!r} is steady because it is blurred: it keeps {share:.0%} of the "
                "contrast of average pooling, and at least {least:.0%} should be left."
            )
            raise Wrong(message.format(name=name, share=contrast, least=CONTRAST))
        for shift in ((0, 1), (1, 0)):
            moved = np.roll(image, shift, (0, 1))
            change = _change(still, _halved(answer, moved)) / _change(largest, _pooled(moved, 2, 2))
            if change > STEADIER:
                message = _(
                    "A shift of the picture {name!r} by one pixel changes your result by {share:.0%} of what it "
                    "changes after maximum pooling; at most {most:.0%} are allowed."
                )
                raise Wrong(message.format(name=name, share=change, most=STEADIER))


def _halved(answer: object, image: np.ndarray) -> np.ndarray:
    """The reader's result for `image`, if it is an array of numbers of half its sides."""
    result = numbers(answer(image.copy()), _("Your result"))
    expected = (image.shape[0] // 2, image.shape[1] // 2)
    if result.shape != expected:
        message = _("A picture of shape {shape} should become {expected}, half of each side; yours has shape {actual}.")
        raise Wrong(message.format(shape=image.shape, expected=expected, actual=result.shape))
    if not np.isfinite(result).all():
        raise Wrong(_("Your result holds values that are not numbers (nan or inf)."))
    return result


def _check_blank(answer: object) -> None:
    """A picture of one brightness keeps it: this refuses zeros, factors and offsets."""
    for brightness in (0.25, 1.0):
        result = _halved(answer, np.full((16, 20), brightness, np.float32))
        if not np.allclose(result, brightness, atol=1e-3):
            message = _(
                "A picture that is {brightness} everywhere should stay so; yours goes from {low:.3g} to {high:.3g}."
            )
            raise Wrong(message.format(brightness=brightness, low=result.min(), high=result.max()))


def _check_place(answer: object) -> None:
    """A bright square stays where it was: this refuses what is flipped, moved, or the same for every picture."""
    image = np.zeros((48, 64), np.float32)
    image[6:18, 10:22] = 1
    result = _halved(answer, image)
    if np.ptp(result) < 0.5:
        raise Wrong(_("A white square on black should still be seen; your result is nearly the same everywhere."))
    rows, columns = np.indices(result.shape)
    place = [(axis * result).sum() / result.sum() for axis in (rows, columns)]
    if not np.allclose(place, (5.5, 7.5), atol=0.6):
        message = _(
            "A white square around row 5.5 and column 7.5 of the halved picture is around row {row:.1f} and column "
            "{column:.1f} of yours: is your result flipped or moved?"
        )
        raise Wrong(message.format(row=place[0] + 0.0, column=place[1] + 0.0))


def _change(before: np.ndarray, after: np.ndarray) -> float:
    return relative_change(torch.from_numpy(before), torch.from_numpy(after))


def _blurred_away(image):
    for axis in (0, 1):
        image = np.mean([np.roll(image, by, axis) for by in range(-4, 5)], axis=0)
    return image[::2, ::2]


def _averages(image):
    return image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).mean(axis=(1, 3))


def _largest(image):
    return image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).max(axis=(1, 3))


def _blur_after_halving(image):
    return sum(np.roll(_largest(image), by, 1) for by in (0, 2, 4)) / 3


STEADY_POOL = Exercise(
    name="steady_pool",
    question=_("Halve a picture so that a shift by one pixel changes the result less than maximum pooling does."),
    starter='''def steady_pool(image):
    """Half of each side of `image`, and little changed when the image moves by a pixel."""
    result = ...
    return result


check("activation_and_pooling.steady_pool", steady_pool)''',
    solution=steady_pool,
    check=_check_steady_pool,
    hints=(
        _("Maximum pooling is two steps: the maximum of every window, one pixel apart, and then every second of them."),
        _("The first step moves with the picture. It is the second that loses: look at what stands between the two."),
        _("Blur before you leave pixels out: np.roll moves a picture, and (left + 2 · middle + right) / 4 is a blur."),
        _("Blur along both axes with weights 1/4, 1/2, 1/4, and then take [::2, ::2]."),
    ),
    misreadings=(
        Misreading("maximum pooling", _largest, "by 100% of what it changes after maximum pooling"),
        Misreading("average pooling", _averages, "changes your result by 8.% of"),
        Misreading("every second pixel", lambda image: image[::2, ::2], "changes your result by 1..% of"),
        Misreading("zero everywhere", lambda image: 0 * _largest(image), "should stay so; yours goes from 0 to 0"),
        Misreading(
            "the mean everywhere", lambda image: 0 * _largest(image) + image.mean(), "nearly the same everywhere"
        ),
        Misreading("blurs nearly everything away", _blurred_away, "because it is blurred"),
        Misreading("moves the picture", _blur_after_halving, "flipped or moved"),
        Misreading("does not halve", lambda image: image, "half of each side"),
    ),
    praise=_("right: half the size, most of the contrast, and steadier than maximum pooling."),
)

EXERCISES = (HARD_TANH, POOL_WINDOWS, STEADY_POOL)
