"""What a Jupyter server does for the course: it saves notebooks so that they can be read where no kernel runs.

A panel puts two things into a notebook: a widget view, which needs a running kernel, and a picture of its present
state. Where both are saved, a front end that trusts the notebook tries the view first, fails and hides the picture.
So what is saved holds the picture alone.
"""

import copy
from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
"""The MIME type under which a notebook refers to a widget in a running kernel."""


def strip_views(notebook: dict) -> dict:
    """A copy of a notebook (as read from JSON, format 4) whose panels are pictures.

    Widget views go wherever the same output also holds a picture or formatted text, and the saved state of widgets
    goes altogether. A view that stands alone stays: while its kernel runs, a reloaded page can still show it.
    """
    stripped = copy.deepcopy(notebook)
    stripped.get("metadata", {}).pop("widgets", None)
    for cell in stripped.get("cells", []):
        for output in cell.get("outputs", []):
            if _shows_without_kernel(output.get("data", {})):
                output["data"].pop(WIDGET_VIEW, None)
                output.get("metadata", {}).pop(WIDGET_VIEW, None)
    return stripped


def _shows_without_kernel(data: dict) -> bool:
    return any(kind.startswith("image/") or kind in ("text/html", "text/markdown", "text/latex") for kind in data)


def strip_widget_views(model: dict, **_where: Any) -> None:
    """Change a notebook about to be saved by `strip_views`; a Jupyter server's `pre_save_hook`.

    Args:
        model: what the server is about to save: a notebook, or another file, which stays as it is.
        _where: the path and the contents manager, which the server passes and this hook does not need.
    """
    content = model.get("content")
    if model.get("type") == "notebook" and isinstance(content, dict) and content.get("nbformat") == 4:
        model["content"] = strip_views(content)
