"""Training in short steps that can be watched, paused, and taken up again.

Everything that decides the next step (weights, optimiser, order of the pictures, random numbers) lies in the training
itself, so that pausing it, stepping by hand or watching it changes nothing of what it learns.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..images.digits import Digits, split_digits
from ..layers import run
from ..networks import Network, as_module, evaluating
from ..settings import whole_number

EXPLODED = 5.0  # a loss of so many times that of guessing, or of the beginning, does not come back
FASTEST = 1e30  # a learning rate that float32 can still multiply a step by
STILL_GUESSING = 0.95  # after a whole epoch the loss should lie below this share of that of guessing

Examples = Digits | tuple[Tensor, Tensor]
"""Digits, or pictures `[N, C, H, W]` with their labels int64 `[N]`."""


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


class Adam:
    """Adam (Kingma and Ba, 2014) on the parameters of `model` that have a gradient.

    As `torch.optim.Adam` without options, also for parameters that have a gradient only now and then; making one of
    those imports torch's compiler, which takes seconds and a hundred megabytes.
    """

    def __init__(self, model: nn.Module, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.parameters = list(model.parameters())
        self.betas, self.eps = betas, eps
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = [0] * len(self.parameters)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move every parameter against its gradient."""
        for index, (parameter, mean, square) in enumerate(zip(self.parameters, self.means, self.squares, strict=True)):
            gradient = parameter.grad
            if gradient is None:
                continue
            self.steps[index] += 1
            steps = self.steps[index]
            mean.lerp_(gradient, 1 - self.betas[0])
            square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
            scale = (square / (1 - self.betas[1] ** steps)).sqrt_().add_(self.eps)
            parameter.addcdiv_(mean, scale, value=-learning_rate / (1 - self.betas[0] ** steps))


class Training:
    """Trains `model` on `examples`; each call of `step` takes one batch.

    Adam (Kingma and Ba, 2014) on the cross entropy, the learning rate falling to zero along a half cosine
    (Loshchilov and Hutter, 2016). After each epoch the model is tested on `held_out`. The order of the pictures is
    drawn from `seed` by a generator of its own, and so is what layers of dropout draw; pictures that do not fill a
    batch are left out of that epoch.

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
        self.seed = whole_number(_("seed"), seed, 0)
        self.pictures, self.labels = as_tensors(examples)
        self.held_out = as_tensors(held_out)
        self.batch_size = min(whole_number(_("batch size"), batch_size, 1), len(self.pictures))
        self.epochs = whole_number(_("number of epochs"), epochs, 1)
        self.steps_per_epoch = len(self.pictures) // self.batch_size
        self.total = self.epochs * self.steps_per_epoch
        generator = torch.Generator().manual_seed(self.seed)
        self._orders = [torch.randperm(len(self.pictures), generator=generator) for _epoch in range(self.epochs)]
        self._first_weights = copy.deepcopy(self.model.state_dict())
        self._draws = any(isinstance(part, (nn.modules.dropout._DropoutNd, nn.RReLU)) for part in self.model.modules())
        self._check_model()
        self.restart()

    def restart(self) -> None:
        """Back to the first weights, with a fresh optimiser and the same order of pictures."""
        self.model.load_state_dict(self._first_weights)
        self._adam = Adam(self.model)
        self._random = torch.Generator().manual_seed(self.seed).get_state()
        self.index = 0
        self.history: list[TrainingStep] = []
        self.diverged: Diverged | None = None
        self._good = self._first_weights
        self._test()
        self.tests = [(0.0, self.held_out_accuracy)]
        self._guessing = math.log(max(self.logits.shape[1], 2))

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
        if self.diverged is not None:
            raise self.diverged
        if self.finished:
            raise WrongSetting(_("All {total} steps are taken; restart to train anew.").format(total=self.total))
        pictures, labels = self._batch()
        before = copy.deepcopy(self.model.state_dict()) if self.index % self.steps_per_epoch == 0 else None
        was_training = [(part, part.training) for part in self.model.modules()]
        self.model.train()
        try:
            with torch.enable_grad(), self._own_random_numbers():
                self.model.zero_grad(set_to_none=True)
                logits = self.model(pictures)
                loss = F.cross_entropy(logits, labels)
                loss.backward()
        finally:
            for part, training in was_training:
                part.training = training
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
        return self.pictures[chosen], self.labels[chosen]

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        """Torch's global random numbers are those of this training inside the `with`, if its model draws any."""
        if not self._draws:
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()

    def _check_model(self) -> None:
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise WrongSetting(_("The network has no weights that can be trained."))
        classes = predictions(self.model, self.pictures[:1]).shape[1]
        for labels in (self.labels, self.held_out[1]):
            if labels.min() < 0 or labels.max() >= classes:
                message = _("The network has {classes} answers, so the labels must be 0 to {last}; there is a {label}.")
                wrong = labels[(labels < 0) | (labels >= classes)][0].item()
                raise WrongSetting(message.format(classes=classes, last=classes - 1, label=wrong))

    def _test(self) -> None:
        pictures, labels = self.held_out
        self.logits = predictions(self.model, pictures)
        self.held_out_accuracy = (self.logits.argmax(1) == labels).double().mean().item()
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
    from tqdm.auto import tqdm

    if examples is None or held_out is None:
        digits = split_digits()
        examples = digits[0] if examples is None else examples
        held_out = digits[1] if held_out is None else held_out
    training = Training(
        model, examples, held_out, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    with tqdm(total=training.total, desc=_("training"), disable=not progress, leave=False) as bar:
        for step in training.steps():
            bar.update()
            if step.held_out == step.held_out:
                words = _("loss {loss:.2f}, held-out accuracy {accuracy:.1%}")
                bar.set_postfix_str(words.format(loss=step.loss, accuracy=step.held_out), refresh=False)
    return training


def as_tensors(examples: Examples) -> tuple[Tensor, Tensor]:
    """Pictures and labels as tensors; labels of any whole-number type become int64, arrays become tensors.

    Raises `WrongSetting` unless there is at least one picture, of floats, and a label each.
    """
    try:
        pair = examples.tensors() if isinstance(examples, Digits) else examples
        pictures, labels = map(torch.as_tensor, pair)
        counts = len(pictures), len(labels)
    except (TypeError, ValueError, RuntimeError):
        raise WrongSetting(_("Examples are Digits, or a pair: pictures [N, C, H, W], labels [N].")) from None
    if counts[0] == 0 or counts[0] != counts[1]:
        message = _("There are {pictures} pictures and {labels} labels: give at least one picture, and a label each.")
        raise WrongSetting(message.format(pictures=counts[0], labels=counts[1]))
    if not pictures.is_floating_point() or labels.ndim != 1 or labels.is_floating_point():
        message = _("Pictures must be floats and labels whole numbers [N], not {pictures} and {labels} {shape}.")
        words = {"pictures": _kind(pictures), "labels": _kind(labels), "shape": list(labels.shape)}
        raise WrongSetting(message.format(**words))
    return pictures, labels.long()


def _kind(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def predictions(model: Network | nn.Module, pictures: Tensor, batch_size: int = 500) -> Tensor:
    """The logits `[N, classes]` of many pictures, in eval mode and without gradients.

    Raises `WrongSetting` when the network cannot read such pictures, or puts out anything but logits.
    """
    module = as_module(model)
    try:
        with evaluating(module), torch.no_grad():
            logits = [run(module, batch) for batch in pictures.split(batch_size)]
    except RuntimeError as error:
        message = _("The network cannot read pictures of shape {shape}: {reason}.")
        reason = " ".join(str(error).split()).rstrip(".")
        raise WrongSetting(message.format(shape=list(pictures.shape[1:]), reason=reason)) from error
    if not all(isinstance(part, Tensor) and part.ndim == 2 for part in logits):
        shapes = [list(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in logits]
        message = _("The network must put out a number for each class, [N, classes], not {shape}.")
        raise WrongSetting(message.format(shape=shapes[0]))
    return torch.cat(logits)


def confusion(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How often each class (row) was taken for each class (column): int64 `[classes, classes]`.

    Raises `WrongSetting` when a label or an answer is none of the classes.
    """
    said = logits.argmax(1)
    if len(labels) and not 0 <= labels.min() <= max(labels.max(), said.max()) < classes:
        message = _("Labels and answers must be 0 to {last} in a confusion matrix of {classes} classes.")
        raise WrongSetting(message.format(last=classes - 1, classes=classes))
    return torch.bincount(labels * classes + said, minlength=classes * classes).reshape(classes, classes)
