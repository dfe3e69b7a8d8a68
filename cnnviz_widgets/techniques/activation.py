"""Activation functions: what a layer does to each number on its own, and how many pixels it sets to zero.

Without one between them, two convolutions are one: only a function that is not linear lets depth add anything.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import WrongSetting
from ..i18n import _
from ..settings import a_tensor, one_of

LEAK = 0.1
"""Slope of the leaky ReLU below zero. Its authors take 0.01, which could not be told from 0 in a picture."""


@dataclass(frozen=True)
class Activation:
    """An activation function: `function` maps a tensor of floats to one of the same shape and type.

    `low` and `high` bound its values; an end that is not bounded is infinite. `year` and `source` (authors and title)
    name a paper that brought it to neural networks.
    """

    title: str
    formula: str
    function: Callable[[Tensor], Tensor]
    low: float
    high: float
    year: int
    source: str

    @property
    def bounded(self) -> bool:
        """True if no input, however large, drives the output beyond a fixed number, up or down."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def _step(x: Tensor) -> Tensor:
    return torch.where(x.isnan(), x, (x > 0).to(x.dtype))


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


ACTIVATIONS = {
    "step": Activation(
        title=_("Step"),
        formula="1 if x > 0 else 0",
        function=_step,
        low=0.0,
        high=1.0,
        year=1943,
        source="McCulloch and Pitts, A Logical Calculus of the Ideas Immanent in Nervous Activity",
    ),
    "sigmoid": Activation(
        title=_("Sigmoid"),
        formula="1 / (1 + exp(−x))",
        function=torch.sigmoid,
        low=0.0,
        high=1.0,
        year=1986,
        source="Rumelhart, Hinton and Williams, Learning Representations by Back-propagating Errors",
    ),
    "tanh": Activation(
        title=_("Tanh"),
        formula="(exp(x) − exp(−x)) / (exp(x) + exp(−x))",
        function=torch.tanh,
        low=-1.0,
        high=1.0,
        year=1998,
        source="LeCun, Bottou, Orr and Müller, Efficient BackProp",
    ),
    "relu": Activation(
        title=_("ReLU"),
        formula="x if x > 0 else 0",
        function=F.relu,
        low=0.0,
        high=math.inf,
        year=2010,
        source="Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines",
    ),
    "leaky_relu": Activation(
        title=_("Leaky ReLU"),
        formula=f"x if x > 0 else {LEAK} x",
        function=_leaky_relu,
        low=-math.inf,
        high=math.inf,
        year=2013,
        source="Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models",
    ),
    "gelu": Activation(
        title=_("GELU"),
        formula="x Φ(x)",
        function=F.gelu,
        low=-0.16997120747990366,  # at x = -0.7517915…, where Φ(x) + x φ(x) = 0
        high=math.inf,
        year=2016,
        source="Hendrycks and Gimpel, Gaussian Error Linear Units (GELUs)",
    ),
}
"""The functions by name. Φ is the distribution function of the standard normal distribution, φ its density."""


def activate(inputs: Tensor, name: str) -> Tensor:
    """The activation `name` (one of `ACTIVATIONS`) of every number in `inputs`: a tensor of the same shape.

    Whole numbers are taken as float32. Raises `WrongSetting` for another name.
    """
    function = ACTIVATIONS[one_of(_("activation"), name, ACTIVATIONS)].function
    return function(inputs if a_tensor(inputs).is_floating_point() else inputs.float())


def zeroed(outputs: Tensor) -> Tensor:
    """The fraction of pixels that are exactly zero in each channel: `[N, C, H, W]` to float64 `[N, C]`, in 0..1.

    Raises `WrongSetting` for a tensor that has no pixels in channels.
    """
    if a_tensor(outputs).ndim < 3 or not all(outputs.shape[2:]):
        message = _("Give feature maps [N, C, H, W], not a tensor of shape {shape}.")
        raise WrongSetting(message.format(shape=list(outputs.shape)))
    return (outputs == 0).flatten(2).double().mean(2)


def additivity_gap(function: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> float:
    """How far `function` is from being additive on two inputs: the largest |f(a + b) − f(a) − f(b)|, 0 if it is.

    Every linear function is additive; a single gap above rounding shows that a function is not linear. Whole numbers
    are taken as float32, because sums of bytes begin again at 256.
    """
    first, second = (each if a_tensor(each).is_floating_point() else each.float() for each in (first, second))
    return float((function(first + second) - function(first) - function(second)).abs().max())
