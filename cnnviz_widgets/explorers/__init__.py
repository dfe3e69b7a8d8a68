"""One panel per technique: controls, computation and view."""

from .base import Explorer
from .classifier import ClassifierExplorer
from .convolution import ConvolutionExplorer
from .layer_sheet import LayerSheet, layer_sheet
from .occlusion import OcclusionExplorer
from .sliding_window import SlidingWindowExplorer

__all__ = [
    "ClassifierExplorer",
    "ConvolutionExplorer",
    "Explorer",
    "LayerSheet",
    "OcclusionExplorer",
    "SlidingWindowExplorer",
    "layer_sheet",
]
