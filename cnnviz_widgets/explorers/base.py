"""What all panels have in common: layout, Reset, the status line, kind errors, and the picture of the panel itself."""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
import traitlets

from .. import render
from ..controls import RunControl
from ..errors import CnnvizError
from ..i18n import _
from ..views import ImageView, StatusLine, Twin, discard

COLUMN = 280  # screen pixels of the column of controls
WIDEST = 980  # screen pixels of the whole panel
NARROWEST = 340  # screen pixels that the pictures get beside the controls before they move below them


class Explorer(Twin, widgets.VBox):
    """A panel: a column of settings at the left, pictures at the right, a status line below.

    A panel passes its `settings` (controls by name) and its `body` (a tree of boxes and views) to this constructor and
    defines `update`, which computes `value` from the settings and draws it. `update` runs once in the constructor and
    again whenever a setting changes. What it raises is said in the status line, and the panel keeps what it showed.
    `column` is what stands at the left, from top to bottom, where that is more than the settings.

    Callbacks come from the main thread, a subshell's, or the worker's; they take turns on one lock.
    """

    title = ""
    twin_kind = "jpeg"
    value = traitlets.Any(None, allow_none=True)

    def __init__(self, settings: dict[str, widgets.Widget], body: widgets.Widget, column: Sequence = ()):
        self.settings = settings
        self.body = body
        self._lock = threading.RLock()
        self._quiet = False
        self.status = StatusLine()
        self.reset_button = widgets.Button(
            description=_("Reset"), tooltip=_("Back to the settings this panel began with"), layout={"width": "80px"}
        )
        left = widgets.VBox(
            [*(column or settings.values()), self.reset_button],
            layout={"width": f"{COLUMN}px", "flex": "none", "overflow": "hidden"},
        )
        row = widgets.HBox([left, body], layout={"overflow": "visible", "flex_flow": "row wrap"})
        body.layout.flex = f"1 1 {NARROWEST}px"  # in a narrow page the pictures wrap among themselves first
        for box in (body, *descendants(body)):
            if isinstance(box, widgets.HBox):
                box.layout.flex_flow = "row wrap"
        super().__init__([row, self.status], layout={"max_width": f"{WIDEST}px", "overflow": "visible"})
        self.add_class("cnnviz-panel")
        for run in self.run_controls():
            run.lock = self._lock
        try:
            self.update()
        except BaseException:  # a panel that nobody gets leaves nothing behind
            discard(self)
            raise
        self.first_values = {name: copy.deepcopy(control.value) for name, control in settings.items()}
        for name, control in settings.items():
            control.observe(lambda change, name=name: self._on_setting(name), "value")
            if control.has_trait("error"):
                control.observe(lambda change: self.say(change["new"], wrong=bool(change["new"])), "error")
        self.reset_button.on_click(lambda _button: self.reset())

    def update(self, changed: str | None = None) -> None:
        """Compute `value` from the settings and draw it; `changed` names the setting that was moved, if one was."""
        raise TypeError(f"{type(self).__name__} does not say how it computes its value")

    def reset(self) -> None:
        """Put every setting back to what it was when the panel was made."""
        self.say("")
        with self.held():
            for name, control in self.settings.items():
                control.value = copy.deepcopy(self.first_values[name])

    def say(self, sentence: str, *, wrong: bool = False) -> None:
        """Show one sentence in the status line; `wrong` marks it as a complaint."""
        with self.status.hold_sync():
            self.status.value, self.status.wrong = sentence, wrong

    def attempt(self, action: Callable, *arguments: object) -> None:
        """Call `action(*arguments)`; what it raises is said in the status line instead of being lost in a log."""
        with self._lock:
            try:
                action(*arguments)
            except Exception as error:
                self.say(sentence_of(error), wrong=True)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Change settings inside a `with` without an update of the panel; other threads' changes wait for its end."""
        with self._lock:
            before, self._quiet = self._quiet, True
            try:
                yield
            finally:
                self._quiet = before

    @contextmanager
    def held(self) -> Iterator[None]:
        """Change several settings inside a `with`; the panel updates once, at its end."""
        with self._lock:
            try:
                with self.quietly():
                    yield
            finally:
                if not self._quiet:
                    self.attempt(self.update)

    def close(self) -> None:
        """Stop what runs and close the whole panel, with everything in it."""
        for run in self.run_controls():
            run.stop()
        discard(self)

    def run_controls(self) -> list[RunControl]:
        """The panel's Run buttons."""
        return [widget for widget in descendants(self) if isinstance(widget, RunControl)]

    def _on_setting(self, name: str) -> None:
        with self._lock:
            if not self._quiet:
                self.say("")
                self.attempt(self.update, name)

    # --------------------------------------------------------------------------------------------- the static twin
    @property
    def alt(self) -> str:
        """What the panel's picture shows, in words: its title, its settings and the captions of its pictures."""
        captions = [view.caption for view in descendants(self.body) if isinstance(view, ImageView) and not hidden(view)]
        sentences = [self.title, *self._settings_in_words(), *filter(None, captions)]
        return " ".join(sentence if sentence.endswith((".", "?", "!")) else f"{sentence}." for sentence in sentences)

    def _settings_in_words(self) -> list[str]:
        return [text for control in self.settings.values() if (text := setting_text(control))]

    def snapshot(self) -> np.ndarray:
        """The panel's present state as one picture (uint8 `[H, W, 3]`), for readers who have no kernel."""
        head = render.text_block(self.title, WIDEST, 14, render.INK, bold=True)
        column = render.text_block("\n".join(self._settings_in_words()) or " ", 220, 12, render.INK)
        foot = render.text_block(_("A picture of the panel: run this cell to move it."), WIDEST, 11)
        return render.margin(render.above([head, render.beside([column, drawn(self.body)]), foot]))

    def snapshot_bytes(self) -> tuple[str, bytes]:
        """The panel as an encoded picture."""
        return f"image/{self.twin_kind}", render.encode(self.snapshot(), self.twin_kind, quality=78, colours=128)


def sentence_of(error: Exception) -> str:
    """What to tell the reader of `error`: our own errors are written for them; others get their kind in front."""
    if isinstance(error, (CnnvizError, traitlets.TraitError)):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


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
