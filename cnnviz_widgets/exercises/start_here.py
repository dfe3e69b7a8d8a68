"""The warm-up of notebook 00: what an exercise of this course is like."""

import numpy as np

from ..i18n import _
from ._compare import Wrong, expect_close, numbers
from ._framework import Exercise, Misreading

PREDICTIONS = (
    [("tabby", 0.5), ("tiger cat", 0.25)],
    [("espresso", 0.9), ("cup", 0.05), ("soup bowl", 0.01)],
)


def the_rest(predictions):
    """The probability of all classes that are not in `predictions`, together."""
    return 1 - sum(probability for label, probability in predictions)


def _check_the_rest(answer) -> None:
    for predictions in PREDICTIONS:
        probabilities = [probability for _label, probability in predictions]
        shown = sum(probabilities)
        what = _("The rest of {predictions}").format(predictions=predictions)
        result = numbers(answer(list(predictions)), what)
        if _is(result, shown):
            raise Wrong(_("That is what the classes in the list have together; asked for is what they leave."))
        if _is(result, 1 - probabilities[0]):
            raise Wrong(_("That is what the first class leaves; the others in the list have their share too."))
        expect_close(result, 1 - shown, what)


def _is(result: np.ndarray, value: float) -> bool:
    return result.ndim == 0 and abs(float(result) - value) < 1e-6


EXERCISES = (
    Exercise(
        name="the_rest",
        question=_("The bars of a panel do not add up to 1. What probability do all the other classes have together?"),
        starter='''\
def the_rest(predictions):
    """The probability of all classes that are not in `predictions`, together."""
    return ...

check("start_here.the_rest", the_rest)''',
        solution=the_rest,
        check=_check_the_rest,
        hints=(
            _("The probabilities of all classes add up to 1."),
            _("predictions is a list of pairs: `for label, probability in predictions` goes through it."),
        ),
        misreadings=(
            Misreading(
                "what the list has", lambda pairs: sum(p for _label, p in pairs), "asked for is what they leave"
            ),
            Misreading("looks at the likeliest only", lambda pairs: 1 - pairs[0][1], "the first class leaves"),
            Misreading("counts classes", lambda pairs: 1000 - len(pairs), "too large"),
        ),
        praise=_("right. The bars are only the tip: every class has some probability, and together they make 1."),
    ),
)
