"""What all panels have in common: layout, Reset, the status line, kind errors, and the picture of the panel itself."""

import copy
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
import traitlets

from .. import render
from ..controls import WORKER, Job, RunControl
from ..errors import CnnvizError
from ..i18n import _
from ..techniques.steps import once
from ..views import ImageView, StatusLine, Twin, discard, laid_out
from .tree import descendants, drawn, hidden, setting_text

COLUMN = 280  # screen pixels of the column of controls
WIDEST = 980  # screen pixels of the whole panel
NARROWEST = 340  # screen pixels that the pictures get beside the controls before they move below them
SLOW = 0.05  # seconds of computing from which on a callback would keep the page waiting


def follows(*names: str) -> Callable:
    """Mark a method of a panel as a part that is brought up to date whenever one of `names` changes.

    A name is that of a setting, or of a part that is defined before it.
    """

    def mark(method: Callable) -> Callable:
        method.follows = names
        return method

    return mark


class Explorer(Twin, widgets.VBox):
    """A panel: a column of settings at the left, pictures at the right, a status line below.

    A panel passes its `settings` (controls by name) and `rows` of its views to this constructor; each control and each
    view is then an attribute of that name. An entry of a row is the name of a view, a widget, or a list of such, which
    is a column; names that are not in `views` become plain views. `column` is what stands at the left, from top to
    bottom, where that is not just the settings.

    What a panel does is in its parts: methods marked with `follows`, in the order in which they are defined. The part
    `compute` returns the panel's `value`; others draw. All run in the constructor; when a setting changes, those run
    that follow it, or follow a part that runs. A part that raises is said in the status line, the panel keeps what it
    showed, and the part is tried again with the next change. A part that returns True goes on in the background: what
    follows it waits.

    Where `measured`, a `compute` that took longer than `SLOW` runs on the worker the next time, and a newer change
    takes its place. It then reads settings and sets nothing. Callbacks come from the main thread, a subshell's, or the
    worker's; they take turns on one lock.
    """

    title = ""
    twin_kind = "jpeg"
    measured = False
    parts: tuple[str, ...] = ()
    _jobs: dict[str, Job] = {}
    value = traitlets.Any(None, allow_none=True)

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        named = [
            name for kind in reversed(cls.__mro__) for name, part in vars(kind).items() if hasattr(part, "follows")
        ]
        cls.parts = tuple(dict.fromkeys(named))

    def __init__(
        self,
        settings: dict[str, widgets.Widget],
        rows: Sequence[Sequence] | widgets.Widget,
        *,
        views: dict[str, ImageView] | None = None,
        column: Sequence[widgets.Widget] = (),
    ) -> None:
        self.settings, self.views = settings, dict(views or {})
        self._lock, self._quiet = threading.RLock(), False
        self._stale, self._going_on = set(self.parts), set()
        self._jobs, self._took, self._new = {}, 0.0, True
        self.status = StatusLine()
        self.reset_button = widgets.Button(
            description=_("Reset"), tooltip=_("Back to the settings this panel began with"), layout={"width": "80px"}
        )
        if not isinstance(rows, widgets.Widget):
            self.views.update({name: ImageView() for name in _names(rows) if name not in self.views})
            rows = laid_out(rows, self.views)
        self.body = rows
        for name, widget in {**settings, **self.views}.items():
            if not hasattr(type(self), name):  # a setting may be called like a method, such as `start`
                setattr(self, name, widget)
        left = widgets.VBox(
            [*(column or settings.values()), self.reset_button],
            layout={"width": f"{COLUMN}px", "flex": "none", "overflow": "hidden"},
        )
        row = widgets.HBox([left, self.body], layout={"overflow": "visible", "flex_flow": "row wrap"})
        self.body.layout.flex = f"1 1 {NARROWEST}px"  # in a narrow page the pictures wrap among themselves first
        super().__init__([row, self.status], layout={"max_width": f"{WIDEST}px", "overflow": "visible"})
        self.add_class("cnnviz-panel")
        for run in self.run_controls():
            run.lock = self._lock
        try:
            self.update()
        except BaseException:  # a panel that nobody gets leaves nothing behind
            discard(self)
            raise
        self._new = False
        self.first_values = {name: copy.deepcopy(control.value) for name, control in settings.items()}
        for name, control in settings.items():
            control.observe(lambda change, name=name: self._on_setting(name), "value")
            if control.has_trait("error"):
                control.observe(lambda change: self.say(change["new"], wrong=bool(change["new"])), "error")
        self.reset_button.on_click(lambda _button: self.reset())

    # ---------------------------------------------------------------------------------------------------- updating
    def update(self, changed: str | None = None) -> None:
        """Bring up to date what follows the setting `changed`, or everything."""
        if not self.parts:
            raise TypeError(f"{type(self).__name__} does not say what it does: it has no parts.")
        if changed is None:
            self._stale.update(self.parts)
        else:
            self._mark(changed)
        self._catch_up()

    def _mark(self, *names: str) -> None:
        """Note that what follows these settings and parts is out of date."""
        reached = set(names)
        for name in self.parts:
            if reached.intersection(getattr(type(self), name).follows):
                reached.add(name)
                self._stale.add(name)

    def _catch_up(self) -> None:
        """Run the parts that are out of date. One that raises is tried again; it holds up what follows it, no more."""
        held_up, first = set(self._going_on), None
        for name in self.parts:
            if name not in self._stale:
                continue
            if held_up.intersection(getattr(type(self), name).follows):
                held_up.add(name)
                continue
            try:
                goes_on = self._bring(name)
            except Exception as error:
                held_up.add(name)
                first = first or error
                continue
            self._stale.discard(name)
            for waited_for in (held_up, self._going_on):
                (waited_for.add if goes_on else waited_for.discard)(name)
        if first is not None:
            raise first

    def _bring(self, name: str) -> bool:
        """Run one part; true if it goes on in the background, so that what follows it has to wait."""
        if name != "compute":
            return getattr(self, name)() is True
        self.drop("compute")
        if self.measured and self._took > SLOW and not self._new:
            self.say(_("Computing …"))
            self.background("compute", self._measured, self._computed)
            return True
        self.keep(self._measured())
        return False

    def compute(self) -> object:
        """The value at the present settings."""
        raise TypeError(f"{type(self).__name__} does not say how it computes its value")

    def keep(self, found: object) -> None:
        """Keep what `compute` has found, as `value` unless a panel says otherwise."""
        self.value = found

    def _measured(self) -> object:
        began = time.perf_counter()
        try:
            return self.compute()
        finally:
            self._took = time.perf_counter() - began

    def _computed(self, found: object) -> None:
        self.keep(found)
        self.say("")
        self.follow_up("compute")

    def follow_up(self, name: str) -> None:
        """Bring up to date what follows the part `name`, which has come to an end (or a step) in the background."""
        self._going_on.discard(name)
        self._mark(name)
        self._catch_up()

    # -------------------------------------------------------------------------------------------------- background
    def background(self, name: str, work: Callable[[], object], then: Callable[[object], None]) -> Job:
        """Do `work()` on the worker, without the lock, and then, with it, `then(what it gave)`.

        Newer work of the same name takes its place; what goes wrong is said.
        """
        self.drop(name)
        self._jobs[name] = WORKER.submit(
            (self, name),
            lambda: once(work),
            lambda job, result: self.attempt(self._take, job, then, result),
            lambda job: self._ended(name, job),
        )
        return self._jobs[name]

    def _take(self, job: Job, then: Callable[[object], None], result: object) -> None:
        if not job.cancelled:  # while it waited for the lock
            then(result)

    def _ended(self, name: str, job: Job) -> None:
        if job.error is not None and not job.cancelled:
            with self._lock:
                self._stale.update({name}.intersection(self.parts))
                self._going_on.discard(name)
                self.say(sentence_of(job.error), wrong=True)

    def drop(self, name: str) -> None:
        """Let go of the background work of this name, if there is any."""
        if name in self._jobs:
            self._jobs.pop(name).cancel()

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until nothing of this panel is being computed; for scripts and tests, never in a callback."""
        until = time.monotonic() + timeout
        while going := [job for job in list(self._jobs.values()) if not job.ended]:  # one may start another
            if not all(job.wait(max(until - time.monotonic(), 0)) for job in going):
                return False
        return all(run.wait(max(until - time.monotonic(), 0)) for run in self.run_controls())

    # ----------------------------------------------------------------------------------------------------- settings
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

    def on(self, view: widgets.Widget, trait: str, action: Callable[[], None]) -> None:
        """Call `action()` when a trait of `view` (`pointer`, `click`) changes; what it raises is said."""
        view.observe(lambda _change: self.attempt(action), trait)

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
        for job in self._jobs.values():
            job.cancel()
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


def _names(rows: Sequence) -> Iterator[str]:
    """The names in nested rows."""
    for entry in rows:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, (list, tuple)):
            yield from _names(entry)
