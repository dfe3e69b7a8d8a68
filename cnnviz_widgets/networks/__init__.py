"""Networks by name, and the one object that knows how a network wants its pictures."""

from .network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Network,
    architecture,
    as_logits,
    as_module,
    available_networks,
    evaluating,
    fetch,
    imagenet_classes,
    load_network,
)
from .weights import BUNDLED, known_networks

__all__ = [
    "BUNDLED",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Network",
    "architecture",
    "as_logits",
    "as_module",
    "available_networks",
    "evaluating",
    "fetch",
    "imagenet_classes",
    "known_networks",
    "load_network",
]
