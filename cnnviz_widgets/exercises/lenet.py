"""The exercises of notebook 03: counting parameters, the commonest mix-up, a LeNet a tenth as large."""

import copy
from collections.abc import Iterator

import torch
from torch import nn

from ..i18n import _
from ..images.digits import PADDED
from ..learning.training import train
from ..networks.lenet import C3_INPUTS
from ._answers import sentence_of
from ._compare import Wrong, require
from ._exercise import Case, Exercise, Misreading, case


# --------------------------------------------------------------------------------------------------------- counting
def parameters_of(seen, size):
    """Parameters of a convolution whose k-th map looks at `seen[k]` maps below, with kernels of size × size."""
    return sum(maps * size * size + 1 for maps in seen)


PARAMETERS = Exercise(
    name="parameters_of",
    question=_("Count the parameters of a convolution whose maps need not look at all maps below."),
    starter='''def parameters_of(seen, size):
    """Parameters of a convolution whose k-th map looks at `seen[k]` maps below, with kernels of size × size."""
    return ...


check("lenet.parameters_of", parameters_of)''',
    solution=parameters_of,
    cases=(
        case(_("For the first convolution, six maps that look at one picture"), [1] * 6, 5),
        case(_("For C3 of LeNet-5, six maps looking at 3, nine at 4 and one at all 6"), list(map(len, C3_INPUTS)), 5),
        case(_("For the second convolution of ours, sixteen maps looking at 6"), [6] * 16, 5),
        case(_("For a convolution of 3 × 3, three maps looking at 3"), [3] * 3, 3),
    ),
    gives=_("the number of parameters"),
    tolerance=0,
    hints=(
        _("Begin with one map that looks at three maps below: how many kernels has it, and how many biases?"),
        _("Each map has one kernel for each map that it looks at, and one bias in all."),
        _("Sum seen[k] * size * size + 1 over all maps k."),
    ),
    misreadings=(
        Misreading(
            "forgets the biases",
            lambda seen, size: sum(maps * size * size for maps in seen),
            _("{case}, you count the kernels alone: each map has a bias, too."),
        ),
        Misreading(
            "one bias for the whole layer",
            lambda seen, size: sum(seen) * size * size + 1,
            _("{case}, you count one bias for the whole layer; each map has one of its own."),
        ),
        Misreading(
            "a bias for each kernel",
            lambda seen, size: sum(maps * (size * size + 1) for maps in seen),
            _("{case}, you count a bias for each kernel; a map has one bias, however many maps it looks at."),
        ),
        Misreading(
            "as if every map looked at all",
            lambda seen, size: len(seen) * (max(seen) * size * size + 1),
            _("{case}, you count as if each map looked at all maps below; map k looks at seen[k] of them."),
        ),
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


def _tests() -> Iterator[Case]:
    for seed, (right, said) in enumerate(((4, 9), (7, 2), (0, 6))):
        words = _("In a test in which {right} was taken for {said} most often").format(right=right, said=said)
        yield case(words, *_answers(right, said, seed))


def _answers(right: int, said: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels in which `right` is taken for `said` most often, and another digit is wrong more often."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(10).repeat_interleave(50)
    given = labels.clone()
    given[50 * right : 50 * right + 9] = said
    given[50 * said : 50 * said + 6] = right
    other = next(digit for digit in (3, 8) if digit not in (right, said))
    elsewhere = [digit for digit in range(10) if digit not in (right, said, other)]
    given[50 * other : 50 * other + 14] = torch.tensor(2 * elsewhere)
    logits = torch.rand(500, 10, generator=generator)
    logits[torch.arange(500), given] += 2
    order = torch.randperm(500, generator=generator)
    return logits[order], labels[order]


def _with_the_diagonal(logits, labels):
    table = torch.bincount(labels * 10 + logits.argmax(1), minlength=100)
    return divmod(int(table.argmax()), 10)


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
    cases=tuple(_tests()),
    gives=_("your pair (is, taken for)"),
    tolerance=0,
    hints=(
        _("Make a table of ten rows (what it is) and ten columns (what was said), and count into it."),
        _("Most answers are right and lie on the table's diagonal: leave them out."),
        _("table.argmax() counts along the rows; divmod by 10 gives row and column."),
    ),
    misreadings=(
        Misreading(
            "counts the right answers, too",
            _with_the_diagonal,
            _("You return {result[0]:g} and {result[1]:g}: a digit that is taken for itself is no mix-up."),
        ),
        Misreading(
            "what was said first",
            lambda logits, labels: worst_mix_up(logits, labels)[::-1],
            _("You have the right two digits, but the wrong way round: the true one comes first."),
        ),
        Misreading(
            "the digit that is wrong most often",
            _most_often_wrong,
            _("{case}, you begin with the digit that is wrong most often; its mistakes are spread over many others."),
        ),
        Misreading(
            "the place in the table",
            lambda logits, labels: worst_mix_up(logits, labels)[0] * 10 + worst_mix_up(logits, labels)[1],
            _("{result:g} is the number of a cell of the table, counted along its rows. Return two digits."),
        ),
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
        network = answer() if callable(answer) and not isinstance(answer, nn.Module) else copy.deepcopy(answer)
        kind = type(network).__name__
        require(
            isinstance(network, nn.Module),
            _("Return a torch.nn.Module, such as nn.Sequential(…), not {kind}."),
            kind=kind,
        )
        size = sum(parameter.numel() for parameter in network.parameters())
        require(size, _("Your network has no parameters: there is nothing to train."))
        require(
            size <= LARGEST, _("Your network has {size:,} parameters; {most:,} are the most."), size=size, most=LARGEST
        )
        shape = _output_shape(network)
        ten_logits = _("For two pictures your network puts out a tensor of shape {shape}; ten logits each are (2, 10).")
        require(shape == (2, 10), ten_logits, shape=shape)
        torch.manual_seed(0)
        right = train(network, epochs=3, learning_rate=0.01, progress=False).tests[-1][1]
    too_few = _(
        "Your network has {size:,} parameters and gets {right:.1%} of the held-out digits right; {least:.0%} are "
        "asked for. What does LeNet have that it has not?"
    )
    require(right >= LEAST, too_few, size=size, right=right, least=LEAST)


def _output_shape(network: nn.Module) -> tuple[int, ...]:
    try:
        with torch.no_grad():
            return tuple(network(torch.zeros(2, 1, PADDED, PADDED)).shape)
    except Exception as error:
        message = _("Your network does not take pictures [N, 1, 32, 32]. {error}")
        raise Wrong(message.format(error=sentence_of(error))) from None


def _ending(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), *layers)


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
        Misreading(
            "no convolution",
            lambda: nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 20), nn.ReLU(), nn.Linear(20, 10)),
            "gets 8[0-9]|gets 9[0-4]",
        ),
        Misreading(
            "no activation function",
            lambda: nn.Sequential(
                nn.Conv2d(1, 6, 5, 2), nn.Conv2d(6, 12, 5), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(300, 10)
            ),
            "gets 8[0-9]|gets 9[0-4]",
        ),
        Misreading(
            "keeps the wide layer", lambda: _ending(nn.Linear(294, 120), nn.Linear(120, 10)), "36,766 parameters"
        ),
        Misreading(
            "for 28 × 28 pixels", lambda: _ending(nn.Linear(216, 10)), r"does not take pictures \[N, 1, 32, 32\]"
        ),
        Misreading("one number for each picture", lambda: _ending(nn.Linear(294, 1)), r"shape \(2, 1\)"),
    ),
    setup=SETUP,
    praise=_("right: a tenth of LeNet's parameters. The convolutions do the work, and they are cheap."),
)

EXERCISES = (PARAMETERS, MIX_UP, SMALL)
