"""A map of what a network makes of many pictures: move through the layers, point at a picture, see its neighbours."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from .. import render
from ..controls import RunControl, SettingChoice, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..controls.worker import Job
from ..errors import WrongSetting
from ..i18n import _
from ..render.scatter import MARGIN, neighbour_rows, places, scatter, value_colours
from ..settings import one_of
from ..techniques.embedding import (
    PIXELS,
    STARTS,
    Embedding,
    as_codes,
    neighbour_accuracy,
    pca,
    trustworthiness,
    tsne_steps,
)
from ..views import ImageView
from .base import Explorer, sentence_of, show_if

SIDE, BESIDE = 430, 240  # screen pixels of the map, and of what stands beside it
SCALE = 60  # screen pixels that the scale of values takes off the map
DENSITY = 2  # picture pixels for one of the screen
REACH = 14  # screen pixels from the pointer within which a point is found
SHOWN = 6  # neighbours of each kind
DRAWING = 0.25  # share of the time that may go into drawing
METHODS = {"tsne": "t-SNE", "pca": "PCA"}
CHOSEN, IN_CODES, IN_PIXELS = "#000000", render.OKABE_ITO[4], render.OKABE_ITO[6]


@dataclass(frozen=True, eq=False)
class Progress:
    """A map on its way: `index` of `total` iterations are done."""

    index: int
    total: int
    map: Embedding


class EmbeddingExplorer(Explorer):
    """Lay out what the layers of a network make of many pictures, by PCA or t-SNE, and ask who is near whom.

    `codes` holds by name of a layer its codes, a matrix `[N, D]` (see `layer_codes`), in the order of the slider; a
    single matrix goes as well. `pictures` are uint8 `[N, h, w]` or `[N, h, w, 3]`, `labels` int `[N]` with
    `names[label]`. `values` `[N]`, called `value_name`, colour the points if there are any. The map shows the layer
    `layer`, by default the last.

    `value` is the `Embedding` on show; its numbers are NaN while it forms. A finished map is kept, so that going back
    to it costs nothing.
    """

    title = _("A map of codes")
    twin_kind = "png"

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
    ):
        codes = codes if isinstance(codes, Mapping) else {_("codes"): codes}
        self.codes = {name: as_codes(matrix) for name, matrix in codes.items()}
        self.pictures, self.labels = np.asarray(pictures), np.asarray(labels)
        self.values = None if values is None else np.asarray(values, float)
        self.value_name = value_name or _("value")
        self.iterations = iterations
        self._check_lengths()
        self.names = [str(label) for label in range(int(self.labels.max()) + 1)] if names is None else list(names)
        if self.labels.min() < 0 or self.labels.max() >= len(self.names):
            message = _("Labels must be numbers from 0 to {most}, one for each of the names.")
            raise WrongSetting(message.format(most=len(self.names) - 1))
        self.twin_kind = "png" if self.pictures.ndim == 3 else "jpeg"
        self._pixels = as_codes(self.pictures)
        self._finished: dict[tuple, Embedding] = {}
        self._layers: dict[str, tuple[float, Embedding]] = {}
        self._pixel_accuracy = neighbour_accuracy(self._pixels, self.labels)
        self._side = SIDE if values is None else SIDE - SCALE
        self._places = np.zeros((len(self.labels), 2))
        self._over: int | None = None
        self._drawn_until = self._drawing_took = 0.0
        layer = one_of(_("layer"), layer or list(self.codes)[-1], self.codes)
        self._make_controls(
            layer,
            one_of(_("method"), method, METHODS),
            perplexity,
            one_of(_("start"), start, STARTS),
            seed,
            as_pictures,
            point,
        )
        self._make_views()
        settings = {
            "layer": self.layer,
            "method": self.method,
            "perplexity": self.perplexity,
            "start": self.start_from,
            "seed": self.seed,
            "drawn_as": self.drawn_as,
            "colour": self.colour,
            "point": self.point,
        }
        column = (*settings.values(), self.run)
        beside = widgets.VBox(
            [self.point_view, self.neighbours_view, self.scores_view],
            layout={"grid_gap": "4px", "overflow": "visible"},
        )
        gap = {"grid_gap": "12px", "overflow": "visible"}
        super().__init__(settings, widgets.HBox([self.view, beside], layout=gap), column=column)
        self.view.observe(lambda _change: self.attempt(self._on_pointer), "pointer")
        self.view.observe(lambda _change: self.attempt(self._on_click), "click")

    def _check_lengths(self) -> None:
        counts = {name: len(matrix) for name, matrix in self.codes.items()}
        counts |= {_("pictures"): len(self.pictures), _("labels"): len(self.labels)}
        if self.values is not None:
            counts[self.value_name] = len(self.values)
        if len(set(counts.values())) > 1:
            words = ", ".join(f"{name}: {count}" for name, count in counts.items())
            raise WrongSetting(_("There must be as many of each, but there are {words}.").format(words=words))

    def _make_controls(
        self, layer: str, method: str, perplexity: int, start: str, seed: int, as_pictures: bool, point: int
    ) -> None:
        when_let_go = {"continuous_update": False}
        count = len(self.labels)
        self.layer = widgets.SelectionSlider(
            options=list(self.codes),
            value=layer,
            description=_("Layer"),
            tooltip=_("The layer whose codes are laid out"),
            layout=dict(ROW),
            style=dict(STYLE),
            **when_let_go,
        )
        self.method = SettingChoice(
            [(title, name) for name, title in METHODS.items()], method, _("Method"), _("How the map is made")
        )
        most = min(max(100, perplexity), count - 1)
        self.perplexity = SettingSlider(
            min(perplexity, most),
            2,
            most,
            _("Perplexity"),
            _("How many neighbours each point attends to"),
            **when_let_go,
        )
        self.start_from = SettingChoice(
            [(title, name) for name, title in STARTS.items()], start, _("Start"), _("Where t-SNE puts the points first")
        )
        self.seed = SettingSlider(seed, 0, max(99, seed), _("Seed"), _("Draws a random start"), **when_let_go)
        self.drawn_as = SettingChoice(
            [(_("dots"), "dots"), (_("pictures"), "pictures")],
            "pictures" if as_pictures else "dots",
            _("Drawn as"),
            _("What stands for a picture on the map"),
        )
        colours = [(_("class"), "class")] + ([(self.value_name, "value")] if self.values is not None else [])
        self.colour = SettingChoice(
            colours, colours[-1][1], _("Colour"), _("What the colours tell"), disabled=len(colours) < 2
        )
        show_if(len(colours) > 1, self.colour)
        self.point = SettingSlider(
            point, 0, count - 1, _("Picture"), _("Whose neighbours are shown; or click on the map")
        )
        self.run = RunControl(_("Run"))
        self.run.on_run(lambda: self.attempt(self.start))

    def _make_views(self) -> None:
        self.view = ImageView(
            zoom=1 / DENSITY,
            follow="hover",
            key_step=8 * DENSITY,
            help=_("Point at the map, or move with the arrow keys; a click or Enter shows the neighbours."),
        )
        self.point_view, self.neighbours_view = ImageView(zoom=1 / DENSITY), ImageView(zoom=1 / DENSITY)
        self.scores_view = ImageView(zoom=1 / DENSITY, drawing=True)

    # ------------------------------------------------------------------------------------------------------ compute
    def update(self, changed: str | None = None) -> None:
        """Show the map of the present settings: at once if it is there already, else as it forms."""
        if changed in ("drawn_as", "colour"):
            self._draw_map()
            return
        if changed == "point":
            self._draw_point()
            return
        tsne = self.method.value == "tsne"
        self.perplexity.disabled = self.start_from.disabled = not tsne
        self.seed.disabled = not tsne or self.start_from.value != "random"
        known = self._finished.get(self._key())
        if known is not None:
            self.run.clear()
            self._show(known)
        elif self.value is None:
            for step in self._in_a_cell():
                self._take(step)
            self._show(self.value)
        else:
            self.start()

    def start(self) -> None:
        """Make the map of the present settings, live; what Run does."""
        key = self._key()
        self.run.run(lambda: self._steps(key), self._on_step, lambda job: self.attempt(self._on_done, job, key))

    def settle(self, timeout: float = 120.0) -> bool:
        """Wait until no map is being made; for scripts and tests, never in a callback."""
        return self.run.wait(timeout)

    def reset(self) -> None:
        """Put every setting back, and show the first map."""
        self.run.clear()
        self.view.pointer = []
        super().reset()

    def _key(self) -> tuple:
        """What the present map depends on."""
        layer, method = self.layer.value, self.method.value
        if method == "pca":
            return layer, method, 0, "", 0
        start = self.start_from.value
        return layer, method, self.perplexity.value, start, self.seed.value if start == "random" else 0

    def _in_a_cell(self) -> Iterator[Progress]:
        """The steps of the first map, which the cell waits for, with a bar."""
        from tqdm.auto import tqdm

        with tqdm(total=self.iterations, desc="t-SNE", leave=False, disable=self.method.value == "pca") as bar:
            for step in self._steps(self._key()):
                bar.update(step.index - bar.n)
                yield step

    def _steps(self, key: tuple) -> Iterator[Progress]:
        layer, method, perplexity, start, seed = key
        if layer not in self._layers:
            self._layers[layer] = self._look_at(layer)
        if method == "pca":
            yield Progress(1, 1, self._layers[layer][1])
            return
        settings = {"start": start, "seed": seed, "iterations": self.iterations}
        for step in tsne_steps(self.codes[layer], perplexity, **settings):
            made = Embedding(step.points, layer, method, step.divergence)
            if step.index == step.total:
                made = self._judged(made)
                self._finished[key] = made
            yield Progress(step.index, step.total, made)

    def _look_at(self, layer: str) -> tuple[float, Embedding]:
        """Of a layer, how often the nearest code has the same label, and its map by PCA."""
        codes = self.codes[layer]
        flat = self._judged(Embedding(pca(codes)[0].float(), layer, "pca"))
        self._finished[layer, "pca", 0, "", 0] = flat
        return neighbour_accuracy(codes, self.labels), flat

    def _judged(self, made: Embedding) -> Embedding:
        codes = self.codes[made.layer]
        count = min(10, (len(codes) - 1) // 2)
        return replace(
            made,
            trustworthiness=trustworthiness(codes, made.points, count),
            accuracy=neighbour_accuracy(made.points, self.labels),
        )

    def _take(self, step: Progress) -> None:
        self.value = step.map

    def _on_step(self, step: Progress, draw: bool) -> None:
        self._take(step)
        began = time.monotonic()
        rested = began - self._drawn_until >= self._drawing_took * (1 / DRAWING - 1)
        if draw and rested and step.index < step.total and not self.view.congested:
            self._draw_map()
            self._drawn_until = time.monotonic()
            self._drawing_took = self._drawn_until - began

    def _on_done(self, job: Job, key: tuple) -> None:
        if job.error is not None:
            self.say(sentence_of(job.error), wrong=True)
        elif job.cancelled and math.isnan(self.value.trustworthiness):
            self._show(self._judged(self.value))
            self.say(_("Stopped before its end: this map is what there was by then. Run begins anew."))
        else:
            self._show(self.value)

    def _show(self, made: Embedding) -> None:
        self.value = made
        self._draw_map()
        self._draw_point()
        self._draw_scores()

    # ------------------------------------------------------------------------------------------------------ pointer
    def nearest_to(self, x: float, y: float) -> int | None:
        """The point of the map within reach of a place in picture pixels, if there is one."""
        apart = np.hypot(*(self._places - (x, y)).T)
        index = int(apart.argmin())
        return index if apart[index] <= REACH * DENSITY else None

    def _on_pointer(self) -> None:
        over = self.nearest_to(*self.view.pointer) if self.view.pointer else None
        if over != self._over:
            self._over = over
            self._draw_picture()
            self._mark()

    def _on_click(self) -> None:
        found = self.nearest_to(*self.view.click[:2])
        if found is None:
            self.say(_("There is no picture near this place of the map."))
        else:
            self.point.value = found

    def near(self, index: int) -> dict[str, list[int]]:
        """The six nearest to picture `index`, nearest first: by "codes" of the layer, by "pixels", and on the "map"."""
        spaces = {"codes": self.codes[self.value.layer], "pixels": self._pixels, "map": self.value.points.double()}
        count = min(SHOWN, len(self.labels) - 1)
        found = {}
        for name, space in spaces.items():
            apart = (space - space[index]).square().sum(1)
            apart[index] = math.inf
            found[name] = apart.topk(count, largest=False).indices.tolist()
        return found

    # --------------------------------------------------------------------------------------------------------- draw
    def _draw_map(self) -> None:
        made: Embedding = self.value
        points = made.points.numpy()
        values = self.values if self.colour.value == "value" else None
        pictures = self.pictures if self.drawn_as.value == "pictures" else None
        picture = scatter(
            points, self.labels, self.names, values=values, pictures=pictures, side=self._side, density=DENSITY
        )
        self._places = places(points, self._side * DENSITY, MARGIN * DENSITY)
        ramp = {}
        if values is not None:
            _colours, cmap, low, high = value_colours(values)
            ramp = render.ramp(cmap, low, high, self.value_name)
        caption = _("{count:,} pictures by {method}, layer {layer}").format(
            count=len(points), method=self._described(made), layer=made.layer
        )
        self._mark()
        self.view.show(
            picture, kind="png", alt=_("A map of {caption}").format(caption=caption), caption=caption, ramp=ramp
        )

    def _described(self, made: Embedding) -> str:
        if made.method == "pca":
            return "PCA"
        words = _("t-SNE, perplexity {n}").format(n=self.perplexity.value)
        return words if math.isnan(made.divergence) else f"{words}, KL {made.divergence:.2f}"

    def _draw_point(self) -> None:
        self._near = self.near(self.point.value)
        self._draw_picture()
        self._mark()
        rows, said = [], []
        for name, title, colour in (
            ("codes", _("nearest in {layer}").format(layer=self.value.layer), IN_CODES),
            ("pixels", _("nearest in pixels"), IN_PIXELS),
            ("map", _("nearest on this map"), ""),
        ):
            indices = self._near[name]
            words = [self.names[self.labels[index]] for index in indices]
            same = [self.labels[index] == self.labels[self.point.value] for index in indices]
            rows.append((title, colour, [self.pictures[index] for index in indices], words, same))
            said.append(f"{title}: {', '.join(words)}")
        self.neighbours_view.show(
            neighbour_rows(rows, width=BESIDE, density=DENSITY),
            kind="png",
            alt=_("Neighbours of picture {n}. {rows}").format(n=self.point.value, rows="; ".join(said)),
            caption=_("Nearest first; another class in an orange frame"),
        )

    def _draw_picture(self) -> None:
        """What is under the pointer, or else the chosen picture."""
        index = self.point.value if self._over is None else self._over
        tile = np.asarray(render.as_colour(self.pictures[index]))
        factor = max(72 * DENSITY // max(tile.shape[:2]), 1)
        lines = [_("Picture {n}: {name}").format(n=index, name=self.names[self.labels[index]])]
        if self.values is not None:
            lines.append(f"{self.value_name}: {render.number(self.values[index])}")
        lines.append(_("chosen") if self._over is None else _("under the pointer"))
        words = render.text_block("\n".join(lines), (BESIDE - 84) * DENSITY, 12 * DENSITY, render.INK)
        picture = render.beside([render.enlarge(tile, factor), words], gap=8 * DENSITY)
        room = np.full((72 * DENSITY, BESIDE * DENSITY, 3), 255, np.uint8)
        height, width = min(picture.shape[0], room.shape[0]), min(picture.shape[1], room.shape[1])
        room[:height, :width] = picture[:height, :width]
        self.point_view.show(room, kind="png", alt=". ".join(lines))

    def _mark(self) -> None:
        """Frames around the chosen picture, its neighbours, and what is under the pointer."""
        near = getattr(self, "_near", None)
        marks = []
        if near is not None:
            marks += [self._frame(index, IN_PIXELS, 9) for index in near["pixels"]]
            marks += [self._frame(index, IN_CODES, 7) for index in near["codes"]]
        marks.append(self._frame(self.point.value, CHOSEN, 11))
        if self._over is not None:
            marks.append(self._frame(self._over, "#666666", 8))
        self.view.marks = marks

    def _frame(self, index: int, colour: str, half: int) -> dict:
        x, y = (round(float(place)) for place in self._places[index])
        half *= DENSITY
        return {"x": x - half, "y": y - half, "w": 2 * half, "h": 2 * half, "colour": colour}

    def _draw_scores(self) -> None:
        """How often the nearest has the same class, and how far the map is to be trusted."""
        made: Embedding = self.value
        of_codes, flat = self._layers[made.layer]
        rows = [(_("in pixels"), self._pixel_accuracy)] if made.layer != PIXELS else []
        rows += [(_("in {layer}").format(layer=made.layer), of_codes), (_("on PCA's map"), flat.accuracy)]
        trusted = [(_("trust, PCA"), flat.trustworthiness)]
        if made.method == "tsne":
            rows.append((_("on t-SNE's map"), made.accuracy))
            trusted.append((_("trust, t-SNE"), made.trustworthiness))
        words = ", ".join(f"{name} {value:.3f}" for name, value in [*rows, *trusted])
        self.scores_view.show(
            render.bars([*rows, *trusted], BESIDE, label_width=106),
            kind="png",
            alt=_("Nearest of the same class: {words}").format(words=words),
            caption=_("Share whose nearest is of their class; trustworthiness"),
        )
