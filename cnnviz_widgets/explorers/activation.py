"""What an activation function makes of a convolved picture, number by number."""

import math
from numbers import Real

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .. import images, render
from ..controls import ImagePicker, KernelSizeSlider, SettingChoice, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..errors import WrongSetting
from ..i18n import _
from ..settings import one_of, whole_number
from ..techniques.activation import ACTIVATIONS, activate, zeroed
from ..techniques.convolution import KERNELS, kernel, random_kernels
from ..views import ImageView
from .base import Explorer, show_if
from .maps import at_most, coloured, fitting, percent, responses

LONGEST = 400  # picture pixels on the longer side; a larger picture is scaled down to keep the panel quick
LARGE, SMALL = 280, 208  # screen pixels on the longer side of a map: of one filter's, of three filters'
DESIGNED, RANDOM = "designed", "random"
RAW, CENTRED = "raw", "centred"
CHART = (676, 196)  # screen pixels
DENSITY = 2
CURVE, BARS, BOUND = render.OKABE_ITO[5], (198, 214, 232), (150, 150, 150)
GAP = {"grid_gap": "12px", "overflow": "visible"}


class ActivationExplorer(Explorer):
    """Send a convolved picture through an activation function and see which pixels are left.

    Either one kernel, chosen by name, runs over the grey picture, or three seeded random filters run over the colour
    picture, whose pixels are 0 to 1 (`pixels="raw"`) or have their mean subtracted ("centred"). `bias` is added to
    every response, then the function is applied. `responses` is what goes into it and `value` what comes out: float32
    tensors `[K, h, w]` with `K` 1 or 3. `zeroed` is the fraction of pixels that are zero in each channel of `value`.

    Raises `WrongSetting` for an unknown activation, kernel, kind of filters or of pixels, and for a bias or a seed that
    is no number.
    """

    title = _("Activation")

    def __init__(
        self,
        image: images.ImageSource = "cat",
        *,
        activation: str = "relu",
        filters: str = DESIGNED,
        kernel: str = "sobel_x",
        kernel_size: int = 3,
        pixels: str = RAW,
        bias: float = 0.0,
        seed: int = 0,
    ):
        if not isinstance(bias, Real) or not math.isfinite(bias):
            raise WrongSetting(_("The bias must be a number, not {bias!r}.").format(bias=bias))
        seed = whole_number(_("seed"), seed, 0)
        self.picture = ImagePicker(image)
        self.activation = SettingChoice(
            [(function.title, name) for name, function in ACTIVATIONS.items()],
            one_of(_("activation"), activation, ACTIVATIONS),
            _("Activation"),
            _("The function that each number goes through"),
        )
        self.bias = widgets.FloatSlider(
            value=bias,
            min=min(-2.0, bias),
            max=max(2.0, bias),
            step=0.05,
            description=_("Bias"),
            tooltip=_("A number added to every response before the function; it moves the threshold"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.filters = widgets.ToggleButtons(
            options=[(_("one kernel"), DESIGNED), (_("three random"), RANDOM)],
            value=one_of(_("kind of filters"), filters, (DESIGNED, RANDOM)),
            description=_("Filters"),
            tooltips=[_("One kernel over the grey picture"), _("Three random filters over the colour picture")],
            layout=dict(ROW),
            style={**STYLE, "button_width": "126px"},
        )
        self.kernel = SettingChoice(
            [(title, name) for name, title in KERNELS.items()],
            one_of(_("kernel"), kernel, KERNELS),
            _("Kernel"),
            _("A kernel that was designed for a purpose"),
        )
        self.kernel_size = KernelSizeSlider(kernel_size)
        self.seed = SettingSlider(seed, 0, max(99, seed), _("Seed"), _("Another seed draws other random filters"))
        self.pixels = widgets.ToggleButtons(
            options=[(_("0 to 1"), RAW), (_("less their mean"), CENTRED)],
            value=one_of(_("kind of pixels"), pixels, (RAW, CENTRED)),
            description=_("Pixels"),
            tooltips=[
                _("The picture as it is, without negative numbers"),
                _("Each colour less its mean, as networks are given their pictures"),
            ],
            layout=dict(ROW),
            style={**STYLE, "button_width": "126px"},
        )
        self.chart = ImageView(zoom=1 / DENSITY, drawing=True)
        self.before_view, self.after_view = ImageView(), ImageView()
        self.pair = widgets.HBox([self.before_view, self.after_view], layout=dict(GAP))
        self.channel_views = [(ImageView(), ImageView()) for _channel in range(3)]
        self.channels = widgets.HBox(
            [widgets.VBox(views, layout={**GAP, "grid_gap": "6px"}) for views in self.channel_views], layout=dict(GAP)
        )
        self._source: np.ndarray | None = None
        super().__init__(
            {
                "picture": self.picture,
                "activation": self.activation,
                "bias": self.bias,
                "filters": self.filters,
                "kernel": self.kernel,
                "seed": self.seed,
                "kernel_size": self.kernel_size,
                "pixels": self.pixels,
            },
            widgets.VBox([self.chart, self.pair, self.channels], layout={**GAP, "grid_gap": "8px"}),
        )

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Convolve the picture, apply the function to every response, and draw both."""
        random = self.filters.value == RANDOM
        show_if(random, self.channels, self.seed)
        show_if(not random, self.pair, self.kernel)
        self.responses = responses(self._inputs(random), self._weights(random))[0] + self.bias.value
        self.value = activate(self.responses, self.activation.value)
        self.zeroed = zeroed(self.value[None])[0].tolist()
        self._draw_chart()
        if random:
            for index, views in enumerate(self.channel_views):
                self._draw_channel(index, *views, box=SMALL)
        else:
            self._draw_channel(0, self.before_view, self.after_view, box=LARGE)

    def _inputs(self, random: bool) -> Tensor:
        if self.picture.image is not self._source:
            image = at_most(self.picture.image, LONGEST)
            self._source = self.picture.image
            self._colour = images.to_tensor(image)
            self._grey = torch.from_numpy(images.greyscale(image))[None, None]
        inputs = self._colour if random else self._grey
        return inputs - inputs.mean((-2, -1), keepdim=True) if self.pixels.value == CENTRED else inputs

    def _weights(self, random: bool) -> Tensor:
        if random:
            return random_kernels(3, self.kernel_size.value, self.seed.value, channels=3)
        return kernel(self.kernel.value, self.kernel_size.value)[None, None]

    # -------------------------------------------------------------------------------------------------------- draw
    def _draw_chart(self) -> None:
        function = ACTIVATIONS[self.activation.value]
        low, high = render.number(float(self.value.min())), render.number(float(self.value.max()))
        caption = _("{title}: {formula}. {bounds} Here it gives {low} to {high}").format(
            title=function.title, formula=function.formula, bounds=bounds_of(self.activation.value), low=low, high=high
        )
        picture = transfer_chart(self.activation.value, self.responses, self.value)
        alt = _("The curve of the function over a histogram of what goes in, beside a histogram of what comes out.")
        self.chart.show(picture, kind="png", alt=f"{alt} {caption}", caption=caption)

    def _draw_channel(self, index: int, before: ImageView, after: ImageView, box: int) -> None:
        title = ACTIVATIONS[self.activation.value].title
        what = _("Filter {n}").format(n=index + 1) if len(self.value) > 1 else _("The response")
        maps = [self.responses[index].numpy(), self.value[index].numpy()]
        captions = [
            _("{what}, {low} to {high}").format(what=what, low=_least(maps[0]), high=_most(maps[0])),
            _("After {title}, {low} to {high}: {share} of the pixels are 0").format(
                title=title, low=_least(maps[1]), high=_most(maps[1]), share=percent(self.zeroed[index])
            ),
        ]
        for view, values, caption in zip((before, after), maps, captions, strict=True):
            picture, ramp = coloured(values, what)
            scale = ramp if box == LARGE else {}  # three maps beside each other have their range in words alone
            view.show(picture, alt=caption, caption=caption, ramp=scale, **fitting(*values.shape, box))


def _least(values: np.ndarray) -> str:
    return render.number(float(values.min()))


def _most(values: np.ndarray) -> str:
    return render.number(float(values.max()))


def bounds_of(name: str) -> str:
    """What limits the values of the activation `name`, in a sentence."""
    function = ACTIVATIONS[name]
    low, high = render.number(function.low), render.number(function.high)
    if function.bounded:
        return _("Whatever goes in, what comes out stays between {low} and {high}.").format(low=low, high=high)
    if np.isfinite(function.low):
        return _("What comes out is never below {low}, and has no upper bound.").format(low=low)
    return _("What comes out is bounded neither below nor above.")


# ----------------------------------------------------------------------------------------------------------- the chart
def transfer_chart(name: str, inputs: Tensor, outputs: Tensor) -> np.ndarray:
    """The curve of the activation `name` over a histogram of its `inputs`, and that of its `outputs` beside it.

    Both histograms show the square root of their counts, so that what is rare is seen beside what is frequent. The two
    plots share their vertical axis. A picture, uint8 `[H, W, 3]`, with `DENSITY` pixels for one of the screen.
    """
    function = ACTIVATIONS[name]
    reach = max(1.0, float(inputs.abs().max())) * 1.04
    x = torch.linspace(-reach, reach, 401)
    y = activate(x, name)
    bounds = [bound for bound in (function.low, function.high) if np.isfinite(bound)]
    low, high = min(float(y.min()), 0.0, *bounds), max(float(y.max()), 0.0, *bounds)
    margin = (high - low) * 0.07
    plot = _Plot(-reach, reach, low - margin, high + margin)

    plot.histogram_below(inputs)
    plot.histogram_beside(outputs)
    plot.axes(bounds, low, high)
    plot.curve(x.tolist(), y.tolist())
    return np.asarray(plot.picture)


class _Plot:
    """Two plots on one vertical axis: the function at the left, how often each value comes out at the right."""

    LEFT, RIGHT, TOP, BOTTOM = 44, 440, 22, CHART[1] - 22  # screen pixels of the left plot
    BESIDE, END = 470, CHART[0] - 12  # and of the right one
    BINS_BELOW, BINS_BESIDE = 110, 56

    def __init__(self, x_low: float, x_high: float, y_low: float, y_high: float):
        self.x_low, self.x_high, self.y_low, self.y_high = x_low, x_high, y_low, y_high
        self.picture = Image.new("RGB", (CHART[0] * DENSITY, CHART[1] * DENSITY), render.PAPER)
        self.draw = ImageDraw.Draw(self.picture)

    def x(self, value: float) -> float:
        return self.LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (self.RIGHT - self.LEFT)

    def y(self, value: float) -> float:
        return self.BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (self.BOTTOM - self.TOP)

    def histogram_below(self, values: Tensor) -> None:
        heights = self._shares(values, self.BINS_BELOW, self.x_low, self.x_high) * (self.BOTTOM - self.TOP)
        edges = np.linspace(self.LEFT, self.RIGHT, self.BINS_BELOW + 1)
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            self._box(left, self.BOTTOM - height, right, self.BOTTOM)

    def histogram_beside(self, values: Tensor) -> None:
        widths = self._shares(values, self.BINS_BESIDE, self.y_low, self.y_high) * (self.END - self.BESIDE)
        edges = np.linspace(self.BOTTOM, self.TOP, self.BINS_BESIDE + 1)
        for bottom, top, width in zip(edges, edges[1:], widths, strict=False):
            self._box(self.BESIDE, top, self.BESIDE + width, bottom)

    @staticmethod
    def _shares(values: Tensor, bins: int, low: float, high: float) -> np.ndarray:
        counts = torch.histc(values.float(), bins, low, high).sqrt().numpy()
        return counts / max(counts.max(), 1.0)

    def _box(self, left: float, top: float, right: float, bottom: float) -> None:
        left, top, right, bottom = (round(place * DENSITY) for place in (left, top, right, bottom))
        if right > left and bottom > top:
            self.draw.rectangle((left, top, right - 1, bottom - 1), fill=BARS)

    def axes(self, bounds: list[float], low: float, high: float) -> None:
        """Lines at zero, dashes at the bounds of the function, and numbers at both, and at the ends."""
        for value in {0.0, *bounds}:
            self._line(self.LEFT, self.y(value), self.END, self.y(value), dashed=value in bounds)
        self._line(self.x(0), self.TOP, self.x(0), self.BOTTOM)
        for place in (self.LEFT, self.BESIDE):
            self._line(place, self.TOP, place, self.BOTTOM)
        written: list[float] = []
        for value in (*bounds, 0.0, low, high):
            if all(abs(self.y(value) - other) >= 12 for other in written):
                self._text(self.LEFT - 5, self.y(value), render.number(value), "rm")
                written.append(self.y(value))
        for value, anchor in ((self.x_low, "lt"), (0.0, "mt"), (self.x_high, "rt")):
            self._text(self.x(value), self.BOTTOM + 4, render.number(value), anchor)
        self._text(
            self.LEFT, 2, _("the function, over what goes in (bars: square root of how often)"), "lt", render.INK
        )
        self._text(self.BESIDE, 2, _("what comes out"), "lt", render.INK)

    def curve(self, xs: list[float], ys: list[float]) -> None:
        points = [(self.x(x) * DENSITY, self.y(y) * DENSITY) for x, y in zip(xs, ys, strict=True)]
        self.draw.line(points, fill=CURVE, width=2 * DENSITY, joint="curve")

    def _line(self, x0: float, y0: float, x1: float, y1: float, dashed: bool = False) -> None:
        if not dashed:
            self.draw.line([place * DENSITY for place in (x0, y0, x1, y1)], fill=(215, 215, 215), width=DENSITY)
            return
        for start in np.arange(x0, x1, 8):
            self.draw.line([p * DENSITY for p in (start, y0, min(start + 4, x1), y1)], fill=BOUND, width=DENSITY)

    def _text(self, x: float, y: float, words: str, anchor: str, colour: tuple = render.FAINT) -> None:
        self.draw.text((x * DENSITY, y * DENSITY), words, font=render.font(10 * DENSITY), fill=colour, anchor=anchor)
