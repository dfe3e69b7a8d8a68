"""A picture under a pooling window: what is kept of it, and what a small shift changes."""

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from .. import images, render
from ..controls import ImagePicker, SettingChoice, SettingSlider
from ..controls.sliders import ROW, STYLE
from ..i18n import _
from ..settings import one_of, whole_number
from ..techniques.activation import activate
from ..techniques.convolution import KERNELS, kernel, output_size
from ..techniques.pooling import POOLINGS, pool, relative_change, shifted
from ..views import ImageView
from .base import Explorer, show_if
from .maps import at_most, coloured, fitting, percent, responses

LONGEST = 400  # picture pixels on the longer side; a larger picture is scaled down to keep the panel quick
LARGEST = 8  # pixels of the largest window, stride and shift that the sliders offer
SMALL = 204  # screen pixels on the longer side of the pictures at the right
AROUND = 24  # picture pixels that the magnifier shows
PICTURE, CONVOLVED, RECTIFIED = "picture", "convolved", "rectified"
WINDOW = render.OKABE_ITO[0]


class PoolingExplorer(Explorer):
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
    ):
        window = whole_number(_("pooling window"), window, 1)
        linked = stride is None
        stride = window if linked else whole_number(_("stride"), stride, 1)
        self.picture = ImagePicker(image)
        self.source = SettingChoice(
            [(_("the picture"), PICTURE), (_("convolved"), CONVOLVED), (_("convolved, then ReLU"), RECTIFIED)],
            one_of(_("source"), source, (PICTURE, CONVOLVED, RECTIFIED)),
            _("Pool what"),
            _("The colour picture, or the response of a kernel to the grey one"),
        )
        self.kernel = SettingChoice(
            [(title, name) for name, title in KERNELS.items()],
            one_of(_("kernel"), kernel, KERNELS),
            _("Kernel"),
            _("The 3 × 3 kernel that the grey picture is convolved with"),
        )
        self.kind = widgets.ToggleButtons(
            options=[(title, name) for name, title in POOLINGS.items()],
            value=one_of(_("pooling"), kind, POOLINGS),
            description=_("Keep the"),
            tooltips=[_("The largest number of each window"), _("The mean of each window")],
            layout=dict(ROW),
            style={**STYLE, "button_width": "126px"},
        )
        self.window = SettingSlider(
            window, 1, max(LARGEST, window), _("Window"), _("Height and width of the window, in pixels")
        )
        self.linked = widgets.ToggleButtons(
            options=[(_("as the window"), True), (_("its own"), False)],
            value=linked,
            description=_("Stride"),
            tooltips=[_("No two windows share a pixel, and none is left out"), _("Choose the stride below")],
            layout=dict(ROW),
            style={**STYLE, "button_width": "126px"},
        )
        self.stride = SettingSlider(
            stride, 1, max(LARGEST, stride), _("Own stride"), _("Pixels from one window to the next")
        )
        self.down = _shift_slider(down, _("Shift down"), _("Rows that the picture is moved down before it is pooled"))
        self.right = _shift_slider(
            right, _("Shift right"), _("Columns that the picture is moved to the right before it is pooled")
        )
        self.input_view = ImageView()
        self.output_view = ImageView(
            follow="hover", help=_("Point at a pixel, or use the arrow keys, to see the window it came from.")
        )
        self.near_view = ImageView(pixelated=True)
        self.change_views = [ImageView(), ImageView()]
        self.change = widgets.VBox(self.change_views, layout={"grid_gap": "8px", "overflow": "visible"})
        self._source: np.ndarray | None = None
        side = {"grid_gap": "8px", "overflow": "visible"}
        super().__init__(
            {
                "picture": self.picture,
                "source": self.source,
                "kernel": self.kernel,
                "kind": self.kind,
                "window": self.window,
                "linked": self.linked,
                "stride": self.stride,
                "down": self.down,
                "right": self.right,
            },
            widgets.HBox(
                [
                    widgets.VBox([self.input_view, self.output_view], layout=side),
                    widgets.VBox([self.near_view, self.change], layout=dict(side)),
                ],
                layout={"grid_gap": "12px", "overflow": "visible"},
            ),
        )
        self.output_view.observe(lambda _change: self.attempt(self._show_window), "pointer")

    # ----------------------------------------------------------------------------------------------------- compute
    def update(self, changed: str | None = None) -> None:
        """Shift and pool with the present settings, and draw what is left and what the shift has changed."""
        show_if(self.source.value != PICTURE, self.kernel)
        show_if(not self.linked.value, self.stride)
        size = self.window.value
        stride = size if self.linked.value else self.stride.value
        moved = self.down.value, self.right.value
        original = self._inputs()
        inputs = shifted(original, *moved)
        pooled = pool(inputs, size, stride, self.kind.value)
        still = pool(original, size, stride, self.kind.value) if any(moved) else pooled
        self.changes = relative_change(original, inputs), relative_change(still, pooled)
        self.value, self.inputs = pooled[0], inputs[0]
        self._geometry = size, stride
        self._draw(self.inputs, self.value)
        self._draw_changes(original[0], still[0])

    def _inputs(self) -> Tensor:
        """What is pooled, before it is shifted: `[1, C, H, W]`."""
        image = self._image if self.picture.image is self._source else at_most(self.picture.image, LONGEST)
        if self.source.value == PICTURE:
            inputs = images.to_tensor(image)
        else:
            grey = torch.from_numpy(images.greyscale(image))[None, None]
            inputs = responses(grey, kernel(self.kernel.value)[None, None])
            if self.source.value == RECTIFIED:
                inputs = activate(inputs, "relu")
        self._source, self._image = self.picture.image, image
        return inputs

    # -------------------------------------------------------------------------------------------------------- draw
    def _draw(self, inputs: Tensor, pooled: Tensor) -> None:
        height, width = inputs.shape[1:]
        h, w = pooled.shape[1:]
        box = fitting(height, width, LONGEST)
        what = self.source.label
        before = _("{what}, {h} × {w} pixels").format(what=what[:1].upper() + what[1:], h=height, w=width)
        limits = (float(inputs.min()), float(inputs.max()))
        picture, ramp = _picture_of(inputs, what, *limits)
        self.input_view.show(picture, alt=before, caption=before, ramp=ramp, **box)
        picture, ramp = _picture_of(pooled, what, *limits)
        after = self._words(height, width, h, w)
        zoom = box["zoom"] * self._geometry[1]  # a pixel of the result is as large as the step between two windows
        pointer = self.output_view.pointer
        inside = pointer and pointer[0] < w and pointer[1] < h
        self.output_view.show(
            picture,
            kind="png" if h * w < 20_000 else "jpeg",
            alt=after,
            caption=after,
            ramp=ramp,
            zoom=zoom,
            pixelated=True,
            pointer=pointer if inside else [],
        )
        self._show_window()

    def _words(self, height: int, width: int, h: int, w: int) -> str:
        size, stride = self._geometry
        left = _(
            "{kind} of each {n} × {n}, stride {s}: {height} × {width} → {h} × {w}, {share} of the numbers."
        ).format(
            kind=POOLINGS[self.kind.value],
            n=size,
            s=stride,
            height=height,
            width=width,
            h=h,
            w=w,
            share=percent(h * w / (height * width)),
        )
        sums = [
            f"⌊({side} − {size}) / {stride}⌋ + 1 = {output_size(side, size, stride)}"
            for side in dict.fromkeys((height, width))
        ]
        return f"{left} {'; '.join(sums)}"

    def _show_window(self) -> None:
        """Mark the window of the pixel under the pointer (of the middle one, if there is none) and say its number."""
        size, stride = self._geometry
        h, w = self.value.shape[1:]
        pointer = self.output_view.pointer
        x, y = pointer or (w // 2, h // 2)
        if x >= w or y >= h:
            return
        left, top = x * stride, y * stride
        self.input_view.marks = [{"x": left, "y": top, "w": size, "h": size, "colour": WINDOW}]
        self._draw_near(left, top, size)
        self.say(self._origin(x, y) if pointer else "")

    def _origin(self, x: int, y: int) -> str:
        """The number at row `y`, column `x` of the result, and the window it came from, in a sentence."""
        size, stride = self._geometry
        numbers = ", ".join(render.number(number) for number in self.value[:, y, x].tolist())
        sentence = _("Row {y}, column {x}: {numbers}, the {kind} of rows {top} to {bottom}, columns {left} to {right}.")
        return sentence.format(
            y=y,
            x=x,
            numbers=_("{numbers} (red, green, blue)").format(numbers=numbers) if len(self.value) == 3 else numbers,
            kind=POOLINGS[self.kind.value].lower(),
            top=y * stride,
            bottom=y * stride + size - 1,
            left=x * stride,
            right=x * stride + size - 1,
        )

    def _draw_near(self, left: int, top: int, size: int) -> None:
        """The magnifier: the pixels around the window, with the window's edge and, for one channel, its maximum."""
        height, width = self.inputs.shape[1:]
        side = max(AROUND, size + 8)
        y0, x0 = (
            max(min(start + size // 2 - side // 2, whole - side), 0) for start, whole in ((top, height), (left, width))
        )
        limits = float(self.inputs.min()), float(self.inputs.max())
        picture, _ramp = _picture_of(self.inputs[:, y0 : y0 + side, x0 : x0 + side], "", *limits)
        marks = [{"x": left - x0, "y": top - y0, "w": size, "h": size, "colour": WINDOW}]
        caption = _("The window and what is around it")
        if self.kind.value == "max" and len(self.inputs) == 1:
            y, x = divmod(int(self.inputs[0, top : top + size, left : left + size].argmax()), size)
            marks.append({"x": left - x0 + x, "y": top - y0 + y, "w": 1, "h": 1, "colour": render.OKABE_ITO[2]})
            caption = _("The window, its maximum (green), and what is around it")
        self.near_view.show(
            picture, kind="png", alt=caption, caption=caption, marks=marks, **fitting(*picture.shape[:2], SMALL)
        )

    def _draw_changes(self, original: Tensor, still: Tensor) -> None:
        """Where, and how much, the shift has changed the picture and its pooled form; on one scale."""
        moved = bool(self.down.value or self.right.value)
        show_if(moved, self.change)
        if not moved:
            return
        pairs = ((original, self.inputs), (still, self.value))
        maps = [(after - before).abs().mean(0) for before, after in pairs]
        high = float(maps[0].flatten().quantile(0.995)) or 1.0  # a few strong edges would leave all else black
        captions = (
            _("Before pooling the shift changes it by {change} of its contrast (brightest: {high} and more)"),
            _("After pooling, by {change} of the contrast it has then"),
        )
        box = fitting(*original.shape[1:], SMALL)["zoom"]
        zooms = (box, box * self._geometry[1])
        for view, values, words, change, zoom in zip(
            self.change_views, maps, captions, self.changes, zooms, strict=True
        ):
            caption = words.format(change=_share(change), high=render.number(high))
            picture = render.heat_map(values.numpy(), render.EVIDENCE, 0.0, high)
            view.show(picture, kind="png", alt=caption, caption=caption, zoom=zoom, pixelated=zoom >= 1)


def _share(change: float) -> str:
    return f"{change:.0%}" if np.isfinite(change) else "∞"


def _shift_slider(value: int, description: str, tooltip: str) -> SettingSlider:
    value = whole_number(description.lower(), value, 0)
    return SettingSlider(value, 0, max(LARGEST, value), description, tooltip)


def _picture_of(maps: Tensor, label: str, low: float, high: float) -> tuple[np.ndarray, dict]:
    """A colour picture as it is, or one map in colours between `low` and `high` with its scale."""
    if len(maps) == 3:
        return images.to_image(maps[None]), {}
    return coloured(maps[0].numpy(), label, low, high)
