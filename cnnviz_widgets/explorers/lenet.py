"""What a trained LeNet takes for what: a confusion matrix that opens down to every layer."""

import torch
import traitlets
from torch import nn

from ..controls import SettingSlider
from ..errors import WrongSetting
from ..i18n import _
from ..images.digits import split_digits
from ..learning.answers import predictions, reading_of
from ..learning.examples import Examples, as_tensors
from ..learning.training import confusion, train
from ..networks import Network, as_module
from ..networks.lenet import lenet
from ..render.confusion import CELL, CLASSES, DENSITY, SIDE, cell_at, confusion_matrix
from ..render.digits import digit_bars
from ..render.layer_sheet import layer_sheet
from ..views import ImageView
from ..views.tiles import DigitTiles, grey_pictures
from .base import Explorer, follows

ROWS = 4  # of digits of a cell; the rest of a full cell is left out


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

    def __init__(self, model: Network | nn.Module | None = None, digits: Examples | None = None) -> None:
        self._asked = train(lenet()).model if model is None else model
        self.model = as_module(self._asked)
        self._pictures, self._labels = as_tensors(split_digits()[1] if digits is None else digits)
        self._ask()
        mistakes = self.value.clone().fill_diagonal_(0)
        true, taken = divmod(int(mistakes.argmax()), CLASSES)  # the most frequent; (0, 0) when there is none
        settings = {
            "true": SettingSlider(true, 0, CLASSES - 1, _("True digit"), _("The row of the matrix")),
            "taken": SettingSlider(taken, 0, CLASSES - 1, _("Taken for"), _("The column of the matrix")),
            "which": SettingSlider(1, 1, 1, _("Digit"), _("Which digit of the cell is shown in every layer")),
        }
        help_text = _("Click a cell, or use the arrow keys and Enter, to see its digits.")
        views = {
            "matrix_view": ImageView(follow="hover", key_step=CELL * DENSITY, help=help_text),
            "tiles": DigitTiles(SIDE),
        }
        super().__init__(settings, [[["matrix_view", "tiles", "bars"], ["layers_view"]]], views=views)
        self.on(self.matrix_view, "click", self._on_click)
        self.tiles.on_pick(lambda number: setattr(self.which, "value", number + 1))
        self.observe(lambda change: self._open(*change["new"]), "cell")

    @traitlets.validate("cell")
    def _on_the_matrix(self, proposal: dict) -> tuple[int, int]:
        if not all(0 <= digit < CLASSES for digit in proposal["value"]):
            message = _("A cell is a pair of digits 0 to 9, true and predicted, not {cell}.")
            raise traitlets.TraitError(message.format(cell=proposal["value"]))
        return proposal["value"]

    @follows("true", "taken")
    def open_cell(self) -> None:
        """Find the digits of the chosen cell."""
        self.cell = (self.true.value, self.taken.value)
        self._members = self._of_cell(*self.cell)
        most = ROWS * self.tiles.columns_for(self._pictures.shape[3])
        with self.quietly():
            self.which.value = 1
            self.which.max = max(min(len(self._members), most), 1)

    @follows("open_cell")
    def draw_matrix(self) -> None:
        """The matrix with the cell framed."""
        self.matrix_view.draw(confusion_matrix(self.value.numpy(), self.cell))

    @follows("open_cell", "which")
    def draw_tiles(self) -> None:
        """The digits of the cell, with a frame around the chosen one."""
        self.digit = self._members[self.which.value - 1] if self._members else None
        shown = self._members[: self.which.max]
        if not shown:
            caption = _("No {true} was taken for a {taken}")
        elif len(shown) < len(self._members):
            caption = _("{true} taken for {taken}: the {shown} least sure of {all}")
        else:
            caption = _("{true} taken for {taken}: {all}, the least sure first")
        true, taken = self.cell
        caption = caption.format(true=true, taken=taken, all=len(self._members), shown=len(shown))
        pictures = grey_pictures(self._pictures[shown])
        self.tiles.show_tiles(pictures, (), self.which.value - 1, ROWS, alt=caption, caption=caption)

    @follows("draw_tiles")
    def draw_digit(self) -> None:
        """The ten probabilities and all layers of the digit; an empty cell leaves the last one."""
        if self.digit is None:
            return
        said, true = int(self._said[self.digit]), int(self._labels[self.digit])
        self.bars.draw(digit_bars(self._probabilities[self.digit].tolist(), SIDE, said))
        caption = _("Digit {number}, a {true}, taken for {said}").format(number=self.digit, true=true, said=said)
        sheet = layer_sheet(self._asked, self._pictures[self.digit : self.digit + 1])
        self.layers_view.draw(sheet.drawing(caption))

    def _ask(self) -> None:
        """Ask the network about every digit."""
        logits = predictions(self._asked, self._pictures)
        if logits.shape[1] != CLASSES:
            message = _("The network must give ten numbers for a digit; this one gives {count}.")
            raise WrongSetting(message.format(count=logits.shape[1]))
        if self._labels.min() < 0 or self._labels.max() >= CLASSES:
            raise WrongSetting(_("The labels of the digits must be 0 to 9."))
        self._probabilities, self._said = reading_of(self._asked).probabilities(logits), logits.argmax(1)
        self.value = confusion(logits, self._labels, CLASSES)

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
        cell = cell_at(*self.matrix_view.click[:2]) if self.matrix_view.click else None
        if cell is not None:
            self.say("")
            self.cell = cell
