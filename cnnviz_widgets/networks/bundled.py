"""The network that comes with the course: EfficientNet-Lite0 with its ImageNet weights, without any download."""

from functools import cache
from pathlib import Path

import torch
from torch import nn

from ..errors import WeightsUnavailable
from ..i18n import _
from ..seeds import Drawing
from . import weights as files
from .efficientnet_lite import EfficientNetLite0
from .network import Network
from .weights import BUNDLED

_DATA = Path(__file__).parent / "data"


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1,000 ImageNet classes, each one different, in the order that networks use."""
    return tuple((_DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines())


def load_bundled(weights: str | None, seed: int) -> Network:
    """The bundled network with its `weights` ("default"), or untrained from `seed` (None)."""
    if weights is None:
        with Drawing(seed):
            return bundled_network(EfficientNetLite0())
    if weights != "default":
        raise WeightsUnavailable(_('{name} has one set of weights, "default".').format(name=BUNDLED))
    entries = files.bundled_weights()
    with torch.device("meta"):
        module = EfficientNetLite0()
    module.load_state_dict(entries, assign=True)
    return bundled_network(module)


def bundled_network(module: nn.Module) -> Network:
    """The network around a module of its architecture."""
    # The network was trained on pixels scaled as (pixel - 127) / 128.
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return Network(module.eval(), imagenet_classes(), mean, std, size=224, name=BUNDLED)
