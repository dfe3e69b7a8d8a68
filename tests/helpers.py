"""What several tests use: proof that a model is as it was before."""

import hashlib

import torch
from torch import nn

HOOKS = [name for name in vars(nn.Module()) if name.endswith("_hooks")]


def fingerprint(model: nn.Module) -> dict:
    """Everything about `model` and torch's global state that a technique must leave alone; compare with ==."""
    return {
        "modes": {name: module.training for name, module in model.named_modules()},
        "hooks": {name: [list(getattr(module, kind)) for kind in HOOKS] for name, module in model.named_modules()},
        "attributes": {name: list(vars(module)) for name, module in model.named_modules()},
        "parameters": {name: _traits(value) for name, value in model.named_parameters()},
        "gradients": {
            name: None if value.grad is None else (id(value.grad), _digest(value.grad))
            for name, value in model.named_parameters()
        },
        "buffers": {name: _traits(value) for name, value in model.named_buffers()},
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "random numbers": _digest(torch.get_rng_state()),
    }


def _traits(value: torch.Tensor) -> tuple:
    return id(value), type(value), value.requires_grad, value.data_ptr(), value.stride(), _digest(value)


def _digest(value: torch.Tensor) -> str:
    return hashlib.sha256(value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()
