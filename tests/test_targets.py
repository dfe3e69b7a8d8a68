"""What a technique explains: by number, label or function, whatever the network puts out."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import CnnvizError, UnknownClass, WrongSetting
from cnnviz_widgets.networks import Asked, Network
from cnnviz_widgets.techniques.targets import as_target, asked, gradient_of, likeliest


class Fixed(nn.Module):
    """Puts out what it was given, for each picture."""

    def __init__(self, change=lambda scores: scores, scores=(1.0, -2.0, 0.5)):
        super().__init__()
        self.scores, self.change = nn.Parameter(torch.tensor(scores)), change

    def forward(self, pictures):
        return self.change(self.scores.expand(len(pictures), -1))


def said(model, wanted, count=2):
    ask = Asked(model)
    return as_target(model, wanted).said(ask, ask.output(torch.zeros(count, 3, 4, 4)), count)


@pytest.mark.parametrize("number", [2, np.int64(2), torch.tensor(2), np.uint8(2)])
def test_a_number_of_any_kind_is_a_class(number):
    target = as_target(Fixed(), number)
    assert (target.index, target.label, type(target.index)) == (2, "class 2", int)
    score, probability = said(Fixed(), number)
    assert score.tolist() == [0.5, 0.5]
    torch.testing.assert_close(probability, torch.tensor([1.0, -2.0, 0.5]).softmax(0)[[2, 2]])


def test_a_label_is_a_class_of_a_network():
    network = Network(Fixed(), labels=["cat", "dog", "cup"])
    assert as_target(network, "Dog") == as_target(network, 1)
    assert as_target(network, "dog").label == "dog"
    with pytest.raises(UnknownClass, match="Did you mean cup"):
        as_target(network, "cups")
    with pytest.raises(UnknownClass, match="wrap the module in a Network"):
        as_target(Fixed(), "dog")


@pytest.mark.parametrize("number", [3, -1])
def test_a_class_that_is_not_there_is_refused(number):
    with pytest.raises(UnknownClass, match=f"no class {number}: the network has 3"):
        said(Fixed(), number)


@pytest.mark.parametrize("number", [1.0, None, np.float32(1), torch.tensor(1.5)])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(UnknownClass):
        as_target(Fixed(), number)


def test_a_target_stays_what_it_is():
    target = as_target(Fixed(), 1)
    assert as_target(Network(Fixed()), target) is target


def test_independent_labels_and_a_single_score_are_read_by_the_sigmoid():
    scores = torch.tensor([1.0, -2.0, 0.5])
    many = Network(Fixed(), output="sigmoid")
    for index in range(3):
        assert said(many, index).probability[0] == scores[index].sigmoid()
    single = Fixed(lambda scores: scores[:, :1] * 4.82)
    score, probability = said(single, 0)
    assert probability[1].item() == pytest.approx(0.992, abs=1e-3)
    assert score.shape == probability.shape == (2,)
    sides = Network(single, labels=["no", "yes"], output="sigmoid")
    assert said(sides, "no").probability[0].item() == pytest.approx(0.008, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_numbers_come_in_float32_or_float64(dtype):
    model = Fixed().to(dtype)
    for wanted in (1, lambda output: output.sum(1)):
        for values in said(model, wanted):
            assert values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
            assert values.device.type == "cpu"


def test_a_function_says_what_it_makes_of_the_output():
    model = Fixed(lambda scores: {"a": scores, "b": [scores * 2]})

    def second_of_b(output):
        return output["b"][0][:, 1]

    target = as_target(model, second_of_b)
    assert (target.index, target.label) == (None, "second_of_b")
    score, probability = said(model, second_of_b)
    assert score.tolist() == probability.tolist() == [-4.0, -4.0]
    assert said(model, lambda output: output["a"][:, :1]).score.shape == (2,)


@pytest.mark.parametrize("function", [lambda output: output, lambda output: 3.0, lambda output: output[0]])
def test_a_function_that_gives_no_number_a_picture_is_refused(function):
    with pytest.raises(WrongSetting, match="one number for each of 2 pictures"):
        said(Fixed(), function)


def test_the_likeliest_is_that_of_the_highest_score():
    assert likeliest(Asked(Fixed()), torch.zeros(1, 3, 4, 4)) == 0
    assert likeliest(Asked(Fixed(lambda scores: -scores)), torch.zeros(1, 3, 4, 4)) == 1


def test_a_network_without_weights_is_refused_in_one_sentence():
    with pytest.raises(CnnvizError, match="Fixed is an architecture without weights"):
        asked(Fixed().to("meta"))
    assert asked(Fixed()).module is not None


def test_a_gradient_is_that_of_the_score_alone():
    values, other = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    assert gradient_of((values.square().sum() * other), values).tolist() == [6.0, 12.0]
    assert values.grad is None and other.grad is None
    assert gradient_of(other * 2, values).tolist() == [0.0, 0.0]
    assert gradient_of(torch.ones(1), values).tolist() == [0.0, 0.0]
