"""What panels that ask a network about a picture share: the network, the picture and what the network sees of it."""

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
from torch import Tensor, nn

from .. import images
from ..controls import ImagePicker
from ..errors import CnnvizError
from ..i18n import _
from ..networks import Network, load_network
from ..views import ImageView
from .base import Explorer


def as_network(network: Network | nn.Module | None) -> Network:
    """`network` as a `Network`; without one, the bundled one. Raises `CnnvizError` where it has no numbers in it."""
    network = load_network() if network is None else network
    network = network if isinstance(network, Network) else Network(network)
    if network.bounds[0].is_meta:
        message = _("{name} is an architecture without weights; load_network makes one that can look at pictures.")
        raise CnnvizError(message.format(name=network.name))
    return network


class NetworkExplorer(Explorer):
    """A panel whose first setting is a picture, and whose `compute` asks `network` about it.

    `inputs` is the present picture as the network wants it [1, C, H, W], and `seen` what the network sees of it, uint8
    [H, W, 3]; both are worked out anew only for another picture. Computing is measured: what is slow for this network
    on this machine runs on the worker.
    """

    measured = True

    def __init__(
        self,
        network: Network | nn.Module | None,
        image: images.ImageSource,
        settings: dict[str, widgets.Widget],
        rows: Sequence[Sequence],
        *,
        views: dict[str, ImageView] | None = None,
        column: Sequence[widgets.Widget] = (),
    ) -> None:
        self.network = as_network(network)
        self._ready: tuple = (None, None, None, None)
        if "picture" not in settings:
            settings = {"picture": ImagePicker(image), **settings}
        super().__init__(settings, rows, views=views, column=column)

    @property
    def inputs(self) -> Tensor:
        """The present picture as the network wants it: [1, C, H, W]."""
        return self._prepared()[2]

    @property
    def seen(self) -> np.ndarray:
        """What the network sees of the present picture: uint8 [H, W, 3]."""
        return self._prepared()[3]

    def _prepared(self) -> tuple[np.ndarray, Network, Tensor, np.ndarray]:
        """Picture, network, inputs and what is seen: of one moment, whichever thread asks."""
        ready, source, network = self._ready, self.picture.image, self.network
        if ready[0] is not source or ready[1] is not network:
            inputs = network.preprocess(source)
            ready = source, network, inputs, images.to_image(network.denormalise(inputs.float()))
            self._ready = ready
        return ready
