"""The patches of pictures that excite a unit most, from the course's pictures or a folder of the reader's."""

import os
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
from torch import nn

from .. import images, render
from ..controls import RunControl, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..controls.worker import Job
from ..i18n import _
from ..networks import Network
from ..techniques.top_patches import Step, TopPatches, picture_list, top_patches_steps
from ..views import ImageView
from .base import Explorer, sentence_of
from .maps import fitting
from .unit_settings import Mosaic, as_network, channel_picker, layer_picker, tiled

TILE, GAP, ROOM = 96, 4, 392  # screen pixels of a patch, between two, and of a row of them
PICTURE = 280  # screen pixels of the picture that a patch is from
FRAME = render.OKABE_ITO[0]


class PatchExplorer(Explorer):
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
    ):
        self.network = as_network(network)
        self.layer = layer_picker(self.network, self.network.preprocess("cat"), layer)
        self.channel = channel_picker(self.layer.info, channel)
        self.count = SettingSlider(count, 1, 24, _("Patches"), _("How many are shown, at most"))
        is_folder = isinstance(pictures, (str, os.PathLike))
        self._own = None if pictures is None or is_folder else list(pictures)
        self.folder = widgets.Text(
            value=os.fspath(pictures) if is_folder else "",
            description=_("Folder"),
            tooltip=_("A folder with pictures of your own; empty: the pictures of the course"),
            placeholder=_("empty: the course's pictures") if self._own is None else _("empty: the pictures given"),
            continuous_update=False,
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.run = RunControl(_("Run"))
        self.run.on_run(lambda: self.attempt(self.start))
        self.patches_view = ImageView(
            follow="hover",
            help=_("Point at a patch, or use the arrow keys, to see where it is from."),
            key_step=TILE + GAP,
        )
        self.source_view = ImageView()
        settings = {"layer": self.layer, "channel": self.channel, "count": self.count, "folder": self.folder}
        body = widgets.HBox([self.patches_view, self.source_view], layout={"grid_gap": "12px", "overflow": "visible"})
        self._mosaic: Mosaic | None = None
        super().__init__(settings, body, column=(*settings.values(), self.run))
        self.patches_view.observe(lambda _change: self.attempt(self._look), "pointer")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Look through the pictures for the present unit: at once when the panel is made, then on the worker."""
        if changed == "layer":
            with self.quietly():
                self.channel.count = self.layer.info.channels_first[1]
        if self.value is None:
            for step in self._steps():
                self.value = step.found
            self._draw()
            self._complain()
        else:
            self.start()

    def start(self) -> None:
        """Look through the pictures again; what Run does. Raises `ImageError` for a folder without pictures."""
        steps = self._steps()
        self.run.run(lambda: steps, self._on_step, lambda job: self.attempt(self._on_done, job))

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this panel is being computed; for scripts and tests, never in a callback."""
        return self.run.wait(timeout)

    def reset(self) -> None:
        """Stop, and put every setting back."""
        self.run.clear()
        super().reset()

    def _steps(self):
        self._unit = self.layer.value, self.channel.value
        pictures = picture_list(self.folder.value.strip() or self._own)
        return top_patches_steps(self.network, self.layer.value, self.channel.value, pictures, count=self.count.value)

    def _on_step(self, step: Step, draw: bool) -> None:
        self.value = step.found
        if draw and not self.patches_view.congested:
            self._draw()

    def _on_done(self, job: Job) -> None:
        if job.error is not None:
            self.say(sentence_of(job.error), wrong=True)
            return
        self._draw()
        self._complain()

    def _complain(self) -> None:
        """Name the pictures that could not be read."""
        refused = self.value.refused
        if refused:
            message = _("{count} could not be read and was left out. {first}")
            if len(refused) > 1:
                message = _("{count} could not be read and were left out. The first: {first}")
            count = _("{n} of {total} pictures").format(n=len(refused), total=len(refused) + self.value.looked_at)
            self.say(message.format(count=count, first=refused[0]), wrong=True)

    # -------------------------------------------------------------------------------------------------------- draw
    def _draw(self) -> None:
        layer, channel = self._unit
        unit = _("channel {channel} of {layer}").format(channel=channel, layer=layer)
        found = self.value
        if not found.patches:
            caption = _("In {n} pictures, {unit} is nowhere above zero").format(n=found.looked_at, unit=unit)
            blank = np.full((TILE, ROOM, 3), 255, np.uint8)
            self._mosaic = None
            self.patches_view.show(blank, kind="png", alt=caption, caption=caption, marks=[], pointer=[])
            self.source_view.show(blank[:, :PICTURE], alt=_("No picture"), caption="", marks=[])
            return
        self._mosaic = patch_mosaic(found, ROOM)
        low, high = (render.number(found.patches[end].value) for end in (-1, 0))
        caption = _("What excites {unit} most in {n} pictures: from {high} down to {low}").format(
            unit=unit, n=found.looked_at, high=high, low=low
        )
        equal = sum(patch.value == found.patches[0].value for patch in found.patches)
        if equal > 1:
            caption += _("; the first {n} are equal, so their order means nothing").format(n=equal)
        self.patches_view.show(self._mosaic.image, alt=caption, caption=caption, pointer=[])
        self._draw_source(0)

    def _look(self) -> None:
        """Show the picture of the patch under the pointer."""
        found = self._mosaic.at(*self.patches_view.pointer) if self._mosaic and self.patches_view.pointer else None
        if found is not None:
            self._draw_source(found[0])

    def _draw_source(self, number: int) -> None:
        patch = self.value.patches[number]
        picture = patch.seen
        top, left, bottom, right = patch.box
        title = images.PICTURES[patch.picture].title if patch.picture in images.PICTURES else patch.picture
        caption = _("{value} in “{title}”, row {y}, column {x} of the map").format(
            value=render.number(patch.value), title=title, y=patch.y, x=patch.x
        )
        mark = {"x": left, "y": top, "w": right - left, "h": bottom - top, "colour": FRAME}
        self.patches_view.marks = [self._mosaic.mark(number, FRAME)]
        self.source_view.show(
            picture, alt=caption, caption=caption, marks=[mark], **fitting(*picture.shape[:2], PICTURE)
        )


def patch_mosaic(found: TopPatches, room: int) -> Mosaic:
    """The patches as tiles of one size in rows of at most `room` pixels, the strongest first."""
    tiles = np.stack([patch_tile(patch.image, TILE) for patch in found.patches])
    columns = max(min((room + GAP) // (TILE + GAP), len(tiles)), 1)
    return tiled(tiles, tuple(range(len(tiles))), columns, GAP, (1, 1))


def patch_tile(image: np.ndarray, side: int) -> np.ndarray:
    """A patch (uint8 `[h, w, 3]`) in the middle of a white square: its pixels as squares, or scaled down."""
    height, width = image.shape[:2]
    zoom = side // max(height, width)
    if zoom:
        image = render.enlarge(image, zoom)
    else:
        scale = side / max(height, width)
        image = images.resize(image, (max(round(height * scale), 1), max(round(width * scale), 1)))
    tile = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
    tile[top : top + image.shape[0], left : left + image.shape[1]] = image
    return tile
