"""A kernel by name, or typed number by number."""

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from ..i18n import _
from ..techniques.convolution import KERNELS, kernel
from .number_grid import NumberGrid
from .sliders import ROW, STYLE

OWN = "own"


class KernelEditor(widgets.VBox):
    """Choose a kernel by `name`, or edit its numbers; `value` is the kernel's rows, a list of lists of floats.

    Editing a number turns `name` into "own". Changing `size` makes the named kernel anew at that size; numbers of one's
    own are kept, cut or filled up with zeros around their middle.
    """

    name = traitlets.Unicode("blur")
    size = traitlets.Int(3)
    value = traitlets.List()
    error = traitlets.Unicode("")

    def __init__(self, name: str = "blur", size: int = 3, **traits):
        self._picker = widgets.Dropdown(
            options=[*((_(title), key) for key, title in KERNELS.items()), (_("own numbers"), OWN)],
            description=_("Kernel"),
            tooltip=_("A kernel that was designed for a purpose, or your own numbers"),
            layout=dict(ROW),
            style=dict(STYLE),
        )
        self.grid = NumberGrid(kernel(name, size).tolist(), description=_("Numbers of the kernel"))
        super().__init__([self._picker, self.grid], name=name, size=size, value=self.grid.value, **traits)
        self._picker.value = name
        self._filling = False
        self._picker.observe(lambda change: setattr(self, "name", change["new"]), "value")
        self.grid.observe(self._on_edit, "value")
        traitlets.dlink((self.grid, "error"), (self, "error"))
        self.observe(self._on_choice, ["name", "size"])
        self.observe(lambda change: self._fill(change["new"]), "value")

    @traitlets.validate("name")
    def _known(self, proposal: dict) -> str:
        if proposal["value"] not in (*KERNELS, OWN):
            names = ", ".join([*KERNELS, OWN])
            raise traitlets.TraitError(
                _("There is no kernel “{name}”; there are {names}.").format(name=proposal["value"], names=names)
            )
        return proposal["value"]

    @property
    def tensor(self) -> Tensor:
        """The kernel as a float32 tensor `[size, size]`."""
        return torch.tensor(self.value, dtype=torch.float32)

    def _on_choice(self, _change: dict) -> None:
        self._picker.value = self.name
        rows = _resized(self.value, self.size) if self.name == OWN else kernel(self.name, self.size).tolist()
        self._fill(rows)

    def _on_edit(self, change: dict) -> None:
        if not self._filling:
            with self.hold_trait_notifications():
                self.name = OWN
                self.value = change["new"]

    def _fill(self, rows: list[list[float]]) -> None:
        """Show `rows`, and let them be the value, without taking that for an edit by the reader."""
        self._filling = True
        try:
            self.grid.value = rows
            self.value = rows
        finally:
            self._filling = False


def _resized(rows: list[list[float]], size: int) -> list[list[float]]:
    old = torch.tensor(rows)
    before = (size - old.shape[0]) // 2
    after = size - old.shape[0] - before
    return torch.nn.functional.pad(old, (before, after, before, after)).tolist()
