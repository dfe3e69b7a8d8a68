"""Occlusion on the bundled network and the cat: beside Captum, and with weights made meaningless."""

import pytest
import torch
from captum.attr import Occlusion

from cnnviz_widgets import load_network, occlusion
from tests.helpers import fingerprint

pytestmark = pytest.mark.agreement


@pytest.fixture(scope="module")
def network():
    return load_network()


@pytest.mark.parametrize(("window", "stride", "inplace"), [(32, 32, True), (64, 32, False)])
def test_the_map_is_captums(network, window, stride, inplace):
    for module in network.module.modules():
        if hasattr(module, "inplace"):
            module.inplace = inplace
    inputs, target = network.preprocess("cat"), network.class_index("tiger cat")
    before = fingerprint(network.module)
    ours = occlusion(network, inputs, target, window, stride, "grey", progress=False)
    assert fingerprint(network.module) == before
    theirs = Occlusion(network.module).attribute(
        inputs,
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        target=target,
        baselines=sum(network.bounds).expand_as(inputs) / 2,
        perturbations_per_eval=4,
    )
    assert theirs.abs().max() > 0.1
    torch.testing.assert_close(
        ours.per_pixel(ours.clean_logit - ours.logits), theirs[0, 0].float().detach(), rtol=0, atol=1e-4
    )


def test_random_weights_give_another_map(network):
    """The sanity check of Adebayo et al., "Sanity Checks for Saliency Maps" (2018)."""
    inputs, target = network.preprocess("cat"), network.class_index("tiger cat")
    maps = [
        occlusion(each, inputs, target, 56, 56, progress=False).drop.flatten()
        for each in (network, load_network(weights=None))
    ]
    assert torch.corrcoef(torch.stack(maps))[0, 1].abs() < 0.7
