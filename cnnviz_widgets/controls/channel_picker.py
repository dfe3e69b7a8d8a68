"""One channel of a layer."""

import traitlets

from ..errors import WrongSetting
from ..i18n import _
from ..layers import LayerInfo
from .sliders import SettingSlider


class ChannelPicker(SettingSlider):
    """The number of a channel, counted from 0, by a slider and a number to type; `value` is an int.

    `count` is how many channels the layer has: set it when the layer changes, and the bounds follow. A channel that
    the new layer does not have becomes its last. Numbers beyond the bounds become the nearest, as in every slider.
    """

    count = traitlets.Int(1)

    def __init__(self, count: int, value: int = 0, **traits) -> None:
        description, tooltip = _("Channel"), _("The number of a map of this layer, counted from 0")
        super().__init__(0, 0, 0, description, tooltip, count=count, **traits)
        self._on_count({"new": self.count})
        self.value = value
        self.observe(self._on_count, "count")

    @classmethod
    def of_layer(cls, layer: LayerInfo, channel: int = 0) -> "ChannelPicker":
        """A picker of the channels of `layer`. Raises `WrongSetting` for a channel that is not there."""
        channels = layer.channels_first[1]
        if channel not in range(channels):
            message = _("{layer} has the channels 0 to {last}; there is no channel {channel}.")
            raise WrongSetting(message.format(layer=layer.name, last=channels - 1, channel=channel))
        return cls(channels, int(channel))

    @traitlets.validate("count")
    def _at_least_one(self, proposal: dict) -> int:
        if proposal["value"] < 1:
            raise WrongSetting(_("A layer to choose a channel from has at least one."))
        return proposal["value"]

    def _on_count(self, change: dict) -> None:
        self.max = change["new"] - 1
