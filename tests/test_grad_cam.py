"""Grad-CAM against the paper written line by line, against CAM, and the proof that the model stays as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz_widgets.errors import CnnvizError, UnknownClass, UnknownLayer, WrongSetting
from cnnviz_widgets.networks import Network
from cnnviz_widgets.techniques.grad_cam import grad_cam
from tests.helpers import fingerprint


def picture(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(seed))


def network(inplace: bool = False, classes: int = 4, seed: int = 0) -> nn.Sequential:
    """Two convolutions with all that has a mode or a buffer between them, and two dense layers behind pooling."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 5, 3),
            nn.BatchNorm2d(5),
            nn.ReLU(inplace=inplace),
            nn.Conv2d(5, 6, 3, padding=1),
            nn.ReLU(inplace=inplace),
            nn.Dropout(0.5),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(6 * 5 * 4, 8),
            nn.Tanh(),
            nn.Linear(8, classes),
        )
        module(torch.rand(8, 3, 12, 10))  # statistics
    return module


def from_the_paper(module: nn.Module, inputs: torch.Tensor, index: int, layer: int) -> torch.Tensor:
    """Equations 1 and 2 of Selvaraju et al. (2017), one number after another; before the ReLU of the second."""
    module = module.double().eval()
    maps = module[: layer + 1](inputs.double()).detach().clone().requires_grad_()
    score = module[layer + 1 :](maps.clone())[0, index]
    gradient = torch.autograd.grad(score, maps)[0]
    _one, channels, height, width = maps.shape
    result = torch.zeros(height, width, dtype=torch.float64)
    for k in range(channels):
        alpha = 0.0
        for i in range(height):
            for j in range(width):
                alpha += gradient[0, k, i, j].item() / (height * width)
        result += alpha * maps[0, k].detach()
    return result


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("layer", [0, 1, 3, 4])
@pytest.mark.parametrize("index", [0, 2])
def test_it_is_the_papers(inplace, layer, index):
    expected = from_the_paper(network(), picture(), index, layer)
    assert (expected > 0).any() and (expected < 0).any()
    signed = grad_cam(network(inplace), picture(), index, str(layer), signed=True)
    torch.testing.assert_close(signed.map.double(), expected, rtol=1e-5, atol=1e-7)
    plain = grad_cam(network(inplace), picture(), index, str(layer))
    torch.testing.assert_close(plain.map.double(), expected.clamp(min=0), rtol=1e-5, atol=1e-7)
    assert (plain.layer, plain.signed, signed.signed, plain.warning) == (str(layer), False, True, "")


def test_it_says_what_the_network_says():
    found = grad_cam(network(), picture(), 2, "3")
    logits = network().eval()(picture())[0].detach()
    assert found.score == pytest.approx(logits[2].item(), rel=1e-5)
    assert found.probability == pytest.approx(logits.softmax(0)[2].item(), rel=1e-5)
    assert found.label == "class 2"
    assert found.map.dtype == found.weights.dtype == torch.float32
    assert found.map.shape == (10, 8) and found.weights.shape == (6,)


def pooled(classes: int = 3) -> nn.Sequential:
    """Ends in global average pooling and one linear layer, as CAM needs it."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, classes)
    ).eval()


def test_behind_global_pooling_it_is_cam():
    """Zhou et al., "Learning Deep Features for Discriminative Localization" (2016), over the number of places."""
    module = pooled()
    maps = module[:2](picture())[0].detach()
    cam = torch.einsum("k,khw->hw", module[4].weight[1].detach(), maps) / maps[0].numel()
    torch.testing.assert_close(grad_cam(module, picture(), 1, "1", signed=True).map, cam, rtol=1e-5, atol=1e-8)


def test_without_a_layer_it_takes_the_proposed_one_and_without_a_target_the_likeliest():
    module = pooled()
    found = grad_cam(module, picture())
    assert found.layer == "1"
    best = int(module(picture()).argmax())
    assert found.label == f"class {best}"
    assert torch.equal(found.map, grad_cam(module, picture(), best, "1").map)


def test_a_label_is_a_target():
    named = Network(pooled(), labels=["cat", "dog", "cup"], size=(12, 10))
    found = grad_cam(named, picture(), "dog")
    assert found.label == "dog"
    assert torch.equal(found.map, grad_cam(named, picture(), 1).map)


# How the network is read


class Reads(nn.Module):
    """What another network puts out, changed."""

    def __init__(self, module, change):
        super().__init__()
        self.inner, self.change = module, change

    def forward(self, x):
        return self.change(self.inner(x))


def replica(index, change=lambda scores: scores):
    """The map of `network()` for what `change` makes of its scores, in float64."""
    module = network().double().eval()
    maps = module[:4](picture().double()).detach().requires_grad_()
    score = change(module[4:](maps))[0, index]
    weights = torch.autograd.grad(score, maps)[0].mean((2, 3))[0]
    return torch.einsum("k,khw->hw", weights, maps[0].detach()), score.item()


def test_a_module_that_ends_in_softmax_is_read_by_the_logarithm():
    expected, score = replica(1, lambda scores: scores.log_softmax(1))
    found = grad_cam(Reads(network(), lambda scores: scores.softmax(1)), picture(), 1, "inner.3", signed=True)
    torch.testing.assert_close(found.map.double(), expected, rtol=1e-4, atol=1e-7)
    assert found.score == pytest.approx(score, rel=1e-4)
    assert found.probability == pytest.approx(torch.tensor(score).exp().item(), rel=1e-4)


def test_independent_labels_have_a_probability_each():
    expected, score = replica(1)
    network_of_labels = Network(network(), size=(12, 10), output="sigmoid")
    found = grad_cam(network_of_labels, picture(), 1, "3", signed=True)
    torch.testing.assert_close(found.map.double(), expected, rtol=1e-5, atol=1e-7)
    assert found.probability == pytest.approx(torch.tensor(score).sigmoid().item(), rel=1e-5)


@pytest.mark.parametrize("squeezed", [False, True])
def test_one_logit_is_read_by_the_sigmoid(squeezed):
    module = Reads(network(classes=1), lambda scores: scores[:, 0] if squeezed else scores)
    z = module.eval()(picture()).flatten()[0].item()
    found = grad_cam(module, picture(), 0, "inner.3", signed=True)
    assert found.score == pytest.approx(z, rel=1e-5)
    assert found.probability == pytest.approx(torch.tensor(z).sigmoid().item(), rel=1e-5)
    sides = Network(module, labels=["no", "yes"], size=(12, 10), output="sigmoid")
    yes, no = (grad_cam(sides, picture(), label, "inner.3", signed=True) for label in ("yes", "no"))
    assert torch.equal(yes.map, found.map)
    torch.testing.assert_close(no.map, -found.map)
    assert yes.probability + no.probability == pytest.approx(1)


def test_a_target_is_any_function_of_what_the_module_returns():
    module = Reads(network(), lambda scores: {"scores": scores, "name": "x"})
    expected, score = replica(0, lambda scores: (scores[:, 2] - scores[:, 0])[:, None])

    def more_two_than_zero(output):
        return output["scores"][:, 2] - output["scores"][:, 0]

    found = grad_cam(module, picture(), more_two_than_zero, "inner.3", signed=True)
    torch.testing.assert_close(found.map.double(), expected, rtol=1e-5, atol=1e-7)
    assert found.score == found.probability == pytest.approx(score, rel=1e-5)
    assert found.label == "more_two_than_zero"
    read = Network(module, size=(12, 10), output=lambda output: output["scores"])
    torch.testing.assert_close(
        grad_cam(read, picture(), 1, "inner.3", signed=True).map.double(), replica(1)[0], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(("dtype", "near"), [(torch.bfloat16, 0.1), (torch.float16, 0.02), (torch.float64, 1e-5)])
def test_a_network_of_another_type_gives_nearly_the_same_map(dtype, near):
    expected = grad_cam(network(), picture(), 1, "3", signed=True).map
    found = grad_cam(network().to(dtype), picture(), 1, "3", signed=True)
    assert found.map.dtype == torch.float32
    assert (found.map - expected).norm() < near * expected.norm()


class ChannelsLast(nn.Module):
    """Works on [N, h, w, K], as the blocks of ConvNeXt and Swin do."""

    def __init__(self):
        super().__init__()
        self.conv, self.turned, self.head = nn.Conv2d(3, 5, 3), nn.Identity(), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.turned(self.conv(x).permute(0, 2, 3, 1)).tanh().mean((1, 2)))


def test_channels_that_come_last_are_channels():
    torch.manual_seed(0)
    module = ChannelsLast()
    found, expected = (grad_cam(module, picture(), 2, layer, signed=True) for layer in ("turned", "conv"))
    assert found.map.shape == (10, 8) and found.weights.shape == (5,)
    torch.testing.assert_close(found.map, expected.map)


def test_in_inference_mode_it_is_the_same():
    expected = grad_cam(network(), picture(), 1, "3").map
    with torch.inference_mode():
        assert torch.equal(grad_cam(network(), picture() + 0, 1, "3").map, expected)
        assert torch.is_inference_mode_enabled()


# What is differentiated, and what is not


class Wall(torch.autograd.Function):
    """Lets tensors through on the way there and nothing on the way back."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise AssertionError("the gradient came as far as this")


class Walled(nn.Module):
    def __init__(self, locked=False):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3)
        if locked:
            self.stream = (number for number in range(3))  # cannot be copied

    def forward(self, x):
        return self.second(Wall.apply(self.first(x)) * 1).sum((2, 3))


@pytest.mark.parametrize("locked", [False, True])
def test_nothing_before_the_layer_is_differentiated(locked):
    module = Walled(locked)
    assert grad_cam(module, picture(), 1, "second", signed=True).map.any()
    with pytest.raises(CnnvizError, match="as far as this"):
        grad_cam(module, picture(), 1, "first")


@pytest.mark.parametrize("locked", [False, True])
def test_the_model_is_as_it_was_also_after_an_error(locked):
    module = Reads(network(inplace=True), lambda scores: scores)
    module.eval()
    module.inner[5].train()
    module.inner[3].requires_grad_(False)
    F.cross_entropy(module(picture()), torch.tensor([1])).backward()
    if locked:
        module.stream = (number for number in range(3))
    before, inputs = fingerprint(module), picture().requires_grad_()
    found = grad_cam(module, inputs, 1, "inner.3")
    assert fingerprint(module) == before
    assert inputs.grad is None and not found.map.requires_grad and not found.weights.requires_grad
    for arguments, error in (
        ((inputs, 9, "inner.3"), UnknownClass),
        ((inputs, 1, "inner.33"), UnknownLayer),
        ((inputs, 1, "inner.10"), WrongSetting),
        ((inputs[:, :2], 1, "inner.3"), CnnvizError),
        ((inputs, lambda scores: scores[:, :2], "inner.3"), WrongSetting),
    ):
        with pytest.raises(error):
            grad_cam(module, *arguments)
        assert fingerprint(module) == before


def test_other_weights_give_another_map():
    """The sanity check of Adebayo et al., "Sanity Checks for Saliency Maps" (2018)."""
    maps = [grad_cam(network(seed=seed), picture(), 1, "3", signed=True).map.flatten() for seed in (0, 1)]
    assert torch.corrcoef(torch.stack(maps))[0, 1].abs() < 0.9


def test_a_layer_that_runs_several_times_is_looked_at_where_it_ran_last():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.conv(self.relu(self.conv(x)) * 2)).mean((2, 3))

    torch.manual_seed(1)
    module = Twice()
    found = grad_cam(module, picture(), 0, "relu", signed=True).map
    with torch.no_grad():
        last = module(picture())
        maps = module.relu(module.conv(module.relu(module.conv(picture())) * 2))
    torch.testing.assert_close(found, maps[0, 0] / maps[0, 0].numel())
    assert last.shape == (1, 3)


# What is odd is said


def test_a_map_with_nothing_for_the_class_says_so():
    module = pooled()
    with torch.no_grad():
        module[4].weight[1] = -module[4].weight[1].abs()
        module[0].bias.fill_(1.0)
    named = Network(module, labels=["cat", "dog", "cup"], size=(12, 10))
    found = grad_cam(named, picture(), "dog", "1")
    assert not found.map.any() and found.weights.any()
    assert "speaks against dog" in found.warning
    signed = grad_cam(named, picture(), "dog", "1", signed=True)
    assert signed.map.min() < 0 and signed.warning == ""


@pytest.mark.parametrize("change", [lambda s: s * 0 + 1, lambda s: s.detach(), lambda s: s.sign()])
def test_gradients_that_vanish_are_told_from_evidence_against(change):
    found = grad_cam(Reads(network(), change), picture(), 1, "inner.3")
    assert not found.map.any()
    assert "gradients at this layer are all zero" in found.warning


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("10", '"10" puts out 4, numbers without a place'),
        ("7", "numbers without a place"),
        ("nowhere", "no layer"),
    ],
)
def test_a_layer_without_maps_is_refused_in_one_sentence(layer, says):
    with pytest.raises(CnnvizError, match=says):
        grad_cam(network(), picture(), 1, layer)


def test_a_layer_that_does_not_run_and_one_place_are_refused():
    module = pooled()
    module.unused = nn.Conv2d(3, 3, 1)
    module.forward = lambda x: nn.Sequential(*list(module)[:5])(x)
    with pytest.raises(CnnvizError, match='"unused" does not run'):
        grad_cam(module, picture(), 1, "unused")
    with pytest.raises(WrongSetting, match="one place only"):
        grad_cam(pooled(), picture(), 1, "2")


@pytest.mark.parametrize("inputs", [picture()[0], picture().expand(2, -1, -1, -1), "cat", picture().numpy()])
def test_anything_but_one_picture_is_refused(inputs):
    with pytest.raises(WrongSetting, match="one picture as a tensor"):
        grad_cam(network(), inputs, 1, "3")


def test_what_the_module_raises_is_one_sentence():
    def stop(_scores):
        raise RuntimeError("no more\nof this")

    with pytest.raises(CnnvizError, match="RuntimeError: no more of this") as caught:
        grad_cam(Reads(network(), stop), picture(), 1, "inner.3")
    assert isinstance(caught.value.__cause__, RuntimeError)
