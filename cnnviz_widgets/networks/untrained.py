"""A network as it was before it learned anything, to tell what training gave it from what its architecture gives."""

import copy

import torch
from torch import Tensor, nn

from ..errors import CnnvizError
from ..i18n import _
from ..seeds import Drawing
from .asking import as_module, like
from .by_name import load_network
from .copying import without_our_hooks
from .network import Network


@torch.inference_mode(False)  # weights made under it would refuse gradients for good
def untrained(model: Network | nn.Module, seed: int = 0) -> nn.Module:
    """A module of the architecture of `model`, in eval mode, with weights drawn at random from `seed`.

    A network by name is built anew. Of any other module it is a copy, in which every part that has
    `reset_parameters()` draws its own beginning, as PyTorch's layers do; parameters that no part knows how to draw are
    shuffled, which keeps their values and loses what they mean. Neither `model` nor torch's random numbers change.

    Raises `CnnvizError` for a module that cannot be copied.
    """
    module = as_module(model)
    built = _by_name(model, seed) if isinstance(model, Network) else None
    if built is None:
        try:
            built = without_our_hooks(copy.deepcopy(module))
        except Exception as error:
            message = _("There is no untrained network to compare with: this one cannot be copied. {reason}")
            raise CnnvizError(message.format(reason=error)) from error
        _draw_anew(built, seed)
    return built.to(device=like(module).device, dtype=like(module).dtype).eval()


def _by_name(network: Network, seed: int) -> nn.Module | None:
    """The untrained network of this name, unless the name is one that the reader gave to something else."""
    try:
        built = load_network(network.name, weights=None, seed=seed).module
    except CnnvizError:
        return None
    return built if _shapes(built) == _shapes(network.module) else None


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: entry.shape for name, entry in module.state_dict().items() if isinstance(entry, Tensor)}


@torch.no_grad()
def _draw_anew(module: nn.Module, seed: int) -> None:
    generator = Drawing(seed).generator()
    versions = {id(parameter): parameter._version for parameter in module.parameters()}
    with Drawing(seed):
        for part in module.modules():
            if callable(getattr(part, "reset_parameters", None)):
                part.reset_parameters()
    for parameter in module.parameters():
        if parameter._version == versions[id(parameter)] and parameter.numel():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
