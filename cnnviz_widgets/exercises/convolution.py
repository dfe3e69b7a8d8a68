"""The exercises of notebook 01: a kernel that moves the picture, padding and stride in loops, a finder of eyes."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import images
from ..i18n import _
from ..techniques.convolution import convolve, kernel
from ._compare import expect_close, numbers, require
from ._exercise import Case, Exercise, Misreading, case

LARGEST = 61  # pixels of a side of the eye finder
EYES = ((123, 145), (146, 302))  # row and column of their middles in the cat of 320 × 400
NEAR = 30  # pixels from the middle of an eye that still count as the eye


# ---------------------------------------------------------------------------------------------------- moving a picture
def _check_shift(answer: object) -> None:
    expected = np.zeros((5, 5))
    expected[2, 0] = 1
    moved = numbers(answer, _("Your kernel"))
    if moved.shape == expected.shape and moved.sum() == 1 and (moved != 0).sum() == 1:
        right, down = 2 - np.argwhere(moved)[0][::-1]
        where = _way(right, down)
        require((right, down) == (2, 0), _("This kernel moves the picture {where}, not 2 to the right."), where=where)
    expect_close(moved, expected, _("Your kernel"))


def _way(right: int, down: int) -> str:
    across = (_("{n} to the right") if right > 0 else _("{n} to the left")).format(n=abs(right))
    along = (_("{n} down") if down > 0 else _("{n} up")).format(n=abs(down))
    return _(" and ").join(way for way, steps in ((across, right), (along, down)) if steps) or _("nowhere")


def _one_at(row: int, column: int) -> np.ndarray:
    weights = np.zeros((5, 5))
    weights[row, column] = 1
    return weights


SHIFT = Exercise(
    name="shift",
    question=_("Write a 5 × 5 kernel that moves the picture two pixels to the right."),
    starter="""shift = ...  # a 5 × 5 array of numbers

check("convolution.shift", shift)""",
    solution="""shift = np.zeros((5, 5))
shift[2, 0] = 1  # each response is the pixel two places to the left of its window's middle""",
    check=_check_shift,
    hints=(
        _("One weight of the kernel is 1, and all others are 0: each response is a copy of one pixel."),
        _("If the picture moves right, the pixel that you now see at x was at x - 2 before."),
        _("The middle of the kernel is its row 2, column 2. The 1 belongs in the middle row, at the far left."),
    ),
    misreadings=(
        Misreading("thinks of the flipped kernel of mathematics", _one_at(2, 4), "2 to the left"),
        Misreading("takes rows for columns", _one_at(0, 2), "2 down"),
        Misreading("moves by one only", _one_at(2, 1), "1 to the right"),
        Misreading("does not move at all", _one_at(2, 2), "nowhere"),
        Misreading("a kernel of another size", np.eye(3), "has shape"),
    ),
    praise=_("right: a kernel with a single 1 moves the picture, and the 1 sits on the side that it looks to."),
)


# ----------------------------------------------------------------------------------------- padding and stride in loops
def slide_padded(image, kernel, stride=1, padding=0):
    """Slide `kernel` over `image` with `padding` zeros on every side, `stride` pixels at a time."""
    image = np.pad(image, padding)
    rows = (image.shape[0] - kernel.shape[0]) // stride + 1
    columns = (image.shape[1] - kernel.shape[1]) // stride + 1
    response = np.zeros((rows, columns))
    for y in range(rows):
        for x in range(columns):
            for i in range(kernel.shape[0]):
                for j in range(kernel.shape[1]):
                    response[y, x] += image[y * stride + i, x * stride + j] * kernel[i, j]
    return response


def _response(image, kernel, stride, padding):
    inputs, filters = (torch.from_numpy(values)[None, None] for values in (image, kernel))
    return convolve(inputs, filters, stride, padding)[0, 0]


def _slides() -> Iterator[Case]:
    generator = np.random.default_rng(0)
    words = _("With a kernel of {kernel.shape[0]} × {kernel.shape[1]}, stride={stride} and padding={padding}")
    for shape, stride, padding in (((3, 3), 1, 0), ((3, 3), 1, 1), ((3, 3), 2, 0), ((2, 4), 3, 2)):
        image, weights = generator.normal(size=(7, 9)), generator.normal(size=shape)
        yield case(words, image, weights, stride=stride, padding=padding)


def _stride_only_in_size(image, kernel, stride, padding):
    full = slide_padded(image, kernel, 1, padding)
    small = slide_padded(image, kernel, stride, padding)
    return full[: small.shape[0], : small.shape[1]]


PADDED = Exercise(
    name="slide_padded",
    question=_("Teach the loops of this notebook padding and stride."),
    starter='''def slide_padded(image, kernel, stride=1, padding=0):
    """Slide `kernel` over `image` with `padding` zeros on every side, `stride` pixels at a time."""
    response = ...
    return response


check("convolution.slide_padded", slide_padded)''',
    solution=slide_padded,
    cases=tuple(_slides()),
    right=_response,
    gives=_("the response"),
    hints=(
        _("Put the zeros around the picture first; from then on nothing else has to know of them."),
        _("np.pad(image, padding) adds zeros on all four sides. The response's size follows from the padded picture."),
        _("The window of the response at [y, x] begins at row y * stride and column x * stride of the padded picture."),
    ),
    misreadings=(
        Misreading(
            "leaves the padding out",
            lambda image, kernel, stride, padding: slide_padded(image, kernel, stride),
            _("{case}, you leave the zeros around the picture out."),
        ),
        Misreading(
            "pads at the top and the left only",
            lambda image, kernel, stride, padding: slide_padded(
                np.pad(image, ((padding, 0), (padding, 0))), kernel, stride
            ),
            _("{case}, you put zeros above and at the left; they belong on all four sides."),
        ),
        Misreading(
            "flips the kernel",
            lambda image, kernel, stride, padding: slide_padded(image, np.flip(kernel), stride, padding),
            _("{case}, the response is that of the kernel turned by 180 degrees."),
        ),
        Misreading(
            "repeats the edge instead of zeros",
            lambda image, kernel, stride, padding: slide_padded(np.pad(image, padding, "edge"), kernel, stride),
            _("{case}, you repeat the pixels of the edge; the padding asked for is zeros."),
        ),
        Misreading(
            "uses stride for the size only",
            _stride_only_in_size,
            _("{case}, the response has the right size, but its windows are 1 apart: where does each of them begin?"),
        ),
    ),
    praise=_("right, with every stride, padding and shape of kernel that was tried."),
)


# ------------------------------------------------------------------------------------------------------- finding eyes
def _check_eye_finder(answer: object) -> None:
    weights = _kernel_of(answer)
    picture = images.to_tensor(images.load("cat"))
    mirrored_eyes = tuple((row, picture.shape[3] - 1 - column) for row, column in EYES)
    no_eye = _(
        "In {title} one of your two strongest responses is at row {row}, column {column}. "
        "That is no eye: what do the eyes have that this place has not?"
    )
    for title, inputs, eyes in (
        (_("the picture"), picture, EYES),
        (_("the mirrored picture"), picture.flip(-1), mirrored_eyes),
    ):
        for row, column in strongest(convolve(inputs, weights)[0, 0], weights.shape[-1] // 2):
            near = any(np.hypot(row - y, column - x) <= NEAR for y, x in eyes)
            require(near, no_eye, title=title, row=row, column=column)


def _kernel_of(answer: object) -> Tensor:
    weights = torch.from_numpy(numbers(answer, _("Your filter"))).float()
    shape = tuple(weights.shape)
    wrong_shape = _(
        "Your filter has shape {shape}, but should have (3, n, n) with n from 1 to {largest}: one n × n kernel "
        "for each colour."
    )
    fits = len(shape) == 3 and shape == (3, shape[1], shape[1]) and 1 <= shape[1] <= LARGEST
    require(fits, wrong_shape, shape=shape, largest=LARGEST)
    usable = weights.isfinite().all() and weights.any()
    require(usable, _("Your filter needs numbers that are finite and not all zero."))
    return weights[None]


def strongest(response: Tensor, middle: int, count: int = 2, apart: int = 40) -> list[tuple[int, int]]:
    """Row and column of the windows of the `count` strongest responses, more than `apart` pixels from each other.

    `response` is [rows, columns]; `middle` is half the size of the kernel, and turns a window's corner into its middle.
    """
    left, found = response.clone(), []
    for _place in range(count):
        row, column = divmod(int(left.argmax()), left.shape[1])
        left[max(row - apart, 0) : row + apart + 1, max(column - apart, 0) : column + apart + 1] = -torch.inf
        found.append((row + middle, column + middle))
    return found


def _eye_cut_out() -> Tensor:
    cut = images.to_tensor(images.load("cat"))[0, :, 103:144, 125:166]
    return cut - cut.mean()


EYE_FINDER = Exercise(
    name="eye_finder",
    question=_("Design a filter whose two strongest responses are the cat's eyes, in the mirrored picture as well."),
    starter="""eye_finder = ...  # numbers of shape (3, n, n): an n × n kernel for red, for green and for blue

check("convolution.eye_finder", eye_finder)""",
    solution="""eye_finder = np.zeros((3, 15, 15))
eye_finder[0] = -1  # nothing on this cat is as little red …
eye_finder[1] = +1  # … and as green as its eyes""",
    check=_check_eye_finder,
    hints=(
        _("An eye cut out of the picture has a shape and a slant, and the mirrored eye slants the other way."),
        _("What sets the eyes apart from fur, nose and background in both pictures? Look at colour."),
        _("Positive weights on the colour that you want, negative ones on the colour that you do not want."),
        _("Weights that are the same all over the window average what is below it: one number per colour will do."),
    ),
    misreadings=(
        Misreading("an eye cut from the picture, less its mean", _eye_cut_out(), "In the mirrored picture .* no eye"),
        Misreading("brightness: the white chin wins", kernel("blur", 9).expand(3, 9, 9), "In the picture .* no eye"),
        Misreading("green alone: white is green, too", F.pad(torch.ones(1, 9, 9), (0, 0, 0, 0, 1, 1)), "no eye"),
        Misreading("one channel only", np.ones((9, 9)), r"should have \(3, n, n\)"),
    ),
    also_right=("scaled",),
    praise=_("right: both eyes, in the picture and in its mirror image."),
)

EXERCISES = (SHIFT, PADDED, EYE_FINDER)
