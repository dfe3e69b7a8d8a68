"""What the reader moves: each control is a widget with a `value` that means something."""

from .channel_picker import ChannelPicker
from .class_picker import ClassPicker
from .image_picker import ImagePicker
from .kernel_editor import KernelEditor
from .layer_list import LayerList
from .layer_picker import LayerPicker
from .network_picker import NetworkPicker
from .number_grid import NumberGrid
from .run_control import RunControl
from .sliders import DilationSlider, KernelSizeSlider, NumberSlider, SettingChoice, SettingSlider, StrideSlider
from .toggles import PaddingPicker, ToggleChoice
from .worker import WORKER, Job

__all__ = [
    "ChannelPicker",
    "ClassPicker",
    "DilationSlider",
    "Job",
    "ImagePicker",
    "KernelEditor",
    "KernelSizeSlider",
    "LayerList",
    "LayerPicker",
    "NetworkPicker",
    "NumberGrid",
    "NumberSlider",
    "PaddingPicker",
    "RunControl",
    "SettingChoice",
    "SettingSlider",
    "StrideSlider",
    "ToggleChoice",
    "WORKER",
]
