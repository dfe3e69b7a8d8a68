"""Catch: its rules by brute force, its exact values, and a player that learns it."""

import itertools
import threading

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.learning import catch
from tests.helpers import fingerprint

LEFT, STAY, RIGHT = 0, 1, 2


def played(row, ball, paddle, moves):
    """A game on paper: where the paddle ends, and 1 or -1 once the ball is down."""
    for action in moves:
        row += 1
        paddle = min(max(paddle + (-1, 0, 1)[action], 0), 9)
    assert row == 9
    return 1 if paddle == ball else -1


def best_by_trying(row, ball, paddle, discount):
    """The worth of a state, from every sequence of moves there is."""
    left = 9 - row
    return max(
        played(row, ball, paddle, moves) * discount ** (left - 1) for moves in itertools.product(range(3), repeat=left)
    )


def test_a_move_on_a_board():
    states = torch.tensor([[0, 4, 4], [0, 4, 0], [3, 9, 9], [8, 2, 3], [8, 2, 2], [8, 0, 0]])
    after = catch.move(states, torch.tensor([RIGHT, LEFT, RIGHT, LEFT, RIGHT, LEFT]))
    assert after.states.tolist() == [[1, 4, 5], [1, 4, 0], [4, 9, 9], [9, 2, 2], [9, 2, 3], [9, 0, 0]]
    assert after.rewards.tolist() == [0, 0, 0, 1, -1, 1]
    assert after.over.tolist() == [False, False, False, True, True, True]


def test_every_state_plays_as_on_paper():
    generator = torch.Generator().manual_seed(0)
    for state in catch.all_states()[::7]:
        moves = torch.randint(3, (9 - int(state[0]),), generator=generator)
        now = state[None]
        for action in moves:
            after = catch.move(now, action[None])
            now = after.states
        assert after.over.item()
        assert after.rewards.item() == played(*state.tolist(), moves.tolist())


def test_a_game_that_is_over_is_over():
    with pytest.raises(WrongSetting, match="over"):
        catch.move(torch.tensor([[9, 1, 1]]), torch.tensor([STAY]))


def test_boards_show_ball_and_paddle_and_nothing_else():
    board = catch.boards(torch.tensor([[2, 7, 1], [9, 3, 3]]))
    assert board.shape == (2, 1, 10, 10)
    assert board[0].nonzero().tolist() == [[0, 2, 7], [0, 9, 1]]
    assert board[1].nonzero().tolist() == [[0, 9, 3]]


def test_all_states_are_all_and_each_once():
    states = {tuple(state) for state in catch.all_states().tolist()}
    assert states == set(itertools.product(range(9), range(10), range(10)))
    assert len(catch.all_states()) == 900


def test_games_begin_at_the_top_in_every_column():
    states = catch.first_states(2000, torch.Generator().manual_seed(1))
    assert states[:, 0].unique().tolist() == [0]
    assert states[:, 1].unique().tolist() == states[:, 2].unique().tolist() == list(range(10))


@pytest.mark.parametrize("discount", [0.9, 0.5])
def test_exact_values_are_those_of_trying_everything(discount):
    states, values = catch.all_states(), catch.exact_values(discount)
    for index in range(400, 900, 13):  # from row 4 on; above, there are too many sequences
        wanted = best_by_trying(*states[index].tolist(), discount)
        assert values[index].item() == pytest.approx(wanted, abs=1e-12)


def test_exact_values_in_closed_form():
    """Within reach, the paddle wins, whatever the walls: the sign; and the number of moves left: the size."""
    row, ball, paddle = catch.all_states().unbind(1)
    left = 9 - row
    wanted = torch.where((ball - paddle).abs() <= left, 1.0, -1.0).double() * 0.9 ** (left - 1)
    torch.testing.assert_close(catch.exact_values(), wanted)


@pytest.fixture(scope="module")
def learnt():
    network = catch.player(0)
    return network, catch.learn(network, seed=0, progress=False)


def test_the_player_catches_what_can_be_caught(learnt):
    network, last = learnt
    states, values = catch.all_states(), catch.exact_values()
    assert last.index == last.total == 500
    assert catch.caught(network, states[:100]).double().mean() > 0.95
    caught = catch.caught(network, states)
    assert caught[values > 0].double().mean() > 0.95
    assert not caught[values < 0].any()  # no player can


def test_its_values_are_the_exact_ones(learnt):
    network, _last = learnt
    values = catch.move_values(network, catch.all_states()).amax(1).double()
    exact = catch.exact_values()
    assert (values - exact).abs().mean() < 0.08
    assert torch.corrcoef(torch.stack([values, exact]))[0, 1] > 0.98


def test_before_it_has_learnt_it_plays_badly():
    network, states = catch.player(0), catch.all_states()[:100]
    assert catch.caught(network, states).double().mean() < 0.5


def test_learning_in_steps_is_learning_at_once_and_comes_from_the_seed():
    one, other, third = (catch.player(3) for _ in range(3))
    state = torch.get_rng_state()
    steps = list(catch.learn_steps(one, 12, seed=5))
    catch.learn(other, 12, seed=5, progress=False)
    catch.learn(third, 12, seed=6, progress=False)
    assert torch.equal(state, torch.get_rng_state())
    assert [step.index for step in steps] == list(range(13))
    assert torch.equal(one.moves.weight, other.moves.weight)
    assert not torch.equal(one.moves.weight, third.moves.weight)
    assert not torch.equal(one.moves.weight, catch.player(3).moves.weight)


def test_asking_the_player_leaves_it_as_it_was():
    network = catch.player(0).train()
    before = fingerprint(network)
    catch.move_values(network, catch.all_states())
    catch.caught(network, catch.all_states()[:50])
    assert fingerprint(network) == before


@pytest.mark.parametrize("settings", [{"steps": 0}, {"steps": 3, "learning_rate": 2}, {"steps": 3, "seed": -1}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(WrongSetting):
        list(catch.learn_steps(catch.player(), **settings))


class Forgetful(nn.Module):
    """The player, with what draws by a function and not by a layer."""

    def __init__(self):
        super().__init__()
        self.inner = catch.player(0)

    def forward(self, boards):
        return self.inner(nn.functional.dropout(boards, 0.1, self.training))


def test_a_network_that_draws_does_so_from_the_seed_also_while_another_thread_draws():
    def losses(seed=3):
        return [step.loss for step in catch.learn_steps(Forgetful(), 12, seed=seed)]

    state, first = torch.get_rng_state(), losses()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [torch.rand(9) for _ in iter(stop.is_set, True)])
    thread.start()
    try:
        assert losses() == first
    finally:
        stop.set()
        thread.join()
    assert losses(4) != first


def test_inside_inference_mode_it_learns_the_same():
    plain, other = catch.player(1), catch.player(1)
    expected = [step.loss for step in catch.learn_steps(plain, 4, seed=2)]
    with torch.inference_mode():
        found = [
            step.loss
            for step in catch.learn_steps(other, np.int64(4), learning_rate=np.float64(0.005), seed=np.int64(2))
        ]
    assert found == expected


def test_a_learning_rate_that_is_no_number_is_refused():
    with pytest.raises(WrongSetting, match="learning rate must lie between 0 and 1, not 'fast'"):
        next(catch.learn_steps(catch.player(), learning_rate="fast"))
