"""The one way to ask a network: apart from the reader's own, whatever the network is, and with errors that are said."""

import threading
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnviz_widgets.errors import CnnvizError, WrongSetting
from cnnviz_widgets.layers import layer_outputs, layer_tree, propose_layer, receptive_field, record
from cnnviz_widgets.layers.graph import write_graph
from cnnviz_widgets.layers.memory import training_memory
from cnnviz_widgets.networks import Asked, Network, load_network
from cnnviz_widgets.networks.copying import private_copy
from cnnviz_widgets.techniques.occlusion import occlusion
from tests.helpers import fingerprint


class Net(nn.Module):
    """Whatever can go wrong by looking: dropout and batch norm in training, an in-place layer, a view."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(6 * 36, 4)

    def forward(self, x):
        hidden = F.max_pool2d(self.act(self.norm(self.conv(self.drop(x)))), 2)
        return self.head(hidden.view(x.size(0), -1))


class Checks(Net):
    """Takes its pictures and its weights in one layout of memory only."""

    def forward(self, x):
        if not x.is_contiguous() or x.stride(1) != x.shape[2] * x.shape[3] or not self.conv.weight.is_contiguous():
            raise ValueError("another layout")
        return super().forward(x)


class ReadsMemory(Net):
    """Answers by how the numbers lie in memory, and raises nothing."""

    def forward(self, x):
        flat = self.conv(x).as_strided((len(x), 4), (6 * 12 * 12, 1))
        return flat * 3


class KeepsParts(Net):
    """Reaches its parts by other ways than by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [self.conv, (self.norm, {"drop": self.drop})]
        self.run = self.act.forward
        self.later = lambda x: self.drop(x)

    def forward(self, x):
        conv, (norm, rest) = self.parts
        hidden = F.max_pool2d(self.run(norm(conv(self.later(rest["drop"](x))))), 2)
        return self.head(hidden.reshape(len(x), -1))


class ChangesItsInput(Net):
    def forward(self, x):
        return super().forward(x.sub_(0.5))


PICTURE = torch.rand(1, 3, 14, 14, generator=torch.Generator().manual_seed(0))


def by_hand(module, inputs, windows=((0, 0), (0, 8), (6, 0), (8, 8)), size=6):
    module.eval()
    with torch.no_grad():
        answers = []
        for y, x in windows:
            covered = inputs.clone()
            covered[..., y : y + size, x : x + size] = 0
            answers.append(float(module(covered).softmax(1)[0, 1]))
    return answers


@pytest.mark.parametrize("kind", [Net, Checks, ReadsMemory, KeepsParts, ChangesItsInput])
@pytest.mark.parametrize("training", [True, False])
def test_a_map_is_the_one_made_by_hand_whatever_layout_the_module_asks_for(kind, training):
    torch.manual_seed(0)
    module = kind().train(training)
    before, picture = fingerprint(module), PICTURE.clone()
    found = occlusion(module, picture, 1, 6, 8, "black", bounds=(0.0, 1.0), progress=False)
    assert fingerprint(module) == before and torch.equal(picture, PICTURE)
    expected = by_hand(module, PICTURE, ((0, 0), (0, 8), (8, 0), (8, 8)))
    assert found.probabilities.flatten().tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_module_is_asked_in_the_layout_of_the_pictures(layout):
    class Noticing(nn.Module):
        def forward(self, x):
            if not x.is_contiguous(memory_format=layout):
                raise ValueError("another layout")
            return x.flatten(1)[:, :3]

    ask = Asked(Noticing())
    inputs = ask.prepared(PICTURE.contiguous(memory_format=layout))
    for given in (torch.contiguous_format, torch.channels_last):
        assert ask.output(inputs.contiguous(memory_format=given)).shape == (1, 3)


def test_the_bundled_network_is_made_quicker_and_says_the_same():
    network = load_network()
    ask, inputs = Asked(network), network.preprocess("cat")
    plain = ask.scores(inputs)
    assert not ask.module.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)
    ask.quicken(inputs)
    assert ask.module.stem.conv.weight.is_contiguous(memory_format=torch.channels_last) and not ask.one_by_one
    torch.testing.assert_close(ask.scores(inputs), plain, rtol=1e-4, atol=1e-4)
    assert not network.module.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_copy_shares_the_weights_and_nothing_else():
    module = KeepsParts()
    module.later = torch.clone
    module.register_full_backward_hook(lambda *_arguments: pytest.fail("a hook of the reader's"))
    twin = private_copy(module)
    assert twin is not module and not any(part.training for part in twin.modules())
    for own, theirs in zip(twin.parameters(), module.parameters(), strict=True):
        assert own is not theirs and own.data_ptr() == theirs.data_ptr()
    for own, theirs in zip(twin.buffers(), module.buffers(), strict=True):
        assert own.data_ptr() != theirs.data_ptr()
    assert twin.parts[0] is twin.conv and twin.parts[1][1]["drop"] is twin.drop and twin.run.__self__ is twin.act
    twin(PICTURE).sum().backward()
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_module_whose_functions_hold_on_to_it_is_asked_itself_under_its_lock():
    module = KeepsParts().train()
    assert private_copy(module) is module  # a copy's function would run dropout in the reader's mode
    ask = Asked(module)
    assert torch.equal(ask.scores(PICTURE), ask.scores(PICTURE)) and module.training


def test_looking_inside_record_on_the_same_network_records_nothing_of_it():
    module = Net().eval()
    with record(module, "conv") as seen:
        occlusion(module, PICTURE, 1, 6, 8, "black", bounds=(0.0, 1.0), progress=False)
        layer_tree(module, PICTURE)
        assert not seen
        module(PICTURE)
    assert len(seen.calls["conv"]) == 1


def test_a_hook_of_others_belongs_to_what_is_computed():
    module, names = Net().eval(), {}
    names[module.conv] = "conv"
    plain = Asked(module).scores(PICTURE)
    module.conv.register_forward_hook(lambda part, _inputs, output: output * (2 if names[part] else 1))
    with torch.no_grad():
        expected = module(PICTURE)
    assert not torch.equal(plain, expected)
    torch.testing.assert_close(Asked(module).scores(PICTURE), expected)
    found = occlusion(module, PICTURE, 1, 6, 8, "black", bounds=(0.0, 1.0), progress=False)
    assert found.clean_probability == pytest.approx(float(expected.softmax(1)[0, 1]), abs=1e-6)


# Compiled modules ---------------------------------------------------------------------------------------------------


def whole(module):
    return torch.compile(module, backend="eager")


def nested(module):
    module.conv = torch.compile(module.conv, backend="eager")
    return module


def in_place(module):
    module.compile(backend="eager")
    return module


def part_in_place(module):
    module.conv.compile(backend="eager")
    return module


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("compiled", [whole, nested, in_place, part_in_place])
def test_what_was_compiled_and_has_run_is_looked_into(compiled, hooked):
    torch._dynamo.reset()
    plain = Net().eval()
    module = compiled(plain)
    with torch.no_grad():
        expected = module(PICTURE)
    if hooked:
        plain.act.register_forward_hook(lambda _part, _inputs, output: output * 1)
    layer = "conv._orig_mod" if compiled is nested else "conv"
    seen = layer_outputs(module, PICTURE, layer)
    assert seen[layer].shape == (1, 6, 12, 12)
    infos = {info.name: info for info in layer_tree(module, PICTURE)}
    assert infos[layer].calls == 1 and infos["head"].output_shape == (1, 4)
    assert receptive_field(module, PICTURE, layer).size == (3, 3)
    torch.testing.assert_close(Asked(module).scores(PICTURE), expected)
    with torch.no_grad():
        torch.testing.assert_close(module(PICTURE), expected)  # still compiled, and still right
    assert any(part._compiled_call_impl for part in plain.modules()) == (compiled in (in_place, part_in_place))


def test_recording_what_is_compiled_gives_the_outputs_or_a_sentence():
    torch._dynamo.reset()
    module = whole(Net().eval())
    module(PICTURE)
    with record(module, "conv") as seen:
        module(PICTURE)
    for look in (lambda: seen["conv"], lambda: seen.calls["conv"]):
        if "conv" not in seen:
            with pytest.raises(CnnvizError, match="the module behind it"):
                look()


# What is wrong is one sentence ----------------------------------------------------------------------------------------


def entries(tmp_path):
    return {
        "layer_tree": lambda model, inputs: layer_tree(model, inputs),
        "propose_layer": lambda model, inputs: propose_layer(model, inputs),
        "receptive_field": lambda model, inputs: receptive_field(model, inputs, "conv"),
        "layer_outputs": lambda model, inputs: layer_outputs(model, inputs, "conv"),
        "training_memory": lambda model, inputs: training_memory(model, inputs),
        "write_graph": lambda model, inputs: write_graph(model, inputs, tmp_path),
        "Asked": lambda model, inputs: Asked(model).scores(Asked(model).prepared(inputs)),
        "occlusion": lambda model, inputs: occlusion(model, inputs, 0, 4, 4, progress=False),
    }


@pytest.mark.parametrize(
    ("network", "inputs", "says"),
    [
        (Net(1), PICTURE, r"^The number of channels that the network takes is 1, that of the picture 3; Network"),
        (Net(), PICTURE[0], r"^Give .* as a tensor \[., C, H, W\], not one of shape \[3, 14, 14\]: inputs\[None\]"),
        (Net(), "cat", r"^Give .* as a tensor \[., C, H, W\], not a str: network.preprocess\(picture\) makes one"),
        (Net(), PICTURE[..., :2, :2], r"too small|stopped on"),
    ],
)
def test_a_mismatch_is_the_same_sentence_from_everywhere(network, inputs, says, tmp_path):
    pytest.importorskip("tensorboard")
    for name, ask in entries(tmp_path).items():
        if name in ("receptive_field", "layer_outputs") and inputs is not PICTURE and "small" in says:
            continue  # they need the network up to the layer only
        before = fingerprint(network)
        with pytest.raises(CnnvizError, match=says if "small" not in says else None) as caught:
            ask(network, inputs)
        assert "\n" not in str(caught.value) and fingerprint(network) == before, name
    assert not list(tmp_path.iterdir())


def test_pictures_of_another_number_of_channels_are_said_by_every_way_to_predict():
    network = Network(Net(1), size=14)
    for ask in (network.predict, network.logits, network.probabilities, lambda picture: network.labels):
        with pytest.raises(WrongSetting, match=r"takes is 1, that of the picture 3; Network\(module, mean=…, std=…\)"):
            ask("cat")
    grey = Network(Net(1), mean=[0.5], std=[0.5], size=14)
    assert len(grey.predict("cat")) == 4


def test_a_module_that_wants_two_inputs_says_so():
    class Two(Net):
        def forward(self, x, mask):
            return super().forward(x * mask)

    with pytest.raises(WrongSetting, match=r"Two cannot run on a picture alone \(missing .*'mask'\)"):
        Network(Two(), size=14).predict("cat")


# Types, and inference mode --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("inference", [False, True])
def test_every_look_works_in_every_type_and_under_inference_mode(kind, inference, tmp_path):
    pytest.importorskip("tensorboard")
    torch.manual_seed(0)
    module = Net().to(kind).train()
    plain = Net().eval()
    plain.load_state_dict(module.state_dict())
    before = fingerprint(module) if kind != torch.bfloat16 else None
    with torch.no_grad():
        expected = plain(PICTURE).softmax(1)
    with torch.inference_mode(inference):
        picture = PICTURE * 1  # an inference tensor
        for name, look in entries(tmp_path).items():
            assert look(module, picture) is not None, name
        ask = Asked(module)
        scores = ask.scores(ask.prepared(picture))
    assert scores.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
    torch.testing.assert_close(scores.softmax(1).float(), expected, rtol=0.05, atol=0.02)
    assert before is None or fingerprint(module) == before
    module(PICTURE.to(kind)).sum().backward()  # the weights have not become numbers without gradients


def test_gradients_can_be_asked_for_under_inference_mode():
    with torch.inference_mode():
        module, picture = Net(), PICTURE * 1
        ask = Asked(module)
        inputs = ask.prepared(picture)
    inputs.requires_grad_()
    with torch.inference_mode():
        scores = ask.scores(inputs, gradients=True)
    assert torch.autograd.grad(scores[0, 1], inputs)[0].abs().sum() > 0


# Batches --------------------------------------------------------------------------------------------------------------


class Mixing(nn.Module):
    """Pictures change each other's answers, and no module in it tells."""

    def __init__(self, mix):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 3), mix

    def forward(self, x):
        return self.mix(self.conv(x)).amax((2, 3)) * 3


MIXES = {
    "batch norm without statistics": nn.BatchNorm2d(4, track_running_stats=False),
    "as a function": lambda x: F.batch_norm(x, None, None, training=True),
    "less their mean": lambda x: x - x.mean(0, keepdim=True) + x.mean(),
}


@pytest.mark.parametrize("name", MIXES)
def test_where_pictures_change_each_other_s_answers_each_is_asked_alone(name):
    torch.manual_seed(0)
    module = Mixing(MIXES[name]).eval()
    maps = [
        occlusion(module, PICTURE, 1, 6, 8, "black", bounds=(0.0, 1.0), batch_size=size, progress=False).probabilities
        for size in (1, 3, 8)
    ]
    assert all(torch.equal(one, maps[0]) for one in maps)
    assert maps[0].flatten().tolist() == pytest.approx(
        by_hand(module, PICTURE, ((0, 0), (0, 8), (8, 0), (8, 8))), abs=1e-6
    )


# Threads --------------------------------------------------------------------------------------------------------------


def train(module, steps=25):
    """A reader's own loop, which knows nothing of locks: (losses, modes that it found itself in)."""
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    pictures, losses, modes = torch.rand(8, 3, 14, 14, generator=torch.Generator().manual_seed(1)), [], []
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for _step in range(steps):
            module.train()
            loss = F.cross_entropy(module(pictures), torch.arange(8) % 4)
            optimiser.zero_grad()
            loss.backward()
            modes.append(all(part.training for part in module.modules()))
            optimiser.step()
            module.eval()
            time.sleep(0.001)
            modes.append(not any(part.training for part in module.modules()))
            losses.append(float(loss))
    return losses, modes


def test_a_reader_s_own_training_beside_techniques_is_the_one_without():
    torch.manual_seed(0)
    module, alone = Net(), Net()
    alone.load_state_dict(module.state_dict())
    expected, _modes = train(alone)
    over, asked, failures = threading.Event(), [], []

    def look():
        try:
            while not over.is_set():
                occlusion(module, PICTURE, 1, 6, 8, "black", bounds=(0.0, 1.0), progress=False)
                layer_tree(module, PICTURE)
                asked.append(Network(module, size=14).predict("cat"))
        except Exception as error:  # a thread's error would be lost
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    while not asked and not failures:
        time.sleep(0.001)
    try:
        losses, modes = train(module)
    finally:
        over.set()
        thread.join(30)
    assert not failures and asked
    assert losses == expected and all(modes)
    for name, value in alone.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
