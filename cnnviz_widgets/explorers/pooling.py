"""A picture under a pooling window: what is kept of it, and what a small shift changes."""

from torch import Tensor

from .. import images
from ..controls import ImagePicker, SettingChoice, SettingSlider, ToggleChoice
from ..i18n import _
from ..render.drawing import window_mark
from ..render.pooled import after_pooling, before_pooling, changes_drawn, magnifier, window_in_words
from ..settings import one_of, whole_number
from ..techniques.activation import activate
from ..techniques.convolution import KERNELS, kernel, responses
from ..techniques.pooling import POOLINGS, pool, relative_change, shifted
from ..views import ImageView, column
from .base import follows
from .picture import LONGEST, PictureExplorer
from .tree import show_if

LARGEST = 8  # pixels of the largest window, stride and shift that the sliders offer
SMALL = 204  # screen pixels on the longer side of the pictures at the right
PICTURE, CONVOLVED, RECTIFIED = "picture", "convolved", "rectified"


class PoolingExplorer(PictureExplorer):
    """Pool a picture, or its convolution, and watch what is left; then shift it by a pixel and see what changes.

    `source` is what is pooled: the "picture" in colour, or "convolved" with the kernel, or that and ReLU
    ("rectified"). `stride` is that of the window unless it is given. `down` and `right` shift what is pooled; what is
    pushed out at one side comes in at the other. `value` is the pooled tensor, float32 `[C, h, w]` with `C` 3 or 1.
    `changes` is the relative change that the shift makes before and after pooling. Point at a pixel of the result to
    see its window.

    Raises `WrongSetting` for an unknown source, kernel or kind, and for sizes that are no positive whole numbers.
    """

    title = _("Pooling")

    def __init__(
        self,
        image: images.ImageSource = "cat",
        *,
        source: str = PICTURE,
        kernel: str = "sobel_x",
        kind: str = "max",
        window: int = 2,
        stride: int | None = None,
        down: int = 0,
        right: int = 0,
    ) -> None:
        window = whole_number(_("pooling window"), window, 1)
        linked = stride is None
        stride = window if linked else whole_number(_("stride"), stride, 1)
        sources = {PICTURE: _("the picture"), CONVOLVED: _("convolved"), RECTIFIED: _("convolved, then ReLU")}
        one_of(_("source"), source, sources)
        source_tip = _("The colour picture, or the response of a kernel to the grey one")
        kernel_tip = _("The 3 × 3 kernel that the grey picture is convolved with")
        tips = {"max": _("The largest number of each window"), "average": _("The mean of each window")}
        kinds = [(title, name, tips[name]) for name, title in POOLINGS.items()]
        strides = [
            (_("as the window"), True, _("No two windows share a pixel, and none is left out")),
            (_("its own"), False, _("Choose the stride below")),
        ]
        down_tip = _("Rows that the picture is moved down before it is pooled")
        right_tip = _("Columns that the picture is moved to the right before it is pooled")
        settings = {
            "picture": ImagePicker(image),
            "source": SettingChoice(sources, source, _("Pool what"), source_tip),
            "kernel": SettingChoice(KERNELS, kernel, _("Kernel"), kernel_tip),
            "kind": ToggleChoice(kinds, kind, _("Keep the"), what=_("pooling")),
            "window": _slider(window, 1, _("Window"), _("Height and width of the window, in pixels")),
            "linked": ToggleChoice(strides, linked, _("Stride")),
            "stride": _slider(stride, 1, _("Own stride"), _("Pixels from one window to the next")),
            "down": _slider(down, 0, _("Shift down"), down_tip),
            "right": _slider(right, 0, _("Shift right"), right_tip),
        }
        help_text = _("Point at a pixel, or use the arrow keys, to see the window it came from.")
        views = {"output_view": ImageView(follow="hover", help=help_text)}
        self.change_views = [ImageView(), ImageView()]
        self.change = column(*self.change_views)
        super().__init__(settings, [[["input_view", "output_view"], ["near_view", self.change]]], views=views)
        self.on(self.output_view, "pointer", self.show_window)

    def reset(self) -> None:
        """Put every setting back, and look at the window in the middle again."""
        self.output_view.pointer = []
        super().reset()

    @follows("source", "linked")
    def show_what_matters(self) -> None:
        """Give room to the settings that count."""
        show_if(self.source.value != PICTURE, self.kernel)
        show_if(not self.linked.value, self.stride)

    @follows("scale", "source", "kernel", "kind", "window", "linked", "stride", "down", "right")
    def compute(self) -> Tensor:
        """What is left at the present settings."""
        size, moves = self.window.value, (self.down.value, self.right.value)
        stride = size if self.linked.value else self.stride.value
        still = self._to_be_pooled()
        moved = shifted(still, *moves)
        found = pool(moved, size, stride, self.kind.value)
        unmoved = pool(still, size, stride, self.kind.value) if any(moves) else found
        self.changes = relative_change(still, moved), relative_change(unmoved, found)
        self._pairs = (still[0], moved[0]), (unmoved[0], found[0])
        self.inputs, self._geometry = moved[0], (self.kind.value, size, stride)
        return found[0]

    def _to_be_pooled(self) -> Tensor:
        """What is pooled, before it is shifted: `[1, C, H, W]`."""
        if self.source.value == PICTURE:
            return self.colour
        found = responses(self.grey, kernel(self.kernel.value)[None, None])
        return activate(found, "relu") if self.source.value == RECTIFIED else found

    @follows("compute")
    def draw(self) -> None:
        """What is pooled and what is left of it."""
        self.input_view.draw(before_pooling(self.inputs, self.source.label, LONGEST))
        self.output_view.draw(after_pooling(self.inputs, self.value, self.source.label, *self._geometry, LONGEST))
        if self.output_view.place is None:
            self.output_view.pointer = []

    @follows("draw")
    def show_window(self) -> None:
        """Mark the window of the pixel under the pointer (of the middle one, if there is none) and say its number."""
        if self.output_view.pointer and self.output_view.place is None:
            return
        kind, size, stride = self._geometry
        x, y = self.output_view.place or (self.value.shape[2] // 2, self.value.shape[1] // 2)
        self.input_view.marks = [window_mark(x * stride, y * stride, size)]
        self.near_view.draw(magnifier(self.inputs, x * stride, y * stride, size, kind, SMALL))
        self.say(window_in_words(self.value, x, y, *self._geometry) if self.output_view.place else "")

    @follows("compute")
    def draw_changes(self) -> None:
        """What the shift has changed, if there is one."""
        moved = bool(self.down.value or self.right.value)
        show_if(moved, self.change)
        if moved:
            drawings = changes_drawn(*self._pairs, self.changes, self._geometry[-1], SMALL)
            for view, drawing in zip(self.change_views, drawings, strict=True):
                view.draw(drawing)


def _slider(value: int, least: int, description: str, tooltip: str) -> SettingSlider:
    """A slider over whole numbers of pixels."""
    value = whole_number(description.lower(), value, least)
    return SettingSlider(value, least, max(LARGEST, value), description, tooltip)
