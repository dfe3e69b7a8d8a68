"""The exercises of notebook 05: feature maps, receptive fields, and the units of a network."""

from collections.abc import Sequence
from functools import cache

from ..errors import CnnvizError
from ..i18n import _
from ..images import PICTURES
from ..techniques.feature_maps import feature_maps, strength
from ._compare import Wrong, require
from ._exercise import Exercise, Misreading, case
from ._network import bundled

# 1: how much a unit sees


def field(layers: list[tuple[int, int]]) -> tuple[int, int]:
    """(size, stride) of what a unit behind all `layers` sees of the picture; each is (kernel, stride)."""
    size, jump = 1, 1  # a pixel sees itself; the next pixel lies 1 further
    for kernel, stride in layers:
        size = size + (kernel - 1) * jump
        jump = jump * stride
    return size, jump


CHAINS = (
    [(3, 2)],
    [(3, 1), (3, 1)],
    [(3, 2), (3, 1)],
    [(3, 2), (3, 1), (1, 1), (3, 2), (5, 2)],
    [(7, 2), (3, 2), (3, 1), (3, 1)],
)


def _without_jump(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return 1 + sum(kernel - 1 for kernel, _stride in layers), field(layers)[1]


def _jump_too_early(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    size = jump = 1
    for kernel, stride in layers:
        jump = jump * stride
        size = size + (kernel - 1) * jump
    return size, jump


def _whole_kernels(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    size = jump = 1
    for kernel, stride in layers:
        size, jump = size + kernel * jump, jump * stride
    return size, jump


# 2: which pixels these are


def box(y: int, x: int, size: int, stride: int, offset: int, height: int, width: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of what the unit in row `y`, column `x` sees of a picture; the last two exclusive."""
    top, left = offset + y * stride, offset + x * stride
    return max(top, 0), max(left, 0), min(top + size, height), min(left + size, width)


CALL = _("For box({y}, {x}, {size}, {stride}, {offset}, {height}, {width})")
PLACES = (
    (5, 9, 35, 8, -10, 224, 224),
    (0, 20, 35, 8, -10, 224, 300),
    (27, 3, 35, 8, -10, 224, 300),
    (27, 37, 35, 8, -10, 224, 300),
    (3, 2, 3, 2, 0, 224, 224),
)


def _unclipped(y: int, x: int, size: int, stride: int, offset: int, *_side: int) -> tuple[int, int, int, int]:
    top, left = offset + y * stride, offset + x * stride
    return top, left, top + size, left + size


def _centred(y: int, x: int, size: int, stride: int, _offset: int, height: int, width: int) -> tuple:
    return box(y, x, size, stride, -(size // 2), height, width)


# 3: a unit of the cat's own

AT_LEAST = 1.5  # the strength on the picture, as a multiple of that on any other
PICTURE = "cat"


@cache
def _strengths(layer: str) -> dict[str, list[float]]:
    """How strongly each channel of `layer` answers to each of the course's pictures, by the picture's name."""
    network = bundled()
    return {name: strength(feature_maps(network, network.preprocess(name), layer)[0]).tolist() for name in PICTURES}


def _check_unit(answer: object) -> None:
    named = isinstance(answer, dict) and set(answer) == {"layer", "channel"}
    require(named, _('Give a dict with "layer", a name, and "channel", a number.'))
    layer, channel = str(answer["layer"]), int(answer["channel"])
    try:
        strengths = _strengths(layer)
    except CnnvizError as error:
        raise Wrong(str(error)) from None
    last = len(strengths[PICTURE]) - 1
    require(0 <= channel <= last, _("{layer} has the channels 0 to {last}."), layer=layer, last=last)
    own = strengths[PICTURE][channel]
    most, other = max((values[channel], name) for name, values in strengths.items() if name != PICTURE)
    require(own > 0, _("Channel {channel} of {layer} is silent on the cat."), channel=channel, layer=layer)
    times = own / most if most > 0 else float("inf")
    weak = _(
        "Its strength is {own:.2g} on the cat, and {most:.2g} on {other}: that is {times:.3g} times, not {least:g}."
    )
    require(times >= AT_LEAST, weak, own=own, most=most, other=other, times=times, least=AT_LEAST)


EXERCISES = (
    Exercise(
        name="field",
        question=_("How large a part of the picture does a unit behind a chain of layers see?"),
        starter='''def field(layers):
    """(size, stride) of what a unit behind all `layers` sees of the picture; each is (kernel, stride)."""
    size, jump = 1, 1  # a pixel sees itself; the next pixel lies 1 further
    for kernel, stride in layers:
        size = ...
        jump = ...
    return size, jump


check("feature_maps.field", field)''',
        solution=field,
        cases=tuple(case(_("For the chain {layers}"), chain) for chain in CHAINS),
        gives=("size", "stride"),
        tolerance=0,
        hints=(
            _("Two neighbouring units of the map before are `jump` pixels of the picture apart."),
            _("A kernel of k cells reaches over k − 1 such steps beyond what one unit before it sees."),
            _("size grows by (kernel − 1) · jump; then jump is multiplied by the stride. The order matters."),
        ),
        misreadings=(
            Misreading(
                "leaves the strides out",
                _without_jump,
                _("{case}, your size leaves the strides out: behind a stride of 2, a step is 2 pixels wide."),
            ),
            Misreading(
                "multiplies by the stride too early",
                _jump_too_early,
                _("{case}, your size counts a layer's own stride: its window still steps over the map before it."),
            ),
            Misreading(
                "adds whole kernels",
                _whole_kernels,
                _("{case}, your size adds whole kernels: of k cells, one is where the unit already looked."),
            ),
            Misreading(
                "gives stride and size",
                lambda layers: field(layers)[::-1],
                _("{case}, both numbers are right, but have changed places: size first."),
            ),
        ),
        praise=_(
            "right. Every stride of 2 doubles the step of all layers behind it, which is why fields grow so fast."
        ),
    ),
    Exercise(
        name="box",
        question=_("Which pixels does the unit in row y and column x see?"),
        starter='''def box(y, x, size, stride, offset, height, width):
    """(top, left, bottom, right) of what the unit in row `y`, column `x` sees of a picture; the last two exclusive."""
    top, left, bottom, right = ..., ..., ..., ...
    return top, left, bottom, right


check("feature_maps.box", box)''',
        solution=box,
        cases=tuple(case(CALL, *place) for place in PLACES),
        gives=("top", "left", "bottom", "right"),
        tolerance=0,
        hints=(
            _("The field of unit (0, 0) begins at `offset`, in rows and in columns; each step moves it by `stride`."),
            _("Rows first: top = offset + y · stride, and bottom = top + size."),
            _("No pixel has a number below 0, or of height (width) and above: max and min cut the box there."),
        ),
        misreadings=(
            Misreading(
                "leaves the padding in",
                _unclipped,
                _("{case}, yours reaches beyond the picture, where there is only padding: cut it at the border."),
            ),
            Misreading(
                "columns first",
                lambda *place: [box(*place)[side] for side in (1, 0, 3, 2)],
                _("{case}, rows and columns have changed places: top, left, bottom, right."),
            ),
            Misreading(
                "the last pixels inside",
                lambda *place: [side - (index > 1) for index, side in enumerate(box(*place))],
                _("{case}, bottom and right are the last pixels inside; the first ones outside are asked for."),
            ),
            Misreading(
                "guesses the offset",
                _centred,
                _("{case}, yours lies as if unit (0, 0) looked at the corner; where its field begins is the offset."),
            ),
        ),
        praise=_("right: this is what a click on a map draws."),
    ),
    Exercise(
        name="unit",
        question=_(
            "Find a unit that answers to the cat {times:g} times as strongly as to any other picture of the course."
        ).format(times=AT_LEAST),
        starter="""unit = {"layer": ..., "channel": ...}

check("feature_maps.unit", unit)""",
        solution="""unit = {"layer": "block5_3", "channel": 90}""",
        check=_check_unit,
        hints=(
            _("Early units answer to edges and colours, which all pictures have. Look in the later blocks."),
            _(
                "strength(feature_maps(network, network.preprocess(name), layer)[0]) has a number for each channel. "
                "Stack those of all PICTURES, and compare the cat's row with the largest of the others."
            ),
            _("Block 5 has such a unit; so has the head."),
        ),
        misreadings=(
            Misreading("the strongest unit of the first layer", {"layer": "stem", "channel": 12}, "times, not"),
            Misreading("a layer that is not there", {"layer": "block9", "channel": 0}, "no layer"),
            Misreading("a layer without maps", {"layer": "classifier", "channel": 281}, "no map"),
            Misreading("a silent unit", {"layer": "stem", "channel": 11}, "silent"),
            Misreading("a channel too many", {"layer": "stem", "channel": 32}, "0 to 31"),
        ),
        praise=_("right. Does it mean cat, fur, or only this photograph? Fourteen pictures cannot tell."),
    ),
)
