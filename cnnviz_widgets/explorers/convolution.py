"""A picture under a kernel: the response follows every setting."""

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
    ToggleChoice,
)
from ..controls.toggles import DESIGNED, RANDOM, FilterChoice
from ..i18n import _
from ..render.drawing import window_mark
from ..render.filtered import TOGETHER, channel_drawing, kernel_drawing, origin_in_words, response_drawing
from ..techniques.convolution import convolve, padding_amounts, random_kernels
from ..views import ImageView, column, row
from .base import follows
from .picture import LONGEST, PictureExplorer
from .tree import show_if

SMALL = LONGEST // 2  # screen pixels on the longer side of the input and of each channel


class ConvolutionExplorer(PictureExplorer):
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
    ) -> None:
        filters_tip = _("Three random filters over the colour picture, each a colour of the result")
        alone = _("This filter's response alone")
        channels = [(_("all"), TOGETHER, _("The three responses as red, green and blue"))]
        channels += [(str(index + 1), index, alone) for index in range(3)]
        settings = {
            "picture": ImagePicker(image),
            "filters": FilterChoice(filters, filters_tip),
            "kernel_size": KernelSizeSlider(kernel_size),
            "kernel": KernelEditor(kernel, kernel_size),
            "seed": SettingSlider(seed, 0, 99, _("Seed"), _("Another seed draws other random filters")),
            "show_channel": ToggleChoice(channels, TOGETHER, _("Show")),
            "stride": StrideSlider(stride),
            "padding": PaddingPicker(padding),
            "dilation": DilationSlider(dilation),
        }
        help_text = _("Point at a pixel, or use the arrow keys, to see where it came from.")
        views = {
            "input_view": ImageView(),
            "kernel_view": ImageView(),
            "response_view": ImageView(follow="hover", help=help_text),
        }
        self.channel_views = [ImageView() for _channel in range(3)]
        self.channels = row(*self.channel_views)
        self._first_kernel, self._size = kernel, kernel_size
        left = column(views["input_view"], views["kernel_view"], width=f"{SMALL + 4}px")
        super().__init__(settings, [[left, "response_view"], [self.channels]], views=views)
        self.on(self.response_view, "pointer", self._show_origin)

    def update(self, changed: str | None = None) -> None:
        """Bring up to date what follows `changed`; the page gets the response before it is busy with new cells."""
        with self.kernel.grid.hold_sync():
            super().update(changed)

    def reset(self) -> None:
        """Put every setting back, the kernel's name included."""
        with self.held():
            super().reset()
            self.kernel.name = self._first_kernel

    @follows("filters")
    def show_what_matters(self) -> None:
        """Give room to what belongs to the present kind of filters."""
        random = self.filters.value == RANDOM
        show_if(random, self.channels, self.seed, self.show_channel)
        show_if(not random, self.kernel)

    @follows("kernel", "kernel_size")
    def agree_on_size(self) -> None:
        """Give the slider and the kernel one size: that of the one which has moved."""
        with self.quietly():
            if self.kernel.size != self._size:
                self.kernel_size.value = self.kernel.size
            self.kernel.size = self._size = self.kernel_size.value

    @follows("scale", "filters", "agree_on_size", "seed", "stride", "padding", "dilation")
    def compute(self) -> Tensor:
        """The response at the present settings."""
        size, stride = self.kernel_size.value, self.stride.value
        padding, dilation = self.padding.value, self.dilation.value
        inputs, weights = self.grey, self.kernel.tensor[None, None]
        if self.filters.value == RANDOM:
            inputs, weights = self.colour, random_kernels(3, size, self.seed.value, channels=3)
        found = convolve(inputs, weights, stride, padding, dilation)[0]
        before, _after = padding_amounts(size, padding, dilation)
        self._weights, self._window = weights, (stride, before, dilation * (size - 1) + 1)
        return found

    @follows("compute")
    def draw_what_goes_in(self) -> None:
        """The picture and the kernel."""
        caption = _("The picture, {h} × {w}").format(h=self.scaled.shape[0], w=self.scaled.shape[1])
        self.input_view.draw(render.photograph(self.scaled, caption, self.picture.title, SMALL))
        self.kernel_view.draw(kernel_drawing(self._weights.numpy()))

    @follows("compute")
    def draw_channels(self) -> None:
        """The response of each of three filters."""
        if len(self.value) == 3:
            for index, view in enumerate(self.channel_views):
                view.draw(channel_drawing(self.value.numpy(), index, SMALL))

    @follows("compute", "show_channel")
    def draw_response(self) -> None:
        """The response; of three filters together, or of one of them alone."""
        self.response_view.draw(response_drawing(self.value.numpy(), self.show_channel.value, LONGEST))

    def _show_origin(self) -> None:
        """Mark in the picture the window that the response under the pointer came from, and read its value."""
        marks, words = [], ""
        if self.response_view.place is not None:
            x, y = self.response_view.place
            stride, before, extent = self._window
            marks = [window_mark(x * stride - before, y * stride - before, extent)]
            words = origin_in_words(self.value, x, y, extent)
        self.input_view.marks = marks
        self.say(words)
