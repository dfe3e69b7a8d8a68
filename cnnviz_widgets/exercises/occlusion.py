"""The exercises of notebook 07: occlusion."""

import torch
from torch import Tensor

from ..errors import CnnvizError
from ..i18n import _
from ..techniques.occlusion import occlude
from ._compare import Wrong, require
from ._exercise import Exercise, Misreading, case
from ._network import bundled

# 1: how often the network is asked


def times_asked(size: int, window: int, stride: int) -> int:
    """Pictures that the network sees for an occlusion map of a square picture, the clean one included."""
    along_one_side = -(-(size - window) // stride) + 1  # rounded up: the last window may step by less
    return along_one_side**2 + 1  # and once for the picture without a patch


PLACES = ((224, 32, 24), (224, 50, 30), (224, 70, 14), (100, 100, 7), (96, 10, 9))


def _rounded_down(size: int, window: int, stride: int) -> int:
    return ((size - window) // stride + 1) ** 2 + 1


# 2: what a change of the logits did to one class


def split(before: torch.Tensor, after: torch.Tensor, target: int) -> tuple[float, float]:
    """(own, rivals): how the log-odds of class `target` changed from logits `before` to `after`, both [classes]."""

    def rivals(logits):
        others = torch.arange(len(logits)) != target
        return logits[others].logsumexp(0)

    own = after[target] - before[target]
    gone = rivals(before) - rivals(after)
    return float(own), float(gone)


def _with_itself_among_the_rivals(before: Tensor, after: Tensor, target: int) -> tuple[Tensor, Tensor]:
    return after[target] - before[target], before.logsumexp(0) - after.logsumexp(0)


def _strongest_rival_only(before: Tensor, after: Tensor, target: int) -> tuple[Tensor, Tensor]:
    others = torch.arange(len(before)) != target
    return after[target] - before[target], before[others].max() - after[others].max()


def _of_probabilities(before: Tensor, after: Tensor, target: int) -> tuple[Tensor, Tensor]:
    own = (after.softmax(0) - before.softmax(0))[target]
    return own, -own


LOGITS = 2 * torch.randn(20, generator=torch.Generator().manual_seed(7))
CHANGE = torch.randn(20, generator=torch.Generator().manual_seed(8))


# 3: a small patch that changes the answer

LARGEST_PATCH = 2500  # the strip over the rocket in the notebook has 3,808
SIDES = ("top", "left", "height", "width")


def _on(picture: str, *sides: int) -> dict[str, object]:
    return {"picture": picture, **dict(zip(SIDES, sides, strict=True))}


def what_the_patch_does(patch: dict) -> tuple[str, float, str, float]:
    """First label without the patch, its probability with it over that without, first label with it, its probability.

    Raises `Wrong` for a patch that is not one, and `CnnvizError` for a picture there is none of.
    """
    network = bundled()
    top, left, height, width = (int(patch[side]) for side in SIDES)
    size = network.size
    inside = 0 <= top < top + height <= size and 0 <= left < left + width <= size
    require(inside, _("The patch must lie inside the {size} × {size} pixels that the network sees."), size=size)
    clean = network.preprocess(patch["picture"])
    covered = occlude(clean, top, left, (height, width), "grey", bounds=network.bounds)
    with torch.no_grad():
        before, after = network.module(torch.cat([clean, covered])).softmax(1)
    first, then = int(before.argmax()), int(after.argmax())
    return network.labels[first], float(after[first] / before[first]), network.labels[then], float(after[then])


def _check_patch(answer: object) -> None:
    named = isinstance(answer, dict) and set(answer) == {"picture", *SIDES}
    require(named, _("Give a dict with picture, top, left, height and width."))
    try:
        first, share, then, _sure = what_the_patch_does(answer)
    except CnnvizError as error:
        raise Wrong(str(error)) from None
    area = int(answer["height"]) * int(answer["width"])
    large = _("The patch has {area:,} pixels; {most:,} are the most. Which part of it does the work?")
    require(area <= LARGEST_PATCH, large, area=area, most=LARGEST_PATCH)
    same = _("The network still says {first}, with {share:.0%} of its former probability.")
    require(then != first, same, first=first, share=share)
    close = _("{then} has overtaken {first}, but {first} keeps {share:.0%} of its probability: they were close before.")
    require(share <= 0.5, close, then=then, first=first, share=share)


EXERCISES = (
    Exercise(
        name="times_asked",
        question=_("How often must the network be asked, if every pixel is to be covered at least once?"),
        starter='''def times_asked(size, window, stride):
    """Pictures that the network sees for an occlusion map of a square picture, the clean one included."""
    return ...


check("occlusion.times_asked", times_asked)''',
        solution=times_asked,
        cases=tuple(case(_("For size {size}, window {window} and stride {stride}"), *place) for place in PLACES),
        gives=_("the number"),
        tolerance=0,
        hints=(
            _("Along one side, windows begin at 0, stride, 2 · stride, … How many of them end inside the picture?"),
            _(
                "When the last one does not end at the edge, one more does: round the division up. In Python, "
                "-(-a // b) is a / b rounded up."
            ),
            _("Square that, for rows and columns, and add one for the picture without a patch."),
        ),
        misreadings=(
            Misreading(
                "leaves the edge uncovered",
                _rounded_down,
                _("{case}, the last pixels of each row stay uncovered: one more window has to go there."),
            ),
            Misreading(
                "forgets the clean picture",
                lambda *place: times_asked(*place) - 1,
                _("{case}, you are one short: the picture without a patch is asked about as well."),
            ),
            Misreading(
                "leaves the edge uncovered, and forgets the clean picture",
                lambda *place: _rounded_down(*place) - 1,
                _("Two things are missing: the window that covers the last pixels, and the picture without a patch."),
            ),
            Misreading(
                "counts one side only",
                lambda *place: (times_asked(*place) - 1) ** 0.5 + 1,
                _("{case}, you count the windows along one side; they stand in rows and columns."),
            ),
        ),
        praise=_("right. Halve the stride and the network is asked about four times as often."),
    ),
    Exercise(
        name="split",
        question=_("Split the change of a class's log-odds into what its own logit did and what its rivals did."),
        starter='''def split(before, after, target):
    """(own, rivals): how the log-odds of class `target` changed from logits `before` to `after`, both [classes]."""
    own = ...
    rivals = ...
    return own, rivals


check("occlusion.split", split)''',
        solution=split,
        cases=tuple(case(_("For class {target} of 20"), LOGITS, LOGITS + CHANGE, target) for target in (3, 11)),
        gives=("own", "rivals"),
        hints=(
            _("The log-odds of class c are z_c − log Σ exp(z_k), where the sum runs over all classes but c."),
            _("own is the change of z_c. Tensors have the method logsumexp(0)."),
            _("rivals is the log-sum of the others before minus that after, so that it is positive when they fall."),
        ),
        misreadings=(
            Misreading(
                "keeps the class among its rivals",
                _with_itself_among_the_rivals,
                _("The class is among its own rivals: leave it out of the sum of exponentials."),
            ),
            Misreading(
                "looks at the strongest rival only",
                _strongest_rival_only,
                _("That is the strongest rival alone; all of them share in the sum of exponentials."),
            ),
            Misreading(
                "differences of probabilities",
                _of_probabilities,
                _("Those are changes of the probability; asked for are changes of logits."),
            ),
            Misreading(
                "rivals that rise count as a gain",
                lambda *given: (split(*given)[0], -split(*given)[1]),
                _("The rivals' part has the wrong sign: when rivals fall, the class gains."),
            ),
            Misreading(
                "rivals first",
                lambda *given: split(*given)[::-1],
                _("Both numbers are right, but they have changed places: the class's own change comes first."),
            ),
        ),
        praise=_("right. The two parts add up to the change of log p / (1 − p), exactly."),
    ),
    Exercise(
        name="patch",
        question=_(
            "Find a grey patch of at most {most:,} pixels that changes what the network says of a picture."
        ).format(most=LARGEST_PATCH),
        starter="""patch = {"picture": ..., "top": ..., "left": ..., "height": ..., "width": ...}

check("occlusion.patch", patch)""",
        solution="""patch = {"picture": "rocket", "top": 80, "left": 80, "height": 50, "width": 50}""",
        check=_check_patch,
        hints=(
            _(
                "Choose a picture whose answer hangs on one thing and is not far ahead of the next: what did the "
                "network say when the rocket was covered?"
            ),
            _("Let OcclusionExplorer(network, image=…) show where the probability falls; then change the sides."),
            _(
                "In the picture rocket, the rocket stands at columns 98 to 132. A square of 50 × 50 over its upper "
                "part will do."
            ),
        ),
        misreadings=(
            Misreading("covers what is large, not what matters", _on("rocket", 0, 0, 50, 50), "overtaken|still says"),
            Misreading("covers everything", _on("rocket", 0, 0, 224, 224), "the most"),
            Misreading("the strip of the notebook", _on("rocket", 60, 98, 112, 34), "3,808 pixels; 2,500 are the most"),
            Misreading("hangs over the edge", _on("rocket", 200, 98, 60, 34), "inside"),
            Misreading("an answer that was never sure", _on("cat", 16, 160, 32, 32), "were close before"),
        ),
        praise=_("right: the answer has changed, and the old one has lost more than half of its probability."),
    ),
)
