"""The exercises of notebook 03: counting parameters, the commonest mix-up, a LeNet a tenth as large."""

import torch
from torch import nn

from ..i18n import _
from ..images.digits import PADDED
from ..learning.training import train
from ..networks.lenet import C3_INPUTS
from ._compare import Wrong, expect_close
from ._framework import Exercise, Misreading


# --------------------------------------------------------------------------------------------------------- counting
def parameters_of(seen, size):
    """Parameters of a convolution whose k-th map looks at `seen[k]` maps below, with kernels of size × size."""
    return sum(maps * size * size + 1 for maps in seen)


def _check_parameters_of(answer: object) -> None:
    cases = (
        (_("the first convolution, six maps that look at one picture"), [1] * 6, 5, 156),
        (_("C3 of LeNet-5, six maps looking at 3, nine at 4 and one at all 6"), list(map(len, C3_INPUTS)), 5, 1516),
        (_("the second convolution of ours, sixteen maps looking at 6"), [6] * 16, 5, 2416),
        (_("a convolution of 3 × 3, three maps looking at 3"), [3] * 3, 3, 84),
    )
    for what, seen, size, expected in cases:
        expect_close(
            answer(list(seen), size), expected, _("For {what}, the number of parameters").format(what=what), 1e-9
        )


def _without_biases(seen, size):
    return sum(maps * size * size for maps in seen)


def _one_bias_for_all(seen, size):
    return sum(seen) * size * size + 1


def _a_bias_for_each_kernel(seen, size):
    return sum(maps * (size * size + 1) for maps in seen)


PARAMETERS = Exercise(
    name="parameters_of",
    question=_("Count the parameters of a convolution whose maps need not look at all maps below."),
    starter='''def parameters_of(seen, size):
    """Parameters of a convolution whose k-th map looks at `seen[k]` maps below, with kernels of size × size."""
    return ...


check("lenet.parameters_of", parameters_of)''',
    solution=parameters_of,
    check=_check_parameters_of,
    hints=(
        _("Begin with one map that looks at three maps below: how many kernels has it, and how many biases?"),
        _("Each map has one kernel for each map that it looks at, and one bias in all."),
        _("Sum seen[k] * size * size + 1 over all maps k."),
    ),
    misreadings=(
        Misreading("forgets the biases", _without_biases, "too small"),
        Misreading("one bias for the whole layer", _one_bias_for_all, "too small"),
        Misreading("a bias for each kernel", _a_bias_for_each_kernel, "C3 of LeNet-5.*too large"),
        Misreading("as if every map looked at all", lambda seen, size: len(seen) * (6 * size**2 + 1), "too large"),
    ),
    praise=_("right: 1,516 for LeNet-5's C3, 900 fewer than if every map looked at all six."),
)


# ---------------------------------------------------------------------------------------------------- the worst mix-up
def worst_mix_up(logits, labels):
    """(is, taken for): the two digits that are mixed up most often, the true one first."""
    said = logits.argmax(1)
    table = torch.zeros(10, 10)
    for right, answer in zip(labels[said != labels], said[said != labels], strict=True):
        table[right, answer] += 1
    return divmod(int(table.argmax()), 10)


def _check_worst_mix_up(answer: object) -> None:
    for seed, (right, said) in enumerate(((4, 9), (7, 2), (0, 6))):
        logits, labels = _answers(right, said, seed)
        given = answer(logits.clone(), labels.clone())
        try:
            pair = [int(digit) for digit in given]
        except (TypeError, ValueError):
            pair = []
        if len(pair) != 2:
            raise Wrong(_("Return two digits, (is, taken for), not {given!r}.").format(given=given))
        if pair[0] == pair[1]:
            message = _("You return {digit} and {digit}: a digit that is taken for itself is no mix-up.")
            raise Wrong(message.format(digit=pair[0]))
        if pair == [said, right]:
            raise Wrong(_("You have the right two digits, but the wrong way round: the true one comes first."))
        if pair != [right, said]:
            message = _("In a test in which {right} was taken for {said} most often, you return {pair}.")
            raise Wrong(message.format(right=right, said=said, pair=tuple(pair)))


def _answers(right: int, said: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels in which `right` is taken for `said` most often, and another digit is wrong more often."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(10).repeat_interleave(50)
    given = labels.clone()
    start = right * 50
    given[start : start + 9] = said
    back = said * 50
    given[back : back + 6] = right
    other = next(digit for digit in (3, 8) if digit not in (right, said))
    elsewhere = [digit for digit in range(10) if digit not in (right, said, other)]
    given[other * 50 : other * 50 + 14] = torch.tensor(elsewhere).repeat(2)[:14]
    logits = torch.rand(500, 10, generator=generator)
    logits[torch.arange(500), given] += 2
    order = torch.randperm(500, generator=generator)
    return logits[order], labels[order]


def _with_the_diagonal(logits, labels):
    table = torch.bincount(labels * 10 + logits.argmax(1), minlength=100)
    return divmod(int(table.argmax()), 10)


def _wrong_way_round(logits, labels):
    return worst_mix_up(logits, labels)[::-1]


def _most_often_wrong(logits, labels):
    said = logits.argmax(1)
    wrong = said != labels
    right = int(labels[wrong].bincount(minlength=10).argmax())
    return right, int(said[wrong & (labels == right)].bincount(minlength=10).argmax())


MIX_UP = Exercise(
    name="worst_mix_up",
    question=_("Find the two digits that a network mixes up most often."),
    starter='''def worst_mix_up(logits, labels):
    """(is, taken for): the two digits that are mixed up most often, the true one first."""
    said = logits.argmax(1)
    return ...


check("lenet.worst_mix_up", worst_mix_up)''',
    solution=worst_mix_up,
    check=_check_worst_mix_up,
    hints=(
        _("Make a table of ten rows (what it is) and ten columns (what was said), and count into it."),
        _("Most answers are right and lie on the table's diagonal: leave them out."),
        _("table.argmax() counts along the rows; divmod by 10 gives row and column."),
    ),
    misreadings=(
        Misreading("counts the right answers, too", _with_the_diagonal, "taken for itself"),
        Misreading("what was said first", _wrong_way_round, "wrong way round"),
        Misreading("the digit that is wrong most often", _most_often_wrong, "In a test in which"),
        Misreading("a single number", lambda logits, labels: 49, "Return two digits"),
    ),
)


# ------------------------------------------------------------------------------------------------------ a small network
LARGEST, LEAST = 6000, 0.95
SETUP = """import torch
from torch import nn
"""


def small_lenet():
    """A network from [N, 1, 32, 32] to ten logits, with at most 6,000 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2),  # steps of two: no pooling needed, and a quarter of the work
        nn.ReLU(),
        nn.Conv2d(6, 12, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * 5 * 5, 10),  # most of LeNet's parameters are in the layers that this one replaces
    )


def _check_small_lenet(answer: object) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = answer() if callable(answer) and not isinstance(answer, nn.Module) else answer
    if not isinstance(network, nn.Module):
        raise Wrong(
            _("Return a torch.nn.Module, such as nn.Sequential(…), not {kind}.").format(kind=type(network).__name__)
        )
    size = sum(parameter.numel() for parameter in network.parameters())
    if size > LARGEST:
        message = _("Your network has {size:,} parameters; {largest:,} are the most.")
        raise Wrong(message.format(size=size, largest=LARGEST))
    if size == 0:
        raise Wrong(_("Your network has no parameters: there is nothing to train."))
    try:
        with torch.no_grad():
            shape = tuple(network(torch.zeros(2, 1, PADDED, PADDED)).shape)
    except Exception as error:
        message = _("Your network does not take pictures [N, 1, 32, 32]. {error}")
        raise Wrong(message.format(error=str(error).splitlines()[0])) from None
    if shape != (2, 10):
        message = _("For two pictures your network puts out a tensor of shape {shape}; ten logits each are (2, 10).")
        raise Wrong(message.format(shape=shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        right = _trained(network)
    if right < LEAST:
        message = _(
            "Your network has {size:,} parameters and gets {right:.1%} of the held-out digits right; {least:.0%} are "
            "asked for. What does LeNet have that it has not?"
        )
        raise Wrong(message.format(size=size, right=right, least=LEAST))


def _trained(network: nn.Module) -> float:
    return train(network, epochs=3, learning_rate=0.01, progress=False).tests[-1][1]


def _no_convolution():
    return nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 20), nn.ReLU(), nn.Linear(20, 10))


def _no_activation():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2), nn.Conv2d(6, 12, 5), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(300, 10)
    )


def _lenet_as_it_is():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(294, 120), nn.Linear(120, 10)
    )


def _for_28_pixels():
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(6 * 36, 10))


def _probabilities_of_one():
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(294, 1))


SMALL = Exercise(
    name="small_lenet",
    question=_("Build a network with at most 6,000 parameters that still gets 95 % of the held-out digits right."),
    starter='''def small_lenet():
    """A network from [N, 1, 32, 32] to ten logits, with at most 6,000 parameters."""
    return nn.Sequential(...)


check("lenet.small_lenet", small_lenet)  # trains it for three epochs: a few seconds''',
    solution=small_lenet,
    check=_check_small_lenet,
    hints=(
        _("Where are LeNet's 61,706 parameters? Print them layer by layer: four fifths are in one layer."),
        _("The layer from 400 to 120 numbers costs 48,120. Go from the last maps straight to the ten logits."),
        _("Ten logits from 12 maps of 5 × 5 cost 3,010, a second convolution from 6 to 12 maps 1,812."),
        _("Keep a ReLU after each convolution: without it the whole network is one linear function."),
    ),
    misreadings=(
        Misreading("no convolution", _no_convolution, "gets 8[0-9]|gets 9[0-4]"),
        Misreading("no activation function", _no_activation, "gets 8[0-9]|gets 9[0-4]"),
        Misreading("keeps the wide layer", _lenet_as_it_is, "36,766 parameters"),
        Misreading("counts on pictures of 28 × 28", _for_28_pixels, r"does not take pictures \[N, 1, 32, 32\]"),
        Misreading("one number for each picture", _probabilities_of_one, r"shape \(2, 1\)"),
    ),
    setup=SETUP,
    praise=_("right: a tenth of LeNet's parameters. The convolutions do the work, and they are cheap."),
)

EXERCISES = (PARAMETERS, MIX_UP, SMALL)
