"""What is inside any `nn.Module`: its layers, in the order they run, what they put out, and what they see."""

from .choice import chosen_layers, shown_layers, spread
from .fields import receptive_field
from .hooks import Recording, find_layer, hooked, record, tap
from .outputs import layer_outputs, outputs_of_one
from .proposal import Proposal, propose_layer
from .receptive import Trace
from .spans import ReceptiveField
from .tree import LAST_TWO, LayerInfo, channels_first, has_maps, layer_tree, map_layers

__all__ = [
    "LAST_TWO",
    "LayerInfo",
    "Proposal",
    "ReceptiveField",
    "Recording",
    "Trace",
    "channels_first",
    "chosen_layers",
    "find_layer",
    "has_maps",
    "hooked",
    "layer_outputs",
    "layer_tree",
    "map_layers",
    "outputs_of_one",
    "propose_layer",
    "receptive_field",
    "record",
    "shown_layers",
    "spread",
    "tap",
]
