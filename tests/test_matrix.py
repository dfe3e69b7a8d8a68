"""Every public technique and panel that asks a network, on every kind of network, compared with the plain answer.

A technique joins by being public: a function, class or panel without a row in the tables below fails a test here.
"""

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cnnviz_widgets
from cnnviz_widgets import CnnvizError, Network, Training, explorers, top_patches_steps
from cnnviz_widgets.controls.drawing_pad import rasterised
from cnnviz_widgets.explorers.digit_pad import FOUR
from cnnviz_widgets.images.digits import as_input, centred
from cnnviz_widgets.layers.graph import read_graph
from cnnviz_widgets.learning.answers import predictions
from cnnviz_widgets.networks import as_module
from cnnviz_widgets.render.unit_card import PARTS
from tests.helpers import fingerprint
from tests.kinds import CAT, COFFEE, KINDS, LUMINANCE, SIZE, Kind, looked_at, runs_in

LONG = 60
TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
PICTURES = [CAT, COFFEE]


@pytest.fixture(autouse=True)
def _deterministic():
    torch.manual_seed(11)
    yield


# The table of calls ---------------------------------------------------------------------------------------------------
# Each returns what is to be compared by name: numbers to a tolerance, anything else exactly.


def occlusion_map(found):
    return {"drop": found.drop, "score": found.clean_logit, "logits": found.logits, "at": (found.tops, found.lefts)}


def cam(found):
    numbers = {"map": found.map, "weights": found.weights, "probability": found.probability, "score": found.score}
    return {**numbers, "layer": found.layer}


def patches(found):
    best = found.patches[0]
    return {"best": best.value, "looked at": found.looked_at, "refused": found.refused, "picture": best.picture}


def tree(layers):
    return {"layers": [(one.name, one.kind, tuple(one.output_shape)) for one in layers if one.name != "head"]}


def field(found):
    return {"field": (found.size, found.stride, found.offset)}


def recorded(model, inputs):
    module = as_module(model)
    with cnnviz_widgets.evaluating(module), cnnviz_widgets.record(model, "pool") as seen, torch.no_grad():
        module(inputs)
    return {"maps": seen["pool"].float(), "calls": len(seen.calls["pool"])}


def kernels(found):
    name, weights = found
    return {"name": name, "weights": weights.sum(1)}  # a grey network has one for the three of a network in colour


def untrained(model):
    """Other types draw other numbers from one seed, so that only what they are like is compared."""
    built = cnnviz_widgets.untrained(model, seed=3)
    built(model.preprocess(CAT))  # which is not a copy with a reader's recording in it
    weights = built.state_dict()
    again = as_module(cnnviz_widgets.untrained(model, seed=3)).state_dict()
    trained = as_module(model).state_dict()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert not torch.equal(weights["conv.weight"], trained["conv.weight"])
    assert all(weights[name].dtype == trained[name].dtype for name in trained)
    return {"names": list(weights), "spread": 0.0 * weights["conv.weight"].float().std()}


def memory(model, inputs):
    found, module = cnnviz_widgets.training_memory(model, inputs), as_module(model)
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    assert found.gradients == found.optimiser == sum(parameter.nbytes for parameter in learning)
    assert found.parameters == sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    numbers = sum(parameter.numel() for parameter in learning)
    alike = (inputs.dtype, numbers) == (torch.float32, 568)  # else other numbers are kept, or of another size
    return {"activations": found.activations if alike else None}


def sheet(found):
    return {
        "names": [layer.name for layer in found.layers],
        "pool": found.outputs["pool"],
        "conv": found.outputs["conv"],
    }


def graph(model, inputs, folder):
    file = cnnviz_widgets.write_graph(model, inputs, folder)
    assert file.is_file()
    operations = [operation for _name, operation in read_graph(folder)]
    return {"convolutions": sum("convolution" in operation for operation in operations)}


def examples(network, count=12):
    """Pictures of noise as the network wants them, with labels 0 and 1, which every network here has."""
    generator = torch.Generator().manual_seed(2)
    pixels = torch.rand(count, 1, SIZE, SIZE, generator=generator).expand(-1, len(network.mean), -1, -1)
    return network.normalise(pixels), torch.arange(count) % 2


def trained(network):
    data = examples(network)
    training = cnnviz_widgets.train(network, data, data, epochs=2, batch_size=4, learning_rate=1e-3, progress=False)
    return {"losses": torch.tensor([step.loss for step in training.history]), "right": training.total}


def one_step(network):
    data = examples(network)
    return {"loss": Training(network, data, data, epochs=1, batch_size=4, learning_rate=1e-3).step().loss}


def light(pixels):
    """The brightness of pictures: grey ones as they are."""
    shares = torch.tensor(LUMINANCE if pixels.shape[1] == 3 else (1.0,), dtype=torch.double)
    return torch.einsum("nchw,c->nhw", pixels.double(), shares)


def made_anew(network):
    return Network(network.module, None, network.mean, network.std, network.shape, output=network.reading)


def evaluated(network):
    with cnnviz_widgets.evaluating(as_module(network)) as module:
        return {"modes": {part.training for part in module.modules()}}


BOX = {"window": 8, "stride": 4}
CALLS: dict[str, Callable[[Network, Tensor, int, object], dict]] = {
    "occlusion": lambda n, x, t, _: occlusion_map(cnnviz_widgets.occlusion(n, x, t, **BOX, progress=False)),
    "occlusion_steps": lambda n, x, t, _: occlusion_map([*cnnviz_widgets.occlusion_steps(n, x, t, **BOX)][-1].map),
    "grad_cam": lambda n, x, t, _: cam(cnnviz_widgets.grad_cam(n, x, t, signed=True)),
    "feature_maps": lambda n, x, t, _: {"maps": cnnviz_widgets.feature_maps(n, x, "relu")},
    "kernels_of": lambda n, x, t, _: kernels(cnnviz_widgets.kernels_of(n, x, "relu")),
    "layer_tree": lambda n, x, t, _: tree(cnnviz_widgets.layer_tree(n, x)),
    "propose_layer": lambda n, x, t, _: {"name": cnnviz_widgets.propose_layer(n, x).name},
    "receptive_field": lambda n, x, t, _: field(cnnviz_widgets.receptive_field(n, x, "relu")),
    "layer_codes": lambda n, x, t, _: cnnviz_widgets.layer_codes(n, x, ["conv", "relu"], pooled=True),
    "top_patches": lambda n, x, t, _: patches(cnnviz_widgets.top_patches(n, "relu", 1, PICTURES)),
    "top_patches_steps": lambda n, x, t, _: patches([*top_patches_steps(n, "relu", 1, PICTURES)][-1].found),
    "record": lambda n, x, t, _: recorded(n, x),
    "evaluating": lambda n, x, t, _: evaluated(n),
    "untrained": lambda n, x, t, _: untrained(n),
    "training_memory": lambda n, x, t, _: memory(n, x),
    "layer_sheet": lambda n, x, t, _: sheet(cnnviz_widgets.layer_sheet(n, x)),
    "write_graph": lambda n, x, t, folder: graph(n, x, folder),
    "train": lambda n, x, t, _: trained(n),
    "Training": lambda n, x, t, _: one_step(n),
    "Network": lambda n, x, t, _: {"score": made_anew(n).logits(CAT)[t]},
    "Network.logits": lambda n, x, t, _: {"score": n.logits(CAT)[t]},
    "Network.probabilities": lambda n, x, t, _: {"probability": n.probabilities(CAT)[t]},
    "Network.predict": lambda n, x, t, _: {"probability": dict(n.predict(CAT, top=len(n.labels)))[n.labels[t]]},
    "Network.best": lambda n, x, t, _: {"probability": dict(n.best(n.probabilities(CAT), 9))[n.labels[t]]},
    "Network.class_index": lambda n, x, t, _: {"same": n.class_index(n.labels[t]) == t},
    "Network.view": lambda n, x, t, _: {"pixels": n.view(CAT).astype(float)},
    "Network.preprocess": lambda n, x, t, _: {"light": light(n.denormalise(n.preprocess(CAT)))},
    "Network.tensor": lambda n, x, t, _: {"light": light(n.denormalise(n.tensor(n.view(CAT))))},
    "Network.normalise": lambda n, x, t, _: {"back": n.denormalise(n.normalise(torch.full_like(x, 0.25))).mean()},
    "Network.denormalise": lambda n, x, t, _: {"light": light(n.denormalise(x))},
}  # fmt: skip

# A row, and kinds of network of which it only says in one sentence that they cannot be.
REFUSED: dict[tuple[str, str], str] = {
    ("untrained", "with a lock"): "cannot be copied",
    ("training_memory", "with a lock"): "cannot be counted",
    ("train", "made in inference mode"): "cannot learn",
    ("Training", "made in inference mode"): "cannot learn",
    ("train", "frozen"): "no weights that can be trained",
    ("Training", "frozen"): "no weights that can be trained",
}
# Rows and kinds where another course of learning, or other random numbers, are as right as the plain network's.
OF_ITS_OWN = {
    "train": (
        "one logit",
        "independent labels",
        "grey",
        "bfloat16",
        "float16",
        "float64",
        "channels last",
        "hooked by others",
    ),
    "Training": ("independent labels", "bfloat16", "float16", "float64", "channels last"),
}
LEARNING = ("train", "Training")
RUNNING = ("record", *LEARNING)  # what runs there is the reader's own module
MARKS_OF_LEARNING = ("parameters", "buffers", "gradients")


def same(found: dict, right: dict, tolerance: float) -> None:
    """Compare by name, but for what is None on either side, which cannot be compared."""
    assert found.keys() == right.keys()
    for name, wanted in right.items():
        value = found[name]
        if value is None or wanted is None:
            continue
        if isinstance(wanted, (float, Tensor, np.ndarray)):
            value, wanted = (torch.as_tensor(one).double() for one in (value, wanted))
            assert value.shape == wanted.shape, name
            scale = max(1.0, float(wanted.abs().max()))
            torch.testing.assert_close(
                value, wanted, rtol=tolerance, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
            )
        else:
            assert value == wanted, name


def finite(found: dict) -> None:
    for name, value in found.items():
        if isinstance(value, (float, Tensor)):
            assert torch.as_tensor(value).isfinite().all(), name


def is_sentence(text: str) -> bool:
    """Not what Python or torch says by itself: a class of exception, a path, a traceback."""
    return bool(text) and text[0].isupper() | (text[0] in '“"') and not RAW.match(text) and "Traceback" not in text


RAW = re.compile(r"\w*(Error|Exception|Interrupt|Warning)\b")


@contextmanager
def left_alone(model: nn.Module, but: tuple[str, ...] = ()) -> Iterator[None]:
    """Model, modes, hooks, gradients and torch's random numbers are afterwards as before, `but` for these."""
    before = fingerprint(model)
    yield
    after = fingerprint(model)
    assert {name: mark for name, mark in after.items() if name not in but} == {
        name: mark for name, mark in before.items() if name not in but
    }


def kind_called(name: str, classes: int = 4, channels: int = 3, **more: object) -> Kind:
    if not runs_in(TYPES.get(name, torch.float32)):
        pytest.skip(f"this processor does not run {name}")
    return KINDS[name](classes, channels, **more)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("row", CALLS)
def test_every_technique_answers_as_for_a_plain_network_and_leaves_no_trace(row, name, tmp_path):
    kind = kind_called(name)
    right = CALLS[row](kind.plain, kind.plain.preprocess(CAT), kind.plain_target, tmp_path / "plain")
    module = kind.network.module
    around = looked_at if row in LEARNING and name == "beside another thread" else kind.around
    with around(kind) as seen, left_alone(module, MARKS_OF_LEARNING if row in LEARNING else ()):
        inputs, sentence = kind.inputs(CAT), REFUSED.get((row, name))
        if sentence is not None:
            with pytest.raises(CnnvizError, match=sentence) as refusal:
                CALLS[row](kind.network, inputs, kind.target, tmp_path / "asked")
            assert is_sentence(str(refusal.value))
            return
        found = CALLS[row](kind.network, inputs, kind.target, tmp_path / "asked")
        if name in OF_ITS_OWN.get(row, ()):
            finite(found)
        else:
            same(found, right, kind.tolerance)
    if name == "inside record":
        assert bool(seen) == (row in RUNNING), "what a technique runs is nobody's record"


# Nothing public stays outside -----------------------------------------------------------------------------------------

ASKED = ("model", "network", "module")


def asks(function: Callable) -> bool:
    """Whether a function takes a network: by the name of a parameter, or by what it is said to be."""
    maker = function.__init__ if inspect.isclass(function) else function
    parameters = inspect.signature(maker).parameters.values()
    return any(
        one.name in ASKED or "Network" in str(one.annotation) or "Module" in str(one.annotation) for one in parameters
    )


def is_panel(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, explorers.Explorer)


def test_every_public_technique_that_takes_a_network_has_a_row():
    public = {name: getattr(cnnviz_widgets, name) for name in cnnviz_widgets.__all__}
    asking = {name for name, one in public.items() if callable(one) and not is_panel(one) and asks(one)}
    methods = {
        f"Network.{name}" for name, one in vars(Network).items() if inspect.isfunction(one) and not name.startswith("_")
    }
    assert asking | methods == set(CALLS)


def test_a_technique_without_a_row_would_be_seen():
    def by_annotation(net: Network) -> None: ...
    def by_name(module) -> None: ...
    def of_pictures(pictures: Tensor) -> None: ...

    assert asks(by_annotation)
    assert asks(by_name)
    assert not asks(of_pictures)


# Panels ---------------------------------------------------------------------------------------------------------------
# Each row makes a panel, moves one control, and says what its value must then be; the right one comes from a technique.

WINDOW, STRIDE = 8, 8
DIGITS = {"size": 32, "mean": (0.0,), "std": (1.0,)}


def digits(network: Network) -> tuple[Tensor, Tensor]:
    """Pictures of noise with the labels 0 to 9."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(20, len(network.mean), 32, 32, generator=generator), torch.arange(20) % 10


def shares(found: list[tuple[str, float]], network: Network, target: int) -> dict:
    return {"probability": dict(found)[network.labels[target]]}


class Row:
    """A panel on a network, the move of one of its controls, and its value beside the technique's.

    `takes` is how a network must take its pictures for this panel, where that is not in colour and tiny.
    """

    takes: dict = {}


class OfClassifier(Row):
    def make(self, network, target):
        return explorers.ClassifierExplorer(network, CAT, top=len(network.labels))

    def move(self, panel):
        panel.picture.value = "coffee"

    def found(self, panel, network, target):
        return shares(panel.value, network, target)

    def right(self, network, target):
        return {"probability": network.probabilities("coffee")[target].item()}


class OfGradCam(Row):
    def make(self, network, target):
        return explorers.GradCamExplorer(network, CAT, target)

    def move(self, panel):
        panel.signed.value = True

    def found(self, panel, network, target):
        return cam(panel.value)

    def right(self, network, target):
        return cam(cnnviz_widgets.grad_cam(network, network.preprocess(CAT), target, signed=True))


class OfOcclusion(Row):
    def make(self, network, target):
        return explorers.OcclusionExplorer(network, CAT, target, window=WINDOW, stride=STRIDE)

    def move(self, panel):
        panel.fill.value = "black"

    def found(self, panel, network, target):
        return occlusion_map(panel.value)

    def right(self, network, target):
        box = {"window": WINDOW, "stride": STRIDE, "fill": "black"}
        found = cnnviz_widgets.occlusion(network, network.preprocess(CAT), target, **box, progress=False)
        return occlusion_map(found)


class OfFeatureMaps(Row):
    def make(self, network, target):
        return explorers.FeatureMapExplorer(network, CAT, "conv")

    def move(self, panel):
        panel.layer.value = "pool"

    def found(self, panel, network, target):
        return {"maps": panel.value}

    def right(self, network, target):
        return {"maps": cnnviz_widgets.feature_maps(network, network.preprocess(CAT), "pool")[0]}


class OfLayers(Row):
    def make(self, network, target):
        return explorers.LayerExplorer(network, CAT, ["conv", "pool"])

    def move(self, panel):
        panel.picture.value = "coffee"

    def found(self, panel, network, target):
        return dict(panel.value)

    def right(self, network, target):
        inputs = network.preprocess("coffee")
        return {name: cnnviz_widgets.feature_maps(network, inputs, name)[0] for name in ("conv", "pool")}


class OfPatches(Row):
    def make(self, network, target):
        return explorers.PatchExplorer(network, "relu", 0, pictures=PICTURES)

    def move(self, panel):
        panel.channel.value = 1

    def found(self, panel, network, target):
        return patches(panel.value)

    def right(self, network, target):
        return patches(cnnviz_widgets.top_patches(network, "relu", 1, PICTURES))


class OfUnit(Row):
    def make(self, network, target):
        return explorers.UnitExplorer(network, "relu", 0, image=CAT, parts=PARTS[:3])

    def move(self, panel):
        panel.channel.value = 1

    def found(self, panel, network, target):
        return {"map": panel.value.map}

    def right(self, network, target):
        return {"map": cnnviz_widgets.feature_maps(network, network.preprocess(CAT), "relu")[0, 1]}


class OfLeNet(Row):
    takes = DIGITS

    def make(self, network, target):
        return explorers.LeNetExplorer(network, digits(network))

    def move(self, panel):
        panel.true.value = 3

    def found(self, panel, network, target):
        return {"of each": panel.value.sum(1).tolist(), "sure": panel._probabilities[:, target]}

    def right(self, network, target):
        said = predictions(network, digits(network)[0])
        return {"of each": [2] * 10, "sure": said.softmax(1)[:, target]}


class OfDigitPad(Row):
    takes = DIGITS

    def make(self, network, target):
        return explorers.DigitPad(network)

    def move(self, panel):
        panel.invert.value = True

    def found(self, panel, network, target):
        return {"probability": panel.value[target if len(panel.value) > 2 else 1]}  # one score is that of yes

    def right(self, network, target):
        seen = 255 - centred(rasterised(FOUR))
        return {"probability": predictions(network, as_input(seen[None])).softmax(1)[0, target]}


class OfTraining(Row):
    takes = DIGITS

    def make(self, network, target):
        return explorers.TrainingMonitor(network, digits(network), digits(network), batch_size=10)

    def move(self, panel):
        panel.digit.value = 3

    def found(self, panel, network, target):
        return {"scores": panel.training.logits[:, target]}

    def right(self, network, target):
        return {"scores": predictions(network, digits(network)[0])[:, target]}


PANELS: dict[str, Row] = {
    "ClassifierExplorer": OfClassifier(),
    "GradCamExplorer": OfGradCam(),
    "OcclusionExplorer": OfOcclusion(),
    "FeatureMapExplorer": OfFeatureMaps(),
    "LayerExplorer": OfLayers(),
    "PatchExplorer": OfPatches(),
    "UnitExplorer": OfUnit(),
    "LeNetExplorer": OfLeNet(),
    "DigitPad": OfDigitPad(),
    "TrainingMonitor": OfTraining(),
}
REFUSED_PANELS: dict[tuple[str, str], str] = {
    ("LayerExplorer", "with a lock"): "cannot be copied",
    ("LeNetExplorer", "one logit"): "ten numbers",
    ("TrainingMonitor", "one logit"): "labels must be 0 to 1",
    ("TrainingMonitor", "made in inference mode"): "cannot learn",
    ("TrainingMonitor", "frozen"): "no weights that can be trained",
}
PAIRS = [
    (row, name) for row in PANELS for name in KINDS if not (name == "grey" and PANELS[row].takes)
]  # digits are grey


@pytest.mark.parametrize(("row", "name"), PAIRS)
def test_every_panel_shows_what_the_technique_answers_on_a_plain_network(row, name):
    panel_of = PANELS[row]
    of_digits = panel_of.takes is DIGITS
    kind = kind_called(name, 10 if of_digits else 4, 1 if of_digits else 3, **panel_of.takes)
    right = panel_of.right(kind.plain, kind.plain_target)
    with kind.around(kind) as seen, left_alone(kind.network.module):
        sentence = REFUSED_PANELS.get((row, name))
        if sentence is not None:
            with pytest.raises(CnnvizError, match=sentence) as refusal:
                panel_of.make(kind.network, kind.target)
            assert is_sentence(str(refusal.value))
            return
        panel = panel_of.make(kind.network, kind.target)
        try:
            panel_of.move(panel)
            assert panel.settle(LONG)
            assert not panel.status.wrong, panel.status.value
            same(panel_of.found(panel, kind.network, kind.target), right, kind.tolerance)
            assert panel.snapshot().size
        finally:
            panel.close()
    assert not seen, "what a panel runs is nobody's record"


def test_every_panel_that_takes_a_network_has_a_row():
    panels = {name for name in explorers.__all__ if is_panel(getattr(explorers, name))}
    kinds = {"Explorer", "NetworkExplorer", "SlowExplorer"}
    assert {name for name in panels - kinds if asks(getattr(explorers, name))} == set(PANELS)


# Beside a reader's own training ---------------------------------------------------------------------------------------

STEPS = 150


def learned(kind: Kind, beside: Callable[[], None] = lambda: None) -> tuple[list[float], dict[str, Tensor], bool]:
    """A reader's own loop: its losses, the weights it ends with, and whether the module was in training throughout.

    Meanwhile `beside()` is called again and again by another thread.
    """
    module, (pictures, labels) = kind.network.module.train(), examples(kind.network)
    descent, losses, modes, ended, failed = torch.optim.SGD(module.parameters(), 0.01), [], set(), threading.Event(), []

    def look() -> None:
        while not ended.is_set():
            try:
                beside()
            except Exception as error:
                failed.append(error)
                return
            ended.wait(0.001)

    thread = threading.Thread(target=look, daemon=True)
    torch.manual_seed(4)
    thread.start()
    for _step in range(STEPS):
        descent.zero_grad()
        loss = nn.functional.cross_entropy(module(pictures), labels)
        loss.backward()
        descent.step()
        losses.append(loss.item())
        modes.update(part.training for part in module.modules())
    ended.set()
    thread.join(LONG)
    assert not thread.is_alive()
    assert not failed
    return losses, module.state_dict(), modes == {True}


@pytest.mark.parametrize("row", [row for row in PANELS if not PANELS[row].takes])
def test_a_panel_that_is_moved_beside_a_readers_training_does_not_change_it(row):
    alone, watched = KINDS["plain"](4, 3), KINDS["plain"](4, 3)
    losses, weights, _modes = learned(alone)
    panel = PANELS[row].make(watched.network, 1)
    looks = []

    def look() -> None:
        looks.append(1)
        for control in panel.settings.values():
            if isinstance(control, widgets.IntSlider):
                control.value = control.min + len(looks) % (control.max - control.min + 1)
        panel.picture.value = ("coffee", "cat")[len(looks) % 2]
        panel.settle(LONG)

    if not hasattr(panel, "picture"):
        panel.picture = widgets.Text()
    found = learned(watched, look)
    panel.close()
    assert looks
    assert found[0] == losses
    assert all(torch.equal(found[1][name], weights[name]) for name in weights)
    assert found[2], "it was in training throughout"
