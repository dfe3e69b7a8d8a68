"""What is chosen by its name, from a list or by typing."""

from collections.abc import Sequence

import ipywidgets as widgets
import traitlets

from ..errors import CnnvizError
from ..i18n import _
from .sliders import ROW, STYLE


class NamePicker(widgets.VBox):
    """A `field`, the last of its children, that a name is chosen in; `value` is the name.

    A subclass validates `value` and raises `CnnvizError` for what cannot be chosen: that leaves `value` as it was, puts
    the sentence into `error` and the present choice back into the field.
    """

    value = traitlets.Unicode()
    error = traitlets.Unicode("")

    def __init__(self, field: widgets.Widget, value: str, above: Sequence[widgets.Widget] = (), **traits) -> None:
        self._field = field
        super().__init__([*above, field], value=value, **traits)
        self._put_back()
        field.observe(self._on_chosen, "value")
        self.observe(lambda _change: self._put_back(), "value")

    @property
    def title(self) -> str:
        """The present choice as it stands in the field."""
        return self.value

    def described(self) -> str:
        """The control in words, for the panel's picture."""
        return f"{self._field.description}: {self.value}"

    def _on_chosen(self, change: dict) -> None:
        if change["new"] in (self.title, None):  # a list has no value while it is exchanged
            return
        self.error = ""  # so that the same complaint is heard again
        try:
            self.value = change["new"]
        except CnnvizError as error:
            self.error = str(error)
        self._put_back()

    def _put_back(self) -> None:
        self._field.value = self.title


def name_field(description: str, tooltip: str, options: Sequence[str] = ()) -> widgets.Combobox:
    """A field to type a name into, which offers `options`; it is read when Enter is pressed or the field is left."""
    return widgets.Combobox(
        options=options,
        description=description,
        tooltip=tooltip,
        placeholder=_("type a few letters"),
        continuous_update=False,
        layout=dict(ROW),
        style=dict(STYLE),
    )
