"""What a reader calls in an exercise: `check`, `hint`, `solution`, and `Predict` before a panel is moved.

Each notebook's exercises are in a module of this package, as its `EXERCISES`; `check("convolution.by_hand", …)`
loads `exercises/convolution.py` when it is called. How to write one: `_exercise.Exercise`, `_compare.expect_close`.
"""

from ._compare import Wrong, expect_close
from ._exercise import Case, Exercise, Misreading, case
from ._framework import check, exercise_modules, find, hint, solution
from ._notes import Note, Result
from ._predict import Predict

__all__ = [
    "Case",
    "Exercise",
    "Misreading",
    "Note",
    "Predict",
    "Result",
    "Wrong",
    "case",
    "check",
    "exercise_modules",
    "expect_close",
    "find",
    "hint",
    "solution",
]
