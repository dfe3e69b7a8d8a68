"""What layers make of a picture, side by side: any layers of any network, beside the same network untrained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from .. import images, render
from ..controls import ImagePicker, LayerList, SettingChoice, SettingSlider
from ..errors import WrongSetting
from ..i18n import _
from ..layers import chosen_layers, outputs_of_one, shown_layers
from ..networks import Network
from ..networks.untrained import untrained
from ..render.layer_rows import DENSITY, GAP, layer_row, layer_rows
from ..settings import one_of
from ..techniques.feature_maps import chosen_channels
from ..views import ImageView, row
from .base import follows
from .network import NetworkExplorer, as_network
from .tree import show_if

TRAINED, UNTRAINED, BOTH = "trained", "untrained", "both"
TITLES = {TRAINED: _("Trained"), UNTRAINED: _("Untrained")}
WEIGHTS = {BOTH: _("trained beside untrained"), TRAINED: _("trained"), UNTRAINED: _("untrained")}
WHICH = {"first": _("the first"), "strongest": _("the strongest")}
MOST_CHANNELS, MOST_LAYERS = 8, 8
ROOM = 672  # screen pixels that the maps of one row share
LARGEST_TILE, LARGE_NETWORK = 112, 60_000_000  # screen pixels; parameters from which one network at a time is enough


@dataclass(frozen=True, eq=False)
class Seen:
    """What the layers `names` put out for the picture `image`: by weights, then by layer; `shown` are the weights."""

    image: np.ndarray
    names: list[str]
    shown: list[str]
    outputs: dict[str, dict[str, Tensor]]


class LayerExplorer(NetworkExplorer):
    """Outputs of any layers side by side, on any picture, of a trained network and of the same network untrained.

    `value` has what each chosen layer of the trained network puts out for the picture, by its dotted name, without the
    batch: `[C, H, W]`, or `[C]` from a layer without rows and columns. `untrained` is the same of the untrained network
    and empty until it is shown. A layer that runs several times in one pass has an entry for each call, "relu (1)",
    "relu (2)", … Works on any `Network`, or on a module that takes pixels normalised as for ImageNet.

    - `layers`: dotted names; without them four that are spread over the network.
    - `channels`: how many of each layer, 1 to 8; `which`: "first", or "strongest" by the mean of what lies above zero.
    - `weights`: "trained", "untrained" or "both"; both, unless the network is very large.

    Raises `UnknownLayer`, which names the nearest, and `WrongSetting` for other settings that cannot be.
    """

    title = _("What layers put out")
    twin_kind = "png"

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        image: images.ImageSource = "cat",
        layers: Sequence[str] | None = None,
        channels: int = 5,
        *,
        which: str = "first",
        weights: str | None = None,
        seed: int = 0,
    ) -> None:
        network, picture = as_network(network), ImagePicker(image)
        self.seed, self._modules = seed, {TRAINED: network.module}
        self._seen: Seen | None = None
        self.untrained: dict[str, Tensor] = {}
        listed = shown_layers(network, network.preprocess(picture.image))
        self._axes = {info.name: info.axes for info in listed}
        one_of(_("choice of channels"), which, WHICH)
        if channels not in range(1, MOST_CHANNELS + 1):
            message = _("The panel shows 1 to {most} channels of each layer, not {channels}.")
            raise WrongSetting(message.format(most=MOST_CHANNELS, channels=channels))
        size = sum(parameter.numel() for parameter in network.module.parameters())
        weights = weights or (BOTH if size < LARGE_NETWORK else TRAINED)
        many = _("How many maps of each layer are shown")
        strongest = _("Strongest: what lies above zero, averaged over the map")
        random = _("Untrained: the same layers, with weights drawn at random")
        last = max(info.channels_first[1] for info in listed) - 1
        settings = {
            "picture": picture,
            "layers": LayerList(listed, chosen_layers(network, layers, listed)),
            "weights": SettingChoice(WEIGHTS, weights, _("Weights"), random),
            "channels": SettingSlider(channels, 1, MOST_CHANNELS, _("Channels"), many),
            "which": SettingChoice(WHICH, which, _("Which"), strongest),
            "start": SettingSlider(0, 0, last, _("From channel"), _("The first channel shown")),
        }
        self._sheets = {weights: ImageView() for weights in TITLES}
        super().__init__(network, image, settings, row(*self._sheets.values()))
        self.views = self._sheets

    @follows("layers")
    def check(self) -> None:
        """Refuse no layer and too many."""
        if not self.layers.value:
            raise WrongSetting(_("Choose at least one layer."))
        if len(self.layers.value) > MOST_LAYERS:
            message = _("{count} layers are chosen; the panel shows {most} at most.")
            raise WrongSetting(message.format(count=len(self.layers.value), most=MOST_LAYERS))

    @follows("check", "picture", "weights")
    def compute(self) -> Seen:
        """What the chosen layers put out for the picture, for each network that is shown."""
        image, names, before = self.picture.image, self.layers.in_order, self._seen
        outputs = dict(before.outputs) if before and before.image is image and before.names == names else {}
        shown = list(TITLES) if self.weights.value == BOTH else [self.weights.value]
        for weights in dict.fromkeys([TRAINED, *shown]):  # `value` is the trained network's in any case
            if weights not in self._modules:
                self._modules[weights] = untrained(self.network, self.seed)
            if weights not in outputs:
                outputs[weights] = outputs_of_one(self._modules[weights], self.inputs, names, self._axes)
        return Seen(image, names, shown, outputs)

    def keep(self, found: Seen) -> None:
        """Keep what both networks put out."""
        self._seen = found
        self.value, self.untrained = found.outputs[TRAINED], found.outputs.get(UNTRAINED, {})

    @follows("which")
    def make_room(self) -> None:
        """Where the strongest are shown there is no first."""
        show_if(self.which.value == "first", self.start)

    @follows("compute", "channels", "which", "start")
    def draw(self) -> None:
        """A sheet for each network that is shown."""
        seen, count, chosen = self._seen, self.channels.value, (self.which.value, self.start.value)
        tile = min(LARGEST_TILE, ROOM // (count * len(seen.shown)) - GAP)
        for weights, view in self._sheets.items():
            show_if(weights in seen.shown, view)
        for weights in seen.shown:
            outputs, what = seen.outputs[weights], TITLES[weights]
            channels = {name: chosen_channels(output, count, *chosen) for name, output in outputs.items()}
            rows = [layer_row(name, output, channels[name], tile) for name, output in outputs.items()]
            sheet = layer_rows(what, self.network.view(seen.image), rows, count, tile)
            caption = _("{what}. Below each map: its channel, its smallest and largest value").format(what=what)
            alt = _("{what}: maps of the layers {names}").format(what=what, names=", ".join(outputs))
            self._sheets[weights].draw(render.Drawing(sheet, caption, alt, more={"zoom": 1 / DENSITY}))
