"""Run and Stop for what takes long, with its progress and the time that is left."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets
import traitlets

from ..i18n import _
from .worker import WORKER, Job

BETWEEN_UPDATES = 0.1  # seconds: progress goes out at most ten times a second


class RunControl(widgets.VBox):
    """A Run button, a Stop button, a progress bar and the time left; `running` says whether work goes on.

    `on_run(start)` says what Run does. `run` hands work to the package's worker and keeps the display; an earlier
    piece of work that is not yet finished is dropped. `stop` stops it between two steps.

    Clicks and steps come from different threads and take turns on `lock`, which a panel replaces by its own.
    """

    running = traitlets.Bool(False)
    done = traitlets.Float(0.0, help="share of the steps taken, 0 to 1")

    def __init__(self, verb: str | None = None, halt: str | None = None, **traits):
        verb, halt = verb or _("Run"), halt or _("Stop")
        half = {"width": "131px"}
        self.run_button = widgets.Button(description=verb, tooltip=_("Start"), button_style="primary", layout=half)
        self.stop_button = widgets.Button(
            description=halt, tooltip=_("Stop and keep what is there"), disabled=True, layout=dict(half)
        )
        self._bar = widgets.FloatProgress(0.0, min=0.0, max=1.0, layout={"width": "266px", "height": "14px"})
        self._left = widgets.Label("")
        self.lock = threading.RLock()
        self._job: Job | None = None
        self._started = self._drawn = self._begun = 0.0
        self._share: float | None = None
        super().__init__(
            [
                widgets.HBox([self.run_button, self.stop_button], layout={"overflow": "visible"}),
                self._bar,
                self._left,
            ],
            **traits,
        )
        self.stop_button.on_click(lambda _button: self.stop())

    def on_run(self, start: Callable[[], None]) -> None:
        """Call `start()` when Run is clicked."""
        self.run_button.on_click(lambda _button: start())

    def run(
        self,
        steps: Callable[[], Iterable],
        on_step: Callable[[Any, bool], None],
        on_done: Callable[[Job], None],
        begun: float = 0.0,
    ) -> Job:
        """Work through `steps()` on the worker's thread; `begun` is the share of the work that was done before.

        Each step has `index`, how much is done, of `total`. `on_step(step, draw)` gets every step; `draw` is true at
        most ten times a second, and for the last one. `on_done(job)` hears of the end: `job.finished`,
        `job.cancelled` or `job.error`. Both are called with the `lock`; a piece of work that has been stopped or
        replaced shows no further step, and one that has been replaced does not report its end.
        """
        with self.lock:
            self._started, self._drawn, self._begun, self._share = time.monotonic(), 0.0, begun, None
            self._show(begun, _("starting …"))
            self._set_running(True)
            self._job = WORKER.submit(
                self,
                steps,
                lambda job, step: self._on_step(job, step, on_step),
                lambda job: self._on_done(job, on_done),
            )
            return self._job

    def stop(self) -> None:
        """Stop after the step that is being taken; nothing happens when nothing runs."""
        if self._job is not None:
            self._job.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the work has ended; for scripts and tests, never in a callback."""
        return self._job is None or self._job.wait(timeout)

    def clear(self, done: float = 0.0) -> None:
        """Stop, and forget the work and its progress; `done` is the share that the bar shows from now on."""
        with self.lock:
            self.stop()
            self._job = None
            self._show(done, "")
            self._set_running(False)

    def _on_step(self, job: Job, step: Any, on_step: Callable[[Any, bool], None]) -> None:
        with self.lock:
            if job.cancelled:  # while the step waited for the lock
                return
            now, self._share = time.monotonic(), step.index / step.total
            draw = step.index >= step.total or now - self._drawn >= BETWEEN_UPDATES
            if draw and step.index:
                self._drawn = now
                left = (now - self._started) * (1 - self._share) / max(self._share - self._begun, 1e-9)
                self._show(self._share, _("about {left} left").format(left=seconds(left)))
            on_step(step, draw)

    def _on_done(self, job: Job, on_done: Callable[[Job], None]) -> None:
        with self.lock:
            if job is not self._job:  # a newer run took its place and owns the display
                return
            without_steps = 1.0 if job.finished else self.done
            self._show(without_steps if self._share is None else self._share, self._ending(job))
            self._set_running(False)
            on_done(job)

    def _ending(self, job: Job) -> str:
        if job.error is not None:
            return ""
        took = seconds(time.monotonic() - self._started)
        return (_("done in {took}") if job.finished else _("stopped after {took}")).format(took=took)

    def _show(self, share: float, words: str) -> None:
        self.done = self._bar.value = share
        self._left.value = words

    def _set_running(self, running: bool) -> None:
        self.stop_button.disabled = not running
        self.running = running


def seconds(duration: float) -> str:
    """`duration` in seconds as a reader would say it: "0.4 s", "12 s", "3 min 05 s"."""
    if duration < 10:
        return _("{n:.1f} s").format(n=duration)
    if duration < 60:
        return _("{n:.0f} s").format(n=duration)
    return _("{m} min {s:02d} s").format(m=int(duration) // 60, s=int(duration) % 60)
