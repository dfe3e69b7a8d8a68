"""The errors that a reader can cause. Each carries one clear sentence: what is wrong, and what would be right."""


class CnnvizError(ValueError):
    """Base of every error whose message is written for the reader; panels show it in their status line."""


class ImageError(CnnvizError):
    """A picture could not be read, or is of a kind that cannot be shown."""


class UnknownClass(CnnvizError):
    """A network has no class of this name or number."""


class UnknownLayer(CnnvizError):
    """A network has no layer of this name."""


class UnknownNetwork(CnnvizError):
    """No network goes by this name."""


class WeightsUnavailable(CnnvizError):
    """The weights of a network are not on this machine and could not be fetched."""


class WrongSetting(CnnvizError):
    """A setting (kernel size, stride, window …) makes no sense for the picture it is used on."""
