"""Open the course in JupyterLab: what `make lab` runs. Further options go to JupyterLab as they are."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent
FIRST = "notebooks/00_start_here.ipynb"
CONFIG = "binder/jupyter"


def browser_can_open(environment: Mapping[str, str], platform: str) -> bool:
    """Whether this machine has a screen to open a browser on; in a container or over a plain ssh it has none."""
    if platform in ("darwin", "win32"):
        return True
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def options(course: Path, *, browser: bool, root: bool) -> list[str]:
    """What JupyterLab is told, besides the configuration files in `binder/jupyter`.

    Args:
        course: the folder that holds the course; JupyterLab sees nothing outside it.
        browser: whether to open a browser; otherwise the address is only printed.
        root: whether this process runs as root, as it does in many containers.
    """
    chosen = [
        f"--ServerApp.root_dir={course}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
        # A port in use is passed over.
        "--ServerApp.port_retries=100",
        # Of the log only the address and what went wrong.
        "--ServerApp.log_level=ERROR",
        "--LabApp.log_level=ERROR",
    ]
    if os.access(course, os.W_OK):
        # The reader's own layout and open tabs belong to other work.
        chosen.append(f"--LabApp.workspaces_dir={course / '.cache' / 'jupyter' / 'workspaces'}")
    if not browser:
        chosen.append("--no-browser")
    if root:
        chosen.append("--allow-root")
    return chosen


def surroundings(environment: Mapping[str, str], course: Path) -> dict[str, str]:
    """The environment variables that make Jupyter read the course's settings before anybody's own.

    Settings live in the course's folder, so that nothing in the reader's home folder is changed.
    """
    changed = {"JUPYTER_PREFER_ENV_PATH": "1"}
    changed["JUPYTER_CONFIG_PATH"] = _before(str(course / CONFIG), environment.get("JUPYTER_CONFIG_PATH"))
    # In a cell, `!pip` and its like mean the course's environment.
    changed["PATH"] = _before(str(Path(sys.executable).parent), environment.get("PATH"))
    return changed


def stop_on_ctrl_c(stop: Callable[..., None]) -> None:
    """Let the first Ctrl-C call `stop`, which ends the kernels, and a second one break off at once.

    JupyterLab itself asks a question first in a terminal, and skips the clearing up where there is no terminal.
    """

    def handle(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nStopping JupyterLab and its kernels.", flush=True)
        stop(from_signal=True)

    signal.signal(signal.SIGINT, handle)


def _before(first: str, rest: str | None) -> str:
    return os.pathsep.join([first, rest] if rest else [first])


def main(arguments: list[str]) -> None:
    """Run JupyterLab until Ctrl-C. `arguments` are added to its options and win over ours."""
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        sys.exit("JupyterLab is not installed in this Python: run make lab, or pip install -e '.[lab]' first.")
    # This folder was put first by starting a script in it; its scripts are not modules for anybody else.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent.resolve()]
    os.environ.update(surroundings(os.environ, COURSE))
    # Jupyter reads its configuration twice, and then warns that the second reading replaces the first.
    warnings.filterwarnings("ignore", message="Overriding existing pre_save_hook")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    browser = browser_can_open(os.environ, sys.platform)
    print("Starting JupyterLab; Ctrl-C here stops it and every kernel.", flush=True)
    server = LabApp.initialize_server([*options(COURSE, browser=browser, root=root), *arguments])
    stop_on_ctrl_c(server.stop)
    server.start()


if __name__ == "__main__":
    main(sys.argv[1:])
