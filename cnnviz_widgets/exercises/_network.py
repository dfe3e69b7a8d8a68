"""The network that exercises ask: the bundled one, loaded when first needed."""

from functools import cache

from ..networks import Network, load_network


@cache
def bundled() -> Network:
    """The network of the course, the same one for all exercises."""
    return load_network()
