"""Training in short steps that can be watched, paused, and taken up again.

Everything that decides the next step (weights, optimiser, order of the pictures, random numbers) lies in the training
itself, so that pausing it, stepping by hand or watching it changes nothing of what it learns.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..images.digits import split_digits
from ..networks import SIGMOID, Network, as_module, lock_of, run
from ..seeds import Drawing
from ..settings import whole_number
from ..techniques.steps import finished
from .adam import Adam
from .answers import as_the_model, class_scores, predictions, reading_of
from .examples import Examples, as_tensors

EXPLODED = 5.0  # a loss of so many times that of guessing, or of the beginning, does not come back
FASTEST = 1e30  # a learning rate that float32 can still multiply a step by
STILL_GUESSING = 0.95  # after a whole epoch the loss should lie below this share of that of guessing

AUXILIARY = (
    0.3  # what the classifiers half-way up Inception count, as in Szegedy et al., "Going Deeper with Convolutions"
)


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
    """The loss has grown beyond all bounds; the last good weights were put back."""


class Training:
    """Trains `model` on `examples`; each call of `step` takes one batch.

    Adam (Kingma and Ba, 2014) on the cross entropy, the learning rate falling to zero along a half cosine
    (Loshchilov and Hutter, 2016). After each epoch the model is tested on `held_out`. The order of the pictures is
    drawn from `seed` by a generator of its own, and so is whatever the model draws; pictures that do not fill a
    batch are left out of that epoch. Pictures go to the model's device and type batch by batch; those without an axis
    of channels are given one if the model wants it.

    A model with a single score learns to tell label 1 from 0; one whose `Network` reads independent labels learns each
    by itself. What a `Network`'s `output` makes of what the module returns is what is trained, and of a tuple (as
    Inception returns in training) the first tensor, with three tenths of the loss of each further one.

    `history` has all steps so far, `tests` the (epoch, held-out accuracy) of each test. `logits`, `[N, classes]`, is
    what the model said of the held-out pictures when it was last tested (`tested_at`, a number of steps), and
    `held_out_accuracy` how many of them it got right then, 0..1. `restart` puts everything back to the beginning.

    Raises `WrongSetting` for a learning rate, batch or number of epochs that is not positive, for examples without
    a label each, and for a model that has nothing to train, cannot read the pictures, or has no answer for a label.
    """

    def __init__(
        self,
        model: Network | nn.Module,
        examples: Examples,
        held_out: Examples,
        *,
        epochs: int = 6,
        batch_size: int = 50,
        learning_rate: float = 0.003,
        seed: int = 0,
    ) -> None:
        is_number = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool)
        if not is_number or not 0 < learning_rate <= FASTEST:
            message = _("The learning rate must be a number above 0, not {rate!r}.")
            if is_number and learning_rate > FASTEST:
                message = _("The learning rate must be a number above 0 and at most {most:g}, not {rate!r}.")
            raise WrongSetting(message.format(rate=learning_rate, most=FASTEST))
        self.model, self.learning_rate = as_module(model), float(learning_rate)
        self.reading = reading_of(model)
        self.seed = whole_number(_("seed"), seed, 0)
        self.pictures, self.labels = as_tensors(examples)
        self.held_out = as_tensors(held_out)
        self.batch_size = min(whole_number(_("batch size"), batch_size, 1), len(self.pictures))
        self.epochs = whole_number(_("number of epochs"), epochs, 1)
        self.steps_per_epoch = len(self.pictures) // self.batch_size
        self.total = self.epochs * self.steps_per_epoch
        generator = torch.Generator().manual_seed(self.seed)
        self._orders = [torch.randperm(len(self.pictures), generator=generator) for _epoch in range(self.epochs)]
        self._check_model()
        with torch.inference_mode(False):
            self._first_weights = copy.deepcopy(self.model.state_dict())
        self.restart()

    def restart(self) -> None:
        """Back to the first weights, with a fresh optimiser and the same order of pictures."""
        with lock_of(self.model), torch.inference_mode(False):
            self.model.load_state_dict(self._first_weights)
            self._adam = Adam(self.model.parameters())
        self._random = Drawing(self.seed)
        self.index = 0
        self.history: list[TrainingStep] = []
        self.diverged: Diverged | None = None
        self._good = self._first_weights
        self._test()
        self.tests = [(0.0, self.held_out_accuracy)]
        self._guessing = math.log(2 if self.reading.kind == SIGMOID else max(self.logits.shape[1], 2))

    @property
    def finished(self) -> bool:
        """True when every step has been taken."""
        return self.index >= self.total

    @property
    def guessing(self) -> bool:
        """True when a whole epoch has gone by and the model still does no better than guessing."""
        latest = [step.loss for step in self.history[-self.steps_per_epoch :]]
        return len(latest) == self.steps_per_epoch and sum(latest) / len(latest) > STILL_GUESSING * self._guessing

    def step(self) -> TrainingStep:
        """Take one step and say what it was like.

        Raises `Diverged` when the loss explodes or is no number any more: the model then has the weights from the
        beginning of the latest epoch whose first loss was sound, and there is no further step until `restart`. Raises
        `WrongSetting` after the last step.
        """
        with (
            lock_of(self.model),
            torch.inference_mode(False),
        ):  # whoever looks at the model itself sees it before a step or after it
            return self._step()

    def _step(self) -> TrainingStep:
        if self.diverged is not None:
            raise self.diverged
        if self.finished:
            raise WrongSetting(_("All {total} steps are taken; restart to train anew.").format(total=self.total))
        pictures, labels = self._batch()
        before = copy.deepcopy(self.model.state_dict()) if self.index % self.steps_per_epoch == 0 else None
        logits, loss = self._gradients(pictures, labels)
        gradients = {name: p.grad.norm().item() for name, p in self.model.named_parameters() if p.grad is not None}
        start = max(self.history[0].loss if self.history else loss.item(), self._guessing)
        if not (loss.item() < EXPLODED * start and all(map(math.isfinite, gradients.values()))):
            self._give_up()
        self._good = before or self._good
        self._adam.step(self.learning_rate * (1 + math.cos(math.pi * self.index / self.total)) / 2)
        self.index += 1
        tested = self.index % self.steps_per_epoch == 0
        if tested:
            self._test()
            if not self.logits.isfinite().all():
                self.index -= 1
                self._give_up()
            self.tests.append((self.index / self.steps_per_epoch, self.held_out_accuracy))
        done = TrainingStep(
            self.index,
            self.total,
            self.index / self.steps_per_epoch,
            loss.item(),
            (logits.argmax(1) == labels).double().mean().item(),
            self.held_out_accuracy if tested else math.nan,
            gradients,
        )
        self.history.append(done)
        return done

    def steps(self) -> Iterator[TrainingStep]:
        """The steps that are left, one after another; stopping in between loses nothing."""
        while not self.finished:
            yield self.step()

    def accuracy(self) -> float:
        """The share of held-out pictures that the model as it is now gets right, 0..1; tests it."""
        self._test()
        return self.held_out_accuracy

    def _batch(self) -> tuple[Tensor, Tensor]:
        epoch, within = divmod(self.index, self.steps_per_epoch)
        chosen = self._orders[epoch][within * self.batch_size : (within + 1) * self.batch_size]
        return as_the_model(self.model, self.pictures[chosen]), self.labels[chosen].cpu()

    def _gradients(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and loss of a batch, whose gradients are then in the parameters; every part keeps its mode."""
        was_training = [(part, part.training) for part in self.model.modules()]
        self.model.train()
        try:
            with torch.enable_grad(), self._random:
                self.model.zero_grad(set_to_none=True)
                output = run(self.model, pictures)
                logits, *auxiliary = class_scores(self.reading, output, len(labels))
                loss = self._loss(logits, labels)
                (loss + AUXILIARY * sum(self._loss(scores, labels) for scores in auxiliary)).backward()
        finally:
            for part, training in was_training:
                part.training = training
        return logits, loss

    def _loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The cross entropy of scores `[N, classes]`; of independent labels, the mean of what each has by itself."""
        if self.reading.kind == SIGMOID and scores.shape[1] > 2:
            return F.binary_cross_entropy_with_logits(scores, F.one_hot(labels, scores.shape[1]).to(scores))
        return F.cross_entropy(scores, labels)

    def _check_model(self) -> None:
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise WrongSetting(_("The network has no weights that can be trained."))
        if any(parameter.is_inference() for parameter in self.model.parameters()):
            message = _("What was made inside torch.inference_mode cannot learn: make the network outside of it.")
            raise WrongSetting(message)
        self._add_channels()
        classes = self._predictions(self.pictures[:1]).shape[1]
        for labels in (self.labels, self.held_out[1]):
            if labels.min() < 0 or labels.max() >= classes:
                message = _("The network has {classes} answers, so the labels must be 0 to {last}; there is a {label}.")
                wrong = labels[(labels < 0) | (labels >= classes)][0].item()
                raise WrongSetting(message.format(classes=classes, last=classes - 1, label=wrong))

    def _add_channels(self) -> None:
        """Put the axis of channels into pictures `[N, H, W]`, unless the model takes them only as they are."""
        first, second = self.pictures, self.held_out[0]
        if first.ndim == second.ndim == 3:
            try:
                self._predictions(first[:2, None])
            except WrongSetting:
                return
            self.pictures, self.held_out = first[:, None], (second[:, None], self.held_out[1])

    def _predictions(self, pictures: Tensor) -> Tensor:
        return predictions(self.model, pictures, reading=self.reading)

    def _test(self) -> None:
        pictures, labels = self.held_out
        self.logits = self._predictions(pictures)
        self.held_out_accuracy = (self.logits.argmax(1) == labels.cpu()).double().mean().item()
        self.tested_at = self.index

    def _give_up(self) -> None:
        self.model.load_state_dict(self._good)
        self.model.zero_grad(set_to_none=True)
        self._test()
        message = _(
            "The training diverged at step {step}: the loss grows beyond all bounds. The last good weights, from the "
            "beginning of an epoch, were put back; try a smaller learning rate than {rate:g}."
        )
        self.diverged = Diverged(message.format(step=self.index + 1, rate=self.learning_rate))
        raise self.diverged


def train(
    model: Network | nn.Module,
    examples: Examples | None = None,
    held_out: Examples | None = None,
    *,
    epochs: int = 6,
    batch_size: int = 50,
    learning_rate: float = 0.003,
    seed: int = 0,
    progress: bool = True,
) -> Training:
    """Train `model` in place, with a bar that shows loss and held-out accuracy; the same as taking every step.

    Without `examples` these are the 4,000 digits of `split_digits`, and `held_out` the other 1,000. Returns the
    `Training` with its history. Raises `Diverged` (with the last good weights put back), and what `Training` raises.
    """
    if examples is None or held_out is None:
        digits = split_digits()
        examples = digits[0] if examples is None else examples
        held_out = digits[1] if held_out is None else held_out
    training = Training(
        model, examples, held_out, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    finished(training.steps(), _("training"), progress, _in_words)
    return training


def _in_words(step: TrainingStep) -> str:
    """What the bar says after a test; nothing in between."""
    if math.isnan(step.held_out):
        return ""
    words = _("loss {loss:.2f}, held-out accuracy {accuracy:.1%}")
    return words.format(loss=step.loss, accuracy=step.held_out)


def confusion(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How often each class (row) was taken for each class (column): int64 `[classes, classes]`.

    Raises `WrongSetting` when a label or an answer is none of the classes.
    """
    said = logits.argmax(1)
    if len(labels) and not 0 <= labels.min() <= max(labels.max(), said.max()) < classes:
        message = _("Labels and answers must be 0 to {last} in a confusion matrix of {classes} classes.")
        raise WrongSetting(message.format(last=classes - 1, classes=classes))
    return torch.bincount(labels * classes + said, minlength=classes * classes).reshape(classes, classes)
