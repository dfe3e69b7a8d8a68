"""What the tests of panels share: a small network, a gate in front of one, and what a status line says."""

import threading
from contextlib import contextmanager

import torch
from torch import nn

from cnnviz_widgets.controls.worker import WORKER
from cnnviz_widgets.networks import Network

LONG = 60
LABELS = ("tiger cat", "<b>tabby</b>", "espresso", "daisy", "moped", "wall")


def small_network(classes=6, size=32):
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(54, classes),
    )  # fmt: skip
    with torch.no_grad():
        module[-1].weight *= 20
    return Network(module, LABELS[:classes], size=size)


class Gate(nn.Module):
    """Waits before the pictures from number `after` on until it is opened, so that a run can be met half way.

    Its locks cannot be copied, so a run asks this module itself and not a copy.
    """

    def __init__(self, module):
        super().__init__()
        self.module, self.after, self.count = module, 10**9, 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def forward(self, inputs):
        self.count += len(inputs)
        if self.count > self.after:
            self.entered.set()
            assert self.opened.wait(LONG)
        return self.module(inputs)


def sentence(panel):
    """What the status line says; the page shows it as text, so nothing in it is read as HTML."""
    return panel.status.value


def complains(panel):
    return panel.status.wrong


def updates(panel):
    """A list that grows whenever the panel computes anew."""
    seen = []
    update = panel.update
    panel.update = lambda changed=None: (seen.append(changed), update(changed))
    return seen


@contextmanager
def held_worker():
    """Keeps the package's one worker at a step while the `with` lasts."""
    entered, opened = threading.Event(), threading.Event()
    WORKER.submit(object(), lambda: iter([entered.set() or opened.wait(LONG)]))
    assert entered.wait(LONG)
    try:
        yield
    finally:
        opened.set()
