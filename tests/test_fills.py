"""What takes the place of a part of a picture, in every type and in the units of any network."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.networks import Network
from cnnviz_widgets.techniques.fills import FILLS, bounds_of, cover_picture


def picture(dtype=torch.float32):
    return torch.rand(1, 3, 20, 16, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_fill_is_the_same_in_every_type(fill, dtype):
    expected = cover_picture(picture(dtype).float(), fill, (8, 8), (0, 1), 3)
    found = cover_picture(picture(dtype), fill, (8, 8), (0, 1), 3)
    assert found.dtype == dtype and found.shape == (1, 3, 20, 16)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("fill", FILLS)
def test_random_numbers_of_others_stay_where_they_are(fill):
    state = torch.get_rng_state()
    cover_picture(picture(), fill, (8, 8), (0, 1), 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_is_that_of_torchs_generator_with_its_seed():
    expected = torch.rand(1, 3, 20, 16, generator=torch.Generator().manual_seed(5))
    assert torch.equal(cover_picture(picture(), "noise", (8, 8), (0, 1), 5), expected)
    assert torch.equal(cover_picture(picture(), "noise", (8, 8), (0, 1), np.int64(5)), expected)
    with pytest.raises(WrongSetting, match="seed"):
        cover_picture(picture(), "noise", (8, 8), (0, 1), -1)


def test_bounds_are_the_networks_unless_given():
    network = Network(nn.Flatten(), mean=(0.5,) * 3, std=(0.25,) * 3)
    black, white = bounds_of(network, None)
    assert black.flatten().tolist() == [-2] * 3 and white.flatten().tolist() == [2] * 3
    assert bounds_of(network, (0, 1)) == (0, 1)
    assert bounds_of(network.module, None) is None
    grey = cover_picture(picture() * 4 - 2, "grey", (8, 8), bounds_of(network, None), 0)
    assert torch.equal(grey, torch.zeros(1, 3, 20, 16))


def test_what_is_covered_with_is_not_the_picture_itself():
    clean = picture()
    before = clean.clone()
    for fill in FILLS:
        cover_picture(clean, fill, (8, 8), (0, 1), 0)
    assert torch.equal(clean, before)


@pytest.mark.parametrize(
    ("fill", "bounds", "says"),
    [
        ("green", (0, 1), "no fill called 'green'"),
        (torch.zeros(1, 2, 1, 1), None, "does not fit"),
        ("grey", ("black", "white"), "bounds are"),
        ("grey", 3, "bounds are"),
        (7, None, "no fill called 7"),
    ],
)
def test_what_makes_no_sense_is_refused(fill, bounds, says):
    with pytest.raises(WrongSetting, match=says):
        cover_picture(picture(), fill, (8, 8), bounds, 0)
