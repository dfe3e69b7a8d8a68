"""The exercises of notebook 06: what a perplexity is, how good a map is, and a map that hides a size."""

import numpy as np

from ..i18n import _
from ..techniques.embedding import neighbour_accuracy, tsne
from ._compare import Wrong, expect_close, numbers
from ._framework import Exercise, Misreading


# ------------------------------------------------------------------------------------------- 1: what a perplexity is
def perplexity(shares):
    """2 to the power of the entropy, in bits, of `shares`, which add up to 1."""
    some = shares[shares > 0]  # a share of 0 adds nothing
    bits = -(some * np.log2(some)).sum()
    return 2**bits


def _natural(shares):
    some = shares[shares > 0]
    return 2 ** -(some * np.log(some)).sum()


def _entropy(shares):
    some = shares[shares > 0]
    return -(some * np.log2(some)).sum()


def _check_perplexity(answer: object) -> None:
    cases = {
        _("five equal shares"): [0.2] * 5,
        _("the shares 1/2, 1/4, 1/8, 1/8"): [0.5, 0.25, 0.125, 0.125],
        _("the shares 0.7, 0.2, 0.1"): [0.7, 0.2, 0.1],
        _("the shares 1/2, 1/2, 0, 0"): [0.5, 0.5, 0, 0],
    }
    for what, shares in cases.items():
        shares = np.array(shares)
        named = _("The perplexity of {what}").format(what=what)
        result, right = numbers(answer(shares.copy()), named), perplexity(shares)
        message = None
        if np.ndim(result) == 0 and not np.isfinite(float(result)):
            message = _(
                "For {what} your function gives {result}: the logarithm of 0 is no number. Leave shares of 0 out."
            )
        elif np.ndim(result) == 0 and np.isclose(float(result), _natural(shares)):
            message = _("For {what} your function gives {result:.3f}: a power of 2 goes with the logarithm to base 2.")
        elif np.ndim(result) == 0 and np.isclose(float(result), _entropy(shares)):
            message = _("For {what} your function gives {result:.3f}, which is the entropy: raise 2 to its power.")
        if message:
            raise Wrong(message.format(what=what, result=float(result)))
        expect_close(result, right, named)


PERPLEXITY = Exercise(
    name="perplexity",
    question=_("Among how many neighbours is attention shared? Compute the perplexity of shares that add up to 1."),
    starter='''def perplexity(shares):
    """2 to the power of the entropy, in bits, of `shares`, which add up to 1."""
    bits = ...
    return bits


check("tsne.perplexity", perplexity)''',
    solution=perplexity,
    check=_check_perplexity,
    hints=(
        _("The entropy is minus the sum of share times logarithm of share. In bits, the logarithm is np.log2."),
        _("A share of 0 adds nothing, but its logarithm is minus infinity: take shares[shares > 0] first."),
        _("The last step is 2 ** bits. For five equal shares that makes 5."),
    ),
    misreadings=(
        Misreading("takes the natural logarithm", _natural, "base 2"),
        Misreading("stops at the entropy", _entropy, "raise 2"),
        Misreading("stumbles over a share of 0", lambda shares: 2 ** -(shares * np.log2(shares)).sum(), "Leave shares"),
        Misreading("counts the shares", lambda shares: float((shares > 0).sum()), "too large"),
    ),
    praise=_("right: equal shares among k neighbours have the perplexity k, and unequal ones less."),
)


# --------------------------------------------------------------------------------------------- 2: how good a map is
def nearest_agree(codes, labels):
    """The share of `codes` [N, D] whose nearest other code has the same label of `labels` [N]."""
    apart = ((codes[:, None] - codes[None]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)  # nobody is their own neighbour
    nearest = apart.argmin(1)
    return (labels[nearest] == labels).mean()


def _own_neighbour(codes, labels):
    apart = ((codes[:, None] - codes[None]) ** 2).sum(2)
    return (labels[apart.argmin(1)] == labels).mean()


def _all_pairs(codes, labels):
    same = labels[:, None] == labels[None]
    np.fill_diagonal(same, False)
    return same.sum() / (len(labels) * (len(labels) - 1))


def _by_centre(codes, labels):
    kinds = np.unique(labels)
    centres = np.stack([codes[labels == kind].mean(0) for kind in kinds])
    apart = ((codes[:, None] - centres[None]) ** 2).sum(2)
    return (kinds[apart.argmin(1)] == labels).mean()


def _one_axis(codes, labels):
    return nearest_agree(codes[:, :1], labels)


def _cases() -> list[tuple[np.ndarray, np.ndarray]]:
    numbers = np.random.default_rng(6)
    cases = []
    for count, width in ((40, 2), (60, 7)):
        labels = numbers.integers(0, 3, count)
        ring = np.stack([labels == 1, labels == 2], 1) * 1.5
        codes = numbers.normal(size=(count, width))
        codes[:, :2] += ring
        cases.append((codes, labels))
    return cases


def _check_nearest_agree(answer: object) -> None:
    for codes, labels in _cases():
        what = _("The share for {count} codes of {width} numbers").format(count=len(codes), width=codes.shape[1])
        result, right = numbers(answer(codes.copy(), labels.copy()), what), neighbour_accuracy(codes, labels)
        if np.ndim(result) == 0 and float(result) == 1:
            raise Wrong(_("Everyone is their own nearest neighbour in your answer: their distance to themselves is 0."))
        if np.ndim(result) == 0 and np.isclose(float(result), _all_pairs(codes, labels)):
            raise Wrong(_("That counts every pair; only the nearest other code is asked."))
        if np.ndim(result) == 0 and np.isclose(float(result), _by_centre(codes, labels)):
            raise Wrong(_("That asks the centres of the classes; ask the nearest other code."))
        expect_close(result, right, what)


NEAREST_AGREE = Exercise(
    name="nearest_agree",
    question=_("How many points have a nearest neighbour of their own class? Measure a map without looking at it."),
    starter='''def nearest_agree(codes, labels):
    """The share of `codes` [N, D] whose nearest other code has the same label of `labels` [N]."""
    share = ...
    return share


check("tsne.nearest_agree", nearest_agree)''',
    solution=nearest_agree,
    check=_check_nearest_agree,
    hints=(
        _("codes[:, None] - codes[None] holds all differences, of shape [N, N, D]. Square and sum over the last axis."),
        _("Put np.inf on the diagonal with np.fill_diagonal, so that nobody is their own neighbour."),
        _("apart.argmin(1) is the nearest of each; labels[…] is its label. The mean of a comparison is a share."),
    ),
    misreadings=(
        Misreading("takes everyone for their own neighbour", _own_neighbour, "their own nearest"),
        Misreading("counts every pair", _all_pairs, "every pair"),
        Misreading("asks the centres of the classes", _by_centre, "centres"),
        Misreading("looks along one axis", _one_axis, "too small|too large"),
    ),
    praise=_("right: the same function measures codes of any length, and maps of two numbers."),
)

# -------------------------------------------------------------------------------------------- 3: a map hides a size
HALF = 100
WIDER = 10.0  # the spread of the first cloud, as a multiple of that of the second
ALIKE = 1.7  # the spreads on the map, as a multiple of each other


def spread(points: np.ndarray) -> float:
    """The root mean square distance of points `[N, D]` from their centre."""
    return float(np.sqrt(((points - points.mean(0)) ** 2).sum(1).mean()))


def _check_two_clouds(answer: object) -> None:
    expect_shape = (2 * HALF,)
    clouds = numbers(answer, _("Your array"))
    if clouds.ndim != 2 or clouds.shape[:1] != expect_shape or clouds.shape[1] < 2:
        message = _("Give an array of shape [200, D] with D of at least 2, not {shape}.")
        raise Wrong(message.format(shape=clouds.shape))
    if not np.isfinite(clouds).all():
        raise Wrong(_("Your clouds hold values that are not numbers (nan or inf)."))
    first, second = spread(clouds[:HALF]), spread(clouds[HALF:])
    if len(np.unique(clouds, axis=0)) < 2 * HALF:
        raise Wrong(_("Some of your points are the same: draw 200 different ones."))
    if first < WIDER * second:
        message = _(
            "The first cloud should be at least {wider:g} times as wide as the second; yours is {ratio:.2g} times."
        )
        raise Wrong(message.format(wider=WIDER, ratio=first / second))
    labels = np.repeat([0, 1], HALF)
    if neighbour_accuracy(clouds, labels) < 1:
        raise Wrong(
            _("The clouds overlap: some points have their nearest neighbour in the other cloud. Move them apart.")
        )
    points = tsne(clouds, 20, progress=False).points.numpy()
    if neighbour_accuracy(points, labels) < 1:
        raise Wrong(_("On the map the two clouds run into each other. Move them further apart."))
    ratio = spread(points[:HALF]) / spread(points[HALF:])
    if not 1 / ALIKE < ratio < ALIKE:
        message = _(
            "On the map the first cloud is still {ratio:.2g} times as wide as the second; within {alike:g} is wanted."
        )
        raise Wrong(message.format(ratio=ratio, alike=ALIKE))


_numbers = np.random.default_rng(1)
_one_cloud = _numbers.normal(size=(200, 10))

TWO_CLOUDS = Exercise(
    name="two_clouds",
    question=_("Make two clouds, one ten times as wide as the other, that look equally large on a t-SNE map."),
    starter="""clouds = ...  # [200, D]: the wide cloud first, 100 points each

check("tsne.two_clouds", clouds)""",
    solution="""numbers = np.random.default_rng(0)
wide = 15 * numbers.normal(size=(100, 10))
narrow = numbers.normal(size=(100, 10)) + 200  # in a place of its own
clouds = np.concatenate([wide, narrow])""",
    check=_check_two_clouds,
    hints=(
        _("np.random.default_rng(0).normal(size=(100, 10)) is a cloud; times 15 it is 15 times as wide."),
        _("Add a number to one of them, so that the clouds do not overlap, and put them together by np.concatenate."),
        _("Nothing more is needed: each point gets a bell of its own width, so t-SNE does not keep sizes."),
    ),
    misreadings=(
        Misreading("one cloud, twice", _one_cloud, "at least 10 times as wide"),
        Misreading(
            "one cloud inside the other", np.concatenate([15 * _one_cloud[:100], _one_cloud[100:]]), "overlap|into each"
        ),
        Misreading("the narrow cloud first", np.concatenate([_one_cloud[:100], 15 * _one_cloud[100:] + 300]), "times"),
        Misreading("too few points", _one_cloud[:50], "shape"),
    ),
    also_right=("shifted", "scaled"),
    praise=_("right: ten times as wide, and nobody could tell from the map."),
)

EXERCISES = (PERPLEXITY, NEAREST_AGREE, TWO_CLOUDS)
