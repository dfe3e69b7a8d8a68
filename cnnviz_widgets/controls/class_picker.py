"""A class of a network, by name or number."""

import ipywidgets as widgets
import traitlets

from ..errors import CnnvizError
from ..i18n import _
from ..networks import Network
from .sliders import ROW, STYLE


class ClassPicker(widgets.VBox):
    """A field that takes the name (or number) of one of `network`'s classes and offers the likely ones first.

    `value` is the label, `index` its number. What is typed and names no class leaves both as they were and puts a
    sentence with the nearest labels into `error`.
    """

    value = traitlets.Unicode()
    error = traitlets.Unicode("")

    def __init__(self, network: Network, value: str, **traits):
        self._network = network
        self._field = widgets.Combobox(
            value=value,
            options=list(network.labels),
            description=_("Class"),
            tooltip=_("Type a few letters: a class of the network, by name or by number"),
            placeholder=_("type a few letters"),
            continuous_update=False,
            layout=dict(ROW),
            style=dict(STYLE),
        )
        super().__init__([self._field], value=value, **traits)
        self._field.observe(self._on_typed, "value")
        self.observe(self._on_value, "value")

    @traitlets.validate("value")
    def _known(self, proposal: dict) -> str:
        typed = proposal["value"].strip()
        is_number = typed.isdecimal() and typed not in self._network.labels  # digits are labels of some networks
        return self._network.labels[self._network.class_index(int(typed) if is_number else typed)]

    @property
    def index(self) -> int:
        """The number of the chosen class."""
        return self._network.class_index(self.value)

    def described(self) -> str:
        """The control in words, for the panel's picture."""
        return f"{self._field.description}: {self.value}"

    def offer(self, likely: list[str]) -> None:
        """Put the `likely` labels in front of the others."""
        self._field.options = [*likely, *(label for label in self._network.labels if label not in set(likely))]

    def _on_typed(self, change: dict) -> None:
        if change["new"] == self.value:
            return
        self.error = ""  # so that the same complaint is heard again
        try:
            self.value = change["new"]
        except CnnvizError as error:
            self.error = str(error)
        self._field.value = self.value

    def _on_value(self, change: dict) -> None:
        self._field.value = change["new"]
