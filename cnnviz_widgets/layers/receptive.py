"""Which pixels a unit of a layer can see, followed through whatever a network computes.

Every operation of one forward pass is looked at as it runs, whether it comes from a module or from a function, and the
field of its result is worked out from those of its inputs: convolutions and pooling widen it, strides spread it, sums
and concatenations join the fields of their branches. The recurrences for a chain are those of André Araujo, Wade Norris
and Jack Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019. They tell what a unit can
see, which Wenjie Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", NIPS
2016, contrast with what it pays attention to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from .rules import RULES, pointwise, whole_or
from .spans import LOST, Span, State


@dataclass(frozen=True)
class Node:
    """One tensor in the course of a forward pass, with the nodes it was made from."""

    operation: str
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    state: State


class Trace(TorchDispatchMode):
    """Follows `inputs` [N, C, H, W] through all that is computed from them inside the `with`; `nodes` come in order."""

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.nodes = [Node("input", (), tuple(inputs.shape), State((2, 3), (Span(), Span())))]
        self._numbers = WeakTensorKeyDictionary()
        self._numbers[inputs] = 0
        self._written: dict[int, int] = {}  # storage: the latest node that was written into part of it

    def number(self, tensor: Tensor) -> int | None:
        """The number of the node that is this tensor's present content; None for what does not come from the inputs."""
        own = self._numbers.get(tensor)
        written = self._written.get(_storage(tensor)) if self._written else None
        if written is None or (own is not None and own >= written):
            return own
        sources = (written,) if own is None else (own, written)
        return self._add("partly written", sources, tensor, whole_or(LOST, (self.nodes[i].state for i in sources)))

    def axes(self, tensor: Tensor) -> tuple[int, int] | None:
        """Which axes of the tensor are the picture's rows and columns; None where that cannot be told."""
        number = self.number(tensor)
        return None if number is None else self.nodes[number].state.axes

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would else import its compiler, a second and 160 MB, to keep it away from this mode."""
        return False

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run the operation and note what it made of what."""
        options = options or {}
        tensors = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, Tensor)]
        numbers = [self.number(tensor) for tensor in tensors]
        results = function(*arguments, **options)
        sources = tuple(dict.fromkeys(number for number in numbers if number is not None))
        if sources:
            self._note(function, arguments, options, tensors, numbers, sources, results)
        return results

    def _note(self, function, arguments, options, tensors, numbers, sources, results) -> None:
        outputs = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
        tracked = [
            (tensor, self.nodes[number].state)
            for tensor, number in zip(tensors, numbers, strict=True)
            if number is not None
        ]
        named = _named(function, arguments, options)
        for output in outputs:
            rule = RULES.get(function.overloadpacket)
            if rule is None and torch.Tag.pointwise in function.tags:
                rule = pointwise
            state = rule(named, tracked, output) if rule else LOST
            name = function.overloadpacket.__name__
            number = self._add(name, sources, output, whole_or(state, (state for _tensor, state in tracked)))
            if function._schema.is_mutable and output._is_view():
                self._written[_storage(output)] = number

    def _add(self, operation: str, sources: tuple[int, ...], tensor: Tensor, state: State) -> int:
        self.nodes.append(Node(operation, sources, tuple(tensor.shape), state))
        self._numbers[tensor] = len(self.nodes) - 1
        return len(self.nodes) - 1

    def passes_all(self, end: int) -> list[int]:
        """The nodes that everything passes on its way from the input to node `end`, the last first.

        These are the articulation points between the two: without any one of them nothing would arrive.
        """
        upstream = {end}
        for number in range(end, -1, -1):
            if number in upstream:
                upstream.update(self.nodes[number].sources)
        farthest, passes = 0, [0]  # a node is passed by all if no edge leads from before it to behind it
        reach = {number: number for number in upstream}
        for number in upstream:
            for source in self.nodes[number].sources:
                reach[source] = max(reach[source], number)
        for number in sorted(upstream):
            if number and farthest <= number:
                passes.append(number)
            farthest = max(farthest, reach[number])
        return passes[::-1]


def _named(function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> dict[str, Any]:
    names = [argument.name for argument in function._schema.arguments]
    return {**dict(zip(names, arguments, strict=False)), **options}


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
