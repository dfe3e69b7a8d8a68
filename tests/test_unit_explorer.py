"""The card of a unit without a page: each part compared with numbers, and parts that are added."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets import render
from cnnviz_widgets.errors import UnknownLayer, WrongSetting
from cnnviz_widgets.explorers import UnitExplorer
from cnnviz_widgets.explorers.tree import hidden
from cnnviz_widgets.networks import Network
from cnnviz_widgets.render import Drawing, kernel_tile, patch_mosaic, upsampled
from cnnviz_widgets.render.unit_card import PARTS, ROOM, TILE, Part
from cnnviz_widgets.techniques.feature_maps import feature_maps
from cnnviz_widgets.techniques.top_patches import top_patches
from tests.helpers import fingerprint

LONG = 60


class Shortcut(nn.Module):
    """Adds its input, so that its channels come from no single kernel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, maps):
        return maps + self.conv(maps)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(9)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(inplace=True), Shortcut(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 2),
    )  # fmt: skip
    return Network(module, ["a", "b"], size=32)


@pytest.fixture
def card(network):
    card = UnitExplorer(network, channel=1)
    yield card
    card.close()
    assert card.settle(LONG)


def assert_card(card, network, layer, channel, image="cat"):
    values = feature_maps(network, network.preprocess(image), layer)[0, channel]
    assert torch.equal(card.value.map, values)
    np.testing.assert_array_equal(card.views["map"].image, render.heat_map(values.numpy(), "gray"))
    over = render.overlay(network.view(image), upsampled(values.clamp(min=0).numpy(), (32, 32)), low=0.0)
    np.testing.assert_array_equal(card.views["picture"].image, over)
    found = top_patches(network, layer, channel, count=10)
    np.testing.assert_array_equal(
        card.views["patches"].image, patch_mosaic([patch.image for patch in found.patches], ROOM, TILE).image
    )
    assert hidden(card.views["kernel"]) == (layer == "2")
    if layer != "2":
        weights = network.module[0].weight[channel].detach().numpy()
        np.testing.assert_array_equal(card.views["kernel"].image, kernel_tile(weights))
    assert not any(hidden(card.views[name]) for name in ("map", "picture", "patches"))


def test_the_first_card(network, card):
    assert card.layer.value == "1"
    assert_card(card, network, "1", 1)
    bundle = card._repr_mimebundle_()
    assert bundle["text/plain"] == repr(card) == "UnitExplorer()"
    assert card.snapshot().shape[1] <= 1100


@pytest.mark.parametrize(("layer", "channel"), [("1", 4), ("0", 0), ("2", 3)])
def test_another_unit(network, card, layer, channel):
    card.layer.value = layer
    card.channel.value = channel
    assert card.settle(LONG)
    assert_card(card, network, layer, channel)
    card.reset()
    assert card.settle(LONG)
    assert_card(card, network, "1", 1)


def test_another_picture(network, card):
    card.picture.value = "coffee"
    assert card.settle(LONG)
    assert_card(card, network, "1", 1, "coffee")


def test_a_part_that_is_added_has_its_place_and_one_without_a_drawing_takes_no_room(network):
    def twice(unit):
        for shade in (9, 200):
            yield Drawing(np.full((4, 4, 3), shade, np.uint8), f"shade of channel {unit.channel}")

    parts = (*PARTS[:2], Part("twice", twice, row=2), Part("nothing", lambda unit: (), row=2))
    card = UnitExplorer(network, parts=parts)
    assert list(card.views) == ["picture", "map", "twice", "nothing"]
    assert (card.views["twice"].image == 200).all()
    assert hidden(card.views["nothing"])
    assert "nothing" not in card.alt
    card.channel.value = 3
    assert card.settle(LONG)
    assert card.views["twice"].caption == "shade of channel 3"
    assert card.run.done == 1
    card.close()


def test_a_part_that_fails_is_a_sentence_and_the_card_goes_on(network):
    def moody(unit):
        if unit.channel == 2:
            raise WrongSetting("Not this <one>.")
        yield Drawing(np.zeros((2, 2, 3), np.uint8), "calm")

    card = UnitExplorer(network, parts=(Part("moody", moody),))
    card.channel.value = 2
    assert card.settle(LONG)
    assert (card.status.value, card.status.wrong) == ("Not this <one>.", True)
    card.channel.value = 1
    assert card.settle(LONG)
    assert not card.status.wrong
    card.close()


def test_what_cannot_be_is_refused_at_the_start(network):
    with pytest.raises(UnknownLayer):
        UnitExplorer(network, layer="nowhere")
    with pytest.raises(WrongSetting, match="channels 0 to 5"):
        UnitExplorer(network, channel=6)


def test_the_model_is_bit_for_bit_as_it_was(network):
    network.module.train()
    before = fingerprint(network.module)
    card = UnitExplorer(network)
    card.channel.value = 5
    card.layer.value = "2"
    assert card.settle(LONG)
    card.close()
    assert fingerprint(network.module) == before
    network.module.eval()


def test_reset_after_another_layer_gives_the_first_channel_back():
    torch.manual_seed(2)
    module = nn.Sequential(nn.Conv2d(3, 9, 5, stride=2), nn.Conv2d(9, 2, 3), nn.Flatten(), nn.Linear(288, 2))
    network = Network(module, ["a", "b"], size=32)
    card = UnitExplorer(network, layer="0", channel=8, parts=PARTS[:3])
    card.layer.value = "1"
    assert card.settle(LONG)
    assert (card.value.layer, card.value.channel, card.channel.max) == ("1", 1, 1)
    card.reset()
    assert card.settle(LONG)
    assert (card.value.layer, card.value.channel, card.channel.value, card.channel.max) == ("0", 8, 8, 8)
    assert torch.equal(card.value.map, feature_maps(network, network.preprocess("cat"), "0")[0, 8])
    assert not card.status.wrong
    card.close()


def test_a_part_may_have_any_name_and_the_panel_keeps_its_own(network):
    def calm(unit):
        yield Drawing(np.zeros((2, 2, 3), np.uint8), "calm")

    card = UnitExplorer(network, parts=[Part(name, calm) for name in ("status", "picture", "value", "run")])
    card.channel.value = 2
    assert card.settle(LONG)
    assert card.value.channel == 2 and not card.status.wrong
    assert [view.caption for view in card.views.values()] == ["calm"] * 4
    card.close()


def test_a_drawing_leaves_nothing_to_the_next(network):
    def moody(unit):
        more = {"zoom": 4.0, "pixelated": True, "ramp": {"stops": ["#000000", "#ffffff"], "low": "0", "high": "1"}}
        yield Drawing(np.zeros((2, 2, 3), np.uint8), "calm", more=more if unit.channel == 0 else {})

    card = UnitExplorer(network, parts=[Part("moody", moody)])
    view = card.views["moody"]
    assert (view.zoom, view.pixelated, view.ramp["high"]) == (4.0, True, "1")
    card.channel.value = 2
    assert card.settle(LONG)
    assert (view.zoom, view.pixelated, view.ramp) == (1.0, False, {})
    card.close()


def test_closing_ends_a_card_that_is_being_drawn(network):
    entered, opened = threading.Event(), threading.Event()

    def waiting(unit):
        yield Drawing(np.zeros((2, 2, 3), np.uint8), "first")
        if unit.channel:
            entered.set()
            assert opened.wait(LONG)
            yield Drawing(np.zeros((2, 2, 3), np.uint8), "second")

    card = UnitExplorer(network, parts=[Part("waiting", waiting)])
    card.channel.value = 1
    assert entered.wait(LONG)
    card.close()
    opened.set()
    assert card.settle(LONG)
    assert card.views["waiting"].caption == "first"
