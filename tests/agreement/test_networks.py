import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz_widgets import images
from cnnviz_widgets.networks import imagenet_classes, load_network, weights

pytestmark = pytest.mark.agreement


@pytest.fixture(scope="module")
def theirs() -> torch.nn.Module:
    """Timm's network with the same weights, which are in the order of its own entries."""
    timm = pytest.importorskip("timm")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    entries = torch.load(weights.bundled_file(), weights_only=True)
    matched = zip(model.state_dict().items(), entries.values(), strict=True)
    model.load_state_dict({name: entry for (name, _), entry in matched})
    return model.eval()


@pytest.mark.parametrize("size", [224, 225, 160, 97])
def test_the_bundled_network_equals_timm_s_to_the_last_bit(theirs, size):
    ours = load_network()
    picture = images.to_tensor(images.load("cat", size=(size, size + 3)))
    inputs = torch.cat([ours.normalise(picture), ours.normalise(picture).flip(3)])
    with torch.no_grad():
        expected, got = theirs(inputs), ours.module(inputs)
    assert expected.std() > 0.5
    assert torch.equal(got, expected)


def test_the_gradients_are_timm_s_too(theirs):
    ours = load_network()
    gradients = []
    for model in (ours.module, theirs):
        inputs = ours.preprocess("cat").requires_grad_()
        gradients.append(torch.autograd.grad(model(inputs)[0, 282], inputs)[0])
    assert gradients[0].abs().max() > 1e-4
    assert torch.equal(*gradients)


def test_preprocessing_agrees_with_torchvision_s_transforms():
    transforms = pytest.importorskip("torchvision.transforms.v2")
    network = load_network()
    coffee = Image.fromarray(images.load("coffee"))
    pipeline = transforms.Compose(
        [
            transforms.CenterCrop(400),
            transforms.Resize(224, transforms.InterpolationMode.BICUBIC),
            transforms.PILToTensor(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize([127 / 255] * 3, [128 / 255] * 3),
        ]
    )
    torch.testing.assert_close(network.preprocess(np.asarray(coffee))[0], pipeline(coffee), rtol=0, atol=1e-6)


def test_the_labels_are_those_of_torchvision_but_for_one_that_differed_in_case_alone():
    models = pytest.importorskip("torchvision.models")
    categories = models.VGG16_Weights.DEFAULT.meta["categories"]
    differing = {theirs: ours for theirs, ours in zip(categories, imagenet_classes(), strict=True) if theirs != ours}
    assert differing == {"Cardigan": "Cardigan Welsh corgi"}
