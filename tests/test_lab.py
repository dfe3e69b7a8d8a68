"""`make lab`: JupyterLab starts on the first notebook, keeps to itself, and Ctrl-C leaves nothing behind."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tools import lab

REPO = Path(__file__).resolve().parent.parent
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# 00 · Start here"}],
}


class Server:
    """A JupyterLab started the way `make lab` starts it, in a course that holds one small notebook."""

    def __init__(self, folder: Path, *arguments: str):
        course, home = folder / "course", folder / "home"
        for name in ("binder", "tools"):
            shutil.copytree(REPO / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
        (course / "notebooks").mkdir()
        (course / lab.FIRST).write_text(json.dumps(NOTEBOOK))
        home.mkdir()
        self.course, self.home = course, home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "BROWSER"))}
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            kept.pop(name, None)
        self.output = (folder / "output.txt").open("w+")
        self.process = psutil.Popen(
            [sys.executable, str(course / "tools" / "lab.py"), *arguments],
            env={**kept, "HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )
        self.address = self.wait_for_address()
        found = re.match(r"http://(?:localhost|127\.0\.0\.1):(\d+)(/.*)\?token=(\w+)", self.address)
        self.port, self.path, self.token = int(found[1]), found[2], found[3]

    def printed(self) -> str:
        self.output.flush()
        return Path(self.output.name).read_text()

    def wait_for_address(self) -> str:
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            if found := re.search(r"http://\S+token=\w+", self.printed()):
                return found[0]
            time.sleep(0.1)
        self.process.kill()
        pytest.fail(f"JupyterLab printed no address, but: {self.printed()}")

    def ask(self, path: str, body: dict | None = None, method: str | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=60) as answer:
            return answer.read()

    def interrupt(self) -> list[psutil.Process]:
        """Press Ctrl-C once; what is still alive of all that the server had started."""
        children = self.process.children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except psutil.TimeoutExpired:
            pytest.fail(f"JupyterLab still runs after Ctrl-C: {self.printed()}")
        return psutil.wait_procs(children, timeout=5)[1]

    def close(self) -> None:
        if self.process.poll() is None:
            for process in [*self.process.children(recursive=True), self.process]:
                process.kill()
        self.process.wait(10)
        self.output.close()


@pytest.fixture
def start(tmp_path):
    servers = []

    def start_one(*arguments: str) -> Server:
        servers.append(Server(tmp_path / str(len(servers)) if servers else tmp_path, *arguments))
        return servers[-1]

    yield start_one
    for server in servers:
        server.close()


def test_lab_opens_the_first_notebook_and_one_ctrl_c_leaves_nothing_behind(start):
    server = start()
    assert server.path == "/lab/tree/notebooks/00_start_here.ipynb"
    page = server.ask(server.path).decode()
    settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>\s*(\{.*?\})\s*</script>', page, re.DOTALL)[1])
    assert settings["treePath"] == lab.FIRST
    kernel = json.loads(server.ask("/api/kernels", {"name": "python3"}))
    assert len(server.process.children(recursive=True)) >= 1, "the kernel should run as a child"
    assert json.loads(server.ask("/api/kernels"))[0]["id"] == kernel["id"]

    assert server.interrupt() == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0, "the port should be closed"
    left = [path.name for path in (server.home / ".local/share/jupyter/runtime").glob("*.json")]
    assert left == [], "no server or kernel should be listed as running"


def test_lab_asks_for_no_news_and_saves_notebooks_without_widget_views(start):
    server = start()
    page = server.ask(server.path).decode()
    settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>\s*(\{.*?\})\s*</script>', page, re.DOTALL)[1])
    assert settings["news"] == {"disabled": True}
    notification = json.loads(server.ask("/lab/api/settings/@jupyterlab/apputils-extension:notification"))
    defaults = notification["schema"]["properties"]
    assert defaults["fetchNews"]["default"] == "false"
    assert defaults["checkForUpdates"]["default"] is False

    view = {"model_id": "a", "version_major": 2, "version_minor": 0}
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": PICTURE, "text/plain": "panel"}
    output = {"output_type": "display_data", "data": data, "metadata": {"image/png": {"alt": "a", "cnnviz": True}}}
    cell = {"cell_type": "code", "id": "panel", "metadata": {}, "execution_count": 1, "outputs": [output], "source": ""}
    content = {**NOTEBOOK, "cells": [*NOTEBOOK["cells"], cell]}
    server.ask(f"/api/contents/{lab.FIRST}", {"type": "notebook", "content": content}, "PUT")
    saved = json.loads((server.course / lab.FIRST).read_text())
    assert set(saved["cells"][1]["outputs"][0]["data"]) == {"image/png", "text/plain"}
    assert saved["cells"][0]["source"] in ("# 00 · Start here", ["# 00 · Start here"])

    assert not (server.home / ".jupyter" / "lab" / "user-settings").exists(), "nothing of the reader's is changed"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        server.ask("/api/contents/%2e%2e/home")


def test_lab_passes_over_a_port_in_use(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1")
    assert server.port != port
    assert json.loads(server.ask("/api/status"))["kernels"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is made differently on Windows")
def test_ctrl_c_in_a_terminal_asks_no_question(tmp_path):
    """Left to itself, JupyterLab asks there "Shut down this Jupyter server (y/[n])?" and goes on without an answer."""
    ours, theirs = os.openpty()
    process = psutil.Popen(
        [sys.executable, str(REPO / "tools" / "lab.py"), "--no-browser", "--ServerApp.port=0"],
        env={**os.environ, "HOME": str(tmp_path)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        printed = ""
        while "token=" not in printed:
            printed += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        process.wait(60)
        with contextlib.suppress(OSError):  # which is how Linux reports the end of what a terminal says
            while more := os.read(ours, 4096):
                printed += more.decode()
        assert "(y/[n])" not in printed
    finally:
        if process.is_running():
            process.kill()
        os.close(ours)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "wslview"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_browser_opens_only_where_there_is_a_screen(environment, platform, expected):
    assert lab.browser_can_open(environment, platform) is expected
    assert ("--no-browser" in lab.options(REPO, browser=expected, root=False)) is not expected


def test_root_is_allowed_only_when_it_is_root():
    assert "--allow-root" in lab.options(REPO, browser=True, root=True)
    assert "--allow-root" not in lab.options(REPO, browser=True, root=False)


def test_the_readers_own_configuration_comes_after_the_courses():
    changed = lab.surroundings({"JUPYTER_CONFIG_PATH": "/site", "PATH": "/bin"}, REPO)
    assert changed["JUPYTER_CONFIG_PATH"].split(os.pathsep) == [str(REPO / "binder" / "jupyter"), "/site"]
    assert changed["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/bin"]


def test_the_layout_is_kept_in_the_course_unless_that_can_only_be_read(tmp_path, monkeypatch):
    def kept_in_the_course():
        return any("workspaces_dir" in option for option in lab.options(tmp_path, browser=False, root=False))

    assert kept_in_the_course()
    monkeypatch.setattr(lab.os, "access", lambda path, mode: False)
    assert not kept_in_the_course()
