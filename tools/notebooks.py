"""Execute the course's notebooks: the only way by which outputs get into the repository.

    python tools/notebooks.py [NAME…] [--force] [--check] [--memory FILE]

A notebook is stale when its code cells, or the package under them, have changed since it was executed; both are kept
as fingerprints in the notebook's metadata. Stale notebooks run from top to bottom in a fresh kernel with the network
cut off. What is written then is as small a change as possible: no widget views or states, no times and versions, cell
ids that depend on what the cells say, and the old picture wherever the new one looks the same. Nothing is written for a
notebook that breaks a rule (see ``notebook_rules``) or is larger than 1 MB, and the exit status is 1.
"""

import argparse
import base64
import copy
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import notebook_rules as rules
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PACKAGE = ROOT / "cnnviz_widgets"
OFFLINE = ROOT / "tools" / "offline"

CELL_SECONDS = 300
WARN_BYTES = 250_000
LEAST_DIFFERENCE = 2.0
"""Two pictures look the same if their pixels (0 to 255) differ by less than this on average …"""
LEAST_LOCAL_DIFFERENCE = 8.0
"""… and by less than this in every block of 8 × 8, so that a changed digit in a legend is not lost in the average."""

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
CELL_METADATA = ("tags", "jupyter", "slideshow", "nbgrader")
_PROGRESS_BAR = re.compile(r"\d+%\|.*\|\s*\d+/")


class Refused(Exception):
    """A notebook may not be written; the arguments are the reasons."""


@dataclass(frozen=True)
class Run:
    """What one execution took: seconds, the peak of resident memory in bytes, and the file's size in bytes."""

    name: str
    seconds: float
    peak: int
    size: int


# Fingerprints


def code_fingerprint(notebook: rules.Notebook) -> str:
    """Return a short hash of the sources of a notebook's code cells."""
    sources = [rules.text_of(cell["source"]).strip("\n") for cell in rules.code_cells(notebook)]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def package_fingerprint(package: Path = PACKAGE) -> str:
    """Return a short hash of the package's files, apart from its translations."""
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*")):
        relative = file.relative_to(package)
        hidden = any(part.startswith((".", "__pycache__")) for part in relative.parts)
        if file.is_file() and not hidden and relative.parts[0] != "locale":
            digest.update(f"{relative.as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).digest())
    return digest.hexdigest()[:16]


def fingerprint(notebook: rules.Notebook, package: Path = PACKAGE) -> dict[str, str]:
    """Return what a notebook's outputs depend on: its code cells and the package."""
    return {"code": code_fingerprint(notebook), "package": package_fingerprint(package)}


def is_stale(notebook: rules.Notebook, package: Path = PACKAGE) -> bool:
    """Tell whether a notebook has to run again."""
    return notebook["metadata"].get("cnnviz", {}).get("fingerprint") != fingerprint(notebook, package)


# Execution


class _Memory(threading.Thread):
    """Watches the resident memory of a process and of all that it starts."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.peak, self._over = pid, 0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            self.peak = max(self.peak, self._resident(), _high_water_mark(self.pid))

    def _resident(self) -> int:
        import psutil

        try:
            process = psutil.Process(self.pid)
            return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
        except psutil.Error:
            return 0

    def stop(self) -> int:
        """Return the peak in bytes; the process must still be there for the last look."""
        self._over.set()
        self.join()
        return max(self.peak, _high_water_mark(self.pid))


def _high_water_mark(pid: int) -> int:
    """Return Linux's own record of a process's peak in bytes, which misses nothing between two looks; 0 elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def execute(notebook: nbformat.NotebookNode, folder: Path) -> tuple[nbformat.NotebookNode, float, int]:
    """Run a notebook from top to bottom in a fresh kernel without network.

    Args:
        notebook: the notebook, which stays as it is.
        folder: the working directory of the kernel.

    Returns:
        The executed copy, the seconds that it took and the peak of memory in bytes. A failing cell ends the run, and
        its error is among the outputs.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = copy.deepcopy(notebook)
    for cell in rules.code_cells(notebook):
        cell["outputs"], cell["execution_count"] = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # a kernel warns of its connections on the terminal
        resources={"metadata": {"path": str(folder)}},
    )
    with tempfile.TemporaryDirectory() as ipython:
        start = time.perf_counter()
        try:
            with client.setup_kernel(env=_kernel_environment(ipython)):
                memory = _Memory(client.km.provisioner.pid)
                memory.start()
                try:
                    for index, cell in enumerate(notebook.cells):
                        client.execute_cell(cell, index)
                finally:
                    peak = memory.stop()
        except CellExecutionError:
            pass
        except (CellTimeoutError, DeadKernelError) as error:
            raise Refused(f"does not come to an end: {str(error).strip()[:300]}") from error
    return notebook, time.perf_counter() - start, peak


def _kernel_environment(ipython: str) -> dict[str, str]:
    path = [str(OFFLINE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "IPYTHONDIR": ipython,  # no start-up files or settings of whoever runs this
        "JUPYTER_PREFER_ENV_PATH": "1",
        "CNNVIZ_LANG": "en",
        "TQDM_DISABLE": "1",  # a bar is a widget without a picture, and says how fast this machine is
    }


# What is written


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy of a notebook without widget views and in the one form in which notebooks are committed."""
    from cnnviz_widgets.jupyter import strip_views

    notebook = nbformat.from_dict(strip_views(notebook, of_others=True))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    own = notebook.metadata.get("cnnviz")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE})
    if own:
        notebook.metadata["cnnviz"] = own
    for cell, name in zip(notebook.cells, _cell_ids(notebook), strict=True):
        cell["id"] = name
        cell["source"] = cell["source"].strip("\n")
        cell["metadata"] = {key: cell["metadata"][key] for key in CELL_METADATA if cell["metadata"].get(key)}
        if cell["cell_type"] == "code":
            cell["outputs"] = [_tidy_output(output) for output in cell["outputs"] if not _is_progress_bar(output)]
    return notebook


def _cell_ids(notebook: rules.Notebook) -> Iterator[str]:
    """Yield ids that depend on what cells say, so that one stays the same when others come, go or move."""
    seen: dict[str, int] = {}
    for cell in notebook["cells"]:
        said = f"{cell['cell_type']}\0{rules.text_of(cell['source']).strip()}"
        name = hashlib.sha256(said.encode()).hexdigest()[:8]
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}"


def _tidy_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    output.pop("transient", None)
    return output


def _is_progress_bar(output: rules.Notebook) -> bool:
    data = output.get("data", {})
    return rules.WIDGET_VIEW in data and bool(_PROGRESS_BAR.search(rules.text_of(data.get("text/plain", ""))))


def looks_the_same(old: bytes, new: bytes) -> bool:
    """Tell whether two encoded pictures of one size differ so little that nobody would see it.

    The bounds are ``LEAST_DIFFERENCE`` on the mean absolute difference of all pixels and channels (0 to 255), and
    ``LEAST_LOCAL_DIFFERENCE`` on that of every block of 8 × 8.
    """
    try:
        first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), np.float32) for data in (old, new))
    except OSError:
        return False
    if first.shape != second.shape:
        return False
    difference = np.abs(first - second).max(axis=2)
    height, width = (-size % 8 for size in difference.shape)
    blocks = np.pad(difference, ((0, height), (0, width)))
    blocks = blocks.reshape(blocks.shape[0] // 8, 8, blocks.shape[1] // 8, 8).mean(axis=(1, 3))
    return bool(difference.mean() < LEAST_DIFFERENCE and blocks.max() < LEAST_LOCAL_DIFFERENCE)


def keep_old_pictures(new: nbformat.NotebookNode, old: nbformat.NotebookNode) -> int:
    """Put the old encoding of every picture that has not visibly changed into a notebook.

    Pictures are matched by their cell (the same source, or else the same place if there are as many code cells as
    before) and their place among the cell's pictures.

    Returns:
        The number of pictures kept.
    """
    kept = 0
    for cell, before in _matching_cells(new, old):
        old_pictures = list(_pictures(before))
        for index, (kind, data, replace) in enumerate(list(_pictures(cell))):
            if index < len(old_pictures) and old_pictures[index][0] == kind:
                former = old_pictures[index][1]
                if former != data and looks_the_same(_decode(former), _decode(data)):
                    replace(former)
                    kept += 1
    return kept


def _matching_cells(new: rules.Notebook, old: rules.Notebook) -> Iterator[tuple[rules.Cell, rules.Cell]]:
    was, now = rules.code_cells(old), rules.code_cells(new)
    by_source = {rules.text_of(cell["source"]).strip(): cell for cell in was}
    for index, cell in enumerate(now):
        same = by_source.get(rules.text_of(cell["source"]).strip())
        if same is not None:
            yield cell, same
        elif len(was) == len(now):
            yield cell, was[index]


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except ValueError:
        return b""


def _pictures(cell: rules.Cell) -> Iterator[tuple[str, str, Any]]:
    """Yield MIME type, base64 data and a function that replaces the data, of every picture among a cell's outputs."""
    for output in cell["outputs"]:
        data = output.get("data", {})
        for kind in rules.PICTURES:
            if kind in data:
                yield kind, rules.text_of(data[kind]), lambda text, data=data, kind=kind: data.update({kind: text})
        for found in rules.DATA_URI.finditer(rules.text_of(data.get("text/html", ""))):

            def replace(text: str, data: dict = data, now: str = found[2]) -> None:
                data["text/html"] = rules.text_of(data["text/html"]).replace(now, text)

            yield found[1], found[2], replace


def to_text(notebook: nbformat.NotebookNode) -> str:
    """Return the text of a notebook's file."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def _write(path: Path, text: str) -> None:
    """Replace a file at once, or not at all."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


# The command


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook, bringing an older minor version of the format up to date.

    Raises:
        Refused: if the file is no notebook.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["nbformat_minor"] = max(content["nbformat_minor"], 5)
        for cell, name in zip(content["cells"], _cell_ids(content), strict=True):
            cell.setdefault("id", name)
        notebook = nbformat.from_dict(content)
        nbformat.validate(notebook)
    except (OSError, ValueError, KeyError, TypeError, nbformat.ValidationError) as error:
        raise Refused(f"is no notebook: {str(error)[:200]}") from error
    # Sources and outputs may be lists of lines in the file.
    return nbformat.reads(json.dumps(content), as_version=4)


def bring_up_to_date(path: Path, force: bool = False, package: Path = PACKAGE) -> Run | None:
    """Execute a notebook if it is stale, and write it in the committed form.

    Args:
        path: the notebook.
        force: execute it in any case.
        package: the folder of the package on which its outputs depend.

    Returns:
        What the run took, or None if the notebook was not executed.

    Raises:
        Refused: if it breaks a rule; the file is then as it was.
    """
    old = read(path)
    _refuse(rules.breaches(old, rules.BEFORE_RUNNING))
    stale = force or is_stale(old, package)
    new, seconds, peak, stamp = old, 0.0, 0, None
    if stale:
        stamp = fingerprint(old, package)
        new, seconds, peak = execute(old, path.parent)
    new = tidy(new)
    _refuse(rules.breaches(new))
    if stamp:
        keep_old_pictures(new, old)
        new.metadata["cnnviz"] = {"fingerprint": stamp}
    text = to_text(new)
    size = len(text.encode())
    if size > rules.LARGEST_FILE:
        _refuse([f"is {size / 1000:.0f} kB large; {rules.LARGEST_FILE / 1000:.0f} kB are the most"])
    if text != path.read_text(encoding="utf-8"):
        _write(path, text)
    return Run(path.stem, seconds, peak, size) if stale else None


def _refuse(reasons: list[str]) -> None:
    if reasons:
        raise Refused(*reasons)


def check(path: Path, package: Path = PACKAGE) -> list[str]:
    """Return what is wrong with a notebook as it is, without running or writing it."""
    try:
        notebook = read(path)
    except Refused as refused:
        return list(refused.args)
    found = rules.breaches(notebook, rules.REFUSED + rules.HOUSE)
    if is_stale(notebook, package):
        found.append("is stale: its code, or the package, has changed since it was executed")
    if path.stat().st_size > rules.LARGEST_FILE:
        found.append(f"is {path.stat().st_size / 1000:.0f} kB large")
    return found


def memory_table(runs: list[Run]) -> str:
    """Return a Markdown table of what each notebook took."""
    lines = ["| notebook | seconds | peak memory, MB | size, kB |", "|---|---:|---:|---:|"]
    lines += [f"| {run.name} | {run.seconds:.1f} | {run.peak / 1e6:.0f} | {run.size / 1e3:.0f} |" for run in runs]
    return "\n".join(lines) + "\n"


def find(names: list[str], folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks that names ask for (a number, the start of a name or a path), or all of them.

    Raises:
        Refused: if a name fits no notebook.
    """
    everything = sorted(folder.glob("*.ipynb"))
    if not names:
        return everything
    found: list[Path] = []
    for name in names:
        matching = [path for path in everything if path.stem.startswith(Path(name).stem)]
        if not matching:
            raise Refused(f"There is no notebook {name!r} among {', '.join(path.stem for path in everything)}")
        found += [path for path in matching if path not in found]
    return found


def main(arguments: list[str] | None = None, folder: Path = NOTEBOOKS, package: Path = PACKAGE) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Execute the notebooks whose code, or the package, has changed.")
    parser.add_argument("names", nargs="*", help="numbers or names of notebooks; all, if none is given")
    parser.add_argument("--force", action="store_true", help="execute them even if nothing has changed")
    parser.add_argument("--check", action="store_true", help="only say what is stale or wrong, and write nothing")
    parser.add_argument(
        "--memory", type=Path, metavar="FILE", help="write seconds and peak memory there (.md or .json)"
    )
    options = parser.parse_args(arguments)
    try:
        paths = find(options.names, folder)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    runs, failed = [], 0
    for path in paths:
        reasons = check(path, package) if options.check else _update_and_report(path, options.force, package, runs)
        failed += bool(reasons)
        for reason in reasons:
            print(f"{path.stem}: {reason}", file=sys.stderr)
    if options.memory:
        as_json = json.dumps([vars(run) for run in runs], indent=1) + "\n"
        options.memory.write_text(as_json if options.memory.suffix == ".json" else memory_table(runs))
    return 1 if failed else 0


def _update_and_report(path: Path, force: bool, package: Path, runs: list[Run]) -> list[str]:
    try:
        run = bring_up_to_date(path, force, package)
    except Refused as refused:
        return [*refused.args, "nothing was written"]
    if run is None:
        print(f"{path.stem}: up to date", flush=True)
        return []
    runs.append(run)
    print(f"{path.stem}: {run.seconds:.1f} s, {run.peak / 1e6:.0f} MB at most, {run.size / 1e3:.0f} kB", flush=True)
    if run.size > WARN_BYTES:
        print(f"{path.stem}: larger than {WARN_BYTES // 1000} kB; are photographs JPEG?", flush=True)
    return []


if __name__ == "__main__":
    sys.exit(main())
