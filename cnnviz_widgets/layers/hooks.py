"""Hooks into a network, and only for as long as a `with` lasts: record what layers put out, or tap one on the way.

Hooks see only calls made by the thread that entered the `with`, so that a cell and a panel can use one network at the
same time, and nothing of what a technique runs meanwhile on the same network.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CnnvizError, UnknownLayer
from ..i18n import _
from ..networks import Network, as_module
from ..networks.asking import depth
from ..networks.copying import ours

COMPILED = _("What torch.jit has compiled cannot be looked into: give the module that it was made from.")


class Reached(BaseException):
    """Ends a forward pass once it has gone as far as it is needed; no `except Exception` of a module may keep it."""


class _ByName(dict):
    """Says what may be wrong where there is nothing under a layer's name."""

    def __missing__(self, name: str) -> Any:
        message = _(
            'Nothing was recorded for "{name}": run the network inside the with (of a network that torch.compile has '
            "compiled, the module behind it); recorded are: {names}."
        )
        raise UnknownLayer(message.format(name=name, names=", ".join(self) or "–"))


class Recording(_ByName):
    """What layers put out, by name: `seen[name]` is the tensor of the latest call, `seen.calls[name]` has them all."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Tensor]] = _ByName()

    def add(self, name: str, output: Tensor) -> None:
        """Keep one more output of the layer `name`."""
        self[name] = output
        self.calls.setdefault(name, []).append(output)


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
        kept = _tensor(output, wanted[part][0]).clone()
        for name in dict.fromkeys(wanted[part]):
            seen.add(name, kept)
        # With gradients the rest of the network goes on from the kept tensor, so that they can be taken with respect
        # to it; from a copy of it, so that no in-place layer changes what was kept.
        return kept.clone() if kept.requires_grad else None

    with hooked(wanted, keep):
        yield seen


@contextmanager
def tap(module: nn.Module, name: str, *, calls: int | None = None, differentiate: bool = False) -> Iterator[list]:
    """Keep what the layer `name` puts out inside the `with`: a list of tensors, one for each call.

    With `calls`, the forward pass ends there after that many, which saves what lies behind. With `differentiate` the
    network goes on from a leaf that requires gradients, so that only what lies behind the layer is differentiated: ask
    with gradients on, then `torch.autograd.grad(score, outputs[-1])`. Raises `UnknownLayer` before anything runs.
    """
    outputs: list[Tensor] = []

    def keep(_part: nn.Module, _arguments: Any, output: Any) -> Tensor | None:
        kept = _tensor(output, name).detach().clone()
        outputs.append(kept.requires_grad_() if differentiate else kept)
        if len(outputs) == calls:
            raise Reached
        return kept.clone() if differentiate else None  # an in-place layer behind it changes the copy

    with hooked([find_layer(module, name)], keep), suppress(Reached):
        yield outputs


def find_layer(model: Network | nn.Module, name: str) -> nn.Module:
    """The submodule of this dotted name. Raises `UnknownLayer`, which names the nearest."""
    parts = dict(as_module(model).named_modules(remove_duplicate=False))
    if isinstance(name, str) and name and name in parts:
        return parts[name]
    known = [part for part in parts if part]
    below = [part for part in known if name and part.endswith(f".{name}")]
    if str(name) in known:
        raise UnknownLayer(_('Layers go by their names as text: "{name}".').format(name=name))
    near = list(dict.fromkeys([*below, *get_close_matches(str(name), known, n=4, cutoff=0.5)]))[:4]
    message = _('There is no layer "{name}". Did you mean {near}?')
    raise UnknownLayer(message.format(name=name, near=", ".join(near or known[:4])))


@contextmanager
def hooked(
    parts: Iterable[nn.Module],
    hook: Callable[[nn.Module, Any, Any], Tensor | None],
    before: Callable[[nn.Module, Any], None] | None = None,
) -> Iterator[None]:
    """Call `hook(part, arguments, output)` after each forward of `parts` by this thread, inside the `with`.

    A tensor that the hook returns takes the place of the output. `before(part, arguments)` is called before each.
    """
    owner, level, parts = threading.get_ident(), depth(), list(parts)
    if any(isinstance(part, torch.jit.ScriptModule) for part in parts):
        raise CnnvizError(COMPILED)

    def is_mine() -> bool:
        return threading.get_ident() == owner and depth() == level

    def behind(part: nn.Module, arguments: Any, output: Any) -> Tensor | None:
        return hook(part, arguments, output) if is_mine() else None

    def ahead(part: nn.Module, arguments: Any) -> None:
        if is_mine():
            before(part, arguments)

    try:
        for part in parts:
            part.register_forward_hook(ours(behind))
            if before:
                part.register_forward_pre_hook(ours(ahead))
        yield
    finally:
        try:
            _sweep(parts, behind, ahead)
        finally:  # an interrupt may come in the midst of sweeping
            _sweep(parts, behind, ahead)


def _sweep(parts: Sequence[nn.Module], *hooks: Callable) -> None:
    """Take our hooks out wherever they are, so that none stays that was set when an interrupt came."""
    for part in parts:
        for kept in (part._forward_hooks, part._forward_pre_hooks):
            for key in [key for key, hook in kept.items() if hook in hooks]:
                kept.pop(key, None)


def _tensor(output: Any, name: str) -> Tensor:
    if not isinstance(output, Tensor):
        message = _('"{name}" puts out a {kind}, not a tensor; choose one of the layers inside it.')
        raise CnnvizError(message.format(name=name, kind=type(output).__name__))
    return output
