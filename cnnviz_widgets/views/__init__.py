"""What the reader looks at and points at."""

from .boxes import beside, register
from .image_view import ImageView
from .layout import column, laid_out, row
from .status_line import StatusLine
from .twin import Twin, discard

__all__ = ["ImageView", "StatusLine", "Twin", "beside", "column", "discard", "laid_out", "row"]

register()
