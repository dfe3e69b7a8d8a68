"""LeNet three times: as it was published, as we train it, and the shorter one of the course's source article."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..seeds import Drawing
from ..settings import whole_number

# fmt: off
C3_INPUTS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
# fmt: on
"""Which of the six maps of S2 each of the sixteen maps of C3 looks at: table I of LeCun et al. (1998)."""


class ScaledTanh(nn.Module):
    """1.7159 tanh(2/3 x), the squashing function of LeNet-5: its value at ±1 is ±1."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash every number of `x`."""
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """LeNet-5's pooling: the sum of each 2 × 2 window, times a trained coefficient, plus a trained bias, per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`[N, maps, H, W]` to `[N, maps, H / 2, W / 2]`."""
        return nn.functional.avg_pool2d(x, 2) * 4 * self.coefficient + self.bias


class PartialConvolution(nn.Module):
    """5 × 5 convolutions each of which looks at some of the maps below: `inputs[k]` lists those of map k."""

    def __init__(self, inputs: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.inputs = inputs
        self.maps = nn.ModuleList(nn.Conv2d(len(seen), 1, 5) for seen in inputs)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, maps, H - 4, W - 4]`."""
        return torch.cat([conv(x[:, list(seen)]) for conv, seen in zip(self.maps, self.inputs, strict=True)], dim=1)


class DistanceToCodes(nn.Module):
    """LeNet-5's output: minus the squared distance of F6 to a fixed code of each class, so that the largest wins.

    The paper's codes are stylised pictures of the characters, 7 × 12 pixels of ±1; ours are ±1 drawn from a seed. They
    are no parameters: nothing trains them.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1998)
        self.register_buffer("codes", torch.randint(0, 2, (classes, width), generator=generator) * 2.0 - 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, width]` to `[N, classes]`, at most 0."""
        return -(x[:, None] - self.codes).square().sum(2)


def lenet5(seed: int = 0) -> nn.Sequential:
    """LeNet-5 as published, 60,000 trainable parameters: `[N, 1, 32, 32]` to `[N, 10]`, the largest wins.

    Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-Based Learning Applied to Document
    Recognition" (1998). The layers bear the paper's names; all up to F6 end in the squashing function. The first
    weights are drawn from `seed`.
    """
    return _seeded(
        seed,
        lambda: OrderedDict(
            c1=nn.Conv2d(1, 6, 5),
            c1_squash=ScaledTanh(),
            s2=Subsampling(6),
            s2_squash=ScaledTanh(),
            c3=PartialConvolution(C3_INPUTS),
            c3_squash=ScaledTanh(),
            s4=Subsampling(16),
            s4_squash=ScaledTanh(),
            c5=nn.Conv2d(16, 120, 5),
            c5_squash=ScaledTanh(),
            flatten=nn.Flatten(),
            f6=nn.Linear(120, 84),
            f6_squash=ScaledTanh(),
            output=DistanceToCodes(84, 10),
        ),
    )


def lenet(seed: int = 0) -> nn.Sequential:
    """The LeNet that we train, 61,706 parameters: `[N, 1, 32, 32]` to logits `[N, 10]`.

    Every map of the second convolution looks at all six below, ReLU stands for the squashing function, maximum pooling
    for subsampling, and a linear layer for the distances. The first weights are drawn from `seed`; torch's global
    random numbers stay where they were.
    """
    return _seeded(
        seed,
        lambda: OrderedDict(
            conv1=nn.Conv2d(1, 6, 5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            full3=nn.Linear(16 * 5 * 5, 120),
            relu3=nn.ReLU(),
            full4=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            logits=nn.Linear(84, 10),
        ),
    )


def article_stages(
    filters: tuple[int, int] = (3, 3), channels: int = 3, pooling: int = 2, seed: int = 0
) -> nn.Sequential:
    """The convolution and pooling part of the course's source article: conv 3 × 3, ReLU, pool, twice over.

    `filters` are the numbers of filters of the first and of the second convolution; `[N, channels, H, W]` goes in,
    `[N, filters[1], h, w]` comes out. Untrained: the weights are drawn from `seed`. Raises `WrongSetting` when a
    number of filters, channels or pixels to pool is below one.
    """
    first, second = _two_counts(filters)
    channels = whole_number(_("number of channels"), channels, 1)
    pooling = whole_number(_("pool size"), pooling, 1)
    return _seeded(
        seed,
        lambda: OrderedDict(
            conv1=nn.Conv2d(channels, first, 3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(pooling),
            conv2=nn.Conv2d(first, second, 3),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(pooling),
        ),
    )


def article_lenet(filters: tuple[int, int] = (3, 3), seed: int = 0) -> nn.Sequential:
    """The article's conv-ReLU-pool network with a head for ten digits: `[N, 1, 32, 32]` to logits `[N, 10]`.

    Raises `WrongSetting` when a number of filters is below one.
    """
    stages = article_stages(filters, channels=1, seed=seed)
    head = _seeded(
        seed + 1,
        lambda: OrderedDict(
            flatten=nn.Flatten(), full3=nn.Linear(filters[1] * 6 * 6, 120), relu3=nn.ReLU(), logits=nn.Linear(120, 10)
        ),
    )
    return nn.Sequential(OrderedDict([*stages.named_children(), *head.named_children()]))


STAGES = {
    _("first convolution"): ("c1", "conv1", "conv1"),
    _("squashing"): ("c1_squash", "relu1", "relu1"),
    _("first pooling"): ("s2", "pool1", "pool1"),
    _("second convolution"): ("c3", "conv2", "conv2"),
    _("second pooling"): ("s4", "pool2", "pool2"),
    _("all maps together"): ("c5", "full3", "full3"),
    _("fully connected"): ("f6", "full4", None),
    _("ten answers"): ("output", "logits", "logits"),
}
"""What the layers of the three networks do, and which layer of each does it: LeNet-5, ours, the article's."""


def comparison(filters: tuple[int, int] = (3, 3)) -> list[tuple[str, str, str, str]]:
    """LeNet-5, ours and the article's side by side, as rows of words: what a stage does, then a cell for each network.

    A cell has the shape that the layer puts out for one 32 × 32 picture and its number of parameters:
    "6 × 28 × 28, 156". The first row is the heading, the last has the sums.
    """
    networks = (lenet5(), lenet(), article_lenet(filters))
    layers = [_shapes_and_parameters(network) for network in networks]
    rows = [(_("stage"), _("LeNet-5 (1998)"), _("ours"), _("the article's"))]
    for stage, names in STAGES.items():
        rows.append((stage, *(seen.get(name, "–") for name, seen in zip(names, layers, strict=True))))
    totals = (sum(parameter.numel() for parameter in network.parameters()) for network in networks)
    rows.append((_("parameters in all"), *(f"{total:,}" for total in totals)))
    return rows


def _shapes_and_parameters(network: nn.Sequential) -> dict[str, str]:
    """By the name of a layer: "6 × 28 × 28, 156"."""
    cells, x = {}, torch.zeros(1, 1, 32, 32)
    with torch.no_grad():
        for name, layer in network.named_children():
            x = layer(x)
            parameters = sum(parameter.numel() for parameter in layer.parameters())
            cells[name] = f"{' × '.join(map(str, x.shape[1:]))}, {parameters:,}"
    return cells


def _two_counts(filters: tuple[int, int]) -> tuple[int, int]:
    try:
        first, second = filters
    except (TypeError, ValueError):
        message = _("Give the filters of the first and of the second convolution, such as (3, 1), not {filters!r}.")
        raise WrongSetting(message.format(filters=filters)) from None
    name = _("number of filters")
    return whole_number(name, first, 1), whole_number(name, second, 1)


@torch.inference_mode(False)  # weights made under it would refuse gradients for good
def _seeded(seed: int, layers: Callable[[], OrderedDict]) -> nn.Sequential:
    with Drawing(seed):
        return nn.Sequential(layers())
