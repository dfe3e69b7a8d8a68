"""Catch: a game on ten by ten squares, the exact value of its every state, and a small network that learns to play.

A ball falls from the top, one row a move; the paddle on the lowest row goes left, stays, or goes right. Being under the
ball when it arrives earns 1, and anything else costs 1. What is `k` moves away counts `DISCOUNT ** k` of that: a ball
about to be caught is worth more than one far up.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..networks import Asked, lock_of
from ..seeds import Drawing
from ..settings import whole_number
from ..techniques.steps import finished
from .adam import Adam

SIDE = 10
FALL = SIDE - 1  # moves from the top row to the lowest
MOVES = (_("left"), _("stay"), _("right"))
DISCOUNT = 0.9
GAMES = 64  # played at once
REMEMBERED = 20_000  # moves
BATCH = 150
EXPLORING = 0.3  # share of moves at random while learning, once it has begun
FOLLOW = 0.2  # how far the steady copy follows the network in a step


# ---------------------------------------------------------------------------------------------------------- the game
@dataclass(frozen=True, eq=False)
class Moved:
    """What a move leads to: the states after it, the reward (1, -1, or 0 while the ball falls), whether it is over."""

    states: Tensor
    rewards: Tensor
    over: Tensor


def first_states(count: int, generator: torch.Generator) -> Tensor:
    """`count` games as they begin: ball in the top row, ball and paddle in columns drawn at random. int64 `[N, 3]`."""
    columns = torch.randint(SIDE, (count, 2), generator=generator)
    return torch.cat([torch.zeros(count, 1, dtype=torch.long), columns], 1)


def move(states: Tensor, moves: Tensor) -> Moved:
    """What `moves` (int64 `[N]`: 0 left, 1 stay, 2 right) make of states `[N, 3]`.

    A state is the ball's row, the ball's column and the paddle's. The paddle stops at the walls. A game is over when
    the ball is in the lowest row. Raises `WrongSetting` for a state in which it is already there.
    """
    row, ball, paddle = states.unbind(1)
    if (row >= FALL).any():
        raise WrongSetting(_("The ball has arrived; this game is over."))
    row, paddle = row + 1, (paddle + moves - 1).clamp(0, SIDE - 1)
    over = row == FALL
    rewards = torch.where(over, torch.where(ball == paddle, 1.0, -1.0), 0.0)
    return Moved(torch.stack([row, ball, paddle], 1), rewards, over)


def boards(states: Tensor) -> Tensor:
    """States `[N, 3]` as the network sees them: float32 `[N, 1, 10, 10]`, 1 where ball and paddle are, else 0."""
    row, ball, paddle = states.unbind(1)
    picture, number = torch.zeros(len(states), 1, SIDE, SIDE), torch.arange(len(states))
    picture[number, 0, row, ball] = 1
    picture[number, 0, SIDE - 1, paddle] = 1
    return picture


def all_states() -> Tensor:
    """The 900 states in which there is a move to make, int64 `[900, 3]`, by row, then ball, then paddle."""
    return torch.cartesian_prod(torch.arange(FALL), torch.arange(SIDE), torch.arange(SIDE))


def exact_values(discount: float = DISCOUNT) -> Tensor:
    """What each of `all_states` is worth to who plays best, float64 `[900]` in -1..1, from the last move back."""
    states = all_states()
    values = torch.zeros(SIDE, SIDE, SIDE, dtype=torch.float64)
    for row in reversed(range(FALL)):
        here = states[states[:, 0] == row]
        outcomes = [move(here, torch.full((len(here),), action)) for action in range(len(MOVES))]
        worth = [after.rewards + discount * values[after.states.unbind(1)] for after in outcomes]
        values[here.unbind(1)] = torch.stack(worth).amax(0)
    return values[states.unbind(1)]


# --------------------------------------------------------------------------------------------------------- the player
def player(seed: int = 0) -> nn.Sequential:
    """A network from boards `[N, 1, 10, 10]` to what each of the three moves is worth, `[N, 3]`; drawn from `seed`.

    The window of its one convolution is as high as the board and reaches from wall to wall, so that at each column
    it sees where the ball is *from there*, and the maximum over the columns forgets which column that was.
    """
    with Drawing(seed):
        network = nn.Sequential()
        for name, layer in (
            ("conv1", nn.Conv2d(1, 64, (SIDE, 2 * SIDE - 1), padding=(0, SIDE - 1))),
            ("relu1", nn.ReLU()),
            ("pool1", nn.AdaptiveMaxPool2d(1)),
            ("flatten", nn.Flatten()),
            ("full2", nn.Linear(64, 64)),
            ("relu2", nn.ReLU()),
            ("moves", nn.Linear(64, len(MOVES))),
        ):
            network.add_module(name, layer)
        return network


@dataclass(frozen=True, eq=False)
class PlayStep:
    """The player after `index` of `total` steps; `caught` is the share of the latest 200 games that it won, else NaN.

    These are games with some moves at random, as it plays while it learns. `loss` is how far its values were from what
    came of its moves, 0 before the first step.
    """

    index: int
    total: int
    caught: float
    loss: float


def learn_steps(
    network: nn.Module, steps: int = 500, *, learning_rate: float = 0.005, seed: int = 0
) -> Iterator[PlayStep]:
    """Teach `network`, in place, to play: a move of every game and a gradient step on remembered moves, each time.

    Q-learning (Watkins and Dayan, 1992) with a network, remembered moves and a copy of the network that follows it
    slowly, as in Volodymyr Mnih et al., "Human-level control through deep reinforcement learning" (2015): the value of
    a move should be its reward plus the discounted value of the best move after it. Everything random comes from
    `seed`; the learning rate falls to zero on a straight line.
    """
    steps = whole_number(_("number of steps"), steps, 1)
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < 1:
        raise WrongSetting(_("The learning rate must lie between 0 and 1, not {rate!r}.").format(rate=learning_rate))
    generator = torch.Generator().manual_seed(whole_number(_("seed"), seed, 0))
    random = Drawing(seed)  # of what the network itself draws
    with torch.inference_mode(False):
        steady = {name: value.detach().clone() for name, value in network.named_parameters()}
        adam, memory, games = Adam(network.parameters()), _Memory(), first_states(GAMES, generator)
    results: deque[float] = deque(maxlen=200)
    yield PlayStep(0, steps, float("nan"), 0.0)
    for index in range(steps):
        games = _play(network, games, memory, results, max(EXPLORING, 1 - 4 * index / steps), generator)
        with lock_of(network), torch.inference_mode(False), random:
            loss = _learn(network, steady, memory, adam, learning_rate * (1 - index / steps), generator)
        yield PlayStep(index + 1, steps, sum(results) / len(results) if results else float("nan"), loss)


def learn(network: nn.Module, steps: int = 500, *, seed: int = 0, progress: bool = True, **settings: float) -> PlayStep:
    """The last of `learn_steps`, with a bar."""
    return finished(learn_steps(network, steps, seed=seed, **settings), _("learning to play"), progress)


class _Memory:
    """The latest moves of all games: states, moves, states after, rewards, whether the game was then over."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._count = 0

    def add(self, *parts: Tensor) -> None:
        if not self._parts:
            self._parts = [part.new_zeros(REMEMBERED, *part.shape[1:]) for part in parts]
        places = (self._count + torch.arange(len(parts[0]))) % REMEMBERED
        for room, part in zip(self._parts, parts, strict=True):
            room[places] = part
        self._count += len(parts[0])

    def draw(self, count: int, generator: torch.Generator) -> list[Tensor]:
        chosen = torch.randint(min(self._count, REMEMBERED), (count,), generator=generator)
        return [room[chosen] for room in self._parts]


def _play(
    network: nn.Module, games: Tensor, memory: _Memory, results: deque, exploring: float, generator: torch.Generator
) -> Tensor:
    """One move in every game; finished games begin anew."""
    moves = move_values(network, games).argmax(1)
    at_random = torch.rand(len(games), generator=generator) < exploring
    moves = torch.where(at_random, torch.randint(len(MOVES), (len(games),), generator=generator), moves)
    after = move(games, moves)
    memory.add(games, moves, after.states, after.rewards, after.over)
    results.extend((after.rewards[after.over] > 0).float().tolist())
    return torch.where(after.over[:, None], first_states(len(games), generator), after.states)


def _learn(
    network: nn.Module, steady: dict, memory: _Memory, adam: Adam, learning_rate: float, generator: torch.Generator
) -> float:
    """One gradient step on remembered moves; the steady copy follows. Returns the loss before it."""
    states, moves, then, rewards, over = memory.draw(BATCH, generator)
    with torch.no_grad():
        best = torch.func.functional_call(network, steady, boards(then)).amax(1)
    wanted = rewards + DISCOUNT * best * ~over
    with torch.enable_grad():
        network.zero_grad(set_to_none=True)
        loss = F.mse_loss(network(boards(states)).gather(1, moves[:, None])[:, 0], wanted)
        loss.backward()
    adam.step(learning_rate)
    with torch.no_grad():
        for name, value in network.named_parameters():
            steady[name].lerp_(value, FOLLOW)
    return loss.item()


def move_values(network: nn.Module, states: Tensor) -> Tensor:
    """What the network takes each move to be worth in states `[N, 3]`: float32 `[N, 3]`. Its value is the largest."""
    return Asked(network).output(boards(states))


def caught(network: nn.Module, games: Tensor) -> Tensor:
    """Play `games`, states `[N, 3]`, to their end without moves at random: bool `[N]`, whether the ball is caught."""
    rewards = torch.zeros(len(games))
    states, over = games, games[:, 0] >= FALL
    while not over.all():
        going = ~over
        after = move(states[going], move_values(network, states[going]).argmax(1))
        states, rewards, over = states.clone(), rewards.clone(), over.clone()
        states[going], rewards[going], over[going] = after.states, after.rewards, after.over
    return rewards > 0
