"""What units see, against what really moves them: every pixel of small pictures is perturbed in turn."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnviz_widgets.errors import CnnvizError, UnknownLayer
from cnnviz_widgets.layers import ReceptiveField, layer_tree, receptive_field, record
from cnnviz_widgets.layers.fields import _probed
from cnnviz_widgets.networks import Asked, architecture, evaluating, load_network
from cnnviz_widgets.networks.efficientnet_lite import SameConv2d
from tests.helpers import fingerprint


class Run(nn.Module):
    """Modules and a function that calls them; `last` marks what is asked for."""

    def __init__(self, function, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.function, self.last = function, nn.Identity()

    def forward(self, inputs):
        return self.last(self.function(self, inputs))


def conv(kernel=3, stride=1, padding=0, dilation=1, channels=(2, 2), groups=1):
    return nn.Conv2d(*channels, kernel, stride, padding, dilation, groups)


def shuffled(maps):
    n, c, h, w = maps.shape
    return maps.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def channels_last(net, x):
    hidden = net.conv(x).permute(0, 2, 3, 1)
    hidden = net.linear(F.layer_norm(hidden, hidden.shape[-1:]) * 0 + hidden)
    return hidden.permute(0, 3, 1, 2)


def patches(x):
    """The channels of each 2×2 square side by side."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def tokens(net, x):
    """Rows and columns as one long axis, where the channels of each place are normalised."""
    n, c, h, w = x.shape
    hidden = net.conv(x).permute(0, 2, 3, 1).reshape(n, -1, c)
    hidden = net.linear(F.layer_norm(hidden, hidden.shape[-1:]) * 0 + hidden)
    return hidden.view(n, h, w, -1).permute(0, 3, 1, 2)


def in_place_on_part(net, x):
    hidden = net.a(x)
    hidden[:, :1] += net.b(hidden)[:, :1]
    return hidden


CHAINS = {
    "one convolution": Run(lambda net, x: net.a(x), a=conv(3)),
    "padding begins outside": Run(lambda net, x: net.a(x), a=conv(5, padding=2)),
    "oblong kernel, stride and dilation": Run(lambda net, x: net.a(x), a=conv((1, 3), (2, 1), (0, 1), (1, 2))),
    "stride spreads what comes later": Run(lambda net, x: net.b(net.a(x)), a=conv(3, 2, 1), b=conv(3, 2, 1)),
    "pooling with a window": Run(lambda net, x: F.max_pool2d(F.avg_pool2d(net.a(x), 3, 2, 1), 2), a=conv(3)),
    "functions as well as modules": Run(lambda net, x: F.relu(F.conv2d(x, net.a.weight, padding=1)) + 1, a=conv(3)),
    "one module used twice": Run(lambda net, x: net.a(net.a(x)), a=conv(3, padding=1)),
    "in-place layers": Run(lambda net, x: net.b(F.relu(net.a(x), inplace=True)).relu_(), a=conv(3), b=conv(3)),
    "zeros below only": Run(lambda net, x: net.a(F.pad(x, (0, 1, 0, 2))), a=conv(3, 2)),
    "the same as TensorFlow": Run(lambda net, x: net.a(x), a=SameConv2d(2, 2, 3, 2)),
    "cropping": Run(lambda net, x: net.a(x)[:, :, 1:-1, 2:], a=conv(3, padding=1)),
    "every other row": Run(lambda net, x: net.a(x)[:, :, 1::2], a=conv(3)),
    "adaptive pooling that divides": Run(lambda net, x: F.adaptive_avg_pool2d(net.a(x), 5), a=conv(3)),
}
GRAPHS = {
    "a shortcut": Run(lambda net, x: x + net.b(F.relu(net.a(x))), a=conv(3, padding=1), b=conv(3, padding=1)),
    "a shortcut with a stride": Run(lambda net, x: net.a(x) + net.b(x), a=conv(3, 2, 1), b=conv(1, 2)),
    "branches side by side": Run(lambda net, x: torch.cat([net.a(x), net.b(x), x], 1), a=conv(1), b=conv(5, padding=2)),
    "off to one side": Run(lambda net, x: x + F.pad(net.a(x), (0, 2, 0, 2)), a=conv(3)),
    "channels split and shuffled": Run(
        lambda net, x: shuffled(torch.cat([half if i else net.a(half) for i, half in enumerate(x.chunk(2, 1))], 1)),
        a=conv(3, padding=1, channels=(1, 1)),
    ),
    "single channels": Run(lambda net, x: net.a(torch.cat([x[:, 1].unsqueeze(1), x[:, :1]], 1)), a=conv(3)),
    "channels last": Run(channels_last, conv=conv(3), linear=nn.Linear(2, 3)),
    "patches merged": Run(
        lambda net, x: net.a(patches(net.b(x)[:, :, :10, :12])), a=conv(3, channels=(8, 2)), b=conv(3, padding=1)
    ),
    "tokens": Run(tokens, conv=conv(1), linear=nn.Linear(2, 3)),
    "a gate at each place": Run(lambda net, x: x * net.a(x).mean(1, keepdim=True), a=conv(3, padding=1)),
    "batch and group normalisation": Run(lambda net, x: net.n(net.a(x)), a=conv(3), n=nn.BatchNorm2d(2)),
}
SQUARE = torch.rand(3, 2, generator=torch.Generator().manual_seed(2)).double()
AS_FUNCTIONS = {
    "columns repeated": Run(lambda net, x: net.a(x).repeat_interleave(2, 3), a=conv(3)),
    "rows repeated three times": Run(lambda net, x: net.a(x).repeat_interleave(3, 2), a=conv(3, 2, 1)),
    "nearest neighbours": Run(lambda net, x: F.interpolate(net.a(x), scale_factor=2), a=conv(3, 2)),
    "repeated and pooled again": Run(lambda net, x: F.max_pool2d(F.interpolate(net.a(x), scale_factor=2), 2), a=conv()),
    "repeated and every fourth": Run(lambda net, x: net.a(x).repeat_interleave(2, 2)[:, :, ::4], a=conv(3)),
    "channels to pixels": Run(lambda net, x: F.pixel_shuffle(net.a(x), 2), a=conv(3, 2, channels=(2, 4))),
    "channels to pixels by hand": Run(
        lambda net, x: net.a(x).view(1, 1, 2, 2, 9, 11).permute(0, 1, 4, 2, 5, 3).reshape(1, 1, 18, 22),
        a=conv(3, channels=(2, 4)),
    ),
    "windows as columns": Run(lambda net, x: F.unfold(net.a(x), 4, stride=4).view(1, 32, 2, 2), a=conv(3)),
    "overlapping windows": Run(lambda net, x: F.unfold(x, 3, padding=1, stride=2).view(1, 18, 6, 7)),
    "windows as tokens": Run(
        lambda net, x: net.a(F.unfold(x, 4, stride=4).transpose(1, 2)).transpose(1, 2).reshape(1, 3, 2, 3),
        a=nn.Linear(32, 3),
    ),
    "tokens back to pixels": Run(
        lambda net, x: (
            net.a(F.unfold(x, 4, stride=4).transpose(1, 2))
            .view(1, 2, 3, 4, 4)
            .permute(0, 1, 3, 2, 4)
            .reshape(1, 1, 8, 12)
        ),
        a=nn.Linear(32, 16),
    ),
    "windows along each axis": Run(lambda net, x: net.a(x.unfold(2, 3, 2).unfold(3, 3, 2).sum((4, 5))), a=conv(1)),
    "pixels to channels": Run(lambda net, x: F.pixel_unshuffle(net.a(x)[:, :, :8, :8], 4), a=conv(3)),
    "pixels to channels, mixed, and back": Run(
        lambda net, x: F.pixel_shuffle(net.a(F.pixel_unshuffle(x[:, :, :10, :12], 2)), 2), a=conv(1, channels=(8, 4))
    ),
    "matrix times maps": Run(lambda net, x: (SQUARE.to(x) @ net.a(x).flatten(2)).view(1, 3, 9, 11), a=conv(3)),
    "maps times matrix": Run(
        lambda net, x: (net.a(x).permute(0, 2, 3, 1) @ SQUARE.to(x).T).permute(0, 3, 1, 2), a=conv(3)
    ),
    "einsum": Run(lambda net, x: torch.einsum("oc,nchw->nohw", SQUARE.to(x), net.a(x)), a=conv(3)),
    "einsum the other way": Run(lambda net, x: torch.einsum("nchw,oc->nohw", net.a(x), SQUARE.to(x)), a=conv(3)),
    "tensordot": Run(
        lambda net, x: torch.tensordot(net.a(x), SQUARE.to(x), dims=([1], [1])).permute(0, 3, 1, 2), a=conv(3)
    ),
    "channels shuffled": Run(lambda net, x: F.channel_shuffle(net.a(x), 2), a=conv(3, channels=(2, 4))),
}
UNREADABLE = {
    "a convolution on repeated columns": Run(
        lambda net, x: net.b(net.a(x).repeat_interleave(2, 3)), a=conv(), b=conv()
    ),
    "pixels to channels and straight back": Run(
        lambda net, x: F.pixel_shuffle(F.pixel_unshuffle(net.a(x)[:, :, :8, :8], 4), 4), a=conv(3)
    ),
    "the same by hand": Run(
        lambda net, x: net.a(x)[:, :, :8].view(1, 2, 2, 4, 11).flatten(2, 3).contiguous(), a=conv(3)
    ),
    "shifted round": Run(lambda net, x: net.a(x).roll(1, 2), a=conv(3)),
    "bilinear": Run(lambda net, x: F.interpolate(net.a(x), scale_factor=2, mode="bilinear"), a=conv(3)),
    "picked by number": Run(lambda net, x: net.a(x)[:, :, torch.arange(0, 9, 2)], a=conv(3)),
    "a transposed convolution": Run(lambda net, x: net.a(x), a=nn.ConvTranspose2d(2, 2, 2, 2)),
    "one that sees padding alone in some rows": Run(
        lambda net, x: net.b(F.pad(net.a(x), (3, 0, 2, 0))), a=nn.ConvTranspose2d(2, 2, 3), b=conv(1)
    ),
    "written into a part": Run(in_place_on_part, a=conv(3, padding=1), b=conv(3, padding=1)),
    "written into an empty map": Run(
        lambda net, x: net.a(F.pad(x, (1, 1, 1, 1), mode="circular")[..., 1:-1]), a=conv(1)
    ),
}
WHOLE = {
    "the mean of a map": Run(lambda net, x: net.a(x.mean((2, 3), keepdim=True)), a=conv(1)),
    "a vector": Run(lambda net, x: net.a(x.flatten(1)), a=nn.Linear(2 * 11 * 13, 3)),
    "squeeze and excitation": Run(
        lambda net, x: x * net.a(F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]).view(1, 2, 1, 1), a=nn.Linear(2, 2)
    ),
    "group normalisation": Run(lambda net, x: F.group_norm(x, 2)),
    "instance normalisation": Run(lambda net, x: F.instance_norm(x)),
}


def made_positive(net: nn.Module) -> nn.Module:
    """In double precision and without negative weights, so that nothing a unit sees cancels out."""
    net = copy.deepcopy(net).double().eval()
    for parameter in net.parameters():
        parameter.data = parameter.data.abs() + 0.1
    return net


def seen_by_units(net: nn.Module, picture: torch.Tensor) -> torch.Tensor:
    """Whether the unit at (i, j) moves when the pixel (y, x) does: bool [rows, columns, H, W]. Brute force."""
    net = made_positive(net)
    height, width = picture.shape[-2:]
    pixels = torch.eye(height * width, dtype=torch.double).view(-1, 1, height, width)
    with torch.no_grad():
        at_rest = net(picture.double())
        moved = torch.cat([net(picture.double() + 1e3 * pixel) for pixel in pixels])
    changed = (moved - at_rest).abs().amax(1) > 1e-6
    return changed.view(height, width, *changed.shape[1:]).permute(2, 3, 0, 1)


# A tap of a dilated kernel or a whole branch that lies outside leaves more of the box unseen than is cut off.
LOOSE_AT_THE_BORDER = {"oblong kernel, stride and dilation", "off to one side"}


def inside(found: ReceptiveField, row: int, column: int) -> bool:
    """Whether the unit's field lies in the picture as a whole."""
    top, left, bottom, right = found.box(row, column)
    return (bottom - top, right - left) == found.size


@pytest.fixture
def picture():
    return torch.rand(1, 2, 11, 13, generator=torch.Generator().manual_seed(0)) + 1


@pytest.mark.parametrize("name", [*CHAINS, *GRAPHS, *AS_FUNCTIONS])
def test_every_unit_sees_the_pixels_that_move_it_and_no_others(name, picture):
    net = {**CHAINS, **GRAPHS, **AS_FUNCTIONS}[name]
    if name == "adaptive pooling that divides":
        picture = torch.rand(1, 2, 12, 17) + 1
    if name in AS_FUNCTIONS:
        (read,) = (layer for layer in layer_tree(net, picture, receptive_fields=True) if layer.name == "last")
        assert read.receptive_field is not None  # and not probed
    found = receptive_field(net, picture, "last")
    truth = seen_by_units(net, picture)
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            ys, xs = (truth[row, column].any(axis).nonzero().flatten() for axis in (1, 0))
            if not len(ys):  # a unit that sees nothing but padding
                continue
            box, expected = found.box(row, column), (int(ys[0]), int(xs[0]), int(ys[-1]) + 1, int(xs[-1]) + 1)
            if name in LOOSE_AT_THE_BORDER and not inside(found, row, column):
                assert box[0] <= expected[0] and box[1] <= expected[1]
                assert box[2] >= expected[2] and box[3] >= expected[3]
            else:
                assert box == expected, (row, column)


@pytest.mark.parametrize("name", WHOLE)
def test_what_sums_up_the_whole_picture_sees_all_of_it(name, picture):
    found = receptive_field(WHOLE[name], picture, "last")
    assert found == ReceptiveField((11, 13), (0, 0), (0, 0), (11, 13)) and found.is_whole
    assert found.box(5, 7) == (0, 0, 11, 13)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_off_the_operations_is_probed(name, picture):
    net = UNREADABLE[name]
    (layer,) = (layer for layer in layer_tree(net, picture, receptive_fields=True) if layer.name == "last")
    assert layer.receptive_field is None
    found = receptive_field(net, picture, "last")
    truth = seen_by_units(net, picture)
    middle = truth.shape[0] // 2, truth.shape[1] // 2
    ys, xs = (truth[middle].any(axis).nonzero().flatten() for axis in (1, 0))
    assert found.box(*middle) == (int(ys[0]), int(xs[0]), int(ys[-1]) + 1, int(xs[-1]) + 1)


def test_columns_that_are_repeated_are_half_a_column_apart():
    net = Run(lambda net, x: net.a(x).repeat_interleave(2, 3), a=conv(3))
    found = receptive_field(net, torch.rand(1, 2, 20, 30), "last")
    assert (found.size, found.stride, found.repeat) == ((3, 3), (1, 0.5), (1, 2))
    assert found.box(4, 22) == found.box(4, 23) == (4, 11, 7, 14)


@pytest.mark.parametrize(
    "function", [lambda x: F.unfold(x, 4, stride=4).view(1, -1, 6, 8), lambda x: F.pixel_unshuffle(x, 4)]
)
def test_pixels_that_become_channels_are_a_stride(function):
    found = receptive_field(Run(lambda net, x: function(x)), torch.rand(1, 2, 24, 32), "last")
    assert found == ReceptiveField((4, 4), (4, 4), (0, 0), (24, 32))


def test_probing_measures_the_stride_and_does_not_divide_picture_by_map(picture):
    """A border of six columns beside the map would make a stride of 13 / 19 of one."""
    net = UNREADABLE["one that sees padding alone in some rows"]
    found = receptive_field(net, picture, "last")
    assert found.stride == (1, 1) and found.size == (3, 3)
    strided = Run(lambda net, x: F.pad(net.a(x).roll(1, 3), (5, 5)), a=conv(3, 2))
    assert receptive_field(strided, torch.rand(1, 2, 33, 35), "last").stride == (2, 2)


def test_what_is_seen_without_any_order_is_unknown():
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    for disorder in (lambda x: x[:, :, order], lambda x: x.flip(2)):
        net = Run(lambda net, x, disorder=disorder: disorder(net.a(x)), a=conv(3, padding=1))
        with pytest.raises(CnnvizError, match='units of "last" see does not move evenly over the picture'):
            receptive_field(net, torch.rand(1, 2, 30, 20), "last")
        (read,) = (
            one for one in layer_tree(net, torch.rand(1, 2, 30, 20), receptive_fields=True) if one.name == "last"
        )
        assert read.receptive_field is None


@pytest.mark.parametrize("name", [*CHAINS, *GRAPHS])
def test_probing_finds_the_middle_unit_s_field_too(name, picture):
    net = {**CHAINS, **GRAPHS}[name]
    if name == "adaptive pooling that divides":
        picture = torch.rand(1, 2, 12, 17) + 1
    if name == "one module used twice":
        found = _probed(Asked(net), picture, "a", calls=2)
        assert found.size == (5, 5)
    found, expected = _probed(Asked(net), picture, "last"), receptive_field(net, picture, "last")
    with evaluating(net), torch.no_grad():
        rows, columns = net(picture).shape[2:]
    assert found.box(rows // 2, columns // 2) == expected.box(rows // 2, columns // 2)


def test_sizes_add_up_as_in_the_paper(picture):
    """Three 3×3 convolutions see 7×7; each stride doubles what the later ones add."""
    chain = nn.Sequential(conv(3), conv(3), conv(3))
    assert [layer.receptive_field.size for layer in layer_tree(chain, picture, receptive_fields=True)] == [
        (3, 3),
        (5, 5),
        (7, 7),
    ]
    strided = nn.Sequential(conv(3, 2, 1), conv(3, 2, 1), conv(3, 2, 1))
    fields = [layer.receptive_field for layer in layer_tree(strided, picture, receptive_fields=True)]
    assert [field.size[0] for field in fields] == [3, 7, 15]
    assert [field.stride[1] for field in fields] == [2, 4, 8]
    assert [field.offset[0] for field in fields] == [-1, -3, -7]


@pytest.mark.parametrize(
    ("name", "layer", "size", "stride"),
    [
        ("alexnet", "features", 195, 32),
        ("vgg16", "features", 212, 32),
        ("inception_v3", "Mixed_7c", 1311, 32),
        ("resnet18", "layer4", 435, 32),
    ],
)
def test_well_known_networks_see_as_much_as_is_published(name, layer, size, stride):
    network = architecture(name)
    inputs = torch.empty(1, 3, network.size, network.size, device="meta")
    found = receptive_field(network, inputs, layer)
    assert (found.size, found.stride) == ((size, size), (stride, stride))


@pytest.mark.parametrize("layer", ["stem", "block2_2.depthwise.conv", "block3_2", "block4_1", "block5_1", "head"])
def test_units_of_the_bundled_network_see_the_pixels_that_gradients_find(layer):
    network = load_network()
    found = receptive_field(network, network.preprocess("cat"), layer)
    positive = made_positive(network.module)
    for name, part in list(positive.named_modules()):
        if isinstance(part, nn.ReLU6):  # where it is flat no gradient passes
            positive.set_submodule(name, nn.Identity())
    inputs = torch.ones(1, 3, 224, 224, dtype=torch.double, requires_grad=True)
    with record(positive, [layer]) as seen:
        positive(inputs)
    rows, columns = seen[layer].shape[2:]
    for unit in ((rows // 2, columns // 2), (0, columns - 1), (rows // 3, 1)):
        score = seen[layer][0, :, unit[0], unit[1]].sum()
        gradient = torch.autograd.grad(score, inputs, retain_graph=True)[0][0].sum(0)
        ys, xs = ((gradient != 0).any(axis).nonzero().flatten() for axis in (1, 0))
        assert found.box(*unit) == (int(ys[0]), int(xs[0]), int(ys[-1]) + 1, int(xs[-1]) + 1)


@pytest.mark.parametrize("layer", ["block1_1", "block3_2"])
def test_occluding_what_a_unit_of_the_bundled_network_sees_and_what_it_does_not(layer):
    network = load_network()
    inputs = network.preprocess("cat")
    found = receptive_field(network, inputs, layer)

    def middle(inputs):
        with record(network, layer) as seen, torch.no_grad():
            network.module(inputs)
        return seen[layer][0, :, seen[layer].shape[2] // 2, seen[layer].shape[3] // 2]

    size = math.ceil(224 / found.stride[0])
    top, left, bottom, right = found.box(size // 2, size // 2)
    outside = inputs + 3
    outside[..., top:bottom, left:right] = inputs[..., top:bottom, left:right]
    torch.testing.assert_close(middle(outside), middle(inputs))
    for rows, columns in ((top, slice(left, right)), (bottom - 1, slice(left, right)), (slice(top, bottom), right - 1)):
        inside = inputs.clone()
        inside[0, :, rows, columns] += 30
        assert (middle(inside) - middle(inputs)).abs().max() > 1e-4


def test_the_tree_says_what_every_layer_sees_only_when_asked(picture):
    net = nn.Sequential(conv(3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    assert all(layer.receptive_field is None for layer in layer_tree(net, picture))
    fields = [layer.receptive_field for layer in layer_tree(net, picture, receptive_fields=True)]
    assert fields[0] == fields[1] == ReceptiveField((3, 3), (1, 1), (0, 0), (11, 13))
    assert all(field.is_whole for field in fields[2:])


def test_shifted_windows_are_probed_also_with_channels_last():
    torch.manual_seed(0)
    net = Run(lambda net, x: net.a(x.permute(0, 2, 3, 1)), a=nn.Identity())
    net.function = lambda net, x: windows(net.a(x).permute(0, 2, 3, 1))
    net.a = nn.Conv2d(2, 4, 2, 2)
    found = receptive_field(net, torch.rand(1, 2, 16, 24), "last")
    assert found.size == (4, 4) and found.stride == (2, 2)


def windows(maps):
    """The mean of each 2×2 window at each of its places, channels last."""
    n, h, w, c = maps.shape
    parts = maps.view(n, h // 2, 2, w // 2, 2, c)
    return parts.mean((2, 4), keepdim=True).expand_as(parts).reshape(n, h, w, c)


def test_a_layer_whose_outputs_belong_to_no_picture_is_refused(picture):
    boxes = Run(lambda net, x: F.unfold(x, 3).view(2, 9, -1, 1).transpose(0, 2).contiguous())
    with pytest.raises(CnnvizError, match=r'"last" puts out \[99, 9, 2, 1\] for a batch of 1'):
        receptive_field(boxes, picture, "last")


def test_finding_what_is_seen_leaves_the_network_alone(picture):
    for net in (GRAPHS["batch and group normalisation"], UNREADABLE["a transposed convolution"]):
        net.train()
        before = fingerprint(net)
        receptive_field(net, picture, "last")
        layer_tree(net, picture, receptive_fields=True)
        assert fingerprint(net) == before
    with pytest.raises(CnnvizError, match="channels that the network takes is 2, that of the picture 1"):
        receptive_field(net, picture[:, :1], "last")
    assert fingerprint(net) == before


@pytest.mark.parametrize("inner", [nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(2, 3, 3)])
def test_what_stands_behind_the_layer_may_refuse_the_picture(inner, picture):
    net = nn.Sequential(inner, nn.Flatten(), nn.Linear(7, 2))
    assert receptive_field(net, picture, "0").size == (3, 3)
    with pytest.raises(CnnvizError, match=r"Sequential stopped on .*shapes cannot be multiplied") as caught:
        receptive_field(net, picture, "2")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_map_of_one_place_is_followed_through_views():
    net = Run(channels_last, conv=conv(3), linear=nn.Linear(2, 3))
    assert receptive_field(net, torch.rand(1, 2, 3, 3), "last") == ReceptiveField((3, 3), (1, 1), (0, 0), (3, 3))


def test_half_precision_sees_the_same(picture):
    net = copy.deepcopy(CHAINS["stride spreads what comes later"])
    expected = receptive_field(net, picture, "last")
    assert receptive_field(net.to(torch.bfloat16), picture.to(torch.bfloat16), "last") == expected


def test_what_cannot_be_found_is_refused_in_a_sentence(picture):
    net = CHAINS["one convolution"]
    with pytest.raises(UnknownLayer, match="Did you mean last"):
        receptive_field(net, picture, "lats")
    with pytest.raises(CnnvizError, match=r"pictures as a tensor \[N, C, H, W\], not one of shape \[2, 11, 13\]: in"):
        receptive_field(net, picture[0], "last")
    idle = Run(lambda net, x: x, idle=conv(1))
    with pytest.raises(CnnvizError, match='"idle" put out no tensor'):
        receptive_field(idle, picture, "idle")
    transposed = UNREADABLE["a transposed convolution"].to("meta")
    with pytest.raises(CnnvizError, match="only be found by probing"):
        receptive_field(transposed, picture.to("meta"), "last")
