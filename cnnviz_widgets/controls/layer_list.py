"""Several layers of a network at once."""

from collections.abc import Sequence

import ipywidgets as widgets

from ..i18n import _
from ..layers import LayerInfo
from .sliders import ROW


class LayerList(widgets.SelectMultiple):
    """The `layers` to choose from, with the shapes they put out; `value` is a tuple of dotted names, first `chosen`."""

    def __init__(self, layers: Sequence[LayerInfo], chosen: Sequence[str]) -> None:
        super().__init__(
            options=[(f"{info.name} · {'×'.join(map(str, info.channels_first[1:]))}", info.name) for info in layers],
            value=[info.name for info in layers if info.name in chosen],
            rows=9,
            description=_("Layers"),
            tooltip=_("Hold Ctrl (or ⌘) or Shift to choose several, by click or with the arrow keys"),
            layout=dict(ROW),
            style={"description_width": "46px"},  # the names are long
        )

    @property
    def in_order(self) -> list[str]:
        """The chosen layers in the order in which they run."""
        chosen = set(self.value)
        return [name for _title, name in self.options if name in chosen]

    def described(self) -> str:
        """The control in words, for the panel's picture."""
        return f"{self.description}: {', '.join(self.value)}"
