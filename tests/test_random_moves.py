"""Panels under random hands: legal and illegal settings, stray pointers, odd messages and impatient clicks.

`play` makes any number of moves from a seed. Whatever they are, nothing but a refusal that names itself comes out of a
move, every complaint is a sentence, every move ends, and Reset gives the panel back that it was in the beginning.
"""

import dataclasses
import io
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterator

import ipywidgets as widgets
import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

from cnnviz_widgets.controls import ImagePicker
from cnnviz_widgets.controls.drawing_pad import DrawingPad
from cnnviz_widgets.controls.number_grid import NumberGrid
from cnnviz_widgets.errors import CnnvizError
from cnnviz_widgets.explorers import Explorer
from cnnviz_widgets.explorers import filters as filter_panel
from cnnviz_widgets.explorers.tree import descendants
from cnnviz_widgets.views import ImageView
from tests.every_panel import EVERY_PANEL, fresh, panel_classes

MOVES = 60
LONG = 60  # seconds that a move may take on a machine that does much else; a move that hangs takes for ever
RAW = re.compile(r"\w*(Error|Exception|Interrupt|Exit|Warning)\b|The '\w+' trait|Traceback")
ODD = [None, "", "x", "\u2029", "a\nb", -1, 10**6, 2**70, 0.5, 1e308, math.nan, math.inf, True, [], [None], [[]], {}]
ODD += [
    "no such name",
    "7000",
    [1, 2, 3, 4],
    [-5, 3],
    [1e9, 1e9],
    ["x", "y"],
    [[0.0, "a"]],
    [[math.nan]],
    {"a": 1},
    "x" * 3000,
]
Move = tuple[str, Callable[[], object]]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Filters learn for 20 steps instead of 500."""
    monkeypatch.setattr(filter_panel, "STEPS", 20)


# One move -------------------------------------------------------------------------------------------------------------


def told(widget: widgets.Widget, **state: object) -> None:
    """What the page does: a refusal leaves the trait as it was and goes into the log, never into the page."""
    before = {name: getattr(widget, name) for name in state}
    try:
        widget.set_state(state)
    except (traitlets.TraitError, CnnvizError):
        kept = {name: getattr(widget, name) for name in state}
        assert equal(kept, before), f"{type(widget).__name__} was told {state}, refused, and has now {kept}"


def legal(widget: widgets.Widget, draw: random.Random) -> dict | None:
    """A state that the page may set by what it shows; None for a widget that nothing can be done with."""
    if isinstance(widget, (widgets.IntSlider, widgets.Play)):
        return {"value": draw.randint(widget.min, widget.max)}
    if isinstance(widget, widgets.FloatLogSlider):
        return {"value": widget.base ** draw.uniform(widget.min, widget.max)}
    if isinstance(widget, widgets.FloatSlider):
        return {"value": draw.uniform(widget.min, widget.max)}
    if isinstance(widget, widgets.SelectMultiple):
        return {"index": draw.sample(range(len(widget.options)), draw.randint(0, min(4, len(widget.options))))}
    if isinstance(widget, (widgets.Dropdown, widgets.ToggleButtons, widgets.SelectionSlider)):
        return {"index": draw.randrange(len(widget.options))}
    if isinstance(widget, widgets.Combobox):
        return {"value": draw.choice(widget.options)}
    if isinstance(widget, widgets.Text):
        return {"value": ""}
    if isinstance(widget, widgets.ToggleButton):
        return {"value": draw.random() < 0.5}
    if isinstance(widget, ImagePicker):
        return {"value": draw.choice(widget.choices)["name"]}
    if isinstance(widget, NumberGrid):
        return {"value": [[round(draw.uniform(-3, 3), 1) for _cell in row] for row in widget.value]}
    if isinstance(widget, DrawingPad):
        return {"value": [[[draw.uniform(0, 28), draw.uniform(0, 28)] for _point in range(5)]]}
    if isinstance(widget, ImageView):
        x, y = draw.randrange(max(widget.width, 1)), draw.randrange(max(widget.height, 1))
        return draw.choice([{"pointer": [x, y]}, {"click": [x, y, draw.randint(1, 99)]}, {"pointer": []}])
    return None


def illegal(widget: widgets.Widget, draw: random.Random) -> dict:
    """Anything at all for a trait that the page may set."""
    names = [name for name in ("value", "index", "pointer", "click") if name in widget.keys]
    return {draw.choice(names): draw.choice(ODD)}


def picture(draw: random.Random) -> bytes:
    side = draw.choice([1, 20, 64])
    file = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), draw.randrange(256), np.uint8)).save(file, "PNG")
    return file.getvalue()


def message(widget: widgets.Widget, draw: random.Random) -> None:
    """What the page of a control may say beside its state, in good order and out of it."""
    kind = draw.choice(["upload", "too large", "not a number", "no such kind", 7])
    content = {"kind": kind, "name": draw.choice(["a.png", "cat", "<b>\n", ""]), "text": "1,,5", "megabytes": 33.5}
    buffers = draw.choice([[], [b"no picture"], [picture(draw)]])
    widget._handle_custom_msg(content, buffers)


def moves(panel: Explorer, draw: random.Random) -> Iterator[Move]:
    """Endless moves; most of them legal, so that panels get somewhere."""
    everything = list(dict.fromkeys([*panel.settings.values(), *descendants(panel)]))
    usable = [widget for widget in everything if legal(widget, draw) is not None]
    buttons = [widget for widget in everything if isinstance(widget, widgets.Button)]
    speaking = [widget for widget in everything if isinstance(widget, (ImagePicker, NumberGrid))]
    while True:
        what = draw.choices(["legal", "illegal", "message", "button", "settle"], [8, 4, 1, 2, 1])[0]
        widget = draw.choice(usable)
        if what == "settle":
            yield what, lambda: panel.settle(LONG) or pytest.fail("it does not settle")
        elif what == "button":
            button = draw.choice(buttons)
            yield f"button {button.description}", button.click
        elif what == "message" and speaking:
            speaker = draw.choice(speaking)
            yield f"message to {type(speaker).__name__}", lambda speaker=speaker: message(speaker, draw)
        else:
            state = legal(widget, draw) if what == "legal" else illegal(widget, draw)
            yield f"{what} {type(widget).__name__} {state}"[:200], lambda w=widget, s=state: told(w, **s)


def bounded(action: Callable[[], object]) -> None:
    """Call `action()` on a thread of its own, as callbacks come, and wait for its end, but not for ever."""
    failed: list[BaseException] = []

    def act() -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive(), "it does not end"
    if failed:
        raise failed[0]


# A whole game ---------------------------------------------------------------------------------------------------------


def play(panel: Explorer, seed: int, count: int) -> list[str]:
    """Make `count` moves and return what was wrong: raw exceptions, raw complaints, moves without an end."""
    draw, faults = random.Random(seed), []

    def listen(change: dict) -> None:
        if RAW.match(change["new"]):
            faults.append(f"says: {change['new']}")

    panel.status.observe(listen, "value")
    for number, (name, action) in zip(range(count), moves(panel, draw), strict=False):
        heard = len(faults)
        try:
            bounded(action)
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}")
        faults[heard:] = [f"move {number}, {name}: {fault}" for fault in faults[heard:]]
    if not panel.settle(LONG):
        faults.append("does not settle in the end")
    return faults


def equal(one: object, other: object) -> bool:
    """The same but for rounding, also for results that hold tensors or arrays."""
    if isinstance(one, (torch.Tensor, np.ndarray)):
        one, other = np.asarray(one), np.asarray(other)
        if one.dtype.kind == "f":  # batches of another size are rounded otherwise
            return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
        return np.array_equal(one, other)
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        skipped = ("network", "seconds")
        return all(
            equal(getattr(one, f.name), getattr(other, f.name))
            for f in dataclasses.fields(one)
            if f.name not in skipped
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, float):
        return one == other or math.isnan(one) and math.isnan(other) or math.isclose(one, other, rel_tol=1e-4)
    return one == other


def differences(panel: Explorer, other: Explorer) -> list[str]:
    """In what two panels that should be alike are not: settings, value, picture."""
    found = [
        f"{name}: {control.value} instead of {other.settings[name].value}"
        for name, control in panel.settings.items()
        if not equal(control.value, other.settings[name].value)
    ]
    for name, control in panel.settings.items():
        for bound in ("min", "max"):
            if hasattr(control, bound) and getattr(control, bound) != getattr(other.settings[name], bound):
                found.append(f"{name}.{bound}: {getattr(control, bound)}")
    if not equal(panel.value, other.value):
        found.append(f"value: {panel.value} instead of {other.value}"[:400])
    if not equal(panel.snapshot(), other.snapshot()):
        found.append("snapshot")
    return found


def game(name: str, seed: int, count: int) -> list[str]:
    """Play, press Reset, and compare with a panel that nobody has touched."""
    panel, untouched = fresh(name), fresh(name)
    try:
        faults = play(panel, seed, count)
        bounded(panel.reset_button.click)
        if not panel.settle(LONG):
            faults.append("does not settle after Reset")
        if panel.status.wrong:
            faults.append(f"complains after Reset: {panel.status.value}")
        return faults + [f"after Reset, {one}" for one in differences(panel, untouched)]
    finally:
        panel.close()
        untouched.close()


def test_every_panel_is_played_with():
    assert set(EVERY_PANEL) == panel_classes()


@pytest.mark.parametrize("name", EVERY_PANEL)
def test_random_moves_leave_a_panel_that_reset_makes_new(name):
    assert game(name, seed=1, count=MOVES) == []


@pytest.mark.parametrize("name", EVERY_PANEL)
def test_reset_forgets_where_the_pointer_was(name):
    panel, untouched = fresh(name), fresh(name)
    for view in [view for view in descendants(panel) if isinstance(view, ImageView)]:
        view.pointer = [view.width // 4, view.height // 4]
        view.click = [view.width // 3, view.height // 3, 1]
    assert panel.settle(LONG)
    panel.reset_button.click()
    assert panel.settle(LONG)
    assert differences(panel, untouched) == []
    panel.close()
    untouched.close()


class Broken(Explorer):
    """A panel with faults that a game must find."""

    def __init__(self) -> None:
        self.first = widgets.IntSlider(1, 0, 9, description="First")
        super().__init__({"first": self.first}, widgets.VBox())

    def update(self, changed: str | None = None) -> None:
        """Fails raw at 7, hangs a little at 3, and forgets nothing."""
        self.value = (self.value or 0) + 1
        if self.first.value == 7:
            raise KeyError("seven")


def test_a_game_finds_raw_complaints_and_what_reset_forgets():
    panel, untouched = Broken(), Broken()
    faults = play(panel, 0, 40)
    assert any("KeyError: 'seven'" in fault for fault in faults)
    panel.reset()
    assert any("value" in one for one in differences(panel, untouched))


def test_a_move_without_an_end_is_a_failure(monkeypatch):
    monkeypatch.setitem(globals(), "LONG", 0.05)
    with pytest.raises(AssertionError, match="does not end"):
        bounded(lambda: time.sleep(1))
