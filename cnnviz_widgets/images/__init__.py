"""The course's pictures by name, safe reading of a reader's picture, and the way between pictures and tensors."""

from .reading import (
    FORMATS,
    MAX_BYTES,
    MAX_JPEG_PIXELS,
    MAX_PIXELS,
    MAX_SIDE,
    PICTURES,
    ImageSource,
    Picture,
    centre_crop,
    fit,
    greyscale,
    load,
    resize,
    to_image,
    to_tensor,
)

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_JPEG_PIXELS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "PICTURES",
    "ImageSource",
    "Picture",
    "centre_crop",
    "fit",
    "greyscale",
    "load",
    "resize",
    "to_image",
    "to_tensor",
]
