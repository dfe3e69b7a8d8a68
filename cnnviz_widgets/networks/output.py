"""How what a network puts out is read: as scores of classes that exclude each other, or of independent labels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..settings import one_of

SOFTMAX, SIGMOID = "softmax", "sigmoid"
Scores = Callable[[Any], Tensor]
Output = str | Scores | tuple[Scores, str]
"""How a `Network` reads its module: "softmax", "sigmoid", a function to scores, or that and one of the two words."""


@dataclass(frozen=True)
class Reading:
    """How the scores of a network become probabilities.

    `kind` is "softmax" where classes exclude each other, "sigmoid" where each label is true or false by itself. A
    single score is read by the sigmoid in any case: among one class, softmax would always be certain. `function` turns
    what the module returns (a dictionary, a tuple, maps) into scores [N, classes]. With `two_sided` a single score z,
    read by the sigmoid, stands for two classes, no and yes, of the scores [-z, z].
    """

    kind: str = SOFTMAX
    function: Scores | None = None
    two_sided: bool = False

    def scores(self, output: Any, count: int) -> Tensor:
        """The scores [count, classes] in what the module returned for `count` pictures: on the CPU, float32 or double.

        Probabilities that a module puts out itself (it ends in a softmax) give their logarithms. Raises `WrongSetting`
        for anything but a score for each class of each picture.
        """
        scores = output if self.function is None else self.function(output)
        if isinstance(scores, Tensor) and scores.ndim < 2 and scores.numel() == count:
            scores = scores.reshape(count, 1)  # one score a picture, squeezed
        if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != count:
            if isinstance(scores, Tensor):
                message = _("A network must put out a tensor of scores [N, classes]; for {pictures} it put out {what}.")
            else:
                message = _("A network must put out a tensor of scores [N, classes], not {what}.")
            what = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            pictures = _("one picture") if count == 1 else _("{count} pictures").format(count=count)
            remedy = _("Network(module, output=function) takes a function that makes such scores of it.")
            raise WrongSetting(message.format(pictures=pictures, what=what) + " " + remedy)
        rounding = 1e-3 if scores.dtype.itemsize > 2 else 1e-2
        if not scores.is_meta:
            scores = (scores if scores.dtype == torch.float64 else scores.float()).cpu()
        if self.kind == SOFTMAX:
            return as_logits(scores, rounding)
        return torch.cat([-scores, scores], 1) if self.two_sided and scores.shape[1] == 1 else scores

    def probabilities(self, scores: Tensor) -> Tensor:
        """The probability of each class, of the shape of `scores` [N, classes] (or [classes])."""
        return scores.sigmoid() if self.kind == SIGMOID or scores.shape[-1] == 1 else scores.softmax(-1)


def reading_of(output: Output) -> Reading:
    """The `Reading` that a `Network` was given as `output`. Raises `WrongSetting` or `CnnvizError` for another kind."""
    if isinstance(output, Reading):
        return output
    if isinstance(output, tuple) and len(output) == 2 and callable(output[0]):
        return Reading(one_of(_("output"), output[1], (SOFTMAX, SIGMOID)), output[0])
    if callable(output):
        return Reading(function=output)
    if isinstance(output, str):
        return Reading(one_of(_("output"), output, (SOFTMAX, SIGMOID)))
    message = _(
        'output is "softmax", "sigmoid", a function that makes scores [N, classes] of what the module returns, or a '
        "pair of such a function and one of the two words, not a {kind}."
    )
    raise CnnvizError(message.format(kind=type(output).__name__))


def as_logits(scores: Tensor, rounding: float = 1e-3) -> Tensor:
    """Scores [N, classes] before softmax: as they are, or the logarithms of what are probabilities already.

    Probabilities are what is nowhere below 0 and adds up to 1 in each row, within `rounding`.
    """
    if scores.is_meta or not scores.is_floating_point() or scores.shape[1] < 2 or scores.min() < 0:
        return scores
    total = scores.sum(1)
    if not torch.allclose(total, torch.ones_like(total), rtol=0, atol=rounding):
        return scores
    return scores.clamp_min(torch.finfo(scores.dtype).tiny).log()
