"""What is inside any `nn.Module`: its layers, in the order they run, and what they put out.

Hooks live only inside a `with` and are gone after an error as well. They see only calls made by the thread that
entered the `with`, so that a cell and a panel can use one network at the same time.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz_widgets.errors import CnnvizError, UnknownLayer
from cnnviz_widgets.i18n import _
from cnnviz_widgets.networks import Network, as_module, evaluating


@dataclass(frozen=True)
class LayerInfo:
    """One layer: its dotted name, its kind (class), the shape it put out, and how many parameters it has.

    `calls` is how often it ran in one pass (the shape is that of the first), and `leaf` tells a layer that computes
    from a container of layers.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    calls: int = 1
    leaf: bool = True


def layer_tree(model: Network | nn.Module, inputs: Tensor, *, containers: bool = False) -> list[LayerInfo]:
    """The layers of `model` that put out a tensor for `inputs` [N, C, H, W], in the order in which they finished.

    Found by one real forward pass in eval mode without gradients, so a layer that is never called is not listed, and
    one that is called several times is listed once. A layer is a module without submodules, or with parameters of
    its own. With `containers=True` the modules made of layers (a block, a stage) are listed too, after their parts,
    marked by `leaf=False`; the model itself is not. Nothing is kept but shapes, so the meta device works as well.
    """
    module = as_module(model)
    names = {part: name for name, part in module.named_modules() if name}
    shapes: dict[nn.Module, list[tuple[int, ...]]] = {}

    def note(part: nn.Module, _arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes.setdefault(part, []).append(tuple(output.shape))

    with _hooked(names, note), evaluating(module), torch.no_grad():
        module(inputs)
    layers = [
        LayerInfo(
            name=names[part],
            kind=type(part).__name__,
            output_shape=seen[0],
            parameters=sum(parameter.numel() for parameter in part.parameters()),
            calls=len(seen),
            leaf=_is_leaf(part),
        )
        for part, seen in shapes.items()
    ]
    return [layer for layer in layers if layer.leaf or containers]


class Recording(dict[str, Tensor]):
    """What layers put out, by name: `seen[name]` is the tensor of the latest call, `seen.calls[name]` has them all."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Tensor]] = {}

    def add(self, name: str, output: Tensor) -> None:
        """Keep one more output of the layer `name`."""
        self[name] = output
        self.calls.setdefault(name, []).append(output)

    def __missing__(self, name: str) -> Tensor:
        raise UnknownLayer(
            _('Nothing was recorded for "{name}": run the network inside the with; recorded are: {names}.').format(
                name=name, names=", ".join(self) or "–"
            )
        )


@contextmanager
def record(model: Network | nn.Module, names: str | Sequence[str]) -> Iterator[Recording]:
    """Record what the named layers (any submodules, containers too) put out while the model runs inside the `with`.

    ::

        with record(network, ["stem", "block3_1"]) as seen, torch.no_grad():
            network.module(network.preprocess("cat"))
        seen["stem"]                                            # Tensor [1, 32, 112, 112]

    Each output is copied when it appears, so an in-place layer behind it does not change what was recorded. Where
    gradients are on, `torch.autograd.grad(score, seen[name])` gives those at the layer. A layer that runs several
    times, in one pass or in several, leaves its latest output in `seen[name]` and all of them, in order, in
    `seen.calls[name]`. The mode of the model and gradients are the caller's affair: see `evaluating` and
    `torch.no_grad`.

    Raises `UnknownLayer`, which names the nearest layers, before anything runs, and `CnnvizError` from the forward pass
    when a named layer puts out something other than a tensor.
    """
    module = as_module(model)
    wanted: dict[nn.Module, list[str]] = {}
    for name in [names] if isinstance(names, str) else names:
        wanted.setdefault(find_layer(module, name), []).append(name)
    seen = Recording()

    def keep(part: nn.Module, _arguments: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            message = _('"{name}" puts out a {kind}, not a tensor; choose one of the layers inside it.')
            raise CnnvizError(message.format(name=wanted[part][0], kind=type(output).__name__))
        kept = output.clone()
        for name in dict.fromkeys(wanted[part]):
            seen.add(name, kept)
        # With gradients the rest of the network goes on from the kept tensor, so that they can be taken with respect
        # to it; from a copy of it, so that no in-place layer changes what was kept.
        return kept.clone() if kept.requires_grad else None

    with _hooked(wanted, keep):
        yield seen


def find_layer(model: Network | nn.Module, name: str) -> nn.Module:
    """The submodule of this dotted name. Raises `UnknownLayer`, which names the nearest."""
    parts = dict(as_module(model).named_modules(remove_duplicate=False))
    if name and name in parts:
        return parts[name]
    known = [part for part in parts if part]
    below = [part for part in known if name and part.endswith(f".{name}")]
    near = list(dict.fromkeys([*below, *get_close_matches(str(name), known, n=4, cutoff=0.5)]))[:4]
    message = _('There is no layer "{name}". Did you mean {near}?')
    raise UnknownLayer(message.format(name=name, near=", ".join(near or known[:4])))


def _is_leaf(part: nn.Module) -> bool:
    has_children = next(part.children(), None) is not None
    return not has_children or next(part.parameters(recurse=False), None) is not None


@contextmanager
def _hooked(parts: Iterable[nn.Module], hook: Callable[[nn.Module, Any, Any], Tensor | None]) -> Iterator[None]:
    """Call `hook(part, arguments, output)` after each forward of `parts` by this thread, inside the `with`.

    A tensor that the hook returns takes the place of the output.
    """
    owner = threading.get_ident()

    def mine(part: nn.Module, arguments: Any, output: Any) -> Tensor | None:
        return hook(part, arguments, output) if threading.get_ident() == owner else None

    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.register_forward_hook(mine).remove)
        yield
