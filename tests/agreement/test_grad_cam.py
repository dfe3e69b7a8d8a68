"""Grad-CAM on real networks beside Captum, and with weights made meaningless."""

import pytest
import torch
from captum.attr import LayerGradCam

from cnnviz_widgets import CnnvizError, Network, architecture, load_network
from cnnviz_widgets.layers import find_layer
from cnnviz_widgets.techniques.grad_cam import grad_cam
from tests.helpers import fingerprint

pytestmark = pytest.mark.agreement


@pytest.fixture(scope="module")
def bundled():
    return load_network()


@pytest.fixture(scope="module")
def mobilenet():
    """torchvision's, with weights drawn from a seed and statistics of a few pictures; in float64, as maps are tiny."""
    models = pytest.importorskip("torchvision.models")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = models.mobilenet_v2(weights=None).train()
        with torch.no_grad():
            module(torch.randn(8, 3, 96, 96))
    return Network(module.eval().double(), size=160)


def captums(network, inputs, target, layer):
    return LayerGradCam(network.module, find_layer(network, layer)).attribute(inputs, target)[0, 0].detach()


def largest_relative_difference(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("layer", [None, "block4_2", "stem"])
@pytest.mark.parametrize("label", ["tiger cat", "espresso"])
def test_on_the_bundled_network_it_is_captums(bundled, label, layer, inplace):
    network = bundled
    for part in network.module.modules():
        if hasattr(part, "inplace"):
            part.inplace = inplace
    inputs, target = network.preprocess("cat"), network.class_index(label)
    before = fingerprint(network.module)
    ours = grad_cam(network, inputs, target, layer, signed=True)
    assert fingerprint(network.module) == before
    theirs = captums(network, inputs, target, ours.layer)
    assert largest_relative_difference(ours.map, theirs) < 1e-5
    assert torch.equal(grad_cam(network, inputs, target, layer).map, ours.map.clamp(min=0))


@pytest.mark.parametrize("layer", [None, "features.13", "features.18.0", "features.1.conv.0"])
@pytest.mark.parametrize("target", [0, 640])
def test_on_mobilenet_it_is_captums(mobilenet, target, layer):
    inputs = mobilenet.preprocess("cat")
    ours = grad_cam(mobilenet, inputs, target, layer, signed=True)
    theirs = captums(mobilenet, inputs, target, ours.layer)
    assert largest_relative_difference(ours.map, theirs) < 1e-5


def test_random_weights_give_another_map(bundled):
    """The sanity check of Adebayo et al., "Sanity Checks for Saliency Maps" (2018)."""
    inputs, target = bundled.preprocess("cat"), bundled.class_index("tiger cat")
    maps = [grad_cam(each, inputs, target, signed=True).map.flatten() for each in (bundled, load_network(weights=None))]
    assert torch.corrcoef(torch.stack(maps))[0, 1].abs() < 0.7


def test_each_class_has_its_place(bundled):
    """The likeliest class is the default; the maps of two animals and a cup differ."""
    inputs = bundled.preprocess("cat")
    assert grad_cam(bundled, inputs).label == bundled.predict("cat", 1)[0][0]
    first, second = (grad_cam(bundled, inputs, label, signed=True).map.flatten() for label in ("tabby", "espresso"))
    assert torch.corrcoef(torch.stack([first, second]))[0, 1] < 0.5


def test_what_has_no_weights_is_refused_in_a_sentence():
    with pytest.raises(CnnvizError, match="without weights"):
        grad_cam(architecture("efficientnet_lite0"), torch.rand(1, 3, 224, 224), 0)
