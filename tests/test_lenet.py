"""The three LeNets: what the paper and the arithmetic of shapes say of them."""

import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.networks import lenet as lenets
from cnnviz_widgets.networks.lenet import C3_INPUTS, article_lenet, article_stages, comparison, lenet, lenet5

# Table I of LeCun et al. (1998): a row for each map of S2, a column for each map of C3.
TABLE_1 = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def test_c3_looks_where_the_papers_table_says():
    rows = TABLE_1.split()
    assert tuple(tuple(row for row in range(6) if rows[row][column] == "X") for column in range(16)) == C3_INPUTS


def test_lenet5_has_the_papers_parameters_layer_by_layer():
    network = lenet5()
    counts = {name: count(layer) for name, layer in network.named_children() if count(layer)}
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164}
    assert count(network) == 60_000


def test_ours_has_a_full_second_convolution_and_a_linear_output():
    counts = {name: count(layer) for name, layer in lenet().named_children() if count(layer)}
    assert counts == {"conv1": 156, "conv2": 6 * 25 * 16 + 16, "full3": 48120, "full4": 10164, "logits": 850}
    assert count(lenet()) == 61_706


def test_a_map_of_c3_depends_on_its_inputs_and_on_no_other():
    layer = lenet5().c3
    torch.manual_seed(0)
    maps = torch.rand(1, 6, 14, 14)
    before = layer(maps)
    for changed in range(6):
        other = maps.clone()
        other[:, changed] += 1
        moved = (layer(other) != before).flatten(2).any(2)[0].tolist()
        assert moved == [changed in seen for seen in C3_INPUTS]


def test_a_map_of_c3_is_a_convolution_of_those_it_looks_at():
    layer = lenet5().c3
    maps = torch.rand(2, 6, 9, 8)
    for index, (conv, seen) in enumerate(zip(layer.maps, C3_INPUTS, strict=True)):
        kernel = torch.zeros(1, 6, 5, 5)
        kernel[0, list(seen)] = conv.weight[0]
        expected = nn.functional.conv2d(maps, kernel, conv.bias)[:, 0]
        torch.testing.assert_close(layer(maps)[:, index], expected)


def test_subsampling_is_a_trained_sum_of_windows():
    layer = lenets.Subsampling(2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([2.0, -1.0]).reshape(2, 1, 1))
        layer.bias.copy_(torch.tensor([10.0, 0.5]).reshape(2, 1, 1))
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    expected = torch.tensor([[[30.0, 46.0], [94.0, 110.0]], [[-73.5, -81.5], [-105.5, -113.5]]])
    torch.testing.assert_close(layer(x)[0], expected)


def test_the_squashing_function_is_one_at_one():
    x = torch.tensor([-1.0, 0.0, 1.0, 100.0])
    torch.testing.assert_close(lenets.ScaledTanh()(x), torch.tensor([-1.0, 0.0, 1.0, 1.7159]), atol=1e-4, rtol=0)


def test_the_output_is_nearest_to_its_own_code():
    layer = lenets.DistanceToCodes(84, 10)
    assert set(layer.codes.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(layer(layer.codes).diagonal(), torch.zeros(10))
    assert layer(layer.codes).argmax(1).tolist() == list(range(10))
    apart = (layer.codes[2] != layer.codes[7]).sum()
    assert layer(layer.codes)[2, 7] == -4 * apart


@pytest.mark.parametrize("network", [lenet5(), lenet(), article_lenet((3, 3)), article_lenet((1, 1))])
def test_every_network_gives_ten_answers_for_each_digit(network):
    digits = torch.rand(3, 1, 32, 32)
    answers = network(digits)
    assert answers.shape == (3, 10)
    torch.testing.assert_close(answers[1:2], network(digits[1:2]))


@pytest.mark.parametrize("filters", [(1, 1), (3, 1), (3, 3)])
def test_the_articles_stages_halve_a_picture_twice(filters):
    stages = article_stages(filters)
    shapes, x = [], torch.rand(1, 3, 400, 320)
    for layer in stages:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    first, second = filters
    assert shapes[0] == shapes[1] == (first, 398, 318)
    assert shapes[2] == (first, 199, 159)
    assert shapes[3] == shapes[4] == (second, 197, 157)
    assert shapes[5] == (second, 98, 78)
    assert count(stages) == (27 + 1) * first + (9 * first + 1) * second


@pytest.mark.parametrize(
    "filters", [(0, 3), (3, 0), (-1, 1), (1.5, 1), (3,), 3, (True, 1)], ids=lambda filters: str(filters)
)
def test_too_few_filters_are_refused(filters):
    for make in (article_stages, article_lenet):
        with pytest.raises(WrongSetting, match="filters"):
            make(filters)


def test_other_counts_below_one_are_refused():
    with pytest.raises(WrongSetting, match="number of channels .* at least 1, not 0"):
        article_stages(channels=0)
    with pytest.raises(WrongSetting, match="pool size .* at least 1, not 0"):
        article_stages(pooling=0)


@pytest.mark.parametrize("make", [lenet, lenet5, lambda seed: article_lenet(seed=seed)])
def test_first_weights_come_from_the_seed_and_leave_the_global_numbers_alone(make):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = make(1), make(1), make(2)
    assert torch.equal(torch.rand(3), expected)
    for (name, a), b, c in zip(first.named_parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c) or name.startswith(("s2", "s4"))


def test_the_comparison_says_what_the_networks_are():
    heading, *stages, totals = comparison()
    assert heading[1:] == ("LeNet-5 (1998)", "ours", "the article's")
    assert totals[1:] == ("60,000", "61,706", f"{count(article_lenet()):,}")
    cells = {stage: cells for stage, *cells in stages}
    assert cells["first convolution"] == ["6 × 28 × 28, 156", "6 × 28 × 28, 156", "3 × 30 × 30, 30"]
    assert cells["second convolution"] == ["16 × 10 × 10, 1,516", "16 × 10 × 10, 2,416", "3 × 13 × 13, 84"]
    assert cells["second pooling"] == ["16 × 5 × 5, 32", "16 × 5 × 5, 0", "3 × 6 × 6, 0"]
    assert cells["fully connected"] == ["84, 10,164", "84, 10,164", "–"]
    for column, total in enumerate((60_000, 61_706, count(article_lenet()))):
        listed = [row[column].rpartition(", ")[0] and row[column].split(", ", 1)[1] for row in cells.values()]
        assert sum(int(number.replace(",", "")) for number in listed if number) == total


@pytest.mark.parametrize("seed", ["a", 1.5, None, -1])
def test_a_seed_that_is_none_is_refused_in_a_sentence(seed):
    for make in (lenet5, lenet, article_lenet, article_stages):
        with pytest.raises(WrongSetting, match="seed must be a whole number of at least 0"):
            make(seed=seed)
