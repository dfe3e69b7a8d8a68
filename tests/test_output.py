"""How outputs are read: one logit, independent labels, dictionaries, in every type; what is no score is refused."""

import math

import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import CnnvizError, WrongSetting
from cnnviz_widgets.networks import Network
from cnnviz_widgets.networks.output import Reading, reading_of
from cnnviz_widgets.techniques.occlusion import occlusion


class Brightness(nn.Module):
    """Scores that grow with how bright the picture is: `weights` times its mean, through `answer`."""

    def __init__(self, weights, answer=lambda scores: scores):
        super().__init__()
        self.weights, self.answer = nn.Parameter(torch.tensor(weights)), answer

    def forward(self, x):
        return self.answer(x.mean((1, 2, 3), keepdim=False)[:, None] * self.weights)


ONES = torch.ones(1, 3, 8, 8)
PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1), "size": 8}


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize("answer", [lambda s: s, lambda s: s[:, 0]], ids=["[N, 1]", "[N]"])
@pytest.mark.parametrize(
    "wrap", [lambda m: m, lambda m: Network(m, **PLAIN), lambda m: Network(m, **PLAIN, output="sigmoid")]
)
def test_one_logit_is_read_by_the_sigmoid(answer, wrap):
    module = Brightness([4.8], answer)
    found = occlusion(wrap(module), ONES, 0, 8, 8, "black", bounds=(0.0, 1.0), progress=False)
    assert found.clean_probability == pytest.approx(sigmoid(4.8), abs=1e-6)
    assert found.drop.max() == pytest.approx(sigmoid(4.8) - 0.5, abs=1e-6)
    many = occlusion(wrap(module), ONES, 0, 4, 2, "black", bounds=(0.0, 1.0), batch_size=4, progress=False)
    assert many.drop.min() == pytest.approx(sigmoid(4.8) - sigmoid(3.6), abs=1e-6)


def white():
    return torch.full((8, 8, 3), 255, dtype=torch.uint8).numpy()


def test_a_network_of_one_logit_predicts_its_class_or_no_and_yes():
    (only,) = Network(Brightness([4.8]), **PLAIN).predict(white())
    assert only == ("class 0", pytest.approx(sigmoid(4.8), abs=1e-6))
    network = Network(Brightness([4.8]), ["other", "cat"], **PLAIN, output="sigmoid")
    assert network.predict(white()) == [
        ("cat", pytest.approx(sigmoid(4.8), abs=1e-6)),
        ("other", pytest.approx(1 - sigmoid(4.8), abs=1e-6)),
    ]
    dark = occlusion(network, ONES, "other", 8, 8, "black", bounds=(0.0, 1.0), progress=False)
    assert dark.clean_probability == pytest.approx(1 - sigmoid(4.8), abs=1e-6)
    assert float(dark.probabilities) == pytest.approx(0.5)


def test_independent_labels_are_each_true_or_false_by_themselves():
    module = Brightness([3.0, 2.0, -1.0])
    network = Network(module, ["cat", "cup", "dog"], **PLAIN, output="sigmoid")
    assert network.probabilities(white()).tolist() == pytest.approx([sigmoid(z) for z in (3, 2, -1)], abs=1e-6)
    assert [label for label, _p in network.predict(white())] == ["cat", "cup", "dog"]
    found = occlusion(network, ONES, "dog", 8, 8, "black", bounds=(0.0, 1.0), progress=False)
    assert float(found.drop) == pytest.approx(sigmoid(-1) - 0.5, abs=1e-6)
    soft = Network(module, ["cat", "cup", "dog"], **PLAIN)
    assert float(soft.probabilities(white()).sum()) == pytest.approx(1)
    assert soft.probabilities(white())[0] == pytest.approx(math.exp(3) / (math.exp(3) + math.exp(2) + math.exp(-1)))


def test_probabilities_of_labels_that_add_up_to_one_by_chance_are_not_taken_for_a_softmax():
    scores = Reading("sigmoid").scores(torch.tensor([[0.25, 0.75]]), 1)
    assert scores.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (lambda s: {"logits": s, "other": 1}, lambda out: out["logits"]),
        (lambda s: (s, s * 0), lambda out: out[0]),
        (lambda s: s[:, :, None, None].expand(-1, -1, 3, 3), lambda out: out.mean((2, 3))),
    ],
    ids=["dictionary", "tuple", "maps"],
)
def test_a_function_makes_scores_of_what_a_module_returns(answer, output):
    plain = Network(Brightness([3.0, 2.0]), **PLAIN)
    network = Network(Brightness([3.0, 2.0], answer), **PLAIN, output=output)
    assert network.predict(white()) == plain.predict(white())
    both = Network(Brightness([3.0, 2.0], answer), **PLAIN, output=(output, "sigmoid"))
    assert both.probabilities(white()).tolist() == pytest.approx([sigmoid(3), sigmoid(2)])
    with pytest.raises(WrongSetting, match=r"must put out a tensor of scores \[N, classes\].*output=function"):
        Network(Brightness([3.0, 2.0], answer), **PLAIN).predict(white())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_softmax_of_half_precision_is_taken_in_whole_numbers_of_32_bits(kind):
    network = Network(Brightness([3.0, 2.0, -1.0]).to(kind), **PLAIN)
    found = network.probabilities(white())
    assert found.dtype == torch.float32 and float(found.sum()) == pytest.approx(1, abs=1e-6)
    assert found[0] == pytest.approx(math.exp(3) / (math.exp(3) + math.exp(2) + math.exp(-1)), abs=1e-6)


@pytest.mark.parametrize(
    ("output", "count"),
    [(torch.rand(2, 3, 4), 2), (torch.rand(3, 2), 2), ("text", 1), (None, 1), ({"a": 1}, 1), (torch.rand(3), 2)],
)
def test_what_is_no_score_for_each_picture_is_a_wrong_setting(output, count):
    with pytest.raises(WrongSetting, match=r"must put out a tensor of scores \[N, classes\]"):
        Reading().scores(output, count)


@pytest.mark.parametrize("output", ["softmaxx", 3, None, (1, 2), (len, "tanh")])
def test_other_ways_to_read_are_refused(output):
    with pytest.raises(CnnvizError, match="softmax"):
        reading_of(output)


def test_labels_from_anywhere_fit_into_a_line():
    labels = ["a\u2029b", "tab\tby\n", "nul\x00l", "x" * 5000]
    network = Network(Brightness([1.0, 2.0, 3.0, 4.0]), labels, **PLAIN)
    assert network.labels[:3] == ("a b", "tab by", "nul�l") and len(network.labels[3]) <= 80
    assert network.class_index("tab by") == 1


def test_a_network_may_see_oblong_pictures():
    network = Network(Brightness([1.0, 2.0]), mean=(0, 0, 0), std=(1, 1, 1), size=(6, 9))
    assert network.shape == (6, 9) and network.size == (6, 9) and network.preprocess("cat").shape == (1, 3, 6, 9)
    square = Network(Brightness([1.0, 2.0]), size=(7, 7))
    assert square.size == 7 and square.shape == (7, 7)
