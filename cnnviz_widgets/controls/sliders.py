"""Sliders and pickers for the settings of a convolution."""

import ipywidgets as widgets

from ..i18n import _
from ..settings import one_of

ROW = {"width": "268px"}
STYLE = {"description_width": "92px"}


class SettingSlider(widgets.IntSlider):
    """A whole number set by a slider, in the look that all panels share."""

    def __init__(self, value: int, low: int, high: int, description: str, tooltip: str, **traits):
        traits = {"layout": dict(ROW), "style": dict(STYLE), **traits}
        super().__init__(value=value, min=low, max=high, description=description, tooltip=tooltip, **traits)


class SettingChoice(widgets.Dropdown):
    """One of several `options`, pairs of (what is read, what `value` becomes), in the look that all panels share."""

    def __init__(self, options: list[tuple[str, str]], value: str | None, description: str, tooltip: str, **traits):
        if value is not None:
            one_of(description.lower(), value, [key for _title, key in options])
        traits = {"layout": dict(ROW), "style": dict(STYLE), **traits}
        super().__init__(options=options, value=value, description=description, tooltip=tooltip, **traits)


class KernelSizeSlider(SettingSlider):
    """Edge length of a square kernel, 1 to 15 pixels; `value` is an int."""

    def __init__(self, value: int = 3, high: int = 15, **traits):
        super().__init__(value, 1, high, _("Kernel size"), _("Height and width of the kernel, in pixels"), **traits)


class StrideSlider(SettingSlider):
    """Pixels that the window moves from one position to the next; `value` is an int."""

    def __init__(self, value: int = 1, high: int = 5, **traits):
        super().__init__(value, 1, high, _("Stride"), _("Pixels from one position of the window to the next"), **traits)


class DilationSlider(SettingSlider):
    """Distance between neighbouring cells of the kernel, in pixels; `value` is an int."""

    def __init__(self, value: int = 1, high: int = 4, **traits):
        super().__init__(value, 1, high, _("Dilation"), _("Pixels from one cell of the kernel to the next"), **traits)


class PaddingPicker(widgets.ToggleButtons):
    """How far the picture is continued with zeros: `value` is "valid", "same" or "full"."""

    def __init__(self, value: str = "valid", **traits):
        one_of(_("padding"), value, ("valid", "same", "full"))
        options = [(_("valid"), "valid"), (_("same"), "same"), (_("full"), "full")]
        tooltips = [
            _("No zeros: the window stays inside the picture"),
            _("As many zeros as keep the size, at stride 1"),
            _("So many zeros that the window need only touch the picture"),
        ]
        traits = {"layout": dict(ROW), "style": {**STYLE, "button_width": "82px"}, **traits}
        super().__init__(options=options, value=value, description=_("Padding"), tooltips=tooltips, **traits)
