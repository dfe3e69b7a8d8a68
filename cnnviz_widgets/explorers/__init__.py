"""One panel per technique: controls, computation and view."""

from .base import Explorer
from .convolution import ConvolutionExplorer
from .occlusion import OcclusionExplorer
from .sliding_window import SlidingWindowExplorer

__all__ = ["ConvolutionExplorer", "Explorer", "OcclusionExplorer", "SlidingWindowExplorer"]
