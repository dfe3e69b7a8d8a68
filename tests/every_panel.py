"""One of every panel, small and quick, for tests that all panels have to pass."""

from collections.abc import Callable

import numpy as np
import torch

from cnnviz_widgets import Network, explorers
from cnnviz_widgets.explorers import Explorer
from cnnviz_widgets.render.unit_card import PARTS
from tests.kinds import SIZE, made

KINDS_OF_PANEL = {"Explorer", "NetworkExplorer", "SlowExplorer"}


def tiny() -> Network:
    """A network in colour of four classes."""
    return Network(made(), ["tabby", "espresso", "<b>wall</b>", "7"], size=SIZE)


def of_digits() -> Network:
    """A network of ten digits."""
    return Network(made(classes=10, channels=1), mean=(0.0,), std=(1.0,), size=32)


def digits(count: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of noise as LeNet takes them, with labels 0 to 9."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, 1, 32, 32, generator=generator), torch.arange(count) % 10


def embedding() -> Explorer:
    draw = np.random.default_rng(3)
    pictures = draw.integers(0, 256, (16, 8, 8), dtype=np.uint8)
    codes = {"pixels": pictures.reshape(16, -1) / 255, "layer": draw.normal(size=(16, 5))}
    labels = np.arange(16) % 3
    values = draw.normal(size=16)
    return explorers.EmbeddingExplorer(codes, pictures, labels, values=values, perplexity=4, iterations=20)


def monitor(network: Network) -> Explorer:
    return explorers.TrainingMonitor(network, digits(), digits(10), epochs=2, batch_size=10)


# By the name of the class: makes it on a network, or does without one.
EVERY_PANEL: dict[str, Callable[[Network], Explorer]] = {
    "ActivationExplorer": lambda _network: explorers.ActivationExplorer(),
    "ClassifierExplorer": lambda network: explorers.ClassifierExplorer(network, top=3),
    "ConvolutionExplorer": lambda _network: explorers.ConvolutionExplorer(),
    "DigitPad": explorers.DigitPad,
    "EmbeddingExplorer": lambda _network: embedding(),
    "FeatureMapExplorer": explorers.FeatureMapExplorer,
    "FilterFormation": lambda _network: explorers.FilterFormation(count=16),
    "GradCamExplorer": explorers.GradCamExplorer,
    "LayerExplorer": explorers.LayerExplorer,
    "LeNetExplorer": lambda network: explorers.LeNetExplorer(network, digits()),
    "OcclusionExplorer": lambda network: explorers.OcclusionExplorer(network, window=8, stride=8),
    "PatchExplorer": lambda network: explorers.PatchExplorer(network, pictures=["cat", "coffee", "china"]),
    "PoolingExplorer": lambda _network: explorers.PoolingExplorer(),
    "SlidingWindowExplorer": lambda _network: explorers.SlidingWindowExplorer(),
    "TrainingMonitor": monitor,
    "UnitExplorer": lambda network: explorers.UnitExplorer(network, parts=PARTS[:3]),
}  # fmt: skip
DIGITS = ("DigitPad", "LeNetExplorer", "TrainingMonitor")


def network_for(name: str) -> Network:
    """A fresh network of the kind that this panel takes."""
    return of_digits() if name in DIGITS else tiny()


def fresh(name: str) -> Explorer:
    """This panel with settings that make it quick, on a network of its own."""
    return EVERY_PANEL[name](network_for(name))


def panel_classes() -> set[str]:
    """The names of all panels of the package."""
    found = {name for name in explorers.__all__ if isinstance(getattr(explorers, name), type)}
    return {name for name in found if issubclass(getattr(explorers, name), Explorer)} - KINDS_OF_PANEL
