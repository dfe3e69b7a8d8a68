"""What a network answers to many pictures, as scores of classes, however it puts them out."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..networks import Network, like
from ..networks.output import Reading
from ..techniques.targets import asked


def predictions(
    model: Network | nn.Module, pictures: Tensor, batch_size: int = 500, *, reading: Reading | None = None
) -> Tensor:
    """The logits `[N, classes]` of many pictures, in eval mode and without gradients: on the CPU, at least float32.

    A single score becomes two, of no and yes. Raises `WrongSetting` when the network cannot read such pictures, or puts
    out anything but logits.
    """
    ask, reading = asked(model), reading or reading_of(model)
    pictures, logits = ask.matched(pictures), []
    for batch in pictures.split(1 if ask.one_by_one else batch_size):
        try:
            output = ask.output(batch)
        except CnnvizError as error:
            message = _("The network cannot read pictures of shape {shape}: {reason}.")
            words = {"shape": list(pictures.shape[1:]), "reason": str(error).rstrip(".")}
            raise WrongSetting(message.format(**words)) from error
        logits += class_scores(reading, output, len(batch))[:1]
    return torch.cat(logits)


def reading_of(model: Network | nn.Module) -> Reading:
    """How what the model puts out is read while it learns: a single score is one of yes, whatever the labels."""
    return Reading() if isinstance(model, nn.Module) else replace(model.reading, two_sided=False)


def class_scores(reading: Reading, output: Any, count: int) -> list[Tensor]:
    """The scores `[count, classes]` in what a module returned, then those of its auxiliary classifiers, if any."""
    parts = [output]
    if reading.function is None and isinstance(output, tuple) and output and isinstance(output[0], Tensor):
        parts = [part for part in output if isinstance(part, Tensor) and part.shape == output[0].shape]
    found = []
    for part in parts:
        is_logits = isinstance(part, Tensor) and (part.ndim == 2 or part.ndim < 2 and part.numel() == count)
        if reading.function is None and not is_logits:
            shape = list(part.shape) if isinstance(part, Tensor) else type(part).__name__
            message = _("The network must put out a number for each class, [N, classes], not {shape}.")
            raise WrongSetting(message.format(shape=shape))
        scores = reading.scores(part, count)
        found.append(torch.cat([torch.zeros_like(scores), scores], 1) if scores.shape[1] == 1 else scores)
    return found


def as_the_model(model: nn.Module, pictures: Tensor) -> Tensor:
    """Pictures on the device and of the type that the module works on."""
    own = like(model)
    return pictures.to(own.device, own.dtype)
