"""What an activation function makes of a convolved picture, number by number."""

import math
from numbers import Real

from torch import Tensor

from .. import images
from ..controls import ImagePicker, KernelSizeSlider, SettingChoice, SettingSlider, ToggleChoice
from ..controls.sliders import NumberSlider
from ..controls.toggles import DESIGNED, RANDOM, FilterChoice
from ..errors import WrongSetting
from ..i18n import _
from ..render.transfer_chart import before_and_after, transfer_drawing
from ..settings import one_of, whole_number
from ..techniques.activation import ACTIVATIONS, activate, zeroed
from ..techniques.convolution import KERNELS, kernel, random_kernels, responses
from ..views import ImageView, column, row
from .base import follows
from .picture import PictureExplorer
from .tree import show_if

LARGE, SMALL = 280, 208  # screen pixels on the longer side of a map: of one filter's, of three filters'
RAW, CENTRED = "raw", "centred"


class ActivationExplorer(PictureExplorer):
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
    ) -> None:
        if not isinstance(bias, Real) or not math.isfinite(bias):
            raise WrongSetting(_("The bias must be a number, not {bias!r}.").format(bias=bias))
        seed = whole_number(_("seed"), seed, 0)
        one_of(_("activation"), activation, ACTIVATIONS)
        functions = {name: function.title for name, function in ACTIVATIONS.items()}
        pixel_kinds = [
            (_("0 to 1"), RAW, _("The picture as it is, without negative numbers")),
            (_("less their mean"), CENTRED, _("Each colour less its mean, as networks are given their pictures")),
        ]
        bias_tip = _("A number added to every response before the function; it moves the threshold")
        settings = {
            "picture": ImagePicker(image),
            "activation": SettingChoice(
                functions, activation, _("Activation"), _("The function that each number goes through")
            ),
            "bias": NumberSlider(bias, min(-2.0, bias), max(2.0, bias), _("Bias"), bias_tip, step=0.05),
            "filters": FilterChoice(filters, _("Three random filters over the colour picture")),
            "kernel": SettingChoice(KERNELS, kernel, _("Kernel"), _("A kernel that was designed for a purpose")),
            "seed": SettingSlider(seed, 0, max(99, seed), _("Seed"), _("Another seed draws other random filters")),
            "kernel_size": KernelSizeSlider(kernel_size),
            "pixels": ToggleChoice(pixel_kinds, pixels, _("Pixels"), what=_("kind of pixels")),
        }
        views = {name: ImageView() for name in ("chart", "before_view", "after_view")}
        self.pair = row(views["before_view"], views["after_view"])
        self.channel_views = [(ImageView(), ImageView()) for _channel in range(3)]
        self.channels = row(*(column(*pair, gap=6) for pair in self.channel_views))
        super().__init__(settings, [["chart"], [self.pair], [self.channels]], views=views)

    @follows("filters")
    def show_what_matters(self) -> None:
        """Give room to what belongs to the present kind of filters."""
        random = self.filters.value == RANDOM
        show_if(random, self.channels, self.seed)
        show_if(not random, self.pair, self.kernel)

    @follows("scale", "filters", "kernel", "seed", "kernel_size", "pixels", "bias")
    def convolve(self) -> None:
        """What goes into the function: the responses and the bias."""
        inputs, weights = self.grey, kernel(self.kernel.value, self.kernel_size.value)[None, None]
        if self.filters.value == RANDOM:
            inputs, weights = self.colour, random_kernels(3, self.kernel_size.value, self.seed.value, channels=3)
        if self.pixels.value == CENTRED:
            inputs = inputs - inputs.mean((-2, -1), keepdim=True)
        self.responses = responses(inputs, weights)[0] + self.bias.value

    @follows("convolve", "activation")
    def compute(self) -> Tensor:
        """What comes out of it."""
        found = activate(self.responses, self.activation.value)
        self.zeroed = zeroed(found[None])[0].tolist()
        return found

    @follows("compute")
    def draw_chart(self) -> None:
        """The function, over what goes in and beside what comes out."""
        self.chart.draw(transfer_drawing(self.activation.value, self.responses, self.value))

    @follows("compute")
    def draw_maps(self) -> None:
        """Each filter's response before and after the function; of one filter large, with its scale."""
        one = len(self.value) == 1
        for index, views in enumerate([(self.before_view, self.after_view)] if one else self.channel_views):
            what = _("The response") if one else _("Filter {n}").format(n=index + 1)
            maps = self.responses[index].numpy(), self.value[index].numpy()
            drawings = before_and_after(self.activation.value, what, *maps, LARGE if one else SMALL, scale=one)
            for view, drawing in zip(views, drawings, strict=True):
                view.draw(drawing)
