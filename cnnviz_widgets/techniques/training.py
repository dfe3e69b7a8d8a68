"""Training in short steps that can be watched, paused, and taken up again.

Everything that decides the next step (weights, optimiser, order of the pictures, random numbers) lies in the training
itself, so that pausing it, stepping by hand or watching it changes nothing of what it learns.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..networks import evaluating
from .settings import whole_number


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """How far a training is: `index` of `total` steps are done.

    `loss` and `accuracy` (0..1) are those of this step's batch, before the step; `held_out` is the accuracy on the
    held-out pictures, NaN where it was not measured in this step. `gradients` holds the norm of the gradient of every
    parameter by its dotted name.
    """

    index: int
    total: int
    epoch: float
    loss: float
    accuracy: float
    held_out: float
    gradients: dict[str, float]


class Diverged(WrongSetting):
    """The loss has become infinite or no number; the last good weights were put back."""


class Training:
    """Trains `model` on pictures `[N, C, H, W]` with `labels` `[N]`; each call of `step` takes one batch.

    Adam (Kingma and Ba, 2014) on the cross entropy, the learning rate falling to zero along a half cosine
    (Loshchilov and Hutter, 2016). `held_out` is a pair of pictures and labels to test on after each epoch. The order
    of the pictures is drawn from `seed` by a generator of its own. `restart` puts everything back to the beginning.

    Raises `WrongSetting` for a learning rate, batch or number of epochs that is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        pictures: Tensor,
        labels: Tensor,
        held_out: tuple[Tensor, Tensor],
        *,
        epochs: int = 8,
        batch_size: int = 50,
        learning_rate: float = 0.003,
        seed: int = 0,
    ) -> None:
        if not (isinstance(learning_rate, (int, float)) and 0 < learning_rate < math.inf):
            raise WrongSetting(
                _("The learning rate must be a number above 0, not {rate!r}.").format(rate=learning_rate)
            )
        self.model, self.pictures, self.labels, self.held_out = model, pictures, labels, held_out
        self.batch_size = min(whole_number(_("batch size"), batch_size, 1), len(pictures))
        self.steps_per_epoch = len(pictures) // self.batch_size
        self.total = whole_number(_("number of epochs"), epochs, 1) * self.steps_per_epoch
        self.learning_rate, self.seed = learning_rate, seed
        self._first_weights = copy.deepcopy(model.state_dict())
        self.restart()

    def restart(self) -> None:
        """Back to the first weights, with a fresh optimiser and the same order of pictures."""
        self.model.load_state_dict(self._first_weights)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=self.learning_rate)
        self.index = 0
        self.history: list[TrainingStep] = []
        self._generator = torch.Generator().manual_seed(self.seed)
        self._order = torch.empty(0, dtype=torch.long)
        self._good = copy.deepcopy(self._first_weights)

    @property
    def finished(self) -> bool:
        """True when every step has been taken."""
        return self.index >= self.total

    def step(self) -> TrainingStep:
        """Take one step and say what it was like.

        Raises `Diverged` when the loss is no longer a number; the model then has its last good weights.
        """
        pictures, labels = self._next_batch()
        was_training = [(part, part.training) for part in self.model.modules()]
        self.model.train()
        try:
            with torch.enable_grad():
                self.optimiser.zero_grad(set_to_none=True)
                logits = self.model(pictures)
                loss = F.cross_entropy(logits, labels)
                if not torch.isfinite(loss):
                    self._give_up()
                loss.backward()
        finally:
            for part, training in was_training:
                part.training = training
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * (1 + math.cos(math.pi * self.index / self.total)) / 2
        self.optimiser.step()
        self.index += 1
        done = TrainingStep(
            self.index,
            self.total,
            self.index / self.steps_per_epoch,
            loss.item(),
            (logits.argmax(1) == labels).double().mean().item(),
            self._test() if self.index % self.steps_per_epoch == 0 else math.nan,
            {name: p.grad.norm().item() for name, p in self.model.named_parameters() if p.grad is not None},
        )
        self.history.append(done)
        return done

    def steps(self) -> Iterator[TrainingStep]:
        """The steps that are left, one after another; stopping in between loses nothing."""
        while not self.finished:
            yield self.step()

    def accuracy(self) -> float:
        """The share of held-out pictures that the model as it is now gets right, 0..1."""
        return self._test()

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        within = self.index % self.steps_per_epoch
        if within == 0:
            self._order = torch.randperm(len(self.pictures), generator=self._generator)
            self._good = copy.deepcopy(self.model.state_dict())
        chosen = self._order[within * self.batch_size : (within + 1) * self.batch_size]
        return self.pictures[chosen], self.labels[chosen]

    def _test(self) -> float:
        pictures, labels = self.held_out
        return (predictions(self.model, pictures).argmax(1) == labels).double().mean().item()

    def _give_up(self) -> None:
        self.model.load_state_dict(self._good)
        message = _(
            "The training diverged at step {step}: the loss is no longer a number. Try a smaller learning rate."
        )
        raise Diverged(message.format(step=self.index + 1))


def predictions(model: nn.Module, pictures: Tensor, batch_size: int = 500) -> Tensor:
    """The logits `[N, classes]` of many pictures, in eval mode and without gradients."""
    with evaluating(model), torch.no_grad():
        return torch.cat([model(batch) for batch in pictures.split(batch_size)])


def confusion(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How often each class (row) was taken for each class (column): int64 `[classes, classes]`."""
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes).reshape(classes, classes)
