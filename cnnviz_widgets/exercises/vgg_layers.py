"""The exercises of notebook 04: what a convolution costs, freezing layers, a smaller end for VGG16."""

import copy
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..i18n import _
from ._answers import sentence_of
from ._compare import Wrong, expect_close, require
from ._exercise import Exercise, Misreading, case

SETUP = "import torch\nfrom torch import nn\n"


# 1: parameters and multiply-adds of a convolution


def cost(channels_in: int, channels_out: int, kernel_size: int, height: int, width: int) -> tuple[int, int]:
    """(parameters, multiply-adds) of a convolution with biases that puts out maps of height × width."""
    weights = channels_out * channels_in * kernel_size**2
    return weights + channels_out, weights * height * width


LAYER = _(
    "For {channels_in} channels, {channels_out} filters, kernels of {kernel_size} × {kernel_size} "
    "and maps of {height} × {width}"
)
LAYERS = ((3, 64, 3, 224, 224), (64, 128, 3, 112, 100), (512, 512, 3, 14, 14), (40, 24, 1, 28, 20))


def _without_bias(channels_in: int, channels_out: int, size: int, height: int, width: int) -> tuple[int, int]:
    weights = channels_out * channels_in * size**2
    return weights, weights * height * width


def _flat_filters(channels_in: int, channels_out: int, size: int, height: int, width: int) -> tuple[int, int]:
    weights = channels_out * size**2
    return weights + channels_out, weights * height * width


# 2: freezing


def freeze_all_but(model: nn.Module, names: list[str]) -> int:
    """Freeze `model` but for the layers called `names`; returns how many numbers stay trainable."""
    for layer, part in model.named_modules():
        for parameter in part.parameters(recurse=False):
            parameter.requires_grad = layer in names
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def small_vgg() -> nn.Module:
    """Six convolutions with norms between them, and two linear layers, named as in torchvision's VGG."""
    features = nn.Sequential(
        *(part for _number in range(6) for part in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)))
    )
    classifier = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


CASES = (["classifier.2"], ["features.1", "classifier.0"], ["features.10", "classifier.2"])


def _training(wanted: Callable[[str, bool, list[str]], bool]) -> Callable[[nn.Module, list[str]], int]:
    """Trains the parameters of which `wanted(name, is it trained now, names of the layers)` is true."""

    def train(model: nn.Module, names: list[str]) -> int:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = wanted(name, parameter.requires_grad, names)
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    return train


def _is_in(name: str, layers: list[str]) -> bool:
    return name.rpartition(".")[0] in layers


def _check_freeze(answer: object) -> None:
    model = small_vgg()  # the same one for all cases: what was frozen before may be wanted now
    for names in CASES:
        result = answer(model, list(names))
        wanted = {f"{layer}.{kind}" for layer in names for kind in ("weight", "bias")}
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        everything = {name for name, _parameter in model.named_parameters()}
        call = _("After freeze_all_but(model, {names})").format(names=names)
        nothing_frozen = _("{call} nothing is frozen: set requires_grad of each parameter.")
        wrong_way_round = _("{call} the named layers are frozen, and all others are not.")
        surplus = _("{call} {name} is trainable as well; names must be equal, not begin alike.")
        missing = _("{call} {name} is frozen; it may have been frozen before, and weights and biases both count.")
        require(trained != everything, nothing_frozen, call=call)
        require(trained != everything - wanted, wrong_way_round, call=call)
        require(trained <= wanted, surplus, call=call, name=min(trained - wanted, default=""))
        require(wanted <= trained, missing, call=call, name=min(wanted - trained, default=""))
        require(result != len(wanted), _("You counted {count} tensors; how many numbers are in them?"), count=result)
        count = sum(parameter.numel() for name, parameter in model.named_parameters() if name in wanted)
        expect_close(result, count, _("{call} the number you return").format(call=call), 0)


# 3: a smaller end for VGG16

MOST = 1_000_000


def _check_head(answer: object) -> None:
    kind = type(answer).__name__
    require(isinstance(answer, nn.Module), _("Give an nn.Module, such as nn.Sequential(…), not {kind}."), kind=kind)
    count = sum(parameter.numel() for parameter in answer.parameters())
    too_many = _("Your head has {count:,} parameters; it should have fewer than {most:,}.")
    require(count < MOST, too_many, count=count, most=MOST)
    maps = torch.randn(2, 512, 7, 7, generator=torch.Generator().manual_seed(4)).requires_grad_()
    try:
        outputs = copy.deepcopy(answer).eval()(maps)
    except Exception as error:
        message = _("Your head stops at maps of shape [2, 512, 7, 7]. {error}")
        raise Wrong(message.format(error=sentence_of(error))) from None
    shape = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    wrong_shape = _("For maps of shape [2, 512, 7, 7] your head puts out {shape}; [2, 1000] is needed.")
    require(shape == [2, 1000], wrong_shape, shape=shape)
    used = _channels_used(outputs, maps)
    require(used == 512, _("Your head uses {used} of the 512 channels; all of them should count."), used=used)


def _channels_used(outputs: Tensor, maps: Tensor) -> int:
    """How many channels of `maps` the `outputs` change with."""
    if not outputs.requires_grad:
        return 0
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(5))  # a plain sum may be constant
    (gradient,) = torch.autograd.grad((outputs * weights).sum(), maps, allow_unused=True)
    return 0 if gradient is None else int((gradient != 0).any(3).any(2).any(0).sum())


class _FirstChannels(nn.Linear):
    """Looks at 64 of the 512 channels."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps[:, :64].mean((2, 3)))


EXERCISES = (
    Exercise(
        name="cost",
        question=_("How many parameters and multiply-adds has a convolution?"),
        starter='''def cost(channels_in, channels_out, kernel_size, height, width):
    """(parameters, multiply-adds) of a convolution with biases that puts out maps of height × width."""
    parameters = ...
    multiply_adds = ...
    return parameters, multiply_adds


check("vgg_layers.cost", cost)''',
        solution=cost,
        cases=tuple(case(LAYER, *layer) for layer in LAYERS),
        gives=("parameters", "multiply_adds"),
        tolerance=0,
        hints=(
            _(
                "A filter is a block of kernel_size × kernel_size × channels_in numbers. "
                "There are channels_out of them."
            ),
            _("Each filter has one bias. It is a parameter, but adding it is no multiplication."),
            _("At every place of every output map each weight of the filter is multiplied once."),
        ),
        misreadings=(
            Misreading("forgets the biases", _without_bias, _("{case}, the biases are missing, one for each filter.")),
            Misreading(
                "takes filters for flat", _flat_filters, _("{case}, a filter has weights for every input channel.")
            ),
            Misreading(
                "computes one place only",
                lambda *layer: (cost(*layer)[0], _without_bias(*layer)[0]),
                _("{case}, those are the multiply-adds of one place of the map."),
            ),
            Misreading(
                "multiply-adds first",
                lambda *layer: cost(*layer)[::-1],
                _("Both numbers are right, but they have changed places: the parameters come first."),
            ),
            Misreading(
                "one number for both",
                lambda *layer: cost(*layer)[0],
                _("Your function returns the parameters alone: return parameters, multiply_adds."),
            ),
        ),
        setup=SETUP,
        praise=_("right. Parameters do not depend on the size of the map; multiply-adds do."),
    ),
    Exercise(
        name="freeze",
        question=_("Freeze a network but for some of its layers, and count what is left to train."),
        starter='''def freeze_all_but(model, names):
    """Freeze `model` but for the layers called `names`; returns how many numbers stay trainable."""
    ...
    return ...


check("vgg_layers.freeze", freeze_all_but)''',
        solution=freeze_all_but,
        check=_check_freeze,
        hints=(
            _("Each parameter has an attribute requires_grad; False means that nothing trains it."),
            _("model.named_parameters() yields names such as features.10.weight: the layer, a dot, and which of two."),
            _("Set requires_grad = True or False for every parameter, and add up numel() of those that have True."),
        ),
        misreadings=(
            Misreading(
                "begins alike", _training(lambda name, now, names: name.startswith(tuple(names))), "not begin alike"
            ),
            Misreading(
                "no biases", _training(lambda name, now, names: name.removesuffix(".weight") in names), "bias is frozen"
            ),
            Misreading(
                "the wrong way round", _training(lambda name, now, names: not _is_in(name, names)), "all others are not"
            ),
            Misreading(
                "never unfreezes", _training(lambda name, now, names: now and _is_in(name, names)), "frozen before"
            ),
            Misreading(
                "counts tensors",
                lambda model, names: freeze_all_but(model, names) and sum(p.requires_grad for p in model.parameters()),
                "counted 2 tensors",
            ),
            Misreading(
                "counts without freezing", lambda model, names: freeze_all_but(small_vgg(), names), "nothing is frozen"
            ),
        ),
        setup=SETUP,
        praise=_('right. On VGG16, freeze_all_but(module, ["classifier.6"]) gives 4,097,000.'),
    ),
    Exercise(
        name="head",
        question=_("Replace the 123,642,856 parameters of VGG16's linear layers by fewer than {most:,}.").format(
            most=MOST
        ),
        starter="""head = ...  # an nn.Module: maps [N, 512, 7, 7] in, scores [N, 1000] out

check("vgg_layers.head", head)""",
        solution="""head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))""",
        check=_check_head,
        hints=(
            _("25,088 numbers go into the first linear layer, 49 for each of the 512 channels. Does it need all 49?"),
            _("The mean of each map, nn.AdaptiveAvgPool2d(1), leaves 512 numbers. nn.Flatten() makes them a vector."),
            _("One nn.Linear(512, 1000) has 513,000 parameters."),
        ),
        misreadings=(
            Misreading(
                "torchvision's own linear layers",
                nn.Sequential(nn.Flatten(), nn.Linear(25088, 4096, device="meta")),
                "102,764,544 parameters",
            ),
            Misreading(
                "forgets to flatten", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Linear(512, 1000)), "Your head stops"
            ),
            Misreading("scores for every place", nn.Conv2d(512, 1000, 1), r"puts out \[2, 1000, 7, 7\]"),
            Misreading("looks at some channels", _FirstChannels(64, 1000), "64 of the 512"),
            Misreading("a function", lambda maps: maps.mean((2, 3)), "Give an nn.Module"),
        ),
        setup=SETUP,
        praise=_("right. Networks after VGG end like this, and most of VGG16's parameters are gone."),
    ),
)
