"""The static twin: every widget is also a picture, for readers who have no kernel."""

import base64
import weakref
from collections.abc import Iterator

import ipywidgets as widgets

from ..i18n import _
from ..jupyter import OURS

VIEW = "application/vnd.jupyter.widget-view+json"


CAUGHT: weakref.WeakKeyDictionary[widgets.Output, weakref.ref] = weakref.WeakKeyDictionary()
"""Which of ours was displayed last inside an output of ipywidgets; the page alone knows what the output holds."""


def catching() -> Iterator[widgets.Output]:
    """The outputs that are catching what is displayed right now (`with output:`)."""
    for widget in list(widgets.widget._instances.values()):
        if isinstance(widget, widgets.Output) and widget.msg_id:
            yield widget


class Twin:
    """Mixin for a widget that can draw itself: gives it a picture beside its view, and a fixed, short `repr`.

    A class that mixes this in defines `snapshot_bytes() -> (mime type, bytes)` and `alt`, the picture in words.
    """

    alt = ""

    def snapshot_bytes(self) -> tuple[str, bytes]:
        """The widget's present state as an encoded picture: its MIME type and its bytes."""
        raise TypeError(f"{type(self).__name__} has no picture of itself")

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        mime, data = self.snapshot_bytes()
        return {
            "text/plain": repr(self),
            mime: base64.b64encode(data).decode(),
            VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.model_id},
        }

    def _ipython_display_(self) -> None:
        """Display the bundle with the picture's alternative text, which only an output's metadata can hold."""
        from IPython.display import display

        if self.comm is None:
            display({"text/plain": _("This panel is closed: run the cell that makes it to have it again.")}, raw=True)
            return
        for output in catching():
            CAUGHT[output] = weakref.ref(self)
        bundle = self._repr_mimebundle_()
        mime = next(kind for kind in bundle if kind.startswith("image/"))
        display(bundle, metadata={mime: marked(self.alt)}, raw=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def marked(alt: str) -> dict:
    """What stands beside a picture of ours in an output: its alternative text, and that it is ours."""
    return {"alt": alt, OURS: True}


def discard(widget: widgets.Widget) -> None:
    """Close `widget` with all that belongs to it: children, layouts and styles.

    Closing a box alone leaves the models of its children alive in the kernel and in the page.
    """
    for child in getattr(widget, "children", ()):
        discard(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, widgets.Widget):
            part.close()
    widgets.Widget.close(widget)
