"""A network that learns, watched: its loss, its filters, its gradients, what every layer says, what it gets wrong."""

import copy
from collections.abc import Callable

import ipywidgets as widgets
from torch import Tensor, nn

from .. import render
from ..controls import Job, RunControl, SettingSlider
from ..controls.sliders import LearningRateSlider
from ..i18n import _
from ..learning.examples import Examples
from ..learning.session import SETTINGS, TrainingSession
from ..learning.training import Diverged, Training, TrainingStep
from ..networks import Network
from ..render.filter_sheets import first_layer
from ..render.layer_sheet import layer_sheet
from ..render.training_charts import accuracy_chart, gradient_bars, loss_chart
from ..views.tiles import DigitTiles, grey_pictures
from .base import follows, sentence_of
from .slow import SlowExplorer
from .tree import show_if

SIDE = 256  # screen pixels of the charts
WRONG_ROWS = 3  # of digits that the network gets wrong


class TrainingMonitor(SlowExplorer):
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
    verb, halt = _("Train"), _("Pause")

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
    ) -> None:
        given = {"learning_rate": learning_rate, "epochs": epochs, "batch_size": batch_size, "seed": seed}
        self.session = TrainingSession(model, train, test, **given)
        self.model = self.session.model
        settings = self._controls(**given)
        self.step_button = self._button(_("One step"), _("Take one batch"), self.one_step)
        anew = _("End this training and keep its weights; the next Train begins anew")
        self.end_button = self._button(_("Stop"), anew, self.stop)
        back = _("Back to the first weights, with these settings")
        self.restart_button = self._button(_("Restart"), back, self.restart)
        buttons = widgets.HBox([self.step_button, self.end_button, self.restart_button], layout={"overflow": "visible"})
        charts = ["loss_view", "accuracy_view", "gradients_view", "filters_view", "wrong_view"]
        super().__init__(
            settings,
            [[charts, ["layers_view"]]],
            views={"wrong_view": DigitTiles(SIDE)},
            column=[*settings.values(), RunControl, buttons],
        )
        self.run.observe(lambda change: setattr(self.step_button, "disabled", change["new"]), "running")
        self.wrong_view.on_pick(lambda number: self.attempt(self._pick, number))
        self.say(_("Untrained. Press Train, and stop it with Pause wherever you like."))

    def _controls(self, learning_rate: float, epochs: int, batch_size: int, seed: int) -> dict[str, widgets.Widget]:
        let_go = {"continuous_update": False}
        pictures, last = len(self.training.pictures), len(self.training.held_out[1]) - 1
        most = min(max(500, batch_size), pictures)
        draws, looks = _("Draws the first weights and the order of the digits"), _("How many digits a step looks at")
        seen = _("How often each digit is seen")
        shown = _("Which held-out digit is shown in every layer")
        return {
            "learning_rate": LearningRateSlider(learning_rate, **let_go),
            "epochs": SettingSlider(epochs, 1, max(20, epochs), _("Epochs"), seen, **let_go),
            "batch_size": SettingSlider(self.training.batch_size, 1, most, _("Batch size"), looks, **let_go),
            "seed": SettingSlider(seed, 0, max(99, seed), _("Seed"), draws, **let_go),
            "digit": SettingSlider(min(250, last), 0, last, _("Digit shown"), shown),
        }

    def _button(self, title: str, tooltip: str, action: Callable[[], None]) -> widgets.Button:
        button = widgets.Button(description=title, tooltip=tooltip, layout={"width": "86px"})
        button.on_click(lambda _button: self.attempt(action))
        return button

    @follows(*SETTINGS)
    def prepare(self) -> None:
        """Follow a setting of the training: before the first step at once, later at the next beginning."""
        if self._new:
            return
        if self.training.index == 0 and not self.run.running:
            self.session.begin_anew(**self._chosen())
        else:
            self.say(self.session.waiting(**self._chosen()))

    @property
    def training(self) -> Training:
        """The training at hand."""
        return self.session.training

    @property
    def previous(self) -> dict[str, Tensor] | None:
        """The weights that the training before ended with."""
        return self.session.previous

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
            self.session.ended = True
            self.run.stop()
            if not self.run.running:
                self._say_where()

    def restart(self) -> None:
        """Back to the first weights, with the settings as they are now; the trained weights go to `previous`."""
        with self._lock:
            lost, accuracy = self.training.index, self.value
            self.session.begin_anew(**self._chosen())
            self.run.clear()
            self.follow_up("steps")
            kept = _("Untrained again. The weights after step {step} ({accuracy:.1%} right) are kept in .previous.")
            self.say(kept.format(step=lost, accuracy=accuracy) if lost else "")

    def reset(self) -> None:
        """Put every setting back, and the first weights with them."""
        with self.quietly():
            for name, control in self.settings.items():
                control.value = copy.deepcopy(self.first_values[name])
            self.attempt(self.restart)

    def _chosen(self) -> dict[str, float]:
        return {name: self.settings[name].value for name in SETTINGS}

    def _take_steps(self, count: int | None) -> None:
        if self.session.ended:
            self.session.begin_anew(**self._chosen())
            self.follow_up("steps")
        training = self.training
        if training.diverged is not None:
            raise training.diverged
        if training.finished:
            self.say(_("All {total} steps are taken. Restart begins anew.").format(total=training.total))
            return
        self.say("")
        self.work_through(self.session.steps(count), training.index / training.total)

    def take(self, step: TrainingStep) -> None:
        """Nothing to keep: the training has all its steps."""

    def _on_done(self, job: Job) -> None:
        if job.error is not None and not isinstance(job.error, Diverged):
            self.say(sentence_of(job.error), wrong=True)
            return
        self.session.test()
        self.follow_up("steps")
        self._say_where()

    def _say_where(self) -> None:
        self.say(self.session.verdict(), wrong=self.training.diverged is not None)

    @follows("prepare", "steps")
    def compute(self) -> float:
        """The accuracy on the held-out digits when the network was last tested."""
        return self.training.held_out_accuracy

    @follows("compute")
    def draw_curves(self) -> None:
        """Loss and accuracy so far, with the latest test where that was made between two epochs."""
        training, tests, total = self.training, self.session.tests(), len(self.training.held_out[1])
        self.loss_view.draw(loss_chart(training.history, training.epochs, SIDE))
        self.accuracy_view.draw(accuracy_chart(training.history, tests, self.value, total, training.epochs, SIDE))

    @follows("compute")
    def draw_gradients(self) -> None:
        """The norm of the gradient of each layer, weights and biases together."""
        self.gradients_view.draw(gradient_bars(self.session.gradients(), SIDE))

    @follows("compute")
    def draw_filters(self) -> None:
        """The filters of the first convolution, where there is one."""
        convolution = next((part for part in self.model.modules() if isinstance(part, nn.Conv2d)), None)
        show_if(convolution is not None, self.filters_view)
        if convolution is not None:
            self.filters_view.draw(first_layer(convolution.weight.detach().float().cpu().sum(1).numpy(), SIDE))

    @follows("compute", "digit")
    def draw_digit(self) -> None:
        """All layers for the chosen digit."""
        pictures, labels = self.training.held_out
        number = self.digit.value
        sheet = layer_sheet(self.model, pictures[number : number + 1])
        said, p = self.session.answer(number)
        caption = _("Held-out digit {number}, a {label}: the network says {said} with probability {p}").format(
            number=number, label=int(labels[number]), said=said, p=render.probability(p)
        )
        self.layers_view.draw(sheet.drawing(caption))

    @follows("compute", "digit")
    def draw_wrong(self) -> None:
        """The digits that were wrong at the latest test, the surest first."""
        pictures, labels = self.training.held_out
        wrong, taken = self.session.mistakes()
        self._wrong = wrong[: WRONG_ROWS * self.wrong_view.columns_for(pictures.shape[3])]
        words = [f"{labels[number]} → {said}" for number, said in zip(self._wrong, taken, strict=False)]
        chosen = self._wrong.index(self.digit.value) if self.digit.value in self._wrong else None
        caption = _("{wrong} of {total:,} are wrong, the surest first: what each is → what it was taken for").format(
            wrong=len(wrong), total=len(labels)
        )
        tiles = grey_pictures(pictures[self._wrong])
        self.wrong_view.show_tiles(tiles, words, chosen, WRONG_ROWS, alt=caption, caption=caption)

    def _pick(self, number: int) -> None:
        self.digit.value = self._wrong[number]
