"""Random numbers of our own: those of the seed, whatever else draws, and nothing taken from torch's generator."""

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.networks import load_network
from cnnviz_widgets.networks.lenet import article_lenet, article_stages, lenet, lenet5
from cnnviz_widgets.networks.untrained import untrained
from cnnviz_widgets.seeds import Drawing

MAP = torch.linspace(-1, 1, 2 * 4 * 6 * 6).view(2, 4, 6, 6)


class Depth(nn.Module):
    """Stochastic depth as it is often written: a picture goes through the layer, or past it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, inputs):
        stays = torch.rand(len(inputs), 1, 1, 1, dtype=inputs.dtype, device=inputs.device) < 0.5
        return inputs + stays * F.dropout(self.layer(inputs), 0.3, training=self.training)


DRAWS = {
    "rand": lambda: torch.rand(5),
    "rand of a type": lambda: torch.rand(5, dtype=torch.float64),
    "randn": lambda: torch.randn(3, 4),
    "randint": lambda: torch.randint(10, (7,)),
    "randint from": lambda: torch.randint(3, 10, (7,)),
    "randperm": lambda: torch.randperm(9),
    "rand_like": lambda: torch.rand_like(MAP),
    "randn_like": lambda: torch.randn_like(MAP),
    "randint_like": lambda: torch.randint_like(MAP, 9),
    "randint_like from": lambda: torch.randint_like(MAP, 3, 9),
    "bernoulli": lambda: torch.bernoulli(MAP.abs()),
    "bernoulli_": lambda: MAP.clone().bernoulli_(0.3),
    "normal": lambda: torch.normal(MAP, 2.0),
    "normal of a shape": lambda: torch.normal(0.0, 1.0, (4,)),
    "normal_": lambda: MAP.clone().normal_(),
    "uniform_": lambda: MAP.clone().uniform_(2, 3),
    "exponential_": lambda: MAP.clone().exponential_(),
    "multinomial": lambda: torch.multinomial(torch.ones(2, 9), 4),
    "poisson": lambda: torch.poisson(MAP.abs()),
    "a distribution": lambda: torch.distributions.Beta(2.0, 3.0).sample((4,)),
    "dropout": lambda: F.dropout(MAP, 0.4),
    "dropout in place": lambda: F.dropout(MAP.clone(), 0.4, inplace=True),
    "dropout of maps": lambda: F.dropout2d(MAP, 0.4),
    "alpha dropout": lambda: F.alpha_dropout(MAP, 0.4, training=True),
    "random leaky ReLU": lambda: F.rrelu(MAP, training=True),
    "gumbel softmax": lambda: F.gumbel_softmax(MAP),
    "fractional pooling": lambda: F.fractional_max_pool2d(MAP, 2, output_size=(4, 4)),
    "attention": lambda: F.scaled_dot_product_attention(MAP, MAP, MAP, dropout_p=0.5),
    "first weights": lambda: nn.Conv2d(3, 5, 3).weight.detach(),
    "truncated": lambda: nn.init.trunc_normal_(torch.empty(50)),
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(5, 5)),
    "recurrence": lambda: nn.LSTM(6, 5, num_layers=2, dropout=0.5).train()(MAP[0])[0].detach(),
    "stochastic depth": lambda: Depth()(MAP).detach(),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", DRAWS)
def test_what_draws_gives_torch_s_numbers_of_the_seed_and_takes_none_of_torch_s(name, inference):
    draw = DRAWS[name]
    with torch.random.fork_rng(), torch.inference_mode(inference):
        torch.manual_seed(7)
        expected = draw()
    before = torch.get_rng_state()
    with Drawing(7), torch.inference_mode(inference):
        found = draw()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found, expected)
    with Drawing(8), torch.inference_mode(inference):
        assert not torch.equal(draw(), expected)


def test_the_same_object_goes_on_where_it_was_left():
    with Drawing(3):
        together = torch.rand(6)
    drawing = Drawing(3)
    parts = []
    for _part in range(2):
        with drawing:
            parts.append(torch.rand(3))
    assert torch.equal(torch.cat(parts), together)


def test_one_inside_another_draws_from_its_own():
    with Drawing(3):
        expected = torch.rand(2)
    with Drawing(4), Drawing(3):
        assert torch.equal(torch.rand(2), expected)


def test_a_generator_that_the_caller_names_is_asked():
    expected = torch.rand(4, generator=torch.Generator().manual_seed(5))
    with Drawing(1):
        assert torch.equal(torch.rand(4, generator=torch.Generator().manual_seed(5)), expected)


@pytest.mark.parametrize("seed", [-1, 1.5, "3", None, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(WrongSetting, match="seed must be a whole number of at least 0"):
        Drawing(seed)


def test_a_seed_may_be_numpy_s():
    with Drawing(np.int64(3)):
        found = torch.rand(2)
    with Drawing(3):
        assert torch.equal(found, torch.rand(2))


def weights_of(module):
    return torch.cat([entry.flatten().double() for entry in module.state_dict().values()])


class Other(nn.Sequential):
    """No network by name: its parts draw their beginnings, and what no part draws is shuffled."""

    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 16, 3))
        self.scale = nn.Parameter(torch.arange(9.0))


OTHER = Other()
BEGINNINGS = {
    "lenet": lambda seed: lenet(seed),
    "lenet5": lambda seed: lenet5(seed),
    "article_lenet": lambda seed: article_lenet(seed=seed),
    "article_stages": lambda seed: article_stages(seed=seed),
    "the bundled network": lambda seed: load_network(weights=None, seed=seed).module,
    "untrained by name": lambda seed: untrained(load_network(), seed),
    "untrained": lambda seed: untrained(OTHER, seed),
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_first_weights_are_those_of_the_seed_also_while_another_thread_draws(name):
    begin, before = BEGINNINGS[name], torch.get_rng_state()
    expected, other = weights_of(begin(3)), weights_of(begin(4))
    assert torch.equal(torch.get_rng_state(), before) and not torch.equal(expected, other)
    over = threading.Event()
    drawn = []

    def draw():
        while not over.is_set():
            drawn.append(torch.rand(1))

    thread = threading.Thread(target=draw)
    thread.start()
    while not drawn:
        time.sleep(0.001)
    try:
        found = [weights_of(begin(3)) for _again in range(3)]
    finally:
        over.set()
        thread.join(10)
    assert all(torch.equal(again, expected) for again in found)
    torch.set_rng_state(before)
    assert drawn and torch.equal(torch.cat(drawn), torch.cat([torch.rand(1) for _each in drawn]))


@pytest.mark.parametrize("name", BEGINNINGS)
def test_networks_made_under_inference_mode_can_still_be_trained(name):
    with torch.inference_mode():
        module = BEGINNINGS[name](0)
    weight = next(parameter for parameter in module.parameters() if parameter.ndim == 4)
    assert not any(tensor.is_inference() for tensor in module.state_dict().values())
    weight.sum().backward()
    assert weight.grad is not None
