"""See and touch what a convolutional network does with a picture.

The names below are fetched from their modules when they are first used, so that importing the package costs nothing
and using it as a plain torch library never imports a widget.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "CnnvizError": "errors",
    "PICTURES": "images",
    "Network": "networks",
    "fetch": "networks",
    "load_network": "networks",
    "known_networks": "networks",
    "layer_tree": "layers",
    "propose_layer": "layers",
    "receptive_field": "layers",
    "record": "layers",
    "KERNELS": "techniques.convolution",
    "convolve": "techniques.convolution",
    "kernel": "techniques.convolution",
    "output_size": "techniques.convolution",
    "padding_amounts": "techniques.convolution",
    "random_kernels": "techniques.convolution",
    "visits": "techniques.convolution",
    "FILLS": "techniques.occlusion",
    "OcclusionMap": "techniques.occlusion",
    "occlude": "techniques.occlusion",
    "occlusion": "techniques.occlusion",
    "occlusion_steps": "techniques.occlusion",
    "ACTIVATIONS": "techniques.activation",
    "activate": "techniques.activation",
    "additivity_gap": "techniques.activation",
    "zeroed": "techniques.activation",
    "POOLINGS": "techniques.pooling",
    "pool": "techniques.pooling",
    "relative_change": "techniques.pooling",
    "shifted": "techniques.pooling",
    "by_strength": "techniques.feature_maps",
    "feature_maps": "techniques.feature_maps",
    "kernels_of": "techniques.feature_maps",
    "strength": "techniques.feature_maps",
    "strongest_channel": "techniques.feature_maps",
    "TopPatches": "techniques.top_patches",
    "top_patches": "techniques.top_patches",
    "top_patches_steps": "techniques.top_patches",
    "contrast_normalised": "learning.filters",
    "filter_steps": "learning.filters",
    "gabor_fit": "learning.filters",
    "learn_filters": "learning.filters",
    "orientation_selectivity": "learning.filters",
    "picture_patches": "learning.filters",
    "TrainingMemory": "layers.memory",
    "training_memory": "layers.memory",
    "untrained": "networks.untrained",
    "layer_codes": "techniques.embedding",
    "neighbour_accuracy": "techniques.embedding",
    "neighbours": "techniques.embedding",
    "pca": "techniques.embedding",
    "picture_crops": "techniques.embedding",
    "trustworthiness": "techniques.embedding",
    "tsne": "techniques.embedding",
    "tsne_steps": "techniques.embedding",
    "Training": "learning.training",
    "train": "learning.training",
    "draw_architecture": "render.architecture",
    "write_graph": "layers.graph",
    "ImageView": "views",
    "show": "render.figures",
    "ActivationExplorer": "explorers",
    "ClassifierExplorer": "explorers",
    "ConvolutionExplorer": "explorers",
    "DigitPad": "explorers",
    "EmbeddingExplorer": "explorers",
    "FeatureMapExplorer": "explorers",
    "FilterFormation": "explorers",
    "LayerExplorer": "explorers",
    "LeNetExplorer": "explorers",
    "OcclusionExplorer": "explorers",
    "PatchExplorer": "explorers",
    "PoolingExplorer": "explorers",
    "SlidingWindowExplorer": "explorers",
    "TrainingMonitor": "explorers",
    "UnitExplorer": "explorers",
    "layer_sheet": "render.layer_sheet",
    "Predict": "exercises",
    "check": "exercises",
    "hint": "exercises",
    "solution": "exercises",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    """The public `name`, from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What can be imported, for completion."""
    return sorted({*globals(), *__all__})
