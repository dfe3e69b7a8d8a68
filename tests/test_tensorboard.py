"""The graph that is written for TensorBoard, read back from the file."""

import warnings

import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import CnnvizError
from cnnviz_widgets.layers.graph import read_graph, write_graph
from cnnviz_widgets.networks import Network
from cnnviz_widgets.networks.lenet import lenet
from tests.helpers import fingerprint

DIGIT = torch.zeros(1, 1, 32, 32)


@pytest.mark.parametrize("name", ["graphs", "Schöne Graphen 图 1"])
def test_the_file_holds_every_layer_and_what_flows_from_one_to_the_next(tmp_path, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = write_graph(lenet(), DIGIT, tmp_path / name)
    assert file.parent == tmp_path / name and file.stat().st_size > 1000
    steps = [name.split("/")[1] for name, operation in read_graph(tmp_path / name) if operation.startswith("aten::")]
    layers = [part.partition("[")[2].rstrip("]") for part in steps]
    assert layers == [name for name, _part in lenet().named_children()]

    graph = {node.name: node for node in EventAccumulator(str(file)).Reload().Graph().node}
    convolutions = [node for node in graph.values() if node.op == "aten::_convolution"]
    assert len(convolutions) == 2
    first = convolutions[0]
    assert first.input[0].startswith("input/")
    assert any("conv1" in source and "weight" in source for source in first.input)
    shape = [dimension.size for dimension in first.attr["_output_shapes"].list.shape[0].dim]
    assert shape == [1, 6, 28, 28]


def test_the_newest_graph_counts_and_other_events_stay(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", 3.0, 1)
    write_graph(lenet(), DIGIT, tmp_path)
    write_graph(nn.Sequential(nn.Conv2d(1, 2, 3)), DIGIT, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3
    assert sum(operation == "aten::_convolution" for _name, operation in read_graph(tmp_path)) == 1


def test_the_model_is_left_as_it_was(tmp_path):
    model = lenet().train()
    model(DIGIT).sum().backward()
    before = fingerprint(model)
    write_graph(Network(model, mean=[0], std=[1], size=32), DIGIT, tmp_path)
    assert fingerprint(model) == before


class Stubborn(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, inputs):
        raise self.kind("out of chalk")


def test_kind_errors(tmp_path):
    with pytest.raises(CnnvizError, match="There is no graph in"):
        read_graph(tmp_path / "nowhere")
    for kind in (RuntimeError, TypeError, AssertionError):
        with pytest.raises(CnnvizError, match="cannot be traced. .*out of chalk"):
            write_graph(Stubborn(kind), DIGIT, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CnnvizError, match="cannot be written to .*taken"):
        write_graph(lenet(), DIGIT, tmp_path / "taken")
