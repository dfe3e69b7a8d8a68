"""What a network makes of a picture: the picture as it sees it, and its most probable classes."""

import ipywidgets as widgets
import numpy as np
from torch import nn

from .. import images, render
from ..controls import ImagePicker, NetworkPicker, SettingSlider
from ..errors import WrongSetting
from ..i18n import _
from ..networks import Network, load_network
from ..views import ImageView
from .base import Explorer

MOST = 10  # bars; more of them would say little and take up the page
BARS = 400  # screen pixels
SIDE = 224  # screen pixels; a network that sees less gets its pixels drawn as squares


class ClassifierExplorer(Explorer):
    """Choose a picture, or bring one, and see what the network calls it.

    `value` is the list of (label, probability) of the `top` most probable classes, the most probable first, as
    `Network.predict` gives it. Works on any `Network`, or on a module that takes pixels normalised as for ImageNet.
    With `choose_network` the reader may take another of the networks known by name; `network` is the present one.

    Raises `WrongSetting` unless `top` is 1 to 10; a network of fewer classes shows all it has. Raises `UnknownNetwork`
    for `choose_network` with a network that has no known name.
    """

    title = _("What is in the picture?")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        image: images.ImageSource = "cat",
        top: int = 5,
        *,
        choose_network: bool = False,
    ):
        if top not in range(1, MOST + 1):
            raise WrongSetting(
                _("The panel shows the 1 to {most} likeliest classes, not {top}.").format(most=MOST, top=top)
            )
        network = load_network() if network is None else network
        self.network = network if isinstance(network, Network) else Network(network)
        most = min(MOST, len(self.network.labels))
        self.picture = ImagePicker(image)
        self.top = SettingSlider(
            min(top, most), 1, most, _("Top"), _("How many classes are shown, the likeliest first")
        )
        self.view, self.bars = ImageView(), ImageView(zoom=0.5, drawing=True)
        settings = {"picture": self.picture, "top": self.top}
        if choose_network:
            self.network_picker = NetworkPicker(self.network.name)
            settings = {"network": self.network_picker, **settings}
        super().__init__(
            settings,
            widgets.HBox(
                [self.view, self.bars],
                # In a narrow page the bars go below the picture, and both stay beside the settings.
                layout={
                    "grid_gap": "8px 12px",
                    "overflow": "visible",
                    "flex": "1 1 0",
                    "flex_flow": "row wrap",
                    "min_width": f"{BARS}px",
                    "align_content": "flex-start",
                },
            ),
        )

    def update(self, changed: str | None = None) -> None:
        """Ask the network about a new picture, or a new network; draw the picture and the bars."""
        if "network" in self.settings and self.network_picker.value != self.network.name:
            self._exchange_network(self.network_picker.value)
        if changed != "top":
            image = self.picture.image
            self._everything = self.network.predict(image, top=MOST)
            self._draw_picture(image)
        self.value = self._everything[: self.top.value]
        self._draw_bars()

    def _exchange_network(self, name: str) -> None:
        """Load the network called `name`; if that fails, the present one stays."""
        self.say(_("Loading {name} …").format(name=name))
        try:
            self.network = load_network(name)
        except Exception:
            with self.quietly():
                self.network_picker.value = self.network.name
            raise
        self.say("")
        self.top.max = min(MOST, len(self.network.labels))

    def _draw_picture(self, image: np.ndarray) -> None:
        size = self.network.size
        self.view.show(
            self.network.view(image),
            zoom=max(SIDE // size, 1),
            pixelated=size < SIDE,
            alt=_("{title}, as the network sees it").format(title=self.picture.title),
            caption=_("The network sees {n} × {n} pixels").format(n=size),
        )

    def _draw_bars(self) -> None:
        words = ", ".join(f"{label} {render.probability(probability)}" for label, probability in self.value)
        caption = _("Probability of the {n} likeliest of {total:,} classes")
        self.bars.show(
            render.bars(self.value, BARS),
            kind="png",
            alt=_("Probabilities: {words}").format(words=words),
            caption=caption.format(n=len(self.value), total=len(self.network.labels)),
        )
