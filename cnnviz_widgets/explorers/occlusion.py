"""Cover a part of the picture and watch what the network still believes; then do it everywhere."""

import ipywidgets as widgets
import numpy as np
from torch import Tensor, nn

from .. import images, render
from ..controls import ClassPicker, ImagePicker, RunControl, SettingChoice, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..controls.worker import WORKER, Job
from ..errors import WrongSetting
from ..i18n import _
from ..networks import Network, load_network
from ..techniques.occlusion import ARTICLE, FILLS, OcclusionMap, Step, occlude, occlusion, occlusion_steps
from ..views import ImageView
from ..views.image_view import patch_corner
from .base import Explorer, sentence_of

OWN, AS_IN_ARTICLE = "own", "article"
VIEW, MAP = 336, 224  # screen pixels of the picture that is dragged over, and of the map
PREVIEW = 16  # places along a side of the coarse map, at most
MAPS = {"probability": _("probability"), "drop": _("drop in probability"), "logit": _("logit")}
TOP = 5


class OcclusionExplorer(Explorer):
    """Drag a patch over the picture and the top five probabilities move; Run covers every place in turn.

    `value` is the `OcclusionMap` so far. `predictions` holds what the network says of the picture as it is shown, patch
    and all: a list of (label, probability). Works on any `Network`, or on a module that takes pixels normalised as for
    ImageNet.
    """

    title = _("Occlusion")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        image: images.ImageSource = "cat",
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
        self._pointing: Job | None = None
        self._look(self.picture.image)
        index = int(self._clean.argmax()) if target is None else self.network.class_index(target)
        self.target = ClassPicker(self.network, self.network.labels[index])
        self.preset = SettingChoice(
            [(_("my own"), OWN), (_("as in the article"), AS_IN_ARTICLE)],
            OWN,
            _("Settings"),
            _("The article covers a box of 70 × 70 pixels and steps by 14"),
        )
        self.window = SettingSlider(
            window, min(4, size), size, _("Window"), _("Edge of the square patch, in pixels"), step=2
        )
        self.stride = SettingSlider(
            stride, 2, 64, _("Stride"), _("Pixels from one place of the patch to the next"), step=2
        )
        fills = [(title, name) for name, title in FILLS.items()]
        self.fill = SettingChoice(fills, fill, _("Fill"), _("What the patch puts in place of the picture"))
        maps = [(title, name) for name, title in MAPS.items()]
        self.map_of = SettingChoice(
            maps, "probability", _("Map of"), _("What the map shows of the class at each place of the patch")
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
            zoom=VIEW // size if size <= VIEW // 2 else 1.5 if size <= 256 else 1.0,
            pixelated=size <= VIEW // 2,
            follow="drag",
            key_step=max(size // 28, 1),
            help=_("Drag the patch over the picture, or move it with the arrow keys."),
        )
        self.bars = ImageView(zoom=0.5, drawing=True)
        enlarged = {"zoom": max(MAP // size, 1), "pixelated": True}
        self.map_view, self.masked_view = ImageView(**enlarged), ImageView(**enlarged)
        settings = {
            "picture": self.picture,
            "target": self.target,
            "preset": self.preset,
            "window": self.window,
            "stride": self.stride,
            "fill": self.fill,
            "map_of": self.map_of,
            "threshold": self.threshold,
        }
        super().__init__(
            settings,
            widgets.HBox(
                [
                    widgets.VBox([self.view, self.bars], layout={"grid_gap": "6px", "overflow": "visible"}),
                    widgets.VBox([self.map_view, self.masked_view], layout={"grid_gap": "10px", "overflow": "visible"}),
                ],
                layout={"grid_gap": "12px", "overflow": "visible"},
            ),
            column=(*settings.values(), self.run),
        )
        self.view.observe(lambda _change: self._on_pointer(), "pointer")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Bring the panel up to the present settings; a map that no longer belongs to them is made anew, coarsely."""
        if changed in ("map_of", "threshold"):
            self._draw_map()
            return
        if self._source is not self.picture.image:
            self._look(self.picture.image)
        self.target.offer([label for label, _probability in self._best(self._clean)])
        self._apply_preset()
        self.view.patch = [self.window.value, self.window.value]
        self._draw_picture()
        settings = self._coarse(self._settings())
        if self.value is None:
            self.value, self._fill = occlusion(self.network, self._inputs, **settings, progress=False), self.fill.label
            self._draw_map()
        else:
            self._fill_map(settings)

    def start(self) -> None:
        """Fill the whole map at the present settings, live; what Run does."""
        self._fill_map(self._settings())

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this panel is being computed; for scripts and tests, never in a callback."""
        return self.run.wait(timeout) and (self._pointing is None or self._pointing.wait(timeout))

    def reset(self) -> None:
        """Put every setting back and take the patch away."""
        self.run.clear()
        self.view.pointer = []
        super().reset()

    def _look(self, image: np.ndarray) -> None:
        """Take `image` for the panel's picture and ask the network what it is without a patch."""
        clean, inputs = self.network.logits(image).softmax(0), self.network.preprocess(image)
        self._source, self._clean, self._inputs = image, clean, inputs
        self._seen = images.to_image(self.network.denormalise(inputs))

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
        if article and self.network.size < ARTICLE["window"]:
            with self.quietly():
                self.preset.value = OWN
            message = _("The article's box of {box} pixels is larger than the {size} that this network sees.")
            raise WrongSetting(message.format(box=ARTICLE["window"], size=self.network.size))
        for name in ("window", "stride", "fill"):
            control = self.settings[name]
            control.disabled = article
            if article:
                with self.quietly():
                    control.value = ARTICLE[name]

    def _coarse(self, settings: dict) -> dict:
        """The same settings with as few places as still cover the picture, or as a preview may have: the preview."""
        core = settings["core"] or settings["window"]
        return {**settings, "stride": max(settings["stride"], core, -(-self.network.size // PREVIEW))}

    def _fill_map(self, settings: dict) -> None:
        network, inputs, fill = self.network, self._inputs, self.fill.label
        self.run.run(
            lambda: occlusion_steps(network, inputs, **settings),
            lambda step, draw: self._on_step(step, draw, fill),
            lambda job: self.attempt(self._on_done, job),
        )

    def _on_step(self, step: Step, draw: bool, fill: str) -> None:
        self.value, self._fill = step.map, fill
        if draw and 0 < step.index < step.total and not self.map_view.congested:
            self._draw_map()

    def _on_done(self, job: Job) -> None:
        if job.error is not None:
            self.say(sentence_of(job.error), wrong=True)
        else:
            self._draw_map()

    def _on_pointer(self) -> None:
        """Ask the network about the patched picture; on the worker, where a newer place replaces an older one."""
        self._pointing = WORKER.submit(
            self.view, lambda: iter([None]), lambda _job, _step: self.attempt(self._draw_picture)
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
        words = ", ".join(f"{label} {render.probability(probability)}" for label, probability in rows)
        self.bars.show(
            render.bars(rows, 336, before=self._clean[classes].tolist(), chosen=self.target.value),
            kind="png",
            alt=_("Probabilities: {words}").format(words=words),
            caption=_("Probability of each class; the upright line is the picture without a patch"),
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
        target = self.network.labels[occluded.target]
        values = {"probability": occluded.probabilities, "drop": occluded.drop, "logit": occluded.logits}[
            self.map_of.value
        ]
        per_pixel = occluded.per_pixel(values).numpy()
        low, high = render.limits(per_pixel)
        self.map_view.show(
            render.heat_map(per_pixel, low=low, high=high),
            kind="png",
            ramp=render.ramp(render.EVIDENCE, low, high, MAPS[self.map_of.value]),
            alt=_("Occlusion map of {target}").format(target=target),
            caption=_("{what} of {target} when the patch is here ({fill})").format(
                what=MAPS[self.map_of.value].capitalize(), target=target, fill=self._fill.lower()
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
