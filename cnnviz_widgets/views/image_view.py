"""One picture in a fixed box, with its caption, its scale, marks over it, and the pointer's place as a trait."""

import time
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from .. import render
from ..i18n import _
from .twin import Twin

HERE = Path(__file__).parent
LOST_AFTER = 2.0  # seconds after which a picture that no page has acknowledged no longer counts as on its way


class ImageView(Twin, anywidget.AnyWidget):
    """A picture that can be looked at and pointed at.

    Call `show` to change the picture. Set `follow` to "hover" or "drag" to hear of the pointer: `pointer` is then
    `[x, y]` in pixels of the picture (x to the right, y down), or `[]` while there is none; `click` is
    `[x, y, count]`. With the keyboard the arrow keys move the pointer and Enter clicks. A `patch` of `[width, height]`
    pixels is drawn around the pointer by the page itself, so that it never lags behind the hand.
    """

    _esm = (HERE / "image_view.js").read_text(encoding="utf-8")
    _css = (HERE / "image_view.css").read_text(encoding="utf-8")

    data = traitlets.Bytes(b"").tag(sync=True)
    mime = traitlets.Unicode("image/png").tag(sync=True)
    serial = traitlets.Int(0).tag(sync=True)
    shown = traitlets.Int(0).tag(sync=True, echo_update=False)
    width = traitlets.Int(0, help="picture pixels").tag(sync=True)
    height = traitlets.Int(0, help="picture pixels").tag(sync=True)
    zoom = traitlets.Float(1.0, help="screen pixels for one picture pixel").tag(sync=True)
    pixelated = traitlets.Bool(False).tag(sync=True)
    drawing = traitlets.Bool(False, help="ink on white paper, which a dark theme turns over").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    help = traitlets.Unicode("").tag(sync=True)
    marks = traitlets.List(traitlets.Dict()).tag(sync=True)
    ramp = traitlets.Dict().tag(sync=True)
    patch = traitlets.List(traitlets.Int()).tag(sync=True)
    patch_fill = traitlets.Unicode("none").tag(sync=True)
    follow = traitlets.Enum(["", "hover", "drag"], default_value="").tag(sync=True)
    key_step = traitlets.Int(1, help="picture pixels that an arrow key moves the pointer").tag(sync=True)
    pointer = traitlets.List(traitlets.Int()).tag(sync=True, echo_update=False)
    click = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, image: np.ndarray | None = None, *, kind: str = "jpeg", **traits):
        super().__init__(**traits)
        self.image: np.ndarray | None = None
        self._sent_at = 0.0
        if image is not None:
            self.show(image, kind=kind)

    def show(self, image: np.ndarray, *, kind: str = "jpeg", **traits) -> None:
        """Show `image` (uint8, `[H, W, 3]` or `[H, W]`), sent as "jpeg" (photographs) or "png" (maps, drawings).

        Other traits that belong to the new picture (`caption`, `alt`, `marks`, `ramp` …) travel in the same message.
        """
        data = render.encode(image, kind)
        self.image = np.array(image)  # whoever made it may go on to draw in it
        self._sent_at = time.monotonic()
        with self.hold_sync():
            self.height, self.width = image.shape[:2]
            self.mime = f"image/{kind}"
            if data != self.data:  # the page acknowledges only what it is sent
                self.serial += 1
                self.data = data
            for name, value in traits.items():
                setattr(self, name, value)

    def draw(self, drawing: render.Drawing) -> None:
        """Show a `Drawing` with all its words; a scale that it does not have does not stay from the one before."""
        self.show(drawing.image, **drawing.traits())

    @traitlets.validate("pointer", "click")
    def _a_place(self, proposal: dict) -> list[int]:
        wanted = 2 if proposal["trait"].name == "pointer" else 3
        if proposal["value"] and len(proposal["value"]) != wanted:
            message = _("The {trait} needs {wanted} numbers, or none, not {value}.")
            name, value = proposal["trait"].name, proposal["value"]
            raise traitlets.TraitError(message.format(trait=name, wanted=wanted, value=value))
        return proposal["value"]

    @property
    def place(self) -> tuple[int, int] | None:
        """The pixel (x, y) of the picture under the pointer; None while the pointer is not over the picture."""
        if not self.pointer:
            return None
        x, y = self.pointer
        return (x, y) if 0 <= x < self.width and 0 <= y < self.height else None

    @property
    def congested(self) -> bool:
        """True while two pictures are on their way that the page has not shown yet."""
        waiting = self.serial - self.shown >= 2
        return self.shown > 0 and waiting and time.monotonic() - self._sent_at < LOST_AFTER

    def figure(self) -> np.ndarray:
        """The picture as a reader sees it, uint8 `[H, W, 3]`: enlarged by `zoom`, with its marks, scale and caption."""
        if self.image is None:
            return np.full((1, 1, 3), 255, np.uint8)
        return render.figure(
            self.image,
            zoom=self.zoom,
            smooth=not self.pixelated,
            marks=[*self.marks, *self._patch_mark()],
            ramp=self.ramp,
            caption=self.caption,
        )

    def _patch_mark(self) -> list[dict]:
        if not (self.patch and self.pointer):
            return []
        x, y = patch_corner(self.pointer, self.patch, (self.width, self.height))
        return [{"x": x, "y": y, "w": self.patch[0], "h": self.patch[1], "colour": "#ffffff", "fill": self.patch_fill}]

    def snapshot_bytes(self) -> tuple[str, bytes]:
        """The view as an encoded picture."""
        kind = self.mime.removeprefix("image/")
        return self.mime, render.encode(self.figure(), kind)


def place(pointer: list[int]) -> tuple[int, int]:
    """The x and y of an `ImageView`'s `pointer` or `click`; outside of every picture where there is none."""
    x, y = pointer[:2] if len(pointer) >= 2 else (-1, -1)
    return x, y


def patch_corner(pointer: list[int], patch: list[int], size: tuple[int, int]) -> tuple[int, int]:
    """Left and top of a patch of `patch` (width, height) around `pointer` (x, y), kept inside a picture of `size`."""
    return tuple(
        min(max(place - extent // 2, 0), max(whole - extent, 0))
        for place, extent, whole in zip(pointer, patch, size, strict=True)
    )
