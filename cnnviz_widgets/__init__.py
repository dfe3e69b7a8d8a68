"""See and touch what a convolutional network does with a picture.

The public names are listed in `__init__.pyi`, where editors find them. Each is fetched from its module when it is first
used, so that importing the package costs nothing and using it as a plain torch library never imports a widget.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _public, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]


def __dir__() -> list[str]:
    """What can be imported, for completion."""
    return sorted({*globals(), *_public()})
