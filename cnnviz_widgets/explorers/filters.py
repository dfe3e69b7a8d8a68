"""Watch a first layer learn on patches of pictures until its filters look like Gabor functions."""

from collections.abc import Iterator
from itertools import islice

from .. import render
from ..controls import RunControl, SettingChoice, SettingSlider
from ..i18n import _
from ..learning.filters import SIZE, SOURCES, FilterStep, orientation_selectivity, reduced, source_steps
from ..render.filter_sheets import GAP, filter_at, forming_filters, learning_charts
from ..settings import one_of, whole_number
from ..techniques.convolution import convolve
from ..views import ImageView
from .base import follows
from .slow import SlowExplorer

STEPS, EVERY = 500, 10  # steps of a run; every so many of them is kept to be looked at again
WIDEST = 400  # screen pixels of the sheet of filters
COUNTS = (16, 36, 64, 100)
RATES = (0.03, 0.3, 10.0)
SHOWN = {"filters": _("filters"), "features": _("features")}


class FilterFormation(SlowExplorer):
    """A layer of 11 × 11 filters learns on patches of pictures, and every moment of it can be looked at again.

    Learn runs the learning with the present settings; the slider goes back to any moment. A click on a filter shows
    what it answers to the cat. `value` is the `FilterStep` that is shown, `history` all that were kept, and
    `selectivity` the median of `orientation_selectivity` at each of them. With `learned=False` the panel begins with
    the random start.

    Raises `WrongSetting` for unknown `patches`, and for a number of filters or a learning rate that is not offered.
    """

    title = _("Filters as they form")
    twin_kind = "png"
    verb = _("Learn")

    def __init__(
        self,
        patches: str = "photographs",
        *,
        count: int = 64,
        learning_rate: float = 0.3,
        seed: int = 0,
        learned: bool = True,
    ) -> None:
        one_of(_("kind of patches"), patches, SOURCES)
        one_of(_("number of filters"), str(count), map(str, COUNTS))
        one_of(_("learning rate"), str(learning_rate), [text for rate in RATES for text in (str(rate), f"{rate:g}")])
        seed = whole_number(_("seed"), seed, 0)
        self.chosen, self._learned, self._cat = 0, learned, reduced("cat")
        counts, rates = {n: str(n) for n in COUNTS}, {rate: f"{rate:g}" for rate in RATES}
        scrambled = _("Scrambled: every wave as strong, but they no longer meet in edges. Noise: every pixel by itself")
        falls = _("How far the first steps go along the gradient; the rate falls to zero over the run")
        slides = _("Filters slide over a picture; a feature is what there is more of where its filter responds")
        others = _("Another seed starts from other random filters")
        back = _("Go back to any moment of the learning")
        settings = {
            "patches": SettingChoice(SOURCES, patches, _("Patches of"), scrambled),
            "count": SettingChoice(counts, int(count), _("Filters"), _("How many filters the layer has")),
            "learning_rate": SettingChoice(rates, float(learning_rate), _("Learning rate"), falls),
            "seed": SettingSlider(seed, 0, max(99, seed), _("Seed"), others),
            "shown": SettingChoice(SHOWN, "filters", _("Show"), slides),
            "moment": SettingSlider(STEPS, 0, STEPS, _("After step"), back, step=EVERY),
        }
        *learning, shown, moment = settings.values()
        click = _("Click a filter to see what it answers to the cat.")
        views = {"filters_view": ImageView(follow="hover", key_step=SIZE + GAP, help=click)}
        rows = [["filters_view", ["loss_view", "selectivity_view", "response_view"]]]
        super().__init__(settings, rows, views=views, column=[*learning, RunControl, shown, moment])
        self.on(self.filters_view, "click", self._on_click)

    @follows("patches", "count", "learning_rate", "seed")
    def steps(self) -> Iterator[FilterStep]:
        """Learn from the random start, with the settings as they are now, whatever becomes of them later."""
        self.history: list[FilterStep] = []
        self.selectivity: list[float] = []
        source, *how = (self.settings[name].value for name in ("patches", "count", "learning_rate", "seed"))
        return source_steps(source, STEPS, *how)

    def in_cell(self, steps: Iterator[FilterStep]) -> Iterator[FilterStep]:
        """All steps, or the random start alone."""
        return steps if self._learned else islice(steps, 1)

    def take(self, step: FilterStep) -> None:
        """Keep one step in ten."""
        if step.index % EVERY == 0:
            self.history.append(step)
            self.selectivity.append(orientation_selectivity(step.filters).median().item())

    def reset(self) -> None:
        """Put every setting back, and learn anew."""
        self.chosen = 0
        super().reset()

    @follows("moment")
    def go_back(self) -> None:
        """Go to the kept step nearest to the slider, which goes along; without any, stay."""
        if self.history:
            self._go_to(min(self.history, key=lambda step: abs(step.index - self.moment.value)))

    @follows("steps")
    def go_on(self) -> None:
        """Go to the latest step."""
        if self.history:
            self._go_to(self.history[-1])

    @follows("go_back", "go_on", "shown", "chosen")
    def draw_filters(self) -> None:
        """The filters, or what they stand for, with a frame around the one that was clicked."""
        self.chosen = min(self.chosen, len(self.value.filters) - 1)
        caption = _("{what} after {n} steps, each in its own range: red above zero, blue below").format(
            what=SHOWN[self.shown.value].capitalize(), n=self.value.index
        )
        shown = self.value.filters if self.shown.value == "filters" else self.value.features
        self.filters_view.draw(forming_filters(shown.numpy(), caption, self.chosen, WIDEST))

    @follows("go_back", "go_on")
    def draw_charts(self) -> None:
        """The loss and the preference for one direction, up to now; another run's stay until this one is shown."""
        if self.value not in self.history:
            return
        loss, preference = learning_charts(self.history, self.selectivity, self.value.index, STEPS)
        self.loss_view.draw(loss)
        self.selectivity_view.draw(preference)

    @follows("draw_filters")
    def draw_response(self) -> None:
        """What the filter that was clicked answers to the cat."""
        response = convolve(self._cat[None, None], self.value.filters[self.chosen][None, None])[0, 0]
        caption = _("What filter {n} answers to the cat").format(n=self.chosen + 1)
        picture = render.signed_map(response.numpy(), float(response.abs().quantile(0.995)))
        self.response_view.draw(render.Drawing(picture, caption, more={"pixelated": True}))

    def _go_to(self, step: FilterStep) -> None:
        self.value = step
        with self.quietly():
            self.moment.value = step.index

    def _on_click(self) -> None:
        click = self.filters_view.click
        chosen = filter_at(*click[:2], len(self.value.filters), SIZE) if click else None
        if chosen is not None:
            self.chosen = chosen
            self.update("chosen")
