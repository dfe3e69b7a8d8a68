"""Networks by name, and the one object that knows how a network wants its pictures.

The bundled network needs no download: its weights come as a package. Those of torchvision are taken from torch's
cache (`TORCH_HOME`) or fetched once. Any other `nn.Module` is wrapped: `Network(module, labels=…, mean=…, std=…)`.
"""

import difflib
import operator
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin
from torch.overrides import TorchFunctionMode

from .. import images
from ..errors import CnnvizError, ImageError, UnknownClass, UnknownNetwork, WeightsUnavailable
from ..i18n import _
from . import weights as files
from .efficientnet_lite import EfficientNetLite0
from .weights import BUNDLED, known_networks

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_DATA = Path(__file__).parent / "data"
_CONNECT_SECONDS = 5


class Network:
    """An image classifier together with how it wants its pictures and what it calls its classes.

    `module` is any `nn.Module` that maps [N, C, H, W] to logits [N, classes]; C is the length of `mean` and `std`
    (3 for colour, 1 for grey), which are in pixel units of 0 to 1. `labels` are the names of the classes; without them
    they are "class 0", "class 1", … `size` is the side of the square that the network sees. A module that ends in a
    softmax may be given as well; the logarithms of its probabilities serve as its logits.

    The module is used as it is and stays as it was: its device, its parameters, their gradients, and the mode of each
    part. Methods that run it do so in eval mode, without gradients, and restore every part's mode.
    """

    def __init__(
        self,
        module: nn.Module,
        labels: Sequence[str] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size: int = 224,
        name: str | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            kind = type(module).__name__
            raise CnnvizError(_("A network is made from a torch.nn.Module, not from a {kind}.").format(kind=kind))
        self.module = as_module(module)
        self.name = name or type(module).__name__
        try:
            self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        except (TypeError, ValueError):
            self.mean = self.std = ()
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3) or not all(one > 0 for one in self.std):
            raise CnnvizError(_("mean and std need one number for each channel, 3 or 1, and std must be above 0."))
        if not all(abs(one) <= 1 for one in self.mean):
            raise CnnvizError(_("mean and std are in pixel units of 0 to 1: divide those for 0 to 255 by 255."))
        self.size = _whole(_("size of the picture that a network sees"), size)
        self._labels = None if labels is None else _unique(labels)

    def __repr__(self) -> str:
        return f"Network({self.name}, {self.size}×{self.size})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, each one different; "class 0", "class 1", … where none were given."""
        if self._labels is None:
            count = self._scores(np.zeros((self.size, self.size, 3), np.uint8)).shape[0]
            self._labels = tuple(_("class {index}").format(index=index) for index in range(count))
        return self._labels

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """What black and white become for the network: two tensors [1, C, 1, 1]."""
        black = torch.zeros(1, len(self.mean), 1, 1, device=self._like.device, dtype=self._like.dtype)
        return self.normalise(black), self.normalise(black + 1)

    def view(self, image: images.ImageSource) -> np.ndarray:
        """The picture as the network sees it: uint8 [size, size, 3].

        The largest centred square, resized. Nothing further is cut off, as is customary when accuracy is measured, so
        that a panel can show the whole of what the network sees, and it recognises our pictures as well.
        """
        return images.fit(_picture(image), (self.size, self.size))

    def preprocess(self, image: images.ImageSource) -> Tensor:
        """`view(image)` as the normalised tensor [1, C, size, size], on the network's device and of its type."""
        view = self.view(image)
        pixels = images.to_tensor(view) if len(self.mean) == 3 else torch.from_numpy(images.greyscale(view))[None, None]
        return self.normalise(pixels.to(self._like.device)).to(self._like.dtype)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels [N, C, H, W] in 0..1 on the network's scale: (pixels - mean) / std."""
        mean, std = self._scale(pixels)
        return (pixels - mean) / std

    def denormalise(self, inputs: Tensor) -> Tensor:
        """The inverse of `normalise`: pixels in 0..1 from what the network is fed."""
        mean, std = self._scale(inputs)
        return inputs * std + mean

    def logits(self, image: images.ImageSource) -> Tensor:
        """The network's scores of a picture before softmax: float32 [classes], on the CPU."""
        logits = self._scores(image)
        if logits.is_meta:
            message = _("{name} is an architecture without weights; load_network makes one that can look at pictures.")
            raise CnnvizError(message.format(name=self.name))
        logits = logits.float().cpu()
        if len(self.labels) != len(logits):
            message = _("{name} puts out {count} scores, but {labels} labels were given.")
            raise CnnvizError(message.format(name=self.name, count=len(logits), labels=len(self.labels)))
        if logits.softmax(0).isnan().any():
            raise CnnvizError(_("{name} puts out scores that are not numbers (nan or inf).").format(name=self.name))
        return logits

    def predict(self, image: images.ImageSource, top: int = 5) -> list[tuple[str, float]]:
        """The `top` most probable classes of a picture as (label, probability), the most probable first."""
        top = _whole("top", top)
        best = self.logits(image).softmax(0).sort(descending=True)
        pairs = zip(best.values[:top].tolist(), best.indices[:top].tolist(), strict=True)
        return [(self.labels[index], probability) for probability, index in pairs]

    def class_index(self, label_or_index: str | int) -> int:
        """The number of a class, from its label (in any case) or from the number itself.

        Raises `UnknownClass`, which names the nearest labels.
        """
        if isinstance(label_or_index, str):
            return self._label_index(label_or_index)
        try:
            index = operator.index(label_or_index)
        except TypeError:
            kind = type(label_or_index).__name__
            raise UnknownClass(
                _("A class is given by its label or number, not by a {kind}.").format(kind=kind)
            ) from None
        if not 0 <= index < len(self.labels):
            message = _("There is no class {index}; {name} numbers its classes from 0 to {last}.")
            raise UnknownClass(message.format(index=index, name=self.name, last=len(self.labels) - 1))
        return index

    def _label_index(self, label: str) -> int:
        if label in self.labels:
            return self.labels.index(label)
        wanted = label.strip().casefold()
        same = [index for index, known in enumerate(self.labels) if known.casefold() == wanted]
        if len(same) == 1:
            return same[0]
        near = _nearest(wanted, self.labels)
        hint = _("Did you mean {near}?").format(near=", ".join(near)) if near else _("See labels for its classes.")
        message = _('{name} has no class "{label}". {hint}')
        raise UnknownClass(message.format(name=self.name, label=label, hint=hint))

    def _scores(self, image: images.ImageSource) -> Tensor:
        inputs = self.preprocess(image)
        with evaluating(self.module), torch.no_grad():
            outputs = self.module(inputs)
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[0] != 1:
            what = f"{list(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            message = _("{name} must put out a tensor of scores [N, classes]; for one picture it put out {what}.")
            raise CnnvizError(message.format(name=self.name, what=what))
        return as_logits(outputs)[0]

    def _scale(self, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, device=like.device, dtype=like.dtype) for values in (self.mean, self.std))
        return mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)

    @property
    def _like(self) -> Tensor:
        """A tensor of the device and floating type that the module works on."""
        own = (*self.module.parameters(), *self.module.buffers())
        return next((tensor for tensor in own if tensor.is_floating_point()), torch.empty(0))


def as_module(model: Network | nn.Module) -> nn.Module:
    """The `nn.Module` of a `Network`, or the module itself. Raises `CnnvizError` for anything else."""
    module = model.module if isinstance(model, Network) else model
    if not isinstance(module, nn.Module):
        kind = type(model).__name__
        raise CnnvizError(_("A model is a Network or a torch.nn.Module, not a {kind}.").format(kind=kind))
    if any(isinstance(parameter, UninitializedTensorMixin) for parameter in module.parameters()):
        message = _("{name} has lazy layers that wait for a first picture: run it once with module(inputs).")
        raise CnnvizError(message.format(name=type(module).__name__))
    return module


def as_logits(scores: Tensor) -> Tensor:
    """Scores [N, classes] before softmax: as they are, or the logarithms of what are probabilities already."""
    if scores.is_meta or not scores.is_floating_point() or scores.shape[1] < 2 or scores.min() < 0:
        return scores
    total, rounding = scores.sum(1), 1e-3 if scores.dtype.itemsize > 2 else 1e-2
    if not torch.allclose(total, torch.ones_like(total), rtol=0, atol=rounding):
        return scores
    return scores.clamp_min(torch.finfo(scores.dtype).tiny).log()


_EVALUATING: WeakKeyDictionary[nn.Module, list] = WeakKeyDictionary()
_EVALUATING_LOCK = threading.Lock()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Eval mode inside the `with`; afterwards each submodule is in the mode it was in. Gradients are not touched.

    Several threads may be inside at once (a cell and a panel using one network): the mode returns with the last.
    """
    parts = list(module.modules())
    with _EVALUATING_LOCK:
        for part in parts:  # all modes first: torch.compile's wrapper has that of the module inside it
            _EVALUATING.setdefault(part, [0, part.training])[0] += 1
        for part in parts:
            part.training = False
    try:
        yield module
    finally:
        with _EVALUATING_LOCK:
            for part in parts:
                entry = _EVALUATING[part]
                entry[0] -= 1
                if entry[0] == 0:
                    part.training = entry[1]
                    del _EVALUATING[part]


def _picture(image: images.ImageSource) -> np.ndarray:
    if isinstance(image, Tensor):
        raise ImageError(_("A tensor was given where a picture is expected; call network.module(tensor) instead."))
    return images.load(image)


def _whole(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise CnnvizError(
            _("The {name} must be a whole number of at least 1, not {value!r}.").format(name=name, value=value)
        )
    return number


def _unique(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, each in one line, as a tuple in which none occurs twice: repeated ones carry their number."""
    if isinstance(labels, Mapping) or not isinstance(labels, Iterable):
        kind = type(labels).__name__
        raise CnnvizError(
            _("The labels are a list of names, in the order of the classes, not a {kind}.").format(kind=kind)
        )
    names = [" ".join(str(label).split()) for label in labels]  # lines of a file end in "\n"
    counts = Counter(names)
    return tuple(name if counts[name] == 1 else f"{name} ({index})" for index, name in enumerate(names))


def _nearest(wanted: str, names: Sequence[str], count: int = 4) -> list[str]:
    """The names that contain `wanted` as a word, then those spelt most like it."""
    word = re.compile(rf"\b{re.escape(wanted)}\b", re.IGNORECASE)
    containing = sorted((name for name in names if wanted and word.search(name)), key=len)
    folded = {name.casefold(): name for name in names}
    alike = [folded[match] for match in difflib.get_close_matches(wanted, folded, n=count, cutoff=0.6)]
    return list(dict.fromkeys([*containing, *alike]))[:count]


# By name ------------------------------------------------------------------------------------------------------------


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
        return _load_bundled(weights, seed)
    if name.startswith("timm/"):
        return _load_timm(name, weights, seed)
    return _load_torchvision(name, weights, seed)


def architecture(name: str = BUNDLED) -> Network:
    """The network of this name without any numbers in it, on torch's `meta` device, in eval mode.

    It takes no memory and needs no weights, but has every layer, shape and parameter count: `layer_tree(network,
    torch.empty(1, 3, 224, 224, device="meta"))`. Raises `UnknownNetwork`, which names the nearest.
    """
    if name == BUNDLED:
        with torch.device("meta"):
            return _bundled_network(EfficientNetLite0())
    if name.startswith("timm/"):
        return _timm_architecture(name)
    chosen = _torchvision_weights(name, "default")
    return _described(name, _torchvision_skeleton(name, chosen), chosen)


def fetch(name: str, weights: str = "default") -> Path | None:
    """See to it that the weights of `name` are on this machine and whole; their file, or None where timm keeps them.

    What is there is checked against the hash in its name and fetched anew where it is wrong. Downloads show a progress
    bar. Raises `UnknownNetwork` or `WeightsUnavailable`.
    """
    if name == BUNDLED:
        files.bundled_weights()
        return files.bundled_file()
    if name.startswith("timm/"):
        _load_timm(name, weights, seed=0)
        return None
    chosen = _torchvision_weights(name, weights)
    file = files.cached_file(chosen.url)
    if file and not files.is_intact(file) and not files.is_writable(file.parent):
        raise files.damaged(name, file, weights)
    if file is None or not files.is_intact(file):
        file = files.download(name, chosen.url, chosen.meta.get("_file_size", 0), weights)
    return file


def available_networks() -> tuple[str, ...]:
    """The names of the networks that load right now without any download; the bundled one comes first."""
    return tuple(network.name for network in known_networks() if network.where != "download")


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1,000 ImageNet classes, each one different, in the order that networks use."""
    return tuple((_DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside the `with` and leave torch's random numbers as they were."""
    state = torch.random.get_rng_state()
    torch.random.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


def _load_bundled(weights: str | None, seed: int) -> Network:
    if weights is None:
        with _seeded(seed):
            return _bundled_network(EfficientNetLite0())
    if weights != "default":
        raise WeightsUnavailable(_('{name} has one set of weights, "default".').format(name=BUNDLED))
    entries = files.bundled_weights()
    with torch.device("meta"):
        module = EfficientNetLite0()
    module.load_state_dict(entries, assign=True)
    return _bundled_network(module)


def _bundled_network(module: nn.Module) -> Network:
    # The network was trained on pixels scaled as (pixel - 127) / 128.
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return Network(module.eval(), imagenet_classes(), mean, std, size=224, name=BUNDLED)


# Torchvision --------------------------------------------------------------------------------------------------------


@cache
def _torchvision_names() -> tuple[str, ...]:
    if find_spec("torchvision") is None:
        return ()
    from torchvision import models

    return tuple(models.list_models(module=models))


def _load_torchvision(name: str, weights: str | None, seed: int) -> Network:
    chosen = _torchvision_weights(name, "default" if weights is None else weights)
    if weights is None:
        with _seeded(seed):
            return _described(name, _torchvision_module(name, chosen, init_weights=True), chosen)
    size = chosen.meta.get("_file_size", 0)
    file = files.cached_file(chosen.url) or files.download(name, chosen.url, size, weights)
    module = _torchvision_skeleton(name, chosen)
    kinds = {key: entry.dtype for key, entry in module.state_dict().items()}
    try:
        entries = _renamed(name, torch.load(file, map_location="cpu", weights_only=True))
        if any(entry.dtype != kinds.get(key, entry.dtype) for key, entry in entries.items()):
            raise TypeError("other types of numbers")
        module.load_state_dict(entries, assign=True)
    except Exception as error:  # torch.load raises nearly anything for a file with other bytes in it
        raise files.damaged(name, file, weights) from error
    return _described(name, module, chosen)


def _torchvision_skeleton(name: str, weights: Any) -> nn.Module:
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


def _described(name: str, module: nn.Module, weights: Any) -> Network:
    """The network around `module`, with the labels and the preprocessing of torchvision's `weights`."""
    transform, categories = weights.transforms(), weights.meta["categories"]
    labels = imagenet_classes() if categories is None or len(categories) == 1000 else categories
    return Network(module.eval(), labels, transform.mean, transform.std, transform.crop_size[0], name)


def _torchvision_weights(name: str, weights: str) -> Any:
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
    near = _nearest(name.casefold(), [BUNDLED, *_torchvision_names()])
    if near:
        return _('There is no network "{name}". Did you mean {near}?').format(name=name, near=", ".join(near))
    message = _('There is no network "{name}"; there is {bundled}, and those of torchvision, such as vgg16.')
    return message.format(name=name, bundled=BUNDLED)


# timm ---------------------------------------------------------------------------------------------------------------


def _load_timm(name: str, weights: str | None, seed: int) -> Network:
    plain = _timm_name(name)
    if weights not in ("default", None):
        message = _('timm has its sets of weights as parts of names, such as "timm/resnet18.a1_in1k", not "{weights}".')
        raise WeightsUnavailable(message.format(weights=weights))
    import timm

    overlay = {} if weights is None else _timm_weights(name, timm.get_pretrained_cfg(plain).hf_hub_id)
    with _seeded(seed):
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


def _timm_architecture(name: str) -> Network:
    plain = _timm_name(name)
    import timm

    try:
        with torch.device("meta"):
            module = timm.create_model(plain)
    except (RuntimeError, NotImplementedError):  # a few read numbers while they are made
        with _seeded(0):
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
    module = _timm_architecture(name).module
    megabytes = sum(tensor.nbytes for tensor in module.state_dict().values()) / 2**20
    return files.unavailable(name, module.pretrained_cfg.get("hf_hub_id") or "timm", megabytes, error, home="HF_HOME")
