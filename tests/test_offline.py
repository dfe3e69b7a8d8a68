"""The network cut-off in ``tools/offline`` stops the outside world, in plain Python and in kernels, and no more."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

OFFLINE = Path(__file__).parents[1] / "tools" / "offline"
MESSAGE = "The network is cut off in tests"

ASK_OUTSIDE = """
import urllib.request
try:
    urllib.request.urlopen("http://example.org", timeout=5)
except OSError as error:
    print(error)
"""

CONNECT_OUTSIDE = """
import socket
for family, kind, address in [
    (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)),
]:
    try:
        with socket.socket(family, kind) as outside:
            outside.settimeout(0.2)
            outside.connect(address)
    except OSError as error:
        print(error)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))
except OSError as error:
    print(error)
"""

TALK_TO_ITSELF = """
import socket, threading
for host in ("127.0.0.1", "localhost"):
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection((host, server.getsockname()[1])) as client:
            client.sendall(b"hello")
            print(server.accept()[0].recv(5).decode())
left, right = socket.socketpair()
left.sendall(b"pair")
print(right.recv(4).decode())
"""


def run_offline(code: str, *folders: Path, **variables: str) -> str:
    path = os.pathsep.join(str(folder) for folder in (OFFLINE, *folders))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_name_outside_is_refused_before_it_is_looked_up():
    assert MESSAGE in run_offline(ASK_OUTSIDE)


def test_an_address_outside_is_refused_by_stream_and_by_datagram():
    assert run_offline(CONNECT_OUTSIDE).count(MESSAGE) == 3


def test_the_machine_itself_can_be_reached():
    assert run_offline(TALK_TO_ITSELF).split() == ["hello", "hello", "pair"]


def test_child_processes_inherit_the_cut():
    code = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {ASK_OUTSIDE!r}], text=True))"
    assert MESSAGE in run_offline(code)


def test_a_proxy_on_this_machine_is_no_way_out():
    printed = run_offline(
        "import urllib.request; print(urllib.request.getproxies())",
        http_proxy="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert printed.strip() == "{}"


def test_another_sitecustomize_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.other_ran = True\n")
    assert run_offline("print(other_ran)" + ASK_OUTSIDE, tmp_path).startswith("True\n<urlopen error " + MESSAGE)


def test_a_kernel_is_cut_off_and_still_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(OFFLINE))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = new_notebook(cells=[new_code_cell(ASK_OUTSIDE), new_code_cell(TALK_TO_ITSELF)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outside, itself = (cell.outputs[0].text for cell in nbformat.from_dict(notebook).cells)
    assert MESSAGE in outside
    assert itself.split() == ["hello", "hello", "pair"]


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost", b"localhost", None, ""])
def test_hosts_of_this_machine_are_let_through(host):
    answer = run_offline(f"import sitecustomize; print(sitecustomize._is_local({host!r}))")
    assert answer.strip() == "True"


@pytest.mark.parametrize(
    "host", ["example.org", "192.0.2.1", "2001:db8::1", "localhost.example.org", "127.0.0.1.example.org"]
)
def test_hosts_elsewhere_are_not(host):
    answer = run_offline(f"import sitecustomize; print(sitecustomize._is_local({host!r}))")
    assert answer.strip() == "False"
