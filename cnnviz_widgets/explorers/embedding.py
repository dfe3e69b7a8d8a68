"""A map of what a network makes of many pictures: move through the layers, point at a picture, see its neighbours."""

import math
from collections.abc import Iterator, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from .. import render
from ..controls import Job, SettingChoice, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..errors import WrongSetting
from ..i18n import _
from ..render.code_map import DENSITY, card, code_map, frames, neighbourhood, scores
from ..render.scatter import MARGIN, places
from ..settings import one_of
from ..techniques.code_maps import Progress, Wanted, judged, map_steps, nearest
from ..techniques.embedding import PIXELS, STARTS, Embedding, as_codes, neighbour_accuracy
from ..text import one_line
from ..views import ImageView
from .base import follows
from .slow import SlowExplorer
from .tree import show_if

SIDE, SCALE = 430, 60  # screen pixels of the map, and what the scale of values takes off it
REACH = 14  # screen pixels from the pointer within which a point is found
SHOWN = 6  # neighbours of each kind
METHODS = {"tsne": "t-SNE", "pca": "PCA"}


class EmbeddingExplorer(SlowExplorer):
    """Lay out what the layers of a network make of many pictures, by PCA or t-SNE, and ask who is near whom.

    `codes` holds by name of a layer its codes, a matrix `[N, D]` (see `layer_codes`), in the order of the slider; a
    single matrix goes as well. `pictures` are uint8 `[N, h, w]` or `[N, h, w, 3]`, `labels` int `[N]` with
    `names[label]`. `values` `[N]`, called `value_name`, colour the points if there are any. The map shows the layer
    `layer`, by default the last.

    `value` is the `Embedding` on show; its numbers are NaN while it forms. A finished map is kept, so that going back
    to it costs nothing.
    """

    title = _("A map of codes")

    def __init__(
        self,
        codes: Mapping[str, Tensor] | Tensor | np.ndarray,
        pictures: np.ndarray,
        labels: Tensor | np.ndarray | Sequence[int],
        names: Sequence[str] | None = None,
        *,
        values: Tensor | np.ndarray | None = None,
        value_name: str = "",
        layer: str | None = None,
        method: str = "tsne",
        perplexity: int = 30,
        start: str = "pca",
        seed: int = 0,
        iterations: int = 500,
        as_pictures: bool = False,
        point: int = 0,
    ) -> None:
        codes = codes if isinstance(codes, Mapping) else {_("codes"): codes}
        self.codes = {name: as_codes(matrix) for name, matrix in codes.items()}
        self.pictures, self.labels = np.asarray(pictures), np.asarray(labels)
        self.values, self.value_name = (
            None if values is None else np.asarray(values, float),
            one_line(value_name or _("value")),
        )
        self.names, self.iterations = names, iterations
        self._check()
        self.twin_kind = "png" if self.pictures.ndim == 3 else "jpeg"
        self._pixels = as_codes(self.pictures)
        self._finished: dict[Wanted, Embedding] = {}
        self._accuracy = {PIXELS: neighbour_accuracy(self._pixels, self.labels)}
        self._over: int | None = None
        last, most = len(self.labels) - 1, min(max(100, perplexity), len(self.labels) - 1)
        let_go = {"continuous_update": False}
        look = {"layout": dict(ROW), "style": dict(STYLE), **let_go}
        attends = _("How many neighbours each point attends to")
        kinds, stands = {"dots": _("dots"), "pictures": _("pictures")}, _("What stands for a picture on the map")
        colours = {"class": _("class")} | ({} if values is None else {"value": self.value_name})
        settings = {
            "layer": widgets.SelectionSlider(
                options=list(self.codes),
                value=one_of(_("layer"), layer or list(self.codes)[-1], self.codes),
                description=_("Layer"),
                tooltip=_("The layer whose codes are laid out"),
                **look,
            ),
            "method": SettingChoice(METHODS, method, _("Method"), _("How the map is made")),
            "perplexity": SettingSlider(min(perplexity, most), 2, most, _("Perplexity"), attends, **let_go),
            "start": SettingChoice(STARTS, start, _("Start"), _("Where t-SNE puts the points first")),
            "seed": SettingSlider(seed, 0, max(99, seed), _("Seed"), _("Draws a random start"), **let_go),
            "drawn_as": SettingChoice(kinds, list(kinds)[as_pictures], _("Drawn as"), stands),
            "colour": SettingChoice(colours, list(colours)[-1], _("Colour"), _("What the colours tell")),
            "point": SettingSlider(point, 0, last, _("Picture"), _("Whose neighbours are shown; or click on the map")),
        }
        show_if(values is not None, settings["colour"])
        self.start_from, settings["colour"].disabled = settings["start"], values is None
        help_text = _("Point at the map, or move with the arrow keys; a click or Enter shows the neighbours.")
        views = {"view": ImageView(follow="hover", key_step=8 * DENSITY, help=help_text)}
        super().__init__(settings, [["view", ["point_view", "neighbours_view", "scores_view"]]], views=views)
        self.on(self.view, "pointer", self._on_pointer)
        self.on(self.view, "click", self._on_click)

    def _check(self) -> None:
        """Refuse what does not fit together; labels without names are called by their numbers."""
        parts = {**self.codes, _("pictures"): self.pictures, _("labels"): self.labels}
        if self.values is not None:
            parts[self.value_name] = self.values
        if len({len(part) for part in parts.values()}) > 1:
            words = ", ".join(f"{name}: {len(part)}" for name, part in parts.items())
            raise WrongSetting(_("There must be as many of each, but there are {words}.").format(words=words))
        numbers = map(str, range(int(self.labels.max()) + 1))
        self.names = [one_line(name) for name in (numbers if self.names is None else self.names)]
        if self.labels.min() < 0 or self.labels.max() >= len(self.names):
            message = _("Labels must be numbers from 0 to {most}, one for each of the names.")
            raise WrongSetting(message.format(most=len(self.names) - 1))

    @follows("method", "start")
    def lock(self) -> None:
        """Lock what the method does not ask for."""
        tsne = self.method.value == "tsne"
        self.perplexity.disabled = self.start_from.disabled = not tsne
        self.seed.disabled = not tsne or self.start_from.value != "random"

    @follows("layer", "method", "perplexity", "start", "seed")
    def steps(self) -> Iterator[Progress]:
        """Make the map of the present settings; what Run does, even where there is one."""
        return self._made(self._wanted())

    def take(self, step: Progress) -> None:
        """Keep the map so far, and with it the settings that it is made with."""
        self.value, self._shown = step.map, step.wanted

    def in_cell(self, steps: Iterator[Progress]) -> Iterator[Progress]:
        """The first map, which the cell waits for, with a bar."""
        from tqdm.auto import tqdm

        with tqdm(total=self.iterations, desc="t-SNE", leave=False, disable=self.method.value == "pca") as bar:
            for step in steps:
                bar.update(step.index - bar.n)
                yield step

    def reset(self) -> None:
        """Put every setting back, and show the first map."""
        self.view.pointer = []
        super().reset()

    def near(self, index: int) -> dict[str, list[int]]:
        """The six nearest to picture `index`, nearest first: by "codes" of the layer, by "pixels", and on the "map"."""
        spaces = {"codes": self.codes[self.value.layer], "pixels": self._pixels, "map": self.value.points.double()}
        return nearest(spaces, index, SHOWN)

    def _wanted(self) -> Wanted:
        layer, method, start = self.layer.value, self.method.value, self.start_from.value
        if method == "pca":
            return Wanted(layer, method)
        return Wanted(layer, method, self.perplexity.value, start, self.seed.value if start == "random" else 0)

    def _made(self, wanted: Wanted) -> Iterator[Progress]:
        """The steps of a map, and before them what its scores are compared with."""
        codes, flat = self.codes[wanted.layer], Wanted(wanted.layer, "pca")
        if flat not in self._finished:
            self._accuracy[wanted.layer] = neighbour_accuracy(codes, self.labels)
            (self._finished[flat],) = (step.map for step in map_steps(codes, self.labels, flat))
        if wanted == flat:
            yield Progress(1, 1, self._finished[flat], flat)
            return
        for step in map_steps(codes, self.labels, wanted, self.iterations):
            if step.index == step.total:
                self._finished[wanted] = step.map
            yield step

    def _bring(self, name: str) -> bool:
        known = self._finished.get(self._wanted()) if name == "steps" else None
        if known is None:
            return super()._bring(name)
        self.run.clear()
        self.take(Progress(1, 1, known, self._wanted()))
        return False

    def _on_done(self, job: Job) -> None:
        stopped = job.cancelled and math.isnan(self.value.trustworthiness)
        if stopped:
            self.value = judged(self.value, self.codes[self.value.layer], self.labels)
        super()._on_done(job)
        if stopped:
            self.say(_("Stopped before its end: this map is what there was by then. Run begins anew."))

    @follows("steps", "drawn_as", "colour")
    def draw_map(self) -> None:
        """The map so far."""
        side, made = SIDE if self.values is None else SIDE - SCALE, self.value
        self._places = places(made.points.numpy(), side * DENSITY, MARGIN * DENSITY)
        what = {"perplexity": self._shown.perplexity, "value_name": self.value_name}
        what["values"] = self.values if self.colour.value == "value" else None
        what["pictures"] = self.pictures if self.drawn_as.value == "pictures" else None
        self.view.draw(code_map(made, self.labels, self.names, side, **what))

    @follows("steps")
    def finish(self) -> bool:
        """While a map forms, what asks for a finished one waits."""
        return math.isnan(self.value.trustworthiness)

    @follows("finish", "point")
    def draw_neighbours(self) -> None:
        """The chosen picture's neighbours."""
        chosen = self.point.value
        self._near = self.near(chosen)
        words = self.pictures, self.labels, self.names, chosen, self._near, self.value.layer
        self.neighbours_view.draw(neighbourhood(*words))

    @follows("draw_neighbours", "pointer")
    def draw_picture(self) -> None:
        """What is under the pointer, or else the chosen picture."""
        index = self.point.value if self._over is None else self._over
        lines = [_("Picture {n}: {name}").format(n=index, name=self.names[self.labels[index]])]
        if self.values is not None:
            lines.append(f"{self.value_name}: {render.number(self.values[index])}")
        lines.append(_("chosen") if self._over is None else _("under the pointer"))
        self.point_view.draw(card(self.pictures[index], lines))

    @follows("draw_map", "point", "pointer")
    def mark(self) -> None:
        """Frames around the chosen picture, its neighbours, and what is under the pointer."""
        self.view.marks = frames(self._places, self.point.value, self._near, self._over)

    @follows("finish")
    def draw_scores(self) -> None:
        """How often the nearest has the same class, and how far the map is to be trusted."""
        flat = self._finished[Wanted(self.value.layer, "pca")]
        self.scores_view.draw(scores(self.value, flat, self._accuracy))

    def nearest_to(self, x: float, y: float) -> int | None:
        """The point of the map within reach of a place in picture pixels, if there is one."""
        apart = np.hypot(*(self._places - (x, y)).T)
        index = int(apart.argmin())
        return index if apart[index] <= REACH * DENSITY else None

    def _on_pointer(self) -> None:
        over = self.nearest_to(*self.view.pointer) if self.view.pointer else None
        if over != self._over:
            self._over = over
            self.update("pointer")

    def _on_click(self) -> None:
        found = self.nearest_to(*self.view.click[:2]) if self.view.click else None
        if found is not None:
            self.point.value = found
        elif self.view.click:
            self.say(_("There is no picture near this place of the map."))
