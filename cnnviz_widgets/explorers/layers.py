"""What layers make of a picture, side by side: any layers of any network, beside the same network untrained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from .. import images, render
from ..controls import ImagePicker, SettingChoice, SettingSlider
from ..controls.sliders import ROW
from ..controls.worker import WORKER, Job
from ..errors import CnnvizError, UnknownLayer, WrongSetting
from ..i18n import _
from ..layers import LAST_TWO, LayerInfo, channels_first, find_layer, layer_tree, record, run
from ..networks import Network, evaluating
from ..networks.untrained import untrained
from ..settings import one_of
from ..techniques.feature_maps import by_strength
from ..views import ImageView
from .base import Explorer, sentence_of, show_if
from .maps import coloured
from .unit_settings import as_network

TRAINED, UNTRAINED, BOTH = "trained", "untrained", "both"
WHICH = {"first": _("the first"), "strongest": _("the strongest")}
MOST_CHANNELS, MOST_LAYERS = 8, 8
ROOM = 672  # screen pixels that the maps of one row share
LARGEST_TILE, LARGE_NETWORK = 112, 60_000_000  # screen pixels; parameters from which one network at a time is enough
GAP, DENSITY = 4, 2  # screen pixels between maps; picture pixels for one of the screen
TITLE, NUMBERS = 18, 25  # screen pixels of a row's title, and of the two lines below a map


@dataclass(frozen=True, eq=False)
class Seen:
    """What the layers `names` put out for the picture `image`: by weights, then by layer."""

    image: np.ndarray
    names: list[str]
    outputs: dict[str, dict[str, Tensor]]


class LayerExplorer(Explorer):
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
    ):
        self.network = as_network(network)
        self.seed = seed
        self.untrained: dict[str, Tensor] = {}
        self._modules: dict[str, nn.Module] = {TRAINED: self.network.module}
        self._seen: Seen | None = None
        self._job: Job | None = None
        self.picture = ImagePicker(image)
        listed = shown_layers(self.network, self.network.preprocess(self.picture.image))
        self._axes = {info.name: info.axes for info in listed}
        self.layers = _layer_list(listed, self._wanted(layers, listed))
        one_of(_("choice of channels"), which, WHICH)
        if channels not in range(1, MOST_CHANNELS + 1):
            message = _("The panel shows 1 to {most} channels of each layer, not {channels}.")
            raise WrongSetting(message.format(most=MOST_CHANNELS, channels=channels))
        size = sum(parameter.numel() for parameter in self.network.module.parameters())
        weights = weights or (BOTH if size < LARGE_NETWORK else TRAINED)
        one_of(_("weights"), weights, (TRAINED, UNTRAINED, BOTH))
        self.weights = SettingChoice(
            [(_("trained beside untrained"), BOTH), (_("trained"), TRAINED), (_("untrained"), UNTRAINED)],
            weights,
            _("Weights"),
            _("Untrained: the same layers, with weights drawn at random"),
        )
        self.channels = SettingSlider(
            channels, 1, MOST_CHANNELS, _("Channels"), _("How many maps of each layer are shown")
        )
        self.which = SettingChoice(
            [(title, name) for name, title in WHICH.items()],
            which,
            _("Which"),
            _("Strongest: what lies above zero, averaged over the map"),
        )
        self.start = SettingSlider(
            0, 0, max(info.channels_first[1] for info in listed) - 1, _("From channel"), _("The first channel shown")
        )
        view = {"zoom": 1 / DENSITY}
        self.views = {TRAINED: ImageView(**view), UNTRAINED: ImageView(**view)}
        settings = {
            "picture": self.picture,
            "layers": self.layers,
            "weights": self.weights,
            "channels": self.channels,
            "which": self.which,
            "start": self.start,
        }
        body = widgets.HBox(list(self.views.values()), layout={"grid_gap": "12px", "overflow": "visible"})
        super().__init__(settings, body)

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Bring the panel up to the present settings; the network runs again for another picture or other layers."""
        if not self.layers.value:
            raise WrongSetting(_("Choose at least one layer."))
        if len(self.layers.value) > MOST_LAYERS:
            message = _("{count} layers are chosen; the panel shows {most} at most.")
            raise WrongSetting(message.format(count=len(self.layers.value), most=MOST_LAYERS))
        show_if(self.which.value == "first", self.start)
        if self._seen is None:
            self._show(self._computed())
        elif self._fits(self._seen):
            if self._job is not None:
                self._job.cancel()
            self._show(self._seen)
        else:
            self._job = WORKER.submit(
                self,
                lambda: (self._computed() for _once in range(1)),
                lambda _job, seen: self.attempt(self._show, seen),
                lambda job: job.error and self.say(sentence_of(job.error), wrong=True),
            )

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this panel is being computed; for scripts and tests, never in a callback."""
        return self._job is None or self._job.wait(timeout)

    def _wanted(self, layers: Sequence[str] | None, listed: list[LayerInfo]) -> list[str]:
        if layers is None:
            return spread(self.network.module, listed)
        names = [layers] if isinstance(layers, str) else list(layers)
        for name in names:
            find_layer(self.network, name)
            if name not in {info.name for info in listed}:
                message = _('"{name}" puts out no tensor of channels for one picture: choose a layer inside it.')
                raise UnknownLayer(message.format(name=name))
        return names

    def _shown(self) -> list[str]:
        return [TRAINED, UNTRAINED] if self.weights.value == BOTH else [self.weights.value]

    def _chosen(self) -> list[str]:
        """The chosen layers in the order in which they run."""
        chosen = set(self.layers.value)
        return [name for _title, name in self.layers.options if name in chosen]

    def _fits(self, seen: Seen) -> bool:
        """True if `seen` belongs to the present settings and has all that they show."""
        same = seen.image is self.picture.image and seen.names == self._chosen()
        return same and all(weights in seen.outputs for weights in self._shown())

    def _computed(self) -> Seen:
        """What the chosen layers put out for the picture, for each network that is shown."""
        image, names, before = self.picture.image, self._chosen(), self._seen
        inputs = self.network.preprocess(image)
        outputs = dict(before.outputs) if before and before.image is image and before.names == names else {}
        for weights in dict.fromkeys([TRAINED, *self._shown()]):  # `value` is the trained network's in any case
            if weights not in outputs:
                outputs[weights] = layer_outputs(self._module(weights), inputs, names, self._axes)
        return Seen(image, names, outputs)

    def _module(self, weights: str) -> nn.Module:
        if weights not in self._modules:
            self._modules[weights] = untrained(self.network, self.seed)
        return self._modules[weights]

    # -------------------------------------------------------------------------------------------------------- draw
    def _show(self, seen: Seen) -> None:
        shown = [weights for weights in self._shown() if weights in seen.outputs]
        pictures = {weights: self._sheet(weights, seen) for weights in shown}
        self._seen = seen
        self.untrained, self.value = seen.outputs.get(UNTRAINED, {}), seen.outputs[TRAINED]
        for weights, view in self.views.items():
            show_if(weights in shown, view)
            if weights in shown:
                names = ", ".join(seen.outputs[weights])
                what = _("Trained") if weights == TRAINED else _("Untrained")
                view.show(
                    pictures[weights],
                    kind="png",
                    alt=_("{what}: maps of the layers {names}").format(what=what, names=names),
                    caption=_("{what}. Below each map: its channel, its smallest and largest value").format(what=what),
                )

    def _sheet(self, weights: str, seen: Seen) -> np.ndarray:
        count, outputs = self.channels.value, seen.outputs[weights]
        tile = min(LARGEST_TILE, ROOM // (count * len(self._shown())) - GAP)
        rows = [
            LayerRow(name, tuple(output.shape), tiles_of(output, chosen_channels(output, count, *self._choice()), tile))
            for name, output in outputs.items()
        ]
        picture = self.network.view(seen.image)
        words = _("Trained") if weights == TRAINED else _("Untrained")
        return composed(words, picture, rows, count, tile)

    def _choice(self) -> tuple[str, int]:
        return self.which.value, self.start.value


# ------------------------------------------------------------------------------------------------------ what is shown
def shown_layers(model: Network | nn.Module, inputs: Tensor) -> list[LayerInfo]:
    """The layers and blocks whose output for one picture is a tensor of channels: `[1, C]` or `[1, C, H, W]`."""
    layers = layer_tree(model, inputs, containers=True)
    found = [info for info in layers if len(info.output_shape) in (2, 4) and info.output_shape[0] == 1]
    if not found:
        raise WrongSetting(_("No layer of this network puts out maps [N, C, H, W] or numbers [N, C] for a picture."))
    return found


def spread(module: nn.Module, layers: Sequence[LayerInfo], count: int = 4) -> list[str]:
    """The names of at most `count` of `layers` that are spread over the network, from its largest maps to its smallest.

    Blocks and activation functions are preferred to what is inside them; of each size of map the last, of the largest
    the first.
    """
    maps = [info for info in layers if len(info.output_shape) == 4 and max(info.channels_first[2:]) > 1]
    outer = set(_outer_layers(module))
    ending = [info for info in maps if info.name in outer and _is_block_or_activation(module, info.name)]
    chosen = ending if len(ending) >= count else [info for info in maps if info.leaf] or maps or list(layers)
    sizes: dict[tuple[int, ...], LayerInfo] = {}
    for info in chosen:
        sizes[info.channels_first[2:]] = info
    names = [chosen[0].name, *[info.name for info in list(sizes.values())[1:]]]
    if len(names) < count:
        names = [info.name for info in chosen]
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[place] for place in places]


def _outer_layers(module: nn.Module, prefix: str = "") -> list[str]:
    """Dotted names of the parts that `module` is made of; a block of a kind of its own counts as one."""
    names = []
    for name, part in module.named_children():
        inside = isinstance(part, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
        names += _outer_layers(part, f"{prefix}{name}.") if inside else [prefix + name]
    return names


def _is_block_or_activation(module: nn.Module, name: str) -> bool:
    part = module.get_submodule(name)
    return next(part.children(), None) is not None or type(part).__module__ == "torch.nn.modules.activation"


def layer_outputs(
    module: nn.Module, inputs: Tensor, names: Sequence[str], axes: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Tensor]:
    """What the named layers put out for one picture `[1, C, H, W]`: float32 on the CPU, without the batch.

    `axes` are rows and columns in what a layer puts out, as `layer_tree` tells them; channels come first in any case.
    A layer that runs several times has one entry for each call: "relu (1)", "relu (2)", …
    """
    with record(module, names) as seen, evaluating(module), torch.no_grad():
        run(module, inputs)
    outputs = {}
    for name in names:
        calls = seen.calls.get(name, [])
        for number, output in enumerate(calls, 1):
            if output.ndim not in (2, 4) or len(output) != 1:
                message = _('"{name}" puts out a tensor of shape {shape}, which has no maps to show.')
                raise CnnvizError(message.format(name=name, shape=list(output.shape)))
            key = name if len(calls) == 1 else f"{name} ({number})"
            values = channels_first(output, (axes or {}).get(name, LAST_TWO))[0].float().cpu()
            outputs[key] = values.flatten() if values[0].numel() == 1 else values
    return outputs


def chosen_channels(output: Tensor, count: int, which: str, start: int = 0) -> list[int]:
    """Numbers of at most `count` channels of `[C, H, W]` or `[C]`: those from `start` on, or the strongest in order.

    A layer that ends before `start` + `count` gives its last ones.
    """
    if which == "strongest":
        return by_strength(output if output.ndim == 3 else output[:, None, None])[:count].tolist()
    first = max(min(start, len(output) - count), 0)
    return list(range(first, min(first + count, len(output))))


@dataclass(frozen=True, eq=False)
class Tile:
    """One map as a picture (uint8 `[h, w, 3]`) with the lines below it."""

    image: np.ndarray
    lines: tuple[str, str]


@dataclass(frozen=True, eq=False)
class LayerRow:
    """One layer's row: its name, the shape it put out, its maps."""

    name: str
    shape: tuple[int, ...]
    tiles: list[Tile]

    @property
    def title(self) -> str:
        """Name and shape in words."""
        return f"{self.name} · {' × '.join(map(str, self.shape))}"


def tiles_of(output: Tensor, channels: Sequence[int], tile: int) -> list[Tile]:
    """The chosen channels of one layer as pictures that fit `tile` screen pixels.

    Each map has its own scale: grey, black at 0, or red and blue around a white 0. A pixel is a square of whole
    pixels; a map that is too large is brought down by the mean of whole squares. Numbers share one scale.
    """
    limit = float(output.abs().max()) if output.ndim == 1 else None
    return [_tile(channel, output[channel].numpy(), tile, limit) for channel in channels]


def _tile(channel: int, values: np.ndarray, tile: int, limit: float | None) -> Tile:
    if limit is not None:
        square = render.signed_map(values.reshape(1, 1), limit)
        image = render.enlarge(square, tile * DENSITY // 2)
        return Tile(image, (str(channel), render.number(float(values))))
    low, high = render.limits(values)
    image, _ramp = coloured(fitted(values, tile * DENSITY), "")
    return Tile(image, (str(channel), range_in_words(low, high)))


def range_in_words(low: float, high: float) -> str:
    """Two numbers to the place of the larger one's second digit: "−4.7 to 0" for −4.7 and −0.0003."""
    larger = max(abs(low), abs(high))
    places = 1 - math.floor(math.log10(larger)) if larger > 0 else 0
    ends = {name: render.number(round(value, places) + 0.0) for name, value in (("low", low), ("high", high))}
    return _("{low} to {high}").format(**ends)


def fitted(values: np.ndarray, box: int) -> np.ndarray:
    """A map `[H, W]` in at most `box` pixels, each value a square of an even number of pixels, or a mean of several."""
    longest = max(values.shape)
    if longest <= box:
        zoom = box // longest
        return render.enlarge(values, zoom - zoom % DENSITY if zoom > 1 else zoom)
    step = -(-longest // box)
    rows, columns = (max(size // step, 1) for size in values.shape)
    kept = values[: rows * step, : columns * step]
    return kept.reshape(rows, -1, columns, kept.shape[1] // columns).mean((1, 3))


def composed(words: str, picture: np.ndarray, rows: Sequence[LayerRow], columns: int, tile: int) -> np.ndarray:
    """Picture and words on top, then a row for each layer: uint8, `DENSITY` pixels for one of the screen."""
    width = max(columns * (tile + GAP) - GAP, render.NARROWEST)
    small = images.resize(picture, (tile * DENSITY, tile * DENSITY))
    text = render.text_block(words, max((width - tile) * DENSITY - 16, 60), 13 * DENSITY, render.INK, bold=True)
    head = render.beside([small, text], gap=16)
    parts = [head, *[_row(row, width, tile) for row in rows]]
    sheet = render.above(parts, gap=6 * DENSITY)
    return sheet[:, : width * DENSITY]


def _row(row: LayerRow, width: int, tile: int) -> np.ndarray:
    face = render.font(11 * DENSITY)
    title = render.text_block(
        render.fitted(row.title, width * DENSITY, face), width * DENSITY, 11 * DENSITY, render.INK
    )
    pieces = [_with_lines(piece, tile) for piece in row.tiles]
    maps = render.beside(pieces, gap=GAP * DENSITY)
    wide = np.full((maps.shape[0], max(width * DENSITY, maps.shape[1]), 3), 255, np.uint8)
    wide[:, : maps.shape[1]] = maps
    return render.above([title, wide[:, : width * DENSITY]], gap=2 * DENSITY)


def _with_lines(piece: Tile, tile: int) -> np.ndarray:
    canvas = np.full((piece.image.shape[0], tile * DENSITY, 3), 255, np.uint8)
    canvas[:, : piece.image.shape[1]] = piece.image
    lines = [
        render.text_block(render.fitted(line, tile * DENSITY, render.font(9 * DENSITY)), tile * DENSITY, 9 * DENSITY)
        for line in piece.lines
    ]
    return render.above([canvas, *lines], gap=1)


class LayerList(widgets.SelectMultiple):
    """Layers to choose from, with the shapes they put out; `value` is a tuple of dotted names."""

    def described(self) -> str:
        """The control in words, for the panel's picture."""
        return f"{self.description}: {', '.join(self.value)}"


def _layer_list(listed: Sequence[LayerInfo], wanted: Sequence[str]) -> LayerList:
    options = [(f"{info.name} · {'×'.join(map(str, info.channels_first[1:]))}", info.name) for info in listed]
    return LayerList(
        options=options,
        value=[info.name for info in listed if info.name in wanted],
        rows=9,
        description=_("Layers"),
        tooltip=_("Hold Ctrl (or ⌘) or Shift to choose several, by click or with the arrow keys"),
        layout=dict(ROW),
        style={"description_width": "46px"},  # the names are long
    )
