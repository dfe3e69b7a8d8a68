"""Pooling: one number for each window of a feature map, its largest or its mean.

Dominik Scherer, Andreas Müller and Sven Behnke, "Evaluation of Pooling Operations in Convolutional Architectures for
Object Recognition" (2010), compare the two.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from ..errors import WrongSetting
from ..i18n import _
from ..settings import a_tensor, one_of, whole_number

POOLINGS = {"max": _("Maximum"), "average": _("Average")}


def pool(inputs: Tensor, size: int, stride: int | None = None, kind: str = "max") -> Tensor:
    """Pool `[N, C, H, W]` over windows of `size` × `size`: `[N, C, h, w]`, each channel on its own.

    - `stride`: pixels from one window to the next, by default `size`, so that no two windows share a pixel.
    - `kind`: "max" or "average".

    `h` and `w` are `output_size(H, size, stride)` and `output_size(W, size, stride)`: rows and columns at the end that
    fill no window are left out, as in most libraries. Averages of whole numbers are float32.
    Raises `WrongSetting` for other shapes, when the window is larger than the picture, and for a size or stride that
    is no positive whole number.
    """
    size = whole_number(_("pooling window"), size, 1)
    stride = size if stride is None else whole_number(_("stride"), stride, 1)
    one_of(_("pooling"), kind, POOLINGS)
    if a_tensor(inputs).ndim != 4:
        message = _("Give feature maps [N, C, H, W], not a tensor of shape {shape}.")
        raise WrongSetting(message.format(shape=list(inputs.shape)))
    height, width = inputs.shape[-2:]
    if size > min(height, width):
        message = _("A pooling window of {size} × {size} does not fit into {height} × {width} pixels: make it smaller.")
        raise WrongSetting(message.format(size=size, height=height, width=width))
    if kind == "max":
        return F.max_pool2d(inputs, size, stride)
    return F.avg_pool2d(inputs if inputs.is_floating_point() else inputs.float(), size, stride)


def shifted(inputs: Tensor, down: int = 0, right: int = 0) -> Tensor:
    """`inputs` `[…, H, W]` moved by whole pixels, also up and to the left when negative.

    What is pushed out at one side comes in at the other, so that no pixel is lost or made up.
    """
    return a_tensor(inputs).roll((down, right), (-2, -1))


def relative_change(before: Tensor, after: Tensor) -> float:
    """How much `after` differs from `before` `[…, H, W]`, compared with the contrast that `before` has.

    The root mean square of their difference over that of what sets `before` apart from its mean, channel by channel:
    0 for equal pictures, about 1.4 for unrelated ones of the same contrast. Unlike a share of the pixels' values, it
    does not depend on how bright the picture is. Infinite when a picture without contrast has changed.
    """
    before, after = a_tensor(before).double(), a_tensor(after).double()
    difference = (after - before).norm().item()
    contrast = (before - before.mean((-2, -1), keepdim=True)).norm().item()
    if difference == 0:
        return 0.0
    flat = bool((before.amax((-2, -1)) == before.amin((-2, -1))).all())  # its contrast may be a rounding error
    return math.inf if flat else difference / contrast
