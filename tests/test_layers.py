import threading
from collections import OrderedDict

import pytest
import torch
from torch import nn

from cnnviz_widgets import load_network
from cnnviz_widgets.errors import CnnvizError, UnknownLayer
from cnnviz_widgets.layers import (
    LayerInfo,
    channels_first,
    find_layer,
    layer_outputs,
    layer_tree,
    propose_layer,
    record,
)
from cnnviz_widgets.networks import Network, architecture
from tests.helpers import fingerprint


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
        LayerInfo("body.conv", "Conv2d", (1, 2, 3, 4), 18, trainable=18, multiply_adds=2 * 9 * 12),
        LayerInfo("body.relu", "ReLU", (1, 2, 3, 4), 0, calls=2),
        LayerInfo("shift", "Conv2d", (1, 2, 3, 4), 6, trainable=6, multiply_adds=2 * 2 * 12),
        LayerInfo("head", "Linear", (1, 3), 9, trainable=9, multiply_adds=2 * 3),
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
    with pytest.raises(CnnvizError, match=r"stopped on pictures of shape \[1, 4, 5, 6\]") as caught:
        layer_tree(model, torch.rand(1, 4, 5, 6))
    assert isinstance(caught.value.__cause__, RuntimeError)
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
    with pytest.raises(UnknownLayer, match='names as text: "1"'):
        find_layer(nn.Sequential(nn.ReLU(), nn.ReLU()), 1)
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


# Counts -------------------------------------------------------------------------------------------------------------


def meta(name):
    network = architecture(name)
    return network, torch.empty(1, 3, network.size, network.size, device="meta")


@pytest.mark.parametrize(
    "name", ["alexnet", "vgg16", "resnet50", "googlenet", "mobilenet_v2", "densenet121", "convnext_tiny", "swin_t"]
)
def test_layers_add_up_to_what_torchvision_publishes(name):
    published = pytest.importorskip("torchvision.models").get_model_weights(name).DEFAULT.meta
    layers = layer_tree(*meta(name))
    assert sum(layer.parameters for layer in layers) == published["num_params"]
    assert sum(layer.multiply_adds for layer in layers) / 1e9 == pytest.approx(published["_ops"], abs=1e-3)


def test_shapes_of_vgg16_and_resnet50_are_those_of_the_papers():
    shapes = {layer.name: layer.output_shape for layer in layer_tree(*meta("vgg16"))}
    assert shapes["features.0"] == (1, 64, 224, 224) and shapes["features.4"] == (1, 64, 112, 112)
    assert shapes["features.28"] == (1, 512, 14, 14) and shapes["features.30"] == (1, 512, 7, 7)
    assert shapes["classifier.0"] == (1, 4096) and shapes["classifier.6"] == (1, 1000)
    shapes = {layer.name: layer.output_shape for layer in layer_tree(*meta("resnet50"), containers=True)}
    assert shapes["conv1"] == (1, 64, 112, 112)
    stages = [shapes[f"layer{stage}"] for stage in (1, 2, 3, 4)]
    assert stages == [(1, 256, 56, 56), (1, 512, 28, 28), (1, 1024, 14, 14), (1, 2048, 7, 7)]


def test_the_shape_of_a_layer_that_runs_several_times_is_that_of_what_is_recorded():
    network, inputs = load_network("resnet50", weights=None), torch.rand(1, 3, 64, 64)
    relu = next(layer for layer in layer_tree(network, inputs) if layer.name == "layer1.0.relu")
    with record(network, "layer1.0.relu") as seen, torch.no_grad():
        network.module(inputs)
    assert relu.calls == 3 and relu.output_shape == tuple(seen["layer1.0.relu"].shape) == (1, 256, 16, 16)


def test_frozen_parameters_are_not_trainable(picture):
    model = Small()
    model.body.requires_grad_(False)
    model.head.bias.requires_grad_(False)
    counts = {layer.name: (layer.parameters, layer.trainable) for layer in layer_tree(model, picture, containers=True)}
    assert counts["body.conv"] == counts["body"] == (18, 0)
    assert counts["shift"] == (6, 6) and counts["head"] == (9, 6)


def test_multiply_adds_count_every_call_group_and_picture():
    shared = nn.Conv2d(4, 4, 3, padding=1, groups=2)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Flatten(), nn.Linear(4 * 25, 7))
    counts = {layer.name: layer.multiply_adds for layer in layer_tree(model, torch.rand(3, 4, 5, 5))}
    assert counts == {"0": 2 * 3 * (4 * 25) * (2 * 9), "1": 0, "3": 0, "4": 3 * 100 * 7}


def test_a_layer_with_parameters_of_its_own_and_parts_counts_its_own():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.conv = nn.Parameter(torch.ones(2, 1, 1)), nn.Conv2d(1, 2, 3)

        def forward(self, inputs):
            return self.conv(inputs) * self.scale

    model = nn.Sequential(OrderedDict(block=Scaled()))
    layers = {layer.name: layer for layer in layer_tree(model, torch.rand(1, 1, 5, 5))}
    assert layers["block.conv"].parameters == 20 and layers["block"].parameters == 2 and layers["block"].leaf
    assert layers["block.conv"].multiply_adds == 2 * 9 * 9 and layers["block"].multiply_adds == 0


def test_the_work_of_functions_counts_for_the_container_that_calls_them(picture):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(2, 1, 3, 3))

        def forward(self, inputs):
            return nn.functional.conv2d(inputs, self.weight)

    (layer,) = layer_tree(nn.Sequential(Functional()), picture)
    assert layer.multiply_adds == 2 * 9 * 12


def test_looking_at_a_network_leaves_it_alone(picture):
    model = Small().train()
    model(picture).sum().backward()
    before = fingerprint(model)
    layer_tree(model, picture, receptive_fields=True, containers=True)
    propose_layer(model, picture)
    with torch.inference_mode():
        layer_tree(model, picture)
    assert fingerprint(model) == before


# What is recorded, on real architectures ----------------------------------------------------------------------------


@pytest.mark.parametrize("inplace", [True, False])
def test_what_is_recorded_in_vgg_equals_a_network_that_ends_there(inplace):
    vgg = load_network("vgg11", weights=None).module.features
    for part in vgg:
        if isinstance(part, nn.ReLU):
            part.inplace = inplace
    inputs = torch.rand(2, 3, 64, 64)
    names = ["0", "3", "8", "11"]  # convolutions, each with a ReLU behind it
    with record(vgg, names) as seen, torch.no_grad():
        vgg(inputs)
    for name in names:
        cut = vgg[: int(name) + 1]
        with torch.no_grad():
            expected = cut(inputs.clone())
        assert torch.equal(seen[name], expected) and (expected < 0).any()


def test_what_is_recorded_with_functional_relus_is_from_before_them():
    googlenet = load_network("googlenet", weights=None).module
    inputs = torch.rand(1, 3, 64, 64)
    with record(googlenet, ["conv1.bn", "conv1", "inception5b"]) as seen, torch.no_grad():
        googlenet(inputs)
    assert (seen["conv1.bn"] < 0).any()
    assert torch.equal(seen["conv1.bn"].relu(), seen["conv1"])
    with torch.no_grad():
        scores = googlenet.fc(seen["inception5b"].mean((2, 3)))
        torch.testing.assert_close(scores, googlenet(inputs))


def test_a_network_of_timm_is_recorded_and_listed():
    pytest.importorskip("timm")
    network = load_network("timm/mobilenetv3_small_050", weights=None)
    inputs = torch.rand(1, 3, 64, 64)
    layers = {layer.name: layer for layer in layer_tree(network, inputs)}
    with record(network, ["conv_stem", "conv_head"]) as seen, torch.no_grad():
        network.module(inputs)
    torch.testing.assert_close(seen["conv_stem"], network.module.conv_stem(inputs))
    assert layers["conv_head"].output_shape == tuple(seen["conv_head"].shape) == (1, 1024, 1, 1)
    assert sum(layer.parameters for layer in layers.values()) == 1_593_224


def test_half_precision_is_recorded_as_it_is(picture):
    model = Small().to(torch.bfloat16)
    half = picture.to(torch.bfloat16)
    assert [layer.output_shape for layer in layer_tree(model, half)][-1] == (1, 3)
    with record(model, "shift") as seen, torch.no_grad():
        model(half)
    assert seen["shift"].dtype == torch.bfloat16


@pytest.mark.parametrize("own", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("given", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.uint8])
def test_a_picture_of_another_type_is_taken_in_the_network_s(picture, own, given):
    shapes = [layer.output_shape for layer in layer_tree(Small(), picture)]
    network = Small().to(own)
    assert [layer.output_shape for layer in layer_tree(network, picture.to(given))] == shapes
    assert layer_outputs(network, picture.to(given), "shift")["shift"].dtype == own


def test_a_picture_without_numbers_is_named():
    with pytest.raises(CnnvizError, match="on cpu in bfloat16, but the picture is on meta in bfloat16"):
        layer_tree(Small().to(torch.bfloat16), torch.empty(1, 1, 5, 6, device="meta"))


def test_a_network_without_numbers_takes_pictures_with_them(picture):
    assert layer_tree(Small().to("meta"), picture)[0].output_shape == (1, 2, 3, 4)


def test_a_picture_that_is_too_small_is_named():
    for model in (
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 2, 3)),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(4), nn.MaxPool2d(2)),
    ):
        with pytest.raises(CnnvizError, match="picture of 4×4 is too small"):
            layer_tree(model, torch.rand(1, 1, 4, 4))


def test_the_products_of_attention_count_on_every_device():
    models = pytest.importorskip("torchvision.models")
    published = models.get_model_weights("vit_b_32").DEFAULT.meta["_ops"]
    inside = nn.Sequential(OrderedDict(vit=nn.Sequential(models.vit_b_32(weights=None))))
    for device in ("cpu", "meta"):
        layers = layer_tree(inside.to(device), torch.zeros(1, 3, 224, 224, device=device), containers=True)
        (whole,) = (layer for layer in layers if layer.name == "vit")
        assert whole.multiply_adds / 1e9 == pytest.approx(published, abs=0.001)


class Products(nn.Module):
    """Rows as words: two layers of recurrence both ways, and each word with each other."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, inputs):
        words, _state = self.lstm(inputs.flatten(1, 2))
        return nn.functional.scaled_dot_product_attention(words, words, words)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_recurrence_and_attention_as_functions_count_by_hand(device):
    network = nn.Sequential(OrderedDict(inside=Products())).to(device)
    (whole,) = layer_tree(network, torch.rand(3, 1, 7, 6, device=device), containers=True)
    recurrence = 3 * 7 * 2 * (4 * 5 * 6 + 4 * 5 * 5 + 4 * 5 * 10 + 4 * 5 * 5)
    assert whole.multiply_adds == recurrence + 2 * 3 * 7 * 7 * 10


# Other people's modules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normed", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
@pytest.mark.parametrize("bias", [True, False])
def test_what_makes_the_weights_of_a_layer_is_no_layer(picture, normed, bias):
    network = nn.Sequential(normed(nn.Conv2d(1, 2, 3, bias=bias)), nn.ReLU())
    before = fingerprint(network)
    layers = layer_tree(network, picture, containers=True)
    assert [(layer.name, layer.leaf) for layer in layers] == [("0", True), ("1", True)]
    assert layers[0].parameters == sum(parameter.numel() for parameter in network.parameters())
    assert fingerprint(network) == before


@pytest.mark.parametrize("compiled", [torch.jit.script, lambda net: torch.jit.trace(net, torch.rand(1, 1, 5, 6))])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_torch_jit_compiled_cannot_be_looked_into(picture, compiled):
    network = compiled(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval())
    for look in (layer_tree, propose_layer):
        with pytest.raises(CnnvizError, match="torch.jit has compiled cannot be looked into"):
            look(network, picture)
    with pytest.raises(CnnvizError, match="torch.jit has compiled"), record(network, "0"):
        pass
    partly = nn.Sequential(nn.Conv2d(1, 1, 1), network)
    assert [layer.name for layer in layer_tree(partly, picture)] == ["0"]


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_looking_does_not_make_a_lazy_network_what_it_is(picture):
    network = nn.Sequential(nn.LazyConv2d(2, 3), nn.ReLU())
    before = torch.get_rng_state()
    for look in (lambda: layer_tree(network, picture), lambda: Network(network), lambda: record(network, "0")):
        with pytest.raises(CnnvizError, match="lazy layers that wait for a first picture"), look():
            pass
    assert network[0].has_uninitialized_params() and torch.equal(torch.get_rng_state(), before)
    network(picture)
    assert layer_tree(network, picture)[0].output_shape == (1, 2, 3, 4)


def test_a_module_that_wants_more_than_a_picture_says_so(picture):
    class Two(nn.Module):
        def forward(self, picture, mask):
            return picture * mask

    with pytest.raises(CnnvizError, match=r"Two cannot run on a picture alone \(missing .*'mask'\)"):
        layer_tree(Two(), picture)

    class Broken(nn.Module):
        def forward(self, picture):
            return picture + "text"

    with pytest.raises(CnnvizError, match=r"Broken stopped on .*TypeError: .*str") as caught:
        layer_tree(Broken(), picture)  # a mistake inside is not taken for one of the caller
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_picture_with_other_channels_is_named(picture):
    with pytest.raises(CnnvizError, match="takes is 3, that of the picture 1; Network"):
        layer_tree(nn.Conv2d(3, 2, 1), picture)
    with pytest.raises(CnnvizError, match="stopped on .*to have 5 channels"):  # inside, not the picture's
        layer_tree(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(5, 2, 1)), picture)


# Channels last ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer", "maps"),
    [
        ("convnext_tiny", "features.1.0.block.3", (1, 384, 56, 56)),  # the first linear layer of a block
        ("convnext_tiny", "features.1.0.block.4", (1, 384, 56, 56)),  # its activation
        ("convnext_tiny", "features.1.0.block.5", (1, 96, 56, 56)),
        ("swin_t", "features.3.1", (1, 192, 28, 28)),
        ("timm/swin_tiny_patch4_window7_224", "layers.2.blocks.0.norm2", (1, 196, 384)),  # places in one row
        ("timm/swin_tiny_patch4_window7_224", "layers.3", (1, 768, 7, 7)),
        ("convnext_tiny", "features.1.0.block.0", (1, 96, 56, 56)),  # channels first
        ("resnet18", "fc", (1, 1000)),
    ],
)
def test_rows_and_columns_are_told_from_channels(name, layer, maps):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    (info,) = (info for info in layer_tree(*meta(name), containers=True) if info.name == layer)
    assert info.channels_first == maps
    assert channels_first(torch.empty(info.output_shape), info.axes).shape == maps


def test_a_row_of_the_picture_moves_a_row_of_the_map():
    module = load_network("convnext_tiny", weights=None).module
    picture = torch.zeros(1, 3, 32, 48)
    with record(module, "features.1.0.block.2") as seen, torch.no_grad():
        module(picture)
        picture[..., 16:20, :] += torch.rand(3, 4, 48)  # the fifth row of patches; 7×7 windows see three more each way
        module(picture)
    (info,) = (info for info in layer_tree(module, picture) if info.name == "features.1.0.block.2")
    before, after = (channels_first(output, info.axes) for output in seen.calls["features.1.0.block.2"])
    assert before.shape == (1, 96, 8, 12)
    assert (before - after).abs().amax((0, 1, 3)).nonzero().flatten().tolist() == [1, 2, 3, 4, 5, 6, 7]


# The layer for Grad-CAM ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer", "maps"),
    [
        ("efficientnet_lite0", "head.relu", "1280 of 7×7"),
        ("vgg16", "features.29", "512 of 14×14"),  # before the pooling
        ("resnet18", "layer4.1", "512 of 7×7"),  # not its ReLU, which runs twice
        ("googlenet", "inception5b", "1024 of 7×7"),  # not the last of its branches
        ("densenet121", "features.norm5", "1024 of 7×7"),
        ("squeezenet1_1", "features.12", "512 of 13×13"),  # not the map of classes
        ("mobilenet_v2", "features.18.2", "1280 of 7×7"),
        ("mobilenet_v3_small", "features.12.2", "576 of 7×7"),
        ("efficientnet_b0", "features.8.2", "1280 of 7×7"),  # not a gate of squeeze and excitation
        ("convnext_tiny", "features.7.2", "768 of 7×7"),
        ("timm/mobilenetv3_small_050", "blocks.5.0.bn1.act", "288 of 7×7"),  # not the 1×1 convolution after pooling
        ("swin_t", "permute", "768 of 7×7"),
        ("timm/swin_tiny_patch4_window7_224", "norm", "768 of 7×7"),  # its channels come last
    ],
)
def test_the_layer_proposed_for_grad_cam(name, layer, maps):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    proposal, reason = propose_layer(*meta(name))
    assert proposal == layer
    assert reason.startswith(f"{layer} puts out the last maps with spatial extent, {maps}, that everything passes")
    assert "though" not in reason


def test_the_proposed_layer_is_really_passed_by_everything():
    network = load_network()
    inputs = network.preprocess("cat")
    name, _reason = propose_layer(network, inputs)
    with record(network, name) as seen, torch.no_grad():
        scores = network.module(inputs)
        torch.testing.assert_close(network.module.classifier(seen[name].mean((2, 3))), scores)


def test_a_shortcut_round_a_layer_is_not_overlooked():
    class Round(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.head = nn.Linear(4, 3)

        def forward(self, inputs):
            hidden = self.first(inputs).relu()
            return self.head((hidden + self.second(hidden)).mean((2, 3)))

    assert propose_layer(Round(), torch.rand(1, 1, 8, 8)).name == "first"


def test_of_a_network_that_puts_out_maps_not_the_last_is_proposed(picture):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 2, 3))
    assert propose_layer(network, picture).name == "1"


def test_for_a_network_that_puts_out_a_dict_the_reader_must_choose(picture):
    class Named(nn.Sequential):
        def forward(self, inputs):
            return {"out": super().forward(inputs)}

    with pytest.raises(CnnvizError, match="no tensor of scores, so no layer can be proposed: choose one yourself"):
        propose_layer(Named(nn.Conv2d(1, 4, 3)), picture)


def test_a_vision_transformer_s_proposal_comes_with_a_warning():
    name, reason = propose_layer(*meta("vit_b_16"))
    assert name == "conv_proj" and "Most of the network comes behind it" in reason


def test_a_network_without_maps_has_no_layer_for_grad_cam():
    with pytest.raises(CnnvizError, match="No layer of this network has maps with spatial extent"):
        propose_layer(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5)), torch.rand(1, 3, 8, 8))
