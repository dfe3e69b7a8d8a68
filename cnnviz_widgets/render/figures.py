"""Pictures in a notebook's output: with alternative text, a caption, and every pixel where it belongs."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .. import images, render
from ..errors import WrongSetting
from ..i18n import _
from ..settings import one_of, whole_number
from .words import PLAIN_TEXT


@dataclass(frozen=True, eq=False, repr=False)
class Figure:
    """One picture with words, as a cell's output shows it: an `<img>` with alternative text, and a caption."""

    image: np.ndarray
    alt: str
    caption: str = ""
    kind: str = "jpeg"
    width: int = 0
    colours: int | None = None

    def _repr_html_(self) -> str:
        data = base64.b64encode(render.encode(self.image, self.kind, quality=80, colours=self.colours)).decode()
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure class="{PLAIN_TEXT}" style="margin: 0"><img alt="{html.escape(self.alt)}" width="{self.width}" '
            f'src="data:image/{self.kind};base64,{data}">{caption}</figure>'
        )

    def __repr__(self) -> str:
        return f"Figure({self.alt!r})"


def show(
    pictures: object,
    alt: str,
    caption: str = "",
    *,
    titles: Sequence[str] = (),
    kind: str = "jpeg",
    zoom: int = 1,
    columns: int | None = None,
) -> Figure:
    """A picture, several beside each other, or a matplotlib `Figure`, for the end of a cell.

    - `pictures`: uint8 `[H, W, 3]` or `[H, W]`, or anything else that `images.load` takes; a list of such; or a
      `matplotlib.figure.Figure`.
    - `alt`: what the picture shows, for readers who cannot see it; must not be empty.
    - `caption`: printed below; `titles`: one above each picture of a list.
    - `kind`: "jpeg" for photographs, "png" for maps and drawings; `zoom`: screen pixels for a picture pixel;
      `columns`: pictures in a row (all of them by default).

    Raises `WrongSetting` for an empty `alt`, an empty list, another number of titles than of pictures, an unknown
    kind, and a `zoom` or `columns` that is no positive number, and `ImageError` for what is no picture.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise WrongSetting(_("A picture needs alternative text: say in alt what it shows."))
    if hasattr(pictures, "savefig"):
        image = _of_chart(pictures)
        return Figure(image, alt, caption, "png", image.shape[1] // 2, colours=128)
    pictures = list(pictures) if isinstance(pictures, (list, tuple)) else [pictures]
    if not pictures or (titles and len(titles) != len(pictures)):
        message = _("There are {pictures} pictures and {titles} titles: give at least one picture, and a title each.")
        raise WrongSetting(message.format(pictures=len(pictures), titles=len(titles)))
    one_of(_("kind of picture"), kind, ("png", "jpeg"))
    if not isinstance(zoom, (int, float)) or not zoom > 0:
        raise WrongSetting(_("A picture is shown with a zoom above 0, not {zoom!r}.").format(zoom=zoom))
    columns = len(pictures) if columns is None else whole_number(_("number of columns"), columns, 1)
    tiles = [render.figure(_pixels(picture), zoom=zoom) for picture in pictures]
    if titles:
        tiles = [
            render.above([render.text_block(title, max(tile.shape[1], 60), 12, render.INK), tile], gap=2)
            for title, tile in zip(titles, tiles, strict=True)
        ]
    rows = [render.beside(tiles[start : start + columns], gap=12) for start in range(0, len(tiles), columns)]
    image = render.above(rows, gap=10)
    return Figure(image, alt, caption, kind, image.shape[1])


def _pixels(picture: images.ImageSource) -> np.ndarray:
    """`picture` as uint8, in its own size when it is one already."""
    shape = picture.shape if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 else ()
    as_it_is = 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
    return picture if as_it_is else images.load(picture)


def _of_chart(chart: object) -> np.ndarray:
    """A matplotlib figure as pixels, two for each screen pixel so that its letters are sharp."""
    file = io.BytesIO()
    chart.savefig(file, format="png", dpi=2 * 80)
    return np.asarray(Image.open(file).convert("RGB"))
