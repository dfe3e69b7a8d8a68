"""What `record` says a layer puts out is what the layer gives for what it was given, on every classifier there is."""

import pytest
import torch
from torch import nn

from cnnviz_widgets import load_network
from cnnviz_widgets.layers import hooked, layer_tree, record

models = pytest.importorskip("torchvision.models")
NAMES = models.list_models(module=models)
LARGE = ("vit_h", "vit_l", "convnext_l", "regnet_y_128", "efficientnet_v2_l", "b7")


def replayed(name: str) -> int:
    """The number of layers of which every recorded output equals a replay of the layer; all others fail."""
    network = load_network(name, weights=None)
    side = network.size if name.startswith(("vit", "maxvit", "swin")) else 75 if name == "inception_v3" else 64
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    module = network.module
    names = [info.name for info in layer_tree(module, picture) if info.leaf]
    parts = {module.get_submodule(layer): layer for layer in names}
    given: dict[str, list] = {layer: [] for layer in names}

    def keep(part: nn.Module, arguments: tuple) -> None:
        given[parts[part]].append([one.clone() if isinstance(one, torch.Tensor) else one for one in arguments])

    with torch.no_grad(), hooked(parts, lambda *_all: None, keep), record(module, names) as seen:
        module(picture)
    with torch.no_grad():
        for part, layer in parts.items():
            assert len(seen.calls[layer]) == len(given[layer]) > 0
            for arguments, output in zip(given[layer], seen.calls[layer], strict=True):
                if isinstance(part, nn.MultiheadAttention):
                    continue
                assert torch.equal(part(*arguments), output), layer
    return len(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_output_is_what_the_layer_gives_for_its_input(name):
    if any(part in name for part in LARGE):
        pytest.skip("hundreds of millions of weights, of the same layers as its smaller sisters")
    assert replayed(name) > 10
