"""Comparing a reader's numbers with the right ones, and saying what is wrong with them."""

from collections.abc import Iterator
from numbers import Number

import numpy as np

from ..i18n import _


class Wrong(Exception):  # it never reaches the reader as an error, only as a message
    """Raised by the check of an exercise; its message tells the reader what is wrong."""


class NotAttempted(Exception):
    """Raised when a reader's function gives nothing yet."""


def require(fulfilled: object, message: str, **words: object) -> None:
    """Raise `Wrong` with `message`, in which `words` are filled in, unless the condition is `fulfilled`."""
    if not fulfilled:
        raise Wrong(message.format(**words))


def expect_close(actual: object, expected: object, what: str = "", tolerance: float = 1e-4) -> None:
    """Raise `Wrong` with a telling message unless `actual` equals `expected` to within `tolerance`.

    Both may be numbers, arrays, tensors or lists; `what` names them at the start of the sentence ("The output").
    `tolerance` is relative to the largest expected value where that exceeds 1. The message says, where it can,
    *how* the answer is wrong: its shape, zeros, a flip, a transpose, a shift, a factor or a constant too much.
    """
    what = what or _("Your answer")
    expected, actual = np.asarray(expected, float), numbers(actual, what)
    if actual.shape != expected.shape:
        message = _("{what} has shape {actual}, but should have {expected}.")
        raise Wrong(message.format(what=what, actual=actual.shape, expected=expected.shape))
    if not np.isfinite(actual).all():
        raise Wrong(_("{what} holds values that are not numbers (nan or inf).").format(what=what))
    if not is_close(actual, expected, tolerance):
        raise Wrong(_what_is_wrong(actual, expected, what, _allowed(expected, tolerance)))


def is_close(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays have one shape and the same numbers within `tolerance`; nan and inf equal themselves."""
    if actual.shape != expected.shape:
        return False
    finite = np.isfinite(expected)
    apart = np.abs(actual[finite] - expected[finite])
    return np.array_equal(actual[~finite], expected[~finite], equal_nan=True) and bool(
        (apart <= _allowed(expected[finite], tolerance)).all()
    )


def _allowed(expected: np.ndarray, tolerance: float) -> float:
    return tolerance * max(1.0, np.abs(expected).max(initial=0))


def parts(result: object, names: str) -> tuple[float, ...]:
    """The numbers of a result that is made of several; `Wrong` unless there are as many as `names` names.

    `names` is what the starter returns, such as "size, stride".
    """
    count = len(names.split(","))
    if hasattr(result, "detach"):
        result = result.detach().cpu().numpy()
    try:
        found = tuple(float(part) for part in result)
    except (TypeError, ValueError):
        found = ()
    if len(found) != count:
        message = _("Your function should return {count} numbers, ({names}), but returns {result}.")
        raise Wrong(message.format(count=count, names=names, result=_shortened(result)))
    return found


def _shortened(result: object) -> str:
    text = " ".join(repr(result).split())
    return text if len(text) <= 60 else text[:59] + "…"


def numbers(values: object, what: str) -> np.ndarray:
    """`values`, a number, array, tensor or list, as an array of float; `Wrong`, which names `what`, if it is none."""
    try:
        array = np.asarray(_detached(values))
        if array.dtype == object and all(isinstance(value, Number) for value in array.flat):  # such as fractions
            array = array.astype(float)
        if array.dtype.kind in "biuf":  # and neither text nor complex, which NumPy would turn into a number as well
            return array.astype(float)
    except (TypeError, ValueError, RuntimeError):  # ragged rows; a tensor without data
        pass
    message = _("{what} should be made of numbers, all rows of one length, not {kind}.")
    raise Wrong(message.format(what=what, kind=type(values).__name__))


def _detached(values: object) -> object:
    """`values` with each tensor in them as an array."""
    if isinstance(values, (list, tuple)):
        return [_detached(value) for value in values]
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _what_is_wrong(actual: np.ndarray, expected: np.ndarray, what: str, allowed: float) -> str:
    def same(values: np.ndarray) -> bool:
        return values.shape == actual.shape and np.abs(values - actual).max() <= allowed

    if not actual.any():
        message = _("{what} is zero everywhere: is something computed, and then not kept?")
    elif expected.ndim == 0:
        message = _("{what} is too large.") if actual > expected else _("{what} is too small.")
    elif expected.ndim > 1 and same(expected.swapaxes(-1, -2)):
        message = _("{what} is transposed: rows and columns have changed places.")
    elif any(same(turned) for turned in _flips(expected)):
        message = _("{what} is right, but flipped: look at the direction in which an index runs.")
    elif any(same(np.roll(expected, by, axis)) for axis in range(expected.ndim) for by in (-1, 1)):
        message = _("{what} is right, but shifted by one: look at where a range begins or ends.")
    elif (factor := _factor(actual, expected)) is not None and same(factor * expected):
        message = _("{what} is {factor:.3g} times what it should be.")
        return message.format(what=what, factor=factor)
    elif same(expected + (actual - expected).mean()):
        message = _("{what} is off by the same amount everywhere: {amount:+.3g}.")
        return message.format(what=what, amount=(actual - expected).mean())
    else:
        wrong = np.abs(actual - expected) > allowed
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        message = _(
            "{what} is wrong in {count} of {total} places; the first is {place}: {actual:.4g}, not {right:.4g}."
        )
        return message.format(
            what=what,
            count=wrong.sum(),
            total=wrong.size,
            place=list(place),
            actual=actual[place],
            right=expected[place],
        )
    return message.format(what=what)


def _flips(values: np.ndarray) -> Iterator[np.ndarray]:
    yield np.flip(values)
    for axis in range(values.ndim):
        yield np.flip(values, axis)


def _factor(actual: np.ndarray, expected: np.ndarray) -> float | None:
    power = (expected**2).sum()
    return float((actual * expected).sum() / power) if power else None
