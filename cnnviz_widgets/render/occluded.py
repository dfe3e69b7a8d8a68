"""What an occlusion shows: the picture, the map with its scale, the picture under its mask, the classes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from ..i18n import _
from ..techniques.fills import FILLS
from ..techniques.occlusion import OcclusionMap
from .drawing import Drawing, evidence, photograph, probabilities
from .maps import outside_faded
from .words import number

MAPS = {"probability": _("probability"), "drop": _("drop in probability"), "logit": _("logit")}
MOST = 5  # classes in the bars


def to_cover(seen: np.ndarray, title: str) -> Drawing:
    """What a network sees of the picture called `title`, [H, W, 3], for a patch to be dragged over."""
    caption = _("Drag the patch over what the network sees, {h} × {w} pixels")
    alt = _("{title}, as the network sees it").format(title=title)
    return photograph(seen, caption.format(h=seen.shape[0], w=seen.shape[1]), alt)


def occlusion_map(found: OcclusionMap, of: str, zoom: float) -> Drawing:
    """The map so far of what `MAPS` names, in pixels of the picture; grey where no window has been."""
    values = {"probability": found.probabilities, "drop": found.drop, "logit": found.logits}[of]
    caption = _("{what} of {target} when the patch is here ({fill})").format(
        what=MAPS[of].capitalize(), target=found.label, fill=FILLS[found.fill].lower()
    )
    drawing = evidence(found.per_pixel(values).numpy(), caption, MAPS[of], zoom)
    return replace(drawing, alt=_("Occlusion map of {target}").format(target=found.label))


def under_mask(found: OcclusionMap, threshold: float, seen: np.ndarray, zoom: float) -> Drawing:
    """`seen` [H, W, 3] where the probability falls below `threshold` times the map's maximum."""
    mask = found.mask(threshold).numpy()
    caption = _("Where it falls below {t} of its maximum: {share:.0%} of the picture").format(
        t=number(threshold), share=mask.mean()
    )
    alt = _("The picture under the mask")
    return photograph(outside_faded(seen, mask), caption, alt, zoom=zoom, pixelated=True)


def class_bars(labels: Sequence[str], clean: Tensor, now: Tensor, target: int, width: int) -> Drawing:
    """Bars of five classes in the probabilities `now` [classes], with a line where each stood in `clean`.

    They are the likeliest in `clean`, but for the `target` and the likeliest now, which have a place in any case.
    """
    likely, wanted = clean.argsort(descending=True)[:MOST].tolist(), [target, int(now.argmax())]
    missing = [index for index in dict.fromkeys(wanted) if index not in likely]
    shown = [*likely[: len(likely) - len(missing)], *missing]
    rows = [(labels[index], float(now[index])) for index in shown]
    caption = _("Probability of each class; the upright line is the picture without a patch")
    return probabilities(rows, width, caption, before=clean[shown].tolist(), chosen=labels[target])
