"""Networks of timm by name, where timm is installed."""

import difflib
import urllib.request
from importlib.util import find_spec

import torch
from torch import nn

from ..errors import UnknownNetwork, WeightsUnavailable
from ..i18n import _
from ..seeds import Drawing
from . import weights as files
from .bundled import imagenet_classes
from .network import Network

_CONNECT_SECONDS = 5


def load_timm(name: str, weights: str | None, seed: int) -> Network:
    """The network of this name ("timm/…") with its weights, or untrained from `seed` where `weights` is None."""
    plain = _timm_name(name)
    if weights not in ("default", None):
        message = _('timm has its sets of weights as parts of names, such as "timm/resnet18.a1_in1k", not "{weights}".')
        raise WeightsUnavailable(message.format(weights=weights))
    import timm

    overlay = {} if weights is None else _timm_weights(name, timm.get_pretrained_cfg(plain).hf_hub_id)
    with Drawing(seed):
        try:
            module = timm.create_model(plain, pretrained=weights is not None, pretrained_cfg_overlay=overlay)
        except Exception as error:  # its hub client raises errors of several libraries
            if weights is None:
                raise
            if "file" in overlay:
                message = _(
                    "The weights file {file} is damaged or not that of {name}, so nothing of it was loaded; delete it, "
                    "and fetch it again with: {command}"
                )
                remedy = files.command(name)
                raise WeightsUnavailable(message.format(file=overlay["file"], name=name, command=remedy)) from error
            raise _timm_unavailable(name, error) from error
    return _timm_network(name, module)


def timm_architecture(name: str) -> Network:
    """The network of this name ("timm/…") on torch's `meta` device."""
    plain = _timm_name(name)
    import timm

    try:
        with torch.device("meta"):
            module = timm.create_model(plain)
    except (RuntimeError, NotImplementedError):  # a few read numbers while they are made
        with Drawing(0):
            module = timm.create_model(plain).to("meta")
    return _timm_network(name, module)


def _timm_name(name: str) -> str:
    """The name without "timm/". Raises `UnknownNetwork` where timm is missing or does not know it."""
    if find_spec("timm") is None:
        message = _('"{name}" needs timm, which is not installed: python -m pip install timm')
        raise UnknownNetwork(message.format(name=name))
    import timm

    plain = name.removeprefix("timm/")
    if not timm.is_model(plain):
        near = difflib.get_close_matches(plain, timm.list_models(), n=4)
        message = _('timm has no network "{name}". Did you mean {near}?')
        raise UnknownNetwork(message.format(name=plain, near=", ".join(near) or "resnet18"))
    return plain


def _timm_network(name: str, module: nn.Module) -> Network:
    import timm

    config = timm.data.resolve_model_data_config(module)
    labels = imagenet_classes() if module.num_classes == 1000 else None
    return Network(module.eval(), labels, config["mean"], config["std"], config["input_size"][-1], name)


def _timm_weights(name: str, repository: str | None) -> dict[str, str]:
    """Where timm finds its weights: the file in the hub's cache, or nothing where it may download them itself.

    Asked first whether its hub can be reached, because its client tries again for most of a minute.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    for file in ("model.safetensors", "pytorch_model.bin") if repository else ():
        cached = try_to_load_from_cache(repository, file)
        if isinstance(cached, str):
            return {"file": cached}
    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=_CONNECT_SECONDS):
            return {}
    except OSError as error:
        raise _timm_unavailable(name, error) from error


def _timm_unavailable(name: str, error: Exception) -> WeightsUnavailable:
    module = timm_architecture(name).module
    megabytes = sum(tensor.nbytes for tensor in module.state_dict().values()) / 2**20
    return files.unavailable(name, module.pretrained_cfg.get("hf_hub_id") or "timm", megabytes, error, home="HF_HOME")
