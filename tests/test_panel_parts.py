"""What panels are built from: parts that follow settings, computing that is measured, and work in steps."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets import ClassifierExplorer, Network, PatchExplorer, images
from cnnviz_widgets.controls import SettingSlider
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.explorers import Explorer, SlowExplorer
from cnnviz_widgets.explorers.base import follows
from cnnviz_widgets.render import Drawing
from cnnviz_widgets.techniques.steps import finished, next_batch

LONG = 60


def slider(value=1):
    return SettingSlider(value, 0, 9, "Number", "A number")


class Kitchen(Explorer):
    """Two settings, a value, and three parts that tell when they ran."""

    title = "Kitchen"

    def __init__(self):
        self.ran = []
        super().__init__({"one": slider(), "two": slider(2), "three": slider(3)}, [["picture"]])

    @follows("one", "two")
    def compute(self):
        self.ran.append("compute")
        if self.two.value == 7:
            raise WrongSetting("Seven will not do.")
        return self.one.value + self.two.value

    @follows("compute", "three")
    def draw(self):
        self.ran.append("draw")
        self.picture.draw(Drawing(np.full((4, 4), self.value, np.uint8), f"{self.value}"))

    @follows("three")
    def apart(self):
        self.ran.append("apart")


@pytest.fixture
def kitchen():
    panel = Kitchen()
    panel.ran.clear()
    yield panel
    panel.close()


def test_a_panel_begins_with_all_of_its_parts_in_order():
    assert Kitchen().ran == ["compute", "draw", "apart"]


@pytest.mark.parametrize(("name", "parts"), [("one", ["compute", "draw"]), ("three", ["draw", "apart"])])
def test_only_what_follows_a_setting_runs_when_it_is_moved(kitchen, name, parts):
    kitchen.settings[name].value = 5
    assert kitchen.ran == parts


def test_controls_and_views_are_attributes_of_their_names(kitchen):
    assert kitchen.one is kitchen.settings["one"]
    assert kitchen.picture is kitchen.views["picture"]


def test_a_part_that_fails_is_said_tried_again_and_holds_up_only_what_follows_it(kitchen):
    kitchen.two.value = 7
    assert (kitchen.status.value, kitchen.status.wrong) == ("Seven will not do.", True)
    assert (kitchen.value, kitchen.picture.caption) == (3, "3")
    kitchen.ran.clear()
    kitchen.three.value = 4
    assert kitchen.ran == ["compute", "apart"]
    assert kitchen.status.wrong
    kitchen.two.value = 4
    assert (kitchen.value, kitchen.picture.caption, kitchen.status.value) == (5, "5", "")


def test_a_reset_leaves_the_panel_as_a_fresh_one(kitchen):
    for control in kitchen.settings.values():
        control.value = 8
    kitchen.reset()
    assert (kitchen.value, kitchen.picture.caption) == (3, "3")


def test_a_drawing_leaves_no_scale_of_the_one_before(kitchen):
    ramp = {"stops": ["#000000"], "low": "0", "high": "1", "label": "x"}
    kitchen.picture.draw(Drawing(np.zeros((4, 4), np.uint8), "with", more={"ramp": ramp}))
    assert kitchen.picture.ramp == ramp
    kitchen.picture.draw(Drawing(np.zeros((4, 4), np.uint8), "without"))
    assert kitchen.picture.ramp == {}
    assert kitchen.picture.alt == "without"


# What is slow is measured ---------------------------------------------------------------------------------------------


class Slow(nn.Module):
    """Says how bright the red, green and blue of a picture are, after `seconds`."""

    seconds = 0.0
    opened = threading.Event()

    def forward(self, inputs):
        time.sleep(Slow.seconds)
        return 10 * inputs.mean((2, 3))


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(Slow, "seconds", 0.4)
    return Network(Slow(), ["red", "green", "blue"], (0, 0, 0), (1, 1, 1), size=16)


def test_a_slow_network_does_not_keep_the_callback_waiting(slow):
    panel = ClassifierExplorer(slow)
    first, began = panel.value, time.monotonic()
    panel.picture.value = "coffee"
    assert time.monotonic() - began < 0.3
    assert panel.status.value == "Computing …"
    assert panel.value == first
    assert panel.settle(LONG)
    assert panel.value == slow.predict("coffee")
    assert panel.status.value == ""
    np.testing.assert_array_equal(panel.view.image, slow.view("coffee"))
    panel.close()


def test_a_newer_picture_takes_the_place_of_one_that_is_being_looked_at(slow):
    panel = ClassifierExplorer(slow)
    for name in ("coffee", "rocket", "astronaut"):
        panel.picture.value = name
    assert panel.settle(LONG)
    assert panel.value == slow.predict("astronaut")
    np.testing.assert_array_equal(panel.view.image, slow.view("astronaut"))
    panel.close()


def test_a_network_that_has_become_quick_is_asked_in_the_callback_again(slow, monkeypatch):
    panel = ClassifierExplorer(slow)
    monkeypatch.setattr(Slow, "seconds", 0.0)
    panel.picture.value = "coffee"
    assert panel.settle(LONG)
    panel.picture.value = "rocket"
    assert panel.value == slow.predict("rocket")
    panel.close()


def test_what_is_being_computed_is_not_drawn_from_the_value_before(slow):
    panel = ClassifierExplorer(slow)
    shown = panel.view.serial
    panel.picture.value = "coffee"
    panel.top.value = 2
    assert panel.view.serial == shown, "the cat is not shown again while the coffee is looked at"
    assert panel.settle(LONG)
    assert panel.value == slow.predict("coffee", top=2)
    panel.close()


def test_what_goes_wrong_on_the_worker_is_said_and_tried_again(slow, monkeypatch):
    panel = ClassifierExplorer(slow)
    before = panel.value

    def fail(self, inputs):
        raise RuntimeError("out of chalk")

    with monkeypatch.context() as broken:
        broken.setattr(Slow, "forward", fail)
        panel.picture.value = "coffee"
        assert panel.settle(LONG)
        assert "out of chalk" in panel.status.value
        assert panel.value == before
    panel.top.value = 2
    assert panel.settle(LONG)
    assert panel.value == slow.predict("coffee", top=2)
    panel.close()


def test_a_panel_that_is_closed_while_it_computes_shows_nothing_more(slow):
    panel = ClassifierExplorer(slow)
    before = panel.value
    panel.picture.value = "coffee"
    job = panel._jobs["compute"]
    panel.close()
    assert job.wait(LONG)
    assert job.cancelled
    assert panel.value == before


# Work in steps --------------------------------------------------------------------------------------------------------


class Counted:
    def __init__(self, index, total):
        self.index, self.total = index, total


class Counter(SlowExplorer):
    """Counts to a number, one a step."""

    title = "Counter"

    def __init__(self):
        self.drawn, self.said = [], []
        super().__init__({"far": slider(3), "shown": slider()}, [["picture"]])

    @follows("far")
    def steps(self):
        if self.far.value == 7:
            raise WrongSetting("Seven is too far.")
        return (Counted(number, self.far.value) for number in range(1, self.far.value + 1))

    def take(self, step):
        self.value = step.index

    def ended(self, job):
        self.said.append(job.finished)

    @follows("steps", "shown")
    def draw(self):
        self.drawn.append((self.value, self.shown.value))


def test_steps_are_taken_in_the_cell_first_and_on_the_worker_later():
    panel = Counter()
    assert (panel.value, panel.drawn, panel.said) == (3, [(3, 1)], [])
    panel.far.value = 5
    assert panel.settle(LONG)
    assert panel.value == 5
    assert panel.drawn[-1] == (5, 1)
    assert panel.said == [True]
    panel.close()


def test_a_setting_that_only_draws_does_not_start_the_steps_again():
    panel = Counter()
    panel.shown.value = 4
    assert panel.drawn == [(3, 1), (3, 4)]
    assert not panel.run.running
    panel.close()


def test_what_is_wrong_is_said_before_the_first_step_and_run_begins_anew():
    panel = Counter()
    panel.far.value = 7
    assert panel.status.value == "Seven is too far."
    assert panel.value == 3
    panel.far.value = 2
    assert panel.settle(LONG)
    assert panel.value == 2
    panel.run.run_button.click()
    assert panel.settle(LONG)
    assert panel.said == [True, True]
    panel.close()


def test_a_bar_ends_at_the_last_step():
    assert finished((Counted(n, 4) for n in range(5)), "counting", progress=False).index == 4


def test_batches_grow_at_most_twofold_and_fit_the_time_of_a_step():
    assert next_batch(1, 0.001) == 2
    assert next_batch(8, 0.07) == 8
    assert next_batch(8, 0.28) == 2
    assert next_batch(4, 10.0) == 1
    assert next_batch(16, 0.001) == 16


# What is left of a closed panel ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Kitchen, Counter, lambda: PatchExplorer(pictures=["cat"]), ClassifierExplorer])
def test_nothing_is_alive_of_a_closed_panel(make):
    panel = make()
    gone = [weakref.ref(panel), weakref.ref(panel.body), weakref.ref(next(iter(panel.views.values())))]
    panel.close()
    del panel
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_a_picture_in_a_torch_type_is_not_needed():
    with torch.inference_mode():
        panel = ClassifierExplorer(image=images.load("coffee"))
    assert panel.value[0][0] == "espresso"
    panel.close()
