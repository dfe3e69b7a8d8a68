"""Pictures as arrays and as tensors: the way between them, other sizes, parts, and grey.

A picture is a uint8 array `[H, W, 3]` in RGB order.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageError, WrongSetting
from ..i18n import _

BEYOND = 224  # grey of what a crop has beyond the picture's border, where a network pads


def to_tensor(image: np.ndarray) -> Tensor:
    """A picture [H, W, 3] (uint8, or float in 0..1) as a float32 tensor [1, 3, H, W] in 0..1."""
    channels = np.ascontiguousarray(from_array(image).transpose(2, 0, 1))
    return torch.from_numpy(channels.astype(np.float32) / 255.0)[None]


def to_image(tensor: Tensor) -> np.ndarray:
    """A tensor [1, 3, H, W] or [3, H, W] in 0..1, or uint8 (one channel is grey), as a uint8 picture [H, W, 3].

    Values outside 0..1 are clipped. Raises `ImageError` for other shapes.
    """
    shape = tuple(tensor.shape)
    if len(shape) == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise ImageError(_("A tensor of shape {shape} is no picture; it must be [1, 3, H, W].").format(shape=shape))
    pixels = tensor.detach().cpu()
    if pixels.dtype != torch.uint8:
        pixels = pixels.float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` [h, w, 3] uint8 resized to `size=(H, W)`, bicubic, smoothed before it is made smaller."""
    height, width = _checked_size(size)
    if image.shape[:2] == (height, width):
        return image.copy()
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def at_most(image: np.ndarray, longest: int) -> np.ndarray:
    """`image` (uint8 `[H, W, 3]`), scaled down where its longer side has more than `longest` pixels."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    return resize(image, (max(round(height * factor), 1), max(round(width * factor), 1)))


def centre_crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The H × W pixels in the middle of `image`, for `size=(H, W)`. Raises `WrongSetting` if it has fewer."""
    height, width = _checked_size(size)
    if height > image.shape[0] or width > image.shape[1]:
        message = _("A part of {height} × {width} pixels does not fit into a picture of {rows} × {columns}.")
        raise WrongSetting(message.format(height=height, width=width, rows=image.shape[0], columns=image.shape[1]))
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width].copy()


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred part of `image` that has the shape of `size=(H, W)`, resized to it.

    The part is one of whole pixels, so that a part which has the size already stays as it is.
    """
    height, width = _checked_size(size)
    rows, columns = image.shape[:2]
    scale = min(rows / height, columns / width)
    part = (max(1, min(rows, round(height * scale))), max(1, min(columns, round(width * scale))))
    return resize(centre_crop(image, part), (height, width))


def crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels of `image` [H, W, 3] in `box` (top, left, bottom, right), grey where it hangs over the border."""
    top, left, bottom, right = box
    height, width = image.shape[:2]
    cut = np.full((bottom - top, right - left, 3), BEYOND, np.uint8)
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    y, x = max(-top, 0), max(-left, 0)
    cut[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return cut


def greyscale(image: np.ndarray) -> np.ndarray:
    """Brightness of a picture: float32 [H, W] in 0..1, with the weights of ITU-R BT.601 (green counts most)."""
    return (image[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)) / 255.0


def from_array(array: np.ndarray) -> np.ndarray:
    """An array of any accepted shape and type (see `load`) as a new uint8 picture [H, W, 3]."""
    pixels = np.asarray(array)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        message = _("An array of shape {shape} is no picture; it must be [H, W], [H, W, 3] or [H, W, 4].")
        raise ImageError(message.format(shape=np.shape(array)))
    pixels = _eight_bit(pixels)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255.0
        pixels = np.round(pixels[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def is_16_bit(values: np.ndarray) -> bool:
    """Whether `values` are whole numbers from 0 to 65,535, in either order of bytes."""
    return values.dtype.kind == "u" and values.dtype.itemsize == 2


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if is_16_bit(pixels):
        return np.round(pixels / 257.0).astype(np.uint8)
    if pixels.dtype.kind not in "fiu":
        raise ImageError(_("An array of {dtype} is no picture; use uint8 or floats.").format(dtype=pixels.dtype))
    top = 1.0 if pixels.dtype.kind == "f" else 255
    low, high = pixels.min(), pixels.max()
    slack = 1e-3 if top == 1.0 else 0  # arithmetic with floats oversteps 0 and 1 a little
    if not (low >= -slack and high <= top + slack):  # also true of NaN
        message = _("The array's values run from {low:.3g} to {high:.3g}; {dtype} pixels run from 0 to {top:.0f}.")
        raise ImageError(message.format(low=low, high=high, dtype=pixels.dtype, top=top))
    return np.round(pixels.clip(0, top) * (255.0 / top)).astype(np.uint8)


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError):
        raise WrongSetting(_("The size of a picture is (height, width), not {size!r}.").format(size=size)) from None
    if height < 1 or width < 1:
        message = _("A picture cannot be {height} × {width} pixels; both sides must be at least 1.")
        raise WrongSetting(message.format(height=height, width=width))
    return height, width
