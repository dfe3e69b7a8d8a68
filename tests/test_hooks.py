"""Hooks last as long as their `with`, wherever an interrupt comes; layers of every kind are counted and listed once."""

import contextlib
import gc
import sys

import pytest
import torch
from torch import nn

from cnnviz_widgets.layers import find_layer, hooked, hooks, layer_tree, record, tap
from cnnviz_widgets.layers.graph import read_graph, write_graph
from cnnviz_widgets.layers.memory import kept_for_backward, training_memory
from cnnviz_widgets.networks import asking, evaluating, modes


def count(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def interrupted(action, files) -> int:
    """Run `action` again and again, with an interrupt in `files` in turn where Python looks for them: at calls."""
    for stop in range(1, 1000):
        left = stop

        def at_call(frame, event, _argument):
            nonlocal left
            if frame.f_code.co_filename in files and event in ("call", "c_return"):
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt

        sys.setprofile(at_call)
        try:
            action()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        yield stop
        if left > 0:
            return


@pytest.mark.parametrize("way", ["record", "tap", "hooked", "evaluating"])
def test_an_interrupt_at_any_call_leaves_no_hook_and_no_mode(way):
    module, picture = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Dropout()).train(), torch.rand(1, 1, 5, 5)

    def action():
        if way == "record":
            context = record(module, ["0", "1"])
        elif way == "tap":
            context = tap(module, "1")
        elif way == "hooked":
            context = hooked(list(module), lambda *_arguments: None, lambda *_arguments: None)
        else:
            context = evaluating(module)
        with context:
            module(picture)

    stops = 0
    for stop in interrupted(action, {hooks.__file__, contextlib.__file__, modes.__file__}):
        gc.collect(0)
        stops = stop
        assert count(module) == 0, stop
        assert all(part.training for part in module), stop
    assert stops > 8


def test_an_interrupt_while_unobserved_leaves_later_recordings_whole():
    module = nn.Sequential(nn.Conv2d(1, 2, 3))

    def action():
        with asking.unobserved():
            pass

    for _stop in interrupted(action, {asking.__file__, contextlib.__file__}):
        assert asking.depth() == 0
    with record(module, "0") as seen:
        module(torch.rand(1, 1, 5, 5))
    assert seen["0"].shape == (1, 2, 3, 3)


def test_a_forward_pass_ends_at_what_was_asked_for_also_through_a_module_that_catches_everything():
    class Catches(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.behind = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            try:
                hidden = self.inner(x)
            except Exception:
                hidden = x
            self.reached = True
            return self.behind(hidden)

    module = Catches()
    with tap(module, "inner", calls=1) as outputs:
        module(torch.rand(1, 1, 5, 5))
    assert outputs[0].shape == (1, 2, 3, 3) and not hasattr(module, "reached") and count(module) == 0


# What is listed and counted -------------------------------------------------------------------------------------------


def test_parameters_that_two_layers_share_count_once_and_the_tree_says_so():
    first, second = nn.Conv2d(6, 6, 2 * 3 // 2, padding=1, bias=False), nn.Conv2d(6, 6, 3, padding=1)
    second.weight = first.weight
    model = nn.Sequential(first, nn.ReLU(), second)
    layers = {layer.name: layer for layer in layer_tree(model, torch.rand(1, 6, 8, 8), containers=True)}
    total = sum(parameter.numel() for parameter in model.parameters())
    assert sum(layer.parameters for layer in layers.values() if layer.leaf) == total == 330
    assert (layers["0"].parameters, layers["2"].parameters, layers["2"].trainable) == (324, 6, 6)
    assert (layers["0"].shares_with, layers["1"].shares_with, layers["2"].shares_with) == ((), (), ("0",))


def test_two_convolutions_of_one_weight_have_268_parameters():
    first, second = nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3)
    second.weight = first.weight

    class Side(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = first, second, nn.Conv2d(6, 4, 3, bias=False)

        def forward(self, x):
            return self.first(x) + self.second(x)

    layers = layer_tree(Side(), torch.rand(1, 4, 8, 8))
    assert sum(layer.parameters for layer in layers) == 216 + 6 + 6


@pytest.mark.filterwarnings("ignore")
def test_quantised_layers_are_listed():
    quantised = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Flatten(), nn.Linear(25, 6), nn.ReLU(), nn.Linear(6, 3)), {nn.Linear}, dtype=torch.qint8
    )
    layers = layer_tree(quantised, torch.rand(2, 1, 5, 5))
    assert [(layer.name, layer.output_shape) for layer in layers] == [
        ("0", (2, 25)),
        ("1", (2, 6)),
        ("2", (2, 6)),
        ("3", (2, 3)),
    ]


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x):
        hidden = self.conv(x)
        return {"maps": hidden, "scores": [hidden.mean((2, 3)), None], "name": "text"}


def test_the_graph_of_a_module_that_returns_a_dictionary(tmp_path):
    pytest.importorskip("tensorboard")
    module = Named()
    write_graph(module, torch.rand(1, 1, 6, 6), tmp_path)
    assert any("conv" in name and "convolution" in operation for name, operation in read_graph(tmp_path))
    assert count(module) == 0


class Scaled(nn.Module):
    """Numbers that are neither parameters nor buffers, in several places."""

    def __init__(self):
        super().__init__()
        self.mean, self.more = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), [torch.ones(3, 1, 1)]
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        shift = torch.arange(3.0).view(3, 1, 1)
        return self.conv((x - self.mean) + self.more[0] + shift)


def test_what_training_takes_of_a_module_with_tensors_as_attributes():
    module = Scaled()
    before = module.mean.clone()
    inputs = torch.zeros(2, 3, 8, 8)
    assert kept_for_backward(module, inputs) == inputs.nbytes  # the convolution's input
    assert training_memory(module, inputs).parameters == 4 * (4 * 27 + 4)
    assert torch.equal(module.mean, before) and not module.mean.is_meta
    assert find_layer(module, "conv") is module.conv
