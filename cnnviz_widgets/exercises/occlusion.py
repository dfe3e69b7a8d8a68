"""The exercises of notebook 07: occlusion."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from ..errors import CnnvizError
from ..i18n import _
from ._compare import Wrong, expect_close, numbers, parts
from ._framework import Exercise, Misreading

# 1: how often the network is asked


def times_asked(size: int, window: int, stride: int) -> int:
    """Pictures that the network sees for an occlusion map of a square picture, the clean one included."""
    along_one_side = -(-(size - window) // stride) + 1  # rounded up: the last window may step by less
    return along_one_side**2 + 1  # and once for the picture without a patch


PLACES = ((224, 32, 24), (224, 50, 30), (224, 70, 14), (100, 100, 7), (96, 10, 9))


def _rounded_down(size: int, window: int, stride: int) -> int:
    return ((size - window) // stride + 1) ** 2 + 1


def _check_times_asked(answer: object) -> None:
    for size, window, stride in PLACES:
        case = {"size": size, "window": window, "stride": stride}
        what = _("The number for size {size}, window {window} and stride {stride}").format(**case)
        result, right = numbers(answer(size, window, stride), what).tolist(), times_asked(size, window, stride)
        floor = _rounded_down(size, window, stride)
        if result == right - 1:
            message = _(
                "For size {size}, window {window} and stride {stride} you are one short: "
                "the picture without a patch is asked about as well."
            )
            raise Wrong(message.format(**case))
        if result in (floor, floor - 1) and floor != right:
            message = _(
                "For size {size}, window {window} and stride {stride} the last pixels of each row stay uncovered: "
                "one more window has to go there."
            )
            raise Wrong(message.format(**case))
        expect_close(result, right, what)


# 2: what a change of the logits did to one class


def split(before: torch.Tensor, after: torch.Tensor, target: int) -> tuple[float, float]:
    """(own, rivals): how the log-odds of class `target` changed from logits `before` to `after`, both [classes]."""

    def rivals(logits):
        others = torch.arange(len(logits)) != target
        return logits[others].logsumexp(0)

    own = after[target] - before[target]
    gone = rivals(before) - rivals(after)
    return float(own), float(gone)


def _logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    before = 2 * torch.randn(20, generator=generator)
    return before, before + torch.randn(20, generator=generator)


def _with_itself_among_the_rivals(before: Tensor, after: Tensor, target: int) -> tuple[float, float]:
    return float(after[target] - before[target]), float(before.logsumexp(0) - after.logsumexp(0))


def _strongest_rival_only(before: Tensor, after: Tensor, target: int) -> tuple[float, float]:
    others = torch.arange(len(before)) != target
    return float(after[target] - before[target]), float(before[others].max() - after[others].max())


def _check_split(answer: object) -> None:
    before, after = _logits()
    for target in (3, 11):
        own, gone = parts(answer(before.clone(), after.clone(), target), "own, rivals")
        right = split(before, after, target)
        if np.allclose((own, gone), right[::-1], atol=1e-4):
            raise Wrong(_("Both numbers are right, but they have changed places: the class's own change comes first."))
        expect_close(own, right[0], _("The change of the class's own logit"))
        if np.isclose(gone, -right[1], atol=1e-4):
            raise Wrong(_("The rivals' part has the wrong sign: when rivals fall, the class gains."))
        if np.isclose(gone, _with_itself_among_the_rivals(before, after, target)[1], atol=1e-4):
            raise Wrong(_("The class is among its own rivals: leave it out of the sum of exponentials."))
        if np.isclose(gone, _strongest_rival_only(before, after, target)[1], atol=1e-4):
            raise Wrong(_("That is the strongest rival alone; all of them share in the sum of exponentials."))
        expect_close(gone, right[1], _("The rivals' part"))


# 3: a small patch that changes the answer

LARGEST_PATCH = 2500  # the strip over the rocket in the notebook has 3,808
SIDES = ("top", "left", "height", "width")


@cache
def _network() -> object:
    from ..networks import load_network

    return load_network()


def what_the_patch_does(patch: dict) -> tuple[str, float, str, float]:
    """First label without the patch, its probability with it over that without, first label with it, its probability.

    Raises `Wrong` for a patch that is not one, and `CnnvizError` for a picture there is none of.
    """
    from ..techniques.occlusion import occlude

    network = _network()
    top, left, height, width = (int(patch[side]) for side in SIDES)
    size = network.size
    if top < 0 or left < 0 or height < 1 or width < 1 or top + height > size or left + width > size:
        raise Wrong(_("The patch must lie inside the {size} × {size} pixels that the network sees.").format(size=size))
    clean = network.preprocess(patch["picture"])
    covered = occlude(clean, top, left, (height, width), "grey", bounds=network.bounds)
    with torch.no_grad():
        before, after = network.module(torch.cat([clean, covered])).softmax(1)
    first, then = int(before.argmax()), int(after.argmax())
    return network.labels[first], float(after[first] / before[first]), network.labels[then], float(after[then])


def _check_patch(answer: object) -> None:
    if not isinstance(answer, dict) or set(answer) != {"picture", *SIDES}:
        raise Wrong(_("Give a dict with picture, top, left, height and width."))
    try:
        first, left_over, then, sure = what_the_patch_does(answer)
    except CnnvizError as error:
        raise Wrong(str(error)) from None
    area = int(answer["height"]) * int(answer["width"])
    if area > LARGEST_PATCH:
        message = _("The patch has {area:,} pixels; {most:,} are the most. Which part of it does the work?")
        raise Wrong(message.format(area=area, most=LARGEST_PATCH))
    if then == first:
        message = _("The network still says {first}, with {share:.0%} of its former probability.")
        raise Wrong(message.format(first=first, share=left_over))
    if left_over > 0.5:
        message = _(
            "{then} has overtaken {first}, but {first} keeps {share:.0%} of its probability: they were close before."
        )
        raise Wrong(message.format(then=then, first=first, share=left_over))


EXERCISES = (
    Exercise(
        name="times_asked",
        question=_("How often must the network be asked, if every pixel is to be covered at least once?"),
        starter='''def times_asked(size, window, stride):
    """Pictures that the network sees for an occlusion map of a square picture, the clean one included."""
    return ...


check("occlusion.times_asked", times_asked)''',
        solution=times_asked,
        check=_check_times_asked,
        hints=(
            _("Along one side, windows begin at 0, stride, 2 · stride, … How many of them end inside the picture?"),
            _(
                "When the last one does not end at the edge, one more does: round the division up. In Python, "
                "-(-a // b) is a / b rounded up."
            ),
            _("Square that, for rows and columns, and add one for the picture without a patch."),
        ),
        misreadings=(
            Misreading("leaves the edge uncovered", _rounded_down, "uncovered"),
            Misreading("forgets the clean picture", lambda *case: times_asked(*case) - 1, "one short"),
            Misreading("counts one side only", lambda *case: times_asked(*case) ** 0.5, "too small"),
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
        check=_check_split,
        hints=(
            _("The log-odds of class c are z_c − log Σ exp(z_k), where the sum runs over all classes but c."),
            _("own is the change of z_c. Tensors have the method logsumexp(0)."),
            _("rivals is the log-sum of the others before minus that after, so that it is positive when they fall."),
        ),
        misreadings=(
            Misreading("keeps the class among its rivals", _with_itself_among_the_rivals, "leave it out"),
            Misreading("looks at the strongest rival only", _strongest_rival_only, "alone"),
            Misreading(
                "differences of probabilities",
                lambda before, after, target: (
                    float((after.softmax(0) - before.softmax(0))[target]),
                    float((before.softmax(0) - after.softmax(0))[target]),
                ),
                "own logit is too",
            ),
            Misreading(
                "rivals that rise count as a gain",
                lambda *given: (split(*given)[0], -split(*given)[1]),
                "wrong sign",
            ),
        ),
        praise=_("right. The two parts add up to the change of log p / (1 − p), exactly."),
    ),
    Exercise(
        name="patch",
        question=_("Find a grey patch of at most 2,500 pixels that changes what the network says of a picture."),
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
            Misreading(
                "covers what is large, not what matters",
                {"picture": "rocket", "top": 0, "left": 0, "height": 50, "width": 50},
                "overtaken|still says",
            ),
            Misreading(
                "covers everything",
                {"picture": "rocket", "top": 0, "left": 0, "height": 224, "width": 224},
                "the most",
            ),
            Misreading(
                "the strip of the notebook",
                {"picture": "rocket", "top": 60, "left": 98, "height": 112, "width": 34},
                "3,808 pixels; 2,500 are the most",
            ),
            Misreading(
                "hangs over the edge",
                {"picture": "rocket", "top": 200, "left": 98, "height": 60, "width": 34},
                "inside",
            ),
            Misreading(
                "an answer that was never sure",
                {"picture": "cat", "top": 16, "left": 160, "height": 32, "width": 32},
                "were close before",
            ),
        ),
        praise=_("right: the answer has changed, and the old one has lost more than half of its probability."),
    ),
)
