"""What a technique explains: a class, by its number or label, or whatever a function makes of the network's output."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import CnnvizError, UnknownClass, WrongSetting
from ..i18n import _
from ..networks import Asked, Network, like

Wanted = int | str | Callable[[Any], Tensor]
"""A class by number or (of a `Network`) by label, or a function of what the module returns: one number a picture."""


def asked(model: Network | nn.Module) -> Asked:
    """The network as `Asked`, for a technique that needs its numbers. Raises `CnnvizError` for one without weights."""
    ask = Asked(model)
    if like(ask.module).is_meta:
        message = _("{name} is an architecture without weights; load_network makes one that can look at pictures.")
        raise CnnvizError(message.format(name=getattr(model, "name", type(ask.module).__name__)))
    return ask


class Said(NamedTuple):
    """What a network says of the target in a batch: `score` [N] (its logit) and `probability` [N]."""

    score: Tensor
    probability: Tensor


@dataclass(frozen=True)
class Target:
    """What is explained: the class `index`, called `label`, or what `function` makes of the module's output.

    A function has no probability of its own; its value stands for both.
    """

    index: int | None
    label: str
    function: Callable[[Any], Tensor] | None = None

    def said(self, ask: Asked, output: Any, count: int) -> Said:
        """What the `output` for `count` pictures says of the target; float32 (or double), on the CPU.

        Raises `UnknownClass` for a number that the network has no class for, and `WrongSetting` for a function that
        does not give one number a picture.
        """
        if self.function is not None:
            values = self._values(output, count)
            return Said(values, values)
        scores = ask.reading.scores(output, count)
        if not 0 <= self.index < scores.shape[1]:
            message = _("There is no class {target}: the network has {count}, numbered from 0.")
            raise UnknownClass(message.format(target=self.index, count=scores.shape[1]))
        return Said(scores[:, self.index], ask.reading.probabilities(scores)[:, self.index])

    def _values(self, output: Any, count: int) -> Tensor:
        values = self.function(output)
        if not isinstance(values, Tensor) or values.numel() != count:
            what = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            message = _("A target function must give one number for each of {count} pictures, not {what}.")
            raise WrongSetting(message.format(count=count, what=what))
        values = values.reshape(count).cpu()
        return values if values.dtype == values.double().dtype else values.float()


def as_target(model: Network | nn.Module, wanted: Wanted) -> Target:
    """The `Target` that is meant by a number, a label or a function. Raises `UnknownClass`, which names the nearest."""
    if isinstance(wanted, Target):
        return wanted
    if callable(wanted):
        return Target(None, getattr(wanted, "__name__", _("target")), wanted)
    if isinstance(model, Network):
        index = model.class_index(wanted)
        return Target(index, model.labels[index])
    try:
        index = operator.index(wanted)
    except TypeError:
        message = _("A bare module has no class names: pass the index of {target!r}, or wrap the module in a Network.")
        raise UnknownClass(message.format(target=wanted)) from None
    return Target(index, _("class {index}").format(index=index))


def likeliest(ask: Asked, inputs: Tensor) -> int:
    """The number of the class that a network gives the highest score in `inputs` [1, C, H, W]."""
    return int(ask.scores(inputs)[0].argmax())


def gradient_of(score: Tensor, values: Tensor) -> Tensor:
    """How `score` [1] changes with each of `values`, from which it was computed: 0 where it does not depend on them.

    Nothing but that is differentiated, and no parameter gets a gradient. Raises `CnnvizError` for a network that
    cannot be differentiated.
    """
    if not score.requires_grad:
        return torch.zeros_like(values)
    try:
        return torch.autograd.grad(score.sum(), values, allow_unused=True, materialize_grads=True)[0]
    except Exception as error:  # also whatever a function of the network's own raises on the way back
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise CnnvizError(_("The network cannot be differentiated: {reason}.").format(reason=reason)) from error
