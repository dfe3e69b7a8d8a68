"""Text that comes from outside (file names, labels, what a library says of its error), made fit for a sentence."""

import re
import unicodedata

LONGEST = 80
"""Characters of such a text that a sentence shows."""

_UNFIT = ("Cc", "Cs", "Zl", "Zp")  # categories: controls, halves of characters, breaks of lines and paragraphs
# What turns the direction of writing, or marks the order of bytes, without being seen.
_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"


def one_line(text: object, longest: int = LONGEST) -> str:
    """`text` on one line and of at most `longest` characters, the last of them "…" where something was left out.

    Breaks of lines and tabs become spaces, several spaces one; other control characters become "�".
    """
    start = str(text)[: 4 * longest]  # the rest would be left out, whatever it is
    cut = len(start) < len(str(text))
    spaced = re.sub(r"[\s\x1c-\x1f\u2028\u2029]+", " ", start).strip()
    clean = "".join("�" if unicodedata.category(sign) in _UNFIT else sign for sign in spaced if sign not in _TURNS)
    return clean if len(clean) <= longest and not cut else clean[: longest - 1] + "…"
