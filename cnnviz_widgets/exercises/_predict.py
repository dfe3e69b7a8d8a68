"""A question that is answered before the panel is moved; the guess is kept and shown beside what happens."""

import html
from collections.abc import Sequence

import ipywidgets as widgets
import traitlets

from ..errors import WrongSetting
from ..i18n import _
from ..render.words import PLAIN_TEXT
from ._notes import NOTE, Note, box


class Predict(widgets.VBox):
    """A `question` with its `options`; `value` is the reader's guess, None until there is one.

    `options` is a list of texts to choose from, or a tuple of numbers (low, high) or (low, high, step), or a `range`,
    for a number on a slider. `answer`, if known beforehand, is what `reveal()` compares the guess with.
    Raises `WrongSetting` when there is nothing to choose between.
    """

    twin_mime = "text/html"  # what a page without a kernel shows of a question
    value = traitlets.Any(None, help="The guess; None until the reader has made one.").tag(sync=False)

    def __init__(
        self,
        question: str,
        options: Sequence[str] | tuple[float, ...] | range,
        answer: object = None,
    ) -> None:
        self.question, self.options, self.answer = question, options, answer
        self.choice = _slider(options) if _is_numeric(options) else _radio_buttons(options)
        self.outcome = widgets.HTML()
        super().__init__(
            [widgets.HTML(f'<b class="{PLAIN_TEXT}">{html.escape(question)}</b>'), self.choice, self.outcome]
        )
        self.choice.observe(self._guess, "value")

    def reveal(self, actual: object = None) -> Note:
        """Show the guess beside what happened: `actual`, or the `answer` given at the start."""
        actual = self.answer if actual is None else actual
        if self.value is None:
            text = _("You made no guess. What happened: {actual}.").format(actual=actual)
        elif self.value == actual:
            text = _("You guessed {guess}, and so it was.").format(guess=self.value)
        else:
            text = _("You guessed {guess}. What happened: {actual}.").format(guess=self.value, actual=actual)
        if self.value is not None:  # who has not guessed yet is not told at the question itself
            self.outcome.value = box(text, NOTE)
        return Note(text)

    def close(self) -> None:
        """Close this widget and all its parts."""
        for child in self.children:
            child.layout.close()
            child.style.close()
            child.close()
        self.layout.close()
        super().close()

    def _guess(self, change: dict) -> None:
        self.value = change["new"]

    def __repr__(self) -> str:
        return f"Predict({self.question!r})"

    def _repr_mimebundle_(self, **options: object) -> dict:
        bundle = super()._repr_mimebundle_(**options)
        return {**bundle, "text/plain": repr(self), "text/html": self._static_twin()}

    def _static_twin(self) -> str:
        """The question for a page without a kernel."""
        if _is_numeric(self.options):
            low, high, _step = _limits(self.options)
            choices = [_("a number from {low} to {high}").format(low=low, high=high)]
        else:
            choices = self.options
        items = "".join(f"<li>{html.escape(str(choice))}</li>" for choice in choices)
        note = html.escape(_("Run this cell to answer."))
        return (
            f'<div class="{PLAIN_TEXT}"><b>{html.escape(self.question)}</b><ul>{items}</ul><small>{note}</small></div>'
        )


def _is_numeric(options: object) -> bool:
    if isinstance(options, range):
        return True
    return isinstance(options, tuple) and len(options) in (2, 3) and all(isinstance(n, (int, float)) for n in options)


def _limits(options: tuple[float, ...] | range) -> tuple[float, float, float]:
    if isinstance(options, range):
        if not options:
            raise WrongSetting(_("A guess from an empty range leaves nothing to choose."))
        return options[0], options[-1], options.step
    low, high, *step = options
    whole = all(isinstance(limit, int) for limit in options)
    return low, high, step[0] if step else 1 if whole else (high - low) / 100


def _slider(options: tuple[float, ...] | range) -> widgets.Widget:
    low, high, step = _limits(options)
    if not low < high or step <= 0:
        raise WrongSetting(_("A guess from {low} to {high} leaves nothing to choose.").format(low=low, high=high))
    kind = widgets.IntSlider if all(isinstance(n, int) for n in (low, high, step)) else widgets.FloatSlider
    return kind(value=low, min=low, max=high, step=step, **_named())


def _radio_buttons(options: Sequence[str]) -> widgets.Widget:
    if not isinstance(options, Sequence) or len(set(options)) < 2:
        raise WrongSetting(_("A question needs at least two options."))
    return widgets.RadioButtons(options=list(options), value=None, layout={"width": "max-content"}, **_named())


def _named() -> dict[str, str]:
    return {"description": _("Your guess"), "tooltip": _("Answer before you move the panel")}
