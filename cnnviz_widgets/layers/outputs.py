"""What layers put out for pictures, in one call: a private copy of the network runs, and the layers are recorded."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ..errors import CnnvizError
from ..i18n import _
from ..networks import Asked, Network
from .hooks import Recording, record
from .tree import LAST_TWO, channels_first


def layer_outputs(model: Network | nn.Module, inputs: Tensor, names: str | Sequence[str]) -> Recording:
    """What the named layers put out for `inputs` [N, C, H, W], as `record` keeps it, in eval mode without gradients.

    Raises `UnknownLayer`, which names the nearest, and `CnnvizError` where the network cannot run on the pictures.
    """
    ask = Asked(model)
    inputs = ask.prepared(inputs)
    with ask.awake(), record(ask.module, names) as seen:
        ask.output(inputs)
    return seen


def outputs_of_one(
    model: Network | nn.Module,
    inputs: Tensor,
    names: Sequence[str],
    axes: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, Tensor]:
    """What the named layers put out for one picture [1, C, H, W]: float32 on the CPU, without the batch.

    Maps are [C, h, w] and numbers [C]. `axes` are rows and columns in what a layer puts out, as `layer_tree` tells
    them; channels come first in any case. A layer that runs several times has one entry for each call: "relu (1)",
    "relu (2)", … Raises `CnnvizError` for a layer that puts out something else.
    """
    seen = layer_outputs(model, inputs, names)
    outputs = {}
    for name in names:
        calls = seen.calls.get(name, [])
        for number, output in enumerate(calls, 1):
            if output.ndim not in (2, 4) or len(output) != 1:
                message = _('"{name}" puts out a tensor of shape {shape}, which has no maps to show.')
                raise CnnvizError(message.format(name=name, shape=list(output.shape)))
            key = name if len(calls) == 1 else f"{name} ({number})"
            values = channels_first(output, (axes or {}).get(name, LAST_TWO))[0].float().cpu()
            outputs[key] = values.flatten() if values[0].numel() == 1 else values
    return outputs
