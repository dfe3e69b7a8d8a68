"""One panel per technique: controls, computation and view."""

from ..render.layer_sheet import LayerSheet, layer_sheet
from .activation import ActivationExplorer
from .base import Explorer
from .classifier import ClassifierExplorer
from .convolution import ConvolutionExplorer
from .digit_pad import DigitPad
from .embedding import EmbeddingExplorer
from .feature_maps import FeatureMapExplorer
from .filters import FilterFormation
from .layers import LayerExplorer
from .lenet import LeNetExplorer
from .occlusion import OcclusionExplorer
from .pooling import PoolingExplorer
from .sliding_window import SlidingWindowExplorer
from .top_patches import PatchExplorer
from .training import TrainingMonitor
from .unit import UnitExplorer

__all__ = [
    "ActivationExplorer",
    "ClassifierExplorer",
    "ConvolutionExplorer",
    "DigitPad",
    "EmbeddingExplorer",
    "Explorer",
    "FeatureMapExplorer",
    "FilterFormation",
    "LayerExplorer",
    "LayerSheet",
    "LeNetExplorer",
    "OcclusionExplorer",
    "PatchExplorer",
    "PoolingExplorer",
    "SlidingWindowExplorer",
    "TrainingMonitor",
    "UnitExplorer",
    "layer_sheet",
]
