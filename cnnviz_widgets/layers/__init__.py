"""What is inside any `nn.Module`: its layers, in the order they run, what they put out, and what they see."""

from .tree import (
    LAST_TWO,
    LayerInfo,
    Proposal,
    Recording,
    channels_first,
    find_layer,
    layer_tree,
    propose_layer,
    receptive_field,
    record,
    run,
)

__all__ = [
    "LAST_TWO",
    "LayerInfo",
    "Proposal",
    "Recording",
    "channels_first",
    "find_layer",
    "layer_tree",
    "propose_layer",
    "receptive_field",
    "record",
    "run",
]
