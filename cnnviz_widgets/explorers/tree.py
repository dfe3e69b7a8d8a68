"""The tree of widgets that a panel is: walking it, hiding parts of it, and drawing it for readers without a kernel."""

from collections.abc import Iterator

import ipywidgets as widgets
import numpy as np

from .. import render
from ..views import ImageView


def descendants(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """All widgets inside `widget`."""
    for child in getattr(widget, "children", ()):
        yield child
        yield from descendants(child)


def hidden(widget: widgets.Widget) -> bool:
    """True if the widget takes no room in the page."""
    layout = getattr(widget, "layout", None)
    return layout is not None and layout.display == "none"


def show_if(wanted: bool, *shown: widgets.Widget) -> None:
    """Give the widgets room in the page, or take it away; they are never rebuilt."""
    for widget in shown:
        widget.layout.display = None if wanted else "none"


def setting_text(control: widgets.Widget) -> str:
    """A control's label and value in words, for the panel's picture; empty for what has none or is hidden."""
    if hidden(control):
        return ""
    if hasattr(control, "described"):
        return control.described()
    label, value = getattr(control, "description", ""), getattr(control, "label", control.value)
    if isinstance(value, float):
        value = render.number(value)
    return f"{label}: {value}" if label and not isinstance(value, (list, tuple)) else ""


def drawn(widget: widgets.Widget) -> np.ndarray:
    """The tree of boxes and views below `widget` as one picture, laid out as in the page."""
    if isinstance(widget, ImageView):
        return widget.figure()
    parts = [drawn(child) for child in getattr(widget, "children", ()) if not hidden(child) and drawable(child)]
    if not parts:
        return np.full((1, 1, 3), 255, np.uint8)
    return render.beside(parts) if isinstance(widget, widgets.HBox) else render.above(parts)


def drawable(widget: widgets.Widget) -> bool:
    """True if there is a picture in or below `widget`."""
    return isinstance(widget, ImageView) or any(isinstance(inner, ImageView) for inner in descendants(widget))
