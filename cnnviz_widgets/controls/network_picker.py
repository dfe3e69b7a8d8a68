"""A network by name, with what it costs to choose it."""

from importlib.util import find_spec

import traitlets

from ..errors import UnknownNetwork, WeightsUnavailable
from ..i18n import _
from ..networks.weights import BUNDLED, KnownNetwork, command, known_networks
from .name_picker import NamePicker
from .sliders import SettingChoice


class NetworkPicker(NamePicker):
    """A list of networks, each with its parameters and where its weights are; `value` is the chosen one's name.

    Those that are on this machine come first. Choosing one that is not leaves `value` as it was and puts a sentence
    with the way to get it into `error`; with `download=True` it is taken, and whoever loads it waits for the download.
    `names` narrows the list. Nothing is loaded by choosing.
    """

    def __init__(
        self, value: str = BUNDLED, names: tuple[str, ...] | None = None, *, download: bool = False, **traits
    ) -> None:
        self._names, self._download = names, download
        tooltip = _("A network, its parameters, and whether its weights are on this machine")
        super().__init__(SettingChoice(_options(names), None, _("Network"), tooltip), value, **traits)

    @traitlets.validate("value")
    def _available(self, proposal: dict) -> str:
        name = proposal["value"]
        known = {network.name: network for network in known_networks()}
        offered = [offered for _title, offered in self._field.options]
        if name not in known or name not in offered:
            message = _('There is no network "{name}" in the list; there are: {names}.')
            raise UnknownNetwork(message.format(name=name, names=", ".join(offered)))
        if sentence := _why_not(known[name], self._download):
            raise WeightsUnavailable(sentence)
        return name

    def refresh(self) -> None:
        """Look again at what is on this machine, say after a download."""
        with self._field.hold_trait_notifications():
            self._field.options = _options(self._names)
            self._field.value = self.value


def _options(names: tuple[str, ...] | None) -> list[tuple[str, str]]:
    """Pairs of title and name, the networks on this machine first."""
    networks = [network for network in known_networks() if names is None or network.name in names]
    networks.sort(key=lambda network: network.where == "download")  # a stable sort: else in the order of the table
    return [(f"{n.name} · {_size(n.parameters)} · {_cost(n)}", n.name) for n in networks]


def _size(parameters: int) -> str:
    millions = parameters / 1e6
    return _("{millions} M parameters").format(millions=f"{millions:.1f}" if millions < 10 else f"{millions:.0f}")


def _cost(network: KnownNetwork) -> str:
    if _is_missing_torchvision(network):
        return _("not available here")
    words = {"bundled": _("bundled"), "cached": _("on this machine"), "download": _("{size:.0f} MB to download")}
    return words[network.where].format(size=network.megabytes)


def _why_not(network: KnownNetwork, download: bool) -> str:
    """Why the network cannot be chosen and what would help; empty if it can."""
    name, size = network.name, network.megabytes
    if _is_missing_torchvision(network):
        return _("{name} needs torchvision, which is not installed: python -m pip install torchvision").format(
            name=name
        )
    if network.where != "download" or (download and name != BUNDLED):
        return ""
    message = _("The weights of {name} ({size:.0f} MB) are not on this machine; get them once with: {how}")
    return message.format(name=name, size=size, how=command(name))


def _is_missing_torchvision(network: KnownNetwork) -> bool:
    return network.name != BUNDLED and find_spec("torchvision") is None
