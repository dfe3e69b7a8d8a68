import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.layers import LayerInfo, layer_tree
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.render.architecture import GAP, SHORTEST, SLANT, boxes, draw_architecture

INPUT = (1, 1, 32, 32)


@pytest.fixture(scope="module")
def layers():
    return layer_tree(lenet(), torch.zeros(INPUT))


def test_every_side_is_in_proportion_to_its_shape(layers):
    drawn = {box.name: box for box in boxes(layers, pixel=3.0, channel=5.0, number=0.5)}
    assert list(drawn) == ["conv1", "pool1", "conv2", "pool2", "full3", "full4", "logits"]
    for name, (channels, rows, columns) in {"conv1": (6, 28, 28), "pool1": (6, 14, 14), "conv2": (16, 10, 10)}.items():
        box = drawn[name]
        assert (box.depth, box.height, box.recede) == pytest.approx((5 * channels, 3 * rows, 3 * columns * SLANT))
    assert drawn["full3"].height == pytest.approx(60) and drawn["full4"].height == pytest.approx(42)
    assert drawn["full3"].recede == 0


def test_rows_and_columns_are_not_confused():
    wide = nn.Sequential(nn.Conv2d(2, 4, 1))
    (box,) = boxes(layer_tree(wide, torch.zeros(1, 2, 8, 20)), pixel=2.0, channel=3.0, number=1.0)
    assert (box.depth, box.height, box.recede) == pytest.approx((12, 16, 40 * SLANT))


def test_boxes_do_not_overlap_and_nothing_vanishes(layers):
    drawn = boxes(layers, pixel=0.01, channel=0.01, number=0.001, input_shape=INPUT)
    assert all(box.right < after.left for box, after in zip(drawn, drawn[1:], strict=False))
    assert all(min(box.depth, box.height) >= SHORTEST for box in drawn)


def test_repeated_convolutions_are_drawn_and_layers_that_change_nothing_are_not():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Dropout(),
        nn.Flatten(),
    )
    drawn = boxes(layer_tree(model, torch.zeros(1, 1, 6, 6)), 1, 1, 1)
    assert [box.name for box in drawn] == ["0", "3"]


def test_the_drawing_shows_the_boxes_where_they_are(layers):
    picture = draw_architecture(layers, input_shape=INPUT, width=700, height=160, density=1)
    coloured = (picture.max(2).astype(int) - picture.min(2)) > 60
    columns = np.flatnonzero(coloured.any(0))
    assert picture.shape[1] == 700
    assert columns[-1] > 600, "the last layer stands at the right"
    assert coloured[:, :60].sum() == 0, "the input is grey"


def test_a_layer_that_puts_out_something_else_is_refused():
    with pytest.raises(WrongSetting, match="sequence"):
        boxes([LayerInfo("sequence", "LSTM", (1, 5, 7), 10)], 1, 1, 1)


def chain(count: int) -> list[LayerInfo]:
    return [LayerInfo(f"conv{index}", "Conv2d", (1, 8, 32, 32), 10) for index in range(count)]


@pytest.mark.parametrize("count", [1, 20, 45])
def test_every_layer_of_a_long_chain_is_drawn_within_the_picture(count):
    picture = draw_architecture(chain(count), density=1)
    coloured = ((picture.max(2).astype(int) - picture.min(2)) > 60).any(0)
    between = np.diff(np.flatnonzero(coloured)) > GAP / 2
    assert between.sum() + 1 == count and not coloured[-3:].any() and not coloured[:3].any()


@pytest.mark.parametrize("count", [80, 400])
def test_more_layers_than_have_room_are_refused(count):
    with pytest.raises(WrongSetting, match=f"{count} layers have no room"):
        draw_architecture(chain(count))
    vectors = [LayerInfo(f"full{index}", "Linear", (1, 8), 10) for index in range(count)]
    with pytest.raises(WrongSetting, match="no room"):
        draw_architecture(vectors)


def test_no_layer_at_all_is_refused():
    with pytest.raises(WrongSetting, match="no layer to draw"):
        draw_architecture([])


def test_the_words_below_thin_boxes_at_both_ends_are_whole():
    def ink(picture: np.ndarray) -> int:
        return int((picture[304:] < 128).all(2).sum())

    narrow = [LayerInfo("full1", "Linear", (1, 84), 10)]
    wide = [LayerInfo("conv1", "Conv2d", (1, 84, 30, 30), 10), *narrow]
    alone, last = draw_architecture(narrow, density=1), draw_architecture(wide, density=1)
    words = last[304:, -30:]
    assert ink(alone) > 50 and not (alone[304:, 0] < 200).any()
    assert int((words < 128).all(2).sum()) == ink(alone) and not (words[:, -1] < 200).any()
