"""The reader's answer: whether there is one, and calling it without ever stopping a notebook."""

import functools
from collections.abc import Callable

from ..i18n import _
from ._compare import NotAttempted, Wrong


class Stopped(Wrong):
    """The reader's function raised an error; `error` says which, without the function's name."""

    def __init__(self, function: Callable, error: BaseException) -> None:
        self.error = sentence_of(error)
        super().__init__(_("{name} stopped with an error. {error}").format(name=name_of(function), error=self.error))


def is_missing(answer: object) -> bool:
    """Whether the answer, or a part of it, is still the `...` or None of the starter, or an empty text."""
    return _holds(answer, lambda part: part is None or part is ... or (isinstance(part, str) and not part.strip()))


def guarded(function: Callable) -> Callable:
    """The reader's function: its errors become `Stopped`, and what it leaves open `NotAttempted`.

    A result of None is `Wrong`: someone who has written the lines and forgotten the `return` has attempted it.
    """

    @functools.wraps(function)
    def call(*arguments: object, **options: object) -> object:
        try:
            result = function(*arguments, **options)
        except (Exception, SystemExit) as error:  # exit() would end the notebook's run
            unfinished = isinstance(error, NotImplementedError) or "ellipsis" in str(error).lower()
            raise (NotAttempted() if unfinished else Stopped(function, error)) from None
        if _holds(result, lambda part: part is ...):
            raise NotAttempted
        if result is None:
            message = _("{name} returns nothing (None): does its last line begin with return?")
            raise Wrong(message.format(name=name_of(function)))
        return result

    return call


def name_of(function: Callable) -> str:
    """What the reader calls the function."""
    return getattr(function, "__name__", None) or _("your function")


def sentence_of(error: BaseException) -> str:
    """The kind of `error` and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _holds(answer: object, is_open: Callable[[object], bool]) -> bool:
    if isinstance(answer, dict):
        answer = tuple(answer.values())
    if isinstance(answer, (list, tuple)):
        return any(_holds(part, is_open) for part in answer)
    return is_open(answer)
