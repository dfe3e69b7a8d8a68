"""A real JupyterLab (and a real Voilà) in headless Chromium, for tests that need a front end.

Fixtures:

``open_notebook(cells, …) -> Notebook``
    writes a notebook, opens it in JupyterLab and waits for its kernel. A test that asks for it runs twice: with widget
    messages sent through kernel subshells and without. To run once only, decorate the test with ``@SUBSHELLS_ONLY``
    (``pytest.mark.parametrize("subshells", [True], indirect=True)``).
``subshells``
    whether they are on in this run.
``voila(cells, …) -> Notebook``
    the same notebook served as a page by Voilà on a port of its own.

Servers have fresh settings, no network (nor has the browser), and start at most once a session for each mode. When a
test fails, a screenshot of each of its pages is left in ``tests/browser/.shots``.
"""

import ast
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
OFFLINE = ROOT / "tools" / "offline"
SHOTS = Path(__file__).parent / ".shots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# How long to wait before a test fails; no test is slower for a generous limit, and a busy machine needs it.
START_SECONDS = 240
CELL_SECONDS = 240
WAIT_SECONDS = 60

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

LAB_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # A test says when it saves.
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    # Cells outside the viewport stay in the page, where a test can read them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}

# A box holds an empty widget in the place of each child that is still being made.
NOTHING_MISSING = """() => {
    const outputs = [...document.querySelectorAll(".jp-OutputArea-output")];
    const missing = output => output.textContent.startsWith("Loading widget")
        || [...output.querySelectorAll(".lm-Widget:empty")].some(node => node.className.trim() === "lm-Widget");
    return !outputs.some(missing);
}"""

WHERE_COMMS_RUN = "@jupyterlab/apputils-extension/kernels-settings"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _isolated_environment(folder: Path) -> dict[str, str]:
    """Return variables that keep a Jupyter process to ``folder`` and off the network."""
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    for name in names.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    path = [str(OFFLINE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **{variable: str(folder / name) for variable, name in names.items()},
        "JUPYTER_PREFER_ENV_PATH": "1",
        # The course's own settings, such as what happens when a reader saves.
        "JUPYTER_CONFIG_PATH": str(ROOT / "binder" / "jupyter"),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "CNNVIZ_LANG": "en",
    }


class Server:
    """A Jupyter process in a folder of its own, ready when it answers on the path ``ready`` (or, if empty, at all)."""

    def __init__(self, arguments: Sequence[str], folder: Path, ready: str, token: str = ""):
        self.folder, self.token = folder, token
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = _isolated_environment(folder / "jupyter")
        self.runtime = folder / "jupyter" / "runtime"
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *(argument.format(port=self.port) for argument in arguments)],
                cwd=folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        try:
            self._wait_until_ready(ready)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, path: str) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if path:
                    self.ask(path)
                else:
                    socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.process.args} did not start:\n{self.log.read_text()[-3000:]}")

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Send a request to the server's REST interface and return its answer, decoded."""
        headers = {"Authorization": f"token {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=START_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text[:1] in (b"{", b"[") else text

    def stop(self) -> None:
        """End the process and the kernels that it started."""
        children = _descendants(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)
        for child in children:
            with contextlib.suppress(Exception):
                child.kill()


def _end_with_parent() -> None:
    """Ask Linux to end this process when the tests are killed before they can stop it."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _descendants(pid: int) -> list[Any]:
    import psutil

    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def _start_lab(folder: Path, subshells: bool) -> Server:
    settings = {**LAB_SETTINGS, WHERE_COMMS_RUN: {"commsOverSubshells": "perCommTarget" if subshells else "disabled"}}
    for name, value in settings.items():
        file = folder / "jupyter" / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    token = uuid.uuid4().hex
    (folder / "notebooks").mkdir()
    arguments = [
        "jupyterlab",
        "--allow-root",
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder / 'notebooks'}",
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
    ]
    return Server(arguments, folder, "/api/status", token)


class Kernel:
    """A second client of a kernel that a front end is using: it evaluates between the front end's own requests."""

    def __init__(self, connection_file: Path):
        # Playwright's event loop lives in the main thread, and a client wants one of its own.
        self._thread = ThreadPoolExecutor(1)
        self._client = self._thread.submit(self._connect, connection_file).result()

    @staticmethod
    def _connect(connection_file: Path) -> Any:
        from jupyter_client import BlockingKernelClient

        client = BlockingKernelClient(connection_file=str(connection_file))
        client.load_connection_file()
        client.start_channels(iopub=False, stdin=False, hb=False)
        return client

    def run(self, code: str, timeout: float = WAIT_SECONDS) -> None:
        """Run code in the kernel, outside the notebook's history and execution count."""
        self._ask(code, {}, timeout)

    def eval(self, expression: str, timeout: float = WAIT_SECONDS) -> Any:
        """Evaluate an expression there and return its value, by way of JSON: arrays and tuples arrive as lists."""
        tolerant = "default=lambda o: o.tolist() if hasattr(o, 'tolist') else list(o)"
        asked = {"value": f"__import__('json').dumps(({expression}), {tolerant})"}
        answer = self._ask("", asked, timeout)["user_expressions"]["value"]
        if answer["status"] != "ok":
            raise RuntimeError(f"{expression}: {answer['ename']}: {answer['evalue']}")
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def _ask(self, code: str, expressions: dict[str, str], timeout: float) -> dict[str, Any]:
        return self._thread.submit(self._ask_here, code, expressions, timeout).result()

    def _ask_here(self, code: str, expressions: dict[str, str], timeout: float) -> dict[str, Any]:
        client = self._client
        # silent requests leave user expressions unevaluated only when the code fails
        request = client.execute(code, silent=True, store_history=False, user_expressions=expressions)
        end = time.monotonic() + timeout
        while True:
            message = client.get_shell_msg(timeout=max(0.01, end - time.monotonic()))
            if message["parent_header"].get("msg_id") == request:
                break
        content = message["content"]
        if content["status"] != "ok":
            raise RuntimeError("\n".join(content.get("traceback", [content["status"]])))
        return content

    def close(self) -> None:
        """Leave the kernel running and close this client."""
        self._thread.submit(self._client.stop_channels).result()
        self._thread.shutdown()


class Notebook:
    """A notebook open in the browser.

    Attributes:
        page: Playwright's page.
        path: the notebook's file.
        problems: uncaught errors and error messages of the page's console so far.
        outside: addresses beyond this machine that the page asked for so far.
    """

    def __init__(self, page: Any, server: Server, path: Path):
        self.page, self.server, self.path = page, server, path
        self.problems: list[str] = []
        self.outside: list[str] = []
        self._kernel: Kernel | None = None
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._listen)
        page.on("request", self._watch)

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def _watch(self, request: Any) -> None:
        if re.match(r"(https?|wss?)://(?!127\.0\.0\.1[:/]|localhost[:/])", request.url):
            self.outside.append(request.url)

    # The front end

    def command(self, name: str, **arguments: Any) -> None:
        """Run one of JupyterLab's commands and wait until it is done."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)", [name, arguments]
        )

    def run_all(self) -> None:
        """Run every cell, as Run All does, and wait for the last one and for all widgets to be in the page."""
        self.command("notebook:run-all-cells")
        self.wait_idle()
        self.wait_until_built()

    def run_cell(self, index: int) -> None:
        """Run one cell and wait for its end and for its widgets to be in the page."""
        self.page.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", index)
        self.command("notebook:run-cell")
        self.wait_idle()
        self.wait_until_built()

    def wait_until_built(self) -> None:
        """Wait until every widget of the outputs is in its place: until then nothing else has a fixed one."""
        self.page.wait_for_function(NOTHING_MISSING)

    def cell(self, index: int) -> Any:
        """Return the locator of a cell, counted from 0 over cells of every kind."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int = -1) -> Any:
        """Return the locator of what a cell has put out (on a Voilà page: of the page)."""
        if index == -1:
            return self.page.locator(".jp-OutputArea-output").last
        return self.cell(index).locator(".jp-OutputArea-output")

    def saved(self) -> nbformat.NotebookNode:
        """Return the notebook as it is on disk."""
        return nbformat.read(self.path, as_version=4)

    def save(self) -> nbformat.NotebookNode:
        """Save in the front end and return what is on disk then."""
        self.command("docmanager:save")
        return self.saved()

    def reopen(self) -> None:
        """Shut the kernel down and load the file anew: its cells have not run, and no widget model is left."""
        address = self.page.url
        self.page.goto("about:blank")  # a page that loses its kernel complains
        self.shut_down()
        self.page.goto(address)
        self._wait_for_kernel()

    def screenshot(self, name: str) -> Path:
        """Write a picture of the page into the folder of screenshots."""
        SHOTS.mkdir(exist_ok=True)
        file = SHOTS / f"{name}.png"
        self.page.screenshot(path=file)
        return file

    # The kernel

    @property
    def kernel(self) -> Kernel:
        """The kernel behind the page."""
        if self._kernel is None:
            self._kernel = Kernel(self._connection_file())
        return self._kernel

    def eval(self, expression: str, timeout: float = WAIT_SECONDS) -> Any:
        """Evaluate a Python expression in the notebook's kernel; see ``Kernel.eval``."""
        return self.kernel.eval(expression, timeout)

    def wait_for(self, expression: str, value: object = True, timeout: float = WAIT_SECONDS) -> None:
        """Wait until an expression in the kernel has a value; fail with the last one seen."""
        end = time.monotonic() + timeout
        while (seen := self.eval(expression)) != value:
            assert time.monotonic() < end, f"{expression} is {seen!r} after {timeout} s, not {value!r}"
            # through the page, so that its events are not kept waiting
            self.page.wait_for_timeout(50)

    def wait_idle(self, timeout: float = CELL_SECONDS) -> None:
        """Wait until the kernel has nothing left to do on its main thread."""
        self.eval("None", timeout)

    def _connection_file(self) -> Path:
        for session in self.server.ask("/api/sessions"):
            if session["path"].rpartition("/")[2] == self.path.name:
                return self.server.runtime / f"kernel-{session['kernel']['id']}.json"
        raise RuntimeError(f"{self.path.name} has no kernel")

    def _wait_for_kernel(self) -> None:
        self.page.wait_for_function(
            """() => {
                const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
                return session?.isReady && session.session?.kernel?.status === "idle";
            }""",
            timeout=START_SECONDS * 1000,
        )

    def shut_down(self) -> None:
        """End the kernel."""
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
        for session in self.server.ask("/api/sessions"):
            if session["path"].rpartition("/")[2] == self.path.name:
                self.server.ask(f"/api/sessions/{session['id']}", "DELETE")


class VoilaPage(Notebook):
    """A notebook as Voilà shows it: ``page``, ``output``, ``eval``, ``wait_for``; there are no cells to run."""

    def _connection_file(self) -> Path:
        return max(self.server.folder.glob("**/kernel-*.json"), key=lambda file: file.stat().st_mtime)

    def shut_down(self) -> None:
        """Close the client of the kernel, which ends with its server."""
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None


def _write(path: Path, cells: Sequence[str]) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark browser tests, and put them last: Playwright's event loop must not run under other tests."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: here in item.path.parents)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures know, when they are torn down, whether their test has failed."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A window of a headless Chromium, whose cache all pages share; the test is skipped where there is no Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("There is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(WAIT_SECONDS * 1000)
        yield context
        chromium.close()


@pytest.fixture(scope="session")
def _labs() -> Iterator[Callable[[bool], Server]]:
    running: dict[bool, Server] = {}
    with tempfile.TemporaryDirectory(prefix="cnnviz-lab-", ignore_cleanup_errors=True) as folder:

        def lab(subshells: bool) -> Server:
            if subshells not in running:
                own = Path(folder) / ("subshells" if subshells else "main")
                own.mkdir()
                running[subshells] = _start_lab(own, subshells)
            return running[subshells]

        try:
            yield lab
        finally:
            for server in running.values():
                server.stop()


@pytest.fixture(params=[True, False], ids=["subshells", "no subshells"])
def subshells(request: pytest.FixtureRequest) -> bool:
    """Whether JupyterLab sends widget messages through kernel subshells."""
    return request.param


@contextlib.contextmanager
def _pages(request: pytest.FixtureRequest) -> Iterator[list[Notebook]]:
    """A list of what is opened in a test, which is closed at its end."""
    opened: list[Notebook] = []
    try:
        yield opened
    finally:
        if request.node.stash.get(_FAILED, False):
            test = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
            for index, notebook in enumerate(opened):
                with contextlib.suppress(Exception):
                    notebook.screenshot(f"{test}-{index}")
        for notebook in opened:
            with contextlib.suppress(urllib.error.URLError):
                notebook.shut_down()
            with contextlib.suppress(Exception):
                notebook.page.close()


@pytest.fixture
def open_notebook(
    browser: Any, _labs: Callable[[bool], Server], subshells: bool, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """Function that opens cells in JupyterLab.

    Called as ``open_notebook(cells, view="doc", files=None)``: ``cells`` are the sources of code cells, or the path of
    a notebook to copy; ``view`` is "doc" (one document) or "lab" (the whole application); ``files`` maps the names of
    further files that lie beside the notebook to their text or bytes. Nothing has run yet in what it returns.
    """
    with _pages(request) as opened:

        def open_cells(
            cells: Sequence[str] | Path, view: str = "doc", files: dict[str, str | bytes] | None = None
        ) -> Notebook:
            server = _labs(subshells)
            name = uuid.uuid4().hex[:8]
            folder = server.folder / "notebooks" / name
            path = _place(folder, f"{name}.ipynb", cells, files)
            address = f"{name}/{path.name}"
            address = f"doc/tree/{address}" if view == "doc" else f"lab/workspaces/{name}/tree/{address}"
            notebook = Notebook(browser.new_page(), server, path)
            opened.append(notebook)
            notebook.page.goto(f"{server.url}/{address}?token={server.token}")
            notebook._wait_for_kernel()
            return notebook

        yield open_cells


@pytest.fixture
def voila(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., VoilaPage]]:
    """Function that serves cells in Voilà: ``voila(cells, files=None)``, with the arguments of ``open_notebook``."""
    pytest.importorskip("voila", reason="Voilà is not installed")
    servers: list[Server] = []
    try:
        with _pages(request) as opened:

            def serve(cells: Sequence[str] | Path, files: dict[str, str | bytes] | None = None) -> VoilaPage:
                path = _place(tmp_path / f"voila{len(servers)}", "page.ipynb", cells, files)
                arguments = [
                    *("voila", path.name, "--no-browser", "--Voila.ip=127.0.0.1", "--port={port}"),
                    f"--Voila.connection_dir_root={path.parent}",
                ]
                servers.append(Server(arguments, path.parent, ready=""))
                page = VoilaPage(browser.new_page(), servers[-1], path)
                opened.append(page)
                page.page.goto(servers[-1].url, timeout=START_SECONDS * 1000)  # it runs the cells first
                page.page.locator(".jp-OutputArea-output").first.wait_for(timeout=START_SECONDS * 1000)
                page.wait_until_built()
                return page

            yield serve
    finally:
        for server in servers:
            server.stop()


def _place(folder: Path, name: str, cells: Sequence[str] | Path, files: dict[str, str | bytes] | None) -> Path:
    folder.mkdir(parents=True)
    for other, content in (files or {}).items():
        (folder / other).write_bytes(content.encode() if isinstance(content, str) else content)
    if isinstance(cells, Path):
        return Path(shutil.copy(cells, folder / name))
    return _write(folder / name, cells)
