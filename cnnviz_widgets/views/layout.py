"""How a panel's views are laid out: rows that wrap in a narrow page, and columns."""

from collections.abc import Sequence

import ipywidgets as widgets


def row(*parts: widgets.Widget, gap: int = 12, **layout: str) -> widgets.HBox:
    """`parts` beside each other, `gap` screen pixels apart; in a narrow page the last go below the first."""
    return widgets.HBox(list(parts), layout={**_layout(gap), "flex_flow": "row wrap", **layout})


def column(*parts: widgets.Widget, gap: int = 8, **layout: str) -> widgets.VBox:
    """`parts` below each other, `gap` screen pixels apart."""
    return widgets.VBox(list(parts), layout={**_layout(gap), **layout})


def laid_out(rows: Sequence[Sequence], views: dict[str, widgets.Widget]) -> widgets.Widget:
    """Rows of views by name as one box: a row's entry is a name, a widget, or a list of such, which is a column."""
    built = [[_cell(entry, views) for entry in cells] for cells in rows]
    boxes = [cells[0] if len(cells) == 1 and isinstance(cells[0], widgets.Box) else row(*cells) for cells in built]
    return boxes[0] if len(boxes) == 1 else column(*boxes)


def _cell(entry: object, views: dict[str, widgets.Widget]) -> widgets.Widget:
    if isinstance(entry, (list, tuple)):
        return column(*(_cell(inner, views) for inner in entry))
    return views[entry] if isinstance(entry, str) else entry


def _layout(gap: int) -> dict[str, str]:
    return {"grid_gap": f"{gap}px", "overflow": "visible"}
