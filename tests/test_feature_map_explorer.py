"""The panel of feature maps without a page: each control moved, each picture compared with numbers."""

import itertools
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from cnnviz_widgets import images, render
from cnnviz_widgets.errors import CnnvizError, UnknownLayer, WrongSetting
from cnnviz_widgets.explorers import FeatureMapExplorer
from cnnviz_widgets.explorers.feature_maps import ROOM
from cnnviz_widgets.networks import Network, architecture
from cnnviz_widgets.render import kernel_tile, map_mosaic, mosaic, upsampled
from cnnviz_widgets.render.mosaics import kernel_mosaic, kernel_tiles
from tests import uploads
from tests.helpers import fingerprint
from tests.panels import LONG, held_worker


def small_network():
    torch.manual_seed(7)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 6, 3, padding=1),
        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight[3] = -module[0].weight[3].abs()
        module[1].bias[3] = -9  # a silent channel
    return Network(module, ["a", "b", "c"], size=33)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture
def panel(network):
    panel = FeatureMapExplorer(network)
    yield panel
    panel.close()


def maps_by_hand(network, count, image="cat"):
    with torch.no_grad():
        maps = network.module[:1](network.preprocess(image))
        for layer in network.module.eval()[1:count]:
            maps = layer(maps.clone())
    return maps[0]


def tile_of(panel, channel):
    """The mosaic's tile of a channel, and where it begins: row, column in pixels."""
    mosaic = panel._mosaic
    row, column = divmod(mosaic.order.index(channel), mosaic.columns)
    top, left = row * (mosaic.tile[0] + mosaic.gap), column * (mosaic.tile[1] + mosaic.gap)
    return panel.mosaic_view.image[top : top + mosaic.tile[0], left : left + mosaic.tile[1]], top, left


def assert_mosaic_drawn(panel, low=None, high=None):
    for channel, values in enumerate(panel.value.numpy()):
        tile, _top, _left = tile_of(panel, channel)
        zoom = tile.shape[0] // values.shape[0]
        expected = render.heat_map(values, panel.colours.value, low, high).repeat(zoom, 0).repeat(zoom, 1)
        assert np.abs(render.as_colour(tile).astype(int) - expected).max() <= 2, channel


def assert_map_drawn(panel, channel):
    values = panel.value[channel].numpy()
    np.testing.assert_array_equal(panel.map_view.image, render.heat_map(values, panel.colours.value))
    assert panel.map_view.caption.startswith(f"Channel {channel}:")
    ends = (0.0, 1.0) if not values.any() else (float(values.min()), float(values.max()))
    assert (panel.map_view.ramp["low"], panel.map_view.ramp["high"]) == tuple(map(render.number, ends))


def test_the_first_state_is_the_first_activation_strongest_first(network, panel):
    assert panel.layer.value == "2"
    torch.testing.assert_close(panel.value, maps_by_hand(network, 3))
    means = panel.value.mean((1, 2)).tolist()
    assert list(panel._mosaic.order) == sorted(range(8), key=lambda channel: -means[channel])
    assert panel.channel.value == panel._mosaic.order[0]
    assert "1 silent" in panel.mosaic_view.caption
    assert panel._mosaic.order[-1] == 3
    assert_mosaic_drawn(panel)
    assert_map_drawn(panel, panel.channel.value)
    np.testing.assert_array_equal(panel.picture_view.image, network.view("cat"))
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == repr(panel) == "FeatureMapExplorer()"
    assert panel.snapshot().shape[1] <= 1100


def test_every_layer(network, panel):
    for count in range(1, 6):
        panel.layer.value = str(count - 1)
        assert panel.settle(LONG)
        torch.testing.assert_close(panel.value, maps_by_hand(network, count))
        assert panel.channel.max == len(panel.value) - 1
        assert panel.channel.value == panel._mosaic.order[0]
        assert_mosaic_drawn(panel)


@pytest.mark.parametrize("order", ["mean", "peak", "number"])
def test_every_order(panel, order):
    panel.order.value = order
    values = panel.value.clamp(min=0).flatten(1)
    scores = {"mean": values.mean(1), "peak": values.amax(1), "number": -torch.arange(8)}[order].tolist()
    assert [scores[channel] for channel in panel._mosaic.order] == sorted(scores, reverse=True)
    assert_mosaic_drawn(panel)


@pytest.mark.parametrize("colours", ["gray", "viridis"])
def test_scale_and_colours(panel, colours):
    panel.colours.value = colours
    assert_mosaic_drawn(panel)
    assert_map_drawn(panel, panel.channel.value)
    panel.scale.value = "common"
    assert_mosaic_drawn(panel, float(panel.value.min()), float(panel.value.max()))


def test_the_channel_is_enlarged_and_framed(panel):
    for channel in (0, 5):
        panel.channel.value = channel
        assert_map_drawn(panel, channel)
        _tile, top, left = tile_of(panel, channel)
        (mark,) = panel.mosaic_view.marks
        assert (mark["y"], mark["x"]) == (top - 1, left - 1)


def test_the_kernels_as_pictures(network, panel):
    panel.shown.value = "kernels"
    weights = network.module[0].weight.detach().numpy()
    for channel in range(8):
        tile, _top, _left = tile_of(panel, channel)
        zoom = tile.shape[0] // 5
        colour = tile[zoom // 2 :: zoom, zoom // 2 :: zoom].transpose(2, 0, 1) / 127.5 - 1
        np.testing.assert_allclose(colour, weights[channel] / np.abs(weights[channel]).max(), atol=0.01)
    panel.layer.value = "4"
    assert panel.settle(LONG)
    assert "one square for each of the 8 maps" in panel.mosaic_view.caption
    panel.shown.value = "maps"
    assert_mosaic_drawn(panel)


def test_a_map_over_the_picture(network, panel):
    panel.layer.value = "4"
    assert panel.settle(LONG)
    panel.over.value = "chosen"
    panel.channel.value = 1
    seen = network.view("cat")
    for channel in (1, int(panel.value.clamp(min=0).mean((1, 2)).argmax())):
        stretched = upsampled(panel.value[channel].numpy(), (33, 33))
        np.testing.assert_array_equal(panel.picture_view.image, render.overlay(seen, stretched, low=0.0))
        assert f"Channel {channel} over" in panel.picture_view.caption
        panel.over.value = "strongest"
    for y, x in itertools.product(range(33), repeat=2):
        assert stretched[y, x] == panel.value[channel, y * 15 // 33, x * 15 // 33]


def test_the_whole_picture_in_its_own_shape(network, panel):
    panel.sees.value = "whole"
    assert panel.settle(LONG)
    inputs = network.normalise(images.to_tensor(images.load("cat")))
    with torch.no_grad():
        torch.testing.assert_close(panel.value, network.module[:3](inputs)[0])
    np.testing.assert_array_equal(panel.picture_view.image, images.load("cat"))
    panel.map_view.click = [197, 157, 1]  # the last unit
    assert panel.box == (314, 394, 319, 399)


def test_hovering_over_the_mosaic_enlarges_a_map_and_reads_its_value(panel):
    chosen = panel.channel.value
    for channel, y, x in ((5, 0, 0), (2, 14, 3), (3, 7, 7)):
        tile, top, left = tile_of(panel, channel)
        zoom = tile.shape[0] // 15
        panel.mosaic_view.pointer = [left + x * zoom + zoom - 1, top + y * zoom]
        assert_map_drawn(panel, channel)
        value = render.number(float(panel.value[channel, y, x]))
        assert panel.status.value == f"Channel {channel}, row {y}, column {x}: {value}."
    panel.mosaic_view.pointer = []
    assert_map_drawn(panel, chosen)
    assert panel.channel.value == chosen
    assert panel.status.value == ""


def test_a_click_in_the_mosaic_outlines_what_the_unit_sees(network, panel):
    panel.layer.value = "4"
    assert panel.settle(LONG)
    tile, top, left = tile_of(panel, 2)
    zoom = tile.shape[0] // 15
    panel.mosaic_view.click = [left + 6 * zoom, top + 4 * zoom, 1]
    assert (panel.channel.value, panel.unit) == (2, (4, 6))
    # 5 × 5 in steps of 2, then 3 × 3 with one row of padding: 9 × 9, from 2 before its own step on
    assert panel.box == (6, 10, 15, 19)
    (mark,) = panel.picture_view.marks
    assert (mark["x"], mark["y"], mark["w"], mark["h"]) == (10, 6, 9, 9)
    assert "sees 9 × 9 pixels of the picture: rows 6 to 14, columns 10 to 18" in panel.status.value
    inputs = network.preprocess("cat")
    changed = inputs.clone()
    changed[:, :, 6:15, 10:19] = 5.0
    differs = (network.module.eval()[:4](changed) != network.module[:4](inputs))[0, 2]
    assert differs[4, 6]
    panel.map_view.click = [0, 0, 1]
    assert panel.box == (0, 0, 7, 7)
    assert "9 × 9 hangs over the border" in panel.status.value
    panel.channel.value = 0
    assert (panel.box, panel.picture_view.marks) == (None, [])


def test_a_click_between_two_maps_does_nothing(panel):
    tile, top, left = tile_of(panel, panel._mosaic.order[0])
    panel.mosaic_view.click = [tile.shape[1], 0, 1]
    assert panel.unit is None


def test_hovering_over_the_enlarged_map_reads_its_value(panel):
    panel.map_view.pointer = [3, 11]
    value = render.number(float(panel.value[panel.channel.value, 11, 3]))
    assert panel.status.value.endswith(f"row 11, column 3: {value}.")
    with pytest.raises(WrongSetting, match="rows 0 to 14"):
        panel.outline(15, 0)


def test_another_picture_and_reset(network, panel):
    first = panel.value
    panel.picture.value = "coffee"
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value, maps_by_hand(network, 3, "coffee"))
    panel.layer.value, panel.colours.value, panel.over.value = "4", "viridis", "strongest"
    assert panel.settle(LONG)
    panel.map_view.click = [2, 2, 1]
    panel.reset()
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value, first)
    assert (panel.layer.value, panel.colours.value, panel.over.value, panel.unit) == ("2", "gray", "plain", None)
    assert_mosaic_drawn(panel)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1)])
def test_a_tiny_picture_is_shown_or_refused_in_a_sentence_and_the_panel_goes_on(panel, size):
    value = panel.value
    panel.picture.upload("tiny.png", uploads.encoded(Image.new("RGB", size, uploads.GREEN)))
    assert panel.settle(LONG)
    assert not panel.status.wrong  # fitted into what the network sees
    assert panel.value is not value
    value = panel.value
    panel.sees.value = "whole"
    assert panel.settle(LONG)
    assert panel.status.wrong
    assert "take a larger one" in panel.status.value
    assert panel.value is value
    panel.picture.value = "cat"
    assert panel.settle(LONG)
    assert not panel.status.wrong
    assert panel.value.shape == (8, 158, 198)


def test_a_layer_that_is_not_there_or_has_no_maps(network, panel):
    with pytest.raises(UnknownLayer, match="Did you mean"):
        FeatureMapExplorer(network, layer="22")
    with pytest.raises(WrongSetting, match='last layer with maps is "4"'):
        FeatureMapExplorer(network, layer="7")
    with pytest.raises(WrongSetting, match="channels 0 to 7"):
        FeatureMapExplorer(network, channel=8)
    value = panel.value
    panel.layer._field.value = "77"
    assert panel.status.wrong
    assert "Did you mean" in panel.status.value
    assert panel.value is value
    assert panel.layer.value == "2"


def test_half_precision(network):
    half = small_network()
    half.module.half()
    panel = FeatureMapExplorer(half)
    assert panel.value.dtype == torch.float32
    torch.testing.assert_close(panel.value, maps_by_hand(network, 3), rtol=0.02, atol=0.02)
    panel.map_view.click = [1, 1, 1]
    assert panel.box == (2, 2, 7, 7)
    panel.close()


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.again, self.scores = nn.Conv2d(3, 4, 5, 2), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, pictures):
        maps = F.relu(self.first(pictures))
        maps = F.relu(self.again(F.relu(self.again(maps), inplace=True)))
        return self.scores(maps.mean((2, 3)))


class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps, self.scores = nn.Conv2d(1, 3, 3), nn.Linear(3, 2)

    def forward(self, pictures):
        return self.scores(F.relu(self.maps(pictures)).mean((2, 3)))


def test_a_module_of_the_reader_s_with_functional_relus_and_a_layer_used_twice():
    module = Reused()
    panel = FeatureMapExplorer(module, layer="again")
    assert list(panel.layer.layers) == ["first", "again"]
    inputs = Network(module).preprocess("cat")
    with torch.no_grad():
        expected = module.again(F.relu(module.again(F.relu(module.first(inputs)))))
    torch.testing.assert_close(panel.value, expected[0])
    assert panel.outline(0, 0) == (0, 0, 13, 13)  # 5, and twice two steps of 2 more: that of the latest call
    panel.close()


def test_a_grey_network():
    panel = FeatureMapExplorer(Network(Grey(), mean=(0.5,), std=(0.5,), size=28))
    assert panel.value.shape == (3, 26, 26)
    panel.sees.value = "whole"
    assert panel.settle(LONG)
    assert panel.value.shape == (3, 318, 398)
    panel.close()


def test_the_whole_picture_and_what_a_unit_sees_in_half_precision():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 38 * 38, 2)).half()
    panel = FeatureMapExplorer(Network(module, size=40), layer="0", sees="whole")
    assert panel.value.shape == (4, 318, 398) and panel.value.dtype == torch.float32
    assert panel.outline(1, 2) == (1, 2, 4, 5)  # though the linear layer takes no picture of this size
    panel.close()


def test_channels_that_come_last():
    timm = pytest.importorskip("timm")
    panel = FeatureMapExplorer(Network(timm.create_model("convnext_atto", conv_mlp=False).eval(), size=64))
    assert panel.layer.value == "stages.0.blocks.0.mlp.act"
    assert panel.value.shape == (160, 16, 16) and panel.channel.count == 160
    assert panel.mosaic_view.caption.startswith("160 maps of 16 × 16")
    for channel in (0, 159):
        panel.channel.value = channel
        assert_map_drawn(panel, channel)
    panel.close()


def test_settings_that_cannot_be(network):
    with pytest.raises(WrongSetting, match="choose one of mean, peak, number"):
        FeatureMapExplorer(network, order="size")
    with pytest.raises(WrongSetting, match="choose one of square, whole"):
        FeatureMapExplorer(network, sees="half")


def test_an_architecture_without_numbers_is_refused():
    with pytest.raises(CnnvizError, match="squeezenet1_1 is an architecture without weights"):
        FeatureMapExplorer(architecture("squeezenet1_1"))


def test_a_network_of_timm():
    timm = pytest.importorskip("timm")
    module = timm.create_model("test_resnet.r160_in1k", pretrained=False).eval()
    panel = FeatureMapExplorer(Network(module, size=64))
    assert panel.value.shape[1] > 1
    panel.layer.value = "layer2"
    assert panel.settle(LONG)
    with torch.no_grad():
        maps = module.maxpool(module.act1(module.bn1(module.conv1(Network(module, size=64).preprocess("cat")))))
        torch.testing.assert_close(panel.value, module.layer2(module.layer1(maps))[0], rtol=1e-4, atol=1e-5)
    panel.close()


def test_the_model_is_bit_for_bit_as_it_was_after_everything_a_reader_does():
    network = small_network()
    network.module.train()
    network.module[1].eval()
    before = fingerprint(network.module)
    panel = FeatureMapExplorer(network)
    for change in (
        lambda: setattr(panel.layer, "value", "4"),
        lambda: setattr(panel.map_view, "click", [3, 3, 1]),
        lambda: setattr(panel.mosaic_view, "pointer", [3, 3]),
        lambda: setattr(panel.sees, "value", "whole"),
        lambda: setattr(panel.shown, "value", "kernels"),
        panel.reset,
        panel.close,
    ):
        change()
        assert panel.settle(LONG)
        assert fingerprint(network.module) == before


# The mosaic ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(64, 112, 112), (32, 112, 112), (1280, 7, 7), (512, 14, 20), (1, 5, 5), (3, 600, 900)],
)
def test_any_number_of_maps_fits_into_the_room_and_each_is_found_again(count, height, width):
    maps = torch.zeros(count, height, width)
    maps[:, height // 2, width // 3] = torch.arange(count) + 1.0
    order = list(range(count))[::-1]
    mosaic = map_mosaic(maps, order, "gray", ROOM, common=False)
    assert mosaic.image.shape[0] <= ROOM[0]
    assert mosaic.image.shape[1] <= ROOM[1]
    for place, channel in list(enumerate(order))[:: max(count // 7, 1)]:
        row, column = divmod(place, mosaic.columns)
        top, left = row * (mosaic.tile[0] + mosaic.gap), column * (mosaic.tile[1] + mosaic.gap)
        tile = mosaic.image[top : top + mosaic.tile[0], left : left + mosaic.tile[1]]
        y, x = np.argwhere(tile == 255)[0]
        found, cell_y, cell_x = mosaic.at(left + x, top + y)
        assert found == channel
        assert abs(cell_y - height // 2) <= height // mosaic.tile[0] + 1
        assert abs(cell_x - width // 3) <= width // mosaic.tile[1] + 1
    assert mosaic.at(10_000, 0) is None
    assert mosaic.at(0, 10_000) is None


def test_a_kernel_s_colours_and_signs():
    weights = np.zeros((3, 2, 2), np.float32)
    weights[0, 0, 1], weights[2, 1, 0] = 2, -1
    tile = kernel_tile(weights)
    assert tile[0, 1].tolist() == [255, 128, 128]
    assert tile[1, 0].tolist() == [128, 128, 64]
    signed = kernel_tile(np.array([[[3.0, -3.0]]]))
    assert signed[0, 0, 0] > signed[0, 0, 2]
    assert signed[0, 1, 0] < signed[0, 1, 2]


def test_kernels_drawn_together_look_as_each_by_itself():
    generator = np.random.default_rng(0)
    for shape in ((5, 3, 5, 5), (5, 1, 3, 3), (4, 7, 3, 5), (4, 6, 1, 1)):
        weights = generator.normal(size=shape).astype(np.float32)
        weights[-1] = 0
        for tile, kernel in zip(kernel_tiles(weights), weights, strict=True):
            limit = np.abs(kernel).max() or 1.0
            if shape[1] == 3:
                expected = ((kernel.transpose(1, 2, 0) / limit + 1) * 127.5).round().astype(np.uint8)
            else:
                squares = [render.signed_map(part, limit) for part in kernel]
                expected = mosaic(squares, round(np.ceil(shape[1] ** 0.5)), gap=shape[2] > 1)
            np.testing.assert_array_equal(tile, expected)


def test_the_kernels_of_a_large_layer_do_not_keep_the_page_waiting():
    weights = np.random.default_rng(0).normal(size=(1280, 320, 1, 1)).astype(np.float32)
    began = time.process_time()
    shown = kernel_mosaic(weights, range(1280), ROOM, (7, 7))
    assert time.process_time() - began < 1  # drawn one by one they took nine seconds
    assert shown.image.shape[1] <= ROOM[1] and shown.at(0, 0)[0] == 0


# State --------------------------------------------------------------------------------------------------------------


class Oblong(nn.Module):
    """What its units see is 3 rows × 5 columns, in steps of 2 rows and 1 column."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.maps, self.scores = nn.Conv2d(3, 4, (3, 5), stride=(2, 1)), nn.Linear(4, 2)

    def forward(self, pictures):
        return self.scores(self.maps(pictures).mean((2, 3)))


def test_rows_and_columns_of_what_a_unit_sees_are_not_exchanged():
    panel = FeatureMapExplorer(Network(Oblong(), size=(20, 30)))
    assert panel.value.shape == (4, 9, 26)
    assert panel.outline(4, 7) == panel.box == (8, 7, 11, 12)
    assert panel.picture_view.marks == [{"x": 7, "y": 8, "w": 5, "h": 3, "colour": render.OKABE_ITO[0]}]
    assert "sees 3 × 5 pixels of the picture: rows 8 to 10, columns 7 to 11." in panel.status.value
    assert "hangs over" not in panel.status.value
    inputs = panel.network.preprocess("cat")
    inputs.requires_grad_()
    touched = torch.autograd.grad(panel.network.module.maps(inputs)[0, 0, 4, 7], inputs)[0][0].abs().sum(0).nonzero()
    assert touched.amin(0).tolist() == [8, 7] and touched.amax(0).tolist() == [10, 11]
    panel.close()


def test_reset_after_another_layer_gives_the_first_channel_back(network):
    panel = FeatureMapExplorer(network, layer="2", channel=7)
    panel.layer.value = "4"  # which has 6 channels
    assert panel.settle(LONG)
    assert panel.channel.max == 5
    panel.reset()
    assert panel.settle(LONG)
    assert (panel.layer.value, panel.channel.value, panel.channel.max) == ("2", 7, 7)
    assert_map_drawn(panel, 7)
    panel.layer.value = "4"  # and another layer begins with its strongest again
    assert panel.settle(LONG)
    assert panel.channel.value == panel._mosaic.order[0]
    panel.close()


def test_a_layer_without_kernels_shows_its_maps_and_says_why():
    shuffled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.PixelShuffle(2), nn.Flatten(), nn.Linear(30 * 30 * 4, 2))
    panel = FeatureMapExplorer(Network(shuffled, size=32), layer="0")
    panel.shown.value = "kernels"
    assert not panel.status.wrong
    panel.layer.value = "2"
    assert panel.settle(LONG)
    assert panel.status.wrong and "there is no kernel for each" in panel.status.value
    assert panel.shown.value == "maps" and panel.mosaic_view.caption.startswith("1 maps of 60 × 60")
    assert_mosaic_drawn(panel)
    assert_map_drawn(panel, 0)
    panel.close()


def test_whatever_is_pointed_at_or_clicked_is_a_sentence_at_most(panel):
    for place in ([-3, 2], [10**6, 10**6], [0, -1]):
        for view in (panel.mosaic_view, panel.map_view):
            view.pointer = place
            assert "Error" not in panel.status.value
            view.click = [*place, 1]
            assert "Error" not in panel.status.value
    assert panel.unit is None
    panel.map_view.pointer = []
    assert panel.status.value == ""


def test_a_slow_network_runs_on_the_worker_and_the_panel_stays_whole_meanwhile(network):
    panel = FeatureMapExplorer(network, layer="2", channel=7)
    panel._took, before = 1.0, panel.value  # as if the network had taken a second
    with held_worker():
        panel.layer.value = "4"
        assert panel.value is before and panel.status.value == "Computing …"
        panel.order.value = "number"  # of the maps that are still shown
        panel.channel.value = 5
        panel.mosaic_view.pointer = [1, 1]
        panel.map_view.click = [2, 3, 1]
        assert panel.unit == (3, 2) and "Error" not in panel.status.value
        assert_mosaic_drawn(panel)
    assert panel.settle(LONG)
    torch.testing.assert_close(panel.value, maps_by_hand(network, 5))
    assert (panel.unit, panel.channel.max) == (None, 5)
    assert_mosaic_drawn(panel)
    assert_map_drawn(panel, panel.channel.value)
    panel.close()


def test_closing_ends_what_is_on_its_way(network):
    panel = FeatureMapExplorer(network)
    panel._took, before = 1.0, panel.value
    with held_worker():
        panel.layer.value = "4"
        panel.close()
    assert panel.settle(LONG)
    assert panel.value is before
