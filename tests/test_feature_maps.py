"""Maps against networks cut by hand, their order against plain loops, and what units see against noise."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz_widgets.errors import CnnvizError, UnknownLayer, WrongSetting
from cnnviz_widgets.layers import receptive_field
from cnnviz_widgets.networks import load_network
from cnnviz_widgets.techniques.feature_maps import (
    by_strength,
    feature_maps,
    kernels_of,
    map_layers,
    silent,
    strength,
    strongest_channel,
)
from tests.helpers import fingerprint


def chain(inplace=False):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 3, stride=2),
        nn.ReLU(inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    ).eval()


class Functional(nn.Module):
    """ReLUs as functions, and one convolution that runs twice."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.again, self.scores = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, pictures):
        maps = F.relu(self.first(pictures))
        maps = F.relu(self.again(F.relu(self.again(maps))), inplace=True)
        return self.scores(maps.mean((2, 3)))


class Odd(nn.Module):
    """Puts out a tuple in the middle."""

    def __init__(self, kind):
        super().__init__()
        self.inner, self.kind = nn.Conv2d(3, 4, 3), kind

    def forward(self, pictures):
        maps = self.inner(pictures)
        return (maps, maps) if self.kind is tuple else {"out": maps}


@pytest.fixture(scope="module")
def picture():
    return torch.rand(1, 3, 21, 18, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("inplace", [False, True])
def test_maps_are_those_of_the_network_cut_by_hand(picture, inplace):
    network = chain(inplace)
    cut = chain(False)
    with torch.no_grad():
        for index in range(6):
            expected = cut[: index + 1](picture)
            assert torch.equal(feature_maps(network, picture, str(index)), expected)
            assert torch.equal(feature_maps(network, picture, str(index), call=0), expected)
    assert expected.abs().sum() > 0


def test_a_layer_that_runs_twice_gives_the_call_that_is_asked_for(picture):
    network = Functional()
    with torch.no_grad():
        once = network.again(F.relu(network.first(picture)))
        twice = network.again(F.relu(once))
    assert torch.equal(feature_maps(network, picture, "again", call=0), once)
    assert torch.equal(feature_maps(network, picture, "again", call=1), twice)
    assert torch.equal(feature_maps(network, picture, "again"), twice)
    with pytest.raises(WrongSetting, match="ran 2 times"):
        feature_maps(network, picture, "again", call=2)


def test_the_network_runs_no_further_than_the_call(picture):
    network, ran = chain(), []
    network[4].register_forward_hook(lambda *_arguments: ran.append(True))
    feature_maps(network, picture, "2", call=0)
    assert not ran
    feature_maps(network, picture, "2")
    assert ran


def test_a_layer_takes_a_picture_that_the_rest_of_the_network_refuses():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 6 * 6, 2))
    large = torch.rand(1, 3, 40, 30)
    with torch.no_grad():
        assert torch.equal(feature_maps(network, large, "0"), network[0](large))


def test_half_precision_in_maps_in_full_precision_out(picture):
    network = chain()
    maps = feature_maps(network.half(), picture, "2")
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps, feature_maps(chain(), picture, "2"), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("layer", "kind", "says"),
    [
        ("09", UnknownLayer, "Did you mean"),
        ("8", WrongSetting, 'no map; the last layer with maps is "5"'),
        ("7", WrongSetting, "numbers without a place"),
        ("6", WrongSetting, "one place only"),
    ],
)
def test_a_layer_without_maps_is_refused_in_a_sentence(picture, layer, kind, says):
    with pytest.raises(kind, match=says):
        feature_maps(chain(), picture, layer)


@pytest.mark.parametrize("kind", [tuple, dict])
def test_a_tuple_or_a_dict_is_refused_and_the_layer_inside_is_not(picture, kind):
    network = nn.Sequential(Odd(kind))
    with pytest.raises(CnnvizError, match=f"{kind.__name__}, not a tensor"):
        feature_maps(network, picture, "0")
    assert feature_maps(network, picture, "0.inner").shape == (1, 4, 19, 16)


def test_a_picture_smaller_than_the_stride_is_refused_in_a_sentence():
    with pytest.raises(WrongSetting, match="2 × 2 pixels does not get as far"):
        feature_maps(chain(), torch.rand(1, 3, 2, 2), "4")


def test_the_model_is_bit_for_bit_as_it_was_also_after_an_error(picture):
    network = chain(inplace=True).train()
    network[1].eval()
    before = fingerprint(network)
    feature_maps(network, picture, "2")
    feature_maps(network, picture, "2", call=0)
    kernels_of(network, picture, "2")
    for bad in ("8", "nowhere"):
        with pytest.raises(CnnvizError):
            feature_maps(network, picture, bad)
    with pytest.raises(CnnvizError):
        feature_maps(network, picture[..., :2, :2], "4")
    assert fingerprint(network) == before


# Strength -----------------------------------------------------------------------------------------------------------

MAPS = torch.tensor(
    [
        [[0.0, 0.0], [0.0, 0.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[-9.0, 3.0], [0.0, 0.0]],
        [[-1.0, -1.0], [-1.0, -1.0]],
        [[2.0, 0.0], [2.0, 0.0]],
    ]
)


def test_strength_by_hand():
    assert strength(MAPS).tolist() == [0, 1, 0.75, 0, 1]
    assert strength(MAPS, "peak").tolist() == [0, 1, 3, 0, 2]
    assert silent(MAPS).tolist() == [True, False, False, True, False]
    with pytest.raises(WrongSetting, match="Did you mean 'mean'"):
        strength(MAPS, "men")


@pytest.mark.parametrize("by", ["mean", "peak"])
def test_the_order_is_that_of_a_plain_loop(by):
    maps = torch.randn(40, 5, 7, generator=torch.Generator().manual_seed(3))
    maps[7] = maps[31]  # equals stay in order
    scores = []
    for channel in range(40):
        values = [max(value, 0.0) for value in maps[channel].flatten().tolist()]
        scores.append(max(values) if by == "peak" else sum(values) / len(values))
    expected = sorted(range(40), key=lambda channel: (-round(scores[channel], 6), channel))
    assert by_strength(maps, by).tolist() == expected
    assert strongest_channel(maps, by) == expected[0]
    assert expected.index(7) + 1 == expected.index(31)


# Kernels ------------------------------------------------------------------------------------------------------------


def test_each_layer_s_kernels_are_those_of_the_convolution_before_it(picture):
    network = chain(inplace=True)
    found = {layer: kernels_of(network, picture, layer) for layer in ("0", "1", "2", "3", "4", "5")}
    assert {layer: name for layer, (name, _weights) in found.items()} == {
        "0": "0", "1": "0", "2": "0", "3": "0", "4": "4", "5": "4",
    }  # fmt: skip
    assert torch.equal(found["5"][1], network[4].weight)
    assert kernels_of(network, picture, "8") is None


def test_what_is_added_to_a_shortcut_has_no_kernel_of_its_own():
    network = load_network(weights=None)
    inputs = network.preprocess("cat")[..., :64, :64]
    assert kernels_of(network, inputs, "stem")[0] == "stem.conv"
    assert kernels_of(network, inputs, "block2_1")[0] == "block2_1.project.conv"
    assert kernels_of(network, inputs, "block2_2") is None  # here the input is added


class AddsInPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True)

    def forward(self, pictures):
        maps = self.norm(self.conv(pictures))
        maps += pictures
        return self.act(maps)


def test_what_is_added_in_place_has_no_kernel_either(picture):
    network = nn.Sequential(AddsInPlace()).eval()
    assert kernels_of(network, picture, "0.norm")[0] == "0.conv"
    assert kernels_of(network, picture, "0.act") is None
    assert kernels_of(network, picture, "0") is None


def test_the_kernels_of_a_convolution_whose_weights_are_made(picture):
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    name, weights = kernels_of(nn.Sequential(conv, nn.ReLU()), picture, "1")
    assert name == "0" and torch.equal(weights, conv.weight)


def test_layers_with_maps(picture):
    assert map_layers(chain(), picture) == ("0", "1", "2", "3", "4", "5")


class Block(nn.Module):
    """A block as in ConvNeXt: between its convolution and its sum channels come last."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.LayerNorm(3)
        self.wide, self.act, self.narrow = nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 3)

    def forward(self, pictures):
        hidden = self.norm(self.conv(pictures).permute(0, 2, 3, 1))
        return pictures + self.narrow(self.act(self.wide(hidden))).permute(0, 3, 1, 2)


@pytest.mark.parametrize("known", [True, False], ids=["axes known", "followed"])
def test_maps_whose_channels_come_last_are_turned(picture, known):
    block = Block()
    with torch.no_grad():
        norm = block.norm(block.conv(picture).permute(0, 2, 3, 1))
        wide = block.wide(norm)
        expected = {"norm": norm, "wide": wide, "act": block.act(wide), "narrow": block.narrow(block.act(wide))}
    for layer, maps in expected.items():
        found = feature_maps(block, picture, layer, axes=(1, 2) if known else None)
        assert torch.equal(found, maps.permute(0, 3, 1, 2)) and found.shape[2:] == (21, 18)
        with torch.inference_mode():
            assert torch.equal(feature_maps(block, picture, layer), found)
    assert torch.equal(feature_maps(block, picture, "conv"), block.conv(picture))
    assert map_layers(block, picture) == ("conv", "norm", "wide", "act", "narrow")


class Parts(nn.Module):
    """Two cuttings of each picture, as a detector looks at boxes."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.ReLU()

    def forward(self, pictures):
        maps = self.conv(pictures)
        return self.last(torch.cat([maps[..., :8, :8], maps[..., 8:16, 8:16]]))


def test_maps_that_belong_to_no_picture_are_refused(picture):
    assert map_layers(Parts(), picture) == ("conv",)
    with pytest.raises(WrongSetting, match=r'"last" puts out \[2, 4, 8, 8\] for a batch of 1'):
        feature_maps(Parts(), picture, "last")


def test_a_picture_that_a_module_s_own_check_refuses(picture):
    class Strict(nn.Sequential):
        def forward(self, pictures):
            assert pictures.shape[-2:] == (24, 24), "24×24 it must be"
            return super().forward(pictures)

    with pytest.raises(WrongSetting, match='picture of 21 × 18 pixels does not get as far as "0".*24×24 it must be'):
        feature_maps(Strict(nn.Conv2d(3, 2, 3)), picture, "0")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_maps_come_as_numbers(picture):
    class Quantised(nn.Module):
        def forward(self, pictures):
            return torch.quantize_per_tensor(pictures, 0.01, 0, torch.quint8)

    assert (feature_maps(nn.Sequential(Quantised()), picture, "0") - picture).abs().max() < 0.006


# What a unit sees ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["stem", "block2_1.depthwise", "block3_1.expand", "block3_2"])
@pytest.mark.parametrize("place", [(0, 0), (3, 5), (-1, -1)])
def test_noise_outside_the_field_changes_nothing_and_noise_on_each_side_of_it_does(layer, place):
    network = load_network()
    inputs = network.preprocess("cat")[..., 60:156, 60:156].clone()  # 96 pixels: as many as 32 strides by 3
    clean = feature_maps(network, inputs, layer, call=0)[0]
    y, x = (index % size for index, size in zip(place, clean.shape[1:], strict=True))
    top, left, bottom, right = receptive_field(network, inputs, layer).box(y, x)
    noise = 3 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(4))
    outside = torch.ones_like(inputs, dtype=torch.bool)
    outside[:, :, top:bottom, left:right] = False

    def unit(mask):
        return feature_maps(network, torch.where(mask, noise, inputs), layer, call=0)[0, :, y, x]

    # other pixels of the picture may round the sums of a unit in another order, but do not move them
    torch.testing.assert_close(unit(outside), clean[:, y, x], rtol=0, atol=1e-5)
    for axis, index in itertools.chain(((2, top), (2, bottom - 1)), ((3, left), (3, right - 1))):
        side = torch.zeros_like(outside)
        side[:, :, top:bottom, left:right].select(axis, index - (top if axis == 2 else left)).fill_(True)
        assert (unit(side) - clean[:, y, x]).abs().max() > 1e-4


# Other types and modes


class Statistics(nn.Module):
    """Normalises with the statistics of the batch in eval mode too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.conv(x)).mean((2, 3))


def test_pictures_do_not_change_each_others_maps_where_norms_have_no_statistics():
    torch.manual_seed(0)
    module, pictures = Statistics().eval(), torch.rand(3, 3, 8, 8) * torch.arange(1.0, 4)[:, None, None, None]
    alone = torch.cat([module.norm(module.conv(one)) for one in pictures.split(1)]).detach()
    assert not torch.allclose(module.norm(module.conv(pictures)), alone, atol=0.1)
    torch.testing.assert_close(feature_maps(module, pictures, "norm"), alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_maps_and_kernels_of_a_network_of_another_type(dtype):
    torch.manual_seed(0)
    module, pictures = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.rand(2, 3, 8, 8)
    maps, kernels = feature_maps(module, pictures, "1"), kernels_of(module, pictures, "1")
    module.to(dtype)
    with torch.inference_mode():
        found = feature_maps(module, pictures * 1, "1", call=np.int64(0))
        again = kernels_of(module, pictures * 1, "1")
    assert found.dtype == again[1].dtype == torch.float32
    torch.testing.assert_close(found, maps, rtol=0, atol=0.02)
    assert again[0] == kernels[0] == "0"
    torch.testing.assert_close(again[1], kernels[1], rtol=0, atol=0.01)


def test_what_is_no_tensor_or_has_no_weights_is_refused_in_one_sentence():
    for by in (strength, by_strength):
        with pytest.raises(WrongSetting, match="Give a tensor, not a list"):
            by([1.0])
    with pytest.raises(CnnvizError, match="without weights"):
        feature_maps(nn.Conv2d(3, 4, 3).to("meta"), torch.rand(1, 3, 8, 8), "")


def test_the_layer_may_still_be_given_before_the_inputs(picture):
    network = chain()
    assert torch.equal(feature_maps(network, "2", picture), feature_maps(network, picture, "2"))
    assert kernels_of(network, "2", picture)[0] == kernels_of(network, picture, "2")[0]
