"""Private copies of a network, which share its weights, and the marks by which our hooks are told from others'."""

import copy
import functools
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .modes import lock_of

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
_OURS = "belongs_to_cnnviz"
_COPY_METHODS = ("__deepcopy__", "__copy__", "__reduce__", "__reduce_ex__", "__getstate__")
_BOOKKEEPING = {name for name, value in vars(nn.Module()).items() if isinstance(value, (dict, set))} - {
    "_parameters",
    "_buffers",
    "_modules",
}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type, torch.dtype, torch.device, torch.Size)


def ours(hook: Any) -> Any:
    """Mark a hook as ours: copies go without it."""
    setattr(hook, _OURS, True)
    return hook


def private_copy(module: nn.Module) -> nn.Module:
    """A copy of `module` in eval mode that shares its weights, but not their gradients, and has none of our hooks.

    The module itself comes back where it cannot be copied, or where others have hooked it: what their hooks do belongs
    to what it computes. Made outside of inference mode, whatever the caller is in, so that gradients can be asked for.
    """
    with lock_of(module), torch.inference_mode(False):
        parts = list(module.modules())
        if any(_is_foreign(hook) for part in parts for kind in _HOOKS for hook in getattr(part, kind).values()):
            return module
        memo: dict[int, Any] = {id(weights): _shared(weights) for weights in module.parameters()}
        try:
            twin = _twin(module, memo)
        except Exception:  # a module may hold anything, also what cannot be copied
            return module
        for part in twin.modules():
            part.training = False
            part._compiled_call_impl = None
            for kind in _BACKWARD_HOOKS:
                setattr(part, kind, OrderedDict())
        return without_our_hooks(twin)


def without_our_hooks(copied: nn.Module) -> nn.Module:
    """A copy of a module without the hooks of ours that were copied with it: they know nothing but the original."""
    for part in copied.modules():
        for kind in _HOOKS:
            kept = ((key, hook) for key, hook in getattr(part, kind).items() if not _is_ours(hook))
            setattr(part, kind, OrderedDict(kept))
    return copied


def _shared(parameter: nn.Parameter) -> nn.Parameter:
    values = parameter.detach()
    return nn.Parameter(values.clone() if values.is_inference() else values, requires_grad=parameter.requires_grad)


def _twin(part: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy of one part with all that is inside it. `copy.deepcopy` would do, in ten times the time."""
    if id(part) in memo:
        return memo[id(part)]
    if is_compiled(part):
        memo[id(part)] = twin = _Uncompiled(_twin(part._orig_mod, memo))
        return twin
    kind = type(part)
    if any(getattr(kind, name, None) is not getattr(nn.Module, name, None) for name in _COPY_METHODS):
        twin = copy.deepcopy(part, memo)
    else:
        memo[id(part)] = twin = kind.__new__(kind)
        modules = {name: None if inner is None else _twin(inner, memo) for name, inner in part._modules.items()}
        vars(twin).update({name: _copied(name, value, memo) for name, value in vars(part).items()})
        twin._modules = modules
    return twin


def _copied(name: str, value: Any, memo: dict[int, Any]) -> Any:
    if isinstance(value, _PLAIN) or name == "_modules":
        return value
    if name in _BOOKKEEPING:
        return type(value)(value)
    if isinstance(value, Tensor):
        return memo.get(id(value)) if id(value) in memo else memo.setdefault(id(value), value.detach().clone())
    if name in ("_parameters", "_buffers"):
        return {key: _copied("", tensor, memo) for key, tensor in value.items()}
    if _calls_a_part(value):
        raise TypeError("a function that belongs to the module itself")
    return copy.deepcopy(value, memo)


def _calls_a_part(value: Any, depth: int = 4) -> bool:
    """Whether a function in `value` holds on to a module or a tensor: in the copy it would still call the original."""
    if isinstance(value, types.FunctionType):
        kept = [*(cell.cell_contents for cell in value.__closure__ or ()), *(value.__defaults__ or ())]
        kept += (value.__kwdefaults__ or {}).values()
        return any(isinstance(one, (nn.Module, Tensor)) or _calls_a_part(one, depth - 1) for one in kept)
    if isinstance(value, functools.partial):
        value = [value.func, *value.args, *value.keywords.values()]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    return depth > 0 and any(_calls_a_part(one, depth - 1) for one in inner)


class _Uncompiled(nn.Module):
    """What stands in a copy for the wrapper that torch.compile puts around a part: inside that, no hook is called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module

    def forward(self, *arguments: Any, **options: Any) -> Any:
        """Run the module that was compiled."""
        return self._orig_mod(*arguments, **options)


def is_compiled(module: nn.Module) -> bool:
    """Whether this is the wrapper that `torch.compile` puts around a module."""
    return type(module).__name__ == "OptimizedModule" and isinstance(getattr(module, "_orig_mod", None), nn.Module)


@contextmanager
def not_compiled(module: nn.Module) -> Iterator[None]:
    """Inside the `with`, what was compiled in `module` runs as it was written, so that hooks are called."""
    changed: list[tuple[dict, str, Any]] = []
    try:
        for part in module.modules():
            name, value = ("forward", part._orig_mod.__call__) if is_compiled(part) else ("_compiled_call_impl", None)
            if vars(part).get(name) is not None:
                changed.append((vars(part), name, vars(part)[name]))
                vars(part)[name] = value
        yield
    finally:
        for kept, name, value in changed:
            kept[name] = value


def _is_ours(hook: Any) -> bool:
    return getattr(hook, _OURS, False)


def _is_foreign(hook: Any) -> bool:
    """True unless the hook is ours or belongs to torch itself, which makes weights so (weight norm, pruning)."""
    return not _is_ours(hook) and not type(hook).__module__.startswith("torch.nn.utils")
