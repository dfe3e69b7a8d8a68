"""The exercises of notebook 04: what a convolution costs, freezing layers, a smaller end for VGG16."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..i18n import _
from ._compare import Wrong, expect_close, parts
from ._framework import Exercise, Misreading

SETUP = "import torch\nfrom torch import nn\n"


# 1: parameters and multiply-adds of a convolution


def cost(channels_in: int, channels_out: int, kernel_size: int, height: int, width: int) -> tuple[int, int]:
    """(parameters, multiply-adds) of a convolution with biases that puts out maps of height × width."""
    weights = channels_out * channels_in * kernel_size**2
    return weights + channels_out, weights * height * width


LAYERS = ((3, 64, 3, 224, 224), (64, 128, 3, 112, 100), (512, 512, 3, 14, 14), (40, 24, 1, 28, 20))


def _without_bias(channels_in: int, channels_out: int, size: int, height: int, width: int) -> tuple[int, int]:
    weights = channels_out * channels_in * size**2
    return weights, weights * height * width


def _flat_filters(channels_in: int, channels_out: int, size: int, height: int, width: int) -> tuple[int, int]:
    weights = channels_out * size**2
    return weights + channels_out, weights * height * width


def _cost_of_one_place(*layer: int) -> tuple[int, int]:
    parameters, _operations = cost(*layer)
    return parameters, _without_bias(*layer)[0]


def _check_cost(answer: object) -> None:
    for layer in LAYERS:
        (parameters, operations), right = parts(answer(*layer), "parameters, multiply_adds"), cost(*layer)
        case = _("Of {channels_in} channels, {channels_out} filters, kernel {size} and maps of {height} × {width}")
        channels_in, channels_out, size, height, width = layer
        case = case.format(channels_in=channels_in, channels_out=channels_out, size=size, height=height, width=width)
        if (operations, parameters) == right:
            raise Wrong(_("Both numbers are right, but they have changed places: the parameters come first."))
        if parameters == _without_bias(*layer)[0]:
            raise Wrong(_("{case}: the biases are missing, one for each filter.").format(case=case))
        if parameters == _flat_filters(*layer)[0]:
            raise Wrong(_("{case}: a filter has weights for every input channel.").format(case=case))
        expect_close(parameters, right[0], _("{case}: the number of parameters").format(case=case), 0)
        if operations == _cost_of_one_place(*layer)[1]:
            raise Wrong(_("{case}: those are the multiply-adds of one place of the map.").format(case=case))
        expect_close(operations, right[1], _("{case}: the number of multiply-adds").format(case=case), 0)


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


def _by_beginning(model: nn.Module, names: list[str]) -> int:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(tuple(names))
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _weights_only(model: nn.Module, names: list[str]) -> int:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.rpartition(".")[0] in names and name.endswith("weight")
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _tensors(model: nn.Module, names: list[str]) -> int:
    freeze_all_but(model, names)
    return sum(1 for parameter in model.parameters() if parameter.requires_grad)


def _the_wrong_way_round(model: nn.Module, names: list[str]) -> int:
    freeze_all_but(model, [name for name, _part in model.named_modules() if name not in names])
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _only_freezes(model: nn.Module, names: list[str]) -> int:
    for layer, part in model.named_modules():
        if layer not in names:
            for parameter in part.parameters(recurse=False):
                parameter.requires_grad = False
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _count_only(model: nn.Module, names: list[str]) -> int:
    return freeze_all_but(small_vgg(), names)


def _check_freeze(answer: object) -> None:
    model = small_vgg()  # the same one for all cases: what was frozen before may be wanted now
    for names in CASES:
        result = answer(model, list(names))
        wanted = {f"{layer}.{kind}" for layer in names for kind in ("weight", "bias")}
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        everything = {name for name, _parameter in model.named_parameters()}
        call = _("After freeze_all_but(model, {names})").format(names=names)
        if trained == everything:
            raise Wrong(_("{call} nothing is frozen: set requires_grad of each parameter.").format(call=call))
        if trained == everything - wanted:
            raise Wrong(_("{call} the named layers are frozen, and all others are not.").format(call=call))
        if surplus := sorted(trained - wanted):
            message = _("{call} {name} is trainable as well; names must be equal, not begin alike.")
            raise Wrong(message.format(call=call, name=surplus[0]))
        if missing := sorted(wanted - trained):
            message = _("{call} {name} is frozen; it may have been frozen before, and weights and biases both count.")
            raise Wrong(message.format(call=call, name=missing[0]))
        if result == len(wanted):
            raise Wrong(_("You counted {count} tensors; how many numbers are in them?").format(count=result))
        count = sum(parameter.numel() for name, parameter in model.named_parameters() if name in wanted)
        expect_close(result, count, _("{call} the number you return").format(call=call), 0)


# 3: a smaller end for VGG16

MOST = 1_000_000


class _FirstChannels(nn.Module):
    """Looks at 64 of the 512 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 1000)

    def forward(self, maps: Tensor) -> Tensor:
        return self.linear(maps[:, :64].mean((2, 3)))


def _check_head(answer: object) -> None:
    if not isinstance(answer, nn.Module):
        raise Wrong(_("Give an nn.Module, such as nn.Sequential(…), not {kind}.").format(kind=type(answer).__name__))
    count = sum(parameter.numel() for parameter in answer.parameters())
    if count >= MOST:
        message = _("Your head has {count:,} parameters; it should have fewer than {most:,}.")
        raise Wrong(message.format(count=count, most=MOST))
    maps = torch.randn(2, 512, 7, 7, generator=torch.Generator().manual_seed(4)).requires_grad_()
    try:
        outputs = answer.eval()(maps)
    except Exception as error:
        message = _("Your head stops at maps of shape [2, 512, 7, 7]. {kind}: {error}")
        raise Wrong(message.format(kind=type(error).__name__, error=str(error).splitlines()[0])) from None
    if not isinstance(outputs, Tensor) or outputs.shape != (2, 1000):
        shape = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        message = _("For maps of shape [2, 512, 7, 7] your head puts out {shape}; [2, 1000] is needed.")
        raise Wrong(message.format(shape=shape))
    used = torch.zeros(512, dtype=torch.bool)
    if outputs.requires_grad:
        (gradient,) = torch.autograd.grad(outputs.sum(), maps, allow_unused=True)
        used = used if gradient is None else (gradient != 0).flatten(2).any(2).any(0)
    if not used.all():
        message = _("Your head uses {count} of the 512 channels; all of them should count.")
        raise Wrong(message.format(count=int(used.sum())))


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
        check=_check_cost,
        hints=(
            _(
                "A filter is a block of kernel_size × kernel_size × channels_in numbers. "
                "There are channels_out of them."
            ),
            _("Each filter has one bias. It is a parameter, but adding it is no multiplication."),
            _("At every place of every output map each weight of the filter is multiplied once."),
        ),
        misreadings=(
            Misreading("forgets the biases", _without_bias, "biases are missing"),
            Misreading("takes filters for flat", _flat_filters, "every input channel"),
            Misreading("computes one place only", _cost_of_one_place, "one place"),
            Misreading(
                "one number for both",
                lambda *layer: cost(*layer)[0],
                r"return 2 numbers, \(parameters, multiply_adds\)",
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
            Misreading("names that begin alike", _by_beginning, "not begin alike"),
            Misreading("forgets biases", _weights_only, "bias is frozen"),
            Misreading("counts tensors", _tensors, "counted 2 tensors"),
            Misreading("the wrong way round", _the_wrong_way_round, "all others are not"),
            Misreading("never unfreezes", _only_freezes, "frozen before"),
            Misreading("counts without freezing", _count_only, "nothing is frozen"),
        ),
        setup=SETUP,
        praise=_('right. On VGG16, freeze_all_but(module, ["classifier.6"]) gives 4,097,000.'),
    ),
    Exercise(
        name="head",
        question=_("Replace the 123,642,856 parameters of VGG16's linear layers by fewer than 1,000,000."),
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
            Misreading("looks at some channels", _FirstChannels(), "64 of the 512"),
            Misreading("a function", lambda maps: maps.mean((2, 3)), "Give an nn.Module"),
        ),
        setup=SETUP,
        praise=_("right. Networks after VGG end like this, and most of VGG16's parameters are gone."),
    ),
)
