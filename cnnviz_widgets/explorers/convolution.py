"""A picture under a kernel: the response follows every setting."""

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from .. import images, render
from ..controls import (
    DilationSlider,
    ImagePicker,
    KernelEditor,
    KernelSizeSlider,
    PaddingPicker,
    SettingSlider,
    StrideSlider,
)
from ..controls.sliders import ROW, STYLE
from ..i18n import _
from ..settings import one_of
from ..techniques.convolution import convolve, padding_amounts, random_kernels
from ..views import ImageView
from .base import Explorer, show_if
from .maps import at_most, coloured, fitting

LONGEST = 400  # picture pixels on the longer side; a larger picture is scaled down to keep the panel quick
SMALL = LONGEST // 2  # screen pixels on the longer side of the input and of each channel
DESIGNED, RANDOM = "designed", "random"
TOGETHER = "together"


class ConvolutionExplorer(Explorer):
    """Convolve a picture and watch the response follow the settings.

    Either one kernel, chosen by name or typed number by number, runs over the grey picture; or three seeded random
    filters run over the colour picture, shown together as red, green and blue, and one by one. `value` is the
    response: a float32 tensor `[K, h, w]` with `K` 1 or 3. Point at the response to see which window it came from.
    """

    title = _("Convolution")

    def __init__(
        self,
        image: images.ImageSource = "cat",
        *,
        filters: str = DESIGNED,
        kernel: str = "blur",
        kernel_size: int = 3,
        stride: int = 1,
        padding: str = "valid",
        dilation: int = 1,
        seed: int = 0,
    ):
        one_of(_("kind of filters"), filters, (DESIGNED, RANDOM))
        self.picture = ImagePicker(image)
        self.filters = widgets.ToggleButtons(
            options=[(_("one kernel"), DESIGNED), (_("three random"), RANDOM)],
            value=filters,
            description=_("Filters"),
            tooltips=[
                _("One kernel over the grey picture"),
                _("Three random filters over the colour picture, each a colour of the result"),
            ],
            layout=dict(ROW),
            style={**STYLE, "button_width": "126px"},
        )
        self.kernel_size = KernelSizeSlider(kernel_size)
        self.stride = StrideSlider(stride)
        self.padding = PaddingPicker(padding)
        self.dilation = DilationSlider(dilation)
        self.kernel = KernelEditor(kernel, kernel_size)
        self.seed = SettingSlider(seed, 0, 99, _("Seed"), _("Another seed draws other random filters"))
        self.show_channel = widgets.ToggleButtons(
            options=[(_("all"), TOGETHER), ("1", 0), ("2", 1), ("3", 2)],
            value=TOGETHER,
            description=_("Show"),
            tooltips=[_("The three responses as red, green and blue"), *[_("This filter's response alone")] * 3],
            layout=dict(ROW),
            style={**STYLE, "button_width": "60px"},
        )
        self.input_view = ImageView()
        self.kernel_view = ImageView(pixelated=True)
        self.response_view = ImageView(
            pixelated=True,
            follow="hover",
            help=_("Point at a pixel, or use the arrow keys, to see where it came from."),
        )
        self.channel_views = [ImageView() for _channel in range(3)]
        self.channels = widgets.HBox(self.channel_views, layout={"grid_gap": "12px", "overflow": "visible"})
        self._first_kernel = kernel
        self._source: np.ndarray | None = None

        left = widgets.VBox([self.input_view, self.kernel_view], layout={"grid_gap": "8px", "width": "204px"})
        top = widgets.HBox([left, self.response_view], layout={"grid_gap": "12px", "overflow": "visible"})
        super().__init__(
            {
                "picture": self.picture,
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "kernel": self.kernel,
                "seed": self.seed,
                "show_channel": self.show_channel,
                "stride": self.stride,
                "padding": self.padding,
                "dilation": self.dilation,
            },
            widgets.VBox([top, self.channels], layout={"grid_gap": "8px", "overflow": "visible"}),
        )
        self.response_view.observe(lambda _change: self.attempt(self._show_origin), "pointer")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Convolve the picture with the present settings and draw the response."""
        with self.kernel.grid.hold_sync():  # the page gets the response before it is busy with new cells
            self._update(changed)

    def _update(self, changed: str | None) -> None:
        with self.quietly():
            if changed == "kernel":
                self.kernel_size.value = self.kernel.size
            self.kernel.size = self.kernel_size.value
        random = self.filters.value == RANDOM
        show_if(random, self.channels, self.seed, self.show_channel)
        show_if(not random, self.kernel)
        source = self.picture.image
        image = self._image if source is self._source else at_most(source, LONGEST)
        inputs, filters = self._inputs(image), self._filters()
        stride, padding, dilation = self.stride.value, self.padding.value, self.dilation.value
        self.value = convolve(inputs, filters, stride, padding, dilation)[0]
        before, _after = padding_amounts(self.kernel_size.value, padding, dilation)
        self._window = stride, before, dilation * (self.kernel_size.value - 1) + 1
        if source is not self._source:
            self._source, self._image = source, image
            self._draw_picture(image)
        self._draw_response(self.value)
        self._draw_kernel(filters)

    def reset(self) -> None:
        """Put every setting back, the kernel's name included."""
        with self.held():
            super().reset()
            self.kernel.name = self._first_kernel

    def _inputs(self, image: np.ndarray) -> Tensor:
        if self.filters.value == RANDOM:
            return images.to_tensor(image)
        return torch.from_numpy(images.greyscale(image))[None, None]

    def _filters(self) -> Tensor:
        if self.filters.value == RANDOM:
            return random_kernels(3, self.kernel_size.value, self.seed.value, channels=3)
        return self.kernel.tensor[None, None]

    # -------------------------------------------------------------------------------------------------------- draw
    def _draw_picture(self, image: np.ndarray) -> None:
        height, width = image.shape[:2]
        caption = _("The picture, {h} × {w}").format(h=height, w=width)
        self.input_view.show(image, alt=self.picture.title, caption=caption, **fitting(height, width, SMALL))

    def _draw_kernel(self, filters: Tensor) -> None:
        weights, size = filters.numpy(), filters.shape[-1]
        if len(weights) == 3:
            tiles, edge = [render.channels_as_colour(channels) for channels in weights], 60
            caption = _("Three random filters, {n} × {n} × 3").format(n=size)
        else:
            tiles, edge = [render.signed_map(weights[0, 0])], 90
            caption = _("The kernel, {n} × {n}; red is positive, blue negative").format(n=size)
        picture = render.mosaic([render.enlarge(tile, edge // size) for tile in tiles], 3, gap=6)
        self.kernel_view.show(picture, kind="png", alt=caption, caption=caption)

    def _draw_response(self, response: Tensor) -> None:
        maps = response.numpy()
        height, width = maps.shape[1:]
        size = _("{h} × {w}").format(h=height, w=width)
        zoom = max(1, LONGEST // max(height, width))
        if len(maps) == 1:
            self._show_map(maps[0], _("The response, {size}").format(size=size), zoom)
            return
        for index, (view, channel) in enumerate(zip(self.channel_views, maps, strict=True)):
            colour = [_("red"), _("green"), _("blue")][index]
            caption = _("Filter {n}, the {colour} of the whole").format(n=index + 1, colour=colour)
            view.show(
                render.heat_map(channel, render.GREY), alt=caption, caption=caption, **fitting(height, width, SMALL)
            )
        if self.show_channel.value == TOGETHER:
            caption = _("The three responses as red, green and blue, {size}").format(size=size)
            self.response_view.show(
                render.channels_as_colour(maps), alt=caption, caption=caption, zoom=zoom, ramp={}, pointer=[]
            )
        else:
            index = self.show_channel.value
            self._show_map(maps[index], _("The response of filter {n}, {size}").format(n=index + 1, size=size), zoom)

    def _show_map(self, values: np.ndarray, caption: str, zoom: float) -> None:
        """Show one response: around zero in blue and red if it has both signs, in grey if it has not."""
        picture, ramp = coloured(values, _("response"))
        self.response_view.show(picture, alt=caption, caption=caption, zoom=zoom, ramp=ramp, pointer=[])

    def _show_origin(self) -> None:
        """Mark in the picture the window that the response under the pointer came from, and read its value."""
        pointer = self.response_view.pointer
        rows, columns = self.value.shape[1:]
        if not pointer or pointer[1] >= rows or pointer[0] >= columns:
            self.input_view.marks = []
            self.say("")
            return
        x, y = pointer
        stride, before, extent = self._window
        left, top = x * stride - before, y * stride - before
        self.input_view.marks = [{"x": left, "y": top, "w": extent, "h": extent, "colour": render.OKABE_ITO[0]}]
        numbers = ", ".join(render.number(float(number)) for number in self.value[:, y, x])
        self.say(
            _(
                "Response at row {y}, column {x}: {numbers}, from the window of {n} × {n} pixels marked in the picture."
            ).format(y=y, x=x, numbers=numbers, n=extent)
        )
