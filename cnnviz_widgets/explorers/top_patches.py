"""The patches of pictures that excite a unit most, from the course's pictures or a folder of the reader's."""

import os
from collections.abc import Iterator, Sequence

import ipywidgets as widgets
import numpy as np
from torch import nn

from .. import images, render
from ..controls import ChannelPicker, Job, LayerPicker, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..i18n import _
from ..networks import Network
from ..render.mosaics import Mosaic, patch_mosaic
from ..techniques.top_patches import Step, picture_list, top_patches_steps
from ..views import ImageView
from .base import follows
from .network import as_network
from .slow import SlowExplorer

TILE, GAP, ROOM = 96, 4, 392  # screen pixels of a patch, between two, and of a row of them
PICTURE = 280  # screen pixels of the picture that a patch is from
FRAME = render.OKABE_ITO[0]


class PatchExplorer(SlowExplorer):
    """What excites a unit: the patches that it answers to most, each cut out as large as what the unit sees.

    `value` is a `TopPatches`. Point at a patch to see the picture that it is from. Another layer or channel looks
    through the pictures anew, on the worker's thread; Stop keeps what has been found so far. `pictures` is a folder,
    or a list of names, paths or arrays; without it the pictures of the course.

    Raises `UnknownLayer`, `WrongSetting` for a layer without maps or a channel that is not there, and `ImageError` for
    a folder without pictures.
    """

    title = _("What excites a unit")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        layer: str | None = None,
        channel: int = 0,
        *,
        pictures: str | os.PathLike | Sequence[images.ImageSource] | None = None,
        count: int = 12,
    ) -> None:
        self.network = as_network(network)
        layers = LayerPicker.of_maps(self.network, self.network.preprocess("cat"), layer)
        is_folder = isinstance(pictures, (str, os.PathLike))
        self._own = None if pictures is None or is_folder else list(pictures)
        self._mosaic: Mosaic | None = None
        settings = {
            "layer": layers,
            "channel": ChannelPicker.of_layer(layers.info, channel),
            "count": SettingSlider(count, 1, 24, _("Patches"), _("How many are shown, at most")),
            "folder": widgets.Text(
                value=os.fspath(pictures) if is_folder else "",
                description=_("Folder"),
                tooltip=_("A folder with pictures of your own; empty: the pictures of the course"),
                placeholder=_("empty: the course's pictures") if self._own is None else _("empty: the pictures given"),
                continuous_update=False,
                layout=dict(ROW),
                style=dict(STYLE),
            ),
        }
        help_text = _("Point at a patch, or use the arrow keys, to see where it is from.")
        views = {"patches_view": ImageView(follow="hover", help=help_text, key_step=TILE + GAP)}
        self.on(layers, "value", self._count_channels)  # before the panel looks at the layer
        super().__init__(settings, [["patches_view", "source_view"]], views=views)
        self.on(self.patches_view, "pointer", self._look)

    @follows("layer", "channel", "count", "folder")
    def steps(self) -> Iterator[Step]:
        """Look through the pictures for the present unit. Raises `ImageError` for a folder without pictures."""
        self._unit = self.layer.value, self.channel.value
        pictures = picture_list(self.folder.value.strip() or self._own)
        return top_patches_steps(self.network, *self._unit, pictures, count=self.count.value)

    def take(self, step: Step) -> None:
        """Keep the patches found so far."""
        self.value = step.found

    def ended(self, job: Job | None) -> None:
        """Name the pictures that could not be read."""
        refused = self.value.refused
        if refused:
            message = _("{count} could not be read and was left out. {first}")
            if len(refused) > 1:
                message = _("{count} could not be read and were left out. The first: {first}")
            count = _("{n} of {total} pictures").format(n=len(refused), total=len(refused) + self.value.looked_at)
            self.say(message.format(count=count, first=refused[0]), wrong=True)

    @follows("steps")
    def draw(self) -> None:
        """Show the patches found so far, and the picture of the first."""
        layer, channel = self._unit
        unit = _("channel {channel} of {layer}").format(channel=channel, layer=layer)
        self._drawn = found = self.value  # a run that goes on has other patches by the time that one is pointed at
        if not found.patches:
            caption = _("In {n} pictures, {unit} is nowhere above zero").format(n=found.looked_at, unit=unit)
            blank = np.full((TILE, ROOM, 3), 255, np.uint8)
            self._mosaic = None
            self.patches_view.draw(render.Drawing(blank, caption, more={"marks": [], "pointer": []}))
            self.source_view.draw(render.Drawing(blank[:, :PICTURE], alt=_("No picture"), more={"marks": []}))
            return
        self._mosaic = patch_mosaic([patch.image for patch in found.patches], ROOM, TILE, GAP)
        low, high = (render.number(found.patches[end].value) for end in (-1, 0))
        caption = _("What excites {unit} most in {n} pictures: from {high} down to {low}").format(
            unit=unit, n=found.looked_at, high=high, low=low
        )
        equal = sum(patch.value == found.patches[0].value for patch in found.patches)
        if equal > 1:
            caption += _("; the first {n} are equal, so their order means nothing").format(n=equal)
        self.patches_view.draw(render.Drawing(self._mosaic.image, caption, kind="jpeg", more={"pointer": []}))
        self._draw_source(0)

    def _count_channels(self) -> None:
        with self.quietly():
            self.channel.count = self.layer.info.channels_first[1]

    def _look(self) -> None:
        """Show the picture of the patch under the pointer."""
        found = self._mosaic.at(*self.patches_view.pointer) if self._mosaic and self.patches_view.pointer else None
        if found is not None:
            self._draw_source(found[0])

    def _draw_source(self, number: int) -> None:
        patch = self._drawn.patches[number]
        top, left, bottom, right = patch.box
        title = images.PICTURES[patch.picture].title if patch.picture in images.PICTURES else patch.picture
        caption = _("{value} in “{title}”, row {y}, column {x} of the map").format(
            value=render.number(patch.value), title=title, y=patch.y, x=patch.x
        )
        mark = {"x": left, "y": top, "w": right - left, "h": bottom - top, "colour": FRAME}
        self.patches_view.marks = [self._mosaic.mark(number, FRAME)]
        self.source_view.draw(render.photograph(patch.seen, caption, box=PICTURE, marks=[mark]))
