"""Grad-CAM: the maps of a layer, each weighed by how much it raises the score, summed up.

Ramprasaath R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
ICCV 2017. Only what lies behind the layer is differentiated.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import CnnvizError
from ..i18n import _
from ..layers import LAST_TWO, Trace, channels_first, propose_layer, tap
from ..networks import Network
from .feature_maps import checked_maps
from .targets import Wanted, as_target, asked, gradient_of, likeliest


@dataclass(frozen=True, eq=False)
class CamMap:
    """`map` [h, w], at least 0 unless `signed`, and the `weights` [K] of the layer's channels in it, float32.

    `score` is the target's logit and `probability` what it makes; `label` names the target, `layer` the layer.
    """

    map: Tensor
    weights: Tensor
    score: float
    probability: float
    label: str
    layer: str
    signed: bool

    @property
    def warning(self) -> str:
        """What is odd about this map, in a sentence; empty for most."""
        if not self.weights.any():
            return _("The gradients at this layer are all zero: nothing behind it responds to a small change.")
        if not self.signed and not self.map.any():
            message = _("Everything at this layer speaks against {label}: without its sign the map is empty.")
            return message.format(label=self.label)
        return ""


def grad_cam(
    model: Network | nn.Module,
    inputs: Tensor,
    target: Wanted | None = None,
    layer: str | None = None,
    *,
    signed: bool = False,
) -> CamMap:
    """Where `layer` finds what speaks for `target` in `inputs` [1, C, H, W].

    `target` is a class, by number or label, or a function of what the module returns, by default the likeliest class;
    `layer` is a dotted name, by default the one of `propose_layer`. With `signed` the final ReLU, which takes away what
    speaks for rivals, is left out. Raises `UnknownLayer`, `UnknownClass`, and `WrongSetting` for a layer without maps.
    """
    ask = asked(model)
    with torch.inference_mode(False):
        inputs = ask.prepared(inputs, one=True)
        target = as_target(model, likeliest(ask, inputs) if target is None else target)
        layer = layer or propose_layer(model, inputs).name
        with ask.awake(), Trace(inputs) as trace, tap(ask.module, layer, differentiate=True) as outputs:
            said = target.said(ask, ask.output(inputs, gradients=True), 1)
        if not outputs:
            raise CnnvizError(_('"{name}" does not run for this picture: choose another layer.').format(name=layer))
        axes = trace.axes(outputs[-1]) or LAST_TWO
        checked_maps(ask, layer, channels_first(outputs[-1], axes), inputs)
        found = outputs[-1].detach(), gradient_of(said.score, outputs[-1])
        maps, gradient = (channels_first(each, axes)[0].cpu().double() for each in found)  # what is summed cancels out
    weights = gradient.mean((1, 2))
    values = torch.einsum("k,khw->hw", weights, maps).float()
    shown = values if signed else values.clamp(min=0)
    return CamMap(shown, weights.float(), said.score.item(), said.probability.item(), target.label, layer, signed)
