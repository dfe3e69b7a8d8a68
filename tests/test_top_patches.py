"""The patches that excite a unit, against a plain loop over every place of every picture."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz_widgets.errors import ImageError, UnknownLayer, WrongSetting
from cnnviz_widgets.images import load, to_image
from cnnviz_widgets.networks import Network
from cnnviz_widgets.techniques.top_patches import crop, picture_list, strongest_places, top_patches, top_patches_steps
from tests.helpers import fingerprint

PICTURES = ("cat", "coffee", "brick", "hubble_deep_field")


@pytest.fixture(scope="module")
def network():
    """Two convolutions: behind them a unit sees 9 × 9 pixels in steps of 4; the first begins 3 above the picture."""
    torch.manual_seed(5)
    layers = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 4, stride=2, padding=1))
    return Network(layers, mean=(0.5,) * 3, std=(0.5,) * 3, size=40)


SIZE, STRIDE, OFFSET = 9, 4, -3


def by_a_plain_loop(network, channel, pictures, count):
    """(value, picture, y, x) of the best places, found one by one."""
    places = []
    for number, name in enumerate(pictures):
        with torch.no_grad():
            values = network.module(network.preprocess(name))[0, channel]
        for y in range(values.shape[0]):
            for x in range(values.shape[1]):
                if values[y, x] > 0:
                    places.append((values[y, x].item(), number, y, x))
    places.sort(key=lambda place: (-place[0], *place[1:]))
    taken = []
    for value, number, y, x in places:
        near = [1 for _v, other, v, u in taken if other == number and abs(v - y) * 4 < 4.5 and abs(u - x) * 4 < 4.5]
        if not near and len(taken) < count:
            taken.append((value, number, y, x))
    return [(value, pictures[number], y, x) for value, number, y, x in taken]


@pytest.mark.parametrize("channel", range(4))
@pytest.mark.parametrize("count", [1, 9, 40])
def test_the_patches_are_those_of_a_plain_loop(network, channel, count):
    found = top_patches(network, "2", channel, PICTURES, count=count)
    expected = by_a_plain_loop(network, channel, PICTURES, count)
    assert [(patch.value, patch.picture, patch.y, patch.x) for patch in found.patches] == expected
    assert found.looked_at == len(PICTURES)


def test_each_crop_is_exactly_what_the_unit_sees(network):
    found = top_patches(network, "2", 1, PICTURES, count=30)
    assert any(min(patch.box[:2]) < 0 for patch in found.patches), "some hang over the border"
    for patch in found.patches:
        top, left, bottom, right = patch.box
        assert (top, left) == (OFFSET + STRIDE * patch.y, OFFSET + STRIDE * patch.x)
        assert (bottom - top, right - left) == patch.image.shape[:2] == (SIZE, SIZE)
        seen = to_image(network.denormalise(network.preprocess(patch.picture)))
        np.testing.assert_array_equal(patch.seen, seen)
        for row in range(SIZE):
            for column in range(SIZE):
                inside = 0 <= top + row < 40 and 0 <= left + column < 40
                pixel = seen[top + row, left + column] if inside else [224] * 3
                assert patch.image[row, column].tolist() == list(pixel)


def test_a_crop_that_lies_outside_altogether_is_grey():
    image = np.full((4, 4, 3), 7, np.uint8)
    assert (crop(image, (-5, -5, -2, -2)) == 224).all()
    assert (crop(image, (1, 1, 3, 3)) == 7).all()


def test_a_field_larger_than_the_picture_is_the_picture_and_one_patch_a_picture_is_enough():
    torch.manual_seed(6)
    network = Network(nn.Sequential(nn.Conv2d(3, 2, 31, padding=15), nn.Conv2d(2, 2, 31, padding=15)), size=16)
    found = top_patches(network, "1", 0, ["cat", "coffee"])
    for patch in found.patches:
        assert patch.box == (0, 0, 16, 16)
        np.testing.assert_array_equal(patch.image, patch.seen)
    assert len({patch.picture for patch in found.patches}) == len(found.patches)


def test_places_are_apart_and_above_zero():
    values = torch.tensor([[5.0, 4.0, 1.0], [0.0, -1.0, 3.0]])
    assert strongest_places(values, 9, (1, 1)) == [(0, 0), (0, 1), (1, 2), (0, 2)]
    assert strongest_places(values, 9, (2, 2)) == [(0, 0), (1, 2)]
    assert strongest_places(values, 1, (1, 1)) == [(0, 0)]
    assert strongest_places(-values.abs(), 9, (1, 1)) == []


class ChannelsLast(nn.Module):
    """The network of these tests, whose maps are turned at the end."""

    def __init__(self, layers):
        super().__init__()
        self.layers, self.last = layers, nn.Identity()

    def forward(self, pictures):
        return self.last(self.layers(pictures).permute(0, 2, 3, 1))


def test_channels_that_come_last_are_channels(network):
    turned = Network(ChannelsLast(network.module), mean=(0.5,) * 3, std=(0.5,) * 3, size=40)
    expected = top_patches(network, "2", 3, PICTURES, count=6).patches
    found = top_patches(turned, "last", 3, PICTURES, count=6).patches
    places = [[(p.value, p.picture, p.y, p.x, p.box) for p in patches] for patches in (found, expected)]
    assert places[0] == places[1]


def test_the_steps_lead_to_the_whole(network):
    steps = list(top_patches_steps(network, "2", 0, PICTURES, count=5))
    assert [(step.index, step.total, step.found.looked_at) for step in steps] == [(n, 4, n) for n in (1, 2, 3, 4)]
    assert [patch.picture for patch in steps[0].found.patches] == ["cat"] * 5
    whole = top_patches(network, "2", 0, PICTURES, count=5)
    assert [p.value for p in steps[-1].found.patches] == [p.value for p in whole.patches]


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("b.png", "a.jpg")):
        pixels = np.random.default_rng(number).integers(0, 255, (50, 60, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_is_looked_through_by_name(network, folder):
    assert [path.name for path in picture_list(folder)] == ["a.jpg", "b.png"]
    found = top_patches(network, "2", 0, folder)
    listed = top_patches(network, "2", 0, [folder / "a.jpg", folder / "b.png"])
    assert [(p.value, p.picture, p.y, p.x) for p in found.patches] == [
        (p.value, p.picture, p.y, p.x) for p in listed.patches
    ]
    assert {patch.picture for patch in found.patches} == {"a.jpg", "b.png"}


def test_a_broken_file_is_left_out_and_named(network, folder):
    without = top_patches(network, "2", 0, folder)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:100])
    found = top_patches(network, "2", 0, folder)
    assert len(found.refused) == 1
    assert found.refused[0].startswith("broken.jpg: ")
    assert found.looked_at == 2
    assert [patch.value for patch in found.patches] == [patch.value for patch in without.patches]


def test_wrong_arguments_are_refused_before_the_first_step(network, tmp_path):
    with pytest.raises(ImageError, match="no pictures in the folder"):
        top_patches_steps(network, "2", 0, tmp_path)
    with pytest.raises(ImageError, match='no folder "nowhere"'):
        top_patches_steps(network, "2", 0, tmp_path / "nowhere")
    with pytest.raises(ImageError, match="the list is empty"):
        top_patches_steps(network, "2", 0, [])
    with pytest.raises(UnknownLayer, match="Did you mean"):
        top_patches_steps(network, "22", 0)
    with pytest.raises(WrongSetting, match="channels 0 to 3"):
        top_patches(network, "2", 4, ["cat"])
    with pytest.raises(WrongSetting, match="at least 1"):
        top_patches(network, "2", 0, count=0)
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="None of the 1 pictures can be read"):
        top_patches(network, "2", 0, tmp_path)


def test_the_model_is_bit_for_bit_as_it_was_also_when_the_steps_are_left_half_way(network):
    network.module.train()
    before = fingerprint(network.module)
    for step in top_patches_steps(network, "2", 0, PICTURES):
        if step.index == 2:
            break
    assert fingerprint(network.module) == before
    network.module.eval()


def places(found):
    return [(patch.value, patch.y, patch.x, patch.box) for patch in found.patches]


@pytest.mark.parametrize("how", ["array", "grey array", "picture", "path", "text", "name", "list"])
def test_one_picture_is_one_picture_however_it_is_given(network, tmp_path, how):
    cat = load("cat")
    Image.fromarray(cat).save(tmp_path / "cat.png")
    one = {
        "array": cat,
        "grey array": cat[..., 1],
        "picture": Image.fromarray(cat),
        "path": tmp_path / "cat.png",
        "text": str(tmp_path / "cat.png"),
        "name": "cat",
        "list": [cat],
    }[how]
    found = top_patches(network, "2", 3, one)
    expected = top_patches(network, "2", 3, [np.stack([cat[..., 1]] * 3, -1) if how == "grey array" else "cat"])
    assert found.looked_at == 1 and found.refused == ()
    assert places(found) == places(expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_in_a_network_of_another_type_crops_are_as_exact(network, dtype):
    twin = Network(copy.deepcopy(network.module).to(dtype), mean=(0.5,) * 3, std=(0.5,) * 3, size=40)
    expected, found = (top_patches(each, "2", np.int64(1), ["cat"], count=np.int64(3)) for each in (network, twin))
    best = expected.patches[0]
    assert found.patches[0].value == pytest.approx(best.value, rel=0.05)
    np.testing.assert_array_equal(found.patches[0].seen, best.seen)
    for patch in found.patches:
        np.testing.assert_array_equal(patch.image, crop(best.seen, patch.box))


def test_a_grey_network_sees_grey():
    torch.manual_seed(0)
    grey = Network(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), mean=(0.5,), std=(0.5,), size=30)
    found = top_patches(grey, "0", 1, ["cat"], count=2)
    seen = to_image(grey.denormalise(grey.preprocess("cat")))
    assert found.patches
    np.testing.assert_array_equal(found.patches[0].seen, seen)
