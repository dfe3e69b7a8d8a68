"""One panel per technique: controls, computation and view."""

from .activation import ActivationExplorer
from .base import Explorer
from .classifier import ClassifierExplorer
from .convolution import ConvolutionExplorer
from .digit_pad import DigitPad
from .filters import FilterFormation
from .layer_sheet import LayerSheet, layer_sheet
from .layers import LayerExplorer
from .lenet import LeNetExplorer
from .occlusion import OcclusionExplorer
from .pooling import PoolingExplorer
from .sliding_window import SlidingWindowExplorer
from .training import TrainingMonitor

__all__ = [
    "ActivationExplorer",
    "ClassifierExplorer",
    "ConvolutionExplorer",
    "DigitPad",
    "Explorer",
    "FilterFormation",
    "LayerExplorer",
    "LayerSheet",
    "LeNetExplorer",
    "OcclusionExplorer",
    "PoolingExplorer",
    "SlidingWindowExplorer",
    "TrainingMonitor",
    "layer_sheet",
]
