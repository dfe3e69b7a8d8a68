"""One forward pass looked at from all sides: what each part of a network put out, of which shape, and at what cost."""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from ..errors import CnnvizError
from ..networks import Asked, as_pictures, run
from .costs import MultiplyAdds
from .hooks import COMPILED, hooked
from .receptive import Node, Trace
from .spans import ReceptiveField, field


@dataclass
class Observation:
    """What one forward pass showed of each module that put out a tensor."""

    names: dict[nn.Module, str]
    shapes: dict[nn.Module, list[tuple[int, ...]]]
    multiply_adds: dict[nn.Module, int]  # of each module that ran, also of those that put out no tensor
    own_multiply_adds: dict[nn.Module, int]
    numbers: dict[nn.Module, int]
    trace: Trace | None
    picture: tuple[int, int]
    end: int | None = None

    @property
    def nodes(self) -> list[Node]:
        """The tensors that the trace met, in order."""
        return self.trace.nodes

    def field(self, part: nn.Module) -> ReceptiveField | None:
        """The receptive field in the part's latest output."""
        if part not in self.numbers:
            return None
        node = self.nodes[self.numbers[part]]
        return field(node.state, node.shape, self.picture)

    def known_axes(self, part: nn.Module) -> tuple[int, int] | None:
        """Which axes of the part's latest output are rows and columns, where the operations tell."""
        return self.nodes[self.numbers[part]].state.axes if part in self.numbers else None


def observe(ask: Asked, inputs: Tensor, trace: bool, wanted: nn.Module | None = None) -> Observation:
    """Run the network once, without gradients, and note what each part put out, and at what cost.

    What fails behind the part that is `wanted` does not matter: it may not take a picture of this size.
    """
    if trace:
        as_pictures(inputs)
    with torch.inference_mode(False):
        inputs = inputs.clone()  # the module may change what it is given
    names = _layers_of(ask.module)
    seen = Observation(names, {}, defaultdict(int), defaultdict(int), {}, None, tuple(inputs.shape[-2:]))
    counter = MultiplyAdds()
    begun, by_parts = [], [0]  # of the modules that are running: the count when they began, and what their parts took

    def note(part: nn.Module, _arguments: Any, output: Any) -> None:
        spent, parts = counter.total - begun.pop(), by_parts.pop()
        by_parts[-1] += spent
        seen.multiply_adds[part] += spent
        seen.own_multiply_adds[part] += spent - parts
        if isinstance(output, Tensor):
            seen.shapes.setdefault(part, []).append(tuple(output.shape))
            number = seen.trace.number(output) if trace else None
            if number is not None:
                seen.numbers[part] = number

    def begin(_part: nn.Module, _arguments: Any) -> None:
        begun.append(counter.total)
        by_parts.append(0)

    with ExitStack() as stack:
        stack.enter_context(ask.awake())
        stack.enter_context(hooked(names, note, begin))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(counter)
        if trace:
            seen.trace = stack.enter_context(Trace(inputs))
        try:
            output = run(ask.module, inputs)
        except CnnvizError:
            if wanted not in seen.shapes:
                raise
            return seen
        if trace and isinstance(output := _scores(ask, output), Tensor):
            seen.end = seen.trace.number(output)
    return seen


def _scores(ask: Asked, output: Any) -> Any:
    """What the network's own function makes of what the module returned, such as a dictionary."""
    if ask.reading.function is None:
        return output
    try:
        return ask.reading.function(output)
    except Exception:  # said by whoever asks for the scores
        return output


def _layers_of(module: nn.Module) -> dict[nn.Module, str]:
    """The submodules that are on a picture's way, by name: not those that make weights (as spectral norm does)."""
    aside = {inner for part in module.modules() if isinstance(part, ParametrizationList) for inner in part.modules()}
    named = {part: name for name, part in module.named_modules() if name and part not in aside}
    shown = {part: name for part, name in named.items() if not isinstance(part, torch.jit.ScriptModule)}
    if isinstance(module, torch.jit.ScriptModule) or (named and not shown):
        raise CnnvizError(COMPILED)
    return shown
