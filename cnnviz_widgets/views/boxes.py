"""Panels in boxes: by `beside`, or in any box, tab or output of a reader's own, they are also a picture."""

import base64
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np

from .. import render
from ..errors import WrongSetting
from ..i18n import _
from ..jupyter import OURS
from .twin import CAUGHT, Twin, marked


class Beside(Twin, widgets.HBox):
    """Panels beside each other that are also one picture; see `beside`."""

    @property
    def alt(self) -> str:
        """What the panels show, in words."""
        return " ".join(panel.alt for panel in twins(self))

    def snapshot_bytes(self) -> tuple[str, bytes]:
        """The panels as one encoded picture."""
        return picture_of(self)


def beside(*panels: Twin) -> Beside:
    """Show `panels` beside each other; in a narrow page they stand below each other.

    As every panel, the box is also a picture for readers who have no kernel. Raises `WrongSetting` for anything that is
    no panel or view of this package.
    """
    strangers = [panel for panel in panels if not isinstance(panel, Twin)]
    if strangers or not panels:
        message = _("Give the panels that should stand beside each other, not {what}.")
        raise WrongSetting(message.format(what=type(strangers[0]).__name__ if strangers else _("none")))
    return Beside(list(panels), layout={"flex_flow": "row wrap", "grid_gap": "12px"})


def twins(widget: widgets.Widget) -> Iterator[Twin]:
    """The panels and views of ours inside a box or tab, the outermost of each nest; of one of ours, itself."""
    if isinstance(widget, Twin) and not isinstance(widget, Beside):
        yield widget
        return
    for child in getattr(widget, "children", ()):
        yield from twins(child)


def picture_of(box: widgets.Widget) -> tuple[str, bytes]:
    """What is ours in a box as one encoded picture: beside each other in a row, else below each other."""
    pictures = [panel.figure() if hasattr(panel, "figure") else panel.snapshot() for panel in twins(box)]
    together = render.beside if isinstance(box, widgets.HBox) else render.above
    kind = "png" if all(getattr(panel, "twin_kind", "png") == "png" for panel in twins(box)) else "jpeg"
    picture = together(pictures) if pictures else np.full((1, 1, 3), 255, np.uint8)
    return f"image/{kind}", render.encode(picture, kind, quality=78, colours=128)


def bundle_of(box: widgets.Box) -> Any:
    """What a notebook shows of a box: with one of ours inside, also a picture of it."""
    plain = box._repr_mimebundle_() if callable(box._repr_mimebundle_) else {"text/plain": repr(box)}
    if getattr(box, "twin_mime", None):  # a question, which is also a text
        return plain, {box.twin_mime: {OURS: True}}
    if isinstance(box, Twin) or next(twins(box), None) is None:
        return plain
    mime, data = picture_of(box)
    alt = " ".join(panel.alt for panel in twins(box))
    return {**plain, mime: base64.b64encode(data).decode()}, {mime: marked(alt)}


def bundle_of_output(output: widgets.Output) -> Any:
    """What a notebook shows of an output that has caught a panel: also the panel's picture."""
    plain = output._repr_mimebundle_() if callable(output._repr_mimebundle_) else {"text/plain": repr(output)}
    panel = CAUGHT[output]() if output in CAUGHT else None
    if panel is None or panel.comm is None:
        return plain
    mime, data = panel.snapshot_bytes()
    return {**plain, mime: base64.b64encode(data).decode()}, {mime: marked(panel.alt)}


def register() -> None:
    """In a notebook's kernel, let boxes and outputs of ipywidgets that hold one of our panels be pictures as well."""
    from IPython import get_ipython

    shell = get_ipython()
    formatter = getattr(getattr(shell, "display_formatter", None), "mimebundle_formatter", None)
    if formatter is not None:
        formatter.for_type(widgets.Box, bundle_of)
        formatter.for_type(widgets.Output, bundle_of_output)
