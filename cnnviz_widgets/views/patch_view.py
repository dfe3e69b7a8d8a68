"""A picture with a patch that is dragged over it."""

from ..i18n import _
from .image_view import ImageView, patch_corner

BOX = 336  # screen pixels


class PatchView(ImageView):
    """A picture of at most `most` pixels along a side, under a patch that the pointer or the arrow keys move."""

    def __init__(self, most: int) -> None:
        small = most <= BOX // 2
        super().__init__(
            zoom=BOX // most if small else 1.5 if most <= 256 else 1.0,
            pixelated=small,
            follow="drag",
            key_step=max(most // 28, 1),
            help=_("Drag the patch over the picture, or move it with the arrow keys."),
        )

    @property
    def corner(self) -> tuple[int, int] | None:
        """Row and column of the patch's upper left corner; None while there is no patch over the picture."""
        if len(self.pointer) != 2 or not self.patch:
            return None
        x, y = patch_corner(self.pointer, self.patch, (self.width, self.height))
        return y, x
