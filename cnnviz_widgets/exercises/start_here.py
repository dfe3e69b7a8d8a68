"""The warm-up of notebook 00: what an exercise of this course is like."""

from ..i18n import _
from ._exercise import Exercise, Misreading, case

PREDICTIONS = (
    [("tabby", 0.5), ("tiger cat", 0.25)],
    [("espresso", 0.9), ("cup", 0.05), ("soup bowl", 0.01)],
)


def the_rest(predictions):
    """The probability of all classes that are not in `predictions`, together."""
    return 1 - sum(probability for label, probability in predictions)


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
        cases=tuple(case(_("For {predictions}"), list(predictions)) for predictions in PREDICTIONS),
        gives=_("the rest"),
        hints=(
            _("The probabilities of all classes add up to 1."),
            _("predictions is a list of pairs: `for label, probability in predictions` goes through it."),
        ),
        misreadings=(
            Misreading(
                "what the list has",
                lambda predictions: sum(probability for _label, probability in predictions),
                _("That is what the classes in the list have together; asked for is what they leave."),
            ),
            Misreading(
                "looks at the likeliest only",
                lambda predictions: 1 - predictions[0][1],
                _("That is what the first class leaves; the others in the list have their share too."),
            ),
            Misreading(
                "counts classes",
                lambda predictions: 1000 - len(predictions),
                _("{result:g} is how many other classes there are; asked for is their probability together."),
            ),
        ),
        praise=_("right. The bars are only the tip: every class has some probability, and together they make 1."),
    ),
)
