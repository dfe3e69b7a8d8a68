"""What a trained LeNet takes for what: a confusion matrix that opens down to every layer."""

import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from PIL import Image, ImageDraw
from torch import nn

from .. import render
from ..controls import SettingSlider
from ..errors import WrongSetting
from ..i18n import _
from ..images.digits import split_digits
from ..learning.training import Examples, as_tensors, confusion, predictions, train
from ..networks import Network, as_module
from ..networks.lenet import lenet
from ..render.layer_sheet import layer_sheet
from ..views import ImageView
from ..views.tiles import DigitTiles, grey_pictures
from .base import Explorer

CLASSES = 10
DENSITY = 2  # picture pixels for one screen pixel, so that the numbers are sharp
CELL, HEAD, SIDE = 23, 24, 256  # screen pixels: a cell, the margin with the digits, the whole matrix
ROWS = 4  # of digits of a cell; the rest of a full cell is left out
RIGHT, WRONG = (214, 232, 246), (213, 94, 0)


class LeNetExplorer(Explorer):
    """A confusion matrix; click a cell to see its digits, and one of those to see what every layer makes of it.

    `model` maps `[N, 1, 32, 32]` to logits `[N, 10]`; without one, `lenet(0)` is trained, which takes seconds. `digits`
    are `Digits`, or pictures with their labels 0 to 9; by default the 1,000 held out by `split_digits`. `value` is the
    matrix, int64 `[10, 10]`: how often each digit (row) was taken for each (column). `cell`, a pair (true, predicted),
    is the one that is open, and setting it opens another; `digit` is the number of the digit whose layers are shown.

    Raises `WrongSetting` when the model does not give ten numbers for a digit, or the labels are not 0 to 9.
    """

    title = _("What is taken for what")
    twin_kind = "png"
    cell = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(0, 0))

    def __init__(self, model: Network | nn.Module | None = None, digits: Examples | None = None):
        self.model = train(lenet()).model if model is None else as_module(model)
        self._pictures, self._labels = as_tensors(split_digits()[1] if digits is None else digits)
        self._ask()
        self.digit: int | None = None
        true, taken = self._worst_cell()
        self.true = SettingSlider(true, 0, CLASSES - 1, _("True digit"), _("The row of the matrix"))
        self.taken = SettingSlider(taken, 0, CLASSES - 1, _("Taken for"), _("The column of the matrix"))
        self.which = SettingSlider(1, 1, 1, _("Digit"), _("Which digit of the cell is shown in every layer"))
        self.matrix_view = ImageView(
            zoom=1 / DENSITY,
            follow="hover",
            key_step=CELL * DENSITY,
            help=_("Click a cell, or use the arrow keys and Enter, to see its digits."),
        )
        self.tiles = DigitTiles(SIDE)
        self.bars = ImageView(zoom=1 / DENSITY, drawing=True)
        self.layers_view = ImageView(pixelated=True)
        left = [self.matrix_view, self.tiles, self.bars]
        super().__init__(
            {"true": self.true, "taken": self.taken, "which": self.which},
            widgets.HBox(
                [
                    widgets.VBox(left, layout={"grid_gap": "8px", "overflow": "visible"}),
                    widgets.VBox([self.layers_view], layout={"overflow": "visible"}),
                ],
                layout={"grid_gap": "12px", "overflow": "visible"},
            ),
        )
        self.matrix_view.observe(lambda _change: self.attempt(self._on_click), "click")
        self.tiles.on_pick(lambda number: setattr(self.which, "value", number + 1))
        self.observe(lambda change: self._open(*change["new"]), "cell")

    @traitlets.validate("cell")
    def _on_the_matrix(self, proposal: dict) -> tuple[int, int]:
        if not all(0 <= digit < CLASSES for digit in proposal["value"]):
            message = _("A cell is a pair of digits 0 to 9, true and predicted, not {cell}.")
            raise traitlets.TraitError(message.format(cell=proposal["value"]))
        return proposal["value"]

    # ------------------------------------------------------------------------------------------------------ compute
    def update(self, changed: str | None = None) -> None:
        """Open the chosen cell, or show another digit of it."""
        if changed != "which":
            self.cell = (self.true.value, self.taken.value)
            self._members = self._of_cell(*self.cell)
            self._draw_matrix()
            with self.quietly():
                self.which.value = 1
                self.which.max = max(min(len(self._members), self._room), 1)
        self.digit = self._members[self.which.value - 1] if self._members else None
        self._draw_tiles()
        self._draw_digit()

    def _ask(self) -> None:
        """Ask the network about every digit."""
        logits = predictions(self.model, self._pictures)
        if logits.ndim != 2 or logits.shape[1] != CLASSES:
            message = _("The network must give ten numbers for a digit; this one gives {shape}.")
            raise WrongSetting(message.format(shape=" × ".join(map(str, logits.shape[1:])) or "1"))
        if self._labels.min() < 0 or self._labels.max() >= CLASSES:
            raise WrongSetting(_("The labels of the digits must be 0 to 9."))
        self._probabilities, self._said = logits.softmax(1), logits.argmax(1)
        self.value = confusion(logits, self._labels, CLASSES)

    def _worst_cell(self) -> tuple[int, int]:
        """The most frequent mistake; the cell (0, 0) when there is none."""
        mistakes = self.value.clone().fill_diagonal_(0)
        return divmod(int(mistakes.argmax()), CLASSES)

    def _of_cell(self, true: int, taken: int) -> list[int]:
        """The numbers of the digits of a cell, the one that the network is least sure of first."""
        members = torch.nonzero((self._labels == true) & (self._said == taken)).flatten()
        sure = self._probabilities[members, taken]
        return members[sure.argsort(stable=True)].tolist()

    def _open(self, true: int, taken: int) -> None:
        if (self.true.value, self.taken.value) != (true, taken):
            with self.held():
                self.true.value, self.taken.value = true, taken

    def _on_click(self) -> None:
        x, y, _count = self.matrix_view.click
        column, row = ((place // DENSITY - HEAD) // CELL for place in (x, y))
        if 0 <= column < CLASSES and 0 <= row < CLASSES:
            self.say("")
            self.cell = (row, column)

    @property
    def _room(self) -> int:
        """How many digits of a cell are shown at most."""
        return ROWS * self.tiles.columns_for(self._pictures.shape[3])

    # --------------------------------------------------------------------------------------------------------- draw
    def _draw_matrix(self) -> None:
        right, total = int(self.value.trace()), int(self.value.sum())
        self.matrix_view.show(
            matrix_picture(self.value.numpy(), self.cell),
            kind="png",
            alt=_("Confusion matrix: {right:,} of {total:,} digits right").format(right=right, total=total),
            caption=_("Rows: what it is; columns: what it was taken for. {right:,} of {total:,} right").format(
                right=right, total=total
            ),
            pointer=[(HEAD + (place * CELL) + CELL // 2) * DENSITY for place in reversed(self.cell)],
        )

    def _draw_tiles(self) -> None:
        true, taken = self.cell
        shown = self._members[: self._room]
        words = {"true": true, "taken": taken, "all": len(self._members), "shown": len(shown)}
        if not shown:
            caption = _("No {true} was taken for a {taken}")
        elif len(shown) < len(self._members):
            caption = _("{true} taken for {taken}: the {shown} least sure of {all}")
        else:
            caption = _("{true} taken for {taken}: {all}, the least sure first")
        caption = caption.format(**words)
        pictures = grey_pictures(self._pictures[shown])
        self.tiles.show_tiles(pictures, (), self.which.value - 1, ROWS, alt=caption, caption=caption)

    def _draw_digit(self) -> None:
        """The ten probabilities and all layers of the digit; an empty cell leaves the last one."""
        if self.digit is None:
            return
        rows = [(str(digit), float(p)) for digit, p in enumerate(self._probabilities[self.digit])]
        words = ", ".join(f"{digit} {render.probability(p)}" for digit, p in rows)
        said = int(self._said[self.digit])
        self.bars.show(
            render.bars(rows, SIDE, chosen=str(said), label_width=24),
            kind="png",
            alt=_("Probabilities: {words}").format(words=words),
            caption=_("Probability of each digit"),
        )
        sheet = layer_sheet(self.model, self._pictures[self.digit : self.digit + 1])
        self.layers_view.show(
            sheet.image,
            kind="png",
            alt=sheet.alt,
            caption=_("Digit {number}, a {true}, taken for {said}").format(
                number=self.digit, true=int(self._labels[self.digit]), said=said
            ),
        )


def matrix_picture(counts: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """The matrix `[10, 10]` with its numbers: mistakes the redder the more frequent; `cell` is framed.

    uint8 `[512, 512, 3]`, two pixels to one of the screen.
    """
    picture = Image.new("RGB", (SIDE * DENSITY, SIDE * DENSITY), render.PAPER)
    draw = ImageDraw.Draw(picture)
    face, bold = render.font(10 * DENSITY), render.font(10 * DENSITY, True)
    worst = max(int((counts - np.diag(counts.diagonal())).max()), 1)
    for digit in range(CLASSES):
        middle = (HEAD + (digit + 0.5) * CELL) * DENSITY
        draw.text((middle, HEAD // 2 * DENSITY), str(digit), font=bold, fill=render.INK, anchor="mm")
        draw.text((HEAD // 2 * DENSITY, middle), str(digit), font=bold, fill=render.INK, anchor="mm")
    for row in range(CLASSES):
        for column in range(CLASSES):
            count = int(counts[row, column])
            box = _box(row, column)
            ground = RIGHT if row == column else _tint(count / worst)
            draw.rectangle(box, fill=ground, outline=(225, 225, 225), width=DENSITY)
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            if count:
                draw.text(middle, str(count), font=face, fill=render.INK, anchor="mm")
    draw.rectangle(_box(*cell), outline=render.INK, width=2 * DENSITY)
    return np.asarray(picture)


def _box(row: int, column: int) -> tuple[int, int, int, int]:
    left, top = HEAD + column * CELL, HEAD + row * CELL
    return left * DENSITY, top * DENSITY, (left + CELL) * DENSITY, (top + CELL) * DENSITY


def _tint(share: float) -> tuple[int, int, int]:
    """White for no mistake, orange for the most frequent."""
    weight = 0.0 if share == 0 else 0.15 + 0.6 * share
    return tuple(round(255 + (full - 255) * weight) for full in WRONG)
