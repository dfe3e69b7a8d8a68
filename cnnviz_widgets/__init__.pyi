"""The public names, for editors and type checkers; the package reads from here where each of them lives."""

from . import images, render
from .errors import CnnvizError
from .exercises import Predict, check, hint, solution
from .explorers import (
    ActivationExplorer,
    ClassifierExplorer,
    ConvolutionExplorer,
    DigitPad,
    EmbeddingExplorer,
    FeatureMapExplorer,
    FilterFormation,
    GradCamExplorer,
    LayerExplorer,
    LeNetExplorer,
    OcclusionExplorer,
    PatchExplorer,
    PoolingExplorer,
    SlidingWindowExplorer,
    TrainingMonitor,
    UnitExplorer,
)
from .images import PICTURES
from .images.crops import picture_crops
from .layers import layer_tree, propose_layer, receptive_field, record
from .layers.graph import write_graph
from .layers.memory import TrainingMemory, training_memory
from .learning.filters import (
    contrast_normalised,
    filter_steps,
    gabor_fit,
    learn_filters,
    orientation_selectivity,
    picture_patches,
)
from .learning.training import Training, train
from .networks import Network, architecture, evaluating, fetch, known_networks, load_network
from .networks.untrained import untrained
from .render.architecture import draw_architecture
from .render.figures import show
from .render.layer_sheet import layer_sheet
from .techniques.activation import ACTIVATIONS, activate, additivity_gap, zeroed
from .techniques.convolution import KERNELS, convolve, kernel, output_size, padding_amounts, random_kernels, visits
from .techniques.embedding import layer_codes, neighbour_accuracy, neighbours, pca, trustworthiness, tsne, tsne_steps
from .techniques.feature_maps import by_strength, feature_maps, kernels_of, strength, strongest_channel
from .techniques.fills import FILLS
from .techniques.grad_cam import CamMap, grad_cam
from .techniques.occlusion import OcclusionMap, occlude, occlusion, occlusion_steps
from .techniques.pooling import POOLINGS, pool, relative_change, shifted
from .techniques.top_patches import TopPatches, top_patches, top_patches_steps
from .views import ImageView, beside

__version__: str

__all__ = [
    "ACTIVATIONS",
    "ActivationExplorer",
    "CamMap",
    "ClassifierExplorer",
    "CnnvizError",
    "ConvolutionExplorer",
    "DigitPad",
    "EmbeddingExplorer",
    "FILLS",
    "FeatureMapExplorer",
    "FilterFormation",
    "GradCamExplorer",
    "ImageView",
    "KERNELS",
    "LayerExplorer",
    "LeNetExplorer",
    "Network",
    "OcclusionExplorer",
    "OcclusionMap",
    "PICTURES",
    "POOLINGS",
    "PatchExplorer",
    "PoolingExplorer",
    "Predict",
    "SlidingWindowExplorer",
    "TopPatches",
    "Training",
    "TrainingMemory",
    "TrainingMonitor",
    "UnitExplorer",
    "__version__",
    "activate",
    "additivity_gap",
    "architecture",
    "beside",
    "by_strength",
    "check",
    "contrast_normalised",
    "convolve",
    "draw_architecture",
    "evaluating",
    "feature_maps",
    "fetch",
    "filter_steps",
    "gabor_fit",
    "grad_cam",
    "hint",
    "images",
    "kernel",
    "kernels_of",
    "known_networks",
    "layer_codes",
    "layer_sheet",
    "layer_tree",
    "learn_filters",
    "load_network",
    "neighbour_accuracy",
    "neighbours",
    "occlude",
    "occlusion",
    "occlusion_steps",
    "orientation_selectivity",
    "output_size",
    "padding_amounts",
    "pca",
    "picture_crops",
    "picture_patches",
    "pool",
    "propose_layer",
    "random_kernels",
    "receptive_field",
    "record",
    "relative_change",
    "render",
    "shifted",
    "show",
    "solution",
    "strength",
    "strongest_channel",
    "top_patches",
    "top_patches_steps",
    "train",
    "training_memory",
    "trustworthiness",
    "tsne",
    "tsne_steps",
    "untrained",
    "visits",
    "write_graph",
    "zeroed",
]
