"""What a network makes of a picture: the picture as it sees it, and its most probable classes."""

from torch import nn

from .. import images, render
from ..controls import ImagePicker, Job, NetworkPicker, SettingSlider
from ..errors import WrongSetting
from ..i18n import _
from ..networks import Network, load_network
from ..views import ImageView, row
from .base import follows
from .network import NetworkExplorer, as_network

MOST = 10  # bars; more of them would say little and take up the page
BARS = 400  # screen pixels
SIDE = 224  # screen pixels; a network that sees less gets its pixels drawn as squares


class ClassifierExplorer(NetworkExplorer):
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
    ) -> None:
        if top not in range(1, MOST + 1):
            message = _("The panel shows the 1 to {most} likeliest classes, not {top}.")
            raise WrongSetting(message.format(most=MOST, top=top))
        network = as_network(network)
        most = min(MOST, len(network.labels))
        settings = {"network_picker": NetworkPicker(network.name)} if choose_network else {}
        settings["picture"] = ImagePicker(image)
        settings["top"] = SettingSlider(
            min(top, most), 1, most, _("Top"), _("How many classes are shown, the likeliest first")
        )
        views = {"view": ImageView(), "bars": ImageView()}
        # In a narrow page the bars go below the picture, and both stay beside the settings.
        body = row(*views.values(), flex="1 1 0", min_width=f"{BARS}px", align_content="flex-start")
        super().__init__(network, image, settings, body, views=views)

    @follows("network_picker")
    def exchange(self) -> bool:
        """Load the network that was chosen; until it is there, and if that fails, the present one stays."""
        if "network_picker" not in self.settings or self.network_picker.value == self.network.name:
            return False
        name = self.network_picker.value
        self.say(_("Loading {name} …").format(name=name))
        self.background("exchange", lambda: load_network(name), self._exchanged)
        return True

    @follows("picture", "exchange")
    def compute(self) -> list[tuple[str, float]]:
        """As many of the likeliest classes as can be asked for."""
        return self.network.predict(self.picture.image, top=MOST)

    @follows("compute")
    def draw_picture(self) -> None:
        """The picture as the network sees it."""
        self.likeliest = self.value
        height, width = self.network.shape
        zoom = max(SIDE // max(height, width), 1)
        alt = _("{title}, as the network sees it").format(title=self.picture.title)
        caption = _("The network sees {h} × {w} pixels").format(h=height, w=width)
        more = {"zoom": zoom, "pixelated": zoom > 1}
        self.view.draw(render.Drawing(self.network.view(self.picture.image), caption, alt, "jpeg", more))

    @follows("draw_picture", "top")
    def draw_bars(self) -> None:
        """The probabilities of as many classes as are wanted."""
        self.value = self.likeliest[: self.top.value]
        caption = _("Probability of the {n} likeliest of {total:,} classes")
        caption = caption.format(n=len(self.value), total=len(self.network.labels))
        self.bars.draw(render.probabilities(self.value, BARS, caption))

    def _exchanged(self, network: Network) -> None:
        self.network = network
        self.top.max = min(MOST, len(network.labels))
        self.say("")
        self.update("network_picker")

    def _ended(self, name: str, job: Job) -> None:
        super()._ended(name, job)
        if name == "exchange" and job.error is not None:
            with self.quietly():
                self.network_picker.value = self.network.name
