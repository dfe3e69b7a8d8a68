"""What training a network takes: parameters, their gradients, the optimiser's state, and the maps kept until backward.

The maps are not estimated: a forward pass on torch's `meta` device, which has shapes and no numbers, lists the tensors
that autograd would keep. So the largest network is weighed in a second and without memory.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map_only

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..networks import Network, as_module, as_pictures, like, run
from ..networks.copying import without_our_hooks
from ..settings import one_of

OPTIMISERS = {"sgd": _("plain SGD"), "sgd_momentum": _("SGD with momentum"), "adam": _("Adam")}
_NUMBERS_PER_WEIGHT = {"sgd": 0, "sgd_momentum": 1, "adam": 2}  # a velocity; means of gradient and of its square


@dataclass(frozen=True)
class TrainingMemory:
    """What one training step holds in memory, each part in bytes.

    `parameters` has the running statistics of normalisation layers in it. `activations` are the tensors that autograd
    keeps from the forward pass until the backward pass needs them, the pictures included where they are needed.
    """

    parameters: int
    gradients: int
    optimiser: int
    activations: int

    @property
    def fixed(self) -> int:
        """What does not depend on how many pictures are in a batch."""
        return self.parameters + self.gradients + self.optimiser

    @property
    def total(self) -> int:
        """All of it; a lower bound, since libraries take working space of their own."""
        return self.fixed + self.activations


def training_memory(model: Network | nn.Module, inputs: Tensor, optimiser: str = "sgd_momentum") -> TrainingMemory:
    """What one training step of `model` on a batch `inputs` [N, C, H, W] holds in memory.

    `optimiser` is one of `OPTIMISERS`. Frozen parameters (`requires_grad=False`) have neither gradient nor state, and
    autograd keeps less for them. The `meta` device will do for the model, the inputs or both; the model is not changed.

    Raises `WrongSetting` for an unknown optimiser or pictures that the model does not take, and `CnnvizError` when it
    cannot run on the `meta` device.
    """
    one_of(_("optimiser"), optimiser, OPTIMISERS)
    module = as_module(model)
    own = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    trained = sum(parameter.nbytes for parameter in module.parameters() if parameter.requires_grad)
    return TrainingMemory(own, trained, _NUMBERS_PER_WEIGHT[optimiser] * trained, kept_for_backward(module, inputs))


def kept_for_backward(model: Network | nn.Module, inputs: Tensor) -> int:
    """The bytes that autograd keeps from a forward pass in training mode on `inputs` [N, C, H, W], parameters aside.

    Two layers that need the same tensor share it. Raises `CnnvizError` when the model cannot run on `meta`.
    """
    if not isinstance(inputs, Tensor):
        as_pictures(inputs)
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[_storage(tensor)] = tensor
        return tensor

    try:
        module = as_module(model)
        kind = like(module).dtype if like(module).numel() else inputs.dtype
        module = _on_meta(module).train()
        own = {_storage(tensor) for tensor in (*module.parameters(), *module.buffers())}
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            _NumbersLeftOut(),
        ):
            outputs = run(module, torch.empty(inputs.shape, dtype=kind, device="meta"))  # alive until all is counted
    except WrongSetting:  # what is wrong with the pictures is said as everywhere
        raise
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        message = _("What training keeps cannot be counted: the model does not run without numbers. {reason}")
        raise CnnvizError(message.format(reason=reason)) from error
    bytes_kept = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)
    del outputs
    return bytes_kept


class _NumbersLeftOut(TorchDispatchMode):
    """Inside the `with`, tensors with numbers (plain attributes of a module) go together with those without any."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run the operation on the `meta` device where any of its tensors is there."""
        both = (arguments, options or {})
        if tree_any(lambda one: isinstance(one, Tensor) and one.is_meta, both):
            both = tree_map_only(Tensor, lambda one: one if one.is_meta else one.to("meta"), both)
        return function(*both[0], **both[1])


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@torch.inference_mode(False)
def _on_meta(module: nn.Module) -> nn.Module:
    """A copy of `module` on the `meta` device, made without copying a number."""
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    try:
        return without_our_hooks(copy.deepcopy(module, memo))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        message = _("What training keeps cannot be counted: the model cannot be copied. {reason}")
        raise WrongSetting(message.format(reason=reason)) from error
