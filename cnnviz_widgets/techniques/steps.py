"""What slow techniques have in common: steps short enough to be stopped between, and a bar where one waits for all."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

SECONDS = 0.07  # of a step: a Stop is seen, and another panel has its turn, between two steps
LARGEST_BATCH = 16  # pictures; larger batches are no faster


class Step(Protocol):
    """A moment of slow work: `index` of `total` units are done. What it has found so far is in further fields."""

    index: int
    total: int


Some = TypeVar("Some", bound=Step)


def finished(
    steps: Iterable[Some], title: str, progress: bool = True, words: Callable[[Some], str] | None = None
) -> Some:
    """Take all `steps`, under a bar with this `title` if `progress`, and return the last.

    `words(step)` may say more beside the bar; an empty text leaves there what it said before.
    """
    from tqdm.auto import tqdm

    bar = last = None
    try:
        for step in steps:
            if bar is None:
                bar = tqdm(total=step.total, desc=title, disable=not progress, leave=False)
            if words and (text := words(step)):
                bar.set_postfix_str(text, refresh=False)
            bar.update(step.index - bar.n)
            last = step
    finally:
        if bar is not None:
            bar.close()
    return last


def next_batch(count: int, seconds: float, largest: int = LARGEST_BATCH) -> int:
    """How many pictures the next step should ask for, after `count` took `seconds`: at most twice as many."""
    affordable = int(SECONDS * count / max(seconds, 1e-9))
    return max(1, min(affordable, 2 * count, largest))


def once(work: Callable[[], Any]) -> Iterator[Any]:
    """Work that is not divided, as the one step of a job."""
    yield work()
