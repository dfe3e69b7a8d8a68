"""Where a layer finds a class in a picture: Grad-CAM, over a choice of layers."""

from torch import nn

from .. import images, render
from ..controls import ClassPicker, ImagePicker, LayerPicker, ToggleChoice
from ..i18n import _
from ..layers import propose_layer
from ..networks import Network
from ..techniques.grad_cam import CamMap, grad_cam
from .base import follows
from .network import NetworkExplorer, as_network

SIDE, BARS, TOP = 224, 336, 5  # screen pixels of a map and of the bars; classes in them


class GradCamExplorer(NetworkExplorer):
    """Choose a class and a layer and see where the layer finds what speaks for the class.

    `value` is the `CamMap`. Without a `target` the likeliest class, without a `layer` the one that `propose_layer`
    names. Raises `UnknownLayer` and `UnknownClass`, which name the nearest.
    """

    title = _("Grad-CAM")

    def __init__(
        self,
        network: Network | nn.Module | None = None,
        image: images.ImageSource = "cat",
        target: str | int | None = None,
        layer: str | None = None,
    ) -> None:
        network, picture = as_network(network), ImagePicker(image)
        inputs = network.preprocess(picture.image)
        best = int(network.logits(picture.image).argmax()) if target is None else network.class_index(target)
        settings = {
            "picture": picture,
            "target": ClassPicker(network, network.labels[best]),
            "layer": LayerPicker.of_maps(network, inputs, layer or propose_layer(network, inputs).name),
            "signed": ToggleChoice(
                [
                    (_("for the class"), False, _("The final ReLU takes away what speaks for rivals")),
                    (_("for and against"), True, _("Without the final ReLU")),
                ],
                False,
                _("Evidence"),
            ),
        }
        super().__init__(network, image, settings, [["over_view", "map_view"], ["bars"]])

    @follows("picture", "target", "layer", "signed")
    def compute(self) -> CamMap:
        """The map at the present settings."""
        return grad_cam(self.network, self.inputs, self.target.value, self.layer.value, signed=self.signed.value)

    @follows("compute")
    def draw_map(self) -> None:
        """The picture under the map, and the map alone."""
        found, values = self.value, self.value.map.numpy()
        where = _("{label} ({p}) in {layer}").format(
            label=found.label, p=render.probability(found.probability), layer=found.layer
        )
        self.over_view.draw(render.over(self.seen, values, where, SIDE))
        zoom = max(SIDE // max(values.shape), 1)
        if self.signed.value:
            words = _("Red: for the class; blue: for its rivals")
            self.map_view.draw(render.signed_evidence(values, words, _("evidence"), zoom))
        else:
            self.map_view.draw(render.evidence(values, _("What the layer finds"), _("evidence"), zoom))
        self.say(found.warning)

    @follows("picture", "target")
    def draw_bars(self) -> None:
        """What the network says of the picture."""
        rows = self.network.predict(self.picture.image, TOP)
        self.bars.draw(render.probabilities(rows, BARS, _("The likeliest classes"), chosen=self.target.value))
