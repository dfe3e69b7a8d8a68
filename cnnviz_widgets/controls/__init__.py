"""What the reader moves: each control is a widget with a `value` that means something."""

from .class_picker import ClassPicker
from .image_picker import ImagePicker
from .kernel_editor import KernelEditor
from .number_grid import NumberGrid
from .run_control import RunControl
from .sliders import DilationSlider, KernelSizeSlider, PaddingPicker, SettingChoice, SettingSlider, StrideSlider

__all__ = [
    "ClassPicker",
    "DilationSlider",
    "ImagePicker",
    "KernelEditor",
    "KernelSizeSlider",
    "NumberGrid",
    "PaddingPicker",
    "RunControl",
    "SettingChoice",
    "SettingSlider",
    "StrideSlider",
]
