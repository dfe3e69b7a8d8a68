"""The exercises of notebook 02: a bounded function, pooling with any stride, pooling that a shift changes little."""

from collections.abc import Iterator

import numpy as np
import torch

from .. import images
from ..i18n import _
from ..techniques.pooling import pool, relative_change
from ._compare import numbers, require
from ._exercise import Case, Exercise, Misreading, case

STEADIER = 0.8  # the change by a shift that is allowed, as a share of that of maximum pooling
CONTRAST = 0.75  # the contrast that must be left, as a share of that of average pooling


# ------------------------------------------------------------------------------------------------- a bounded function
def hard_tanh(x):
    """`x` between -1 and 1, and the nearer of the two beyond."""
    return np.clip(x, -1, 1)


def _one_number_at_a_time(x):
    return 1 if x > 1 else -1 if x < -1 else x


HARD_TANH = Exercise(
    name="hard_tanh",
    question=_("Write an activation function that leaves −1 to 1 as it is, and is bounded by −1 and 1."),
    starter='''def hard_tanh(x):
    """`x` between -1 and 1, and the nearer of the two beyond; `x` is an array."""
    result = ...
    return result


check("activation_and_pooling.hard_tanh", hard_tanh)''',
    solution=hard_tanh,
    cases=(
        case(_("For [−30, −1.2, −1, −0.6]"), np.array([-30.0, -1.2, -1.0, -0.6])),
        case(_("For [[0, 0.3], [1, 2.5]]"), np.array([[0.0, 0.3], [1.0, 2.5]])),
    ),
    gives=_("your result"),
    hints=(
        _("ReLU is np.maximum(x, 0): it does not let anything below 0. You need a floor and a ceiling."),
        _("np.minimum(x, 1) is a ceiling at 1. Put a floor of −1 around it; or look for np.clip."),
    ),
    misreadings=(
        Misreading(
            "the smooth function", np.tanh, _("That is tanh, which bends everywhere: even 0.3 should stay 0.3.")
        ),
        Misreading(
            "a floor of 0", lambda x: np.clip(x, 0, 1), _("Yours is bounded by 0 and 1; −0.6 should stay −0.6.")
        ),
        Misreading(
            "no floor", lambda x: np.minimum(x, 1), _("Your function has a ceiling and no floor: −30 should become −1.")
        ),
        Misreading(
            "compares an array with a number",
            _one_number_at_a_time,
            _("x is an array: an if cannot ask all of its numbers at once. Look for a function of NumPy that can."),
        ),
        Misreading(
            "divides by the largest",
            lambda x: x / np.abs(x).max(),
            _("You divide by the largest value, so that all others shrink as well: 0.3 should stay 0.3."),
        ),
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


def _windows() -> Iterator[Case]:
    generator = np.random.default_rng(2)
    words = _("With {image.shape[0]} × {image.shape[1]} pixels, size={size} and stride={stride}")
    for shape, size, stride in (((6, 8), 2, 2), ((7, 9), 3, 3), ((7, 10), 3, 2), ((9, 8), 2, 4), ((5, 6), 4, 1)):
        image = generator.normal(size=shape)
        yield case(words, image, size, stride)
        yield case(_("With negative numbers alone, size={size} and stride={stride}"), image - 9, size, stride)


def _pooled(image: np.ndarray, size: int, stride: int, kind: str = "max") -> np.ndarray:
    return pool(torch.from_numpy(image)[None, None], size, stride, kind)[0, 0].numpy()


def _incomplete_windows(image, size, stride):
    starts = [range(0, side, stride) for side in image.shape]
    return np.array([[image[y : y + size, x : x + size].max() for x in starts[1]] for y in starts[0]])


POOL_WINDOWS = Exercise(
    name="pool_windows",
    question=_("Write maximum pooling with loops, for windows of any size that move by any stride."),
    starter='''def pool_windows(image, size, stride):
    """The largest number of each window of `size` × `size`, which moves by `stride`."""
    result = ...
    return result


check("activation_and_pooling.pool_windows", pool_windows)''',
    solution=pool_windows,
    cases=tuple(_windows()),
    right=_pooled,
    gives=_("the result"),
    hints=(
        _("The loops are those of a convolution, with the maximum in place of the sum of products."),
        _("There are (side - size) // stride + 1 windows along a side; the last pixels may belong to none."),
        _("The window of the result at [y, x] begins at row y * stride and column x * stride, and is `size` long."),
    ),
    misreadings=(
        Misreading(
            "ignores the stride",
            lambda image, size, stride: pool_windows(image, size, size),
            _("{case}, the result is that of stride={size}."),
        ),
        Misreading(
            "counts windows that stick out",
            _incomplete_windows,
            _("{case}, some of your windows stick out of the picture; only whole ones count."),
        ),
        Misreading(
            "starts every maximum at 0",
            lambda image, size, stride: np.maximum(pool_windows(image, size, stride), 0),
            _("Where all numbers of a window are negative, the largest is negative as well; yours is 0."),
        ),
        Misreading(
            "takes the smallest",
            lambda image, size, stride: -pool_windows(-image, size, stride),
            _("{case}, the result is the smallest number of each window, not its largest."),
        ),
        Misreading(
            "takes the mean",
            lambda image, size, stride: _pooled(image, size, stride, "average"),
            _("{case}, the result is the mean of each window, not its largest number."),
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
    blurred = _(
        "Your result for the picture {name!r} is steady because it is blurred: it keeps {share:.0%} of the "
        "contrast of average pooling, and at least {least:.0%} should be left."
    )
    restless = _(
        "A shift of the picture {name!r} by one pixel changes your result by {share:.0%} of what it "
        "changes after maximum pooling; at most {most:.0%} are allowed."
    )
    for name in ("cat", "grass"):
        image = images.greyscale(images.load(name))
        result, largest, mean = _halved(answer, image), _pooled(image, 2, 2), _pooled(image, 2, 2, "average")
        contrast = result.std() / mean.std()
        require(contrast >= CONTRAST, blurred, name=name, share=contrast, least=CONTRAST)
        for shift in ((0, 1), (1, 0)):
            moved = np.roll(image, shift, (0, 1))
            change = _change(result, _halved(answer, moved)) / _change(largest, _pooled(moved, 2, 2))
            require(change <= STEADIER, restless, name=name, share=change, most=STEADIER)


def _halved(answer: object, image: np.ndarray) -> np.ndarray:
    """The reader's result for `image`, if it is an array of numbers of half its sides."""
    result = numbers(answer(image.copy()), _("Your result"))
    half = (image.shape[0] // 2, image.shape[1] // 2)
    message = _("A picture of shape {shape} should become {half}, half of each side; yours has shape {actual}.")
    require(result.shape == half, message, shape=image.shape, half=half, actual=result.shape)
    require(np.isfinite(result).all(), _("Your result holds values that are not numbers (nan or inf)."))
    return result


def _check_blank(answer: object) -> None:
    """A picture of one brightness keeps it: this refuses zeros, factors and offsets."""
    message = _("A picture that is {brightness} everywhere should stay so; yours goes from {low:.3g} to {high:.3g}.")
    for brightness in (0.25, 1.0):
        result = _halved(answer, np.full((16, 20), brightness, np.float32))
        stays = np.allclose(result, brightness, atol=1e-3)
        require(stays, message, brightness=brightness, low=result.min(), high=result.max())


def _check_place(answer: object) -> None:
    """A bright square stays where it was: this refuses what is flipped, moved, or the same for every picture."""
    image = np.zeros((48, 64), np.float32)
    image[6:18, 10:22] = 1
    result = _halved(answer, image)
    even = _("A white square on black should still be seen; your result is nearly the same everywhere.")
    require(np.ptp(result) >= 0.5, even)
    row, column = ((axis * result).sum() / result.sum() + 0.0 for axis in np.indices(result.shape))
    moved = _(
        "A white square around row 5.5 and column 7.5 of the halved picture is around row {row:.1f} and column "
        "{column:.1f} of yours: is your result flipped or moved?"
    )
    require(np.allclose((row, column), (5.5, 7.5), atol=0.6), moved, row=row, column=column)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    return relative_change(torch.from_numpy(before), torch.from_numpy(after))


def _blurred_away(image):
    for axis in (0, 1):
        image = np.mean([np.roll(image, by, axis) for by in range(-4, 5)], axis=0)
    return image[::2, ::2]


def _blur_after_halving(image):
    return sum(np.roll(_pooled(image, 2, 2), by, 1) for by in (0, 2, 4)) / 3


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
        Misreading(
            "maximum pooling", lambda image: _pooled(image, 2, 2), "by 100% of what it changes after maximum pooling"
        ),
        Misreading("average pooling", lambda image: _pooled(image, 2, 2, "average"), "changes your result by 8.% of"),
        Misreading("every second pixel", lambda image: image[::2, ::2], "changes your result by 1..% of"),
        Misreading("zero everywhere", lambda image: 0 * image[::2, ::2], "should stay so; yours goes from 0 to 0"),
        Misreading(
            "the mean everywhere", lambda image: 0 * image[::2, ::2] + image.mean(), "nearly the same everywhere"
        ),
        Misreading("blurs nearly everything away", _blurred_away, "because it is blurred"),
        Misreading("moves the picture", _blur_after_halving, "flipped or moved"),
        Misreading("does not halve", lambda image: image, "half of each side"),
    ),
    praise=_("right: half the size, most of the contrast, and steadier than maximum pooling."),
)

EXERCISES = (HARD_TANH, POOL_WINDOWS, STEADY_POOL)
