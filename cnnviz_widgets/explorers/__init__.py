"""One panel per technique: controls, computation and view; and the kinds of panel that they are built on."""

from .activation import ActivationExplorer
from .base import Explorer, follows
from .classifier import ClassifierExplorer
from .convolution import ConvolutionExplorer
from .digit_pad import DigitPad
from .embedding import EmbeddingExplorer
from .feature_maps import FeatureMapExplorer
from .filters import FilterFormation
from .grad_cam import GradCamExplorer
from .layers import LayerExplorer
from .lenet import LeNetExplorer
from .network import NetworkExplorer
from .occlusion import OcclusionExplorer
from .pooling import PoolingExplorer
from .sliding_window import SlidingWindowExplorer
from .slow import SlowExplorer
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
    "GradCamExplorer",
    "LayerExplorer",
    "LeNetExplorer",
    "NetworkExplorer",
    "OcclusionExplorer",
    "PatchExplorer",
    "PoolingExplorer",
    "SlidingWindowExplorer",
    "SlowExplorer",
    "TrainingMonitor",
    "UnitExplorer",
    "follows",
]
