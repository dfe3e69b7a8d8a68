"""The panel of notebook 00: what it shows is what the network says, whatever the reader does with it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz_widgets import ClassifierExplorer, Network, images, load_network, render
from cnnviz_widgets.errors import UnknownNetwork, WrongSetting


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network()


@pytest.fixture
def panel(network):
    panel = ClassifierExplorer(network)
    yield panel
    panel.close()


class Brightness(nn.Module):
    """Three classes, whose scores are the mean red, green and blue."""

    runs = 0  # of all copies together: panels ask a private one

    def forward(self, inputs):
        Brightness.runs += 1
        return 10 * inputs.mean((2, 3))


@pytest.fixture
def colours():
    return Network(Brightness(), labels=["red", "green", "blue"], mean=(0, 0, 0), std=(1, 1, 1), size=16)


def png(colour, size=(40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def bars_of(panel) -> np.ndarray:
    return render.bars(panel.value, 400)


def test_the_first_state_is_the_network_s_own_answer(network, panel):
    assert panel.value == network.predict("cat", top=5)
    assert panel.value[0][0] == "tiger cat"
    np.testing.assert_array_equal(panel.view.image, network.view("cat"))
    np.testing.assert_array_equal(panel.bars.image, bars_of(panel))


def test_it_brings_the_bundled_network_when_none_is_given(network):
    assert ClassifierExplorer().value == network.predict("cat")


@pytest.mark.parametrize("name", ["coffee", "astronaut", "camera"])
def test_another_picture_is_classified_and_shown(network, panel, name):
    panel.picture.value = name
    assert panel.settle()
    assert panel.value == network.predict(name)
    np.testing.assert_array_equal(panel.view.image, network.view(name))
    np.testing.assert_array_equal(panel.bars.image, bars_of(panel))
    assert images.PICTURES[name].title in panel.view.alt
    assert panel.value[0][0] in panel.bars.alt


@pytest.mark.parametrize("top", [1, 2, 9, 10])
def test_top_is_the_number_of_classes(network, panel, top):
    panel.top.value = top
    assert panel.value == network.predict("cat", top=top)
    np.testing.assert_array_equal(panel.bars.image, bars_of(panel))
    assert f"the {top} likeliest of 1,000" in panel.bars.caption


def test_moving_top_does_not_ask_the_network_again(colours):
    panel = ClassifierExplorer(colours, top=1)
    before = Brightness.runs
    panel.top.value = 3
    assert Brightness.runs == before
    panel.picture.value = "coffee"
    assert panel.settle()
    assert Brightness.runs > before and panel.value == colours.predict("coffee", top=3)


def test_settings_of_the_constructor_are_those_shown(network):
    panel = ClassifierExplorer(network, "coffee", top=2)
    assert panel.value == network.predict("coffee", top=2)
    assert (panel.picture.value, panel.top.value) == ("coffee", 2)


def test_reset_goes_back_to_where_the_panel_began(network):
    panel = ClassifierExplorer(network, "coffee", top=2)
    panel.top.value = 7
    panel.picture.value = "cat"
    assert panel.settle()
    panel.reset_button.click()
    assert panel.settle()
    assert (panel.picture.value, panel.top.value) == ("coffee", 2)
    assert panel.value == network.predict("coffee", top=2)
    np.testing.assert_array_equal(panel.view.image, network.view("coffee"))


def test_an_uploaded_picture_is_classified(colours):
    panel = ClassifierExplorer(colours, top=3)
    panel.picture.upload("sea.png", png((0, 40, 250)))
    assert panel.settle()
    assert panel.picture.value == "sea.png"
    scores = torch.tensor([0, 40, 250]) / 25.5
    assert [label for label, _ in panel.value] == ["blue", "green", "red"]
    assert [p for _, p in panel.value] == pytest.approx(scores.softmax(0).flip(0).tolist(), abs=1e-5)
    assert (panel.view.image == (0, 40, 250)).all() and panel.view.image.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "data", [b"", b"this is a text", png("red", (300, 200))[:120]], ids=["empty", "text", "cut off"]
)
def test_a_bad_upload_is_refused_in_words_and_the_panel_keeps_its_picture(panel, data):
    value, shown = panel.value, panel.view.image.copy()
    panel.picture.upload("holiday <1>.png", data)
    assert panel.settle()
    assert "holiday <1>.png" in panel.status.value and "was not taken" in panel.status.value
    assert panel.picture.value == "cat" and panel.value == value
    np.testing.assert_array_equal(panel.view.image, shown)
    panel.picture.value = "coffee"
    assert panel.settle()
    assert panel.value[0][0] == "espresso"
    assert "holiday" not in panel.status.value


def test_a_network_that_fails_says_so_and_the_panel_keeps_what_it_showed(colours, monkeypatch):
    panel = ClassifierExplorer(colours, top=3)
    value, shown = panel.value, panel.view.image.copy()

    def fail(inputs):
        raise RuntimeError("out of chalk")

    monkeypatch.setattr(colours.module, "forward", fail)
    panel.picture.value = "coffee"
    assert panel.settle()
    assert "out of chalk" in panel.status.value
    assert panel.value == value
    np.testing.assert_array_equal(panel.view.image, shown)


def test_a_network_of_few_classes_shows_all_of_them(colours):
    panel = ClassifierExplorer(colours, top=10)
    assert len(panel.value) == panel.top.value == panel.top.max == 3
    assert sum(p for _, p in panel.value) == pytest.approx(1)
    assert panel.view.zoom == 14 and panel.view.pixelated  # 16 pixels, each drawn as a square


def test_a_plain_module_will_do():
    panel = ClassifierExplorer(Brightness(), "coffee", top=1)
    assert panel.value == Network(Brightness()).predict("coffee", top=1)


@pytest.mark.parametrize("top", [0, 11, -1])
def test_more_bars_than_fit_are_refused(network, top):
    with pytest.raises(WrongSetting, match=f"1 to 10 .* not {top}"):
        ClassifierExplorer(network, top=top)


def test_the_picture_of_the_panel_changes_with_it(panel):
    before = panel.snapshot()
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == "ClassifierExplorer()" and "image/jpeg" in bundle
    panel.top.value = 8
    assert panel.snapshot().shape != before.shape or (panel.snapshot() != before).any()


def test_another_network_can_be_chosen(network, monkeypatch, tmp_path):
    from torchvision.models import squeezenet1_1

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    file = folder / "squeezenet1_1.pth"  # as a lab may name it; under its published name only the published bytes load
    torch.save(squeezenet1_1().state_dict(), file)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"cut short")
    panel = ClassifierExplorer(network, image="coffee", choose_network=True)
    first = panel.value

    panel.network_picker.value = "squeezenet1_1"
    assert panel.settle()
    assert panel.network.name == "squeezenet1_1"
    assert panel.value == load_network("squeezenet1_1").predict("coffee", top=5) != first
    assert not panel.status.value

    # One that is not on this machine, and one that is damaged: a sentence, and the panel keeps what it has.
    for name, says in (("alexnet", "python -m cnnviz_widgets fetch alexnet"), ("resnet18", "resnet18-f37072fd.pth")):
        panel.network_picker._field.set_state(
            {
                "index": next(
                    index
                    for index, (_title, offered) in enumerate(panel.network_picker._field.options)
                    if offered == name
                )
            }
        )
        assert panel.settle()
        assert says in panel.status.value and panel.status.wrong
        assert panel.network_picker.value == panel.network.name == "squeezenet1_1"

    panel.picture.value = "cat"
    assert panel.settle()
    assert panel.value == load_network("squeezenet1_1").predict("cat", top=5)
    panel.reset()
    assert panel.settle()
    assert (panel.network.name, panel.value) == (network.name, first)
    panel.close()


def test_a_network_without_a_known_name_cannot_be_one_of_many(colours):
    with pytest.raises(UnknownNetwork, match="Brightness"):
        ClassifierExplorer(colours, choose_network=True)
