"""What the techniques' settings have in common: how they are checked, and how a wrong one is named."""

import difflib
import operator
from collections.abc import Iterable

from torch import Tensor

from .errors import WrongSetting
from .i18n import _


def whole_number(name: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`; raises `WrongSetting` (which calls it `name`) for anything else."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        message = _("The {name} must be a whole number of at least {least}, not {value!r}.")
        raise WrongSetting(message.format(name=name, least=least, value=value)) from None
    return number


def a_tensor(value: object) -> Tensor:
    """`value`, if it is a tensor; raises `WrongSetting` for anything else."""
    if not isinstance(value, Tensor):
        message = _("Give a tensor, not a {kind}: torch.as_tensor makes one of an array.")
        raise WrongSetting(message.format(kind=type(value).__name__))
    return value


def one_of(name: str, value: object, choices: Iterable[str]) -> str:
    """`value` when it is among `choices`; otherwise raises `WrongSetting`, which offers the nearest of them."""
    choices = list(choices)
    if any(value is choice or value == choice for choice in choices if isinstance(value, type(choice))):
        return value
    message = _("There is no {name} called {value!r}: choose one of {choices}.")
    text = message.format(name=name, value=value, choices=", ".join(map(str, choices)))
    near = difflib.get_close_matches(str(value), map(str, choices), n=1)
    if near:
        text += " " + _("Did you mean {near!r}?").format(near=near[0])
    raise WrongSetting(text)
