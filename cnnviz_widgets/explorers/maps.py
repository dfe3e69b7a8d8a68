"""What panels that show feature maps share: the picture they work on, and how a map is coloured and sized."""

import numpy as np
from torch import Tensor

from .. import images, render
from ..errors import WrongSetting
from ..i18n import _
from ..techniques.convolution import convolve


def at_most(image: np.ndarray, longest: int) -> np.ndarray:
    """`image` (uint8 `[H, W, 3]`), scaled down where its longer side has more than `longest` pixels."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    return images.resize(image, (max(round(height * factor), 1), max(round(width * factor), 1)))


def responses(inputs: Tensor, weights: Tensor) -> Tensor:
    """`inputs` `[1, C, H, W]` convolved with `weights` `[K, C, k, k]`, without a border, in a panel without padding.

    Raises `WrongSetting` when the picture is smaller than the kernel.
    """
    size, (height, width) = weights.shape[-1], inputs.shape[-2:]
    if size > min(height, width):
        message = _("A kernel of {n} × {n} does not fit into a picture of {h} × {w} pixels: choose a smaller kernel.")
        raise WrongSetting(message.format(n=size, h=height, w=width))
    return convolve(inputs, weights)


def coloured(values: np.ndarray, label: str, low: float | None = None, high: float | None = None) -> tuple:
    """One map `[H, W]` as a picture and its scale (as `ImageView.ramp`): the picture is uint8 `[H, W, 3]`.

    Blue and red around a white zero if the map has both signs, otherwise grey, with zero black. `low` and `high` take
    the place of the map's own smallest and largest value, so that two maps can share one scale.
    """
    low, high = render.limits(values, low, high)
    if low < 0 < high and -low > high / 20:
        limit = max(-low, high)
        return render.signed_map(values, limit), render.ramp(render.SIGNED, -limit, limit, label)
    low, high = min(low, 0.0), max(high, 0.0)
    high = high if high > low else low + 1.0  # nothing but zeros
    return render.heat_map(values, render.GREY, low, high), render.ramp(render.GREY, low, high, label)


def fitting(height: int, width: int, box: int) -> dict:
    """How `ImageView` shows a picture of this size in a box of `box` screen pixels.

    A small picture gets squares of whole pixels; a larger one is scaled down smoothly.
    """
    zoom = box // max(height, width)
    return {"zoom": float(zoom or box / max(height, width)), "pixelated": zoom > 1}


def percent(share: float) -> str:
    """`share` (0..1) in per cent; only none and all read as 0 and 100."""
    if share not in (0, 1):
        share = min(max(share, 0.001), 0.999)
    return f"{share:.1%}".replace(".0%", "%")
