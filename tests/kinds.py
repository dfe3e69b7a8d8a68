"""Networks of every kind that readers bring, each beside a plain one that must give the same answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor, nn

from cnnviz_widgets import Network, images, record

SIZE = 16
CAT, COFFEE = (images.at_most(images.load(name), 32) for name in ("cat", "coffee"))  # small, since all is done often
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as pictures are made grey


class Small(nn.Module):
    """A convolution, its batch norm, a ReLU that works in place, dropout, pooling, and one linear layer."""

    def __init__(self, classes: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(96, classes)

    def features(self, pictures: Tensor) -> Tensor:
        return self.pool(self.drop(self.relu(self.norm(self.conv(pictures)))))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(pictures).flatten(1))


class ByView(Small):
    """Takes no other layout of memory than the one that it was made for."""

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(pictures).view(pictures.size(0), -1))


class InADictionary(Small):
    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        features = self.features(pictures)
        return {"features": features, "out": self.head(features.flatten(1))}


class WithALock(Small):
    """Holds what no copy can be made of."""

    def __init__(self, classes: int = 4, channels: int = 3) -> None:
        super().__init__(classes, channels)
        self.lock = threading.Lock()

    def forward(self, pictures: Tensor) -> Tensor:
        with self.lock:
            return super().forward(pictures)


def made(kind: type[Small] = Small, classes: int = 4, channels: int = 3) -> Small:
    """A module in eval mode, with the same weights whatever the kind; its scores are far from equal."""
    generator = torch.Generator().manual_seed(5)
    module = kind(classes, channels).eval()
    with torch.no_grad():
        for tensor in (*module.parameters(), module.norm.running_mean):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.5)
        module.norm.weight += 1
        module.norm.running_var += torch.rand(6, generator=generator)
        module.head.weight *= 2
    return module


@dataclass
class Kind:
    """One kind of network, and the plain one that tells what is right.

    `target` is a class of `network`, and `plain_target` the one of `plain` that says the same. `layout` is the layout
    of its pictures in memory, and `around` what a reader's own code is doing meanwhile: a `with` in which every call
    is made. Numbers agree to `tolerance` times the largest.
    """

    network: Network
    plain: Network
    target: int = 1
    plain_target: int = 1
    tolerance: float = 1e-5
    layout: torch.memory_format = torch.preserve_format
    around: Callable[["Kind"], object] = field(default=lambda _kind: nullcontext())

    def inputs(self, picture: images.ImageSource) -> Tensor:
        return self.network.preprocess(picture).contiguous(memory_format=self.layout)


def network(module: nn.Module, **more: object) -> Network:
    return Network(module, **{"labels": None, "size": SIZE, **more})


def of_type(dtype: torch.dtype, tolerance: float) -> Callable[..., Kind]:
    def build(classes: int, channels: int, **more: object) -> Kind:
        asked = network(made(classes=classes, channels=channels).to(dtype), **more)
        return Kind(asked, network(made(classes=classes, channels=channels), **more), tolerance=tolerance)

    return build


def alike(kind: type[Small] = Small, change: Callable[[nn.Module], nn.Module] = lambda module: module, **kept: object):
    """Networks of the same answers: a module of another class, or changed, or asked inside of something."""

    def build(classes: int, channels: int, **more: object) -> Kind:
        asked = network(change(made(kind, classes, channels)), **more)
        return Kind(asked, network(made(classes=classes, channels=channels), **more), **kept)

    return build


def in_a_dictionary(classes: int, channels: int, **more: object) -> Kind:
    asked = network(made(InADictionary, classes, channels), output=lambda found: found["out"], **more)
    return Kind(asked, network(made(classes=classes, channels=channels), **more))


def one_logit(_classes: int, channels: int, **more: object) -> Kind:
    """The sigmoid of one score is the softmax of two, of which one is always 0."""
    module = made(classes=1, channels=channels)
    asked = network(module, **more)
    return Kind(asked, network(against_zero(module, 0, channels), **more), target=0)


def independent(classes: int, channels: int, **more: object) -> Kind:
    """Of labels that do not exclude each other, each is a sigmoid by itself."""
    module = made(classes=classes, channels=channels)
    asked = network(module, output="sigmoid", **more)
    return Kind(asked, network(against_zero(module, 2, channels), **more), target=2)


def against_zero(module: Small, label: int, channels: int) -> Small:
    """A network of two classes, of which class 1 has the score that `module` gives to `label`, and class 0 always 0."""
    plain = made(classes=2, channels=channels)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    for name in ("head.weight", "head.bias"):
        weights[name] = torch.stack([torch.zeros_like(weights[name][label]), weights[name][label]])
    plain.load_state_dict(weights)
    return plain


def grey(classes: int, _channels: int, **more: object) -> Kind:
    """What a kernel answers to a grey picture, three kernels answer to its colours, each to its share of the light."""
    module, plain = made(classes=classes, channels=1), made(classes=classes)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    weights["conv.weight"] = weights["conv.weight"] * torch.tensor(LUMINANCE).view(1, 3, 1, 1)
    plain.load_state_dict(weights)
    asked = network(module, **{**more, "mean": (0.4,), "std": (0.25,)})
    return Kind(asked, network(plain, **{**more, "mean": (0.4,) * 3, "std": (0.25,) * 3}))


def in_training(module: nn.Module) -> nn.Module:
    return module.train()


def channels_last(module: nn.Module) -> nn.Module:
    return module.to(memory_format=torch.channels_last)


def hooked_by_others(module: nn.Module) -> nn.Module:
    """What a reader's own hook does belongs to the network: here it halves what twice the weights give."""
    with torch.no_grad():
        module.norm.weight *= 2
        module.norm.bias *= 2
    module.norm.register_forward_hook(lambda _part, _arguments, output: output / 2)
    return module


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")


def made_in_inference_mode(classes: int, channels: int, **more: object) -> Kind:
    """Weights that refuse autograd for good."""
    with torch.inference_mode():
        asked = network(made(classes=classes, channels=channels), **more)
    return Kind(asked, network(made(classes=classes, channels=channels), **more))


@contextmanager
def recorded(kind: Kind) -> Iterator[None]:
    """A reader's own recording is on: nothing of what a technique runs belongs into it."""
    with record(kind.network, ["conv", "head"]) as seen:
        yield seen


@contextmanager
def looked_at(kind: Kind) -> Iterator[None]:
    """Another thread looks at the same network all the time."""
    ended, failed = threading.Event(), []

    def look() -> None:
        while not ended.is_set():
            try:
                kind.network.probabilities(COFFEE)
            except Exception as error:
                failed.append(error)
                return
            ended.wait(0.001)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)
    assert not thread.is_alive()
    assert not failed


@contextmanager
def beside_a_thread(kind: Kind) -> Iterator[None]:
    """Another thread asks the same module all the time, and gets the same answers all the time."""
    module, inputs = kind.network.module, kind.inputs(COFFEE)
    with torch.no_grad():
        right, wrong, ended = module(inputs).clone(), [], threading.Event()

    def ask() -> None:
        with torch.no_grad():
            while not ended.is_set():
                wrong.extend([1] * (not torch.equal(module(inputs), right)))
                ended.wait(0.001)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)
    assert not thread.is_alive()
    assert not wrong


KINDS: dict[str, Callable[..., Kind]] = {
    "plain": alike(),
    "bfloat16": of_type(torch.bfloat16, 0.04),
    "float16": of_type(torch.float16, 0.01),
    "float64": of_type(torch.float64, 1e-5),
    "channels last": alike(change=channels_last, layout=torch.channels_last),
    "in inference mode": alike(around=lambda _kind: torch.inference_mode()),
    "made in inference mode": made_in_inference_mode,
    "inside record": alike(around=recorded),
    "beside another thread": alike(around=beside_a_thread),
    "in training": alike(change=in_training),
    "a dictionary": in_a_dictionary,
    "one logit": one_logit,
    "independent labels": independent,
    "grey": grey,
    "hooked by others": alike(change=hooked_by_others),
    "frozen": alike(change=lambda module: module.requires_grad_(False)),
    "by view": alike(ByView),
    "with a lock": alike(WithALock),
    "compiled": alike(change=compiled),
}


@cache
def runs_in(dtype: torch.dtype) -> bool:
    """Whether this machine's processor can run a network of this type at all."""
    try:
        with torch.no_grad():
            made().to(dtype)(torch.zeros(1, 3, SIZE, SIZE, dtype=dtype))
    except RuntimeError:
        return False
    return True
