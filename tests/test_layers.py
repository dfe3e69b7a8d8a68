import threading
from collections import OrderedDict

import pytest
import torch
from torch import nn

from cnnviz_widgets import load_network
from cnnviz_widgets.errors import CnnvizError, UnknownLayer
from cnnviz_widgets.layers import LayerInfo, find_layer, layer_tree, record


class Small(nn.Module):
    """A convolution, an in-place ReLU used twice, a layer that is never called, and a container."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.body = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3, bias=False), relu=nn.ReLU(inplace)))
        self.shift = nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(2, 3)
        with torch.no_grad():
            self.body.conv.weight[0], self.body.conv.weight[1] = 1.0, -1.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.body.relu(self.shift(self.body(inputs)))
        return self.head(hidden.mean((2, 3)))


class Pair(nn.Module):
    def forward(self, inputs):
        return inputs, inputs + 1


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in module.modules())


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(1, 1, 5, 6, generator=torch.Generator().manual_seed(0)) + 0.5


def test_layers_are_listed_as_they_run_with_shapes_and_parameters(picture):
    layers = layer_tree(Small(), picture)
    assert layers == [
        LayerInfo("body.conv", "Conv2d", (1, 2, 3, 4), 18),
        LayerInfo("body.relu", "ReLU", (1, 2, 3, 4), 0, calls=2),
        LayerInfo("shift", "Conv2d", (1, 2, 3, 4), 6),
        LayerInfo("head", "Linear", (1, 3), 9),
    ]


def test_containers_come_after_their_parts_when_asked_for(picture):
    layers = layer_tree(Small(), picture, containers=True)
    assert [layer.name for layer in layers if not layer.leaf] == ["body"]
    names = [layer.name for layer in layers]
    assert names.index("body") == names.index("body.relu") + 1
    assert layers[names.index("body")].parameters == 18


def test_the_tree_of_the_bundled_network():
    network = load_network()
    layers = layer_tree(network, network.preprocess("cat"), containers=True)
    shapes = {layer.name: layer.output_shape for layer in layers}
    assert layers[0].name == "stem.conv" and layers[-1].name == "classifier"
    assert shapes["stem"] == (1, 32, 112, 112) and shapes["block7_1"] == (1, 320, 7, 7)
    assert shapes["head.relu"] == (1, 1280, 7, 7) and shapes["classifier"] == (1, 1000)
    assert sum(layer.parameters for layer in layers if layer.leaf) == 4_652_008


def test_the_tree_needs_no_memory_on_the_meta_device():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 50_000, 3), nn.Flatten(), nn.Linear(50_000 * 100 * 100, 1000))
        layers = layer_tree(model, torch.empty(64, 3, 102, 102))
    assert layers[2].parameters == 50_000 * 100 * 100 * 1000 + 1000


def test_the_tree_leaves_modes_hooks_and_statistics_alone(picture):
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), Small()).train()
    model[0].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.random.get_rng_state()
    layer_tree(model, picture)
    assert [part.training for part in model][:3] == [False, True, True] and hooks(model) == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state()) and torch.is_grad_enabled()
    with pytest.raises(RuntimeError):
        layer_tree(model, torch.rand(1, 4, 5, 6))
    assert hooks(model) == 0 and model[1].training


def test_layers_that_put_out_no_tensor_are_left_out_of_the_tree():
    assert [layer.name for layer in layer_tree(nn.Sequential(nn.Identity(), Pair()), torch.rand(2, 3))] == ["0"]


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("gradients", [True, False])
def test_what_is_recorded_is_what_the_layer_put_out(picture, inplace, gradients):
    model = Small(inplace)
    with record(model, ["body.conv"]) as seen, torch.set_grad_enabled(gradients):
        model(picture)
    box = nn.functional.avg_pool2d(picture, 3, 1) * 9
    torch.testing.assert_close(seen["body.conv"], torch.cat([box, -box], 1))  # the ReLU behind it would clip -box
    assert (seen["body.conv"][:, 1] < 0).all()


def test_recording_does_not_change_what_the_network_puts_out(picture):
    model = Small()
    expected = model(picture)
    with record(model, ["body.conv", "body", "body.relu"]):
        assert torch.equal(model(picture), expected)


def test_a_layer_that_runs_twice_gives_both_outputs(picture):
    model = Small()
    with record(model, ["body.relu", "shift"]) as seen, torch.no_grad():
        model(picture)
    first, second = seen.calls["body.relu"]
    torch.testing.assert_close(second, model.shift(first).relu())
    assert torch.equal(seen["body.relu"], second) and len(seen.calls["shift"]) == 1
    with record(model, "shift") as seen, torch.no_grad():
        model(picture)
        model(2 * picture)
    assert len(seen.calls["shift"]) == 2


def test_gradients_at_a_recorded_layer(picture):
    for inplace in (True, False):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace), nn.Flatten(), nn.Linear(24, 3))
        with record(model, ["0"]) as seen:
            score = model(picture)[0, 1]
        gradient = torch.autograd.grad(score, seen["0"])[0]
        by_hand = model[3].weight[1].reshape(1, 2, 3, 4) * (seen["0"] > 0)
        torch.testing.assert_close(gradient, by_hand)
        assert all(parameter.grad is None for parameter in model.parameters())


def test_hooks_are_gone_afterwards_also_after_an_error(picture):
    model = Small()
    with record(model, ["shift", "body"]) as seen:
        assert hooks(model) == 2
    assert hooks(model) == 0
    with pytest.raises(ZeroDivisionError), record(model, ["shift"]):
        raise ZeroDivisionError
    with pytest.raises(RuntimeError), record(model, ["shift"]):
        model(torch.rand(1, 3, 5, 5))
    with pytest.raises(UnknownLayer), record(model, ["shift", "nowhere"]):
        pass
    assert hooks(model) == 0
    with pytest.raises(UnknownLayer, match="run the network inside"):
        seen["shift"]


def test_only_calls_of_the_recording_thread_are_recorded(picture):
    model = Small()
    with record(model, ["shift"]) as seen, torch.no_grad():
        model(picture)
        other = threading.Thread(target=model, args=(picture + 5,))
        other.start()
        other.join(10)
    assert len(seen.calls["shift"]) == 1
    torch.testing.assert_close(seen["shift"], model.shift(model.body(picture)))


def test_an_unknown_layer_offers_the_nearest(picture):
    with pytest.raises(UnknownLayer, match="Did you mean body.conv"), record(Small(), ["body.con"]):
        pass
    with pytest.raises(UnknownLayer, match="Did you mean body.relu"):
        find_layer(Small(), "relu")
    with pytest.raises(UnknownLayer, match="Did you mean unused, body"):
        find_layer(Small(), "")
    assert isinstance(find_layer(Small(), "body.relu"), nn.ReLU)


def test_one_module_under_two_names_is_recorded_under_both():
    model = nn.Module()
    model.first = model.second = nn.ReLU()
    with record(model, ["first", "second"]) as seen:
        model.first(torch.tensor([-1.0, 2.0]))
    assert seen["first"].tolist() == seen["second"].tolist() == [0, 2]
    assert {name: len(calls) for name, calls in seen.calls.items()} == {"first": 1, "second": 1}


def test_a_layer_that_puts_out_no_tensor_is_refused_when_it_runs():
    model = nn.Sequential(nn.Identity(), Pair())
    with pytest.raises(CnnvizError, match='"1" puts out a tuple, not a tensor'), record(model, ["1"]):
        model(torch.rand(2))
    assert hooks(model) == 0
