"""A network as it was before it learned anything, to tell what training gave it from what its architecture gives."""

import copy

import torch
from torch import Tensor, nn

from ..errors import CnnvizError
from ..i18n import _
from . import Network, as_module, load_network


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
            built = copy.deepcopy(module)
        except Exception as error:
            message = _("There is no untrained network to compare with: this one cannot be copied. {reason}")
            raise CnnvizError(message.format(reason=error)) from error
        _draw_anew(built, seed)
    like = next(module.parameters(), torch.empty(0))
    return built.to(device=like.device, dtype=like.dtype).eval()


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
    generator, state = torch.Generator().manual_seed(seed), torch.random.get_rng_state()
    versions = {id(parameter): parameter._version for parameter in module.parameters()}
    torch.random.default_generator.manual_seed(seed)
    try:
        for part in module.modules():
            if callable(getattr(part, "reset_parameters", None)):
                part.reset_parameters()
    finally:
        torch.random.set_rng_state(state)
    for parameter in module.parameters():
        if parameter._version == versions[id(parameter)] and parameter.numel():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
