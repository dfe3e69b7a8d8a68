"""A network's graph, every operation and what flows between them, in a file that TensorBoard draws."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..errors import CnnvizError, WrongSetting
from ..i18n import _
from ..networks import Asked, Network
from .hooks import hooked


def write_graph(model: Network | nn.Module, inputs: Tensor, folder: str | Path) -> Path:
    """Write the graph of `model`, as it runs on `inputs` [N, C, H, W], into `folder`; returns the file.

    `tensorboard --logdir folder` shows it, or the newest where there are several. The model runs in eval mode without
    gradients and stays as it was. Raises `CnnvizError` where the folder cannot be written to, or where the model cannot
    be traced.
    """
    if find_spec("tensorboard") is None:
        raise CnnvizError(_("The graph needs TensorBoard, which is not installed: python -m pip install tensorboard"))
    from torch.utils.tensorboard import SummaryWriter

    ask, folder = Asked(model), Path(folder)
    inputs = ask.prepared(inputs)
    try:
        ask.output(inputs)
    except WrongSetting:  # what is wrong with the pictures is said as everywhere
        raise
    except CnnvizError as error:
        raise CnnvizError(_("The graph cannot be traced. {reason}").format(reason=error)) from error
    earlier = set(_files(folder))
    try:
        # PyTorch's writer traces with torch.jit, which says at each call that it is old.
        with (
            warnings.catch_warnings(),
            ask.awake(),
            hooked([ask.module], _tensors),
            torch.inference_mode(False),
            torch.no_grad(),
            SummaryWriter(str(folder)) as writer,
        ):
            warnings.simplefilter("ignore")
            writer.add_graph(ask.module, inputs)
    except OSError as error:
        message = _("The graph cannot be written to {folder}: {reason}")
        raise CnnvizError(message.format(folder=folder, reason=error.strerror or error)) from error
    except Exception as error:
        for file in set(_files(folder)) - earlier:
            file.unlink()
        reason = " ".join(str(error).split())[:200]
        raise CnnvizError(_("The graph cannot be traced. {reason}").format(reason=reason)) from error
    (written,) = set(_files(folder)) - earlier
    return written


def _tensors(_module: nn.Module, _arguments: Any, output: Any) -> Tensor | tuple[Tensor, ...]:
    """The tensors in what the network puts out (a dictionary, say), as which alone it can be traced."""
    if isinstance(output, Tensor):
        return output
    return tuple(one for one in tree_leaves(output) if isinstance(one, Tensor))


def read_graph(folder: str | Path) -> list[tuple[str, str]]:
    """The newest graph in `folder`, as (name, operation) of each node. Raises `CnnvizError` if there is none."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for file in reversed(_files(Path(folder))):
        events = EventAccumulator(str(file)).Reload()
        if events.Tags()["graph"]:
            return [(node.name, node.op) for node in events.Graph().node]
    raise CnnvizError(_("There is no graph in {folder}.").format(folder=folder))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime_ns)
