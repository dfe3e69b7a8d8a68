"""What a network costs: multiply-adds of convolutions and matrix products, wherever they are called from."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


class MultiplyAdds(TorchDispatchMode):
    """Counts the multiply-adds of convolutions and matrix products, wherever they are called from."""

    total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would else import its compiler, a second and 160 MB, to keep it away from this mode."""
        return False

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run the operation and add what it costs; torch's formulas count a multiply-add as two."""
        options = options or {}
        results = function(*arguments, **options)
        formula = flop_registry.get(function.overloadpacket) or _FLOPS.get(function.overloadpacket)
        if formula:
            self.total += formula(*arguments, **options, out_val=results) // 2
        return results


def _self_attention_flops(tokens: Tensor, _key, _value, size: int, *_others: Any, **_options: Any) -> int:
    """Four products of the tokens [N, L, size] with matrices, and two of each token with all of its picture."""
    return 2 * tokens.shape[0] * tokens.shape[1] * (4 * size * size + 2 * tokens.shape[1] * size)


def _recurrent_flops(inputs: Tensor, weights: Tensor, again: Tensor, *_others: Any, **_options: Any) -> int:
    return 2 * inputs.shape[0] * inputs.shape[1] * (weights.numel() + again.numel())


# What torch computes in one operation on the CPU, and its own table of formulas lacks.
_FLOPS = {
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._native_multi_head_attention: _self_attention_flops,
    aten.mkldnn_rnn_layer: _recurrent_flops,
}
