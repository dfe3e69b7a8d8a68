"""Which pictures are meant by one picture, a folder or a list; paths that are none; and names fit for a sentence."""

import io
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz_widgets import Network, images, picture_crops, picture_patches, top_patches
from cnnviz_widgets.errors import ImageError
from cnnviz_widgets.images import PICTURES, load, picture_list, picture_name
from cnnviz_widgets.text import one_line
from tests.uploads import encoded, half_and_half


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU())
    return Network(layers, mean=(0.5,) * 3, std=(0.5,) * 3, size=40)


@pytest.fixture
def photograph(tmp_path):
    file = tmp_path / "photograph.png"
    file.write_bytes(encoded(Image.fromarray(load("cat"))))
    return file


def single(photograph: Path) -> dict:
    """One picture, the cat, in each of the forms that it may have."""
    cat, data = load("cat"), photograph.read_bytes()
    return {
        "name": "cat",
        "path": photograph,
        "path as text": str(photograph),
        "address": photograph.as_uri(),
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "file": io.BytesIO(data),
        "Pillow": Image.fromarray(cat),
        "array": cat,
        "floats": cat / 255.0,
    }


FORMS = [
    "name",
    "path",
    "path as text",
    "address",
    "bytes",
    "bytearray",
    "memoryview",
    "file",
    "Pillow",
    "array",
    "floats",
]


@pytest.mark.parametrize("form", FORMS)
def test_one_picture_is_one_picture_wherever_pictures_are_taken(form, photograph, network):
    assert len(picture_list(single(photograph)[form])) == 1
    np.testing.assert_array_equal(load(picture_list(single(photograph)[form])[0]), load("cat"))
    found = top_patches(network, "0", 3, single(photograph)[form])
    assert found.looked_at == 1
    assert [p.value for p in found.patches] == [p.value for p in top_patches(network, "0", 3, ["cat"]).patches]
    crops = picture_crops(single(photograph)[form], side=40, each=5)
    np.testing.assert_array_equal(crops.images, picture_crops(["cat"], side=40, each=5).images)
    patches = picture_patches(20, 8, pictures=single(photograph)[form])
    assert torch.equal(patches, picture_patches(20, 8, pictures=["cat"]))


def test_all_forms_are_tried(photograph):
    assert list(single(photograph)) == FORMS


def test_a_grey_array_is_one_picture_and_a_stack_is_several():
    assert len(picture_list(np.zeros((40, 50), np.uint8))) == 1
    assert len(picture_list(np.zeros((40, 50, 1), np.uint8))) == 1
    assert [load(one).shape for one in picture_list(np.zeros((5, 40, 50, 3), np.uint8))] == [(40, 50, 3)] * 5
    assert len(picture_list(np.zeros((7, 28, 28), np.uint8))) == 7
    assert picture_list(np.array(["cat", "coffee"])).names == ("cat", "coffee")


def test_lists_and_whatever_runs_through_pictures_are_taken_in_order():
    assert picture_list(None) == list(PICTURES)
    assert picture_list(name for name in ("coffee", "cat")) == ["coffee", "cat"]
    listed = picture_list(["cat", np.zeros((4, 4)), Path("a/b.png")])
    assert listed.names == ("cat", "2", "b.png")
    assert picture_list(listed) is listed


@pytest.mark.parametrize("wrong", [5, 3.5, object(), torch.zeros(1, 3, 4, 4)])
def test_what_is_no_picture_is_one_and_refused_once(wrong, network):
    assert len(picture_list(wrong)) == 1
    with pytest.raises(ImageError, match="None of the 1 pictures can be read"):
        top_patches(network, "0", 0, wrong)


# Folders ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """The usual layout, a folder for each class, with what cameras, macOS and editors leave beside the pictures."""
    for name in (
        "dog/b.jfif",
        "dog/a.AVIF",
        "cat/x.jpg",
        "cat/._x.jpg",
        "cat/.y.png",
        ".trash/z.png",
        "empty/notes.txt",
    ):
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        kind = "AVIF" if name.endswith("AVIF") else "JPEG"
        file.write_bytes(b"\0\5\x16\7" if "._" in name else encoded(half_and_half(), kind))
    return tmp_path / "pictures"


def test_subfolders_are_labels_and_hidden_files_no_pictures(folder, network):
    found = picture_list(folder)
    assert [str(file.relative_to(folder)) for file in found] == [
        str(Path(name)) for name in ("cat/x.jpg", "dog/a.AVIF", "dog/b.jfif")
    ]
    assert found.labels == ["cat", "dog", "dog"]
    assert found.names == ("x.jpg", "a.AVIF", "b.jfif")
    patches = top_patches(network, "0", 0, folder)
    assert patches.looked_at == 3 and not patches.refused


def test_pictures_beside_the_subfolders_have_no_label(folder):
    (folder / "m.png").write_bytes(encoded(half_and_half()))
    found = picture_list(str(folder))
    assert found.labels == [None, "cat", "dog", "dog"] and found[0].name == "m.png"


def test_a_folder_of_hidden_files_only_has_no_pictures(folder):
    with pytest.raises(ImageError, match='no pictures in the folder ".trash2"'):
        hidden = folder / ".trash2"
        hidden.mkdir()
        (hidden / ".a.png").touch()
        picture_list(hidden)


# Paths --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", ["https://example.org/cat.jpg", Path("https://example.org/cat.jpg"), "s3://lab/cat.png"]
)
def test_an_address_on_the_web_is_answered_in_a_sentence(source):
    for read in (load, picture_list):
        with pytest.raises(ImageError, match="not fetched from the web"):
            read(source)


def test_a_file_address_is_read(tmp_path):
    file = tmp_path / "my cat.png"
    file.write_bytes(encoded(half_and_half()))
    for address in (file.as_uri(), Path(file.as_uri()), file.as_uri().replace("file://", "file://localhost")):
        np.testing.assert_array_equal(load(address), load(file))
    with pytest.raises(ImageError, match='There is no file "other cat.png"'):
        load((tmp_path / "other cat.png").as_uri())


def at_once(path: Path) -> str:
    """What is said of `path`, by a thread of its own, so that a test that hangs fails."""
    said = []

    def read():
        try:
            load(path)
        except ImageError as error:
            said.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert said, "no answer within five seconds"
    return said[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_a_pipe_a_socket_or_a_device_is_answered_at_once(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    assert at_once(tmp_path / "pipe.png") == '"pipe.png" is a pipe or a device, not a picture.'
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        assert "not a picture" in at_once(tmp_path / "socket.png")
    assert "not a picture" in at_once(Path("/dev/zero"))
    assert "not a picture" in at_once(Path("/dev/null"))


def test_a_pipe_in_a_folder_is_passed_over(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(encoded(half_and_half()))
    assert picture_list(tmp_path).names == ("b.png",)


# Names --------------------------------------------------------------------------------------------------------------

ODD = [
    "two\nlines",
    "a\u2028b\u2029c",
    "bell\a",
    "tab\there",
    "x" * 5000,
    "turned\u202eround",
    "\x1b[31mred",
    "\x85next",
]


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_one_line_of_eighty_characters(name):
    clean = one_line(name)
    assert 0 < len(clean) <= 80 and clean.isprintable() and len(clean.splitlines()) == 1


def test_names_of_all_languages_stay_as_they_are():
    for name in ("Müller’s Kätzchen.jpg", "猫.png", "👩‍👩‍👧.png", "naïve  ".strip(), "x" * 80):
        assert one_line(name) == name
    assert one_line("a \n\t b") == "a b"
    assert one_line("x" * 81) == "x" * 79 + "…"
    assert one_line("caf\udce9.png") == "caf�.png"  # a byte that is not UTF-8, as Python keeps it


@pytest.mark.parametrize("name", ODD)
def test_odd_file_names_make_clean_sentences(tmp_path, name, network):
    for source in (name, tmp_path / name, tmp_path / f"{name}.png"):
        with pytest.raises(ImageError) as refused:
            load(source)
        sentence = str(refused.value)
        assert sentence.isprintable() and len(sentence) < 300
    file = tmp_path / f"{name[:100]}.png"
    file.write_bytes(b"nothing")
    assert picture_name(file).isprintable()
    other = tmp_path / "z.png"
    other.write_bytes(encoded(half_and_half()))
    found = top_patches(network, "0", 0, tmp_path)
    assert all(sentence.isprintable() for sentence in found.refused) and len(found.refused) == 1


def test_the_floor_s_names_can_be_had_from_it():
    assert images.at_most(load("cat"), 100).shape == (80, 100, 3)
    assert images.crop(load("cat"), (-1, -1, 2, 2)).shape == (3, 3, 3)
    assert images.picture_crops is picture_crops
