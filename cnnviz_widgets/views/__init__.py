"""What the reader looks at and points at."""

from .image_view import ImageView
from .status_line import StatusLine
from .twin import Twin, discard

__all__ = ["ImageView", "StatusLine", "Twin", "discard"]
