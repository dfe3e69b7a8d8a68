"""A row of toggle buttons, one of which is down."""

from collections.abc import Sequence

import ipywidgets as widgets

from ..i18n import _
from ..settings import one_of
from .sliders import ROW, STYLE

WIDTHS = {2: 126, 3: 82}  # screen pixels of a button, by how many there are
NARROW = 60
DESIGNED, RANDOM = "designed", "random"


class ToggleChoice(widgets.ToggleButtons):
    """One of a few `options`, triples of (what is read, what `value` becomes, what the tooltip says).

    Raises `WrongSetting`, which calls the choice `what` (by default as it is described), for a value not offered.
    """

    def __init__(
        self,
        options: Sequence[tuple[str, object, str]],
        value: object,
        description: str,
        *,
        what: str = "",
        **traits: object,
    ) -> None:
        titles, values, tooltips = zip(*options, strict=True)
        one_of(what or description.lower(), value, values)
        style = {**STYLE, "button_width": f"{WIDTHS.get(len(options), NARROW)}px"}
        super().__init__(
            options=list(zip(titles, values, strict=True)),
            value=value,
            description=description,
            tooltips=list(tooltips),
            **{"layout": dict(ROW), "style": style, **traits},
        )


class FilterChoice(ToggleChoice):
    """Which filters run over a picture: `value` is "designed" (one kernel) or "random" (three filters)."""

    def __init__(self, value: str, random_tip: str, **traits: object) -> None:
        options = [
            (_("one kernel"), DESIGNED, _("One kernel over the grey picture")),
            (_("three random"), RANDOM, random_tip),
        ]
        super().__init__(options, value, _("Filters"), what=_("kind of filters"), **traits)


class PaddingPicker(ToggleChoice):
    """How far the picture is continued with zeros: `value` is "valid", "same" or "full"."""

    def __init__(self, value: str = "valid", **traits: object) -> None:
        options = [
            (_("valid"), "valid", _("No zeros: the window stays inside the picture")),
            (_("same"), "same", _("As many zeros as keep the size, at stride 1")),
            (_("full"), "full", _("So many zeros that the window need only touch the picture")),
        ]
        super().__init__(options, value, _("Padding"), **traits)
