"""Eval mode for as long as a network is looked at, and the lock under which anybody touches a network's modes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_LOCK_OF_LOCKS = threading.Lock()


def lock_of(module: nn.Module) -> threading.RLock:
    """The one lock of `module`: held by whoever looks at the module itself, and through each step of a training.

    Looking and learning then take turns, and neither sees the modes of the other.
    """
    with _LOCK_OF_LOCKS:
        return _LOCKS.setdefault(module, threading.RLock())


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Eval mode inside the `with`; afterwards each submodule is in the mode it was in. Gradients are not touched.

    The module's lock is held meanwhile: another thread that trains or looks at this module waits for the end. A part
    whose mode was changed inside the `with` keeps the new one.
    """
    with lock_of(module):
        modes = [(part, part.training) for part in module.modules()]  # all first: torch.compile's wrapper has the
        try:  # mode of the module inside it
            for part, _training in modes:
                part.training = False
            yield module
        finally:
            try:
                _restore(modes)
            finally:  # an interrupt may come in the midst of it
                _restore(modes)


def _restore(modes: list[tuple[nn.Module, bool]]) -> None:
    for part, training in modes:
        if not part.training:
            part.training = training
