"""Activation functions against their definitions, and the bounds that are claimed for them."""

import math

import numpy as np
import pytest
import torch

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.techniques.activation import ACTIVATIONS, LEAK, activate, additivity_gap, zeroed
from cnnviz_widgets.techniques.convolution import convolve, random_kernels

DEFINITIONS = {
    "step": lambda x: 1.0 if x > 0 else 0.0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "tanh": math.tanh,
    "relu": lambda x: x if x > 0 else 0.0,
    "leaky_relu": lambda x: x if x > 0 else 0.1 * x,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
}
every = pytest.mark.parametrize("name", ACTIVATIONS)


def test_every_function_of_the_course_is_there():
    assert list(ACTIVATIONS) == list(DEFINITIONS)


@every
@pytest.mark.parametrize("x", [-30.0, -3.0, -0.7517915, -1e-6, 0.0, 1e-6, 0.5, 1.0, 2.0, 30.0])
def test_each_number_becomes_what_the_definition_says(name, x):
    result = activate(torch.full((1, 2, 1, 3), x, dtype=torch.float64), name)
    assert result.shape == (1, 2, 1, 3)
    assert result.dtype == torch.float64
    assert result.unique().item() == pytest.approx(DEFINITIONS[name](x), rel=1e-12, abs=1e-15)


@every
def test_numbers_are_treated_each_on_its_own(name):
    numbers = torch.linspace(-4, 4, 24).reshape(2, 3, 2, 2)
    together = activate(numbers, name)
    for index, x in enumerate(numbers.flatten()):
        assert together.flatten()[index] == pytest.approx(DEFINITIONS[name](x.item()), abs=1e-6)


@every
def test_the_input_stays_as_it_was(name):
    numbers = torch.linspace(-1, 1, 5)
    activate(numbers, name)
    assert numbers.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


@every
def test_bounds_are_approached_and_not_exceeded(name):
    function = ACTIVATIONS[name]
    numbers = torch.cat([torch.linspace(-60, 60, 240_001, dtype=torch.float64), torch.tensor([-1e6, 1e6]).double()])
    values = activate(numbers, name)
    for bound, extreme, sign in ((function.low, values.min(), -1), (function.high, values.max(), 1)):
        if math.isinf(bound):
            assert bound == sign * math.inf
            # Ten times the input gives ten times the output: no number holds it.
            ends = activate(torch.tensor([sign * 1e5, sign * 1e6]), name)
            assert (ends[1] / ends[0]).item() == pytest.approx(10)
        else:
            assert extreme.item() == pytest.approx(bound, abs=1e-8)
            assert sign * extreme.item() <= sign * bound + 1e-15


def test_only_step_sigmoid_and_tanh_are_bounded():
    assert [name for name, function in ACTIVATIONS.items() if function.bounded] == ["step", "sigmoid", "tanh"]


def test_gelu_has_its_minimum_where_its_slope_is_zero():
    x = torch.tensor(-0.7517915349041193, dtype=torch.float64, requires_grad=True)
    lowest = activate(x, "gelu")
    (slope,) = torch.autograd.grad(lowest, x)
    assert slope.item() == pytest.approx(0, abs=1e-8)
    assert lowest.item() == pytest.approx(ACTIVATIONS["gelu"].low, abs=1e-15)


@every
def test_whole_numbers_are_taken_as_floats(name):
    result = activate(torch.tensor([-2, 0, 3]), name)
    assert result.dtype == torch.float32
    assert result.tolist() == pytest.approx([DEFINITIONS[name](x) for x in (-2, 0, 3)], abs=1e-6)


@every
def test_titles_formulas_and_sources_are_complete(name):
    function = ACTIVATIONS[name]
    assert function.title
    assert "x" in function.formula
    assert 1943 <= function.year <= 2016
    assert len(function.source) > 40
    assert "…" not in function.source


def test_formula_of_the_leaky_relu_has_the_slope_that_is_used():
    assert str(LEAK) in ACTIVATIONS["leaky_relu"].formula
    assert activate(torch.tensor(-1.0), "leaky_relu").item() == pytest.approx(-LEAK)


def test_an_unknown_function_is_refused_and_the_nearest_offered():
    with pytest.raises(WrongSetting, match="no activation called 'relo'.*Did you mean 'relu'"):
        activate(torch.zeros(1), "relo")


def test_zeroed_counts_zeros_in_each_channel_of_each_picture():
    maps = torch.ones(2, 3, 4, 5)
    maps[0, 1, :2] = 0
    maps[1, 2, 0, 0] = -0.0
    maps[1, 0, 3, 4] = 1e-30  # small is not zero
    assert zeroed(maps).tolist() == [[0, 0.5, 0], [0, 0, 0.05]]


def test_relu_sets_to_zero_what_was_not_positive():
    numbers = torch.randn(1, 4, 30, 30, generator=torch.Generator().manual_seed(0))
    expected = [(channel <= 0).sum().item() / 900 for channel in numbers[0]]
    assert zeroed(activate(numbers, "relu"))[0].tolist() == pytest.approx(expected)
    assert zeroed(activate(numbers, "leaky_relu")).max() == 0


def test_zeroed_needs_channels():
    with pytest.raises(WrongSetting, match=r"not a tensor of shape \[3, 4\]"):
        zeroed(torch.zeros(3, 4))


def test_additivity_gap_is_the_largest_difference():
    first, second = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([1.0, 5.0, -3.5])
    # (−2 + 5)⁺ is 3, but (−2)⁺ + 5⁺ is 5; (3 − 3.5)⁺ is 0, but 3⁺ + (−3.5)⁺ is 3.
    assert additivity_gap(torch.relu, first, second) == 3.0


def test_convolution_is_additive_and_no_activation_is():
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(1, 2, 9, 9, generator=generator) for _picture in range(2))
    filters = random_kernels(3, 3, channels=2)
    assert additivity_gap(lambda x: convolve(x, filters), first, second) < 1e-5
    for name in ACTIVATIONS:
        assert additivity_gap(lambda x, name=name: activate(x, name), first, second) > 0.1


def test_a_step_keeps_what_is_no_number():
    outputs = activate(torch.tensor([math.nan, 1.0, -1.0]), "step")
    assert outputs[0].isnan() and outputs[1:].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("shape", [(1, 2, 0, 4), (1, 2, 4, 0), (3, 0, 0)])
def test_channels_without_pixels_have_no_share_of_zeros(shape):
    with pytest.raises(WrongSetting, match="feature maps"):
        zeroed(torch.zeros(shape))


def test_sums_of_bytes_do_not_begin_again_at_256():
    first, second = (torch.tensor([value], dtype=torch.uint8) for value in (200, 100))
    assert additivity_gap(lambda x: 3 * x, first, second) == 0


def test_arrays_are_no_tensors():
    for call in (
        lambda: activate(np.ones(3), "relu"),
        lambda: zeroed([1]),
        lambda: additivity_gap(torch.relu, np.ones(2), torch.ones(2)),
    ):
        with pytest.raises(WrongSetting, match="Give a tensor, not a"):
            call()
