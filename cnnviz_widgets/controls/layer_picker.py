"""A layer of any network, with its kind and what it puts out."""

import numpy as np
import traitlets
from torch import Tensor, nn

from ..errors import CnnvizError, UnknownLayer
from ..i18n import _
from ..layers import LayerInfo, find_layer, has_maps, layer_tree, propose_layer
from ..networks import Network, as_module
from ..techniques.feature_maps import feature_maps
from .name_picker import NamePicker, name_field
from .sliders import SettingChoice

SEPARATOR = " · "


class LayerPicker(NamePicker):
    """A field that takes a layer's name and offers all layers with kind and shape; `value` is the dotted name.

    `model` is a `Network` or any module, `inputs` [N, C, H, W] a picture that tells the shapes; for a `Network` a black
    one will do, for a module without `inputs` the layers are offered as they are defined, without shapes. With
    `maps_only`, which needs a picture, only layers that make maps of it are offered, with `containers=False` no blocks
    of layers. `kind` narrows the list to one class of layers ("Conv2d"; "" offers all) and leaves `value` as it is.
    Without a `value` the layer proposed for Grad-CAM is chosen, or the last.

    A name that is not offered leaves `value` as it was and puts a sentence with the nearest ones into `error`.
    """

    kind = traitlets.Unicode("")

    def __init__(
        self,
        model: Network | nn.Module,
        inputs: Tensor | None = None,
        value: str | None = None,
        *,
        maps_only: bool = False,
        containers: bool = True,
        **traits,
    ) -> None:
        self._model = model
        if inputs is None and isinstance(model, Network):
            inputs = model.preprocess(np.zeros((model.size, model.size, 3), np.uint8))
        self.layers = _listed(model, inputs, maps_only, containers)
        kinds = list(dict.fromkeys(layer.kind for layer in self.layers.values()))
        options = [(_("all kinds"), ""), *((kind, kind) for kind in kinds)]
        self._kinds = SettingChoice(options, "", _("Kind"), _("Offer only layers of this kind"))
        tooltip = _("Type a part of its name: a layer, its kind, and its channels × rows × columns")
        field = name_field(_("Layer"), tooltip)
        super().__init__(field, value or self._proposed(inputs), above=[self._kinds], **traits)
        self._offer()
        traitlets.link((self, "kind"), (self._kinds, "value"))
        self.observe(lambda _change: self._offer(), "kind")

    @classmethod
    def of_maps(cls, network: Network, inputs: Tensor, layer: str | None = None) -> "LayerPicker":
        """A picker of the layers that have maps for `inputs`; without a `layer`, the first activation is chosen.

        Raises `UnknownLayer`, which names the nearest, and `WrongSetting` for a layer without maps.
        """
        picker = cls(network, inputs, maps_only=True)
        if layer is not None and layer not in picker.layers:
            feature_maps(network, inputs, layer)  # says what is wrong with it
        picker.value = first_answer(list(picker.layers.values())) if layer is None else layer
        return picker

    @traitlets.validate("value")
    def _known(self, proposal: dict) -> str:
        name = proposal["value"].split(SEPARATOR)[0].strip()
        if name not in self.layers:
            find_layer(self._model, name)  # says which are the nearest
            message = _('"{name}" is a part of the network, but not one of the layers to choose from here.')
            raise UnknownLayer(message.format(name=name))
        return name

    @traitlets.validate("kind")
    def _known_kind(self, proposal: dict) -> str:
        kinds = [kind for _title, kind in self._kinds.options]
        if proposal["value"] not in kinds:
            message = _("There is no layer of the kind {kind}; there are: {kinds}.")
            raise UnknownLayer(message.format(kind=proposal["value"], kinds=", ".join(kinds[1:])))
        return proposal["value"]

    @property
    def info(self) -> LayerInfo:
        """What is known of the chosen layer; its shape is empty where no picture could tell it."""
        return self.layers[self.value]

    @property
    def title(self) -> str:
        """The chosen layer as it stands in the list: "stem · ConvUnit · 32 × 112 × 112"."""
        return _title(self.info)

    def _proposed(self, inputs: Tensor | None) -> str:
        try:
            name = propose_layer(self._model, inputs).name if inputs is not None else ""
        except CnnvizError:  # no layer has maps, which is no reason not to choose one
            name = ""
        return name if name in self.layers else list(self.layers)[-1]

    def _offer(self) -> None:
        offered = (layer for layer in self.layers.values() if self.kind in ("", layer.kind))
        self._field.options = [_title(layer) for layer in offered]


def _listed(
    model: Network | nn.Module, inputs: Tensor | None, maps_only: bool, containers: bool
) -> dict[str, LayerInfo]:
    """The layers to choose from by name. Raises `CnnvizError` where there are none."""
    layers = _defined(as_module(model)) if inputs is None else layer_tree(model, inputs, containers=True)
    shown = {
        layer.name: layer
        for layer in layers
        if (containers or layer.leaf)
        and (not maps_only or (has_maps(layer.channels_first) and layer.output_shape[0] == len(inputs)))
    }
    if not shown:
        raise CnnvizError(_("This network has no layers to choose from."))
    return shown


def _defined(module: nn.Module) -> list[LayerInfo]:
    """The submodules in the order of their definition, without shapes."""
    return [
        LayerInfo(
            name=name,
            kind=type(part).__name__,
            output_shape=(),
            parameters=sum(parameter.numel() for parameter in part.parameters()),
            leaf=next(part.children(), None) is None,
        )
        for name, part in module.named_modules()
        if name
    ]


def _title(layer: LayerInfo) -> str:
    shape = " × ".join(map(str, layer.channels_first[1:]))
    return SEPARATOR.join(filter(None, (layer.name, layer.kind, shape)))


def first_answer(listed: list[LayerInfo]) -> str:
    """The layer that a panel begins with: the first activation, or the first layer where these are functions."""
    activations = (layer.name for layer in listed if "LU" in layer.kind or "swish" in layer.kind.lower())
    return next(activations, listed[0].name)
