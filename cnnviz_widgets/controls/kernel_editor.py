"""A kernel by name, or typed number by number."""

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from ..i18n import _
from ..settings import whole_number
from ..techniques.convolution import KERNELS, kernel
from .number_grid import NumberGrid, small_enough
from .sliders import SettingChoice

OWN = "own"


class KernelEditor(widgets.VBox):
    """Choose a kernel by `name`, or edit its numbers; `value` is the kernel's rows, a list of lists of floats.

    Other numbers than the named kernel's turn `name` into "own", and `size` follows their rows, of which there must be
    as many as columns. Changing `size` makes the named kernel anew at that size; numbers of one's own are kept, cut or
    filled up with zeros around their middle. `value` changes once for each change of any of the three.
    """

    name = traitlets.Unicode("blur")
    size = traitlets.Int(3)
    value = traitlets.List(traitlets.List(traitlets.CFloat()))
    error = traitlets.Unicode("")

    def __init__(self, name: str = "blur", size: int = 3, **traits):
        self._picker = SettingChoice(
            [*((title, key) for key, title in KERNELS.items()), (_("own numbers"), OWN)],
            name,
            _("Kernel"),
            _("A kernel that was designed for a purpose, or your own numbers"),
        )
        self.grid = NumberGrid(kernel(name, size).tolist(), description=_("Numbers of the kernel"), square=True)
        super().__init__([self._picker, self.grid], name=name, size=size, value=self.grid.value, **traits)
        self._following = False
        self.observe(self._on_choice, ["name", "size"])
        self.observe(self._on_value, "value")
        traitlets.link((self, "name"), (self._picker, "value"))
        traitlets.link((self, "value"), (self.grid, "value"))
        traitlets.dlink((self.grid, "error"), (self, "error"))

    @traitlets.validate("name")
    def _known(self, proposal: dict) -> str:
        if proposal["value"] not in (*KERNELS, OWN):
            names = ", ".join([*KERNELS, OWN])
            raise traitlets.TraitError(
                _("There is no kernel “{name}”; there are {names}.").format(name=proposal["value"], names=names)
            )
        return proposal["value"]

    @traitlets.validate("value")
    def _square(self, proposal: dict) -> list[list[float]]:
        rows = proposal["value"]
        if not rows or any(len(row) != len(rows) for row in rows):
            raise traitlets.TraitError(_("A kernel needs as many rows as columns."))
        return small_enough(rows)

    @traitlets.validate("size")
    def _at_least_one(self, proposal: dict) -> int:
        return whole_number(_("kernel size"), proposal["value"], 1)

    @property
    def tensor(self) -> Tensor:
        """The kernel as a float32 tensor `[size, size]`."""
        return torch.tensor(self.value, dtype=torch.float32)

    def described(self) -> str:
        """The control in words, for the panel's picture."""
        return f"{self._picker.description}: {self._picker.label}"

    def _on_choice(self, _change: dict) -> None:
        if not self._following:
            self.value = _resized(self.value, self.size) if self.name == OWN else kernel(self.name, self.size).tolist()

    def _on_value(self, change: dict) -> None:
        """Let name and size follow the numbers."""
        rows = change["new"]
        self._following = True
        try:
            self.size = len(rows)
            if self.name != OWN and rows != kernel(self.name, len(rows)).tolist():
                self.name = OWN
        finally:
            self._following = False


def _resized(rows: list[list[float]], size: int) -> list[list[float]]:
    old = torch.tensor(rows)
    before = (size - old.shape[0]) // 2
    after = size - old.shape[0] - before
    return torch.nn.functional.pad(old, (before, after, before, after)).tolist()
