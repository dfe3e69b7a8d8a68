"""Many small pictures side by side, each with a word below, one of which can be picked."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .. import render
from ..i18n import _
from . import ImageView

DENSITY = 2  # picture pixels for one screen pixel, so that the words are sharp
GAP = 4  # screen pixels between two tiles
WORDS = 13  # screen pixels for the word below a tile


class DigitTiles(ImageView):
    """Tiles in rows; `on_pick(action)` calls `action(number)` for a click on one (or the arrow keys and Enter)."""

    def __init__(self, width: int = 256, **traits):
        self._width = width
        self._actions: list[Callable[[int], None]] = []
        self._count = 0
        self._cell = (1, 1)
        help_text = _("Click a picture, or use the arrow keys and Enter, to see what the layers make of it.")
        super().__init__(zoom=1 / DENSITY, follow="hover", help=help_text, **traits)
        self.observe(lambda _change: self._on_click(), "click")

    def on_pick(self, action: Callable[[int], None]) -> None:
        """Call `action(number)` when a tile is picked; the first is number 0."""
        self._actions.append(action)

    def show_tiles(
        self,
        pictures: np.ndarray,
        words: Sequence[str] = (),
        chosen: int | None = None,
        rows: int = 1,
        **traits: object,
    ) -> None:
        """Show pictures uint8 `[N, h, w]` with `words` below them; the one of number `chosen` is framed.

        The picture has room for at least `rows` rows, so that it does not jump.
        """
        self._count = len(pictures)
        side = pictures.shape[2] if self._count else 28
        self._cell = (side + GAP, (pictures.shape[1] if self._count else side) + GAP + (WORDS if words else 0))
        size = (self._width * DENSITY, max(rows, -(-self._count // self.columns)) * self._cell[1] * DENSITY)
        picture = Image.new("RGB", size, render.PAPER)
        draw = ImageDraw.Draw(picture)
        face = render.font(10 * DENSITY)
        for index, tile in enumerate(pictures):
            x, y = self._corner(index)
            picture.paste(Image.fromarray(render.enlarge(tile, DENSITY)), (x, y))
            if index == chosen:
                box = (x - DENSITY, y - DENSITY, x + side * DENSITY, y + tile.shape[0] * DENSITY)
                draw.rectangle(box, outline=render.OKABE_ITO[5], width=2 * DENSITY)
            if words:
                middle = (x + side * DENSITY // 2, y + (tile.shape[0] + 1) * DENSITY)
                draw.text(middle, words[index], font=face, fill=render.INK, anchor="mt")
        self.key_step = self._cell[0] * DENSITY
        self.show(np.asarray(picture), kind="png", **traits)

    @property
    def columns(self) -> int:
        """How many tiles stand in a row."""
        return self.columns_for(self._cell[0] - GAP)

    def columns_for(self, side: int) -> int:
        """How many tiles of this width stand in a row."""
        return max((self._width - 2) // (side + GAP), 1)

    def _corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        return (column * self._cell[0] + 2) * DENSITY, (row * self._cell[1] + 2) * DENSITY

    def _on_click(self) -> None:
        if not self.click:
            return
        column, row = (place // (side * DENSITY) for place, side in zip(self.click, self._cell, strict=False))
        index = row * self.columns + column
        if 0 <= column < self.columns and 0 <= index < self._count:
            for action in self._actions:
                action(index)


def grey_pictures(pictures: Tensor) -> np.ndarray:
    """Pictures `[N, C, H, W]` of values 0..1 as uint8 `[N, H, W]`, the mean over their channels."""
    return pictures.mean(1).clamp(0, 1).mul(255).round().byte().numpy()
