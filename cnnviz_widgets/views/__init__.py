"""What the reader looks at and points at."""

from .image_view import ImageView
from .twin import Twin, discard

__all__ = ["ImageView", "Twin", "discard"]
