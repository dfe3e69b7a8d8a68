"""What an exercise is made of: cases, misreadings, and the exercise itself."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SETUP = "import numpy as np\nimport torch\nimport torch.nn.functional as F\n"


@dataclass(frozen=True)
class Case:
    """One call of the function that an exercise asks for. `words` name it at the beginning of a sentence.

    The words may use the arguments by the names that they have in the solution: "For windows of {size} pixels".
    """

    words: str
    arguments: tuple[object, ...]
    options: Mapping[str, object]


def case(words: str, *arguments: object, **options: object) -> Case:
    """The call with `arguments` and `options`, named by `words`."""
    return Case(words, arguments, options)


@dataclass(frozen=True)
class Misreading:
    """A plausible wrong answer, and what is said of it.

    In an exercise with cases `says` is the sentence itself, said to whoever's function gives what `answer` gives; it
    may use `{case}` (the words of the first case in which this is wrong), `{result}` (what came out there) and the
    arguments of that case by name. In an exercise with a check `says` is a pattern that the message must hold.
    """

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
    - `hints`: from a nudge to almost the solution.
    - `misreadings`: plausible wrong answers, at least one; the tests see each refused with its sentence.
    - `cases`: where the answer is a function of numbers, the calls that it must get right. Or else:
    - `check`: called with the answer; raises `Wrong` with a telling message (see `expect_close`). Where the answer is
      a function, what it raises, and a result of None or `...`, is dealt with before the check sees it.
    - `right`: an independent function that gives the right results of the cases; by default the solution.
    - `gives`: what the function returns, as in "the response"; or the names of the numbers that it returns.
    - `tolerance`: how far a result may be off, see `expect_close`.
    - `defines`: the name that holds the answer; by default the last that the solution defines.
    - `setup`: source of what earlier cells have defined.
    - `also_right`: distortions of the solution (zeros, flipped, shifted, scaled) that the check rightly accepts.
    - `praise`: what a right answer is told.
    """

    name: str
    question: str
    starter: str
    solution: Callable | str
    hints: tuple[str, ...]
    misreadings: tuple[Misreading, ...]
    cases: tuple[Case, ...] = ()
    check: Callable[[object], None] | None = None
    right: Callable | None = None
    gives: str | tuple[str, ...] = ""
    tolerance: float = 1e-4
    defines: str = ""
    setup: str = SETUP
    also_right: tuple[str, ...] = ()
    praise: str = ""

    def __post_init__(self) -> None:
        if bool(self.cases) == bool(self.check):
            raise ValueError(f"The exercise {self.name} needs either cases or a check.")
        if self.cases and not (callable(self.solution) and self.gives):
            raise ValueError(f"The cases of {self.name} need a function as solution, and words for what it gives.")

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
        names: dict[str, object] = {"__name__": "exercise"}
        exec("from cnnviz_widgets import check, hint, solution", names)  # what every notebook begins with
        exec(self.setup, names)  # our own text, of this exercise
        exec(textwrap.dedent(source), names)
        return names[self.answer_name]


def _last_defined(source: str) -> str:
    for statement in reversed(ast.parse(source).body):
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            return statement.name
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            return statement.targets[0].id
    raise ValueError("The solution defines nothing: assign the answer to a name.")
