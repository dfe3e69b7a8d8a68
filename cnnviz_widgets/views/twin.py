"""The static twin: every widget is also a picture, for readers who have no kernel."""

import base64

import ipywidgets as widgets

VIEW = "application/vnd.jupyter.widget-view+json"


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

        bundle = self._repr_mimebundle_()
        display(bundle, metadata={mime: {"alt": self.alt} for mime in bundle if mime.startswith("image/")}, raw=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


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
