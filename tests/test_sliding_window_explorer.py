"""The sliding window without a page: every way to move it, and each drawn number compared with the sum by hand."""

import pytest
import torch
from ipywidgets.widgets import widget as registry
from traitlets import TraitError

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.explorers import SlidingWindowExplorer
from cnnviz_widgets.render.window_steps import CELL, DENSITY, GAP, HEAD
from cnnviz_widgets.techniques.convolution import convolve
from tests.panels import complains, sentence


@pytest.fixture
def sliding():
    panel = SlidingWindowExplorer()
    yield panel
    panel.close()


def response(panel):
    inputs, weights = (torch.tensor(grid.value)[None, None] for grid in (panel.inputs, panel.kernel))
    return convolve(inputs, weights)[0, 0]


def cell(panel, row, column, output=False):
    """The drawn cell's own pixels, its outline left out."""
    left = (len(panel.inputs.value[0]) * CELL + GAP if output else 0) + column * CELL
    top = HEAD + row * CELL
    inner = (
        slice((top + 4) * DENSITY, (top + CELL - 4) * DENSITY),
        slice((left + 4) * DENSITY, (left + CELL - 4) * DENSITY),
    )
    return panel.view.image[inner]


def ground(pixels):
    return tuple(pixels[0, 0].tolist())


def caption_sum(panel):
    """The sum of the products written in the caption, worked out from its words."""
    words, total = panel.view.caption.split(": ", 1)[1].split(" = ")
    products = [part.replace("−", "-").split("·") for part in words.split(" + ")]
    assert len(products) == sum(map(len, panel.kernel.value))
    return sum(float(a) * float(b) for a, b in products), float(total.replace("−", "-"))


def test_every_position_shows_its_window_its_products_and_their_sum(sliding):
    assert torch.equal(sliding.value, response(sliding))
    for position in range(9):
        sliding.step.value = position
        row, column = divmod(position, 3)
        assert sliding.position == position
        assert caption_sum(sliding) == (sliding.value[row, column].item(),) * 2
        assert f"Row {row}, column {column}" in sliding.view.caption
        for y in range(5):
            for x in range(5):
                inside = row <= y < row + 3 and column <= x < column + 3
                assert (ground(cell(sliding, y, x)) == (255, 236, 200)) == inside
        for y in range(3):
            for x in range(3):
                pixels = cell(sliding, y, x, output=True)
                assert (ground(pixels) == (205, 232, 248)) == ((y, x) == (row, column))
                written = (pixels != pixels[0, 0]).any()
                assert written == (y * 3 + x <= position)


def test_play_and_the_slider_move_together(sliding):
    sliding.play.value = 4
    assert (sliding.step.value, sliding.position) == (4, 4)
    sliding.step.value = 7
    assert sliding.play.value == 7


def test_position_can_be_set_and_stays_on_the_output(sliding):
    sliding.position = 5
    assert (sliding.step.value, sliding.play.value) == (5, 5)
    assert "Row 1, column 2" in sliding.view.caption
    sliding.position = 99
    assert (sliding.position, sliding.step.value) == (8, 8)
    sliding.position = -4
    assert (sliding.position, sliding.step.value) == (0, 0)


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("column", range(3))
def test_the_pointer_on_an_output_cell_moves_the_window_there(sliding, row, column):
    sliding.position = 4
    for dx, dy in ((1, 1), (30, 30), (59, 59)):
        x, y = 5 * CELL + GAP + column * CELL + dx, HEAD + row * CELL + dy
        sliding.view.pointer = [x * DENSITY, y * DENSITY]
        assert sliding.position == row * 3 + column


def test_the_pointer_on_an_input_cell_puts_the_middle_of_the_window_there(sliding):
    for row in range(5):
        for column in range(5):
            sliding.view.pointer = [
                int((column + 0.5) * CELL * DENSITY), int((HEAD + (row + 0.5) * CELL) * DENSITY)
            ]  # fmt: skip
            expected = min(max(row - 1, 0), 2) * 3 + min(max(column - 1, 0), 2)
            assert sliding.position == expected


def test_arrow_keys_move_the_window_by_one_and_stop_at_the_edges(sliding):
    def press(dx, dy):
        """What the page does with an arrow key."""
        (x, y), step = sliding.view.pointer, sliding.view.key_step
        sliding.view.pointer = [
            min(max(x + dx * step, 0), sliding.view.width - 1), min(max(y + dy * step, 0), sliding.view.height - 1)
        ]  # fmt: skip

    visited = []
    for dx, dy in [(1, 0)] * 4 + [(0, 1)] * 4 + [(-1, 0)] * 4 + [(0, -1)] * 4 + [(1, 0)]:
        press(dx, dy)
        visited.append(sliding.position)
    assert visited == [1, 2, 2, 2, 5, 8, 8, 8, 7, 6, 6, 6, 3, 0, 0, 0, 1]


def test_arrow_keys_start_from_where_the_slider_left_the_window(sliding):
    sliding.view.pointer = [10, 100]
    sliding.step.value = 4
    x, y = sliding.view.pointer
    sliding.view.pointer = [x + sliding.view.key_step, y]
    assert sliding.position == 5
    sliding.view.pointer = []  # the pointer leaves the picture
    assert sliding.position == 5
    x, y = sliding.view.pointer
    sliding.view.pointer = [x, y + sliding.view.key_step]
    assert sliding.position == 8


def test_typed_numbers_change_the_response_and_the_drawing(sliding):
    before = sliding.view.image
    rows = [list(row) for row in sliding.inputs.value]
    rows[0][0] = -2.5
    sliding.inputs.value = rows
    assert torch.equal(sliding.value, response(sliding))
    assert sliding.value[0, 0] == 9 + 2.5
    assert caption_sum(sliding) == (11.5, 11.5)
    assert (cell(sliding, 0, 0) != before[4 * 2 + HEAD * 2 : 4 * 2 + HEAD * 2 + 104, 8:112]).any()
    sliding.kernel.value = [[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(sliding.value, 3 * torch.tensor(rows)[1:4, 1:4])


def test_an_input_of_another_size_brings_other_positions(sliding):
    sliding.step.value = 8
    sliding.inputs.value = [[1.0, 2.0, 3.0, 4.0]] * 3
    assert sliding.value.shape == (1, 2)
    assert (sliding.step.max, sliding.play.max, sliding.position) == (1, 1, 1)
    sliding.inputs.value = [[1.0] * 7] * 7
    assert (sliding.step.max, sliding.play.max) == (24, 24)
    sliding.step.value = 24
    assert "Row 4, column 4" in sliding.view.caption


def test_a_kernel_larger_than_the_input_is_a_sentence_and_the_value_is_kept(sliding):
    value, shown = sliding.value, sliding.view.image
    sliding.kernel.value = [[1.0] * 6] * 6
    assert complains(sliding)
    assert "The kernel covers 6 pixels" in sentence(sliding)
    assert sliding.value is value
    assert sliding.view.image is shown
    sliding.kernel.value = [[1.0] * 2] * 2
    assert sliding.value.shape == (4, 4)
    assert sentence(sliding) == ""


def test_it_starts_where_it_is_told_with_the_numbers_it_is_given():
    panel = SlidingWindowExplorer([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, -1]], position=1)
    assert panel.value.tolist() == [[-4.0, -4.0]]
    assert panel.position == 1
    assert caption_sum(panel) == (-4, -4)
    panel.close()
    with pytest.raises(WrongSetting, match="The kernel covers 3"):
        SlidingWindowExplorer([[1, 2], [3, 4]])


def test_a_panel_that_is_refused_leaves_nothing_of_it_alive():
    SlidingWindowExplorer().close()
    before = set(registry._instances)
    with pytest.raises(WrongSetting, match="covers 6 pixels"):
        SlidingWindowExplorer(kernel=[[1] * 6] * 6)
    assert set(registry._instances) == before


@pytest.mark.parametrize(
    ("control", "state"),
    [
        (lambda panel: panel.inputs, {"value": [[1.0, 2.0], [3.0]]}),
        (lambda panel: panel.kernel, {"value": []}),
        (lambda panel: panel.step, {"value": None}),
        (lambda panel: panel.view, {"pointer": [1]}),
    ],
)
def test_what_the_page_may_not_set_is_put_back_and_the_window_goes_on(sliding, control, state):
    value, shown = sliding.value, sliding.view.image
    with pytest.raises(TraitError):
        control(sliding).set_state(state)
    assert sliding.value is value
    assert sliding.view.image is shown
    sliding.step.value = 4
    assert caption_sum(sliding) == (value[1, 1].item(),) * 2


def test_the_window_moves_without_convolving_anew(sliding):
    value = sliding.value
    sliding.step.value = 7
    assert sliding.value is value
