"""Sliders and pickers for the settings of a convolution."""

import math
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import traitlets

from ..i18n import _
from ..settings import one_of

ROW = {"width": "268px"}
STYLE = {"description_width": "92px"}


class SettingSlider(widgets.IntSlider):
    """A whole number set by a slider, in the look that all panels share."""

    def __init__(self, value: int, low: int, high: int, description: str, tooltip: str, **traits):
        traits = {"layout": dict(ROW), "style": dict(STYLE), **traits}
        super().__init__(value=value, min=low, max=high, description=description, tooltip=tooltip, **traits)


class NumberSlider(widgets.FloatSlider):
    """A number set by a slider, in the look that all panels share."""

    def __init__(self, value: float, low: float, high: float, description: str, tooltip: str, **traits):
        traits = {"layout": dict(ROW), "style": dict(STYLE), **traits}
        super().__init__(value=value, min=low, max=high, description=description, tooltip=tooltip, **traits)

    @traitlets.validate("value")
    def _validate_value(self, proposal: dict) -> float:
        if math.isnan(proposal["value"]):
            raise traitlets.TraitError(_("{number} is no number to compute with.").format(number=proposal["value"]))
        return super()._validate_value(proposal)


class LearningRateSlider(widgets.FloatLogSlider):
    """A learning rate from 0.00001 to 10, or as far as the given `value` lies, on a logarithmic scale."""

    def __init__(self, value: float, **traits):
        power = math.log10(value)
        words = {
            "readout_format": ".2g",
            "description": _("Learning rate"),
            "tooltip": _("How far a step goes, at the beginning; it falls to zero along a half cosine"),
        }
        traits = {"layout": dict(ROW), "style": dict(STYLE), **words, **traits}
        super().__init__(value=value, min=min(-5, math.floor(power)), max=max(1, math.ceil(power)), step=0.1, **traits)

    @traitlets.validate("value")
    def _validate_value(self, proposal: dict) -> float:
        if not math.isfinite(proposal["value"]):
            raise traitlets.TraitError(_("A learning rate is a number, not {value}.").format(value=proposal["value"]))
        return super()._validate_value(proposal)


class SettingChoice(widgets.Dropdown):
    """One of several `options`, pairs of (what is read, what `value` becomes), in the look that all panels share.

    A dictionary has what is read by what `value` becomes.
    """

    def __init__(
        self,
        options: Sequence[tuple[str, str]] | Mapping[str, str],
        value: str | None,
        description: str,
        tooltip: str,
        **traits,
    ):
        if isinstance(options, Mapping):
            options = [(title, key) for key, title in options.items()]
        if value is not None:
            one_of(description.lower(), value, [key for _title, key in options])
        self._may_be_empty = value is None
        traits = {"layout": dict(ROW), "style": dict(STYLE), **traits}
        super().__init__(options=options, value=value, description=description, tooltip=tooltip, **traits)

    @traitlets.validate("index")
    def _validate_index(self, proposal: dict) -> int | None:
        if proposal["value"] is None and self.options and not self._may_be_empty:
            raise traitlets.TraitError(_("Choose one under “{name}”.").format(name=self.description))
        return super()._validate_index(proposal)


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
