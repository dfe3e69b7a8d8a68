"""A network that learns, watched: its loss, its filters, its gradients, what every layer says, what it gets wrong."""

import copy
import math
import threading
import time
from collections.abc import Iterator
from itertools import islice

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from .. import render
from ..controls import RunControl, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..controls.worker import Job
from ..i18n import _
from ..images.digits import split_digits
from ..learning.training import Diverged, Examples, Training, TrainingStep
from ..networks import Network, as_module
from ..networks.lenet import lenet
from ..render.charts import line_chart
from ..render.layer_sheet import layer_sheet
from ..views import ImageView
from ..views.tiles import DigitTiles, grey_pictures
from .base import Explorer, sentence_of

SIDE = 256  # screen pixels of the charts
WRONG_ROWS = 3  # of digits that the network gets wrong
SMOOTHED = 20  # batches that the lines of the charts average over
DRAWING = 0.25  # share of the time that may go into drawing; the rest is for the training


class TrainingMonitor(Explorer):
    """Train a small network and watch it learn: Train, Pause, One step, Stop, Restart.

    `model` maps `[N, 1, 32, 32]` to logits `[N, 10]`, or whatever suits the examples given as `train` and `test`
    (`Digits`, or pictures with their labels); it is trained in place. By default it is `lenet(seed)` and learns the
    4,000 digits of `split_digits`. `value` is its accuracy on the held-out ones, 0..1, when it was last tested;
    `training` is the `Training`, whose steps are the same whether they are watched, paused, taken singly or not.

    Pause interrupts a training, and Train goes on from there; Stop ends it, keeps the weights as they are, and the next
    Train or One step begins anew. Learning rate, epochs, batch size and seed count from the first step on; moved later,
    they wait for the next beginning. That puts the first weights back into `model` and keeps the trained ones in
    `previous` (a state dict, else None); Restart does it at once.
    """

    title = _("A network learns")
    twin_kind = "png"

    def __init__(
        self,
        model: Network | nn.Module | None = None,
        train: Examples | None = None,
        test: Examples | None = None,
        *,
        epochs: int = 6,
        learning_rate: float = 0.003,
        batch_size: int = 50,
        seed: int = 0,
    ):
        self._own_model = model is None
        self.model = lenet(seed) if model is None else as_module(model)
        self._first_weights = copy.deepcopy(self.model.state_dict())
        digits = split_digits() if train is None or test is None else (train, test)
        self._examples = (digits[0] if train is None else train, digits[1] if test is None else test)
        self.previous: dict[str, Tensor] | None = None
        self._stepping = threading.Lock()  # held while a step is taken, or the training is exchanged
        self._ended = False  # Stop has been pressed: the next step is the first of a new training
        self._turn = 0  # which run may take steps; an older one takes none
        self._drawn_until = self._drawing_took = 0.0
        self.training = self._made(learning_rate=learning_rate, epochs=epochs, batch_size=batch_size, seed=seed)
        self._make_controls(learning_rate, epochs, batch_size, seed)
        self._make_views()
        settings = {
            "learning_rate": self.learning_rate,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "digit": self.digit,
        }
        buttons = widgets.HBox([self.step_button, self.end_button, self.restart_button], layout={"overflow": "visible"})
        left = [self.loss_view, self.accuracy_view, self.gradients_view, self.filters_view, self.wrong_view]
        super().__init__(
            settings,
            widgets.HBox(
                [
                    widgets.VBox(left, layout={"grid_gap": "6px", "overflow": "visible"}),
                    widgets.VBox([self.layers_view], layout={"overflow": "visible"}),
                ],
                layout={"grid_gap": "12px", "overflow": "visible"},
            ),
            column=(*settings.values(), self.run, buttons),
        )
        self.say(_("Untrained. Press Train, and stop it with Pause wherever you like."))

    def _make_controls(self, learning_rate: float, epochs: int, batch_size: int, seed: int) -> None:
        when_let_go = {"continuous_update": False}
        self.learning_rate = widgets.FloatLogSlider(
            value=learning_rate,
            min=min(-5, math.floor(math.log10(learning_rate))),
            max=max(1, math.ceil(math.log10(learning_rate))),
            step=0.1,
            readout_format=".2g",
            description=_("Learning rate"),
            tooltip=_("How far a step goes, at the beginning; it falls to zero along a half cosine"),
            layout=dict(ROW),
            style=dict(STYLE),
            **when_let_go,
        )
        self.epochs = SettingSlider(
            epochs, 1, max(20, epochs), _("Epochs"), _("How often each digit is seen"), **when_let_go
        )
        pictures = len(self.training.pictures)
        self.batch_size = SettingSlider(
            self.training.batch_size,
            1,
            min(max(500, batch_size), pictures),
            _("Batch size"),
            _("How many digits a step looks at"),
            **when_let_go,
        )
        self.seed = SettingSlider(
            seed, 0, max(99, seed), _("Seed"), _("Draws the first weights and the order of the digits"), **when_let_go
        )
        last = len(self.training.held_out[1]) - 1
        self.digit = SettingSlider(
            min(250, last), 0, last, _("Digit shown"), _("Which held-out digit is shown in every layer")
        )
        self.run = RunControl(_("Train"), halt=_("Pause"))
        self.run.on_run(lambda: self.attempt(self.start))
        self.run.observe(lambda change: setattr(self.step_button, "disabled", change["new"]), "running")
        third = {"width": "86px"}
        self.step_button = widgets.Button(description=_("One step"), tooltip=_("Take one batch"), layout=third)
        self.step_button.on_click(lambda _button: self.attempt(self.one_step))
        self.end_button = widgets.Button(
            description=_("Stop"),
            tooltip=_("End this training and keep its weights; the next Train begins anew"),
            layout=dict(third),
        )
        self.end_button.on_click(lambda _button: self.attempt(self.stop))
        self.restart_button = widgets.Button(
            description=_("Restart"), tooltip=_("Back to the first weights, with these settings"), layout=dict(third)
        )
        self.restart_button.on_click(lambda _button: self.attempt(self.restart))

    def _make_views(self) -> None:
        chart = {"zoom": 0.5, "drawing": True}
        self.loss_view, self.accuracy_view, self.gradients_view = (ImageView(**chart) for _chart in range(3))
        self.filters_view = ImageView(pixelated=True)
        self.wrong_view = DigitTiles(SIDE)
        self.wrong_view.on_pick(lambda number: self.attempt(self._pick, number))
        self.layers_view = ImageView(pixelated=True)
        self._convolution = next((part for part in self.model.modules() if isinstance(part, nn.Conv2d)), None)
        if self._convolution is None:
            self.filters_view.layout.display = "none"

    # ------------------------------------------------------------------------------------------------------ compute
    def update(self, changed: str | None = None) -> None:
        """Follow a setting: the digit at once, the others before the first step or at the next Restart."""
        if changed == "digit":
            self._draw_digit()
        elif changed is None or (self.training.index == 0 and not self.run.running):
            if changed is not None:
                self._begin_anew()
            self._draw()
        elif self._ended:
            self.say(_("This takes effect at the next Train, which begins anew."))
        elif self._waiting():
            self.say(
                _("This takes effect at Restart. The training at hand keeps {settings}.").format(
                    settings=self._described_training()
                )
            )

    def start(self) -> None:
        """Train from where the training is to its end, on the worker's thread; what Train does."""
        with self._lock:
            self._take_steps(None)

    def one_step(self) -> None:
        """Take one step; what One step does."""
        with self._lock:
            if self.run.running:
                self.say(_("It is training; press Pause first to take single steps."))
            else:
                self._take_steps(1)

    def pause(self) -> None:
        """Stop after the step that is being taken; what Pause does. Train goes on from there."""
        self.run.stop()

    def stop(self) -> None:
        """End the training after the step that is being taken and keep its weights; what Stop does."""
        with self._lock:
            if self.training.index == 0 and not self.run.running:
                self.say(_("Nothing has been learned yet that could be stopped."))
                return
            self._ended = True
            self.run.stop()
            if not self.run.running:
                self.say(self._verdict(), wrong=self.training.diverged is not None)

    def restart(self) -> None:
        """Back to the first weights, with the settings as they are now; the trained weights go to `previous`."""
        lost, accuracy = self.training.index, self.value
        self._begin_anew()
        self.run.clear()
        self._draw()
        if lost:
            self.say(
                _(
                    "Untrained again. The weights after step {step} ({accuracy:.1%} right) are kept in .previous."
                ).format(step=lost, accuracy=accuracy)
            )
        else:
            self.say("")

    def reset(self) -> None:
        """Put every setting back, and the first weights with them."""
        with self._lock:
            with self.quietly():
                for name, control in self.settings.items():
                    control.value = copy.deepcopy(self.first_values[name])
            self.attempt(self.restart)

    def settle(self, timeout: float = 120.0) -> bool:
        """Wait until no step is being taken; for scripts and tests, never in a callback."""
        return self.run.wait(timeout)

    def _made(self, **settings: float) -> Training:
        return Training(self.model, *self._examples, **settings)

    def _begin_anew(self) -> None:
        """A fresh training with the present settings; a run at hand takes no further step."""
        chosen = {name: self.settings[name].value for name in ("learning_rate", "epochs", "batch_size", "seed")}
        self._turn += 1
        self._ended = False
        with self._stepping:
            if self.training.index:
                self.previous = copy.deepcopy(self.model.state_dict())
            self.model.load_state_dict(lenet(chosen["seed"]).state_dict() if self._own_model else self._first_weights)
            self.training = self._made(**chosen)

    def _take_steps(self, count: int | None) -> None:
        if self._ended:
            self._begin_anew()
            self._draw()
        training = self.training
        if training.diverged is not None:
            raise training.diverged
        if training.finished:
            self.say(_("All {total} steps are taken. Restart begins anew.").format(total=training.total))
            return
        self._turn += 1
        turn = self._turn
        self.say("")
        self.run.run(
            lambda: islice(self._steps(training, turn), count),
            self._on_step,
            lambda job: self.attempt(self._on_done, job),
            begun=training.index / training.total,
        )

    def _steps(self, training: Training, turn: int) -> Iterator[TrainingStep]:
        while True:
            with self._stepping:
                if turn != self._turn or training.finished:
                    return
                step = training.step()
            yield step

    def _on_step(self, step: TrainingStep, draw: bool) -> None:
        """Draw, unless drawing would then take more than its share of the time; the end is drawn by `_on_done`."""
        began = time.monotonic()
        rested = began - self._drawn_until >= self._drawing_took * (1 / DRAWING - 1)
        if draw and rested and step.index < step.total and not self.layers_view.congested:
            self._draw()
            self._drawn_until = time.monotonic()
            self._drawing_took = self._drawn_until - began

    def _on_done(self, job: Job) -> None:
        training = self.training
        if job.error is not None and not isinstance(job.error, Diverged):
            self.say(sentence_of(job.error), wrong=True)
            return
        with self._stepping:
            if not training.finished and training.diverged is None:
                training.accuracy()
        self._draw()
        self.say(self._verdict(), wrong=training.diverged is not None)

    def _verdict(self) -> str:
        training = self.training
        if training.diverged is not None:
            return sentence_of(training.diverged)
        where = _("Step {index} of {total}: {accuracy:.1%} of the held-out digits are right.").format(
            index=training.index, total=training.total, accuracy=self.value
        )
        if training.guessing:
            advice = _("After a whole epoch it still only guesses: try another learning rate, and Restart.")
            return f"{where} {advice}"
        if self._ended:
            return f"{where} {_('Stopped: the network keeps these weights, and the next Train begins anew.')}"
        return where if training.finished else f"{where} {_('Train goes on from here.')}"

    def _waiting(self) -> bool:
        """True when a setting differs from that of the training at hand."""
        return any(
            getattr(self.training, name) != self.settings[name].value
            for name in ("learning_rate", "epochs", "batch_size", "seed")
        )

    def _described_training(self) -> str:
        training = self.training
        return _("learning rate {rate:.2g}, {epochs} epochs, batches of {batch}, seed {seed}").format(
            rate=training.learning_rate, epochs=training.epochs, batch=training.batch_size, seed=training.seed
        )

    def _pick(self, number: int) -> None:
        self.digit.value = int(self._wrong[number])

    # --------------------------------------------------------------------------------------------------------- draw
    def _draw(self) -> None:
        self.value = self.training.held_out_accuracy
        self._draw_curves()
        self._draw_gradients()
        self._draw_filters()
        self._draw_digit()

    def _draw_curves(self) -> None:
        training = self.training
        steps = training.history
        epochs = [step.epoch for step in steps]
        shape = {"size": (SIDE, 140), "x_range": (0, training.epochs), "x_label": _("epochs")}
        losses = smoothed([step.loss for step in steps])
        latest = _("loss {loss} in the latest batch")
        now = latest.format(loss=render.number(steps[-1].loss)) if steps else _("no step yet")
        self.loss_view.show(
            line_chart(
                {_("batches"): (epochs, losses)}, y_label=_("loss"), y_range=(0, losses.max(initial=2.5)), **shape
            ),
            kind="png",
            alt=_("Loss of the batches: {now}").format(now=now),
            caption=_("Cross entropy, mean of {n} batches: {now}").format(n=SMOOTHED, now=now),
        )
        tested, right = zip(*self._tests(), strict=True)
        lines = {
            _("batches"): (epochs, smoothed([100 * step.accuracy for step in steps])),
            _("held out"): (tested, [100 * share for share in right]),
        }
        caption = _("Held out: {accuracy:.1%} of {total:,} right").format(
            accuracy=self.value, total=len(training.held_out[1])
        )
        self.accuracy_view.show(
            line_chart(lines, y_label=_("right, %"), y_range=(0, 100), **shape),
            kind="png",
            alt=caption,
            caption=caption,
        )

    def _tests(self) -> list[tuple[float, float]]:
        """The tests after each epoch, and the latest one where that was made between two."""
        training = self.training
        latest = (training.tested_at / training.steps_per_epoch, training.held_out_accuracy)
        between = latest[0] > training.tests[-1][0] and training.diverged is None
        return [*training.tests, latest] if between else training.tests

    def _draw_gradients(self) -> None:
        """The norm of the gradient of each layer, weights and biases together."""
        rows = gradient_norms(self.model, self.training.history[-1].gradients if self.training.history else {})
        largest = max(norm for _layer, norm in rows)
        words = ", ".join(f"{layer} {render.number(norm)}" for layer, norm in rows)
        self.gradients_view.show(
            render.bars(rows, SIDE, high=largest or 1.0),
            kind="png",
            alt=_("Norms of the gradients: {words}").format(words=words),
            caption=_("Norm of each layer's gradient in the latest batch"),
        )

    def _draw_filters(self) -> None:
        if self._convolution is None:
            return
        weights = self._convolution.weight.detach().sum(1).numpy()
        limit = float(np.abs(weights).max())
        self.filters_view.show(
            filter_mosaic(weights, SIDE),
            kind="png",
            alt=_("The filters of the first layer"),
            caption=_("First layer: {n} filters, {h} × {w}; blue −{limit}, red {limit}").format(
                n=len(weights), h=weights.shape[1], w=weights.shape[2], limit=render.number(limit)
            ),
        )

    def _draw_digit(self) -> None:
        """All layers for the chosen digit, and the digits that were wrong at the latest test."""
        pictures, labels = self.training.held_out
        number = self.digit.value
        sheet = layer_sheet(self.model, pictures[number : number + 1])
        probabilities = sheet.outputs[sheet.last].flatten().softmax(0)
        said = int(probabilities.argmax())
        self.layers_view.show(
            sheet.image,
            kind="png",
            alt=sheet.alt,
            caption=_("Held-out digit {number}, a {label}: the network says {said} with probability {p}").format(
                number=number, label=int(labels[number]), said=said, p=render.probability(float(probabilities[said]))
            ),
        )
        self._draw_wrong()

    def _draw_wrong(self) -> None:
        training = self.training
        drawn = (id(training.logits), self.digit.value)
        if getattr(self, "_wrong_drawn", None) == drawn:
            return
        self._wrong_drawn = drawn
        self._kept_logits = training.logits  # so that no other tensor gets its id
        pictures, labels = training.held_out
        sure, said = training.logits.softmax(1).max(1)
        wrong = torch.nonzero(said != labels).flatten()
        self._wrong = wrong[sure[wrong].argsort(descending=True, stable=True)]
        tiles = grey_pictures(pictures[self._wrong])
        shown = self._wrong[: WRONG_ROWS * self.wrong_view.columns_for(pictures.shape[3])]
        chosen = shown.tolist().index(self.digit.value) if self.digit.value in shown else None
        caption = _("{wrong} of {total:,} are wrong, the surest first: what each is → what it was taken for").format(
            wrong=len(self._wrong), total=len(labels)
        )
        self.wrong_view.show_tiles(
            tiles[: len(shown)],
            [f"{labels[i]} → {said[i]}" for i in shown.tolist()],
            chosen,
            WRONG_ROWS,
            alt=caption,
            caption=caption,
        )


def smoothed(values: list[float], over: int = SMOOTHED) -> np.ndarray:
    """The mean of each value and those before it, at most `over` in all."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - over, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def gradient_norms(model: nn.Module, norms: dict[str, float]) -> list[tuple[str, float]]:
    """From the norms of the gradients of parameters those of whole layers: (name of the layer, norm), in order."""
    layers: dict[str, float] = {}
    for name, _parameter in model.named_parameters():
        layer = name.rpartition(".")[0] or name
        layers[layer] = layers.get(layer, 0.0) + norms.get(name, 0.0) ** 2
    return [(layer, square**0.5) for layer, square in layers.items()]


def filter_mosaic(filters: np.ndarray, width: int, gap: int = 4, rows: int = 2) -> np.ndarray:
    """Filters `[K, h, w]`, or the first of them, on one scale centred on zero, in `rows` rows of `width` pixels."""
    limit = float(np.abs(filters).max())
    most = max((width + gap) // (filters.shape[2] + gap), 1)
    shown = filters[: rows * most]
    columns = len(shown) if len(shown) <= min(8, most) else -(-len(shown) // rows)
    zoom = max(((width + gap) // columns - gap) // filters.shape[2], 1)
    return render.mosaic([render.enlarge(render.signed_map(each, limit), zoom) for each in shown], columns, gap)
