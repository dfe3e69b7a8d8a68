"""A model that is trained again and again, each time from its first weights, and what is to be said of it."""

import copy
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from ..i18n import _
from ..images.digits import split_digits
from ..networks import Network, as_module, lock_of
from ..networks.lenet import lenet
from .answers import predictions
from .examples import Examples
from .training import Training, TrainingStep

SETTINGS = ("learning_rate", "epochs", "batch_size", "seed")  # what a training begins with


class TrainingSession:
    """Trainings of one `model`, of which `training` is the one at hand; without a model, of a `lenet` for each seed.

    `previous` holds the weights that the training before ended with (a state dict, else None). `ended` says that the
    training at hand is not to go on. Steps, and the exchange of the training, take turns on the model's lock. Raises
    what `Training` raises.
    """

    def __init__(
        self, model: Network | nn.Module | None, train: Examples | None, test: Examples | None, **settings: float
    ) -> None:
        self._own = model is None
        self._given = lenet(settings["seed"]) if model is None else model
        self.model = as_module(self._given)
        digits = split_digits() if train is None or test is None else (train, test)
        self._examples = (digits[0] if train is None else train, digits[1] if test is None else test)
        self._first_weights = copy.deepcopy(self.model.state_dict())
        self.previous: dict[str, Tensor] | None = None
        self.ended = False
        self._turn = 0  # which iterator may take steps; an older one takes none
        self.training = Training(self._given, *self._examples, **settings)

    def begin_anew(self, **settings: float) -> None:
        """A fresh training from the first weights; an iterator at hand takes no further step."""
        self._turn += 1
        self.ended = False
        with lock_of(self.model):
            if self.training.index:
                self.previous = copy.deepcopy(self.model.state_dict())
            self.model.load_state_dict(lenet(settings["seed"]).state_dict() if self._own else self._first_weights)
            self.training = Training(self._given, *self._examples, **settings)

    def steps(self, count: int | None = None) -> Iterator[TrainingStep]:
        """The next `count` steps, or all that are left; from now on an older iterator takes none."""
        self._turn += 1
        return islice(self._steps(self.training, self._turn), count)

    def _steps(self, training: Training, turn: int) -> Iterator[TrainingStep]:
        while True:
            with lock_of(self.model):  # which also whoever exchanges the training holds
                if turn != self._turn or training.finished:
                    return
                step = training.step()
            yield step

    def test(self) -> None:
        """Test the model as it is now, unless that has just been done."""
        with lock_of(self.model):
            if not self.training.finished and self.training.diverged is None:
                self.training.accuracy()

    def tests(self) -> list[tuple[float, float]]:
        """The (epoch, accuracy) of the tests after each epoch, and of the latest where that was between two."""
        training = self.training
        latest = (training.tested_at / training.steps_per_epoch, training.held_out_accuracy)
        between = latest[0] > training.tests[-1][0] and training.diverged is None
        return [*training.tests, latest] if between else training.tests

    def mistakes(self) -> tuple[list[int], list[int]]:
        """The held-out pictures that were wrong at the latest test, the surest first, and what each was taken for."""
        sure, said = self.training.logits.softmax(1).max(1)
        wrong = torch.nonzero(said != self.training.held_out[1].cpu()).flatten()
        wrong = wrong[sure[wrong].argsort(descending=True, stable=True)]
        return wrong.tolist(), said[wrong].tolist()

    def answer(self, number: int) -> tuple[int, float]:
        """What the model as it is now takes the held-out picture of this number for, and with what probability."""
        picture = self.training.held_out[0][number : number + 1]
        probability, said = predictions(self.model, picture, reading=self.training.reading).softmax(1)[0].max(0)
        return int(said), float(probability)

    def gradients(self) -> list[tuple[str, float]]:
        """The norms of the gradients of whole layers in the latest step: (name of the layer, norm), in order."""
        latest = self.training.history[-1].gradients if self.training.history else {}
        return gradient_norms(self.model, latest)

    def waiting(self, **settings: float) -> str:
        """What is to be said of settings that wait for another beginning; empty if these are those at hand."""
        training = self.training
        if self.ended:
            return _("This takes effect at the next Train, which begins anew.")
        if all(getattr(training, name) == value for name, value in settings.items()):
            return ""
        return _(
            "This takes effect at Restart. The training at hand keeps learning rate {rate:.2g}, {epochs} epochs, "
            "batches of {batch}, seed {seed}."
        ).format(rate=training.learning_rate, epochs=training.epochs, batch=training.batch_size, seed=training.seed)

    def verdict(self) -> str:
        """How far the training is, and what it is worth."""
        training = self.training
        if training.diverged is not None:
            return str(training.diverged)
        where = _("Step {index} of {total}: {accuracy:.1%} of the held-out digits are right.").format(
            index=training.index, total=training.total, accuracy=training.held_out_accuracy
        )
        advice = "" if training.finished else _("Train goes on from here.")
        if training.guessing:
            advice = _("After a whole epoch it still only guesses: try another learning rate, and Restart.")
        elif self.ended:
            advice = _("Stopped: the network keeps these weights, and the next Train begins anew.")
        return f"{where} {advice}".rstrip()


def gradient_norms(model: nn.Module, norms: dict[str, float]) -> list[tuple[str, float]]:
    """From the norms of the gradients of parameters those of whole layers: (name of the layer, norm), in order."""
    layers: dict[str, float] = {}
    for name, _parameter in model.named_parameters():
        layer = name.rpartition(".")[0] or name
        layers[layer] = layers.get(layer, 0.0) + norms.get(name, 0.0) ** 2
    return [(layer, square**0.5) for layer, square in layers.items()]
