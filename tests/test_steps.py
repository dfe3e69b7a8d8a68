"""What slow techniques share: the last step under a bar, and batches that keep a step short."""

from dataclasses import dataclass

import pytest

from cnnviz_widgets.techniques.steps import LARGEST_BATCH, SECONDS, finished, next_batch, once


@dataclass(frozen=True)
class Step:
    index: int
    total: int
    found: str = ""


def steps(count=4):
    for index in range(count + 1):
        yield Step(index, count, "abcde"[index])


def test_all_steps_are_taken_and_the_last_is_returned():
    taken = []
    last = finished((taken.append(step.index) or step for step in steps()), "Work", progress=False)
    assert taken == [0, 1, 2, 3, 4]
    assert last == Step(4, 4, "e")


def test_the_bar_says_how_far_it_is_and_goes(capsys):
    finished(steps(), "Work", words=lambda step: "half of it" if step.index == 2 else "")
    shown = capsys.readouterr().err
    assert "Work" in shown
    assert shown.endswith("\r")  # it does not stay
    finished(steps(), "Work", progress=False)
    assert capsys.readouterr() == ("", "")


def test_an_error_ends_the_work():
    def broken():
        yield Step(0, 2)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        finished(broken(), "Work", progress=False)


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [
        (1, SECONDS / 10, 2),  # at most twice as many
        (4, SECONDS / 4, 8),
        (8, SECONDS, 8),
        (8, SECONDS * 4, 2),
        (1, 100.0, 1),
        (LARGEST_BATCH, 1e-9, LARGEST_BATCH),
        (4, 0.0, 8),
    ],
)
def test_the_next_batch_is_as_large_as_the_time_allows(count, seconds, expected):
    assert next_batch(count, seconds) == expected
    assert next_batch(count, seconds, largest=2) <= 2


def test_work_in_one_step_waits_until_it_is_taken():
    done = []
    work = once(lambda: done.append(1) or "result")
    assert done == []
    assert list(work) == ["result"] and done == [1]
