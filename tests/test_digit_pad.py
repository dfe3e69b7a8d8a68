"""The pad on a LeNet that knows two things well enough to tell strokes apart: it is trained for one short epoch."""

import threading

import numpy as np
import pytest
import torch
import traitlets

from cnnviz_widgets import DigitPad
from cnnviz_widgets.controls.drawing_pad import drawing_moments, first_points, rasterised
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.explorers import digit_pad
from cnnviz_widgets.explorers.digit_pad import FOUR
from cnnviz_widgets.images.digits import as_input, centred, split_digits
from cnnviz_widgets.learning.answers import predictions
from cnnviz_widgets.learning.training import Training
from cnnviz_widgets.networks.lenet import lenet


@pytest.fixture(scope="module")
def model():
    train, test = split_digits()
    model = lenet()
    training = Training(model, train.tensors(), test.tensors(), epochs=2)
    for _step in training.steps():
        pass
    return model


@pytest.fixture
def panel(model):
    panel = DigitPad(model)
    yield panel
    panel.close()


def drawn(panel, strokes):
    """Draw on the pad, and wait for the answer."""
    panel.pad.value = strokes
    assert panel.settle(60)


def asked(model, strokes, invert=False):
    """What the network says of the drawing, without the panel."""
    seen = centred(rasterised(strokes))
    seen = 255 - seen if invert else seen
    with torch.no_grad():
        return model.eval()(as_input(seen[None])).softmax(1)[0]


def test_it_begins_with_a_drawing_and_its_answer(panel, model):
    assert torch.allclose(panel.value, asked(model, FOUR), atol=1e-6)
    assert int(panel.value.argmax()) == 4
    assert "reads 4" in panel.status.value


def test_every_stroke_moves_the_answer(panel, model):
    seven = [[[6, 5], [20, 5]], [[20, 5], [12, 24]]]
    drawn(panel, seven)
    assert torch.allclose(panel.value, asked(model, seven), atol=1e-6)
    assert np.array_equal(panel.seen_view.image, panel._seen(seven, False))


def test_where_on_the_pad_one_draws_does_not_matter(panel):
    before = panel.value
    drawn(panel, [[[x + 3, y + 1] for x, y in stroke] for stroke in FOUR])
    assert torch.allclose(panel.value, before, atol=1e-5)


def test_invert_shows_the_network_black_ink_on_white(panel, model):
    upright = panel.seen_view.image
    panel.invert.value = True
    assert panel.settle(60)
    assert np.array_equal(panel.seen_view.image, 255 - upright)
    assert torch.allclose(panel.value, asked(model, FOUR, invert=True), atol=1e-6)


def test_an_empty_pad_has_no_answer_and_says_so(panel):
    panel.clear_button.click()
    assert panel.settle(60)
    assert panel.value is None
    assert "empty" in panel.status.value
    assert panel.seen_view.image.max() == 0
    panel.reset()
    assert panel.settle(60)
    assert int(panel.value.argmax()) == 4


def test_undo_brings_back_the_answer_from_before_the_stroke(panel, model):
    panel.undo_button.click()
    assert panel.settle(60)
    assert panel.pad.value == FOUR[:1]
    assert torch.allclose(panel.value, asked(model, FOUR[:1]), atol=1e-6)


def test_the_history_is_the_answer_to_every_beginning_of_the_drawing(panel, model):
    assert panel.moments[-1] == sum(map(len, FOUR)) and len(FOUR[0]) in panel.moments
    for moment, probabilities in zip(panel.moments, panel.history, strict=True):
        assert torch.allclose(probabilities, asked(model, first_points(FOUR, moment)), atol=1e-5)


def test_a_long_drawing_is_looked_back_at_in_few_moments_but_at_every_end():
    strokes = [[[0, 0]] * 700, [[1, 1]] * 13]
    moments = drawing_moments(strokes)
    assert len(moments) < 50 and {700, 713} <= set(moments)
    assert drawing_moments([]) == []


def test_first_points_cuts_within_a_stroke():
    assert first_points([[[0, 0], [1, 1]], [[2, 2], [3, 3]]], 3) == [[[0, 0], [1, 1]], [[2, 2]]]


def test_a_dot_that_is_no_digit_still_gets_an_answer_and_the_reader_is_told_why(panel):
    drawn(panel, [[[3, 3]]])
    assert panel.value.sum() == pytest.approx(1, abs=1e-5)
    assert "whatever you draw" in panel.status.value


@pytest.mark.parametrize("strokes", [[[]], [[], []], [[[-50.0, -50.0], [-40.0, -40.0]]]])
def test_a_pad_without_ink_is_empty_whatever_strokes_it_has(panel, strokes):
    drawn(panel, strokes)
    assert panel.value is None and "pad is empty" in panel.status.value and not panel.pad.image.any()


def test_a_stroke_without_points_changes_nothing(panel):
    drawn(panel, [[[5.0, 5.0], [20.0, 20.0]]])
    expected = panel.value
    drawn(panel, [[], [[5.0, 5.0], [20.0, 20.0]], []])
    assert torch.equal(panel.value, expected)


@pytest.mark.parametrize("wrong", [[3], [[3, 4]], [[[1.0]]], [[["a", 2]]], [[[float("nan"), 1]]], [[[1e300, 1]]], "x"])
def test_what_is_no_drawing_is_refused_and_the_pad_keeps_its_own(panel, wrong):
    with pytest.raises(traitlets.TraitError):
        panel.pad.value = wrong
    assert panel.pad.value == FOUR and int(panel.value.argmax()) == 4 and panel.snapshot().any()


def test_a_slow_network_is_asked_on_the_worker(panel, model, monkeypatch):
    asking = []

    def noted(*arguments):
        asking.append(threading.current_thread())
        return predictions(*arguments)

    monkeypatch.setattr(digit_pad, "predictions", noted)
    panel._took = 1.0  # as if the network had been slow the last time
    drawn(panel, FOUR[:1])
    assert len(asking) == 1 and asking[0] is not threading.main_thread()
    assert torch.allclose(panel.value, asked(model, FOUR[:1]), atol=1e-6)
    assert "whatever you draw" in panel.status.value


def test_a_network_for_other_pictures_is_refused_in_a_sentence():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(28 * 28, 10))
    with pytest.raises(WrongSetting, match=r"cannot read pictures of shape \[1, 32, 32\]"):
        DigitPad(network)
