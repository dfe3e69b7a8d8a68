"""Convolution as a layer computes it: a window slides over the picture; products are summed where it stands.

What networks call convolution is cross-correlation: the kernel is not flipped. Vincent Dumoulin and Francesco Visin,
"A guide to convolution arithmetic for deep learning" (2016), derive the sizes that `output_size` gives.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import WrongSetting
from ..i18n import _
from ..settings import one_of, whole_number

PADDINGS = {
    "valid": _("valid: no border"),
    "same": _("same: the output is as large as the picture"),
    "full": _("full: wherever the kernel touches the picture"),
}
KERNELS = {
    "identity": _("Identity"),
    "blur": _("Blur"),
    "sharpen": _("Sharpen"),
    "sobel_x": _("Sobel: vertical edges"),
    "sobel_y": _("Sobel: horizontal edges"),
    "laplacian": _("Laplacian"),
    "emboss": _("Emboss"),
}


def padding_amounts(kernel_size: int, padding: str | int = "valid", dilation: int = 1) -> tuple[int, int]:
    """How many zeros stand before and after a row of the picture.

    "valid" adds none, "same" `dilation * (kernel_size - 1)` in all (an odd one goes after), "full" that many on each
    side, and a number that number on each side. Raises `WrongSetting` for anything else.
    """
    reach = whole_number(_("dilation"), dilation, 1) * (whole_number(_("kernel size"), kernel_size, 1) - 1)
    if not isinstance(padding, str):
        padding = whole_number(_("padding"), padding, 0)
        return padding, padding
    one_of(_("padding"), padding, PADDINGS)
    return {"valid": (0, 0), "same": (reach // 2, reach - reach // 2), "full": (reach, reach)}[padding]


def output_size(size: int, kernel_size: int, stride: int = 1, padding: str | int = "valid", dilation: int = 1) -> int:
    """How many positions the kernel has along a side of `size` pixels.

    (size + padding - dilation * (kernel_size - 1) - 1) // stride + 1, as Dumoulin and Visin (2016) derive it. At
    stride 1 "same" gives `size`; at stride s it gives `size / s`, rounded up.
    Raises `WrongSetting` when the kernel does not fit even once, or when a setting is not a positive whole number.
    """
    size, stride = whole_number(_("picture's size"), size, 1), whole_number(_("stride"), stride, 1)
    padded = size + sum(padding_amounts(kernel_size, padding, dilation))
    covered = dilation * (kernel_size - 1) + 1
    if covered > padded:
        message = _(
            "The kernel covers {covered} pixels, {excess} more than the {padded} of the padded picture: "
            "make the kernel or its dilation smaller, or choose the padding 'same'."
        )
        raise WrongSetting(message.format(covered=covered, excess=covered - padded, padded=padded))
    return (padded - covered) // stride + 1


def convolve(
    inputs: Tensor, kernel: Tensor, stride: int = 1, padding: str | int = "valid", dilation: int = 1
) -> Tensor:
    """Slide `kernel` [K, C, kH, kW] over `inputs` [N, C, H, W]; returns [N, K, rows, columns].

    Cross-correlation, as in every network: out[n, k, y, x] is the sum over c, i, j of
    inputs[n, c, y * stride + i * dilation - before, x * stride + j * dilation - before] * kernel[k, c, i, j],
    with zeros outside the picture and `before` from `padding_amounts`. Even kernels, and every padding at every
    stride, are allowed. Flip the kernel (`kernel.flip(-2, -1)`) for the convolution of the mathematicians.
    Raises `WrongSetting` when shapes do not fit each other or the kernel is larger than the padded picture.
    """
    if not isinstance(inputs, Tensor) or not isinstance(kernel, Tensor):
        message = _("Give tensors, not {inputs} and {kernel}: torch.as_tensor makes one of an array.")
        raise WrongSetting(message.format(inputs=type(inputs).__name__, kernel=type(kernel).__name__))
    if inputs.ndim != 4 or kernel.ndim != 4 or inputs.shape[1] != kernel.shape[1]:
        message = _(
            "Give a picture [N, C, H, W] and a kernel [K, C, kH, kW] of as many channels C, "
            "not shapes {inputs} and {kernel}."
        )
        raise WrongSetting(message.format(inputs=list(inputs.shape), kernel=list(kernel.shape)))
    margins = []
    for side in (3, 2):  # F.pad wants the last side first
        output_size(inputs.shape[side], kernel.shape[side], stride, padding, dilation)
        margins += padding_amounts(kernel.shape[side], padding, dilation)
    dtype = torch.promote_types(inputs.dtype, kernel.dtype)
    return F.conv2d(F.pad(inputs.to(dtype), margins), kernel.to(dtype), stride=stride, dilation=dilation)


def visits(
    size: tuple[int, int],
    kernel_size: int | tuple[int, int],
    stride: int = 1,
    padding: str | int = "valid",
    dilation: int = 1,
) -> Tensor:
    """How often a convolution reads each pixel of a picture of `size` (H, W): int64 [H, W].

    Positions over the zero border read it too, but are not counted: they are no pixels of the picture.
    Raises `WrongSetting` as `output_size` does.
    """
    kernel_sizes = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    if not isinstance(size, (tuple, list)) or not len(size) == len(kernel_sizes) == 2:
        message = _("Give the picture's (height, width) and one or two kernel sizes, not {size} and {kernel}.")
        raise WrongSetting(message.format(size=size, kernel=kernel_size))
    rows, columns = (_visits_along(n, k, stride, padding, dilation) for n, k in zip(size, kernel_sizes, strict=True))
    return rows[:, None] * columns[None, :]


def _visits_along(size: int, kernel_size: int, stride: int, padding: str | int, dilation: int) -> Tensor:
    count = output_size(size, kernel_size, stride, padding, dilation)
    before, _after = padding_amounts(kernel_size, padding, dilation)
    read = torch.arange(count)[:, None] * stride + torch.arange(kernel_size)[None, :] * dilation - before
    return torch.bincount(read[(read >= 0) & (read < size)], minlength=size)


def kernel(name: str, size: int = 3) -> Tensor:
    """The kernel `name` of `KERNELS` in `size` × `size`: float32 [size, size], made for cross-correlation.

    - identity: a one in the middle (before the middle for even sizes, so that with "same" the picture is unchanged).
    - blur: the mean of the window; the weights sum to 1.
    - sharpen: twice the identity less the blur; sums to 1.
    - sobel_x: a binomial smoothing down, a smoothed difference across; positive where the picture brightens to the
      right. Scaled so that a step from 0 to 1 gives at most 4, as in the well-known 3 × 3. sobel_y is its transpose.
    - laplacian: the four neighbours less four times the middle, of the picture smoothed by a binomial of `size` - 2;
      positive weights sum to 4. Two pixels a side have only the mixed second difference.
    - emboss: the identity plus half of sobel_x + sobel_y (light from the upper left); sums to 1.

    A single pixel has no slope: at size 1 both Sobels and the Laplacian are 0.
    Raises `WrongSetting` for an unknown name or a size below 1.
    """
    one_of(_("kernel"), name, KERNELS)
    return _MAKERS[name](whole_number(_("kernel size"), size, 1)).float()


def _binomial(taps: int) -> Tensor:
    """A row of Pascal's triangle: 1, 1 1, 1 2 1, …"""
    row = torch.ones(1, dtype=torch.float64)
    for _step in range(taps - 1):
        row = _polynomial_product(row, [1, 1])
    return row


def _polynomial_product(row: Tensor, factor: list[int]) -> Tensor:
    product = row.new_zeros(len(row) + len(factor) - 1)
    for shift, weight in enumerate(factor):
        product[shift : shift + len(row)] += weight * row
    return product


def _scaled(weights: Tensor) -> Tensor:
    """Positive weights summing to 4, as in the 3 × 3 Sobel and Laplacian, so that sizes can be compared."""
    return weights * 4 / weights.clamp(min=0).sum()


def _identity(size: int) -> Tensor:
    weights = torch.zeros(size, size, dtype=torch.float64)
    weights[(size - 1) // 2, (size - 1) // 2] = 1
    return weights


def _blur(size: int) -> Tensor:
    return torch.full((size, size), 1 / size**2, dtype=torch.float64)


def _sharpen(size: int) -> Tensor:
    return 2 * _identity(size) - _blur(size)


def _sobel_x(size: int) -> Tensor:
    if size == 1:
        return torch.zeros(1, 1)
    slope = _polynomial_product(_binomial(size - 1), [-1, 1])
    return _scaled(torch.outer(_binomial(size), slope))


def _sobel_y(size: int) -> Tensor:
    return _sobel_x(size).T.contiguous()


def _laplacian(size: int) -> Tensor:
    if size == 1:
        return torch.zeros(1, 1)
    if size == 2:
        return _scaled(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    smoothing = _binomial(size - 2)
    across = torch.outer(F.pad(smoothing, (1, 1)), _polynomial_product(smoothing, [1, -2, 1]))
    return _scaled(across + across.T)


def _emboss(size: int) -> Tensor:
    return _identity(size) + (_sobel_x(size) + _sobel_y(size)) / 2


_MAKERS = {
    "identity": _identity,
    "blur": _blur,
    "sharpen": _sharpen,
    "sobel_x": _sobel_x,
    "sobel_y": _sobel_y,
    "laplacian": _laplacian,
    "emboss": _emboss,
}


def random_kernels(count: int, size: int, seed: int = 0, channels: int = 1) -> Tensor:
    """`count` kernels of normally distributed weights: float32 [count, channels, size, size].

    The same seed gives the same kernels, and torch's own random numbers are untouched. Weights have variance
    1 / (channels * size²), so that answers to noise are as strong for large kernels as for small ones.
    Raises `WrongSetting` when `count`, `size` or `channels` is below 1.
    """
    count, size = whole_number(_("number of kernels"), count, 1), whole_number(_("kernel size"), size, 1)
    channels = whole_number(_("number of channels"), channels, 1)
    generator = torch.Generator().manual_seed(whole_number(_("seed"), seed, 0))
    return torch.randn(count, channels, size, size, generator=generator) / (size * channels**0.5)


def responses(inputs: Tensor, weights: Tensor) -> Tensor:
    """`inputs` `[1, C, H, W]` convolved with `weights` `[K, C, k, k]`, without a border, in a panel without padding.

    Raises `WrongSetting` when the picture is smaller than the kernel.
    """
    size, (height, width) = weights.shape[-1], inputs.shape[-2:]
    if size > min(height, width):
        message = _("A kernel of {n} × {n} does not fit into a picture of {h} × {w} pixels: choose a smaller kernel.")
        raise WrongSetting(message.format(n=size, h=height, w=width))
    return convolve(inputs, weights)
