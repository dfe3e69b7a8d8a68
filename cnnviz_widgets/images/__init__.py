"""The course's pictures by name, safe reading of a reader's picture, and the way between pictures and tensors."""

from .catalogue import PICTURES, Picture
from .crops import CROPPED, Crops, picture_crops
from .decoding import FORMATS
from .limits import MAX_BYTES, MAX_JPEG_PIXELS, MAX_PIXELS, MAX_SIDE
from .lists import SUFFIXES, PictureList, Pictures, picture_list, picture_name
from .reading import ImageSource, load
from .tensors import BEYOND, at_most, centre_crop, crop, fit, greyscale, resize, to_image, to_tensor

__all__ = [
    "BEYOND",
    "CROPPED",
    "FORMATS",
    "MAX_BYTES",
    "MAX_JPEG_PIXELS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "PICTURES",
    "SUFFIXES",
    "Crops",
    "ImageSource",
    "Picture",
    "PictureList",
    "Pictures",
    "at_most",
    "centre_crop",
    "crop",
    "fit",
    "greyscale",
    "load",
    "picture_crops",
    "picture_list",
    "picture_name",
    "resize",
    "to_image",
    "to_tensor",
]
