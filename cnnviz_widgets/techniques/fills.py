"""What takes the place of a part of the picture that is covered: grey, its mean colour, a blur, noise."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WrongSetting
from ..i18n import _
from ..networks import Network
from ..seeds import Drawing
from ..settings import one_of

FILLS = {
    "grey": _("Grey"),
    "black": _("Black"),
    "white": _("White"),
    "mean": _("Mean colour of the picture"),
    "blur": _("Blurred picture"),
    "noise": _("Noise"),
}

Bounds = tuple[float | Tensor, float | Tensor]
"""What pixel values black and white have become in a network's inputs: numbers, or tensors [1, C, 1, 1]."""


def bounds_of(model: Network | nn.Module, bounds: Bounds | None) -> Bounds | None:
    """The `bounds` given, or those that a `Network` knows."""
    return model.bounds if bounds is None and isinstance(model, Network) else bounds


def cover_picture(
    clean: Tensor, fill: str | Tensor, window: tuple[int, int], bounds: Bounds | None, seed: int
) -> Tensor:
    """The picture that shows through a window, [1, C, H, W]."""
    if isinstance(fill, (Tensor, np.ndarray)):
        try:
            return torch.as_tensor(fill).to(clean).expand_as(clean)
        except RuntimeError:
            message = _(
                "A fill of shape {fill} does not fit inputs of shape {inputs}: give [1, C, 1, 1] or [1, C, H, W]."
            )
            raise WrongSetting(message.format(fill=list(fill.shape), inputs=list(clean.shape))) from None
    one_of(_("fill"), fill, FILLS)
    if fill == "mean":
        return clean.mean((2, 3), keepdim=True).expand_as(clean)
    if fill == "blur":
        return _blurred(clean, sigma=max(window) / 4)
    try:
        black, white = (torch.as_tensor(bound).to(clean) for bound in _pixel_bounds(clean, bounds))
        torch.broadcast_to(black, clean.shape), torch.broadcast_to(white, clean.shape)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, WrongSetting):
            raise
        raise WrongSetting(_("bounds are (black, white): two numbers, or two tensors [1, C, 1, 1].")) from None
    if fill == "noise":
        share = torch.rand(clean.shape, generator=Drawing(seed).generator()).to(clean)
    else:
        share = {"black": 0.0, "grey": 0.5, "white": 1.0}[fill]
    return (black + share * (white - black)).expand_as(clean)


def _pixel_bounds(clean: Tensor, bounds: Bounds | None) -> Bounds:
    if bounds is not None:
        return bounds
    if clean.min() >= 0 and clean.max() <= 1:
        return 0.0, 1.0
    raise WrongSetting(
        _(
            "The inputs are normalised, so nobody can tell what is black: pass bounds=(black, white) as they are in "
            "the inputs, or a Network, or choose the fill 'mean' or 'blur'."
        )
    )


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of [1, C, H, W], with the edge pixels repeated outwards."""
    radius = math.ceil(3 * sigma)
    channels = picture.transpose(0, 1)
    channels = channels if picture.dtype == torch.float64 else channels.float()
    bell = torch.exp(-((torch.arange(-radius, radius + 1) / sigma) ** 2) / 2).to(channels)
    bell = (bell / bell.sum()).reshape(1, 1, -1, 1)
    channels = F.conv2d(F.pad(channels, (0, 0, radius, radius), mode="replicate"), bell)
    channels = F.conv2d(F.pad(channels, (radius, radius, 0, 0), mode="replicate"), bell.transpose(2, 3))
    return channels.transpose(0, 1).to(picture.dtype)
