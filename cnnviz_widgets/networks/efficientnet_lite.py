"""EfficientNet-Lite0 in plain torch, with layer names that say what each layer is for.

Mingxing Tan and Quoc V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. The
Lite variant, made for phones, leaves out squeeze-and-excitation and takes ReLU6 for swish.
"""

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = (  # channels out, kernel size, stride of the first block, expansion, blocks
    (16, 3, 1, 1, 1),
    (24, 3, 2, 6, 2),
    (40, 5, 2, 6, 2),
    (80, 3, 2, 6, 3),
    (112, 5, 1, 6, 3),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: ⌈H / stride⌉ rows come out, and the odd zero row goes below."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve `inputs` [N, C, H, W] into [N, K, ⌈H / stride⌉, ⌈W / stride⌉]."""
        amounts: list[int] = []
        for size, kernel, stride in zip(inputs.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            amounts += [total // 2, total - total // 2]
        return F.conv2d(F.pad(inputs, amounts), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation and, unless `linear`, ReLU6."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        if stride == 1:
            self.conv = nn.Conv2d(channels_in, channels_out, kernel, 1, kernel // 2, groups=groups, bias=False)
        else:
            self.conv = SameConv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, eps=1e-3)
        if not linear:
            self.relu = nn.ReLU6()


class InvertedResidual(nn.Module):
    """Widen with 1×1 filters, filter each channel on its own, narrow again; where shapes allow, add the input.

    Mark Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels_in * expansion
        if expansion > 1:
            self.expand = ConvUnit(channels_in, width)
        self.depthwise = ConvUnit(width, width, kernel, stride, groups=width)
        self.project = ConvUnit(width, channels_out, linear=True)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `inputs` [N, C, H, W] to [N, channels_out, ⌈H / stride⌉, ⌈W / stride⌉]."""
        hidden = self.expand(inputs) if hasattr(self, "expand") else inputs
        outputs = self.project(self.depthwise(hidden))
        return outputs + inputs if self.shortcut else outputs


class EfficientNetLite0(nn.Module):
    """The network: a stem, sixteen blocks in seven stages (`block1_1` … `block7_1`), a head, pooling, a classifier.

    Takes pictures [N, 3, H, W] with pixels scaled as (pixel - 127) / 128 and gives logits [N, classes]. Untrained, its
    filters are drawn as in Kaiming He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 32, kernel=3, stride=2)
        channels = 32
        for stage, (channels_out, kernel, stride, expansion, blocks) in enumerate(STAGES, start=1):
            for number in range(1, blocks + 1):
                block = InvertedResidual(channels, channels_out, kernel, stride if number == 1 else 1, expansion)
                self.add_module(f"block{stage}_{number}", block)
                channels = channels_out
        self.head = ConvUnit(channels, 1280)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(1280, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # there it would import torch's compiler
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [N, classes] of normalised pictures [N, 3, H, W]; every layer runs once, in the order of its name."""
        outputs = inputs
        for layer in self.children():
            outputs = layer(outputs)
        return outputs
