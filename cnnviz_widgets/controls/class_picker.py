"""A class of a network, by name or number."""

import traitlets

from ..i18n import _
from ..networks import Network
from .name_picker import NamePicker, name_field


class ClassPicker(NamePicker):
    """A field that takes the name (or number) of one of `network`'s classes and offers the likely ones first.

    `value` is the label, `index` its number. What is typed and names no class leaves both as they were and puts a
    sentence with the nearest labels into `error`.
    """

    def __init__(self, network: Network, value: str, **traits):
        self._network = network
        tooltip = _("Type a few letters: a class of the network, by name or by number")
        super().__init__(name_field(_("Class"), tooltip, network.labels), value, **traits)

    @traitlets.validate("value")
    def _known(self, proposal: dict) -> str:
        typed = proposal["value"].strip()
        is_number = typed.isdecimal() and typed not in self._network.labels  # digits are labels of some networks
        return self._network.labels[self._network.class_index(int(typed) if is_number else typed)]

    @property
    def index(self) -> int:
        """The number of the chosen class."""
        return self._network.class_index(self.value)

    def offer(self, likely: list[str]) -> None:
        """Put the `likely` labels in front of the others."""
        self._field.options = [*likely, *(label for label in self._network.labels if label not in set(likely))]
