"""A panel whose value forms in steps: in the cell when it is made, later on the worker's thread."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as widgets

from ..controls import Job, RunControl
from ..i18n import _
from ..views import ImageView
from .base import Explorer, sentence_of
from .tree import descendants

DRAWING = 0.25  # share of the time that may go into drawing what is on its way


class SlowExplorer(Explorer):
    """Adds Run, Stop, progress and time left. A panel defines `steps` with what it follows, and `take`.

    - `steps()`, marked with `follows`, reads the settings and returns an iterator of short steps, each with `index` of
      `total`. What is wrong with the settings is raised there, before the first step.
    - `take(step)` keeps what a step has found in `value`.
    - Parts that follow "steps" draw what is there: while it forms as often as there is time, and at the end.
    - `ended(job)` says what there is to say when a run is over.

    When the panel is made all steps are taken in the cell, later on the worker: whenever a setting changes that `steps`
    follows, and when Run is pressed.
    """

    verb = _("Run")
    halt = _("Stop")

    def __init__(
        self,
        settings: dict[str, widgets.Widget],
        rows: Sequence[Sequence],
        *,
        views: dict[str, ImageView] | None = None,
        column: Sequence[widgets.Widget] = (),
    ) -> None:
        self.run = RunControl(self.verb, halt=self.halt)
        self.run.on_run(lambda: self.attempt(self.start))
        self._drawn_until = self._drawing_took = 0.0
        column = column or (*settings.values(), self.run)
        super().__init__(
            settings, rows, views=views, column=[self.run if part is RunControl else part for part in column]
        )

    def steps(self) -> Iterator[Any]:
        """The work at the present settings, in short steps."""
        raise TypeError(f"{type(self).__name__} does not say what its steps are")

    def take(self, step: Any) -> None:
        """Keep what `step` has found."""
        self.value = step

    def ended(self, job: Job) -> None:
        """Say how a run has ended, where there is something to say."""

    def start(self) -> None:
        """Take the steps at the present settings on the worker; what Run does."""
        self.work_through(self.steps())

    def work_through(self, steps: Iterator[Any], begun: float = 0.0) -> None:
        """Take these steps on the worker, in place of those that it may be taking.

        `begun` is the share of the whole that was done before.
        """
        self.run.run(lambda: steps, self._on_step, lambda job: self.attempt(self._on_done, job), begun)

    def in_cell(self, steps: Iterator[Any]) -> Iterator[Any]:
        """The steps of the panel's first value, which the cell waits for."""
        return steps

    def reset(self) -> None:
        """Stop, and put every setting back."""
        self.run.clear()
        super().reset()

    def _bring(self, name: str) -> bool:
        if name != "steps":
            return super()._bring(name)
        if self._new:
            for step in self.in_cell(self.steps()):
                self.take(step)
        else:
            self.work_through(self.steps())
        return not self._new  # what follows is drawn as the steps come in

    def _on_step(self, step: Any, draw: bool) -> None:
        self.take(step)
        began = time.monotonic()
        rested = began - self._drawn_until >= self._drawing_took * (1 / DRAWING - 1)
        crowded = any(view.congested for view in descendants(self.body) if isinstance(view, ImageView))
        if draw and rested and not crowded and step.index < step.total:
            self.follow_up("steps")
            self._drawn_until = time.monotonic()
            self._drawing_took = self._drawn_until - began

    def _on_done(self, job: Job) -> None:
        if job.error is not None:
            self._going_on.discard("steps")
            self.say(sentence_of(job.error), wrong=True)
            return
        self.follow_up("steps")
        self.ended(job)
