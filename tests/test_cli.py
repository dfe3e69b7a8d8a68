"""The command line, called as a reader calls it."""

import os
import re
import subprocess
import sys

import pytest
import torch

from cnnviz_widgets.__main__ import main
from cnnviz_widgets.networks import weights


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def rows(printed: str) -> dict[str, list[str]]:
    """The table's rows by name; columns are set apart by two spaces or more."""
    return {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line) for line in printed.splitlines())}


def test_the_table_says_what_each_network_costs_and_where_it_is(cache, capsys):
    (cache / "alexnet-owt-7be5be79.pth").write_bytes(b"there")
    assert main(["networks"]) == 0
    table = rows(capsys.readouterr().out)
    assert table["name"] == ["year", "parameters", "MB", "weights"]
    assert table["efficientnet_lite0"] == ["2020", "4,652,008", "18", "bundled"]
    assert table["alexnet"] == ["2012", "61,100,840", "233", f"cached: {cache / 'alexnet-owt-7be5be79.pth'}"]
    assert table["vgg16"] == ["2014", "138,357,544", "528", "to be downloaded"]
    assert {network.name for network in weights.known_networks()} < set(table)


def test_the_table_can_be_narrowed_to_a_word(cache, capsys):
    assert main(["networks", "VGG"]) == 0
    names = set(rows(capsys.readouterr().out))
    assert {"vgg11", "vgg16_bn"} < names and "resnet18" not in names
    assert main(["networks", "zebra"]) == 1
    assert capsys.readouterr().err == 'No network has "zebra" in its name.\n'


def test_fetching_says_where_each_file_is_and_goes_on_after_a_failure(cache, capsys):
    assert main(["fetch", "vgg61", "efficientnet_lite0"]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"efficientnet_lite0: {weights.bundled_file()}\n"
    assert "Did you mean" in printed.err and "Traceback" not in printed.err
    assert main(["fetch", "efficientnet_lite0"]) == 0


def test_a_set_of_weights_can_be_named(cache, capsys):
    assert main(["fetch", "resnet50", "--weights", "V9"]) == 1
    assert "there are: default, IMAGENET1K_V1, IMAGENET1K_V2" in capsys.readouterr().err


def test_without_a_network_fetching_is_one_kind_sentence(tmp_path):
    """From outside, with every connection refused."""
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy")}
    environment = {
        **os.environ,
        **nowhere,
        "TORCH_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "no_proxy": "",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cnnviz_widgets", "fetch", "vgg16"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "vgg16 (vgg16-397923af.pth, 528 MB) are not on this machine and could not be fetched" in done.stderr


def test_the_table_may_be_cut_short_by_who_reads_it():
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnviz_widgets", "networks"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(60)
