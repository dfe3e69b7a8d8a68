"""Exercises: how one is written down, found by its name, and checked without ever stopping a notebook."""

import ast
import difflib
import functools
import importlib
import inspect
import pkgutil
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import WrongSetting
from ..i18n import _
from ._compare import NotAttempted, Wrong
from ._notes import Note, Result, Solution

SETUP = "import numpy as np\nimport torch\nimport torch.nn.functional as F\n"


@dataclass(frozen=True)
class Misreading:
    """A plausible wrong answer; the check must refuse it with a message in which the pattern `says` is found."""

    title: str
    answer: object
    says: str


@dataclass(frozen=True)
class Exercise:
    """One exercise, single-sourced: the solution that the tests run is the text that the reader sees.

    - `name`: within its module; readers write "module.name".
    - `question`: one or two sentences.
    - `starter`: the source of the cell that the reader fills in; it and the solution define the same name.
    - `solution`: a function (its source is shown), or source text.
    - `check`: called with the answer; raises `Wrong` with a telling message (see `expect_close`). Where the answer is
      a function, what it raises, and a result of None or `...`, is dealt with before the check sees it.
    - `hints`: from a nudge to almost the solution.
    - `misreadings`: plausible wrong answers, at least one; the tests see each refused.
    - `defines`: the name that holds the answer; by default the last that the solution defines.
    - `setup`: source of what earlier cells have defined.
    - `also_right`: distortions of the solution (zeros, flipped, shifted, scaled) that the check rightly accepts.
    - `praise`: what a right answer is told.
    """

    name: str
    question: str
    starter: str
    solution: Callable | str
    check: Callable[[object], None]
    hints: tuple[str, ...]
    misreadings: tuple[Misreading, ...]
    defines: str = ""
    setup: str = SETUP
    also_right: tuple[str, ...] = ()
    praise: str = ""

    @property
    def solution_source(self) -> str:
        """The solution as the reader sees it."""
        source = self.solution if isinstance(self.solution, str) else inspect.getsource(self.solution)
        return textwrap.dedent(source).strip()

    @property
    def answer_name(self) -> str:
        """The name that starter and solution give to the answer."""
        return self.defines or _last_defined(self.solution_source)

    @property
    def asks_for_a_function(self) -> bool:
        """Whether the starter defines the answer as a function."""
        return f"def {self.answer_name}(" in self.starter

    def reference(self) -> object:
        """The answer of the solution, from running its text."""
        return self.run(self.solution_source)

    def run(self, source: str) -> object:
        """The answer that `source`, a filled-in starter, defines after `setup`."""
        names: dict[str, object] = {"__name__": "exercise", "check": check, "hint": hint, "solution": solution}
        exec(self.setup, names)  # our own text, of this exercise
        exec(textwrap.dedent(source), names)
        return names[self.answer_name]


def check(name: str, answer: object = None) -> Result:
    """Look at the reader's `answer` to the exercise `name` ("module.name") and say what is right or wrong with it.

    Never stops a notebook for what the answer is or does: that is in the `message` of the result. Raises
    `WrongSetting` when there is no such exercise.
    """
    exercise = find(name)
    try:
        if _missing(answer):
            raise NotAttempted
        if exercise.asks_for_a_function and not callable(answer):
            raise Wrong(_no_function(exercise, answer))
        exercise.check(_guarded(answer) if inspect.isroutine(answer) else answer)
    except NotAttempted:
        return Result(name, False, False, _("not attempted yet"))
    except Wrong as wrong:
        return Result(name, False, True, str(wrong))
    except (Exception, SystemExit) as error:  # an answer of an unforeseen kind, which the check stumbles over
        message = _("this kind of answer ({kind}) cannot be checked. {error}")
        kind = type(answer).__name__
        return Result(name, False, True, message.format(kind=kind, error=_sentence(error)))
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


def _missing(answer: object) -> bool:
    """Whether the answer, or a part of it, is still the `...` or None of the starter."""
    if answer is None or answer is ... or (isinstance(answer, str) and not answer.strip()):
        return True
    if isinstance(answer, dict):
        answer = tuple(answer.values())
    return isinstance(answer, (list, tuple)) and any(_missing(part) for part in answer)


def _guarded(function: Callable) -> Callable:
    """The reader's function, whose errors and missing results become messages."""

    @functools.wraps(function)
    def guarded(*args: object, **options: object) -> object:
        try:
            result = function(*args, **options)
        except (Exception, SystemExit) as error:  # exit() would end the notebook's run
            unfinished = isinstance(error, NotImplementedError) or "ellipsis" in str(error).lower()
            raise (NotAttempted() if unfinished else Wrong(_raised(function, error))) from None
        if _missing(result):
            raise NotAttempted
        return result

    return guarded


def _no_function(exercise: Exercise, answer: object) -> str:
    message = _(
        "this exercise asks for a function, and you gave it {kind}. Give the function itself, {name} and not {name}(…)."
    )
    return message.format(kind=type(answer).__name__, name=exercise.answer_name)


def _raised(function: Callable, error: BaseException) -> str:
    name = getattr(function, "__name__", _("your function"))
    return _("{name} stopped with an error. {error}").format(name=name, error=_sentence(error))


def _sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _last_defined(source: str) -> str:
    for statement in reversed(ast.parse(source).body):
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            return statement.name
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            return statement.targets[0].id
    raise ValueError("The solution defines nothing: assign the answer to a name.")
