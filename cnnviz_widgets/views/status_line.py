"""The line below a panel that says what happened."""

from pathlib import Path

import anywidget
import traitlets

from ..i18n import _

HERE = Path(__file__).parent


class StatusLine(anywidget.AnyWidget):
    """One sentence, `value`, which screen readers announce as it changes; `wrong` marks it as a complaint.

    In the page it also gives the controls of its panel (the box around it of class `cnnviz-panel`) the names that
    screen readers need and ipywidgets leaves out, and keeps JupyterLab's shortcuts away from lists.
    """

    _esm = (HERE / "status_line.js").read_text(encoding="utf-8")
    _css = (HERE / "status_line.css").read_text(encoding="utf-8")

    value = traitlets.Unicode("").tag(sync=True)
    wrong = traitlets.Bool(False).tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits):
        words = {"play": _("Play"), "pause": _("Pause"), "stop": _("Back to the start"), "repeat": _("Repeat")}
        super().__init__(words=words, **traits)

    def __repr__(self) -> str:
        return "StatusLine()"
