"""Exercises by their names: found, checked without ever stopping a notebook, hinted at and solved."""

import difflib
import importlib
import inspect
import pkgutil
from collections import Counter

from ..errors import WrongSetting
from ..i18n import _
from ._answers import guarded, is_missing, sentence_of
from ._cases import judge
from ._compare import NotAttempted, Wrong
from ._exercise import Exercise
from ._notes import Note, Result, Solution


def check(name: str, answer: object = None) -> Result:
    """Look at the reader's `answer` to the exercise `name` ("module.name") and say what is right or wrong with it.

    Never stops a notebook for what the answer is or does: that is in the `message` of the result. Raises
    `WrongSetting` when there is no such exercise.
    """
    exercise = find(name)
    try:
        if is_missing(answer):
            raise NotAttempted
        if exercise.asks_for_a_function and not callable(answer):
            raise Wrong(_no_function(exercise, answer))
        if exercise.cases:
            judge(exercise, answer)
        else:
            exercise.check(guarded(answer) if inspect.isroutine(answer) else answer)
    except NotAttempted:
        return Result(name, False, False, _("not attempted yet"))
    except Wrong as wrong:
        return Result(name, False, True, str(wrong))
    except (Exception, SystemExit) as error:  # an answer of an unforeseen kind, which the check stumbles over
        message = _("this kind of answer ({kind}) cannot be checked. {error}")
        kind = type(answer).__name__
        return Result(name, False, True, message.format(kind=kind, error=sentence_of(error)))
    return Result(name, True, True, exercise.praise or _("right."))


_hints_given: Counter[str] = Counter()


def hint(name: str) -> Note:
    """The next hint to the exercise `name`; the last one stays. Raises `WrongSetting` for an unknown name."""
    hints = find(name).hints
    _hints_given[name] = min(_hints_given[name] + 1, len(hints))
    number = _hints_given[name]
    text = _("Hint {number} of {count}: {hint}").format(number=number, count=len(hints), hint=hints[number - 1])
    if number == len(hints):
        text += "\n" + _('That was the last one. solution("{name}") shows one way to do it.').format(name=name)
    return Note(text)


def solution(name: str) -> Solution:
    """The solution of the exercise `name`, shown as code. Raises `WrongSetting` for an unknown name."""
    return Solution(find(name).solution_source)


def exercise_modules() -> list[str]:
    """The names of the modules that hold exercises."""
    package = importlib.import_module(__package__)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name[0] != "_")


def find(name: str) -> Exercise:
    """The exercise called `name`, "module.name". Raises `WrongSetting`, which offers the nearest, if there is none."""
    module, dot, short = str(name).partition(".")
    if module in exercise_modules():
        for exercise in _exercises_of(module):
            if dot and exercise.name == short:
                return exercise
    known = [f"{module}.{exercise.name}" for module in exercise_modules() for exercise in _exercises_of(module)]
    text = _("There is no exercise called {name!r}.").format(name=name)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    if near:
        text += " " + _("Did you mean {near!r}?").format(near=near[0])
    raise WrongSetting(text)


def _exercises_of(module: str) -> tuple[Exercise, ...]:
    return importlib.import_module(f"{__package__}.{module}").EXERCISES


def _no_function(exercise: Exercise, answer: object) -> str:
    message = _(
        "this exercise asks for a function, and you gave it {kind}. Give the function itself, {name} and not {name}(…)."
    )
    return message.format(kind=type(answer).__name__, name=exercise.answer_name)
