"""One card for one unit: all that can be shown of a channel, part by part."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from .. import images
from ..controls import ChannelPicker, ImagePicker, LayerPicker
from ..i18n import _
from ..networks import Network
from ..render import Drawing
from ..render.unit_card import PARTS, Part, Unit
from ..techniques.feature_maps import feature_maps
from ..views import ImageView, column, row
from .base import follows
from .network import NetworkExplorer, as_network
from .slow import SlowExplorer
from .tree import show_if


@dataclass(frozen=True)
class Step:
    """A drawing for the part called `name`, its `last` or one on the way; `index` of `total` parts are done."""

    index: int
    total: int
    name: str
    drawing: Drawing | None
    last: bool = False


class UnitExplorer(NetworkExplorer, SlowExplorer):
    """One card for one unit (a channel of a layer): its map, its kernel where it has one, the patches that excite it.

    `value` is the `Unit`, and `views` has each part's view by its name. The card is built from `parts`, by default
    `PARTS`; what takes long is drawn on the worker's thread.

    Raises `UnknownLayer`, and `WrongSetting` for a layer without maps or a channel that is not there.
    """

    title = _("A unit")
    verb = _("Draw again")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        layer: str | None = None,
        channel: int = 0,
        *,
        image: images.ImageSource = "cat",
        parts: Iterable[Part] | None = None,
    ) -> None:
        network, picture = as_network(network), ImagePicker(image)
        layers = LayerPicker.of_maps(network, network.preprocess(picture.image), layer)
        settings = {"picture": picture, "layer": layers, "channel": ChannelPicker.of_layer(layers.info, channel)}
        self._card = PARTS if parts is None else tuple(parts)
        self._shown = {part.name: ImageView() for part in self._card}
        self.on(layers, "value", self._count_channels)  # before the panel looks at the layer
        rows = [
            row(*(self._shown[part.name] for part in self._card if part.row == number))
            for number in sorted({part.row for part in self._card})
        ]
        super().__init__(network, image, settings, column(*rows, gap=12))
        self.views = self._shown  # their names are the reader's, and no attributes of the panel

    @follows("picture", "layer", "channel")
    def compute(self) -> Unit:
        """The unit, and what it makes of the picture."""
        layer, channel, info = self.layer.value, self.channel.value, self.layer.info
        maps = feature_maps(self.network, self.inputs, layer, call=info.calls - 1, axes=info.axes)[0]
        return Unit(self.network, layer, channel, self.inputs, self.seen, maps[channel])

    @follows("compute")
    def steps(self) -> Iterator[Step]:
        """Draw all parts anew."""
        return self._drawn(self.value)

    def take(self, step: Step) -> None:
        """Show the drawing; a part takes room only while it has one."""
        view, drawing = self._shown[step.name], step.drawing
        show_if(drawing is not None, view)
        if drawing is not None and (step.last or not view.congested):
            view.draw(replace(drawing, more={"zoom": 1.0, "pixelated": False, **drawing.more}))

    def _drawn(self, unit: Unit) -> Iterator[Step]:
        total = len(self._card)
        for done, part in enumerate(self._card):
            last = None
            for drawing in part.draw(unit):
                last = drawing
                yield Step(done, total, part.name, drawing)
            yield Step(done + 1, total, part.name, last, last=True)

    def _count_channels(self) -> None:
        with self.quietly():
            self.channel.count = self.layer.info.channels_first[1]
