"""One card for one unit: all that can be shown of a channel, part by part."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import ipywidgets as widgets
import numpy as np
from torch import Tensor, nn

from .. import images, render
from ..controls import ImagePicker, RunControl
from ..controls.worker import Job
from ..i18n import _
from ..networks import Network
from ..techniques.feature_maps import feature_maps, kernels_of
from ..techniques.top_patches import top_patches_steps
from ..views import ImageView
from .base import Explorer, sentence_of, show_if
from .maps import fitting
from .top_patches import patch_mosaic
from .unit_settings import as_network, channel_picker, kernel_tile, layer_picker, upsampled

SIDE, ROOM, KERNEL = 224, 496, 96  # screen pixels of a picture, of a row of patches, and of a kernel
PATCHES = 10


@dataclass(frozen=True, eq=False)
class Unit:
    """What a card is about: a `channel` of a `layer`, and what it makes of the picture that the network has `seen`.

    `inputs` is the normalised picture [1, C, H, W]; `map` is the channel's map [h, w].
    """

    network: Network
    layer: str
    channel: int
    inputs: Tensor
    seen: np.ndarray
    map: Tensor


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a part shows: an `image` (uint8) with a caption; `more` holds further traits of `ImageView`."""

    image: np.ndarray
    caption: str
    kind: str = "png"
    more: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One part of the card, with a fixed place in one of its rows.

    `draw(unit)` yields drawings that take each other's place, the last one stays; each should take 0.1 s at most.
    A part that has nothing to say of a unit yields none and takes no room.
    """

    name: str
    draw: Callable[[Unit], Iterable[Drawing]]
    row: int = 1


def _picture(unit: Unit) -> Iterator[Drawing]:
    values = upsampled(unit.map.clamp(min=0).numpy(), unit.seen.shape[:2])
    picture = render.overlay(unit.seen, values, low=0.0)
    yield Drawing(picture, _("Where it answers: its map over the picture"), "jpeg", fitting(*picture.shape[:2], SIDE))


def _map(unit: Unit) -> Iterator[Drawing]:
    values = unit.map.numpy()
    low, high = render.limits(values)
    high = high if high > low else low + 1
    caption = _("Its map, {rows} × {columns}").format(rows=values.shape[0], columns=values.shape[1])
    more = {**fitting(*values.shape, SIDE), "pixelated": True, "ramp": render.ramp(render.GREY, low, high, _("answer"))}
    yield Drawing(render.heat_map(values, render.GREY, low, high), caption, more=more)


def _kernel(unit: Unit) -> Iterator[Drawing]:
    found = kernels_of(unit.network, unit.layer, unit.inputs)
    if found is None:
        return
    name, weights = found
    tile = kernel_tile(weights[unit.channel].numpy())
    channels, height, width = weights.shape[1:]
    caption = _("Its kernel in {name}, {h} × {w} × {c}").format(name=name, h=height, w=width, c=channels)
    if channels != 3:
        caption += _("; red above 0, blue below")
    yield Drawing(tile, caption, more={"zoom": max(KERNEL // max(tile.shape[:2]), 1), "pixelated": True})


def _patches(unit: Unit) -> Iterator[Drawing]:
    for step in top_patches_steps(unit.network, unit.layer, unit.channel, count=PATCHES):
        if step.found.patches:
            caption = _("What excites it most in {n} of the course's pictures").format(n=step.found.looked_at)
            yield Drawing(patch_mosaic(step.found, ROOM).image, caption, "jpeg")


PARTS: tuple[Part, ...] = (
    Part("picture", _picture, row=0),
    Part("map", _map, row=0),
    Part("kernel", _kernel),
    Part("patches", _patches),
)


@dataclass(frozen=True)
class Step:
    """A drawing for the part called `name`, its `last` or one on the way; `index` of `total` parts are done."""

    index: int
    total: int
    name: str
    drawing: Drawing | None
    last: bool = False


class UnitExplorer(Explorer):
    """One card for one unit (a channel of a layer): its map, its kernel where it has one, the patches that excite it.

    `value` is the `Unit`, and `views` has each part's view by its name. The card is built from `parts`, by default
    `PARTS`; what takes long is drawn on the worker's thread.

    Raises `UnknownLayer`, and `WrongSetting` for a layer without maps or a channel that is not there.
    """

    title = _("A unit")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        layer: str | None = None,
        channel: int = 0,
        *,
        image: images.ImageSource = "cat",
        parts: Iterable[Part] | None = None,
    ):
        self.network = as_network(network)
        self.parts = PARTS if parts is None else tuple(parts)
        self.picture = ImagePicker(image)
        self.layer = layer_picker(self.network, self.network.preprocess(self.picture.image), layer)
        self.channel = channel_picker(self.layer.info, channel)
        self.run = RunControl(_("Draw again"))
        self.run.on_run(lambda: self.attempt(self.start))
        self.views = {part.name: ImageView() for part in self.parts}
        settings = {"picture": self.picture, "layer": self.layer, "channel": self.channel}
        gap = {"grid_gap": "12px", "overflow": "visible"}
        rows = [
            widgets.HBox([self.views[part.name] for part in self.parts if part.row == row], layout=dict(gap))
            for row in sorted({part.row for part in self.parts})
        ]
        box = widgets.VBox(rows, layout=dict(gap))
        super().__init__(settings, box, column=(*settings.values(), self.run))

    def update(self, changed: str | None = None) -> None:
        """Take the present unit for the card's: drawn at once when the card is made, then on the worker."""
        layer, info = self.layer.value, self.layer.info
        if changed == "layer":
            with self.quietly():
                self.channel.count = info.channels_first[1]
        first = self.value is None
        inputs = self.network.preprocess(self.picture.image)
        maps = feature_maps(self.network, layer, inputs, call=info.calls - 1, axes=info.axes)[0]
        seen = images.to_image(self.network.denormalise(inputs.float()))
        self.value = Unit(self.network, layer, self.channel.value, inputs, seen, maps[self.channel.value])
        if first:
            for step in self._steps(self.value):
                self._on_step(step, True)
        else:
            self.start()

    def start(self) -> None:
        """Draw all parts anew, on the worker's thread."""
        unit = self.value
        self.run.run(lambda: self._steps(unit), self._on_step, lambda job: self.attempt(self._on_done, job))

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this card is being drawn; for scripts and tests, never in a callback."""
        return self.run.wait(timeout)

    def reset(self) -> None:
        """Stop, and put every setting back."""
        self.run.clear()
        super().reset()

    def _steps(self, unit: Unit) -> Iterator[Step]:
        total = len(self.parts)
        for done, part in enumerate(self.parts):
            last = None
            for drawing in part.draw(unit):
                last = drawing
                yield Step(done, total, part.name, drawing)
            yield Step(done + 1, total, part.name, last, last=True)

    def _on_step(self, step: Step, _draw: bool) -> None:
        """Show the drawing; a part takes room only while it has one."""
        view, drawing = self.views[step.name], step.drawing
        show_if(drawing is not None, view)
        if drawing is not None and (step.last or not view.congested):
            traits = {"zoom": 1.0, "pixelated": False, "ramp": {}, **drawing.more}
            view.show(drawing.image, kind=drawing.kind, alt=drawing.caption, caption=drawing.caption, **traits)

    def _on_done(self, job: Job) -> None:
        if job.error is not None:
            self.say(sentence_of(job.error), wrong=True)
