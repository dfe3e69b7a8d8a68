"""The panel that shows layers side by side: its numbers, its pictures, every control, and networks of all kinds."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz_widgets import LayerExplorer, Network, images, load_network
from cnnviz_widgets.errors import CnnvizError, UnknownLayer, WrongSetting
from cnnviz_widgets.explorers import layers as module_under_test
from cnnviz_widgets.layers import layer_tree, record, shown_layers, spread
from cnnviz_widgets.networks import architecture
from cnnviz_widgets.networks.untrained import untrained
from cnnviz_widgets.render.layer_rows import DENSITY, GAP, fitted, range_in_words
from cnnviz_widgets.techniques.feature_maps import chosen_channels
from tests.helpers import fingerprint
from tests.panels import held_worker


class Small(nn.Module):
    """A VGG in small: in-place ReLUs, poolings, a linear layer."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 20, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(20, 6)

    def forward(self, inputs):
        return self.classifier(self.features(inputs).mean((2, 3)))


class Functional(nn.Module):
    """Its ReLUs are functions."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3, stride=2), nn.Conv2d(8, 9, 3)

    def forward(self, inputs):
        return F.relu(self.third(F.relu(self.second(F.relu(self.first(inputs)))))).mean((2, 3))


class Reusing(nn.Module):
    """One ReLU and one convolution, each run twice."""

    def __init__(self):
        super().__init__()
        self.enter, self.again, self.relu = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, inputs):
        first = self.relu(self.enter(inputs))
        return self.relu(self.again(self.again(first))).mean((2, 3))


class Tuples(nn.Module):
    """Puts out a tuple, and so does one of its layers."""

    def __init__(self):
        super().__init__()
        self.conv, self.pair = nn.Conv2d(3, 6, 3), nn.LSTM(6, 5, batch_first=True)

    def forward(self, inputs):
        maps = self.conv(inputs)
        return self.pair(maps.flatten(2).movedim(1, 2))[0].mean(1), maps


def wrapped(module, size=32):
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return Network(module.eval(), size=size)


@pytest.fixture
def small():
    return wrapped(Small())


@pytest.fixture
def panel(small):
    panel = LayerExplorer(small, channels=3, layers=["features.0", "features.4", "features.7"])
    yield panel
    panel.close()


def by_hand(network, image, name):
    """What `features.<n>` puts out, from running the layers up to it one by one, none in place."""
    values = network.preprocess(image)
    with torch.no_grad():
        for layer in network.module.features[: int(name.partition(".")[2]) + 1]:
            values = F.relu(values) if isinstance(layer, nn.ReLU) else layer(values)
    return values[0]


def grey(values, zoom):
    """A map without negative numbers as it should look: black is 0, white its largest number."""
    share = (values.numpy() / max(float(values.max()), 1e-12)).clip(0, 1)
    return (share * 255).round().astype(np.uint8)[..., None].repeat(3, 2).repeat(zoom, 0).repeat(zoom, 1)


def place_of(picture, sheet, tile):
    """Row of pixels and number of the column at which `picture` stands in `sheet`; None if nowhere."""
    height, width = picture.shape[:2]
    for column, left in enumerate(range(0, sheet.shape[1] - width + 1, (tile + GAP) * DENSITY)):
        for top in range(sheet.shape[0] - height + 1):
            part = sheet[top : top + height, left : left + width]
            if (part[0] == picture[0]).all() and np.abs(part.astype(int) - picture).max() <= 1:
                return top, column
    return None


def tile_of(panel):
    networks = 2 if panel.weights.value == "both" else 1
    return min(112, 672 // (panel.channels.value * networks) - GAP)


# The first state -----------------------------------------------------------------------------------------------------


def test_values_are_what_the_layers_put_out_also_before_an_in_place_relu(small, panel):
    assert list(panel.value) == ["features.0", "features.4", "features.7"]
    for name, output in panel.value.items():
        torch.testing.assert_close(output, by_hand(small, "cat", name), rtol=0, atol=1e-5)
    assert float(panel.value["features.0"].min()) < 0  # the ReLU behind it works in place
    assert set(panel.untrained) == set(panel.value)
    correlation = np.corrcoef(panel.value["features.7"].flatten(), panel.untrained["features.7"].flatten())[0, 1]
    assert abs(correlation) < 0.9


def test_every_map_stands_in_its_row_and_column_as_squares(panel):
    tile = tile_of(panel)
    tops = []
    for name, side in (("features.4", 16), ("features.7", 8)):
        zoom = tile * DENSITY // side // 2 * 2
        for channel in range(3):
            picture = grey(panel.value[name][channel], zoom)
            top, column = place_of(picture, panel.views["trained"].image, tile)
            assert column == channel
            assert place_of(picture, panel.views["untrained"].image, tile) is None
        tops.append(top)
    assert tops == sorted(tops)


def test_signed_maps_are_red_above_zero_and_blue_below(panel):
    values = panel.value["features.0"][0].numpy()
    zoom = tile_of(panel) * DENSITY // 32 // 2 * 2
    sheet = panel.views["trained"].image.astype(int)
    warm = sheet[..., 0] - sheet[..., 2]
    for top in range(sheet.shape[0] - 32 * zoom):  # where the picture of the signs is
        part = warm[top : top + 32 * zoom : zoom, : 32 * zoom : zoom]
        if np.corrcoef(part.flatten(), values.flatten())[0, 1] > 0.9:
            strong = np.abs(values) > np.abs(values).max() / 3
            assert (np.sign(part[strong]) == np.sign(values[strong])).all()
            return
    raise AssertionError("the map is nowhere")


def test_the_four_layers_of_the_bundled_network_go_from_large_maps_to_small():
    panel = LayerExplorer()
    assert panel.layers.value == ("stem.relu", "block2_2", "block5_3", "head.relu")
    assert [tuple(output.shape) for output in panel.value.values()] == [
        (32, 112, 112),
        (24, 56, 56),
        (112, 14, 14),
        (1280, 7, 7),
    ]
    untrained = load_network(weights=None).module
    with torch.no_grad():
        expected = untrained.stem(panel.network.preprocess("cat"))[0]
    torch.testing.assert_close(panel.untrained["stem.relu"], expected, rtol=0, atol=1e-5)
    assert "head.relu" in panel.views["trained"].alt and "Channels: 5" in panel.alt
    panel.close()


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "alexnet", "googlenet", "densenet121", "convnext_tiny"])
def test_layers_are_spread_over_any_network(name):
    network = architecture(name)
    listed = shown_layers(network, torch.empty(1, 3, 224, 224, device="meta"))
    sides = {info.name: info.output_shape[2] for info in listed if len(info.output_shape) == 4}
    chosen = [sides[layer] for layer in spread(network.module, listed)]
    assert len(chosen) == 4 and chosen == sorted(chosen, reverse=True)
    assert len(set(chosen)) >= 3 and chosen[-1] > 1


# Every control -------------------------------------------------------------------------------------------------------


def test_another_picture(small, panel):
    before = panel.views["trained"].image.copy()
    panel.picture.value = "coffee"
    assert panel.settle()
    for name, output in panel.value.items():
        torch.testing.assert_close(output, by_hand(small, "coffee", name), rtol=0, atol=1e-5)
    assert (panel.views["trained"].image != before).mean() > 0.1
    small_picture = images.resize(small.view("coffee"), (tile_of(panel) * DENSITY,) * 2)
    np.testing.assert_array_equal(
        panel.views["trained"].image[: len(small_picture), : len(small_picture)], small_picture
    )


def test_other_layers_come_in_the_order_in_which_they_run(small, panel):
    panel.layers.value = ("features.6", "features.2")
    assert panel.settle()
    assert list(panel.value) == list(panel.untrained) == ["features.2", "features.6"]
    torch.testing.assert_close(panel.value["features.2"], by_hand(small, "cat", "features.2"), rtol=0, atol=1e-5)


def test_weights_one_or_both(panel):
    panel.weights.value = "trained"
    assert panel.settle()
    trained, untrained = panel.views["trained"], panel.views["untrained"]
    assert (trained.layout.display, untrained.layout.display) == (None, "none")
    assert place_of(grey(panel.value["features.7"][2], 2 * tile_of(panel) // 8 // 2 * 2), trained.image, tile_of(panel))
    panel.weights.value = "untrained"
    assert panel.settle()
    assert (trained.layout.display, untrained.layout.display) == ("none", None)
    zoom = 2 * tile_of(panel) // 8 // 2 * 2
    assert place_of(grey(panel.untrained["features.7"][2], zoom), untrained.image, tile_of(panel))
    assert "Untrained" in panel.alt and "Trained: " not in panel.alt


def test_the_untrained_network_is_made_only_when_it_is_shown(small):
    panel = LayerExplorer(small, weights="trained")
    assert panel.untrained == {} and list(panel._modules) == ["trained"]
    value = panel.value
    panel.weights.value = "both"
    assert panel.settle()
    assert set(panel.untrained) == set(value)
    assert all(torch.equal(panel.value[name], value[name]) for name in value)


def test_a_very_large_network_begins_alone(small, monkeypatch):
    monkeypatch.setattr(module_under_test, "LARGE_NETWORK", 1000)
    assert LayerExplorer(small).weights.value == "trained"


def test_how_many_channels(panel):
    panel.channels.value = 1
    wide = panel.views["trained"].image.shape[1]
    panel.channels.value = 8
    tile = tile_of(panel)
    picture = grey(panel.value["features.7"][7], max(2 * tile // 8 // 2 * 2, 2))
    assert place_of(picture, panel.views["trained"].image, tile)[1] == 7
    assert panel.views["trained"].image.shape[1] > wide


def test_from_which_channel(panel):
    panel.start.value = 9
    tile = tile_of(panel)
    zoom = 2 * tile // 16 // 2 * 2
    columns = [
        place_of(grey(panel.value["features.4"][n], zoom), panel.views["trained"].image, tile) for n in (9, 10, 11)
    ]
    assert [column for _top, column in columns] == [0, 1, 2]
    # A layer that ends before it shows its last: the first has 12 channels, of which these are 9, 10 and 11.
    assert chosen_channels(panel.value["features.0"], 3, "first", 19) == [9, 10, 11]


def test_the_strongest_channels(panel):
    panel.which.value = "strongest"
    assert panel.start.layout.display == "none"
    tile = tile_of(panel)
    output = panel.value["features.7"]
    order = output.abs().mean((1, 2)).argsort(descending=True)[:3]
    zoom = 2 * tile // 8 // 2 * 2
    places = [place_of(grey(output[channel], zoom), panel.views["trained"].image, tile) for channel in order]
    assert [column for _top, column in places] == [0, 1, 2]


def test_the_strongest_are_those_with_most_above_zero():
    output = torch.stack([torch.full((2, 2), 1.0), torch.tensor([[8.0, 0], [0, -9]]), torch.full((2, 2), -5.0)])
    assert chosen_channels(output, 2, "strongest") == [1, 0]
    assert chosen_channels(torch.tensor([-3.0, 1.0, 2.0]), 2, "strongest") == [2, 1]


def test_reset_goes_back_to_the_beginning(panel):
    shown, value = panel.views["trained"].image.copy(), panel.value
    panel.picture.value = "coffee"
    panel.layers.value = ("features.2",)
    panel.weights.value, panel.channels.value, panel.which.value = "trained", 2, "strongest"
    panel.settle()
    panel.reset()
    assert panel.settle()
    np.testing.assert_array_equal(panel.views["trained"].image, shown)
    assert all(torch.equal(panel.value[name], value[name]) for name in value)


def test_closing_closes_everything(small):
    from ipywidgets.widgets import widget

    before = set(widget._instances)
    LayerExplorer(small).close()
    assert set(widget._instances) == before


def test_the_picture_of_the_panel_shows_both_sheets(panel):
    snapshot = panel.snapshot()
    panel.weights.value = "trained"
    panel.settle()
    assert snapshot.shape[1] > panel.views["trained"].image.shape[1] // 2
    assert panel._repr_mimebundle_()["text/plain"] == "LayerExplorer()"
    assert (panel.snapshot().shape != snapshot.shape) or (panel.snapshot() != snapshot).any()


def test_maps_are_squares_of_whole_pixels_or_means_of_whole_squares():
    small, large = np.arange(6.0).reshape(2, 3), np.arange(64.0).reshape(8, 8)
    np.testing.assert_array_equal(fitted(small, 19), small.repeat(6, 0).repeat(6, 1))
    np.testing.assert_array_equal(fitted(small, 5), small)
    np.testing.assert_array_equal(fitted(large, 4), large.reshape(4, 2, 4, 2).mean((1, 3)))
    assert fitted(np.ones((3, 100)), 50).shape == (1, 50)


# Networks of all kinds -----------------------------------------------------------------------------------------------


def test_functional_relus():
    network = wrapped(Functional())
    panel = LayerExplorer(network)
    assert list(panel.value) == ["first", "second", "third"]
    with torch.no_grad():
        expected = network.module.first(network.preprocess("cat"))[0]
    torch.testing.assert_close(panel.value["first"], expected)


def test_reused_modules_show_every_call():
    network = wrapped(Reusing())
    panel = LayerExplorer(network, layers=["again", "relu"])
    with torch.no_grad():
        module = network.module
        entered = F.relu(module.enter(network.preprocess("cat")))
        once, twice = module.again(entered), module.again(module.again(entered))
    expected = {"relu (1)": entered, "again (1)": once, "again (2)": twice, "relu (2)": F.relu(twice)}
    assert set(panel.value) == set(expected)
    for name, output in expected.items():
        torch.testing.assert_close(panel.value[name], output[0], rtol=0, atol=1e-4)


def test_a_network_of_timm():
    timm = pytest.importorskip("timm")
    module = timm.create_model("test_resnet", pretrained=False).eval()
    panel = LayerExplorer(module)
    assert len(panel.value) == 4 and all(output.ndim == 3 for output in panel.value.values())
    assert set(panel.untrained) == set(panel.value)


def test_channels_that_come_last():
    timm = pytest.importorskip("timm")
    module = timm.create_model("convnext_atto", conv_mlp=False).eval()
    network = Network(module, size=64)
    panel = LayerExplorer(network, layers=["stages.0.blocks.0.mlp.fc1"], weights="trained")
    assert panel.value["stages.0.blocks.0.mlp.fc1"].shape == (160, 16, 16)
    assert [title for title, name in panel.layers.options if name == "stages.0.blocks.0.mlp.act"] == [
        "stages.0.blocks.0.mlp.act · 160×16×16"
    ]
    with record(module, "stages.0.blocks.0.mlp.fc1") as seen, torch.no_grad():
        module(network.preprocess("cat"))
    output = seen["stages.0.blocks.0.mlp.fc1"]
    assert torch.equal(panel.value["stages.0.blocks.0.mlp.fc1"], output[0].permute(2, 0, 1))
    panel.close()


def test_a_network_that_puts_out_a_tuple_shows_its_layers_and_refuses_the_one_without_maps():
    network = wrapped(Tuples(), size=12)
    panel = LayerExplorer(network)
    assert list(panel.value) == ["conv"]
    with pytest.raises(UnknownLayer, match='"pair" puts out no tensor of channels'):
        LayerExplorer(network, layers=["pair"])


def test_a_layer_without_rows_and_columns_shows_its_numbers(small):
    panel = LayerExplorer(small, layers=["classifier"], channels=6, weights="trained")
    assert panel.value["classifier"].shape == (6,)
    torch.testing.assert_close(panel.value["classifier"], small.logits("cat"))
    sheet, tile = panel.views["trained"].image.astype(int), tile_of(panel)
    numbers = panel.value["classifier"].numpy()
    first = numbers[0]
    row = next(y for y in range(tile * DENSITY, len(sheet)) if (sheet[y, 2] != 255).any() and sheet[y, 2].std() > 3)
    for column, number in enumerate(numbers):
        pixel = sheet[row + 10, column * (tile + GAP) * DENSITY + 10]
        if abs(number) > np.abs(numbers).max() / 4:
            assert np.sign(pixel[0] - pixel[2]) == np.sign(number)
    assert np.isfinite(first)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_other_kinds_of_numbers(small, kind):
    expected = by_hand(small, "cat", "features.0")
    panel = LayerExplorer(Network(small.module.to(kind), size=32), layers=["features.0"])
    assert panel.value["features.0"].dtype == torch.float32
    torch.testing.assert_close(panel.value["features.0"], expected, rtol=0.1, atol=0.1)
    assert panel.untrained["features.0"].dtype == torch.float32


def test_the_network_is_left_as_it_was(small):
    small.module.train()
    small.module.features[0].weight.requires_grad_(False)
    small.module(small.preprocess("cat")).sum().backward()
    before = fingerprint(small.module)
    panel = LayerExplorer(small)
    panel.picture.value = "coffee"
    panel.settle()
    panel.layers.value = ("features.1", "classifier")
    panel.settle()
    panel.close()
    assert fingerprint(small.module) == before


# Kind errors ---------------------------------------------------------------------------------------------------------


def test_settings_that_cannot_be(small):
    with pytest.raises(UnknownLayer, match="Did you mean features.0"):
        LayerExplorer(small, layers=["feature.0"])
    with pytest.raises(WrongSetting, match="1 to 8 channels of each layer, not 9"):
        LayerExplorer(small, channels=9)
    with pytest.raises(WrongSetting, match="Did you mean 'strongest'"):
        LayerExplorer(small, which="strongst")
    with pytest.raises(WrongSetting, match="Did you mean 'trained'"):
        LayerExplorer(small, weights="trainned")
    with pytest.raises(CnnvizError, match="No layer of this network"):
        LayerExplorer(Network(nn.Flatten(0), size=8))


def test_no_layer_or_too_many_is_said_and_the_panel_keeps_what_it_showed(small, panel):
    shown, value = panel.views["trained"].image.copy(), panel.value
    panel.layers.value = ()
    assert panel.status.value == "Choose at least one layer." and panel.status.wrong
    everything = tuple(info.name for info in layer_tree(small, small.preprocess("cat"), containers=True))
    panel.layers.value = everything
    assert f"{len(everything)} layers are chosen; the panel shows 8 at most." in panel.status.value
    panel.settle()
    np.testing.assert_array_equal(panel.views["trained"].image, shown)
    assert panel.value is value
    panel.layers.value = ("features.2",)
    panel.settle()
    assert panel.status.value == "" and list(panel.value) == ["features.2"]


def test_a_broken_file_is_refused_and_a_failing_network_said(small, panel, monkeypatch):
    shown, value = panel.views["trained"].image.copy(), panel.value
    panel.picture.upload("notes.png", b"This is a text.")
    assert "“notes.png” was not taken." in panel.status.value

    def fail(inputs):
        raise RuntimeError("out of chalk")

    monkeypatch.setattr(small.module, "forward", fail)
    panel.picture.value = "coffee"
    assert panel.settle()
    assert "out of chalk" in panel.status.value and panel.status.wrong
    panel.channels.value = 3
    np.testing.assert_array_equal(panel.views["trained"].image, shown)
    assert panel.value is value
    monkeypatch.undo()
    panel.picture.value = "astronaut"
    assert panel.settle()
    torch.testing.assert_close(panel.value["features.0"], by_hand(small, "astronaut", "features.0"), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-4.71, -0.0003, "−4.7 to 0"), (0.0, 0.0, "0 to 0"), (0.3312, 4.2, "0.3 to 4.2"), (-34.4, 31.0, "−34 to 31")],
)
def test_the_ends_of_a_map_are_told_to_the_same_place(low, high, words):
    assert range_in_words(low, high) == words


# State --------------------------------------------------------------------------------------------------------------


def test_the_untrained_network_is_drawn_from_the_seed(small):
    panels = [LayerExplorer(small, layers=["features.0"], seed=seed) for seed in (0, 3, 3)]
    outputs = [panel.untrained["features.0"] for panel in panels]
    with torch.no_grad():
        expected = untrained(small, 3).features[0](small.preprocess("cat"))[0]
    torch.testing.assert_close(outputs[1], expected)
    torch.testing.assert_close(outputs[1], outputs[2], rtol=0, atol=0)
    assert (outputs[0] - outputs[1]).abs().max() > 0.1
    assert (panels[0].views["untrained"].image != panels[1].views["untrained"].image).any()
    for panel in panels:
        panel.close()


def test_a_slow_network_runs_on_the_worker_and_the_panel_stays_whole_meanwhile(small):
    panel = LayerExplorer(small, layers=["features.0"], weights="trained")
    panel._took = 1.0  # as if the network had taken a second
    with held_worker():
        panel.layers.value, panel.weights.value = ("features.4",), "untrained"
        assert panel.status.value == "Computing …"
        panel.channels.value = 2
        assert list(panel.value) == ["features.0"]
        assert [view.layout.display for view in panel.views.values()] == [None, "none"]
    assert panel.settle()
    assert list(panel.value) == list(panel.untrained) == ["features.4"] and panel.status.value == ""
    assert [view.layout.display for view in panel.views.values()] == ["none", None]
    panel.close()


def test_closing_ends_what_is_on_its_way(small):
    panel = LayerExplorer(small, layers=["features.0"])
    panel._took, before = 1.0, panel.value
    with held_worker():
        panel.picture.value = "coffee"
        job = panel._jobs["compute"]
        panel.close()
    assert panel.settle() and job.cancelled and not job.finished
    assert panel.value is before
