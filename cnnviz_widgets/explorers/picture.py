"""What panels share that send numbers through one picture: the picture, scaled down to what is quick."""

import torch

from .. import images
from ..images import at_most
from .base import Explorer, follows

LONGEST = 400  # picture pixels on the longer side; a larger picture is scaled down to keep the panel quick


class PictureExplorer(Explorer):
    """A panel with a setting `picture`, an `ImagePicker`, which its other parts follow as "scale".

    `scaled` is the present picture, uint8 [H, W, 3] with at most `LONGEST` pixels on a side; `colour` [1, 3, H, W] and
    `grey` [1, 1, H, W] are the same as float32 tensors in 0..1.
    """

    @follows("picture")
    def scale(self) -> None:
        """Scale the picture down, once for each picture."""
        self.scaled = at_most(self.picture.image, LONGEST)
        self.colour = images.to_tensor(self.scaled)
        self.grey = torch.from_numpy(images.greyscale(self.scaled))[None, None]
