"""The confusion matrix that opens down to every layer: each level shows what a brute-force count says."""

import numpy as np
import pytest
import torch
import traitlets
from torch import nn

from cnnviz_widgets import LeNetExplorer, render
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.images.digits import split_digits
from cnnviz_widgets.learning.training import train
from cnnviz_widgets.networks.lenet import lenet
from cnnviz_widgets.render.confusion import CELL, DENSITY, HEAD, matrix_picture
from cnnviz_widgets.render.layer_sheet import layer_sheet
from tests.helpers import fingerprint


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A LeNet that has learned for one epoch, and makes mistakes of every kind."""
    digits, _ = split_digits()
    pictures, labels = digits.tensors()
    return train(lenet(), (pictures[::3], labels[::3]), split_digits(50)[1], epochs=1, progress=False).model


@pytest.fixture(scope="module")
def answers(model):
    """(true, predicted, probabilities) of each held-out digit, found one by one."""
    pictures, labels = split_digits()[1].tensors()
    rows = []
    for picture, label in zip(pictures, labels, strict=True):
        with torch.no_grad():
            probabilities = model(picture[None])[0].softmax(0)
        rows.append((int(label), int(probabilities.argmax()), probabilities))
    return rows


@pytest.fixture
def panel(model):
    panel = LeNetExplorer(model)
    yield panel
    panel.close()


def click_cell(panel, row: int, column: int, count: int = 1) -> None:
    panel.matrix_view.click = [(HEAD + place * CELL + 5) * DENSITY for place in (column, row)] + [count]


def members(answers, true: int, taken: int) -> set[int]:
    return {number for number, (label, said, _p) in enumerate(answers) if (label, said) == (true, taken)}


def test_the_matrix_counts_every_digit(panel, answers):
    expected = np.zeros((10, 10), int)
    for label, said, _p in answers:
        expected[label, said] += 1
    assert panel.value.tolist() == expected.tolist()
    assert panel.value.sum(1).tolist() == [100] * 10
    assert not torch.equal(panel.value, panel.value.T)
    right = int(np.trace(expected))
    assert f"{right} of 1,000 right" in panel.matrix_view.caption


def test_it_opens_at_the_most_frequent_mistake(panel, answers):
    mistakes = panel.value.clone().fill_diagonal_(0)
    assert panel.cell[0] != panel.cell[1] and panel.value[panel.cell] == mistakes.max()
    assert panel.digit in members(answers, *panel.cell)
    assert panel.layers_view.image is not None and panel.bars.image is not None


def test_every_cell_shows_its_digits(panel, answers):
    seen = []
    for row in range(10):
        for column in range(10):
            panel.cell = (row, column)
            expected = members(answers, row, column)
            assert set(panel._members) == expected
            assert panel.which.max == max(min(len(expected), 28), 1)
            sure = [float(answers[number][2][column]) for number in panel._members]
            assert (np.diff(sure) > -1e-5).all(), "the least sure first"
            seen += panel._members
            if expected:
                assert panel.digit == panel._members[0]
            else:
                assert panel.digit is None and f"No {row} was taken for a {column}" in panel.tiles.caption
    assert sorted(seen) == list(range(1000))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (9, 9), (4, 9), (7, 2)])
def test_a_click_opens_the_cell_under_it(panel, row, column):
    click_cell(panel, row, column)
    assert panel.cell == (row, column) == (panel.true.value, panel.taken.value)
    np.testing.assert_array_equal(panel.matrix_view.image, matrix_picture(panel.value.numpy(), (row, column)))


def test_the_arrow_keys_move_by_a_cell_from_the_open_one(panel):
    panel.cell = (3, 5)
    view = panel.matrix_view
    x, y = view.pointer
    view.click = [x + view.key_step, y - 2 * view.key_step, 1]
    assert panel.cell == (1, 6)


@pytest.mark.parametrize("place", [(5, 5), (300, 10), (10, 300), (511, 511)])
def test_a_click_beside_the_cells_changes_nothing(panel, place):
    before = panel.cell
    panel.matrix_view.click = [*place, 1]
    assert panel.cell == before


@pytest.mark.parametrize("click", [[], [-5, 60, 1], [60, -5, 1], [-400, -400, 2], [10**12, 10**12, 1]])
def test_clicks_that_are_nowhere_pick_nothing(panel, click):
    panel.cell = (8, 8)
    before = panel.digit
    for view in (panel.matrix_view, panel.tiles):
        view.click = [0, 0, 7]
        panel.which.value = 1
        view.click = click
        assert (panel.cell, panel.digit, panel.status.value) == ((8, 8), before, "")


def test_sliders_and_the_trait_open_a_cell_too(panel):
    panel.true.value, panel.taken.value = 6, 6
    assert panel.cell == (6, 6)
    panel.cell = (2, 2)
    assert (panel.true.value, panel.taken.value) == (2, 2)
    assert "2 taken for 2" in panel.tiles.caption


@pytest.mark.parametrize("cell", [(10, 0), (0, -1)])
def test_a_cell_that_is_none_is_refused(panel, cell):
    before = panel.cell
    with pytest.raises(traitlets.TraitError, match="a pair of digits 0 to 9"):
        panel.cell = cell
    assert panel.cell == before


def test_a_click_on_a_digit_shows_its_layers_and_probabilities(panel, model, answers):
    panel.cell = (8, 8)
    pictures = split_digits()[1].tensors()[0]
    panel.tiles.click = [(2 * 36 + 9) * 2, (1 * 36 + 9) * 2, 1]  # third in the second row of seven
    assert panel.which.value == 10 and panel.digit == panel._members[9]
    expected = layer_sheet(model, pictures[panel.digit : panel.digit + 1])
    np.testing.assert_array_equal(panel.layers_view.image, expected.image)
    probabilities = answers[panel.digit][2].tolist()
    shown = [float(p) for p in panel._probabilities[panel.digit]]
    assert shown == pytest.approx(probabilities, abs=1e-5)
    bars = render.bars([(str(n), p) for n, p in enumerate(shown)], 256, chosen="8", label_width=24)
    np.testing.assert_array_equal(panel.bars.image, bars)
    tile = panel.tiles.image[76 : 76 + 64, 148 : 148 + 64, 0]
    digit = (pictures[panel.digit, 0] * 255).round().byte().numpy().repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(tile[6:-6, 6:-6], digit[6:-6, 6:-6])


def test_the_slider_goes_through_the_digits_of_a_cell(panel):
    panel.cell = (1, 1)
    shown = []
    for number in range(1, 6):
        panel.which.value = number
        shown.append(panel.digit)
    assert shown == panel._members[:5]
    panel.cell = (1, 2)
    assert panel.which.value == 1


def test_an_empty_cell_keeps_the_layers_of_the_last_digit(panel):
    panel.cell = (5, 5)
    shown = panel.layers_view.image.copy()
    row, column = torch.nonzero(panel.value == 0)[0].tolist()
    panel.cell = (row, column)
    assert panel.digit is None
    np.testing.assert_array_equal(panel.layers_view.image, shown)


def test_reset_opens_the_first_cell_again(panel):
    first, digit = panel.cell, panel.digit
    panel.cell = (0, 0)
    panel.which.value = 4
    panel.reset_button.click()
    assert (panel.cell, panel.digit) == (first, digit)


def test_colours_and_numbers_of_the_matrix_follow_the_counts():
    counts = np.zeros((10, 10), int)
    counts[2, 7], counts[7, 2], counts[4, 4] = 9, 3, 80
    picture = matrix_picture(counts, (0, 0)).astype(int)

    def ground(row, column):
        x, y = ((HEAD + place * CELL + 3) * DENSITY for place in (column, row))
        return picture[y, x]

    assert ground(5, 5).tolist() == ground(4, 4).tolist() != [255, 255, 255]
    assert ground(1, 8).tolist() == [255, 255, 255]
    often, seldom = ground(2, 7), ground(7, 2)
    assert (often[1:] < seldom[1:]).all() and (seldom[1:] < 255).all() and often[0] > often[2] + 80
    ink = [
        (
            picture[
                (HEAD + row * CELL + 4) * 2 : (HEAD + row * CELL + 19) * 2,
                (HEAD + column * CELL + 4) * 2 : (HEAD + column * CELL + 19) * 2,
            ].sum(2)
            < 200
        ).sum()
        for row, column in ((2, 7), (1, 8), (4, 4))
    ]
    assert ink[0] > 10 and ink[1] == 0 and ink[2] > ink[0]


def test_the_model_is_left_as_it_was(model):
    model.train()
    before = fingerprint(model)
    panel = LeNetExplorer(model)
    panel.cell = (3, 3)
    assert fingerprint(model) == before
    panel.close()


def test_a_perfect_network_opens_at_the_first_cell():
    class Cheat(nn.Module):
        def forward(self, x):
            return 9 * nn.functional.one_hot(x[:, 0, 0, 0].round().long(), 10).float()

    pictures = torch.zeros(20, 1, 32, 32)
    pictures[:, 0, 0, 0] = torch.arange(20) // 2
    panel = LeNetExplorer(Cheat(), (pictures, torch.arange(20) // 2))
    assert panel.cell == (0, 0) and panel.value.tolist() == (2 * torch.eye(10)).long().tolist()
    panel.close()


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(WrongSetting, match="must give ten numbers .* gives 7"):
        LeNetExplorer(nn.Sequential(nn.Flatten(), nn.Linear(1024, 7)))
    pictures, labels = torch.zeros(2, 1, 32, 32), torch.tensor([3, 12])
    with pytest.raises(WrongSetting, match="labels .* 0 to 9"):
        LeNetExplorer(lenet(), (pictures, labels))
    with pytest.raises(WrongSetting, match="0 pictures"):
        LeNetExplorer(lenet(), (pictures[:0], labels[:0]))


def test_a_network_that_fails_later_says_so(panel, monkeypatch):
    def fail(inputs):
        raise RuntimeError("out of chalk")

    monkeypatch.setattr(panel.model.pool2, "forward", fail)
    click_cell(panel, 4, 4)
    assert "out of chalk" in panel.status.value


def test_the_picture_of_the_panel_changes_with_it(panel):
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == "LeNetExplorer()" and "image/png" in bundle
    before = panel.snapshot()
    panel.cell = (0, 0)
    after = panel.snapshot()
    assert before.shape != after.shape or (before != after).any()
