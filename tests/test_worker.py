"""The worker takes turns, drops what is out of date, and outlives whatever its jobs do."""

import threading
import time
from collections import defaultdict
from types import SimpleNamespace

import pytest

from cnnviz_widgets.controls.worker import Worker

LONG = 30  # seconds that nothing here comes near; a test that hangs fails instead


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def gate(worker):
    """Holds the worker in a step until it is opened, so that what is submitted meanwhile waits in line."""
    opened, entered = threading.Event(), threading.Event()

    def steps():
        entered.set()
        opened.wait(LONG)
        yield "gate"

    worker.submit("gate", steps)
    assert entered.wait(LONG)
    yield opened
    opened.set()


def recorder():
    """(seen, on_step, on_done): what a panel would have shown."""
    seen = SimpleNamespace(steps=[], ends=[])
    return seen, lambda _job, step: seen.steps.append(step), seen.ends.append


def test_a_job_shows_its_steps_in_order_and_says_that_it_finished(worker):
    seen, on_step, on_done = recorder()
    job = worker.submit("panel", lambda: range(5), on_step, on_done)
    assert job.wait(LONG)
    assert seen.steps == [0, 1, 2, 3, 4]
    assert seen.ends == [job]
    assert (job.finished, job.cancelled, job.error, job.ended) == (True, False, None, True)


def test_on_step_is_told_which_job_the_step_belongs_to(worker):
    jobs = []
    job = worker.submit("panel", lambda: [1], lambda job, _step: jobs.append(job))
    assert job.wait(LONG)
    assert jobs == [job]


def test_every_step_is_taken_on_one_thread_that_is_not_ours(worker):
    threads = set()

    def steps():
        for _step in range(3):
            threads.add(threading.current_thread())
            yield

    jobs = [worker.submit(owner, steps) for owner in "ab"]
    assert all(job.wait(LONG) for job in jobs)
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_two_panels_are_served_in_turn(worker, gate):
    order = []
    jobs = [
        worker.submit(owner, lambda: range(4), lambda _job, step, owner=owner: order.append((owner, step)))
        for owner in "ab"
    ]
    gate.set()
    assert all(job.wait(LONG) for job in jobs)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3)]


def test_a_short_job_is_done_long_before_a_long_one_that_came_first(worker, gate):
    long_steps = []
    long = worker.submit("long", lambda: range(1000), lambda _job, step: long_steps.append(step))
    short = worker.submit("short", lambda: [0], on_done=lambda _job: long_steps.append("short is done"))
    gate.set()
    assert short.wait(LONG)
    assert long.wait(LONG)
    assert long_steps.index("short is done") <= 2


def test_the_latest_request_of_an_owner_wins_and_the_others_are_never_started(worker, gate):
    started, seen = [], defaultdict(list)

    def steps(number):
        started.append(number)
        yield number

    jobs = [
        worker.submit("panel", lambda number=number: steps(number), lambda _job, step: seen["panel"].append(step))
        for number in range(10)
    ]
    gate.set()
    assert all(job.wait(LONG) for job in jobs)
    assert started == [9]
    assert seen["panel"] == [9]
    assert [job.cancelled for job in jobs] == [True] * 9 + [False]


def test_a_newer_request_stops_the_older_one_between_two_steps_and_its_late_step_is_not_shown(worker):
    entered, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def slow():
        try:
            yield "early"
            entered.set()
            go_on.wait(LONG)
            yield "too late"
            yield "never"
        finally:
            closed.set()

    seen, on_step, on_done = recorder()
    older = worker.submit("panel", slow, on_step, on_done)
    assert entered.wait(LONG)
    newer = worker.submit("panel", lambda: ["new"], on_step, on_done)
    go_on.set()
    assert newer.wait(LONG)
    assert seen.steps == ["early", "new"]
    assert closed.is_set()
    assert seen.ends == [older, newer]
    assert older.cancelled
    assert not older.finished


def test_owners_are_told_apart_by_identity(worker, gate):
    seen, on_step, on_done = recorder()
    jobs = [worker.submit(owner, lambda: [1], on_step, on_done) for owner in ([], [])]
    gate.set()
    assert all(job.wait(LONG) for job in jobs)
    assert not any(job.cancelled for job in jobs)


def test_cancel_stops_between_two_steps_closes_the_iterator_and_reports(worker):
    third, closed = threading.Event(), threading.Event()

    def endless():
        try:
            step = 0
            while True:
                yield step
                step += 1
        finally:
            closed.set()

    seen, on_step, on_done = recorder()

    def cancel_in_the_third(job, step):
        on_step(job, step)
        if step == 2:
            job.cancel()
            third.set()

    job = worker.submit("panel", endless, cancel_in_the_third, on_done)
    assert third.wait(LONG)
    assert job.wait(LONG)
    assert seen.steps == [0, 1, 2]
    assert closed.is_set()
    assert seen.ends == [job]
    assert (job.finished, job.cancelled, job.error) == (False, True, None)


def test_a_job_cancelled_while_it_waits_is_never_started_and_still_reports(worker, gate):
    seen, on_step, on_done = recorder()
    job = worker.submit("panel", lambda: pytest.fail("was started"), on_step, on_done)
    job.cancel()
    gate.set()
    assert job.wait(LONG)
    assert (seen.steps, seen.ends, job.error) == ([], [job], None)


def failing_at_once():
    raise ValueError("at once")


def failing_in_the_second_step():
    yield 1
    raise ValueError("in the second step")


def leaving():
    yield 1
    raise SystemExit("the network called exit()")


def failing_when_closed():
    try:
        yield 1
        yield 2
    finally:
        raise ValueError("when closed")


@pytest.mark.parametrize("steps", [failing_at_once, failing_in_the_second_step, leaving])
def test_an_exception_in_a_step_ends_the_job_and_reaches_the_panel(worker, steps):
    seen, on_step, on_done = recorder()
    job = worker.submit("panel", steps, on_step, on_done)
    assert job.wait(LONG)
    assert seen.ends == [job]
    assert not job.finished
    assert type(job.error) in (ValueError, SystemExit)
    assert_still_works(worker)


def test_an_exception_in_on_step_ends_the_job_closes_it_and_reaches_the_panel(worker):
    closed, ends = [], []

    def steps():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    def on_step(_job, step):
        if step == 1:
            raise RuntimeError("cannot draw this")

    job = worker.submit("panel", steps, on_step, ends.append)
    assert job.wait(LONG)
    assert str(job.error) == "cannot draw this"
    assert (ends, closed, job.finished) == ([job], [True], False)
    assert_still_works(worker)


def test_an_exception_in_on_done_is_kept_and_the_job_still_ends(worker):
    def on_done(_job):
        raise RuntimeError("cannot finish")

    job = worker.submit("panel", lambda: [1], on_done=on_done)
    assert job.wait(LONG)
    assert str(job.error) == "cannot finish"
    assert_still_works(worker)


def test_the_first_of_several_errors_is_kept_and_on_done_hears_of_it(worker):
    ends = []

    def on_done(job):
        ends.append(str(job.error))
        raise RuntimeError("and then this")

    job = worker.submit("panel", failing_at_once, on_done=on_done)
    assert job.wait(LONG)
    assert (ends, str(job.error)) == (["at once"], "at once")


def test_an_iterator_that_fails_when_it_is_closed_does_not_hide_the_end_from_the_panel(worker):
    ends = []
    job = worker.submit("panel", failing_when_closed, lambda job, _step: job.cancel(), ends.append)
    assert job.wait(LONG)
    assert (ends, str(job.error)) == ([job], "when closed")
    assert_still_works(worker)


def test_wait_gives_up_after_its_time_and_tells_so(worker, gate):
    job = worker.submit("panel", lambda: [1])
    assert job.wait(0.01) is False
    assert not job.ended
    gate.set()
    assert job.wait(LONG) is True


def test_a_job_can_hand_over_the_next_one_from_its_end(worker):
    """As a panel does when one result leads to the next question."""
    second = []
    first = worker.submit("panel", lambda: [1], on_done=lambda _job: second.append(worker.submit("panel", lambda: [2])))
    assert first.wait(LONG)
    assert second[0].wait(LONG)
    assert not second[0].cancelled


def test_an_ended_job_and_its_panel_are_let_go(worker):
    import gc
    import weakref

    class Panel:
        pass

    panel = Panel()
    job = worker.submit(panel, lambda: [1], lambda _job, _step, panel=panel: None)
    assert job.wait(LONG)
    assert_still_works(worker)
    gone = weakref.ref(panel)
    del panel, job
    gc.collect()
    assert gone() is None


def test_the_wait_of_a_short_job_beside_a_long_one_is_reported(worker, record_property):
    def long():
        while True:
            time.sleep(0.02)
            yield

    long_job = worker.submit("long", long)
    began = time.perf_counter()
    assert worker.submit("short", lambda: [1]).wait(LONG)
    record_property("seconds a short job waited beside a long one", time.perf_counter() - began)
    assert not long_job.ended
    long_job.cancel()
    assert long_job.wait(LONG)


def assert_still_works(worker):
    seen, on_step, on_done = recorder()
    job = worker.submit("another panel", lambda: range(2), on_step, on_done)
    assert job.wait(LONG)
    assert (seen.steps, seen.ends) == ([0, 1], [job])
