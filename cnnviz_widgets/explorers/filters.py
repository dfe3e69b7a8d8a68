"""Watch a first layer learn on patches of pictures until its filters look like Gabor functions."""

from collections.abc import Iterator
from functools import lru_cache

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from .. import images, render
from ..controls import RunControl, SettingChoice, SettingSlider
from ..controls.worker import Job
from ..i18n import _
from ..learning.filters import FilterStep, contrast_normalised, filter_steps, orientation_selectivity, picture_patches
from ..render.charts import line_chart
from ..settings import one_of, whole_number
from ..techniques.convolution import convolve
from ..views import ImageView
from .base import Explorer, sentence_of

STEPS, EVERY = 500, 10  # steps of a run; every so many of them is kept to be looked at again
CELL, GAP = 11, 1  # picture pixels of a filter and between two of them
WIDEST = 400  # screen pixels of the sheet of filters
COUNTS = (16, 36, 64, 100)
RATES = (0.03, 0.3, 10.0)
SOURCES = {
    "photographs": _("photographs"),
    "scrambled": _("scrambled photographs"),
    "noise": _("noise"),
}
SHOWN = {"filters": _("filters"), "features": _("features")}
CHART = (290, 132)  # screen pixels
GRID = {"grid_gap": "12px", "overflow": "visible"}


class FilterFormation(Explorer):
    """A layer of 11 × 11 filters learns on patches of pictures, and every moment of it can be looked at again.

    Learn runs the learning with the present settings; the slider goes back to any moment. A click on a filter shows
    what it answers to the cat. `value` is the `FilterStep` that is shown, `history` all that were kept, and
    `selectivity` the median of `orientation_selectivity` at each of them. With `learned=False` the panel begins with
    the random start.

    Raises `WrongSetting` for unknown `patches`, and for a number of filters or a learning rate that is not offered.
    """

    title = _("Filters as they form")
    twin_kind = "png"

    def __init__(
        self,
        patches: str = "photographs",
        *,
        count: int = 64,
        learning_rate: float = 0.3,
        seed: int = 0,
        learned: bool = True,
    ):
        self.patches = SettingChoice(
            [(title, name) for name, title in SOURCES.items()],
            one_of(_("kind of patches"), patches, SOURCES),
            _("Patches of"),
            _("Scrambled: every wave as strong, but they no longer meet in edges. Noise: every pixel by itself"),
        )
        one_of(_("number of filters"), str(count), map(str, COUNTS))
        one_of(_("learning rate"), str(learning_rate), [text for rate in RATES for text in (str(rate), f"{rate:g}")])
        seed = whole_number(_("seed"), seed, 0)
        self.count = SettingChoice(
            [(str(number), number) for number in COUNTS], int(count), _("Filters"), _("How many filters the layer has")
        )
        self.learning_rate = SettingChoice(
            [(f"{rate:g}", rate) for rate in RATES],
            float(learning_rate),
            _("Learning rate"),
            _("How far the first steps go along the gradient; the rate falls to zero over the run"),
        )
        self.seed = SettingSlider(seed, 0, max(99, seed), _("Seed"), _("Another seed starts from other random filters"))
        self.shown = SettingChoice(
            [(words, name) for name, words in SHOWN.items()],
            "filters",
            _("Show"),
            _("Filters slide over a picture; a feature is what there is more of where its filter responds"),
        )
        self.moment = SettingSlider(
            STEPS, 0, STEPS, _("After step"), _("Go back to any moment of the learning"), step=EVERY
        )
        self.run = RunControl(_("Learn"))
        self.run.on_run(lambda: self.attempt(self.start))
        self.filters_view = ImageView(
            pixelated=True,
            follow="hover",
            key_step=CELL + GAP,
            help=_("Click a filter to see what it answers to the cat."),
        )
        chart = {"zoom": 0.5, "drawing": True}
        self.loss_view, self.selectivity_view = ImageView(**chart), ImageView(**chart)
        self.response_view = ImageView(pixelated=True)
        self.chosen = 0
        self.history: list[FilterStep] = []
        self.selectivity: list[float] = []
        self._learned = learned
        settings = {
            "patches": self.patches,
            "count": self.count,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "shown": self.shown,
            "moment": self.moment,
        }
        side = widgets.VBox([self.loss_view, self.selectivity_view, self.response_view], layout=dict(GRID))
        super().__init__(
            settings,
            widgets.HBox([self.filters_view, side], layout=dict(GRID)),
            column=(*list(settings.values())[:4], self.run, self.shown, self.moment),
        )
        self.filters_view.observe(lambda _change: self.attempt(self._on_click), "click")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Draw the moment chosen; learn anew when a setting of the learning was changed."""
        if changed in ("shown", "moment"):
            self._show_moment()
        elif self.value is None:
            for step in self._steps():
                self._keep(step)
                if not self._learned:
                    break
            self._look_at(self.history[-1])
        else:
            self.start()

    def start(self) -> None:
        """Learn from the random start with the present settings, live; what Learn does."""
        steps = self._steps()
        self.history, self.selectivity = [], []
        self.run.run(lambda: steps, self._on_step, lambda job: self.attempt(self._on_done, job))

    def reset(self) -> None:
        """Put every setting back, and learn anew."""
        self.run.clear()
        self.chosen = 0
        super().reset()

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this panel is being computed; for scripts and tests, never in a callback."""
        return self.run.wait(timeout)

    def _steps(self) -> Iterator[FilterStep]:
        """The steps at the settings as they are now, whatever becomes of the settings later."""
        source, count, rate, seed = (
            control.value for control in (self.patches, self.count, self.learning_rate, self.seed)
        )

        def steps() -> Iterator[FilterStep]:
            yield from filter_steps(_patches(source), count, STEPS, rate, seed)

        return steps()

    def _keep(self, step: FilterStep) -> None:
        if step.index % EVERY == 0:
            self.history.append(step)
            self.selectivity.append(orientation_selectivity(step.filters).median().item())

    def _on_step(self, step: FilterStep, draw: bool) -> None:
        self._keep(step)
        if draw and not self.filters_view.congested:
            self._look_at(self.history[-1])

    def _on_done(self, job: Job) -> None:
        if job.error is not None:
            self.say(sentence_of(job.error), wrong=True)
        elif self.history:
            self._look_at(self.history[-1])

    def _show_moment(self) -> None:
        """Go to the kept step nearest to the slider, which goes along."""
        near = min(self.history, key=lambda step: abs(step.index - self.moment.value), default=None)
        if near is not None:
            self._look_at(near)

    def _on_click(self) -> None:
        if self.filters_view.click:
            column, row = (place // (CELL + GAP) for place in self.filters_view.click[:2])
            chosen = row * self._columns() + column
            if chosen < len(self.value.filters):
                self.chosen = chosen
                self._draw_filters()
                self._draw_response()

    # -------------------------------------------------------------------------------------------------------- draw
    def _look_at(self, step: FilterStep) -> None:
        """Make `step` the one that is shown, in pictures, charts and slider."""
        self.value = step
        self.chosen = min(self.chosen, len(step.filters) - 1)
        with self.quietly():
            self.moment.value = step.index
        self._draw_filters()
        self._draw_charts()
        self._draw_response()

    def _columns(self) -> int:
        return round(len(self.value.filters) ** 0.5)

    def _draw_filters(self) -> None:
        step = self.value
        row, column = divmod(self.chosen, self._columns())
        pitch = CELL + GAP
        what = SHOWN[self.shown.value].capitalize()
        caption = _("{what} after {n} steps, each in its own range: red above zero, blue below").format(
            what=what, n=step.index
        )
        picture = sheet(step.filters if self.shown.value == "filters" else step.features)
        self.filters_view.show(
            picture,
            kind="png",
            zoom=WIDEST // picture.shape[1],
            alt=caption,
            caption=caption,
            marks=[{"x": column * pitch, "y": row * pitch, "w": CELL, "h": CELL, "colour": render.OKABE_ITO[0]}],
        )

    def _draw_charts(self) -> None:
        done = [step.index for step in self.history]
        charts = (
            (self.loss_view, [step.loss for step in self.history], _("loss (noise: 0.37)"), (0.28, 0.38)),
            (self.selectivity_view, self.selectivity, _("preference for one direction (0 to 1)"), (0.0, 1.0)),
        )
        for view, values, label, limits in charts:
            chart = line_chart(
                {"": (done, values)},
                size=CHART,
                x_label=_("step"),
                y_label=label,
                x_range=(0, STEPS),
                y_range=limits,
                verticals=[self.value.index],
            )
            latest = values[done.index(self.value.index)]
            words = _("{label}, {value} after {n} steps").format(
                label=label, value=render.number(latest), n=self.value.index
            )
            view.show(chart, kind="png", alt=words)

    def _draw_response(self) -> None:
        response = convolve(_cat()[None, None], self.value.filters[self.chosen][None, None])[0, 0]
        caption = _("What filter {n} answers to the cat").format(n=self.chosen + 1)
        limit = float(response.abs().quantile(0.995))
        self.response_view.show(render.signed_map(response.numpy(), limit), kind="png", alt=caption, caption=caption)


def sheet(filters: Tensor) -> np.ndarray:
    """Filters `[K, h, w]` in a square of rows, each in its own range, a picture pixel for each weight: uint8."""
    return render.mosaic([render.signed_map(each.numpy()) for each in filters], round(len(filters) ** 0.5), GAP)


@lru_cache(maxsize=len(SOURCES))
def _patches(source: str) -> Tensor:
    if source == "noise":
        return contrast_normalised(torch.rand(20_000, CELL, CELL, generator=torch.Generator().manual_seed(0)))
    return contrast_normalised(picture_patches(scrambled=source == "scrambled"))


@lru_cache(maxsize=1)
def _cat() -> Tensor:
    grey = torch.from_numpy(images.greyscale(images.load("cat")))
    return torch.nn.functional.avg_pool2d(grey[None], 2)[0]
