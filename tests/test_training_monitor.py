"""The panel that watches a training: what it shows is the training as it is, and watching changes nothing."""

import time

import numpy as np
import pytest
import torch
import traitlets
from torch import nn

from cnnviz_widgets import TrainingMonitor, render
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.images.digits import split_digits
from cnnviz_widgets.learning.answers import predictions
from cnnviz_widgets.learning.session import gradient_norms
from cnnviz_widgets.learning.training import train
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.render.filter_sheets import filter_mosaic
from cnnviz_widgets.render.layer_sheet import layer_sheet
from cnnviz_widgets.render.training_charts import smoothed


@pytest.fixture(scope="module")
def few():
    """200 digits to train on and 50 to test with."""
    train_digits, test_digits = split_digits(50)
    chosen = np.arange(0, len(train_digits), 20)[:200]
    return (
        (train_digits.tensors()[0][chosen], train_digits.tensors()[1][chosen]),
        test_digits.tensors(),
    )


@pytest.fixture
def panel(few):
    panel = TrainingMonitor(None, *few, epochs=3, batch_size=20, learning_rate=0.005)
    yield panel
    panel.close()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def uninterrupted(few) -> list[torch.Tensor]:
    return weights(train(lenet(0), *few, epochs=3, batch_size=20, learning_rate=0.005, progress=False).model)


def pause_after(panel, steps: int) -> None:
    """Press Train, and Pause when at least so many steps have been taken."""
    panel.run.run_button.click()
    end = time.monotonic() + 60
    while panel.training.index < steps and time.monotonic() < end:
        time.sleep(0.001)
    panel.run.stop_button.click()
    assert panel.settle(60)


def wrong_share(panel) -> float:
    pictures, labels = panel.training.held_out
    return (predictions(panel.model, pictures).argmax(1) != labels).double().mean().item()


# The first state


def test_it_begins_untrained_and_shows_it(panel):
    assert same(weights(panel.model), weights(lenet(0)))
    assert panel.training.index == 0 and panel.value == pytest.approx(1 - wrong_share(panel))
    assert panel.value < 0.3
    for view in (panel.loss_view, panel.accuracy_view, panel.gradients_view, panel.filters_view, panel.layers_view):
        assert view.image is not None and view.alt and view.caption
    assert not panel.run.running
    time.sleep(0.2)
    assert panel.training.index == 0, "nothing runs before a button is pressed"


def test_by_default_it_learns_the_digits_with_a_lenet():
    panel = TrainingMonitor()
    assert len(panel.training.pictures) == 4000 and len(panel.training.held_out[1]) == 1000
    assert panel.training.total == 480 and 0.02 < panel.value < 0.25
    panel.step_button.click()
    assert panel.settle(60) and panel.training.index == 1
    panel.close()


# Train, pause, step, restart


def test_trained_to_the_end_it_is_what_a_plain_training_gives(panel, uninterrupted):
    panel.run.run_button.click()
    assert panel.settle(120)
    assert panel.training.finished and panel.training.index == 30
    assert same(weights(panel.model), uninterrupted)
    assert panel.value == pytest.approx(1 - wrong_share(panel)) and panel.value > 0.35
    assert panel.run.done == 1.0 and not panel.run.running
    assert f"Step 30 of 30: {panel.value:.1%}" in panel.status.value


def test_paused_stepped_and_taken_up_again_it_learns_the_same(panel, uninterrupted):
    pause_after(panel, 4)
    paused = panel.training.index
    assert 4 <= paused < 30
    assert f"Step {paused} of 30" in panel.status.value and "goes on from here" in panel.status.value
    at_rest = weights(panel.model)
    assert panel.value == pytest.approx(1 - wrong_share(panel))
    assert panel.session.tests()[-1] == pytest.approx((paused / 10, panel.value))
    time.sleep(0.1)
    assert same(weights(panel.model), at_rest), "nothing is learned while it is paused"
    for number in range(1, 4):
        panel.step_button.click()
        assert panel.settle(60)
        assert panel.training.index == paused + number
        assert panel.run.done == pytest.approx((paused + number) / 30)
    pause_after(panel, paused + 6)
    panel.run.run_button.click()
    assert panel.settle(120)
    assert same(weights(panel.model), uninterrupted)


def test_stopped_and_restarted_it_learns_the_same(panel, uninterrupted):
    pause_after(panel, 7)
    trained, taken = weights(panel.model), panel.training.index
    panel.restart_button.click()
    assert panel.training.index == 0 and same(weights(panel.model), weights(lenet(0)))
    assert f"after step {taken}" in panel.status.value and ".previous" in panel.status.value
    assert same(list(panel.previous.values()), trained)
    panel.run.run_button.click()
    assert panel.settle(120)
    assert same(weights(panel.model), uninterrupted)


def test_restarted_while_it_trains_it_stands_at_the_beginning(panel, uninterrupted):
    for _ in range(3):
        panel.run.run_button.click()
        end = time.monotonic() + 60
        while panel.training.index < 3 and time.monotonic() < end:
            time.sleep(0.001)
        panel.restart_button.click()
        panel.settle(60)
        time.sleep(0.1)
        assert panel.training.index == 0 and not panel.training.history
        assert same(weights(panel.model), weights(lenet(0)))
        assert panel.run.done == 0 and not panel.run.running and not panel.step_button.disabled
    panel.run.run_button.click()
    assert panel.settle(120)
    assert same(weights(panel.model), uninterrupted)


def test_pressed_again_while_it_trains_it_takes_no_step_twice(panel, uninterrupted):
    for _ in range(4):
        panel.run.run_button.click()
        panel.one_step()
        time.sleep(0.02)
    assert panel.settle(120)
    assert [step.index for step in panel.training.history] == list(range(1, 31))
    assert same(weights(panel.model), uninterrupted)


def test_after_the_last_step_train_says_so(panel):
    panel.start()
    assert panel.settle(120)
    trained = weights(panel.model)
    for button in (panel.run.run_button, panel.step_button):
        panel.say("")
        button.click()
        assert panel.settle(60)
        assert "All 30 steps are taken" in panel.status.value
    assert same(weights(panel.model), trained) and not panel.step_button.disabled


def stop_after(panel, steps: int) -> None:
    """Press Train, and Stop when at least so many steps have been taken."""
    panel.run.run_button.click()
    end = time.monotonic() + 60
    while panel.training.index < steps and time.monotonic() < end:
        time.sleep(0.001)
    panel.end_button.click()
    assert panel.settle(60)


def test_stopped_it_keeps_its_weights_and_the_next_train_begins_anew(panel, uninterrupted):
    stop_after(panel, 5)
    taken, kept = panel.training.index, weights(panel.model)
    assert 5 <= taken < 30 and not panel.run.running and not panel.step_button.disabled
    assert f"Step {taken} of 30" in panel.status.value and "next Train begins anew" in panel.status.value
    assert "goes on from here" not in panel.status.value
    assert panel.value == pytest.approx(1 - wrong_share(panel))
    panel.end_button.click()
    assert same(weights(panel.model), kept) and panel.training.index == taken
    panel.run.run_button.click()
    assert panel.settle(120)
    assert [step.index for step in panel.training.history] == list(range(1, 31))
    assert same(weights(panel.model), uninterrupted) and same(list(panel.previous.values()), kept)


def test_stopped_while_paused_one_step_is_the_first_of_a_new_training(panel):
    pause_after(panel, 3)
    kept = weights(panel.model)
    panel.end_button.click()
    assert "next Train begins anew" in panel.status.value and same(weights(panel.model), kept)
    panel.learning_rate.value = 0.02
    assert "at the next Train" in panel.status.value and same(weights(panel.model), kept)
    panel.step_button.click()
    assert panel.settle(60)
    assert panel.training.index == 1 and panel.training.learning_rate == 0.02
    assert same(list(panel.previous.values()), kept)
    panel.step_button.click()
    assert panel.settle(60) and panel.training.index == 2, "only the first step after Stop begins anew"


def test_stop_and_train_in_one_breath_take_every_step_once(panel, uninterrupted):
    for _ in range(4):
        panel.run.run_button.click()
        time.sleep(0.02)
        panel.end_button.click()
    panel.run.run_button.click()
    assert panel.settle(120)
    assert [step.index for step in panel.training.history] == list(range(1, 31))
    assert same(weights(panel.model), uninterrupted)


def test_there_is_nothing_to_stop_before_the_first_step(panel, uninterrupted):
    panel.end_button.click()
    assert "Nothing has been learned" in panel.status.value
    panel.start()
    assert panel.settle(120) and same(weights(panel.model), uninterrupted)


def test_restart_after_stop_stands_at_the_beginning_and_pause_pauses_again(panel, uninterrupted):
    stop_after(panel, 2)
    panel.restart_button.click()
    assert panel.training.index == 0 and same(weights(panel.model), weights(lenet(0)))
    pause_after(panel, 4)
    assert "goes on from here" in panel.status.value
    panel.start()
    assert panel.settle(120) and same(weights(panel.model), uninterrupted)


# Settings


@pytest.mark.parametrize(
    ("name", "value", "attribute"),
    [("learning_rate", 0.01, "learning_rate"), ("epochs", 7, "epochs"), ("batch_size", 40, "batch_size")],
)
def test_before_the_first_step_a_setting_counts_at_once(panel, name, value, attribute):
    panel.settings[name].value = value
    assert getattr(panel.training, attribute) == value
    assert panel.training.total == panel.epochs.value * (200 // panel.batch_size.value)


def test_another_seed_draws_other_weights_into_the_same_model(panel):
    model = panel.model
    shown = panel.filters_view.image.copy()
    panel.seed.value = 5
    assert panel.model is model and same(weights(model), weights(lenet(5)))
    assert panel.filters_view.image.shape == shown.shape and (panel.filters_view.image != shown).any()


def test_later_a_setting_waits_for_restart_and_says_so(panel, uninterrupted):
    panel.step_button.click()
    assert panel.settle(60)
    panel.learning_rate.value = 0.02
    assert "at Restart" in panel.status.value and "learning rate 0.005" in panel.status.value
    assert panel.training.learning_rate == 0.005 and panel.training.index == 1
    panel.start()
    assert panel.settle(120)
    assert same(weights(panel.model), uninterrupted)
    panel.restart_button.click()
    assert panel.training.learning_rate == 0.02 and panel.training.index == 0


def test_reset_puts_settings_and_weights_back(panel):
    panel.seed.value = 3
    pause_after(panel, 2)
    trained = weights(panel.model)
    panel.epochs.value, panel.digit.value = 9, 3
    panel.reset_button.click()
    assert (panel.seed.value, panel.epochs.value, panel.training.epochs) == (0, 3, 3)
    assert panel.digit.value == panel.first_values["digit"] and panel.training.index == 0
    assert same(weights(panel.model), weights(lenet(0)))
    assert same(list(panel.previous.values()), trained) and ".previous" in panel.status.value


def test_a_model_of_the_readers_is_trained_in_place_and_restarts_from_its_own_weights(few):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))
    first = weights(model)
    panel = TrainingMonitor(model, *few, epochs=2)
    panel.start()
    assert panel.settle(60) and panel.model is model and not same(weights(model), first)
    panel.seed.value = 4
    panel.restart_button.click()
    assert same(weights(model), first) and panel.training.seed == 4
    panel.close()


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"learning_rate": -1}, {"batch_size": 0}])
def test_settings_that_make_no_sense_are_refused(few, settings):
    with pytest.raises(WrongSetting):
        TrainingMonitor(None, *few, **settings)


# What goes wrong


def test_a_diverging_training_is_said_stopped_and_its_weights_put_back(few):
    panel = TrainingMonitor(None, *few, learning_rate=1.0)
    panel.run.run_button.click()
    assert panel.settle(60)
    assert "diverged at step" in panel.status.value and panel.status.wrong
    assert not panel.run.running and not panel.step_button.disabled
    assert same(weights(panel.model), weights(lenet(0)))
    assert panel.value == pytest.approx(1 - wrong_share(panel))
    panel.say("")
    panel.run.run_button.click()
    assert panel.settle(60) and "diverged at step" in panel.status.value
    panel.learning_rate.value = 0.005
    panel.restart_button.click()
    panel.start()
    assert panel.settle(60) and panel.training.finished and not panel.status.wrong
    panel.close()


def test_a_training_that_only_guesses_is_told(few):
    panel = TrainingMonitor(None, *few, learning_rate=1e-5, epochs=1, batch_size=50)
    panel.start()
    assert panel.settle(60)
    assert "only guesses" in panel.status.value
    panel.close()


def test_a_model_that_fails_is_told_and_can_go_on(panel, monkeypatch):
    panel.step_button.click()
    assert panel.settle(60)

    def fail(inputs):
        raise RuntimeError("out of chalk")

    with monkeypatch.context() as patch:
        patch.setattr(panel.model.pool2, "forward", fail)
        panel.run.run_button.click()
        assert panel.settle(60)
        assert "out of chalk" in panel.status.value and not panel.run.running
    panel.run.run_button.click()
    assert panel.settle(120) and panel.training.finished


def test_nothing_of_the_readers_is_touched(panel):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    panel.start()
    assert panel.settle(120)
    panel.restart()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads and torch.is_grad_enabled()


def test_closing_stops_the_training(few):
    panel = TrainingMonitor(None, *few, epochs=20)
    panel.start()
    panel.close()
    assert panel.run.wait(60) and not panel.training.finished


# Looking while it learns


class Slow(nn.Module):
    """Takes its time while it learns, so that whoever looks meanwhile looks in the midst of a step."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Wait, and drop a share of the numbers in a way that no module tells of."""
        if self.training:
            time.sleep(0.01)
        return nn.functional.dropout(inputs, 0.2, self.training)


def restless() -> nn.Module:
    """A network with everything that learning and looking could change in each other: one part stays in eval mode."""
    torch.manual_seed(3)
    parts = [nn.Conv2d(1, 4, 5, 4), nn.BatchNorm2d(4), Slow(), nn.ReLU(), nn.Dropout(0.3), nn.Flatten()]
    model = nn.Sequential(*parts, nn.Linear(4 * 49, 16), nn.BatchNorm1d(16), nn.Linear(16, 10)).train()
    model[1].eval()
    return model


def learned(panel) -> tuple[list[float], list[torch.Tensor], list[bool]]:
    """The losses of a training, and the weights, running statistics and modes of its network afterwards."""
    losses = [step.loss for step in panel.training.history]
    return losses, weights(panel.model), [part.training for part in panel.model.modules()]


def test_looking_at_another_digit_while_it_learns_changes_nothing(few):
    settings = {"epochs": 4, "batch_size": 20, "learning_rate": 0.005}
    alone = TrainingMonitor(restless(), *few, **settings)
    alone.start()
    assert alone.settle(120)
    watched = TrainingMonitor(restless(), *few, **settings)
    modes = [part.training for part in watched.model.modules()]
    watched.start()
    looks = set()
    while not watched.training.finished:
        watched.digit.value = (watched.digit.value + 7) % 50
        looks.add(watched.training.index)
        assert not watched.status.wrong, watched.status.value
        time.sleep(0.003)
    assert watched.settle(120) and len(looks) > 10, "it was looked at in many of its steps"
    losses, values, after = learned(watched)
    expected_losses, expected_values, _modes = learned(alone)
    assert losses == expected_losses and len(losses) == 40
    assert same(values, expected_values)
    assert after == modes and not watched.model[1].training and watched.model[0].training
    for panel in (alone, watched):
        panel.close()


def test_the_answer_in_the_caption_is_the_networks_own_reading(few):
    pictures, labels = few[0]
    one_logit = nn.Sequential(nn.Flatten(), nn.Linear(1024, 1))
    examples = pictures, (labels > 4).long()
    panel = TrainingMonitor(one_logit, examples, examples, epochs=1)
    with torch.no_grad():
        yes = one_logit(pictures[panel.digit.value][None]).sigmoid().item()
    shown = render.probability(max(yes, 1 - yes))
    assert f"says {int(yes > 0.5)} with probability {shown}" in panel.layers_view.caption
    panel.close()


# What is shown


def test_the_layers_are_those_of_the_chosen_digit(panel):
    pictures, labels = panel.training.held_out
    for number in (0, 17, 49):
        panel.digit.value = number
        expected = layer_sheet(panel.model, pictures[number : number + 1])
        np.testing.assert_array_equal(panel.layers_view.image, expected.image)
        assert f"digit {number}, a {labels[number]}" in panel.layers_view.caption
    panel.step_button.click()
    assert panel.settle(60)
    np.testing.assert_array_equal(panel.layers_view.image, layer_sheet(panel.model, pictures[49:50]).image)
    assert (panel.layers_view.image != expected.image).any()


def test_the_filters_are_those_of_the_first_layer_as_they_are_now(panel):
    for _ in range(2):
        expected = filter_mosaic(panel.model.conv1.weight.detach().sum(1).numpy(), 256)
        np.testing.assert_array_equal(panel.filters_view.image, expected)
        panel.step_button.click()
        assert panel.settle(60)


def test_the_gradients_are_those_of_the_last_step(panel):
    panel.step_button.click()
    assert panel.settle(60)
    gradients = panel.training.history[-1].gradients
    rows = gradient_norms(panel.model, gradients)
    assert [layer for layer, _norm in rows] == ["conv1", "conv2", "full3", "full4", "logits"]
    assert rows[1][1] == pytest.approx(np.hypot(gradients["conv2.weight"], gradients["conv2.bias"]))
    expected = render.bars(rows, 256, high=max(norm for _layer, norm in rows))
    np.testing.assert_array_equal(panel.gradients_view.image, expected)


def test_a_wrong_digit_is_shown_in_every_layer_when_it_is_clicked(panel):
    panel.start()
    assert panel.settle(120)
    pictures, labels = panel.training.held_out
    sure, said = predictions(panel.model, pictures).softmax(1).max(1)
    wrong = sorted((said != labels).nonzero().flatten().tolist(), key=lambda number: -sure[number])
    assert f"{len(wrong)} of 50 are wrong" in panel.wrong_view.caption and len(wrong) > 1
    panel.wrong_view.click = [2 * 36 + 20, 20, 1]  # two picture pixels to one of the screen; a tile takes 36
    assert panel.digit.value == wrong[1]
    assert f"a {labels[wrong[1]]}" in panel.layers_view.caption
    tile = panel.wrong_view.image[4 : 4 + 64, 76 : 76 + 64, 0]
    expected = (pictures[wrong[1], 0] * 255).round().byte().numpy().repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(tile[6:-6, 6:-6], expected[6:-6, 6:-6])
    panel.wrong_view.click = [511, 5, 2]
    assert panel.digit.value == wrong[1], "a click between the tiles picks nothing"


def test_it_is_drawn_while_it_trains(few):
    panel = TrainingMonitor(None, *few, epochs=20, batch_size=10, learning_rate=0.005)
    drawn = []
    panel.loss_view.observe(lambda change: drawn.append(panel.training.index), "serial")
    panel.start()
    assert panel.settle(120)
    assert len(drawn) >= 2 and 0 < drawn[0] < drawn[-1] == 400
    panel.close()


def test_the_picture_of_the_panel_shows_where_it_is(panel):
    before = panel.snapshot()
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == "TrainingMonitor()" and "image/png" in bundle
    panel.start()
    assert panel.settle(120)
    assert (panel.snapshot()[:600, 240:] != before[:600, 240:]).any()


def test_smoothed_is_the_mean_of_the_latest():
    values = [float(value) for value in np.random.default_rng(0).random(50)]
    expected = [np.mean(values[max(0, end - 20) : end]) for end in range(1, 51)]
    np.testing.assert_allclose(smoothed(values), expected)
    assert smoothed([]).shape == (0,)


def test_filters_stand_on_one_scale_around_white():
    filters = np.zeros((6, 5, 5), np.float32)
    filters[1, 0, 4], filters[4, 3, 2] = 2.0, -1.0
    picture = filter_mosaic(filters, 256)
    zoom = (picture.shape[1] + 4) // 6 - 4
    assert zoom % 5 == 0 and picture.shape == (zoom, 6 * zoom + 20, 3)
    cell = zoom // 5
    table = render.colour_table(render.SIGNED)
    np.testing.assert_array_equal(picture[0, 1 * (zoom + 4) + 4 * cell], table[-1])
    np.testing.assert_array_equal(picture[3 * cell, 4 * (zoom + 4) + 2 * cell], table[64])
    np.testing.assert_array_equal(picture[0, 0], table[128])


@pytest.mark.parametrize("rate", [1e-7, 50.0])
def test_the_slider_of_the_learning_rate_reaches_the_one_that_was_given(few, rate):
    panel = TrainingMonitor(None, *few, learning_rate=rate)
    assert panel.learning_rate.value == panel.training.learning_rate == rate
    panel.restart()
    assert panel.training.learning_rate == rate
    panel.close()


@pytest.mark.parametrize("wrong", ["nan", float("inf"), "fast"])
def test_a_learning_rate_that_is_no_number_leaves_the_slider_as_it_was(panel, wrong):
    with pytest.raises(traitlets.TraitError):
        panel.learning_rate.value = wrong
    assert panel.learning_rate.value == panel.training.learning_rate == 0.005
    panel.epochs.value = 4
    assert panel.training.epochs == 4 and not panel.status.wrong
