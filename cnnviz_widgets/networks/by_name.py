"""Networks by name: with weights, as an architecture without any, and fetching what is not here yet.

The bundled network needs no download: its weights come as a package. Those of torchvision are taken from torch's
cache (`TORCH_HOME`) or fetched once. Any other `nn.Module` is wrapped: `Network(module, labels=…, mean=…, std=…)`.
"""

from pathlib import Path

import torch

from ..errors import UnknownNetwork
from ..i18n import _
from . import weights as files
from .bundled import bundled_network, load_bundled
from .efficientnet_lite import EfficientNetLite0
from .from_timm import load_timm, timm_architecture
from .from_torchvision import described, load_torchvision, torchvision_skeleton, torchvision_weights
from .network import Network
from .weights import BUNDLED, known_networks


@torch.inference_mode(False)  # weights made under it would refuse gradients for good
def load_network(name: str = BUNDLED, weights: str | None = "default", *, seed: int = 0) -> Network:
    """A network by name, in eval mode.

    `efficientnet_lite0` is bundled. Torchvision's classifiers go by torchvision's names ("vgg16", "resnet50", …), and
    timm's, where timm is installed, by "timm/" before timm's name. `weights` is "default", the name of one of
    torchvision's sets of weights ("IMAGENET1K_V1"), or None for an untrained network, drawn from `seed`. Torch's global
    random numbers stay where they were.

    Raises `UnknownNetwork`, which names the nearest, or `WeightsUnavailable`, which says how to get the weights.
    """
    if not isinstance(name, str):
        message = _("A network is loaded by its name, not by a {kind}; Network(module) is made from a module.")
        raise UnknownNetwork(message.format(kind=type(name).__name__))
    if name == BUNDLED:
        return load_bundled(weights, seed)
    if name.startswith("timm/"):
        return load_timm(name, weights, seed)
    return load_torchvision(name, weights, seed)


@torch.inference_mode(False)
def architecture(name: str = BUNDLED) -> Network:
    """The network of this name without any numbers in it, on torch's `meta` device, in eval mode.

    It takes no memory and needs no weights, but has every layer, shape and parameter count: `layer_tree(network,
    torch.empty(1, 3, 224, 224, device="meta"))`. Raises `UnknownNetwork`, which names the nearest.
    """
    if name == BUNDLED:
        with torch.device("meta"):
            return bundled_network(EfficientNetLite0())
    if name.startswith("timm/"):
        return timm_architecture(name)
    chosen = torchvision_weights(name, "default")
    return described(name, torchvision_skeleton(name, chosen), chosen)


def fetch(name: str, weights: str = "default") -> Path | None:
    """See to it that the weights of `name` are on this machine and whole; their file, or None where timm keeps them.

    What is there is checked against the hash in its name and fetched anew where it is wrong. Downloads show a progress
    bar. Raises `UnknownNetwork` or `WeightsUnavailable`.
    """
    if name == BUNDLED:
        files.bundled_weights()
        return files.bundled_file()
    if name.startswith("timm/"):
        load_timm(name, weights, seed=0)
        return None
    chosen = torchvision_weights(name, weights)
    file = files.cached_file(chosen.url)
    if file and not files.is_intact(file) and not files.is_writable(file.parent):
        raise files.damaged(name, file, weights)
    if file is None or not files.is_intact(file):
        file = files.download(name, chosen.url, chosen.meta.get("_file_size", 0), weights)
    return file


def available_networks() -> tuple[str, ...]:
    """The names of the networks that load right now without any download; the bundled one comes first."""
    return tuple(network.name for network in known_networks() if network.where != "download")
