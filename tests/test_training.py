"""Training in steps: watched, paused or not, it learns the same; and it learns."""

import collections
import contextlib
import copy
import math
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import CnnvizError, WrongSetting
from cnnviz_widgets.images.digits import split_digits
from cnnviz_widgets.learning.adam import Adam
from cnnviz_widgets.learning.examples import as_tensors
from cnnviz_widgets.learning.training import Diverged, Training, confusion, predictions, train
from cnnviz_widgets.networks import Network
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.techniques.embedding import layer_codes
from cnnviz_widgets.techniques.feature_maps import feature_maps, kernels_of
from cnnviz_widgets.techniques.grad_cam import grad_cam
from cnnviz_widgets.techniques.occlusion import occlusion
from tests.helpers import fingerprint


def small(seed: int = 0) -> nn.Module:
    """Two layers, and a normalisation whose statistics are a part of the state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3)
        )


def examples(count: int = 60, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures 4 × 4 whose class is the brightest of three columns."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.rand(count, 1, 4, 4, generator=generator)
    return pictures, pictures[:, 0, :, :3].sum(1).argmax(1)


def small_training(**settings) -> Training:
    return Training(small(), examples(), examples(30, 2), **{"epochs": 4, "batch_size": 10, **settings})


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_it_learns_what_there_is_to_learn():
    training = Training(small(), examples(600), examples(200, 2), epochs=5, batch_size=10, learning_rate=0.02)
    before = training.held_out_accuracy
    list(training.steps())
    assert training.finished and training.index == training.total == 5 * 60
    assert training.held_out_accuracy > max(0.85, before + 0.3)
    assert training.history[-1].loss < 0.5 * training.history[0].loss


def test_a_step_is_adam_on_the_cross_entropy_with_a_falling_rate():
    training, model = small_training(learning_rate=0.01), small().train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    pictures, labels = examples()
    for epoch in range(2):
        order = torch.randperm(60, generator=generator)
        for within in range(6):
            batch = order[10 * within : 10 * within + 10]
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(pictures[batch]), labels[batch])
            loss.backward()
            optimiser.param_groups[0]["lr"] = 0.01 * (1 + math.cos(math.pi * (epoch * 6 + within) / 24)) / 2
            optimiser.step()
            step = training.step()
            assert step.loss == pytest.approx(loss.item(), abs=1e-5)
            assert step.gradients == pytest.approx(
                {name: p.grad.norm().item() for name, p in model.named_parameters()}, abs=1e-4
            )
    for name, value in model.state_dict().items():
        torch.testing.assert_close(training.model.state_dict()[name], value, atol=1e-4, rtol=1e-4, msg=name)


def test_our_adam_is_torchs():
    ours, theirs = (nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    adam, optimiser = Adam(ours.parameters()), torch.optim.Adam(theirs.parameters(), lr=0.1)
    for scale in (1.0, -3.0, 1e-4, 20.0):
        for layer in (ours, theirs):
            layer.weight.grad = scale * torch.arange(6.0).reshape(2, 3)
            layer.bias.grad = None
        adam.step(0.1)
        optimiser.step()
        torch.testing.assert_close(ours.weight, theirs.weight)
        assert torch.equal(ours.bias, theirs.bias)


def test_what_a_step_says_is_so():
    training = small_training()
    for index in range(1, 13):
        before = weights(training.model)
        step = training.step()
        assert (step.index, step.total, step.epoch) == (index, 24, index / 6)
        order = torch.Generator().manual_seed(0)
        batches = [torch.randperm(60, generator=order) for _ in range(4)]
        batch = batches[(index - 1) // 6][((index - 1) % 6) * 10 :][:10]
        model = small().train()
        model.load_state_dict(before)
        right = (model(training.pictures[batch]).argmax(1) == training.labels[batch]).double().mean()
        assert step.accuracy == right.item()
        assert math.isnan(step.held_out) == (index % 6 != 0)
    assert [epoch for epoch, _share in training.tests] == [0, 1, 2]
    assert training.tests[-1][1] == training.history[11].held_out == training.accuracy()


def test_each_epoch_sees_every_picture_once():
    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = small(), []

        def forward(self, x):
            if self.training:
                self.seen.append(x)
            return self.inner(x)

    training = Training(Spy(), examples(), examples(30, 2), epochs=2, batch_size=10)
    list(training.steps())
    epochs = [torch.cat(training.model.seen[start : start + 6]).flatten(1) for start in (0, 6)]
    assert not torch.equal(*epochs)
    for epoch in epochs:
        assert {tuple(row) for row in epoch.tolist()} == {tuple(row) for row in examples()[0].flatten(1).tolist()}


def uninterrupted() -> dict[str, torch.Tensor]:
    training = small_training()
    list(training.steps())
    return weights(training.model)


@pytest.mark.parametrize("stops", [(1,), (5, 6, 7), (13,), tuple(range(1, 24))])
def test_paused_and_taken_up_again_it_learns_the_same(stops):
    training = small_training()
    for stop in stops:
        for step in training.steps():
            if step.index >= stop:
                break
        training.accuracy()
        torch.rand(7)
    list(training.steps())
    assert_same(weights(training.model), uninterrupted())
    assert [step.index for step in training.history] == list(range(1, 25))


@pytest.mark.parametrize("taken", [0, 1, 9, 24])
def test_restarted_it_learns_the_same(taken):
    training = small_training()
    first = weights(training.model)
    for _ in range(taken):
        training.step()
    training.restart()
    assert_same(weights(training.model), first)
    assert (training.index, training.history, len(training.tests)) == (0, [], 1)
    list(training.steps())
    assert_same(weights(training.model), uninterrupted())


def test_an_interrupted_step_can_be_taken_again():
    class Interrupted(nn.Sequential):
        moody = False

        def forward(self, x):
            if self.moody and self.training:
                raise KeyboardInterrupt
            return super().forward(x)

    training = Training(Interrupted(small()), examples(), examples(30, 2), epochs=4, batch_size=10)
    for _ in range(6):
        training.step()
    training.model.moody = True
    with pytest.raises(KeyboardInterrupt):
        training.step()
    training.model.moody = False
    list(training.steps())
    expected = uninterrupted()
    assert_same(weights(training.model[0]), expected)


def test_another_seed_is_another_order():
    trainings = [small_training(seed=seed) for seed in (0, 1)]
    for training in trainings:
        training.step()
    first, second = (weights(training.model) for training in trainings)
    assert not torch.equal(first["1.weight"], second["1.weight"])


def test_the_readers_settings_stay_as_they_are():
    model = small()
    model.eval()
    model[2].train()
    modes = [part.training for part in model.modules()]
    training = Training(model, examples(), examples(30, 2), epochs=1, batch_size=10)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with torch.no_grad():
        list(training.steps())
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert [part.training for part in model.modules()] == modes
    assert torch.is_grad_enabled()
    hooks = [getattr(part, name) for part in model.modules() for name in vars(part) if name.endswith("_hooks")]
    assert hooks and not any(hooks)


def test_a_frozen_layer_stays_as_it_is():
    training = small_training()
    training.model[1].requires_grad_(False)
    before = weights(training.model)
    step = training.step()
    assert torch.equal(training.model[1].weight, before["1.weight"]) and "1.weight" not in step.gradients
    assert not torch.equal(training.model[4].weight, before["4.weight"])


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_a_diverging_training_stops_with_its_last_good_weights(rate):
    training = small_training(learning_rate=rate)
    training.model.append(nn.Linear(3, 3))
    training = Training(training.model, examples(), examples(30, 2), learning_rate=rate, batch_size=10)
    first = weights(training.model)
    with pytest.raises(Diverged, match=r"diverged at step \d+: .* smaller learning rate than 1"):
        list(training.steps())
    assert_same(weights(training.model), first)
    assert isinstance(training.diverged, CnnvizError)
    taken = training.index
    with pytest.raises(Diverged):
        training.step()
    assert training.index == taken and all(math.isfinite(step.loss) for step in training.history)
    training.restart()
    assert training.diverged is None and training.step().index == 1


def test_the_last_good_weights_are_those_of_the_epoch():
    training = small_training()
    for _ in range(6):
        training.step()
    good = weights(training.model)
    for _ in range(3):
        training.step()
    with torch.no_grad():
        training.model[4].weight.mul_(1e6)
    with pytest.raises(Diverged, match="at step 10"):
        training.step()
    assert_same(weights(training.model), good)
    assert training.held_out_accuracy == training.tests[-1][1]


def test_gradients_that_are_no_numbers_do_not_reach_the_weights():
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return x[:, 0, 0, :3] * self.scale.sqrt()  # its slope at 0 is infinite

    training = Training(Steep(), examples(), examples(30, 2), batch_size=10)
    with pytest.raises(Diverged):
        training.step()
    assert torch.equal(training.model.scale, torch.zeros(3))


def test_a_dead_network_is_known_to_guess():
    training = small_training()
    assert not training.guessing
    with torch.no_grad():
        training.model[4].weight.zero_()
    training.learning_rate = 1e-12
    for index in range(6):
        assert not training.guessing, f"after {index} steps it is too early to say"
        training.step()
    assert training.guessing
    good = small_training(learning_rate=0.02, epochs=10)
    list(good.steps())
    assert not good.guessing


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 0}, "learning rate must be a number above 0, not 0"),
        ({"learning_rate": -1.0}, "above 0, not -1.0"),
        ({"learning_rate": float("nan")}, "above 0, not nan"),
        ({"learning_rate": "fast"}, "above 0, not 'fast'"),
        ({"epochs": 0}, "number of epochs .* at least 1, not 0"),
        ({"batch_size": 0}, "batch size .* at least 1, not 0"),
        ({"batch_size": 2.5}, "batch size .* whole number .* not 2.5"),
        ({"seed": -1}, "seed .* at least 0, not -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(WrongSetting, match=words):
        small_training(**settings)


def test_examples_without_labels_are_refused():
    pictures, labels = examples()
    with pytest.raises(WrongSetting, match="60 pictures and 50 labels"):
        Training(small(), (pictures, labels[:50]), (pictures, labels))
    with pytest.raises(WrongSetting, match="0 pictures"):
        Training(small(), (pictures, labels), (pictures[:0], labels[:0]))


def test_there_is_no_step_after_the_last():
    training = small_training(epochs=1)
    list(training.steps())
    with pytest.raises(WrongSetting, match="All 6 steps are taken"):
        training.step()


def test_a_batch_larger_than_the_examples_is_all_of_them():
    training = small_training(batch_size=1000, epochs=3)
    assert (training.batch_size, training.total) == (60, 3)


def test_train_takes_every_step(capsys):
    model = small()
    training = train(model, examples(), examples(30, 2), epochs=4, batch_size=10, progress=False)
    assert training.model is model and training.finished
    assert_same(weights(model), uninterrupted())
    assert capsys.readouterr() == ("", "")


def test_predictions_are_those_of_eval_mode_whatever_the_batch():
    model, (pictures, _labels) = small().train(), examples()
    model(pictures)
    before = weights(model)
    logits = predictions(model, pictures, batch_size=7)
    assert model.training and not logits.requires_grad
    assert_same(weights(model), before)
    torch.testing.assert_close(logits, model.eval()(pictures))


def test_confusion_counts_every_pair():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 4, generator=generator), torch.randint(0, 4, (200,), generator=generator)
    expected = torch.zeros(4, 4, dtype=torch.long)
    for scores, label in zip(logits, labels, strict=True):
        expected[label, scores.argmax()] += 1
    assert torch.equal(confusion(logits, labels, 4), expected)
    assert not torch.equal(expected, expected.T)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lenet_reads_95_of_100_digits_it_has_never_seen(seed):
    training = train(lenet(seed), seed=seed, progress=False)
    assert len(training.held_out[1]) == 1000 and len(training.labels) == 4000
    assert training.tests[0][1] < 0.25
    assert training.held_out_accuracy >= 0.95


def test_a_learning_rate_far_too_large_diverges_on_the_digits():
    model = lenet(0)
    first = weights(model)
    with pytest.raises(Diverged):
        train(model, *split_digits(100), learning_rate=1.0, progress=False)
    assert_same(weights(model), first)


# What other networks and other examples bring to light


def test_our_adam_is_torchs_where_a_parameter_has_a_gradient_only_now_and_then():
    layers = [nn.Linear(4, 3).double() for _ in range(2)]
    copies = copy.deepcopy(layers)
    optimiser = torch.optim.Adam([p for layer in copies for p in layer.parameters()], lr=0.01)
    ours = Adam(nn.ModuleList(layers).parameters())
    generator = torch.Generator().manual_seed(0)
    for index in range(40):
        inputs = torch.randn(8, 4, generator=generator, dtype=torch.float64)
        for first, second in (layers, copies):
            for parameter in (*first.parameters(), *second.parameters()):
                parameter.grad = None
            (first(inputs) + (second(inputs) if index % 3 == 2 else 0)).square().sum().backward()
        ours.step(0.01)
        optimiser.step()
    for mine, theirs in zip(layers, copies, strict=True):
        torch.testing.assert_close(mine.weight, theirs.weight, rtol=0, atol=1e-12)


def test_weights_that_exploded_at_the_end_of_an_epoch_are_not_the_good_ones():
    training = small_training(batch_size=60, learning_rate=1e4)  # every step begins an epoch
    first = weights(training.model)
    with pytest.raises(Diverged):
        list(training.steps())
    assert_same(weights(training.model), first)


def test_an_explosion_in_the_very_last_step_is_told_too():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 3))
    first = weights(model)
    training = Training(model, examples(), examples(30, 2), epochs=1, batch_size=60, learning_rate=1e30)
    with pytest.raises(Diverged, match="at step 1:"):
        list(training.steps())
    assert_same(weights(model), first)
    assert not training.finished and training.logits.isfinite().all()


def test_dropout_draws_from_the_seed_of_the_training_alone():
    training = Training(nn.Sequential(small(), nn.Dropout(0.3)), examples(), examples(30, 2), epochs=2, batch_size=10)
    state = torch.get_rng_state()
    list(training.steps())
    assert torch.equal(torch.get_rng_state(), state), "the reader's random numbers stay where they were"
    expected = weights(training.model)
    training.restart()
    for _step in training.steps():
        torch.rand(3)
    assert_same(weights(training.model), expected)


@pytest.mark.parametrize("rate", [1e38, 1e300, 10**400, math.inf])
def test_a_rate_beyond_float32_is_refused_at_once(rate):
    with pytest.raises(WrongSetting, match="above 0"):
        small_training(learning_rate=rate)


def test_numbers_of_numpy_are_numbers():
    training = small_training(learning_rate=np.float32(0.01), seed=np.int64(3), epochs=np.int64(2))
    assert training.step().index == 1 and training.seed == 3


def test_labels_and_pictures_of_other_types_are_taken():
    pictures, labels = examples()
    list(small_training().steps())
    for other in ((pictures, labels.int()), (pictures.numpy(), labels.numpy()), (pictures, labels.tolist())):
        training = Training(small(), other, other, epochs=4, batch_size=10)
        list(training.steps())
        assert_same(weights(training.model), uninterrupted())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x, y + 3), "has 3 answers, so the labels must be 0 to 2; there is a [345]"),
        (lambda x, y: (x, y - 1), "there is a -1"),
        (lambda x, y: (x, y.float()), "labels whole numbers"),
        (lambda x, y: (x, nn.functional.one_hot(y)), "labels whole numbers"),
        (lambda x, y: (x.byte(), y), "Pictures must be floats"),
        (lambda x, y: (x[..., 1:], y), r"cannot read pictures of shape \[1, 4, 3\]"),
        (lambda x, y: x, "a pair"),
        (lambda x, y: (None, None), "a pair"),
    ],
)
@pytest.mark.parametrize("held_out", [False, True])
def test_examples_that_do_not_suit_the_network_are_refused_before_the_first_step(change, words, held_out):
    wrong, right = change(*examples()), examples()
    with pytest.raises(WrongSetting, match=words):
        Training(small(), *((right, wrong) if held_out else (wrong, right)))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (small().requires_grad_(False), "no weights that can be trained"),
        (nn.Conv2d(1, 3, 3), r"a number for each class, \[N, classes\]"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(model, words):
    with pytest.raises(WrongSetting, match=words):
        Training(model, examples(), examples(30, 2))


def test_a_network_by_name_is_trained_as_its_module_is():
    network = Network(small(), size=4, mean=(0.5,), std=(0.5,))
    training = train(network, examples(), examples(30, 2), epochs=4, batch_size=10, progress=False)
    assert training.model is network.module
    assert_same(weights(network.module), uninterrupted())


def test_confusion_refuses_what_has_no_cell():
    with pytest.raises(WrongSetting, match="0 to 9"):
        confusion(torch.eye(26)[[13, 2]], torch.tensor([0, 2]), 10)  # it would have counted in the cell (1, 3)
    with pytest.raises(WrongSetting, match="0 to 4"):
        confusion(torch.eye(5)[[1, 2]], torch.tensor([0, 7]), 5)


# Whatever draws, draws from the seed


class Drops(nn.Module):
    """Draws by functions that are no modules, in each pass."""

    def __init__(self):
        super().__init__()
        self.inner = small()

    def forward(self, x):
        x = nn.functional.dropout(x, 0.4, training=self.training)
        if self.training:
            x = x + 0.1 * torch.randn_like(x) + 0.1 * torch.rand(x.shape)
        return self.inner(x)


def losses(model: nn.Module, **settings) -> list[float]:
    training = Training(model, examples(), examples(30, 2), **{"epochs": 2, "batch_size": 10, "seed": 4, **settings})
    return [step.loss for step in training.steps()]


def test_functions_that_draw_do_so_from_the_seed_and_leave_torchs_generator_alone():
    state = torch.get_rng_state()
    first = losses(Drops())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert losses(Drops()) == first
    assert losses(Drops(), seed=5) != first


def busy(work):
    """A context in which another thread repeats `work` all the time."""

    @contextlib.contextmanager
    def running():
        stop, troubles, rounds = threading.Event(), [], [0]

        def loop():
            while not stop.is_set():
                try:
                    work()
                    rounds[0] += 1
                except Exception as error:
                    troubles.append(error)
                    return

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield rounds
        finally:
            while not rounds[0] and thread.is_alive():
                time.sleep(0.001)
            stop.set()
            thread.join()
        assert troubles == []

    return running()


def test_another_thread_that_draws_meanwhile_changes_nothing():
    first, model = losses(Drops(), epochs=6), Drops()
    with busy(lambda: torch.rand(50)):
        assert losses(model, epochs=6) == first


# Looking never disturbs learning


class Convolutional(nn.Module):
    """With batch norm and dropout, as layer and as function; one that cannot be copied is asked itself."""

    def __init__(self, locked: bool):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv, self.norm, self.drop = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Dropout(0.3)
            self.head = nn.Linear(6, 3)
        if locked:
            self.stream = (number for number in range(3))

    def forward(self, x):
        x = self.drop(self.norm(self.conv(x)).relu())
        return self.head(nn.functional.dropout(x, 0.2, self.training).mean((2, 3)))


def look(model: nn.Module) -> None:
    """Everything that techniques ask."""
    pictures = examples(3, 7)[0]
    occlusion(model, pictures[:1], 1, 2, 2, progress=False)
    feature_maps(model, pictures, "conv")
    kernels_of(model, pictures, "norm")
    layer_codes(model, pictures, "norm", pooled=True)
    grad_cam(model, pictures[:1], 1, "norm")
    predictions(model, pictures)


@pytest.mark.parametrize("locked", [False, True])
def test_looking_between_the_steps_changes_nothing_of_what_is_learned(locked):
    expected = Training(Convolutional(locked), examples(), examples(30, 2), epochs=2, batch_size=10)
    wanted = [step.loss for step in expected.steps()]
    training = Training(Convolutional(locked), examples(), examples(30, 2), epochs=2, batch_size=10)
    training.model.norm.eval()
    modes = [part.training for part in training.model.modules()]
    found = []
    for step in training.steps():
        found.append(step.loss)
        before = fingerprint(training.model)
        look(training.model)
        assert fingerprint(training.model) == before
    assert found == wanted
    assert [part.training for part in training.model.modules()] == modes
    assert_same(weights(training.model), weights(expected.model))


@pytest.mark.parametrize("locked", [False, True])
def test_looking_from_another_thread_changes_nothing_of_what_is_learned(locked):
    def learned(model):
        training = Training(model, examples(), examples(30, 2), epochs=6, batch_size=10)
        return [step.loss for step in training.steps()]

    reference, model = Convolutional(locked), Convolutional(locked)
    expected = learned(reference)
    with busy(lambda: look(model)) as rounds:
        found = learned(model)
    assert rounds[0] > 0
    assert found == expected
    assert all(part.training for part in model.modules())
    assert_same(weights(model), weights(reference))


# What other networks put out, and other holders of examples


class Auxiliary(nn.Module):
    """A classifier half-way up that speaks in training only, as in Inception."""

    def __init__(self, kind=tuple):
        super().__init__()
        self.inner, self.side, self.kind = small(), nn.Linear(16, 3), kind

    def forward(self, x):
        scores = self.inner(x)
        return self.kind((scores, self.side(x.flatten(1)))) if self.training else scores


InceptionOutputs = collections.namedtuple("InceptionOutputs", ["logits", "aux_logits"])


@pytest.mark.parametrize("kind", [tuple, lambda pair: InceptionOutputs(*pair)])
def test_the_tuple_of_inception_is_trained_with_three_tenths_of_the_auxiliary_loss(kind):
    torch.manual_seed(0)
    model = Auxiliary(kind)
    twin = copy.deepcopy(model).train()
    training = Training(model, examples(), examples(30, 2), batch_size=60, epochs=1)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    pictures, labels = (values[order] for values in examples())
    main, aside = (nn.functional.cross_entropy(scores, labels) for scores in twin(pictures))
    (main + 0.3 * aside).backward()
    step = training.step()
    assert step.loss == pytest.approx(main.item(), abs=1e-6)
    assert step.gradients == pytest.approx({n: p.grad.norm().item() for n, p in twin.named_parameters()}, abs=1e-5)


def test_torchvisions_inception_takes_a_step():
    models = pytest.importorskip("torchvision.models")
    model = models.googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=3)
    pictures = torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 2, 0])
    training = Training(model, pictures, pictures, batch_size=4, epochs=1)
    assert math.isfinite(training.step().loss)


class Single(nn.Module):
    """One score a picture: of yes."""

    def __init__(self, squeezed: bool = False):
        super().__init__()
        self.inner, self.squeezed = small(), squeezed
        self.inner[4] = nn.Linear(12, 1)

    def forward(self, x):
        return self.inner(x)[:, 0] if self.squeezed else self.inner(x)


@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("wanted", [lambda y: y, lambda y: y.float(), lambda y: y.float()[:, None], lambda y: y.bool()])
@pytest.mark.parametrize("output", [None, "softmax", "sigmoid"])
def test_a_single_score_learns_yes_and_no(squeezed, wanted, output):
    torch.manual_seed(0)
    model = Single(squeezed)
    twin = copy.deepcopy(model).train()
    pictures, labels = examples(300)
    yes = (labels == 2).long()
    named = model if output is None else Network(model, ["no", "yes"], (0.5,), (0.5,), 4, output=output)
    training = Training(named, (pictures, wanted(yes)), (pictures, wanted(yes)), epochs=6, learning_rate=0.02)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:50]
    loss = nn.functional.binary_cross_entropy_with_logits(twin(pictures[order]).flatten(), yes[order].float())
    loss.backward()
    step = training.step()
    assert step.loss == pytest.approx(loss.item(), abs=1e-5)
    assert step.gradients == pytest.approx({n: p.grad.norm().item() for n, p in twin.named_parameters()}, abs=1e-5)
    list(training.steps())
    assert training.held_out_accuracy > 0.9
    said = predictions(named, pictures).softmax(1)[:, 1]
    torch.testing.assert_close(said, model.eval()(pictures).flatten().sigmoid())


def test_a_single_score_has_no_third_answer():
    with pytest.raises(WrongSetting, match="labels must be 0 to 1; there is a 2"):
        Training(Single(), examples(), examples())


def test_independent_labels_learn_each_by_itself():
    torch.manual_seed(0)
    network, (pictures, labels) = Network(small(), mean=(0.5,), std=(0.5,), size=4, output="sigmoid"), examples()
    twin = copy.deepcopy(network.module).train()
    training = Training(network, (pictures, labels), (pictures, labels), batch_size=60, epochs=1)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    wanted = nn.functional.one_hot(labels[order], 3).float()
    loss = nn.functional.binary_cross_entropy_with_logits(twin(pictures[order]), wanted)
    assert training.step().loss == pytest.approx(loss.item(), abs=1e-6)


def test_what_a_network_reads_from_a_dictionary_is_trained():
    class Speaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small()

        def forward(self, x):
            return {"scores": self.inner(x)}

    network = Network(Speaks(), mean=(0.5,), std=(0.5,), size=4, output=lambda output: output["scores"])
    train(network, examples(), examples(30, 2), epochs=4, batch_size=10, progress=False)
    assert_same(weights(network.module.inner), uninterrupted())
    with pytest.raises(WrongSetting, match="a number for each class"):
        Training(Speaks(), examples(), examples(30, 2))


class Numbered(torch.utils.data.Dataset):
    """A Dataset as in torch's own tutorial: with a length, and an item for any number."""

    def __init__(self, kind=int, broken=None):
        (self.pictures, self.labels), self.kind, self.broken = examples(), kind, broken

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        if number == self.broken:
            raise OSError("no such file")
        number %= len(self.labels)
        return self.pictures[number], self.kind(self.labels[number])


class Streamed(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from zip(*examples(), strict=True)


@pytest.mark.parametrize(
    "held",
    [
        lambda: Numbered(),
        lambda: Numbered(torch.as_tensor),
        lambda: Streamed(),
        lambda: torch.utils.data.TensorDataset(*examples()),
        lambda: torch.utils.data.DataLoader(Numbered(), batch_size=7),
        lambda: torch.utils.data.DataLoader(Streamed(), batch_size=7),
        lambda: [(picture.numpy(), int(label)) for picture, label in zip(*examples(), strict=True)],
    ],
)
def test_examples_are_taken_from_whatever_holds_them(held):
    state = torch.get_rng_state()
    training = Training(small(), held(), held(), epochs=4, batch_size=10)
    list(training.steps())
    assert_same(weights(training.model), uninterrupted())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loader_that_shuffles_does_so_alike_each_time():
    def held():
        return torch.utils.data.DataLoader(Numbered(), batch_size=7, shuffle=True)

    first, second = as_tensors(held()), as_tensors(held())
    assert torch.equal(first[0], second[0]) and not torch.equal(first[0], examples()[0])
    assert sorted(first[1].tolist()) == sorted(examples()[1].tolist())


def test_examples_that_cannot_be_read_or_held_are_refused_in_one_sentence():
    with pytest.raises(WrongSetting, match="Item 3 of the examples cannot be read. OSError: no such file"):
        as_tensors(Numbered(broken=3))
    with pytest.raises(WrongSetting, match=r"all be of one size, not of \[1, 4, 4\], \[1, 5, 4\]"):
        as_tensors([(torch.rand(1, 4 + number % 2, 4), 0) for number in range(3)])
    with pytest.raises(WrongSetting, match="GB of memory"):
        as_tensors([(torch.rand(1).expand(3, 20_000, 20_000), 0)] * 3)
    for wrong in (5, "mnist", [1, 2, 3], {"a": 1}, object()):
        with pytest.raises(WrongSetting, match="Examples are Digits, a pair|cannot be read"):
            as_tensors(wrong)


def test_pictures_without_an_axis_of_channels_are_given_one_where_it_is_wanted():
    (pictures, labels), (other, answers) = examples(), examples(30, 2)
    torch.manual_seed(0)
    convolutional = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 3))
    twin = copy.deepcopy(convolutional)
    trainings = [
        Training(convolutional, (pictures[:, 0], labels), (other[:, 0], answers), batch_size=10),
        Training(twin, (pictures, labels), (other, answers), batch_size=10),
    ]
    assert trainings[0].step().loss == trainings[1].step().loss
    assert trainings[0].pictures.shape == (60, 1, 4, 4)

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(4, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    training = Training(Rows(), (pictures[:, 0], labels), (other[:, 0], answers), batch_size=10)
    assert math.isfinite(training.step().loss) and training.pictures.shape == (60, 4, 4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("held_out", [False, True])
def test_a_picture_that_is_no_picture_is_named(value, held_out):
    (pictures, labels), right = examples(), examples()
    pictures[17, 0, 2, 2] = value
    with pytest.raises(WrongSetting, match="Picture number 17, counted from 0, holds values that are not numbers"):
        Training(small(), *((right, (pictures, labels)) if held_out else ((pictures, labels), right)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_network_of_another_type_learns_too(dtype):
    training = Training(small().to(dtype), examples(600), examples(200, 2), epochs=5, batch_size=10, learning_rate=0.02)
    list(training.steps())
    assert training.held_out_accuracy > 0.8
    assert {value.dtype for value in training.model.parameters()} == {dtype}
    assert training.logits.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_our_adam_keeps_half_precision_from_losing_the_small():
    parameter = nn.Parameter(torch.ones(3, dtype=torch.float16))
    adam = Adam([parameter])
    parameter.grad = torch.full((3,), 1e-4, dtype=torch.float16)  # its square is 0 in float16
    adam.step(0.1)
    torch.testing.assert_close(parameter.detach().float(), torch.full((3,), 0.9), rtol=0, atol=1e-3)


def test_inside_inference_mode_it_learns_the_same():
    with torch.inference_mode():
        model = small()
    training = small_training()
    with torch.inference_mode():
        training.restart()
        list(training.steps())
    assert_same(weights(training.model), uninterrupted())
    with pytest.raises(WrongSetting, match="outside of it"):
        Training(model, examples(), examples())


def test_pictures_do_not_change_each_others_predictions_where_norms_have_no_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten())
    pictures = examples(6)[0] * torch.arange(1.0, 7)[:, None, None, None]
    alone = torch.cat([model.eval()(one) for one in pictures.split(1)]).detach()
    torch.testing.assert_close(predictions(model, pictures), alone)


def test_what_a_module_raises_in_training_is_one_sentence():
    class Stops(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small()

        def forward(self, x):
            if self.training:
                raise RuntimeError("not\nnow")
            return self.inner(x)

    training = Training(Stops(), examples(), examples(30, 2))
    with pytest.raises(CnnvizError, match="RuntimeError: not now") as caught:
        training.step()
    assert isinstance(caught.value.__cause__, RuntimeError)
