"""Translation of what readers see in panels: every label and message passes through `_`."""

import gettext
import os
from functools import cache
from pathlib import Path

DOMAIN = "cnnviz_widgets"
CATALOGUES = Path(__file__).parent / "locale"


@cache
def catalogue(language: str | None, folder: Path = CATALOGUES) -> gettext.NullTranslations:
    """The catalogue of `language` ("zh", "de", …), or the untranslated English when there is none.

    With `language=None` the usual environment variables (`LANGUAGE`, `LC_ALL`, `LC_MESSAGES`, `LANG`) decide.
    """
    return gettext.translation(DOMAIN, folder, languages=[language] if language else None, fallback=True)


def _(message: str) -> str:
    """`message` in the reader's language; `CNNVIZ_LANG` overrides the environment's own choice."""
    return catalogue(os.environ.get("CNNVIZ_LANG")).gettext(message)
