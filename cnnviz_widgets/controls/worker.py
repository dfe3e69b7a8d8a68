"""The one thread on which slow work of all panels runs, a step of each in turn.

Callbacks of widgets must return at once, or a click on Stop waits behind the work that it should stop. So a panel
hands its work over as an iterator of short steps. The worker takes one step of each waiting job in turn, which lets a
slider of one panel answer while another panel computes a map.

A job may be cancelled by another thread while its newest step is on the way to `on_step`. A panel that must not show
such a step looks at `job.cancelled` again once it has its own lock.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Job:
    """One panel's piece of slow work: `cancel` stops it between two steps, `wait` waits until it has ended."""

    def __init__(
        self,
        owner: object,
        steps: Callable[[], Iterable],
        on_step: Callable[["Job", Any], None],
        on_done: Callable[["Job"], None],
    ):
        self.owner = owner
        self.error: BaseException | None = None
        self.cancelled = False
        self.finished = False
        self._make_steps = steps
        self._steps: Iterator | None = None
        self._on_step = on_step
        self._on_done = on_done
        self._ended = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop; it takes no further step. Only the worker, which steps it, acts on this."""
        self.cancelled = True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has finished, failed or been cancelled; false if `timeout` seconds passed before."""
        return self._ended.wait(timeout)

    @property
    def ended(self) -> bool:
        """True once the job has finished, failed or been cancelled, and its panel has been told."""
        return self._ended.is_set()

    def _advance(self) -> bool:
        """Take one step and show it; true while there may be more."""
        if self.cancelled:
            return False
        try:
            if self._steps is None:
                self._steps = iter(self._make_steps())
            step = next(self._steps)
        except StopIteration:
            self.finished = True
            return False
        except BaseException as error:  # also a network that calls exit(): the thread belongs to all panels
            self.error = error
            return False
        if not self.cancelled:
            self._guarded(self._on_step, self, step)
        return self.error is None

    def _end(self) -> None:
        self._guarded(getattr(self._steps, "close", lambda: None))
        self._guarded(self._on_done, self)
        self._steps = None
        self._ended.set()

    def _guarded(self, action: Callable, *arguments: object) -> None:
        """Call `action`; the first thing that goes wrong with a job is kept in `error`."""
        try:
            action(*arguments)
        except BaseException as error:
            self.error = self.error or error


class Worker:
    """Runs the jobs of all panels on one daemon thread, one step of each in turn."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(
        self,
        owner: object,
        steps: Callable[[], Iterable],
        on_step: Callable[[Job, Any], None] = lambda job, step: None,
        on_done: Callable[[Job], None] = lambda job: None,
    ) -> Job:
        """Run `steps()` on the worker's thread; each step goes to `on_step(job, step)`, the end to `on_done(job)`.

        A newer job of the same `owner` replaces its older ones: they are cancelled, and none of their later steps is
        shown. In `on_done` the job says how it ended: `finished`, `cancelled`, or `error`, which is also where an
        exception of `on_step` or `on_done` itself is found.
        """
        job = Job(owner, steps, on_step, on_done)
        with self._changed:
            for older in self._jobs:
                if older.owner is owner:
                    older.cancel()
            self._jobs.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="cnnviz-worker", daemon=True)
                self._thread.start()
            self._changed.notify()
        return job

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    self._changed.wait()
                job = self._jobs[0]
            goes_on = job._advance()
            if not goes_on:
                job._end()
            with self._changed:
                self._jobs.popleft()
                if goes_on:
                    self._jobs.append(job)
            del job  # an ended job must not keep its panel and its network in memory
            time.sleep(0)  # let a callback that waits for the interpreter have its turn


WORKER = Worker()
