"""The one way to ask a network: apart from the reader's own, in eval mode, its answers read and its errors said.

Whoever looks at a network looks at a private copy that shares its weights. The copy is in eval mode and carries none
of our hooks, so that nothing is switched, hooked or counted in the reader's module, which may be learning in another
thread at the same time. Where a module cannot be copied, or carries hooks of others, which belong to what it computes,
it is asked itself, under its lock.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin
from torch.utils._pytree import tree_leaves

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from .copying import is_compiled, not_compiled, private_copy
from .modes import evaluating
from .output import Reading

_ASKING = threading.local()


class Asked:
    """A network for as long as one question takes: its private copy `module`, and how its answers are read.

    `model` is a `Network` or any module; `reading` is the network's, or a module's plain softmax. `is_private` tells
    whether `module` is a copy. Raises `CnnvizError` for anything else, and for modules that cannot run.
    """

    def __init__(self, model: Any) -> None:
        own = as_module(model)
        self.reading: Reading = Reading() if isinstance(model, nn.Module) else model.reading
        self.module = private_copy(own)
        self.is_private = self.module is not own
        norms = (part for part in self.module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm))
        self._mixes = any(norm.running_mean is None for norm in norms)
        self._layout = torch.preserve_format
        self._awake = False

    @property
    def one_by_one(self) -> bool:
        """True if pictures in one batch change each other's answers, so that each must be asked alone.

        Batch norm without running statistics does so; `quicken` finds out whether anything else does.
        """
        return self._mixes

    def prepared(self, inputs: Tensor, *, one: bool = False) -> Tensor:
        """Pictures [N, C, H, W] on the network's device and of its type, detached; with `one`, exactly one picture.

        Whatever is asked from now on is laid out in memory as they are. Raises `WrongSetting`, which says what was
        given instead.
        """
        inputs = self.matched(as_pictures(inputs, one=one)).detach()
        plain = inputs.is_contiguous() or not inputs.is_contiguous(memory_format=torch.channels_last)
        self._layout = torch.contiguous_format if plain else torch.channels_last
        return inputs

    def matched(self, inputs: Tensor) -> Tensor:
        """A tensor on the network's device and of its floating type; one of meta's stays there.

        Raises `WrongSetting` for what is no tensor, with the same sentence as `prepared`.
        """
        if not isinstance(inputs, Tensor):
            as_pictures(inputs)
        with torch.inference_mode(False):  # what is made in that mode refuses to be changed or differentiated later
            inputs = inputs.clone() if inputs.is_inference() else inputs
            own = next((tensor for tensor in _tensors(self.module) if tensor.is_floating_point()), None)
            if own is None:
                return inputs
            return inputs.to(own.dtype) if inputs.is_meta else inputs.to(own.device, own.dtype)

    def output(self, inputs: Tensor, *, gradients: bool = False) -> Any:
        """What the module returns for `inputs`, of which it gets a copy; `gradients` leaves autograd on.

        Raises `CnnvizError`, one sentence, where the network cannot run on these pictures.
        """
        if gradients and self.is_private:
            self.module.requires_grad_(False)  # what is asked for is never the gradient of a weight
        with self.awake(), torch.inference_mode(False), torch.set_grad_enabled(gradients):
            layout = self._layout if inputs.ndim == 4 else torch.preserve_format
            return run(self.module, inputs.clone(memory_format=layout))

    def scores(self, inputs: Tensor, *, gradients: bool = False) -> Tensor:
        """The scores [N, classes] of `inputs`, as `Reading.scores` has them."""
        return self.reading.scores(self.output(inputs, gradients=gradients), len(inputs))

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Inside the `with` the module may run: it is in eval mode, and what runs is no affair of hooks set before.

        A technique that hooks the module does so inside of it.
        """
        if self.is_private or self._awake:
            yield
            return
        with evaluating(self.module), unobserved(), not_compiled(self.module):
            try:
                self._awake = True
                yield
            finally:
                self._awake = False

    def quicken(self, inputs: Tensor) -> None:
        """Find out how pictures like `inputs` [N, C, H, W] may be asked in batches, and faster.

        Two pictures of noise are asked alone and together, which shows whether they change each other's answers. Then
        they are asked once more with pictures and kernels laid out channels-last, which halves the time on a CPU: a
        module that asks for one layout of memory raises or answers otherwise, and is asked as before.
        """
        if inputs.is_meta or not inputs.is_floating_point():
            return
        probe = _noise(inputs)
        try:
            plain = self._answers(probe)
            alone = self._answers(probe[:1])
            self._mixes |= not _alike([answer[:1] for answer in plain], alone)
        except Exception:  # whatever such a module raises, and answers that cannot be compared
            return
        if not self.is_private or inputs.is_cuda:
            return
        kernels = [parameter for parameter in self.module.parameters() if parameter.ndim == 4]
        before, layout = [kernel.data for kernel in kernels], self._layout
        try:
            self._layout = torch.channels_last
            for kernel in kernels:
                kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
            works = _alike(plain, self._answers(probe))
        except Exception:
            works = False
        if not works:
            self._layout = layout
            for kernel, values in zip(kernels, before, strict=True):
                kernel.data = values

    def _answers(self, inputs: Tensor) -> list[Tensor]:
        """All tensors [N, …] in what the module returns. Raises `ValueError` if there are others, or none."""
        answers = tree_leaves(self.output(inputs))
        if not answers or not all(isinstance(one, Tensor) and one.shape[:1] == inputs.shape[:1] for one in answers):
            raise ValueError
        return [one.float() for one in answers]


def _noise(inputs: Tensor) -> Tensor:
    """Two pictures [2, C, H, W] of noise between the darkest and the lightest value of `inputs`."""
    low, high = float(inputs.min()), float(inputs.max())
    low, high = (low, high) if low < high else (low - 0.5, high + 0.5)
    noise = torch.rand(2, *inputs.shape[1:], generator=torch.Generator().manual_seed(0))
    return (low + (high - low) * noise).to(inputs)


def _alike(some: list[Tensor], others: list[Tensor]) -> bool:
    """Whether answers are the same but for rounding."""
    scale = max(1.0, *(float(one.abs().max()) for one in some if one.numel()))
    pairs = zip(some, others, strict=True)
    return all(torch.allclose(one, other, rtol=1e-3, atol=1e-4 * scale) for one, other in pairs)


def as_module(model: Any) -> nn.Module:
    """The `nn.Module` of a `Network`, or the module itself; of a compiled one, the module that it was made from.

    Raises `CnnvizError` for anything else, and for lazy layers that have not met a picture yet.
    """
    module = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    if not isinstance(module, nn.Module):
        kind = type(model).__name__
        raise CnnvizError(_("A model is a Network or a torch.nn.Module, not a {kind}.").format(kind=kind))
    while is_compiled(module):
        module = module._orig_mod
    if any(isinstance(parameter, UninitializedTensorMixin) for parameter in module.parameters()):
        message = _("{name} has lazy layers that wait for a first picture: run it once with module(inputs).")
        raise CnnvizError(message.format(name=type(module).__name__))
    return module


def like(module: nn.Module) -> Tensor:
    """A tensor of the device and floating type that the module works on."""
    return next((tensor for tensor in _tensors(module) if tensor.is_floating_point()), torch.empty(0))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def as_pictures(inputs: Any, *, one: bool = False) -> Tensor:
    """`inputs`, if they are pictures [N, C, H, W] as a network wants them; with `one`, exactly one.

    Raises `WrongSetting` with the same sentence for whatever else was given to any technique.
    """
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not len(inputs) or (one and len(inputs) != 1):
        raise WrongSetting(_not_pictures(inputs, one))
    return inputs


def inputs_first(inputs: Any, layer: Any) -> tuple[Any, Any]:
    """`inputs` and the name of a layer (or several) in this order, also where they were given the other way round.

    Some functions took the layer first before all took (model, inputs, target or layer).
    """
    return (layer, inputs) if isinstance(layer, Tensor) and not isinstance(inputs, Tensor) else (inputs, layer)


def _not_pictures(inputs: Any, one: bool = False) -> str:
    wanted = _("one picture as a tensor [1, C, H, W]") if one else _("pictures as a tensor [N, C, H, W]")
    if not isinstance(inputs, Tensor):
        message = _("Give {wanted}, not a {kind}: network.preprocess(picture) makes one.")
        return message.format(wanted=wanted, kind=type(inputs).__name__)
    message = _("Give {wanted}, not one of shape {shape}.")
    if inputs.ndim == 3:
        message = _("Give {wanted}, not one of shape {shape}: inputs[None] puts the missing axis in front.")
    return message.format(wanted=wanted, shape=list(inputs.shape))


# Running ------------------------------------------------------------------------------------------------------------


def run(module: nn.Module, inputs: Tensor) -> Any:
    """`module(inputs)`, where whatever it raises becomes a `CnnvizError` of one sentence.

    It is a `WrongSetting` where the pictures are not of the kind that the module takes.
    """
    try:
        return module(inputs)
    except CnnvizError:
        raise
    except Exception as error:
        if mismatch := _mismatch(module, inputs, error):
            raise WrongSetting(mismatch) from error
        reason = " ".join(str(error).split())[:300].rstrip(".")
        message = _("{name} stopped on pictures of shape {shape}. {kind}: {reason}.")
        words = {"name": type(module).__name__, "shape": list(inputs.shape), "kind": type(error).__name__}
        raise CnnvizError(message.format(reason=reason or "–", **words)) from error


def _mismatch(module: nn.Module, inputs: Tensor, error: Exception) -> str:
    """The commonest mistakes in words; nothing for others."""
    text, own = str(error), like(module)
    if inputs.ndim == 3 and not isinstance(error, TypeError):
        return _not_pictures(inputs)
    if isinstance(error, TypeError):
        try:
            signature(module.forward).bind(inputs)
        except TypeError as wrong:
            message = _("{name} cannot run on a picture alone ({reason}): wrap it in a module that gives it the rest.")
            return message.format(name=type(module).__name__, reason=wrong)
    if own.numel() and (own.device, own.dtype) != (inputs.device, inputs.dtype):
        message = _(
            "The network works on {device} in {dtype}, but the picture is on {other_device} in {other_dtype}; "
            "move it with inputs.to(device, dtype), or let Network.preprocess do it."
        )
        names = {"device": own.device, "dtype": str(own.dtype).removeprefix("torch.")}
        others = {"other_device": inputs.device, "other_dtype": str(inputs.dtype).removeprefix("torch.")}
        return message.format(**names, **others)
    channels = re.search(r"to have (\d+) channels, but got (\d+) channels", text)
    if channels is None and "Invalid channel dimensions" in text:  # what `meta` says, without the numbers
        first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
        if first is not None and first.in_channels != inputs.shape[1]:
            channels = (text, first.in_channels, inputs.shape[1])
    if channels and int(channels[2]) == inputs.shape[1]:
        message = _(
            "The number of channels that the network takes is {wanted}, that of the picture {given}; "
            "Network(module, mean=…, std=…) makes pictures with a channel for each number in mean and std."
        )
        return message.format(wanted=channels[1], given=channels[2])
    if "kernel size can't be greater" in text.lower() or "output size is too small" in text.lower():
        height, width = inputs.shape[-2:]
        message = _("A picture of {height}×{width} is too small for this network: nothing is left of it.")
        return message.format(height=height, width=width)
    return ""


@contextmanager
def unobserved() -> Iterator[None]:
    """Inside the `with`, hooks of ours that were set outside of it pass over what this thread runs."""
    before = depth()
    try:
        _ASKING.depth = before + 1
        yield
    finally:
        _ASKING.depth = before


def depth() -> int:
    """How many times this thread is inside `unobserved`; a hook sees only what runs at its own depth."""
    return getattr(_ASKING, "depth", 0)
