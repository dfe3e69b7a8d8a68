"""What exercises answer with: short texts that look well in a notebook and read well without one."""

import html
from dataclasses import dataclass

from ..i18n import _
from ..render.words import PLAIN_TEXT

NOTE = "#0072b2"
PASSED, WRONG, WAITING = "#009e73", "#d55e00", "#999999"


def box(text: str, colour: str) -> str:
    """`text`, escaped, in a box with a coloured edge."""
    style = f"border-left: 4px solid {colour}; padding: 4px 10px; max-width: 700px; white-space: pre-line"
    return f'<div class="{PLAIN_TEXT}" style="{style}">{html.escape(text)}</div>'


@dataclass(frozen=True, repr=False)
class Note:
    """A sentence or two for the reader."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return box(self.text, NOTE)


@dataclass(frozen=True, repr=False)
class Result:
    """What became of an answer. `attempted` is False while the starter has not been filled in."""

    name: str
    passed: bool
    attempted: bool
    message: str

    def __repr__(self) -> str:
        mark = "✔" if self.passed else "✘" if self.attempted else "…"
        return f"{mark} {self.name}: {self.message}"

    def _repr_html_(self) -> str:
        return box(repr(self), PASSED if self.passed else WRONG if self.attempted else WAITING)


@dataclass(frozen=True, repr=False)
class Solution:
    """The source of a solution, shown as code."""

    source: str

    def __repr__(self) -> str:
        return self.source

    def _repr_markdown_(self) -> str:
        return _("One way to do it:") + f"\n```python\n{self.source}\n```"
