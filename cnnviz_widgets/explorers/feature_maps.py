"""All maps of a layer at once; one of them enlarged; and what a unit of it sees of the picture."""

import ipywidgets as widgets
import numpy as np
from torch import Tensor, nn

from .. import images, render
from ..controls import ImagePicker, SettingChoice
from ..errors import WrongSetting
from ..i18n import _
from ..layers import receptive_field
from ..layers.receptive import ReceptiveField
from ..networks import Network
from ..settings import one_of
from ..techniques.feature_maps import by_strength, feature_maps, kernels_of, silent, strength, strongest_channel
from ..views import ImageView
from .base import Explorer, show_if
from .maps import at_most, fitting
from .unit_settings import Mosaic, as_network, channel_picker, kernel_tile, layer_picker, map_mosaic, tiled, upsampled

ROOM = (480, 392)  # screen pixels (rows, columns) of the mosaic
PICTURE = 224  # screen pixels of the picture and of the enlarged map
KERNEL = 72  # screen pixels of the kernel beside them
LONGEST = 448  # pixels on the longer side of a picture that is seen whole
SQUARE, WHOLE = "square", "whole"
MAPS, KERNELS = "maps", "kernels"
PLAIN, CHOSEN, STRONGEST = "plain", "chosen", "strongest"
ORDERS = {"mean": _("strongest first, by mean"), "peak": _("strongest first, by peak"), "number": _("by number")}
FRAME = render.OKABE_ITO[0]


class FeatureMapExplorer(Explorer):
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
    ):
        self.network = as_network(network)
        one_of(_("size"), sees, (SQUARE, WHOLE))
        one_of(_("order"), order, ORDERS)
        self.picture = ImagePicker(image)
        self.layer = layer_picker(self.network, self.network.preprocess(self.picture.image), layer)
        self.channel = channel_picker(self.layer.info, channel or 0)
        self.sees = SettingChoice(
            [(_("{n} × {n}, as in training").format(n=self.network.size), SQUARE), (_("the whole picture"), WHOLE)],
            sees,
            _("It sees"),
            _("A convolution takes a picture of any size"),
        )
        self.shown = SettingChoice(
            [(_("the maps"), MAPS), (_("the kernels"), KERNELS)],
            MAPS,
            _("Mosaic of"),
            _("What each channel answers, or the filter that it answers with"),
        )
        self.order = SettingChoice(
            [(title, name) for name, title in ORDERS.items()], order, _("Order"), _("Which map comes first")
        )
        self.scale = SettingChoice(
            [(_("each map its own"), "own"), (_("one for all"), "common")],
            "own",
            _("Scale"),
            _("What is black and what is white in the mosaic"),
        )
        self.colours = SettingChoice(
            [(_("grey"), render.GREY), ("viridis", "viridis")],
            render.GREY,
            _("Colours"),
            _("Of the mosaic and the map"),
        )
        self.over = SettingChoice(
            [(_("nothing"), PLAIN), (_("the chosen map"), CHOSEN), (_("the strongest map"), STRONGEST)],
            PLAIN,
            _("On picture"),
            _("A map laid over the picture, stretched to its size"),
        )
        self.unit: tuple[int, int] | None = None
        self.box: tuple[int, int, int, int] | None = None
        self._field: ReceptiveField | None = None
        self._kernels: tuple[str, Tensor] | None = None
        pointing = {"follow": "hover", "pixelated": True}
        self.mosaic_view = ImageView(
            help=_("Point at a map to enlarge it; click, or press Enter, to see what its unit sees."), **pointing
        )
        self.map_view = ImageView(
            help=_("Point at the map to read its value; click, or press Enter, to see what its unit sees."), **pointing
        )
        self.picture_view, self.kernel_view = ImageView(), ImageView(pixelated=True)
        settings = {
            "picture": self.picture,
            "layer": self.layer,
            "channel": self.channel,
            "sees": self.sees,
            "shown": self.shown,
            "order": self.order,
            "scale": self.scale,
            "colours": self.colours,
            "over": self.over,
        }
        self._first = channel is None
        right = [self.picture_view, self.map_view, self.kernel_view]
        body = [self.mosaic_view, widgets.VBox(right, layout={"grid_gap": "10px", "overflow": "visible"})]
        super().__init__(settings, widgets.HBox(body, layout={"grid_gap": "12px", "overflow": "visible"}))
        for view, look, choose in (
            (self.mosaic_view, self._look_at_mosaic, self._click_mosaic),
            (self.map_view, self._look_at_map, self._click_map),
        ):
            view.observe(lambda _change, look=look: self.attempt(look), "pointer")
            view.observe(lambda _change, choose=choose: self.attempt(choose), "click")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Bring the panel up to the present settings; the network runs for another picture, layer or size."""
        if changed in (None, "picture", "layer", "sees"):
            self._compute(changed)
        if changed == "over":
            self._draw_picture()
            return
        if changed == "channel":
            self._forget_unit()
        else:
            self._draw_mosaic()
        self._mark_channel()
        self._draw_map(self.channel.value)
        self._draw_kernel(self.channel.value)
        self._draw_picture()

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
            self._field = receptive_field(self.network, self._inputs, self.layer.value)
        self.unit, self.box = (y, x), self._field.box(y, x)
        top, left, bottom, right = self.box
        self.picture_view.marks = [{"x": left, "y": top, "w": right - left, "h": bottom - top, "colour": FRAME}]
        self.say(self._what_it_sees(y, x))
        return self.box

    def reset(self) -> None:
        """Put every setting back and forget the unit that was clicked."""
        self._forget_unit()
        super().reset()

    def _compute(self, changed: str | None) -> None:
        """Run the network up to the layer; the panel keeps what it showed when that cannot be."""
        image, layer, info = self.picture.image, self.layer.value, self.layer.info
        if self.sees.value == SQUARE:
            inputs = self.network.preprocess(image)
        else:
            inputs = _whole(self.network, at_most(image, LONGEST))
        maps = feature_maps(self.network, layer, inputs, call=info.calls - 1, axes=info.axes)[0]
        kernels = kernels_of(self.network, layer, inputs)
        self.value, self._inputs, self._kernels = maps, inputs, kernels
        self._seen = images.to_image(self.network.denormalise(inputs.float()))
        self._field = None
        self._forget_unit()
        with self.quietly():
            self.channel.count = len(maps)
            if self._first or changed == "layer":
                self.channel.value = strongest_channel(maps)
        self._first = False

    def _forget_unit(self) -> None:
        self.unit = self.box = None
        self.picture_view.marks = []

    # ---------------------------------------------------------------------------------------------------- pointing
    def _look_at_mosaic(self) -> None:
        """Enlarge the map under the pointer and read its value there; without a pointer, the chosen one again."""
        found = self._pointed_at(self.mosaic_view.pointer)
        self._draw_map(self.channel.value if found is None else found[0])
        if found is None:
            self.say("" if self.unit is None else self._what_it_sees(*self.unit))
        elif self.shown.value == MAPS:
            self.say(self._reading(*found))

    def _click_mosaic(self) -> None:
        found = self._pointed_at(self.mosaic_view.click)
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
        if self.map_view.pointer:
            x, y = self.map_view.pointer
            self.say(self._reading(self.channel.value, y, x))
        else:
            self.say("" if self.unit is None else self._what_it_sees(*self.unit))

    def _click_map(self) -> None:
        x, y = self.map_view.click[:2]
        self.outline(y, x)

    def _pointed_at(self, pointer: list[int]) -> tuple[int, int, int] | None:
        return self._mosaic.at(*pointer[:2]) if pointer else None

    def _reading(self, channel: int, y: int, x: int) -> str:
        value = render.number(float(self.value[channel, y, x]))
        message = _("Channel {channel}, row {y}, column {x}: {value}.")
        return message.format(channel=channel, y=y, x=x, value=value)

    def _what_it_sees(self, y: int, x: int) -> str:
        top, left, bottom, right = self.box
        sentence = _(
            "{reading} This unit sees {h} × {w} pixels of the picture: "
            "rows {top} to {bottom}, columns {left} to {right}."
        )
        if (bottom - top, right - left) == self._seen.shape[:2]:
            sentence = _("{reading} This unit sees the whole picture.")
        elif (bottom - top, right - left) != self._field.size:
            sentence += " " + _("Its field of {rows} × {columns} hangs over the border.")
        return sentence.format(
            reading=self._reading(self.channel.value, y, x),
            h=bottom - top,
            w=right - left,
            top=top,
            bottom=bottom - 1,
            left=left,
            right=right - 1,
            rows=self._field.size[0],
            columns=self._field.size[1],
        )

    # -------------------------------------------------------------------------------------------------------- draw
    def _order(self) -> list[int]:
        if self.order.value == "number":
            return list(range(len(self.value)))
        return by_strength(self.value, self.order.value).tolist()

    def _draw_mosaic(self) -> None:
        order, (count, rows, columns) = self._order(), self.value.shape
        kernels = self.shown.value == KERNELS
        show_if(not kernels, self.scale)
        if kernels:
            self._mosaic, caption = self._kernel_mosaic(order)
        else:
            common = self.scale.value == "common"
            self._mosaic = map_mosaic(self.value, order, self.colours.value, ROOM, common=common)
            caption = _("{count} maps of {rows} × {columns}, {order}").format(
                count=count, rows=rows, columns=columns, order=ORDERS[self.order.value]
            )
            quiet = int(silent(self.value).sum())
            if quiet:
                caption += _("; {count} silent").format(count=quiet)
        alt = _("{layer}: {caption}").format(layer=self.layer.value, caption=caption)
        self.mosaic_view.show(self._mosaic.image, kind="png", alt=alt, caption=caption, pointer=[])

    def _kernel_mosaic(self, order: list[int]) -> tuple[Mosaic, str]:
        if self._kernels is None:
            message = _(
                'The maps of "{name}" come from more than one convolution, or from none: there is no kernel for each.'
            )
            raise WrongSetting(message.format(name=self.layer.value))
        name, weights = self._kernels
        tiles = np.stack([kernel_tile(weights[number].numpy()) for number in order])
        zoom = next((z for z in range(24, 1, -1) if _fits(len(tiles), *tiles.shape[1:3], z)), 1)
        tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
        columns = max(min((ROOM[1] + 4) // (tiles.shape[2] + 4), len(tiles)), 1)
        return tiled(tiles, tuple(order), columns, 4, self.value.shape[1:]), self._kernel_caption(name, weights, "all")

    def _kernel_caption(self, name: str, weights: Tensor, which: str) -> str:
        channels, height, width = weights.shape[1:]
        what = (
            _("each pixel a weight for red, green and blue; grey is 0")
            if channels == 3
            else _("red above 0, blue below; one square for each of the {n} maps before it").format(n=channels)
            if channels > 1
            else _("red above 0, blue below")
        )
        size = f"{height} × {width} × {channels}"
        if which == "all":
            return _("The kernels of {name}, {size}: {what}").format(name=name, size=size, what=what)
        return _("Its kernel, {size}: {what}").format(size=size, what=what)

    def _mark_channel(self) -> None:
        self.mosaic_view.marks = [self._mosaic.mark(self.channel.value, FRAME)]

    def _draw_map(self, channel: int) -> None:
        """One map enlarged, with its scale."""
        values = self.value[channel].numpy()
        low, high = render.limits(values)
        strongest = 1 + int((strength(self.value) > strength(self.value)[channel]).sum())
        caption = _("Channel {channel}: {rows} × {columns}, number {place} of {count} by mean").format(
            channel=channel, rows=values.shape[0], columns=values.shape[1], place=strongest, count=len(self.value)
        )
        cmap = self.colours.value
        self.map_view.show(
            render.heat_map(values, cmap, low, high if high > low else low + 1),
            kind="png",
            alt=caption,
            caption=caption,
            ramp=render.ramp(cmap, low, high if high > low else low + 1, _("answer")),
            **{**fitting(*values.shape, PICTURE), "pixelated": True},
        )

    def _draw_kernel(self, channel: int) -> None:
        show_if(self._kernels is not None, self.kernel_view)
        if self._kernels is None:
            return
        name, weights = self._kernels
        tile = kernel_tile(weights[channel].numpy())
        caption = self._kernel_caption(name, weights, "one")
        zoom = max(KERNEL // max(tile.shape[:2]), 1)
        self.kernel_view.show(tile, kind="png", alt=caption, caption=caption, zoom=zoom)

    def _draw_picture(self) -> None:
        image, over = self._seen, self.over.value
        height, width = image.shape[:2]
        caption = _("{h} × {w} pixels").format(h=height, w=width)
        if over != PLAIN:
            channel = self.channel.value if over == CHOSEN else strongest_channel(self.value)
            values = upsampled(self.value[channel].clamp(min=0).numpy(), (height, width))
            image = render.overlay(image, values, low=0.0)
            caption = _("Channel {channel} over the picture, where it is above 0").format(channel=channel)
        box = fitting(height, width, PICTURE)
        self.picture_view.show(image, alt=f"{self.picture.title}. {caption}", caption=caption, **box)


def _whole(network: Network, image: np.ndarray) -> Tensor:
    """The picture in its own shape, on the network's scale, its device and of its type: [1, C, H, W]."""
    pixels = images.to_tensor(image) if len(network.mean) == 3 else Tensor(images.greyscale(image))[None, None]
    return network.normalise(pixels.to(network.bounds[0]))


def _fits(count: int, height: int, width: int, zoom: int) -> bool:
    columns = (ROOM[1] + 4) // (width * zoom + 4)
    return columns > 0 and -(-count // columns) * (height * zoom + 4) <= ROOM[0]
