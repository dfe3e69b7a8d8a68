"""What training takes: the arithmetic against real training steps, and counts done by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import CnnvizError, WrongSetting
from cnnviz_widgets.layers.memory import TrainingMemory, kept_for_backward, training_memory
from cnnviz_widgets.networks import Network, architecture
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.networks.untrained import untrained
from tests.helpers import fingerprint

DIGITS = torch.zeros(3, 1, 32, 32)


def chain(inplace=False):
    """A linear layer, ReLU and another: 10 → 20 → 5."""
    return nn.Sequential(nn.Linear(10, 20), nn.ReLU(inplace), nn.Linear(20, 5))


def make_optimiser(name, parameters):
    if name == "adam":
        return torch.optim.Adam(parameters)
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9 if name == "sgd_momentum" else 0)


@pytest.mark.parametrize("name", ["sgd", "sgd_momentum", "adam"])
@pytest.mark.parametrize("frozen", [(), ("conv1", "conv2")])
def test_gradients_and_state_are_those_of_a_real_step(name, frozen):
    model = lenet()
    for layer in frozen:
        model.get_submodule(layer).requires_grad_(False)
    optimiser = make_optimiser(name, [p for p in model.parameters() if p.requires_grad])
    model(DIGITS).sum().backward()
    optimiser.step()
    memory = training_memory(model, DIGITS, name)
    kept = [value for state in optimiser.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    assert memory.gradients == sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    assert memory.optimiser == sum(value.nbytes for value in kept if value.ndim)  # a step counter is no state
    assert memory.parameters == sum(p.nbytes for p in model.parameters())
    assert memory.fixed == memory.parameters + memory.gradients + memory.optimiser
    assert memory.total == memory.fixed + memory.activations


def really_kept(model, inputs):
    """Bytes of the tensors that autograd keeps from a real forward pass, parameters and buffers aside."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = model(inputs)
    assert outputs.requires_grad
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


@pytest.mark.parametrize("inplace", [True, False])
def test_what_is_kept_for_backward_by_hand(inplace):
    # The picture and the result of ReLU, which ReLU and the second layer share; in place or not.
    assert kept_for_backward(chain(inplace), torch.zeros(7, 10)) == 4 * 7 * (10 + 20)


def test_what_is_kept_for_backward_as_in_a_real_pass():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3), nn.Flatten()
    )
    inputs = torch.randn(4, 3, 12, 12)
    assert kept_for_backward(model, inputs) == really_kept(model.train(), inputs)


def test_it_grows_with_the_batch_and_nothing_else_does():
    one, four = (training_memory(lenet(), DIGITS[:1].expand(n, -1, -1, -1), "adam") for n in (1, 4))
    assert four.activations == 4 * one.activations > 0
    assert four.fixed == one.fixed


def test_frozen_layers_save_what_lies_before_the_first_that_is_trained():
    model = chain()
    model[0].requires_grad_(False)
    memory = training_memory(model, torch.zeros(7, 10))
    assert memory.gradients == 4 * (20 * 5 + 5)
    assert memory.activations == 4 * 7 * 20  # of the second layer's input; the picture is not needed any more
    model[2].requires_grad_(False)
    assert training_memory(model, torch.zeros(7, 10)).total == memory.parameters


def test_half_precision_takes_half():
    full, half = (
        training_memory(chain().to(kind), torch.zeros(7, 10, dtype=kind)) for kind in (torch.float32, torch.float16)
    )
    assert full == TrainingMemory(
        *(2 * part for part in (half.parameters, half.gradients, half.optimiser, half.activations))
    )


def test_vgg16_for_one_picture():
    vgg = architecture("vgg16")
    memory = training_memory(vgg, torch.empty(1, 3, 224, 224, device="meta"), "adam")
    assert memory.parameters == memory.gradients == 4 * 138_357_544
    assert memory.optimiser == 8 * 138_357_544
    # Each convolution's input, each pooling's indices (8 bytes), and what the linear layers and dropout keep.
    maps = [(3, 224), (64, 224), (64, 112), (128, 112), (128, 56), (256, 56), (256, 56), (256, 28), (512, 28)]
    maps += [
        (512, 28),
        (512, 14),
        (512, 14),
        (512, 14),
        (64, 224),
        (128, 112),
        (256, 56),
        (512, 28),
        (512, 14),
        (512, 7),
    ]
    indices = [(64, 112), (128, 56), (256, 28), (512, 14), (512, 7)]
    by_hand = 4 * sum(c * n * n for c, n in maps) + 8 * sum(c * n * n for c, n in indices)
    assert memory.activations == pytest.approx(by_hand, rel=0.02)


def test_the_model_is_left_as_it_was():
    model = lenet().eval()
    model(DIGITS).sum().backward()
    before = fingerprint(model)
    training_memory(Network(model, mean=[0], std=[1], size=32), DIGITS, "adam")
    assert fingerprint(model) == before


class ReadsNumbers(nn.Module):
    def forward(self, inputs):
        return inputs * float(inputs.max())


def test_kind_errors():
    with pytest.raises(WrongSetting, match="Did you mean 'adam'"):
        training_memory(chain(), torch.zeros(7, 10), "adamm")
    with pytest.raises(CnnvizError, match="does not run without numbers"):
        training_memory(ReadsNumbers(), torch.zeros(1, 3))
    with pytest.raises(CnnvizError, match="does not run without numbers"):
        training_memory(chain(), torch.zeros(1, 3))


# The untrained network


class OwnParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.scale = nn.Parameter(torch.arange(1000.0))

    def forward(self, inputs):
        return self.conv(inputs)


def test_an_untrained_copy_has_the_layers_and_none_of_the_weights():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    nn.init.constant_(model[0].weight, 5.0)
    model.train()(torch.randn(4, 3, 8, 8) + 3)
    before = fingerprint(model)
    copy = untrained(model, seed=1)
    assert fingerprint(model) == before
    assert not copy.training
    bound = 1 / np.sqrt(27)  # of PyTorch's own beginning for a fan-in of 27
    assert 0.8 * bound < float(copy[0].weight.detach().abs().max()) <= bound
    assert torch.equal(copy[1].running_mean, torch.zeros(8)) and int(copy[1].num_batches_tracked) == 0
    assert torch.equal(untrained(model, seed=1)[0].weight, copy[0].weight)
    assert not torch.equal(untrained(model, seed=2)[0].weight, copy[0].weight)


def test_parameters_that_no_layer_knows_how_to_draw_are_shuffled():
    model = OwnParameter()
    scale = untrained(model).scale.detach()
    assert torch.equal(scale.sort().values, model.scale.detach())
    assert abs(float(torch.corrcoef(torch.stack([scale, model.scale.detach()]))[0, 1])) < 0.2


@pytest.mark.parametrize("normed", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_weights_that_are_made_of_others_are_not_kept_either(normed):
    model = normed(nn.Conv2d(3, 8, 3))
    weight, copy = model.eval().weight.detach(), untrained(model).weight.detach()
    assert abs(float(torch.corrcoef(torch.stack([weight.flatten(), copy.flatten()]))[0, 1])) < 0.3


def test_a_network_by_name_is_built_anew_and_a_borrowed_name_is_no_name():
    from cnnviz_widgets import load_network

    fresh = load_network(weights=None, seed=3).module
    again = untrained(load_network(), seed=3)
    assert all(torch.equal(one, other) for one, other in zip(fresh.parameters(), again.parameters(), strict=True))
    mine = Network(nn.Conv2d(3, 4, 3), name="efficientnet_lite0")
    assert isinstance(untrained(mine), nn.Conv2d)


def test_what_cannot_be_copied_is_said():
    model = nn.Conv2d(3, 4, 3)
    model.generator = (number for number in range(3))
    with pytest.raises(CnnvizError, match="cannot be copied"):
        untrained(model)
