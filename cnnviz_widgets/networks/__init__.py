"""Networks by name, the one object that knows how a network wants its pictures, and the one way to ask it."""

from .asking import Asked, as_module, as_pictures, inputs_first, like, run
from .bundled import imagenet_classes
from .by_name import architecture, available_networks, fetch, load_network
from .modes import evaluating, lock_of
from .network import IMAGENET_MEAN, IMAGENET_STD, Network
from .output import SIGMOID, SOFTMAX, as_logits
from .weights import BUNDLED, known_networks

__all__ = [
    "BUNDLED",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "SIGMOID",
    "SOFTMAX",
    "Asked",
    "Network",
    "architecture",
    "as_logits",
    "as_module",
    "as_pictures",
    "available_networks",
    "evaluating",
    "fetch",
    "imagenet_classes",
    "inputs_first",
    "known_networks",
    "like",
    "load_network",
    "lock_of",
    "run",
]
