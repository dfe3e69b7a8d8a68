"""The exercises of notebook 06: what a perplexity is, how good a map is, and a map that hides a size."""

from collections.abc import Iterator

import numpy as np

from ..i18n import _
from ..techniques.embedding import neighbour_accuracy, tsne
from ._compare import numbers, require
from ._exercise import Case, Exercise, Misreading, case


# ------------------------------------------------------------------------------------------- 1: what a perplexity is
def perplexity(shares):
    """2 to the power of the entropy, in bits, of `shares`, which add up to 1."""
    some = shares[shares > 0]  # a share of 0 adds nothing
    bits = -(some * np.log2(some)).sum()
    return 2**bits


def _natural(shares):
    some = shares[shares > 0]
    return 2 ** -(some * np.log(some)).sum()


PERPLEXITY = Exercise(
    name="perplexity",
    question=_("Among how many neighbours is attention shared? Compute the perplexity of shares that add up to 1."),
    starter='''def perplexity(shares):
    """2 to the power of the entropy, in bits, of `shares`, which add up to 1."""
    bits = ...
    return bits


check("tsne.perplexity", perplexity)''',
    solution=perplexity,
    cases=(
        case(_("For five equal shares"), np.full(5, 0.2)),
        case(_("For the shares 1/2, 1/4, 1/8, 1/8"), np.array([0.5, 0.25, 0.125, 0.125])),
        case(_("For the shares 0.7, 0.2, 0.1"), np.array([0.7, 0.2, 0.1])),
        case(_("For the shares 1/2, 1/2, 0, 0"), np.array([0.5, 0.5, 0, 0])),
    ),
    gives=_("the perplexity"),
    hints=(
        _("The entropy is minus the sum of share times logarithm of share. In bits, the logarithm is np.log2."),
        _("A share of 0 adds nothing, but its logarithm is minus infinity: take shares[shares > 0] first."),
        _("The last step is 2 ** bits. For five equal shares that makes 5."),
    ),
    misreadings=(
        Misreading(
            "takes the natural logarithm",
            _natural,
            _("{case}, your function gives {result:.3f}: a power of 2 goes with the logarithm to base 2."),
        ),
        Misreading(
            "stops at the entropy",
            lambda shares: np.log2(perplexity(shares)),
            _("{case}, your function gives {result:.3f}, which is the entropy: raise 2 to its power."),
        ),
        Misreading(
            "stumbles over a share of 0",
            lambda shares: 2 ** -(shares * np.log2(shares)).sum(),
            _("{case}, your function gives {result}: the logarithm of 0 is no number. Leave shares of 0 out."),
        ),
        Misreading(
            "counts the shares",
            lambda shares: (shares > 0).sum(),
            _("{case}, your function gives {result:g}, how many there are; a small share should count for less."),
        ),
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


def _clouds() -> Iterator[Case]:
    numbers = np.random.default_rng(6)
    for count, width in ((40, 2), (60, 7)):
        labels = numbers.integers(0, 3, count)
        codes = numbers.normal(size=(count, width))
        codes[:, :2] += 1.5 * np.stack([labels == 1, labels == 2], 1)
        yield case(_("For {codes.shape[0]} codes of {codes.shape[1]} numbers"), codes, labels)


NEAREST_AGREE = Exercise(
    name="nearest_agree",
    question=_("How many points have a nearest neighbour of their own class? Measure a map without looking at it."),
    starter='''def nearest_agree(codes, labels):
    """The share of `codes` [N, D] whose nearest other code has the same label of `labels` [N]."""
    share = ...
    return share


check("tsne.nearest_agree", nearest_agree)''',
    solution=nearest_agree,
    cases=tuple(_clouds()),
    right=neighbour_accuracy,
    gives=_("the share"),
    hints=(
        _("codes[:, None] - codes[None] holds all differences, of shape [N, N, D]. Square and sum over the last axis."),
        _("Put np.inf on the diagonal with np.fill_diagonal, so that nobody is their own neighbour."),
        _("apart.argmin(1) is the nearest of each; labels[…] is its label. The mean of a comparison is a share."),
    ),
    misreadings=(
        Misreading(
            "takes everyone for their own neighbour",
            _own_neighbour,
            _("Everyone is their own nearest neighbour in your answer: their distance to themselves is 0."),
        ),
        Misreading("counts every pair", _all_pairs, _("That counts every pair; only the nearest other code is asked.")),
        Misreading(
            "asks the centres of the classes",
            _by_centre,
            _("That asks the centres of the classes; ask the nearest other code."),
        ),
        Misreading(
            "looks along one axis",
            lambda codes, labels: nearest_agree(codes[:, :1], labels),
            _("That compares the first number of each code alone; all of them make the distance."),
        ),
    ),
    praise=_("right: the same function measures codes of any length, and maps of two numbers."),
)

# -------------------------------------------------------------------------------------------- 3: a map hides a size
HALF = 100
WIDER = 10.0  # the spread of the first cloud, as a multiple of that of the second
ALIKE = 1.7  # the spreads on the map, as a multiple of each other


def ratio(points: np.ndarray) -> float:
    """How many times as wide the first half of points `[N, D]` is as the second, by root mean square distance."""
    first, second = (np.sqrt(((half - half.mean(0)) ** 2).sum(1).mean()) for half in (points[:HALF], points[HALF:]))
    return float(first / second)


def _check_two_clouds(answer: object) -> None:
    clouds, labels = numbers(answer, _("Your array")), np.repeat([0, 1], HALF)
    fits = clouds.ndim == 2 and len(clouds) == 2 * HALF and clouds.shape[1] >= 2
    require(fits, _("Give an array of shape [200, D] with D of at least 2, not {shape}."), shape=clouds.shape)
    require(np.isfinite(clouds).all(), _("Your clouds hold values that are not numbers (nan or inf)."))
    different = len(np.unique(clouds, axis=0)) == 2 * HALF
    require(different, _("Some of your points are the same: draw 200 different ones."))
    narrow = _("The first cloud should be at least {wider:g} times as wide as the second; yours is {ratio:.2g} times.")
    require(ratio(clouds) >= WIDER, narrow, wider=WIDER, ratio=ratio(clouds))
    overlap = _("The clouds overlap: some points have their nearest neighbour in the other cloud. Move them apart.")
    require(neighbour_accuracy(clouds, labels) == 1, overlap)
    points = tsne(clouds, 20, progress=False).points.numpy()
    mixed = _("On the map the two clouds run into each other. Move them further apart.")
    require(neighbour_accuracy(points, labels) == 1, mixed)
    wide = _("On the map the first cloud is still {ratio:.2g} times as wide as the second; within {alike:g} is wanted.")
    require(1 / ALIKE < ratio(points) < ALIKE, wide, ratio=ratio(points), alike=ALIKE)


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
