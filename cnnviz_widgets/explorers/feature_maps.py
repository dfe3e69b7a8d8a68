"""All maps of a layer at once; one of them enlarged; and what a unit of it sees of the picture."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from .. import images, render
from ..controls import ChannelPicker, ImagePicker, LayerPicker, SettingChoice
from ..errors import WrongSetting
from ..i18n import _
from ..layers import ReceptiveField, receptive_field
from ..networks import Network
from ..render.channel_maps import (
    ORDERS,
    all_kernels,
    all_maps,
    no_kernels,
    one_kernel,
    one_map,
    picture_of,
    reading,
    sight,
)
from ..settings import one_of
from ..techniques.feature_maps import by_strength, feature_maps, kernels_of, strongest_channel
from ..views.image_view import ImageView, place
from .base import follows
from .network import NetworkExplorer, as_network
from .tree import show_if

ROOM = (480, 392)  # screen pixels (rows, columns) of the mosaic
PICTURE, KERNEL = 224, 72  # screen pixels of the picture and of the enlarged map, and of the kernel beside them
LONGEST = 448  # pixels on the longer side of a picture that is seen whole
SQUARE, WHOLE, MAPS, KERNELS = "square", "whole", "maps", "kernels"
PLAIN, CHOSEN, STRONGEST = "plain", "chosen", "strongest"
FRAME = render.OKABE_ITO[0]


@dataclass(frozen=True, eq=False)
class Found:
    """What a `layer` makes of the picture in `inputs` [1, C, H, W], `seen` [H, W, 3] by the network: its `maps`."""

    layer: str
    inputs: Tensor
    seen: np.ndarray
    maps: Tensor
    kernels: tuple[str, Tensor] | None


class FeatureMapExplorer(NetworkExplorer):
    """Every map of a layer as one mosaic; point at one to enlarge it, click to see where it came from.

    `value` has the layer's maps: a float32 tensor `[C, h, w]`. `unit` is the place that was clicked, (row, column) of
    the chosen channel, or None, and `box` the pixels of the picture that it sees. Works on any `Network`, and on any
    module that takes pixels normalised as for ImageNet.

    - `layer`: a dotted name, blocks too; without it the first activation.
    - `channel`: the one that is enlarged; without it the strongest.
    - `sees`: "square", what the network was trained on, or "whole", the picture in its own shape.
    - `order`: "mean" or "peak" of what is above zero, the strongest first, or "number".

    Raises `UnknownLayer`, which names the nearest, and `WrongSetting` for a layer without maps.
    """

    title = _("Feature maps")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        image: images.ImageSource = "cat",
        layer: str | None = None,
        *,
        channel: int | None = None,
        sees: str = SQUARE,
        order: str = "mean",
    ) -> None:
        network, picture = as_network(network), ImagePicker(image)
        one_of(_("size"), sees, (SQUARE, WHOLE))
        layers = LayerPicker.of_maps(network, network.preprocess(picture.image), layer)
        height, width = network.shape
        square = _("{h} × {w}, as in training").format(h=height, w=width)
        what = _("What each channel answers, or the filter that it answers with")
        any_size = _("A convolution takes a picture of any size")
        scales = {"own": _("each map its own"), "common": _("one for all")}
        colours = {render.GREY: _("grey"), "viridis": "viridis"}
        laid = _("A map laid over the picture, stretched to its size")
        over = {PLAIN: _("nothing"), CHOSEN: _("the chosen map"), STRONGEST: _("the strongest map")}
        settings = {
            "picture": picture,
            "layer": layers,
            "channel": ChannelPicker.of_layer(layers.info, channel or 0),
            "sees": SettingChoice({SQUARE: square, WHOLE: _("the whole picture")}, sees, _("It sees"), any_size),
            "shown": SettingChoice({MAPS: _("the maps"), KERNELS: _("the kernels")}, MAPS, _("Mosaic of"), what),
            "order": SettingChoice(ORDERS, order, _("Order"), _("Which map comes first")),
            "scale": SettingChoice(scales, "own", _("Scale"), _("What is black and what is white in the mosaic")),
            "colours": SettingChoice(colours, render.GREY, _("Colours"), _("Of the mosaic and the map")),
            "over": SettingChoice(over, PLAIN, _("On picture"), laid),
        }
        self.unit: tuple[int, int] | None = None
        self.box: tuple[int, int, int, int] | None = None
        self._found: Found | None = None
        self._keeps_channel = channel is not None
        point = _("Point at a map to enlarge it; click, or press Enter, to see what its unit sees.")
        read = _("Point at the map to read its value; click, or press Enter, to see what its unit sees.")
        words = {"mosaic_view": point, "map_view": read}
        views = {name: ImageView(follow="hover", pixelated=True, help=help_) for name, help_ in words.items()}
        self.on(layers, "value", self._count_channels)  # before the panel looks at the layer
        right = ["picture_view", "map_view", "kernel_view"]
        super().__init__(network, image, settings, [["mosaic_view", right]], views=views)
        self.on(self.mosaic_view, "pointer", self._look_at_mosaic)
        self.on(self.mosaic_view, "click", self._click_mosaic)
        self.on(self.map_view, "pointer", self._look_at_map)
        self.on(self.map_view, "click", self._click_map)

    def outline(self, y: int, x: int) -> tuple[int, int, int, int]:
        """Mark in the picture what the unit in row `y`, column `x` of the map sees; what a click does.

        Returns the box (top, left, bottom, right) in pixels of the picture. Raises `WrongSetting` for a place that the
        map does not have.
        """
        rows, columns = self.value.shape[1:]
        if not (0 <= y < rows and 0 <= x < columns):
            message = _("The map has rows 0 to {y} and columns 0 to {x}.")
            raise WrongSetting(message.format(y=rows - 1, x=columns - 1))
        if self._field is None:
            self._field = receptive_field(self.network, self._found.inputs, self._found.layer)
        self.unit, self.box = (y, x), self._field.box(y, x)
        top, left, bottom, right = self.box
        self.picture_view.marks = [{"x": left, "y": top, "w": right - left, "h": bottom - top, "colour": FRAME}]
        self.say(self._what_it_sees())
        return self.box

    def reset(self) -> None:
        """Put every setting back and forget the unit that was clicked."""
        self._forget_unit()
        self._keeps_channel = True
        super().reset()

    # ----------------------------------------------------------------------------------------------------- compute
    @follows("picture", "layer", "sees")
    def compute(self) -> Found:
        """Run the network up to the layer."""
        layer, info, inputs = self.layer.value, self.layer.info, self.inputs
        if self.sees.value == WHOLE:
            inputs = self.network.tensor(images.at_most(self.picture.image, LONGEST))
        maps = feature_maps(self.network, inputs, layer, call=info.calls - 1, axes=info.axes)[0]
        seen = images.to_image(self.network.denormalise(inputs.float()))
        return Found(layer, inputs, seen, maps, kernels_of(self.network, inputs, layer))

    def keep(self, found: Found) -> None:
        """Keep the maps; of another layer, the strongest channel is chosen."""
        before, self._found, self.value = self._found, found, found.maps
        self._field: ReceptiveField | None = None
        if not self._keeps_channel and (before is None or before.layer != found.layer):
            with self.quietly():
                self.channel.value = strongest_channel(found.maps)
        self._keeps_channel = False

    def _count_channels(self) -> None:
        with self.quietly():
            self.channel.count = self.layer.info.channels_first[1]

    @property
    def _channel(self) -> int:
        """The chosen channel of the maps that are shown, also while those of another layer are on their way."""
        return min(self.channel.value, len(self.value) - 1)

    @follows("compute", "channel")
    def _forget_unit(self) -> None:
        self.unit = self.box = None
        self.picture_view.marks = []

    # -------------------------------------------------------------------------------------------------------- draw
    @follows("compute", "shown", "order", "scale", "colours")
    def draw_mosaic(self) -> None:
        """All maps, or all kernels."""
        by, maps, found = self.order.value, self.value, self._found
        order = list(range(len(maps))) if by == "number" else by_strength(maps, by).tolist()
        if self.shown.value == KERNELS and found.kernels is None:
            with self.quietly():
                self.shown.value = MAPS
            self.say(no_kernels(found.layer), wrong=True)
        show_if(self.shown.value == MAPS, self.scale)
        if self.shown.value == KERNELS:
            self._mosaic, caption = all_kernels(*found.kernels, order, maps.shape[1:], ROOM)
        else:
            common = self.scale.value == "common"
            self._mosaic, caption = all_maps(maps, order, by, self.colours.value, ROOM, common=common)
        alt = _("{layer}: {caption}").format(layer=found.layer, caption=caption)
        self.mosaic_view.draw(render.Drawing(self._mosaic.image, caption, alt, more={"pointer": []}))

    @follows("draw_mosaic", "channel")
    def draw_channel(self) -> None:
        """The chosen channel: its frame in the mosaic, its map, its kernel."""
        self.mosaic_view.marks = [self._mosaic.mark(self._channel, FRAME)]
        self._draw_map(self._channel)
        kernels = self._found.kernels
        show_if(kernels is not None, self.kernel_view)
        if kernels is not None:
            self.kernel_view.draw(one_kernel(kernels[1], self._channel, KERNEL))

    @follows("draw_channel", "over")
    def draw_picture(self) -> None:
        """The picture, with a map over it if wanted."""
        channel = {PLAIN: None, CHOSEN: self._channel, STRONGEST: strongest_channel(self.value)}[self.over.value]
        self.picture_view.draw(picture_of(self._found.seen, self.picture.title, PICTURE, channel, self.value))

    def _draw_map(self, channel: int) -> None:
        self.map_view.draw(one_map(self.value, channel, PICTURE, self.colours.value))

    # ---------------------------------------------------------------------------------------------------- pointing
    def _look_at_mosaic(self) -> None:
        """Enlarge the map under the pointer and read its value there; without a pointer, the chosen one again."""
        found = self._mosaic.at(*place(self.mosaic_view.pointer))
        self._draw_map(self._channel if found is None else found[0])
        if found is None:
            self.say(self._what_it_sees())
        elif self.shown.value == MAPS:
            self.say(reading(self.value, *found))

    def _click_mosaic(self) -> None:
        """Choose the map that was clicked, and outline what its unit sees."""
        found = self._mosaic.at(*place(self.mosaic_view.click))
        if found is None:
            return
        channel, y, x = found
        if channel != self.channel.value:
            with self.quietly():
                self.channel.value = channel
            self.update("channel")
        if self.shown.value == MAPS:
            self.outline(y, x)

    def _look_at_map(self) -> None:
        """Read the value under the pointer."""
        x, y = place(self.map_view.pointer)
        self.say(reading(self.value, self._channel, y, x) or self._what_it_sees())

    def _click_map(self) -> None:
        """Outline what the unit sees that was clicked."""
        self.outline(*reversed(place(self.map_view.click)))

    def _what_it_sees(self) -> str:
        """The unit that was clicked in words; empty if there is none."""
        if self.unit is None:
            return ""
        words = sight(self.box, self._field.size, self._found.seen.shape[:2])
        return f"{reading(self.value, self._channel, *self.unit)} {words}"
