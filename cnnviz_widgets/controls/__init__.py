"""What the reader moves: each control is a widget with a `value` that means something."""

from .channel_picker import ChannelPicker
from .class_picker import ClassPicker
from .image_picker import ImagePicker
from .kernel_editor import KernelEditor
from .layer_picker import LayerPicker
from .network_picker import NetworkPicker
from .number_grid import NumberGrid
from .run_control import RunControl
from .sliders import DilationSlider, KernelSizeSlider, PaddingPicker, SettingChoice, SettingSlider, StrideSlider

__all__ = [
    "ChannelPicker",
    "ClassPicker",
    "DilationSlider",
    "ImagePicker",
    "KernelEditor",
    "KernelSizeSlider",
    "LayerPicker",
    "NetworkPicker",
    "NumberGrid",
    "PaddingPicker",
    "RunControl",
    "SettingChoice",
    "SettingSlider",
    "StrideSlider",
]
