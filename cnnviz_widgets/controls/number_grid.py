"""Numbers in rows and columns that can be typed over."""

from pathlib import Path

import anywidget
import traitlets

from ..i18n import _

HERE = Path(__file__).parent
LARGEST = (
    1e15  # products of two such numbers, and their sums, are still numbers for the panels; number_grid.js has it too
)


def small_enough(rows: list[list[float]]) -> list[list[float]]:
    """`rows`, unless one of their numbers is infinite, none (nan), or too large to compute with: a `TraitError`."""
    wrong = [number for row in rows for number in row if not abs(number) <= LARGEST]
    if wrong:
        raise traitlets.TraitError(_("{number} is no number to compute with.").format(number=wrong[0]))
    return rows


class NumberGrid(anywidget.AnyWidget):
    """A small table of numbers; `value` is its rows, a list of lists of floats.

    Only a change of the whole `value` is noticed: assign a new list rather than changing the old one in place.
    What is typed and is no number leaves `value` as it was and puts a sentence into `error`.
    """

    _esm = (HERE / "number_grid.js").read_text(encoding="utf-8")
    _css = (HERE / "number_grid.css").read_text(encoding="utf-8")

    value = traitlets.List(traitlets.List(traitlets.CFloat())).tag(sync=True)
    description = traitlets.Unicode("").tag(sync=True)
    editable = traitlets.Bool(True).tag(sync=True)
    square = traitlets.Bool(False, help="whether there must be as many rows as columns")
    width = traitlets.Int(264, help="screen pixels that the grid may fill").tag(sync=True)
    error = traitlets.Unicode("")

    def __init__(self, value: list[list[float]], **traits):
        super().__init__(value=value, **traits)
        self.on_msg(self._on_message)

    @traitlets.validate("value")
    def _rectangular(self, proposal: dict) -> list[list[float]]:
        rows = proposal["value"]
        if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
            raise traitlets.TraitError(_("A grid of numbers needs rows of equal length."))
        if self.square and len(rows) != len(rows[0]):
            raise traitlets.TraitError(_("A kernel needs as many rows as columns."))
        return small_enough(rows)

    def _on_message(self, _widget: object, content: dict, _buffers: list) -> None:
        if content.get("kind") == "not a number":
            self.error = ""
            self.error = _("“{text}” is not a number; the cell keeps the one it had.").format(text=content["text"][:20])
        elif content.get("kind") == "too large":
            self.error = ""
            self.error = _("{text} is too large; the cell keeps the number it had.").format(text=content["text"][:20])

    def __repr__(self) -> str:
        return "NumberGrid()"
