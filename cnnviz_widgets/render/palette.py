"""The colours of the course: ink and paper, one palette for classes, one colour map for each kind of value."""

from functools import cache

import numpy as np

INK = (33, 33, 33)
FAINT = (117, 117, 117)
PAPER = (255, 255, 255)
UNKNOWN = (224, 224, 224)  # colour of map cells that have no value (yet)
NARROWEST = 160  # pixels: what a caption needs, however small its picture
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000")
EVIDENCE, SIGNED, GREY = "magma", "RdBu_r", "gray"


@cache
def colour_table(name: str) -> np.ndarray:
    """The 256 colours of matplotlib's colour map `name`: uint8 `[256, 3]`, lowest value first."""
    import matplotlib

    return (matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255).round().astype(np.uint8)
