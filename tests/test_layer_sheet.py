"""The sheet of layers: every picture on it is what that layer put out."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets import layer_sheet, render
from cnnviz_widgets.errors import UnknownLayer, WrongSetting
from cnnviz_widgets.networks.lenet import article_stages, lenet, lenet5
from cnnviz_widgets.render.layer_sheet import GROUND, WIDTH
from tests.helpers import fingerprint


@pytest.fixture(scope="module")
def digit() -> torch.Tensor:
    picture = torch.zeros(1, 1, 32, 32)
    picture[0, 0, 6:26, 14:18] = 1
    picture[0, 0, 8:12, 10:14] = 0.6
    return picture


def place(sheet, name) -> np.ndarray:
    layer = next(layer for layer in sheet.layers if layer.name == name)
    x, y, w, h = layer.box
    return sheet.image[y : y + h, x : x + w]


def test_titles_name_every_layer_with_its_shape(digit):
    sheet = layer_sheet(lenet(), digit)
    assert [layer.title for layer in sheet.layers] == [
        "input · 1 × 32 × 32",
        "conv1 · 6 × 28 × 28",
        "relu1 · 6 × 28 × 28",
        "pool1 · 6 × 14 × 14",
        "conv2 · 16 × 10 × 10",
        "relu2 · 16 × 10 × 10",
        "pool2 · 16 × 5 × 5",
        "full3 · 120",
        "relu3 · 120",
        "full4 · 84",
        "relu4 · 84",
        "logits · 10",
    ]
    assert sheet.last == "logits" and "conv2 · 16 × 10 × 10" in sheet.alt


def test_outputs_are_those_of_the_network(digit):
    network = lenet(3)
    sheet, x = layer_sheet(network, digit), digit
    for name, layer in network.named_children():
        x = layer(x)
        if name != "flatten":
            assert torch.equal(sheet.outputs[name], x[0]), name


def test_maps_are_enlarged_whole_and_lie_on_one_scale(digit):
    sheet = layer_sheet(lenet(), digit)
    maps = sheet.outputs["relu1"].numpy()
    picture = place(sheet, "relu1")
    grey = np.round(maps / maps.max() * 255)
    for index in range(6):
        tile = picture[:, index * 58 : index * 58 + 56]
        expected = grey[index].repeat(2, axis=0).repeat(2, axis=1)
        assert np.abs(tile - expected[..., None]).max() <= 1
    assert (picture[:, 56:58] == GROUND).all()


def test_maps_of_a_second_row_follow_those_of_the_first(digit):
    sheet = layer_sheet(lenet(), digit)
    maps, picture = sheet.outputs["pool2"].numpy(), place(sheet, "pool2")
    side = (picture.shape[0] - 2) // 2
    zoom = side // 5
    for index in (0, 7, 8, 15):
        top, left = index // 8 * (side + 2), index % 8 * (side + 2)
        middles = picture[top + zoom // 2 : top + side : zoom, left + zoom // 2 : left + side : zoom, 0]
        assert np.abs(middles - maps[index] / maps.max() * 255).max() <= 1


def test_convolutions_are_signed_around_white(digit):
    sheet = layer_sheet(lenet(), digit)
    maps, picture = sheet.outputs["conv1"].numpy(), place(sheet, "conv1").astype(int)
    for sign, warmer, colder in ((1, 0, 2), (-1, 2, 0)):
        index, y, x = np.unravel_index((sign * maps).argmax(), maps.shape)
        pixel = picture[2 * y, 58 * index + 2 * x]
        assert pixel[warmer] > pixel[colder] + 40
    strongest = np.abs(maps).max()
    np.testing.assert_array_equal(picture[::2, 0:56:2], render.signed_map(maps[0], strongest))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_kinds_of_numbers(digit, kind):
    whole, sheet = layer_sheet(lenet(), digit), layer_sheet(lenet().to(kind), digit.to(kind))
    assert sheet.outputs["conv1"].dtype == torch.float32
    torch.testing.assert_close(sheet.outputs["conv1"], whole.outputs["conv1"], atol=0.05, rtol=0.05)
    if kind != torch.float64:  # a picture of another type is taken in the network's own
        torch.testing.assert_close(layer_sheet(lenet().to(kind), digit).outputs, sheet.outputs, atol=0.05, rtol=0.05)


def test_a_vector_is_a_row_of_cells(digit):
    sheet = layer_sheet(lenet(), digit)
    values, picture = sheet.outputs["logits"].numpy(), place(sheet, "logits")
    width = picture.shape[1] // 10
    expected = render.signed_map(values[None])[0]
    np.testing.assert_array_equal(picture[3, width // 2 :: width], expected)
    assert picture.shape[0] > 20, "few cells carry their numbers below"
    values, picture = sheet.outputs["full4"].numpy(), place(sheet, "full4")
    np.testing.assert_array_equal(picture[0, 1 :: picture.shape[1] // 84], render.signed_map(values[None])[0])


def test_another_digit_is_another_sheet_of_the_same_size(digit):
    network = lenet()
    pictures = (digit, digit.transpose(2, 3), torch.zeros_like(digit))
    sheets = [layer_sheet(network, picture).image for picture in pictures]
    assert all(sheet.shape == sheets[0].shape and sheet.shape[1] == WIDTH for sheet in sheets)
    assert (sheets[0] != sheets[1]).any() and (sheets[0] != sheets[2]).any()
    assert sheets[0].dtype == np.uint8


def test_named_layers_are_drawn_alone(digit):
    sheet = layer_sheet(lenet(), digit, ["pool1", "logits"], with_input=False)
    assert [layer.name for layer in sheet.layers] == ["pool1", "logits"]
    assert sheet.image.shape[0] < 110


def test_a_block_of_its_own_kind_counts_as_one_layer(digit):
    names = [layer.name for layer in layer_sheet(lenet5(), digit).layers]
    assert "c3" in names and not any("maps" in name for name in names)
    nested = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten(), nn.Linear(2 * 30 * 30, 3))
    assert [layer.name for layer in layer_sheet(nested, digit).layers] == ["input", "0.0", "0.1", "2"]


def test_a_layer_may_be_called_like_the_input(digit):
    network = nn.Sequential()
    network.add_module("input", nn.Conv2d(1, 4, 5))
    assert [layer.shape for layer in layer_sheet(network, digit).layers] == [(1, 32, 32), (4, 28, 28)]


@pytest.mark.parametrize("size", [(400, 320), (320, 400), (1000, 30), (12, 12)])
def test_large_pictures_are_thinned_out(size):
    sheet = layer_sheet(article_stages((3, 3)), torch.rand(1, 3, *size), ["conv1", "pool1"])
    assert sheet.image.shape[1] == WIDTH
    for layer in sheet.layers:
        x, y, w, h = layer.box
        assert 0 < w <= WIDTH - x and 0 < h <= 140


def test_a_large_maps_pixels_are_some_of_its_own():
    picture = torch.rand(1, 1, 400, 320)
    sheet = layer_sheet(nn.Sequential(nn.ReLU()), picture, with_input=False)
    x, y, w, h = sheet.layers[0].box
    step = -(-320 // w)
    expected = picture[0, 0, ::step, ::step].numpy() / picture.max().item() * 255
    assert np.abs(place(sheet, "0")[..., 0] - expected).max() <= 1


def test_the_network_is_left_as_it_was(digit):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).train()
    before = fingerprint(network)
    layer_sheet(network, digit)
    assert fingerprint(network) == before


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (0, 1, 32, 32), (1, 32, 32), (32, 32)])
def test_one_picture_is_asked_for(shape):
    with pytest.raises(WrongSetting, match="one picture"):
        layer_sheet(lenet(), torch.zeros(shape))


def test_an_unknown_layer_is_named(digit):
    with pytest.raises(UnknownLayer, match='no layer "conv3"'):
        layer_sheet(lenet(), digit, ["conv3"])
