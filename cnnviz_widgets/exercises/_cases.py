"""Judging a function by cases: is it right in all of them, or wrong as a misreading is, or wrong in its own way?"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..i18n import _
from ._answers import Stopped, guarded
from ._compare import Wrong, expect_close, is_close, numbers, parts
from ._exercise import Case, Exercise, Misreading

Outcome = np.ndarray | Wrong  # of one case: the numbers that came out, or why there are none


def judge(exercise: Exercise, answer: Callable) -> None:
    """Raise `Wrong` unless `answer` gives the right numbers in all cases of `exercise`.

    The message is a misreading's sentence when `answer` gives in every case what the misreading gives; else it names
    the first case in which `answer` is wrong, and says how. Raises `NotAttempted` for what a case finds left open.
    """
    given, right = outcomes(exercise, answer), right_outcomes(exercise)
    first = _first_difference(exercise, given, right)
    if first is None:
        return
    recognised = recognise(exercise, given, right)
    if recognised is None:
        _expect(exercise, exercise.cases[first], given[first], right[first])
    misreading, where = recognised
    raise Wrong(_sentence(exercise, misreading, exercise.cases[where], given[where]))


def outcomes(exercise: Exercise, function: Callable) -> list[Outcome]:
    """What `function` gives in each case, called with copies that it may change as it likes."""
    return [_outcome(exercise, case, guarded(function)) for case in exercise.cases]


def right_outcomes(exercise: Exercise) -> list[Outcome]:
    """What a right answer gives in each case."""
    return outcomes(exercise, exercise.right or exercise.solution)


def same(one: Outcome, other: Outcome, tolerance: float) -> bool:
    """Whether two outcomes are the same numbers, or the same error."""
    if isinstance(one, Stopped) and isinstance(other, Stopped):
        return one.error == other.error
    return not isinstance(one, Wrong) and not isinstance(other, Wrong) and is_close(one, other, tolerance)


def recognise(exercise: Exercise, given: Sequence[Outcome], right: Sequence[Outcome]) -> tuple[Misreading, int] | None:
    """The misreading that gives what was `given` in all cases, and the index of the first in which it is wrong.

    Where several numbers are given, one of them is enough, if the misreading has nothing else wrong: then its sentence
    is true of that number, whatever the others are.
    """
    with np.errstate(all="ignore"):  # a misreading that divides by zero has no need to warn the reader
        of_misreadings = [(misreading, outcomes(exercise, misreading.answer)) for misreading in exercise.misreadings]
    for view in (given, *_one_number_each(exercise, given, right)):
        for misreading, its in of_misreadings:
            where = _first_difference(exercise, its, right)
            if where is not None and _first_difference(exercise, its, view) is None:
                return misreading, where
    return None


def _one_number_each(
    exercise: Exercise, given: Sequence[Outcome], right: Sequence[np.ndarray]
) -> Iterator[list[np.ndarray]]:
    """For each of the numbers that a function gives: what is right, but for this number, which is as given."""
    count = 0 if isinstance(exercise.gives, str) else len(exercise.gives)
    if any(isinstance(outcome, Wrong) or outcome.shape != (count,) for outcome in given):
        return
    for part in range(count):
        yield [np.where(np.arange(count) == part, one, other) for one, other in zip(given, right, strict=True)]


def _first_difference(exercise: Exercise, some: Sequence[Outcome], others: Sequence[Outcome]) -> int | None:
    pairs = enumerate(zip(some, others, strict=True))
    return next((index for index, (one, other) in pairs if not same(one, other, exercise.tolerance)), None)


def _outcome(exercise: Exercise, case: Case, function: Callable) -> Outcome:
    arguments, options = copy.deepcopy((case.arguments, dict(case.options)))
    try:
        return numbers(function(*arguments, **options), _subject(exercise, case)).copy()
    except Wrong as wrong:
        return wrong


def _expect(exercise: Exercise, case: Case, given: Outcome, right: np.ndarray) -> None:
    """Raise `Wrong`, which says how `given` is wrong."""
    if isinstance(given, Stopped):
        raise Wrong(_("{case}: {stopped}").format(case=_words(exercise, case), stopped=given))
    if isinstance(given, Wrong):
        raise given
    if isinstance(exercise.gives, str):
        expect_close(given, right, _subject(exercise, case), exercise.tolerance)
        return
    found = parts(given.tolist(), ", ".join(exercise.gives))
    for name, actual, expected in zip(exercise.gives, found, right, strict=True):
        what = _("{case}, the value of {name}").format(case=_words(exercise, case), name=name)
        expect_close(actual, expected, what, exercise.tolerance)


def _subject(exercise: Exercise, case: Case) -> str:
    """What the case's result is called at the beginning of a sentence."""
    gives = exercise.gives if isinstance(exercise.gives, str) else _("the result")
    return _("{case}, {gives}").format(case=_words(exercise, case), gives=gives)


def _words(exercise: Exercise, case: Case) -> str:
    return case.words.format(**_named(exercise, case))


def _named(exercise: Exercise, case: Case) -> dict[str, object]:
    """The arguments of a case by the names that the solution has for them."""
    return inspect.signature(exercise.solution).bind(*case.arguments, **case.options).arguments


def _sentence(exercise: Exercise, misreading: Misreading, case: Case, given: Outcome) -> str:
    result = given if isinstance(given, Wrong) or given.ndim else given.item()
    return misreading.says.format(case=_words(exercise, case), result=result, **_named(exercise, case))
