"""Random numbers that belong to whoever asks for them: drawn from a seed, whatever else draws at the same time."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .i18n import _
from .settings import whole_number

aten = torch.ops.aten
_RECURRENCES = {aten.lstm, aten.gru, aten.rnn_tanh, aten.rnn_relu}
_LOCK = threading.Lock()


class Drawing(TorchDispatchMode):
    """Inside the `with`, all random numbers that this thread draws from torch come from `seed`.

    That holds for layers that draw their first weights, for dropout, and for any other function, on the CPU and on a
    GPU. Torch's own generators are neither asked nor moved, and another thread that draws meanwhile takes nothing from
    these numbers. The same object entered again goes on where it was left. On the CPU the numbers are those that
    `torch.manual_seed(seed)` would give. Raises `WrongSetting` unless `seed` is a whole number of at least 0.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = whole_number(_("seed"), seed, 0)
        self._generators: dict[torch.device, torch.Generator] = {}

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """The generator for what is drawn on `device`; each begins at the seed."""
        device = torch.device(device)
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would else import its compiler, a second and 160 MB, to keep it away from this mode."""
        return False

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run the operation; one that draws is given our generator."""
        options = dict(options or {})
        if torch.is_inference_mode_enabled() and function.overloadpacket not in _RECURRENCES:
            with self:  # operations come as they were called in that mode, not as what they consist of
                result = function.decompose(*arguments, **options)
            if result is not NotImplemented:
                return result
        if torch.Tag.nondeterministic_seeded not in function.tags or _generator_in(arguments, options) is not None:
            return function(*arguments, **options)
        tensor = next((value for value in arguments if isinstance(value, Tensor)), None)
        device = torch.device(options.get("device") or ("cpu" if tensor is None else tensor.device))
        if device.type == "meta":
            return function(*arguments, **options)
        if function.overloadpacket is aten.native_dropout:
            return _dropout(*arguments, generator=self.generator(device))
        function = _with_generator(function)
        if any(argument.name == "generator" for argument in function._schema.arguments):
            options["generator"] = self.generator(device)
            return function(*arguments, **options)
        with _in_place_of_torch_s(self.generator(device)):
            return function(*arguments, **options)


_OVERLOADS = {
    "default": "generator",
    "low": "low_generator",
    "low_dtype": "low_generator_dtype",
    "Tensor": "Tensor_generator",
}


def _with_generator(function: Any) -> Any:
    """The overload of an operation that takes a generator: `aten.rand.default` has it as `aten.rand.generator`."""
    name, packet = _OVERLOADS.get(function._overloadname), function.overloadpacket
    return getattr(packet, name) if name in packet.overloads() else function


def _generator_in(arguments: Sequence[Any], options: dict[str, Any]) -> torch.Generator | None:
    return next((value for value in (*arguments, *options.values()) if isinstance(value, torch.Generator)), None)


@contextmanager
def _in_place_of_torch_s(generator: torch.Generator) -> Iterator[None]:
    """Torch's own generator goes on from ours inside the `with`, for operations that ask no other (cuDNN's, flash)."""
    on_gpu = generator.device.type == "cuda"
    torch_s = torch.cuda.default_generators[generator.device.index or 0] if on_gpu else torch.default_generator
    with _LOCK:
        before = torch_s.get_state()
        try:
            torch_s.set_state(generator.get_state())
            yield
            generator.set_state(torch_s.get_state())
        finally:
            torch_s.set_state(before)


def _dropout(inputs: Tensor, share: float, train: bool | None, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What a GPU computes in one operation that takes no generator: the result and the mask of what was kept."""
    if not train or share == 0:
        return inputs.clone(), torch.ones_like(inputs, dtype=torch.bool)
    kept = torch.empty_like(inputs, dtype=torch.float32).bernoulli_(1 - share, generator=generator).bool()
    return inputs * kept * (1 / (1 - share) if share < 1 else 0.0), kept
