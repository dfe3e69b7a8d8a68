"""Cover a part of the picture and watch what the network still believes; then do it everywhere."""

import ipywidgets as widgets
import numpy as np
from torch import Tensor, nn

from .. import images, render
from ..controls import ClassPicker, ImagePicker, RunControl, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..i18n import _
from ..networks import Network, load_network
from ..techniques.occlusion import ARTICLE, FILLS, OcclusionMap, Step, occlude, occlusion, occlusion_steps
from ..views import ImageView
from ..views.image_view import patch_corner
from ..worker import WORKER, Job
from .base import Explorer, sentence_of

OWN, AS_IN_ARTICLE = "own", "article"
MAPS = {"probability": _("probability"), "drop": _("drop in probability"), "logit": _("logit")}
TOP = 5


class OcclusionExplorer(Explorer):
    """Drag a patch over the picture and the top five probabilities move; Run covers every place in turn.

    `value` is the `OcclusionMap` so far. `predictions` holds what the network says of the picture as it is shown, patch
    and all: a list of (label, probability). Works on any `Network`, or on a module that takes pixels in 0..1.
    """

    title = _("Occlusion")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        image: str = "cat",
        target: str | int | None = None,
        *,
        window: int = 32,
        stride: int = 16,
        fill: str = "grey",
        threshold: float = 0.85,
    ):
        network = load_network() if network is None else network
        self.network = network if isinstance(network, Network) else Network(network)
        size = self.network.size
        self.picture = ImagePicker(image)
        self._look(self.picture.image)
        index = int(self._clean.argmax()) if target is None else self.network.class_index(target)
        self.target = ClassPicker(self.network, self.network.labels[index])
        self.target.described = lambda: f"{_('Class')}: {self.target.value}"
        self.preset = widgets.Dropdown(
            options=[(_("my own"), OWN), (_("as in the article"), AS_IN_ARTICLE)],
            value=OWN,
            description=_("Settings"),
            tooltip=_("The article covers a box of 70 × 70 pixels and steps by 14"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.window = SettingSlider(window, 4, size, _("Window"), _("Edge of the square patch, in pixels"), step=2)
        self.stride = SettingSlider(
            stride, 2, 64, _("Stride"), _("Pixels from one place of the patch to the next"), step=2
        )
        self.fill = widgets.Dropdown(
            options=[(title, name) for name, title in FILLS.items()],
            value=fill,
            description=_("Fill"),
            tooltip=_("What the patch puts in place of the picture"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.map_of = widgets.Dropdown(
            options=[(title, name) for name, title in MAPS.items()],
            value="probability",
            description=_("Map of"),
            tooltip=_("What the map shows of the class at each place of the patch"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.threshold = widgets.FloatSlider(
            value=threshold,
            min=0.05,
            max=1.0,
            step=0.01,
            description=_("Threshold"),
            tooltip=_("The mask holds where the probability falls below this share of the map's maximum"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.run = RunControl(_("Run"))
        self.run.on_run(lambda: self.attempt(self.start))

        self.view = ImageView(
            zoom=1.5 if size <= 256 else 1.0,
            follow="drag",
            key_step=max(size // 28, 1),
            help=_("Drag the patch over the picture, or move it with the arrow keys."),
        )
        self.bars = ImageView(zoom=0.5)
        self.map_view = ImageView(pixelated=True)
        self.masked_view = ImageView()
        super().__init__(
            {
                "picture": self.picture,
                "target": self.target,
                "preset": self.preset,
                "window": self.window,
                "stride": self.stride,
                "fill": self.fill,
                "map_of": self.map_of,
                "threshold": self.threshold,
            },
            widgets.HBox(
                [
                    widgets.VBox([self.view, self.bars], layout={"grid_gap": "6px", "overflow": "visible"}),
                    widgets.VBox([self.map_view, self.masked_view], layout={"grid_gap": "10px", "overflow": "visible"}),
                ],
                layout={"grid_gap": "12px", "overflow": "visible"},
            ),
            extra=(self.run,),
        )
        self.view.observe(lambda _change: self._on_pointer(), "pointer")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Bring the panel up to the present settings; a map that no longer belongs to them is made anew, coarsely."""
        if changed in ("map_of", "threshold"):
            self._draw_map()
            return
        first = changed is None and self.value is None
        if changed in (None, "picture"):
            self._look(self.picture.image)
            self.target.offer([label for label, _probability in self._best(self._clean)])
        self._apply_preset()
        settings = self._settings()
        self.view.patch = [self.window.value, self.window.value]
        self._draw_picture()
        if first:
            self.value = occlusion(self.network, self._inputs, **self._coarse(settings), progress=False)
            self._draw_map()
        else:
            self._fill_map(self._coarse(settings))

    def start(self) -> None:
        """Fill the whole map at the present settings, live; what Run does."""
        self._fill_map(self._settings())

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this panel is being computed; for scripts and tests, never in a callback."""
        pointing = getattr(self, "_pointing", None)
        return self.run.wait(timeout) and (pointing is None or pointing.wait(timeout))

    def reset(self) -> None:
        """Put every setting back and take the patch away."""
        self.run.clear()
        self.view.pointer = []
        super().reset()

    def _look(self, image: np.ndarray) -> None:
        """Take `image` for the panel's picture and ask the network what it is without a patch."""
        seen = self.network.view(image)
        inputs = self.network.preprocess(image)
        self._clean = self.network.logits(image).softmax(0)
        self._seen, self._inputs = seen, inputs

    def _settings(self) -> dict:
        article = self.preset.value == AS_IN_ARTICLE
        return {
            "target": self.target.index,
            "window": self.window.value,
            "stride": self.stride.value,
            "fill": self.fill.value,
            "core": ARTICLE["core"] if article else None,
        }

    def _apply_preset(self) -> None:
        """Set and lock window, stride and fill while the article's settings are chosen."""
        article = self.preset.value == AS_IN_ARTICLE
        for name in ("window", "stride", "fill"):
            control = self.settings[name]
            control.disabled = article
            if article and control.value != ARTICLE[name]:
                held, self._held = self._held, True
                control.value = ARTICLE[name]
                self._held = held

    @staticmethod
    def _coarse(settings: dict) -> dict:
        """The same settings with as few places as still cover the picture: the preview."""
        core = settings["core"] or settings["window"]
        return {**settings, "stride": max(settings["stride"], core)}

    def _fill_map(self, settings: dict) -> None:
        network, inputs = self.network, self._inputs
        self.run.run(lambda: occlusion_steps(network, inputs, **settings), self._on_step, self._on_done)

    def _on_step(self, step: Step, draw: bool) -> None:
        with self._lock:
            self.value = step.map
            if draw and step.index and (step.index == step.total or not self.map_view.congested):
                self._draw_map()

    def _on_done(self, job: Job) -> None:
        with self._lock:
            if job.error is not None:
                self.say(sentence_of(job.error), wrong=True)
            elif self.value is not None:
                self._draw_map()

    def _on_pointer(self) -> None:
        """Ask the network about the patched picture; on the worker, where a newer place replaces an older one."""
        self._pointing = WORKER.submit(
            self.view, lambda: iter([None]), lambda _step: self.attempt(self._draw_picture), lambda _job: None
        )

    # -------------------------------------------------------------------------------------------------------- draw
    def _draw_picture(self) -> None:
        """The picture with its patch, and what the network says of it."""
        seen, probabilities = self._seen, self._clean
        if self.view.pointer:
            seen = self._patched()
            probabilities = self.network.logits(seen).softmax(0)
        self.predictions = self._best(probabilities)
        self.view.show(
            seen,
            alt=_("{title}, as the network sees it").format(title=self.picture.title),
            caption=_("Drag the patch over what the network sees, {n} × {n} pixels").format(n=self.network.size),
        )
        classes = self._shown_classes(probabilities)
        rows = [(self.network.labels[index], float(probabilities[index])) for index in classes]
        words = ", ".join(f"{label} {render.number(probability)}" for label, probability in rows)
        self.bars.show(
            render.bars(rows, 336, before=self._clean[classes].tolist(), chosen=self.target.value),
            kind="png",
            alt=_("Probabilities: {words}").format(words=words),
            caption=_("Probability of each class; the black line is the picture without a patch"),
        )

    def _patched(self) -> np.ndarray:
        """What the network sees with the patch where the pointer is: uint8 `[H, W, 3]`."""
        x, y = patch_corner(self.view.pointer, self.view.patch, self._seen.shape[1::-1])
        covered = occlude(self._inputs, y, x, self.window.value, self.fill.value, bounds=self.network.bounds)
        return images.to_image(self.network.denormalise(covered))

    def _best(self, probabilities: Tensor) -> list[tuple[str, float]]:
        best = probabilities.topk(min(TOP, len(probabilities)))
        return [(self.network.labels[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]

    def _shown_classes(self, probabilities: Tensor) -> list[int]:
        """Five classes for the bars: the likeliest without the patch, the likeliest with it, and the chosen one."""
        likely = self._clean.topk(min(TOP, len(self._clean))).indices.tolist()
        wanted = [self.target.index, int(probabilities.argmax())]
        missing = [index for index in dict.fromkeys(wanted) if index not in likely]
        return [*likely[: len(likely) - len(missing)], *missing]

    def _draw_map(self) -> None:
        """The map so far with its scale, and the picture under its mask."""
        occluded: OcclusionMap = self.value
        target = self.target.value
        values = {"probability": occluded.probabilities, "drop": occluded.drop, "logit": occluded.logits}[
            self.map_of.value
        ]
        per_pixel = occluded.per_pixel(values).numpy()
        low, high = render.limits(per_pixel)
        fill = FILLS[self.fill.value].lower()
        self.map_view.show(
            render.heat_map(per_pixel, low=low, high=high),
            kind="png",
            ramp=render.ramp(render.EVIDENCE, low, high, MAPS[self.map_of.value]),
            alt=_("Occlusion map of {target}").format(target=target),
            caption=_("{what} of {target} when the patch is here ({fill})").format(
                what=MAPS[self.map_of.value].capitalize(), target=target, fill=fill
            ),
        )
        mask = occluded.mask(self.threshold.value).numpy()
        self.masked_view.show(
            render.outside_faded(self._seen, mask),
            alt=_("The picture under the mask"),
            caption=_("Where it falls below {t} of its maximum: {share:.0%} of the picture").format(
                t=render.number(self.threshold.value), share=mask.mean()
            ),
        )
