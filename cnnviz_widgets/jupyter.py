"""What a Jupyter server does for the course: it saves notebooks so that they can be read where no kernel runs.

A panel puts two things into a notebook: a widget view, which needs a running kernel, and a picture of its present
state. Where both are saved, a front end that trusts the notebook tries the view first, fails and hides the picture.
So what is saved holds the picture alone.
"""

import copy
import json
import re
from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
"""The MIME type under which a notebook refers to a widget in a running kernel."""

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
OURS = "cnnviz"  # marks what a panel of this package has put into an output


def strip_views(notebook: dict, *, of_others: bool = False) -> dict:
    """A copy of a notebook (as read from JSON, format 4) whose panels are pictures.

    The view of a panel (or of a question) goes where its output also holds its picture (or its text); so does what is
    saved of the state of widgets that no view needs any more. Widgets of other packages keep their views and states,
    unless `of_others`: then every view goes that its output can do without.
    """
    stripped = copy.deepcopy(notebook)
    needed = []
    for cell in stripped.get("cells", []):
        for output in cell.get("outputs", []):
            data, metadata = output.get("data", {}), output.get("metadata", {})
            if (of_others and _shows_without_kernel(data)) or _is_marked(metadata):
                data.pop(WIDGET_VIEW, None)
                metadata.pop(WIDGET_VIEW, None)
            for kind in list(metadata):
                if isinstance(metadata[kind], dict) and metadata[kind].pop(OURS, None) and not metadata[kind]:
                    del metadata[kind]
            needed += [view.get("model_id")] if isinstance(view := data.get(WIDGET_VIEW), dict) else []
    _keep_states(stripped.get("metadata", {}), needed)
    return stripped


def _is_marked(metadata: dict) -> bool:
    return any(OURS in marks for marks in metadata.values() if isinstance(marks, dict))


def _shows_without_kernel(data: dict) -> bool:
    return any(kind.startswith("image/") or kind in ("text/html", "text/markdown", "text/latex") for kind in data)


def _keep_states(metadata: dict, needed: list[str]) -> None:
    """Of the saved states of widgets leave those that the views `needed` refer to, directly or not."""
    saved = metadata.get("widgets", {}).get(WIDGET_STATE, {})
    states, kept = saved.get("state", {}), {}
    while needed:
        name = needed.pop()
        if name in states and name not in kept:
            kept[name] = states[name]
            needed += re.findall(r"IPY_MODEL_(\w+)", json.dumps(states[name]))
    if kept:
        saved["state"] = kept
    else:
        metadata.pop("widgets", None)


def without_views(notebook: Any, resources: Any) -> tuple[Any, Any]:
    """`strip_views` as a preprocessor of nbconvert, so that exported pages show pictures and need no other server."""
    from nbformat import from_dict

    return from_dict(strip_views(notebook)), resources


def strip_widget_views(model: dict, **_where: Any) -> None:
    """Change a notebook about to be saved by `strip_views`; a Jupyter server's `pre_save_hook`.

    Args:
        model: what the server is about to save: a notebook, or another file, which stays as it is.
        _where: the path and the contents manager, which the server passes and this hook does not need.
    """
    content = model.get("content")
    if model.get("type") == "notebook" and isinstance(content, dict) and content.get("nbformat") == 4:
        model["content"] = strip_views(content)
