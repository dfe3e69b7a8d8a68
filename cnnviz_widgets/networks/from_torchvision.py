"""Torchvision's classifiers by name, with torchvision's own weights and preprocessing."""

import re
import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import UnknownNetwork, WeightsUnavailable
from ..i18n import _
from ..seeds import Drawing
from . import weights as files
from .bundled import imagenet_classes
from .network import Network, nearest_names
from .weights import BUNDLED


@cache
def _torchvision_names() -> tuple[str, ...]:
    if find_spec("torchvision") is None:
        return ()
    from torchvision import models

    return tuple(models.list_models(module=models))


def load_torchvision(name: str, weights: str | None, seed: int) -> Network:
    """The network of this name with its `weights`, or untrained from `seed` where that is None."""
    chosen = torchvision_weights(name, "default" if weights is None else weights)
    if weights is None:
        with Drawing(seed):
            return described(name, _torchvision_module(name, chosen, init_weights=True), chosen)
    size = chosen.meta.get("_file_size", 0)
    file = files.cached_file(chosen.url)
    if file is None and (file := files.placed_by_hand(chosen.url)):
        message = _("The weights of {name} come from {file}, whose name has no hash to check them against.")
        warnings.warn(message.format(name=name, file=file), stacklevel=4)
    file = file or files.download(name, chosen.url, size, weights)
    if not files.is_intact(file):
        raise files.damaged(name, file, weights)
    module = torchvision_skeleton(name, chosen)
    kinds = {key: entry.dtype for key, entry in module.state_dict().items()}
    try:
        entries = _renamed(name, torch.load(file, map_location="cpu", weights_only=True))
        if any(entry.dtype != kinds.get(key, entry.dtype) for key, entry in entries.items()):
            raise TypeError("other types of numbers")
        module.load_state_dict(entries, assign=True)
    except Exception as error:  # torch.load raises nearly anything for a file with other bytes in it
        raise files.damaged(name, file, weights) from error
    return described(name, module, chosen)


def torchvision_skeleton(name: str, weights: Any) -> nn.Module:
    """The module that `weights` belong to, on torch's `meta` device."""
    with torch.device("meta"), _LiteralsInMemory():
        return _torchvision_module(name, weights, init_weights=False).to("meta")


class _LiteralsInMemory(TorchFunctionMode):
    """Under `torch.device("meta")`, real numbers in what is no weight: RegNet works its widths out with tensors."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = dict(options or {})
        if function in (torch.arange, torch.tensor):
            options.setdefault("device", "cpu")
        return function(*arguments, **options)


def _torchvision_module(name: str, weights: Any, init_weights: bool) -> nn.Module:
    """The module that `weights` belong to, without them."""
    from torchvision import models

    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # As with weights: these two scale their input themselves, and GoogLeNet is without its auxiliary classifiers.
        options = {"transform_input": True, "init_weights": init_weights, "aux_logits": name != "googlenet"}
    elif name.startswith("vit_"):
        options = {"image_size": weights.meta["min_size"][0]}
    elif name.startswith("maxvit"):
        options = {"input_size": weights.meta["min_size"]}
    return models.get_model(name, weights=None, **options)


def _renamed(name: str, entries: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a file under the names that the module has today."""
    if name == "googlenet":
        return {key: entry for key, entry in entries.items() if not key.startswith("aux")}
    if name.startswith("densenet"):
        return {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)", r"\1\2", key): e for key, e in entries.items()}
    return entries


def described(name: str, module: nn.Module, weights: Any) -> Network:
    """The network around `module`, with the labels and the preprocessing of torchvision's `weights`."""
    transform, categories = weights.transforms(), weights.meta["categories"]
    labels = imagenet_classes() if categories is None or len(categories) == 1000 else categories
    return Network(module.eval(), labels, transform.mean, transform.std, transform.crop_size[0], name)


def torchvision_weights(name: str, weights: str) -> Any:
    """Torchvision's entry for the `weights` ("default", or its own name for them) of the network `name`."""
    if name not in _torchvision_names():
        raise UnknownNetwork(_unknown_network(name))
    from torchvision import models

    choices = models.get_model_weights(name)
    if weights == "default":
        return choices.DEFAULT
    if weights not in choices.__members__:
        message = _('{name} has no weights "{weights}"; there are: {choices}.')
        choices = ", ".join(["default", *choices.__members__])
        raise WeightsUnavailable(message.format(name=name, weights=weights, choices=choices))
    return choices[weights]


def _unknown_network(name: str) -> str:
    near = nearest_names(name.casefold(), [BUNDLED, *_torchvision_names()])
    if near:
        return _('There is no network "{name}". Did you mean {near}?').format(name=name, near=", ".join(near))
    message = _('There is no network "{name}"; there is {bundled}, and those of torchvision, such as vgg16.')
    return message.format(name=name, bundled=BUNDLED)
