"""Cover a part of the picture and watch what the network still believes; then do it everywhere."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor, nn

from .. import images
from ..controls import ClassPicker, ImagePicker, NumberSlider, SettingChoice, SettingSlider
from ..errors import WrongSetting
from ..i18n import _
from ..networks import Network
from ..render.occluded import MAPS, MOST, class_bars, occlusion_map, to_cover, under_mask
from ..techniques.fills import FILLS
from ..techniques.occlusion import ARTICLE, BATCH, Step, occlusion_steps, under_patch
from ..views.patch_view import PatchView
from .base import follows
from .network import NetworkExplorer, as_network
from .slow import SlowExplorer

OWN, AS_IN_ARTICLE = "own", "article"
BARS, MAP, PREVIEW = 336, 224, 16  # screen pixels of the bars and of the map; most places along a side of a preview


class OcclusionExplorer(NetworkExplorer, SlowExplorer):
    """Drag a patch over the picture and the top five probabilities move; Run covers every place in turn.

    `value` is the `OcclusionMap` so far; `predictions` is what the network says of the picture as it is shown, patch
    and all: a list of (label, probability). Works on any `Network`, or on a module for pixels normalised as ImageNet's.
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
    ) -> None:
        network, picture = as_network(network), ImagePicker(image)
        self._clean = picture.image, network.probabilities(picture.image)
        best = int(self._clean[1].argmax()) if target is None else network.class_index(target)
        least, most = min(network.shape), max(network.shape)
        whose = {OWN: _("my own"), AS_IN_ARTICLE: _("as in the article")}
        about = _("The article covers a box of 70 × 70 pixels and steps by 14")
        edge, steps = _("Edge of the square patch, in pixels"), _("Pixels from one place of the patch to the next")
        holds = _("The mask holds where the probability falls below this share of the map's maximum")
        settings = {
            "picture": picture,
            "target": ClassPicker(network, network.labels[best]),
            "preset": SettingChoice(whose, OWN, _("Settings"), about),
            "window": SettingSlider(window, min(4, least), least, _("Window"), edge, step=2),
            "stride": SettingSlider(stride, 2, 64, _("Stride"), steps, step=2),
            "fill": SettingChoice(FILLS, fill, _("Fill"), _("What the patch puts in place of the picture")),
            "map_of": SettingChoice(
                MAPS, "probability", _("Map of"), _("What the map shows of the class at each place of the patch")
            ),
            "threshold": NumberSlider(threshold, 0.05, 1.0, _("Threshold"), holds, step=0.01),
        }
        self._zoom = max(MAP // most, 1)
        views = {"view": PatchView(most)}
        super().__init__(network, image, settings, [[["view", "bars"], ["map_view", "masked_view"]]], views=views)
        self.on(self.view, "pointer", lambda: self.update("pointer"))

    def update(self, changed: str | None = None) -> None:
        """Bring up to date what follows a setting; the article's box is refused where the network sees less."""
        if self.preset.value == AS_IN_ARTICLE and min(self.network.shape) < ARTICLE["window"]:
            with self.quietly():
                self.preset.value = OWN
            message = _("The article's box of {box} pixels is larger than the {size} that this network sees.")
            raise WrongSetting(message.format(box=ARTICLE["window"], size=min(self.network.shape)))
        super().update(changed)

    def reset(self) -> None:
        """Stop, put every setting back and take the patch away."""
        self.view.pointer = []
        super().reset()

    @follows("preset")
    def lock(self) -> None:
        """Set and lock window, stride and fill while the article's settings are chosen."""
        article = self.preset.value == AS_IN_ARTICLE
        for name in ("window", "stride", "fill"):
            self.settings[name].disabled = article
            if article:
                with self.quietly():
                    self.settings[name].value = ARTICLE[name]

    @follows("lock", "picture", "window", "fill", "pointer")
    def look(self) -> bool:
        """Ask the network about the picture with its patch: on the worker, where a newer place replaces an older."""
        self.view.patch = [self.window.value, self.window.value]
        if self._new:
            self._answer = self._asked()
        else:
            self.background("look", self._asked, self._answered)
        return not self._new

    @follows("look", "target")
    def draw_picture(self) -> None:
        """The picture with its patch, and what the network says of it."""
        clean, seen, now = self._answer
        self.target.offer([label for label, _probability in self.network.best(clean, MOST)])
        self.predictions = self.network.best(now, MOST)
        self.view.draw(to_cover(seen, self.picture.title))
        self.bars.draw(class_bars(self.network.labels, clean, now, self.target.index, BARS))

    @follows("lock", "picture", "target", "window", "stride", "fill")
    def steps(self, whole: bool = False) -> Iterator[Step]:
        """Cover one place after another: as few as cover the picture or as a preview may have, or the `whole` map."""
        stride, core = self.stride.value, ARTICLE["core"] if self.preset.value == AS_IN_ARTICLE else None
        if not whole:
            stride = max(stride, core or self.window.value, -(-max(self.network.shape) // PREVIEW))
        wanted = self.target.index, self.window.value, stride, self.fill.value
        return occlusion_steps(self.network, self.inputs, *wanted, core=core, batch_size=BATCH if self._new else None)

    def start(self) -> None:
        """Fill the whole map at the present settings, live; what Run does."""
        self.work_through(self.steps(whole=True))

    def take(self, step: Step) -> None:
        """Keep the map so far; the one before stays until this one has a first place."""
        if step.index:
            self.value = step.map

    @follows("steps", "map_of", "threshold")
    def draw_map(self) -> None:
        """The map so far with its scale, and the picture under its mask."""
        self.map_view.draw(occlusion_map(self.value, self.map_of.value, self._zoom))
        self.masked_view.draw(under_mask(self.value, self.threshold.value, self.seen, self._zoom))

    def _asked(self) -> tuple[Tensor, np.ndarray, Tensor]:
        """The probabilities [classes] without a patch, what the network sees with it, and the probabilities then."""
        image = self.picture.image
        if self._clean[0] is not image:
            self._clean = image, self.network.probabilities(image)
        clean, corner = self._clean[1], self.view.corner
        if corner is None:
            return clean, self.seen, clean
        return clean, *under_patch(self.network, self.inputs, corner, self.window.value, self.fill.value)

    def _answered(self, answer: tuple[Tensor, np.ndarray, Tensor]) -> None:
        self._answer = answer
        self.follow_up("look")
