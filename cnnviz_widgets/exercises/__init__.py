"""What a reader calls in an exercise: `check`, `hint`, `solution`, and `Predict` before a panel is moved.

Each notebook's exercises are in a module of this package, as its `EXERCISES`; `check("convolution.by_hand", …)`
loads `exercises/convolution.py` when it is called. How to write one: `_framework.Exercise`, `_compare.expect_close`.
"""

from ._compare import Wrong, expect_close
from ._framework import Exercise, Misreading, check, exercise_modules, find, hint, solution
from ._notes import Note, Result
from ._predict import Predict

__all__ = [
    "Exercise",
    "Misreading",
    "Note",
    "Predict",
    "Result",
    "Wrong",
    "check",
    "exercise_modules",
    "expect_close",
    "find",
    "hint",
    "solution",
]
