"""The exercises: what `check`, `hint`, `solution` and `Predict` do, and every registered exercise put to the test."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from cnnviz_widgets import exercises
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.exercises import (
    Exercise,
    Misreading,
    Predict,
    Wrong,
    _framework,
    case,
    check,
    exercise_modules,
    expect_close,
    find,
    hint,
    solution,
)
from cnnviz_widgets.exercises._compare import parts

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


# A module of exercises as the notebooks have them: two answers are functions, one is a number, one open-ended.


def running_sum(values):
    """The sum of the values so far."""
    return np.cumsum(values)


def check_running_sum(answer):
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    result = answer(values)
    if np.allclose(result, values.sum()):
        raise Wrong("That is the sum of all values, not of those so far.")
    expect_close(result, [3, 4, 8, 9, 14], "The running sum")


def check_direction(answer):
    if not np.any(answer):
        raise Wrong("An arrow of length zero points nowhere.")
    if np.asarray(answer)[1] <= 0:
        raise Wrong("Your arrow does not point upwards: look at the second number.")


def area(height, width):
    """The area of a rectangle."""
    return height * width


DEMO = (
    Exercise(
        name="area",
        question="How large is a rectangle?",
        starter="def area(height, width):\n    return ...\n\ncheck('demo.area', area)",
        solution=area,
        cases=(case("For {height} x {width} squares", 2, 2), case("For {height} x {width} squares", 3, 5)),
        gives="the area",
        hints=("Count the squares.",),
        misreadings=(Misreading("adds", lambda height, width: height + width, "{case} you add {height} and {width}."),),
    ),
    Exercise(
        name="running_sum",
        question="Sum what has been seen so far.",
        starter="def running_sum(values):\n    total = ...\n    return total\n\ncheck('demo.running_sum', running_sum)",
        solution=running_sum,
        check=check_running_sum,
        hints=("Begin with the first.", "NumPy has a function."),
        misreadings=(Misreading("the sum of all", lambda values: values.sum() + 0 * values, "not of those so far"),),
    ),
    Exercise(
        name="size",
        question="How large is the output of a 3 x 3 kernel on 8 pixels?",
        starter="size = ...\ncheck('demo.size', size)",
        solution="size = 8 - 3 + 1",
        check=lambda answer: expect_close(answer, 6, "The size"),
        hints=("Count positions.",),
        misreadings=(Misreading("forgets the last position", 5, "too small"),),
    ),
    Exercise(
        name="direction",
        question="Draw an arrow <upwards>.",
        starter="arrow = [..., ...]",
        solution="arrow = np.array([0.5, 2])",
        check=check_direction,
        hints=("The second number.",),
        misreadings=(Misreading("downwards", [1, -2], "upwards"),),
        also_right=("flipped", "shifted", "scaled"),
    ),
)


@pytest.fixture
def demo(monkeypatch):
    module = types.ModuleType("cnnviz_widgets.exercises.demo")
    module.EXERCISES = DEMO
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(_framework, "exercise_modules", lambda: [*exercise_modules(), "demo"])
    monkeypatch.setattr(_framework, "_hints_given", type(_framework._hints_given)())


# Every exercise there is


def distorted(value, how):
    """A generic wrong answer made from the right one, of the same kind; None when there is none for this kind."""
    if callable(value):
        return lambda *args, **options: distorted(value(*args, **options), how)
    if isinstance(value, (list, tuple)) and not all(isinstance(part, (int, float)) for part in value):
        parts = [distorted(part, how) for part in value]
        return None if any(part is None for part in parts) else type(value)(parts)
    if isinstance(value, dict):
        parts = {name: distorted(part, how) for name, part in value.items()}
        return None if any(part is None for part in parts.values()) else parts
    if isinstance(value, str):
        return {"zeros": "zzz", "scaled": value + value}.get(how)
    if isinstance(value, (bool, np.bool_)):
        return not value
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    array = array.astype(int) if array.dtype == bool else array
    number = array.ndim == 0
    wrong = {
        "zeros": lambda: array * 0,
        "flipped": lambda: -array if number else np.flip(array).copy(),
        "shifted": lambda: array + 1 if number else np.roll(array, 1, -1),
        "scaled": lambda: array * 2,
    }[how]()
    if isinstance(value, torch.Tensor):
        return torch.from_numpy(np.ascontiguousarray(wrong)).to(value.dtype)
    return wrong.item() if isinstance(value, (int, float)) else wrong


def is_same(one, other):
    if callable(one) or other is None:
        return False
    return type(one) is type(other) and bool(np.all(np.asarray(one, object) == np.asarray(other, object)))


def assert_refused(name, answer, says=None):
    result = check(name, answer)
    assert not result.passed, f"{name} accepts a wrong answer"
    assert result.attempted, f"{name} takes a wrong answer for none"
    assert len(result.message) > 15, f"{name} says too little: {result.message}"
    assert "cannot be checked" not in result.message
    assert "Traceback" not in result.message
    if says:
        assert re.search(says, result.message), f"{name} does not say {says!r} but {result.message!r}"


def pattern(exercise, misreading):
    """What must be said of a misreading: with cases its sentence from beginning to end, whatever is filled in."""
    if not exercise.cases:
        return misreading.says
    return "^" + re.sub(r"\\\{.*?\\\}", ".+", re.escape(misreading.says)) + "$"


def registered():
    return [
        f"{module}.{exercise.name}" for module in exercise_modules() for exercise in _framework._exercises_of(module)
    ]


DEMO_NAMES = [f"demo.{exercise.name}" for exercise in DEMO]
each = pytest.mark.parametrize("name", [*registered(), *DEMO_NAMES])
each_registered = pytest.mark.parametrize("name", registered())


@each
def test_the_solution_as_the_reader_sees_it_passes(name, demo):
    result = check(name, find(name).reference())
    assert result.passed, result.message
    assert find(name).solution_source == repr(solution(name))


@each
def test_the_unsolved_starter_says_not_attempted_yet(name, demo):
    exercise = find(name)
    result = check(name, exercise.run(exercise.starter))
    assert (result.passed, result.attempted, result.message) == (False, False, "not attempted yet")


@each
@pytest.mark.parametrize("how", ["zeros", "flipped", "shifted", "scaled"])
def test_generic_wrong_answers_are_refused(name, how, demo):
    exercise = find(name)
    reference = exercise.reference()
    wrong = distorted(reference, how)
    if wrong is None or is_same(wrong, reference):
        pytest.skip(f"a solution of this kind cannot be {how}")
    if how in exercise.also_right:
        assert check(name, wrong).passed, f"{name} says that {how} is right as well, but refuses it"
    else:
        assert_refused(name, wrong)


@each
def test_plausible_misreadings_are_refused_and_named(name, demo):
    exercise = find(name)
    assert exercise.misreadings
    for misreading in exercise.misreadings:
        assert_refused(name, misreading.answer, pattern(exercise, misreading))


@each
def test_the_texts_are_there(name, demo):
    exercise = find(name)
    assert exercise.question.strip()
    assert exercise.hints
    assert all(text.strip() for text in exercise.hints)
    assert exercise.answer_name in exercise.starter


@pytest.mark.parametrize("name", registered())
def test_the_starter_stands_in_a_notebook_as_it_is_written_here(name):
    import nbformat

    notebooks = [nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    cells = [cell.source for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"]
    asking = [source for source in cells if re.search(rf"check\(\s*[\"']{re.escape(name)}[\"']", source)]
    if not asking:
        pytest.skip("no notebook asks this exercise")
    assert any(find(name).starter.strip() in source for source in cells)


# What check, hint and solution do


def test_a_right_answer_is_told_so(demo):
    result = check("demo.size", 6)
    assert result.passed
    assert repr(result) == "✔ demo.size: right."


@pytest.mark.parametrize("answer", [None, ..., "", "  ", [..., 2], (1, None), {"a": ...}, lambda *given: (1, ...)])
@pytest.mark.parametrize("name", ["demo.running_sum", "demo.area"])
def test_what_is_left_open_is_not_attempted_yet(name, answer, demo):
    assert not check(name, answer).attempted


def without_return(*given):
    total = sum(given[0]) if len(given) == 1 else given[0] * given[1]
    total += 0


@pytest.mark.parametrize("name", ["demo.running_sum", "demo.area"])
def test_a_forgotten_return_is_an_attempt_and_is_named(name, demo):
    result = check(name, without_return)
    assert (result.passed, result.attempted) == (False, True)
    assert result.message.startswith("without_return returns nothing (None)")


def stub(values):
    raise NotImplementedError


def half_done(values):
    result = np.zeros(5)
    result[0] = ...
    return result


@pytest.mark.parametrize("answer", [stub, half_done])
def test_a_function_that_stops_at_the_open_place_is_not_attempted_yet(answer, demo):
    assert not check("demo.running_sum", answer).attempted


def test_an_error_inside_the_readers_function_becomes_a_message(demo):
    def dividing(values):
        return values / values.missing

    result = check("demo.running_sum", dividing)
    assert not result.passed
    assert result.message.startswith("dividing stopped with an error. AttributeError: ")
    assert "missing" in result.message


def test_an_error_names_the_case_in_which_the_function_stopped(demo):
    def picky(height, width):
        return {2: 4}[height]

    assert check("demo.area", picky).message == "For 3 x 5 squares: picky stopped with an error. KeyError: 3"


def test_a_function_that_calls_exit_does_not_end_the_notebook(demo):
    result = check("demo.running_sum", lambda values: sys.exit("enough"))
    assert not result.passed
    assert "SystemExit: enough" in result.message


def test_an_answer_of_another_kind_becomes_a_message(demo):
    assert check("demo.direction", 3).message.startswith("this kind of answer (int) cannot be checked. IndexError")
    assert "made of numbers" in check("demo.size", "six").message


@pytest.mark.parametrize("answer", [3, "running_sum", [3, 4, 8], np.ones(5), torch.ones(5)])
def test_a_result_in_place_of_a_function_is_told_apart(answer, demo):
    message = check("demo.running_sum", answer).message
    assert "asks for a function" in message
    assert "running_sum and not running_sum(…)" in message


# What a reader's function may give back by mistake, in place of the right thing

RETURNED = [
    "abc",
    "6",
    [],
    [[1, 2], [3]],
    float("nan"),
    1 + 2j,
    [1, None],
    torch.ones(3, requires_grad=True),
    torch.ones(2, 2, device="meta"),
    (1, 2, 3, 4, 5, 6),
    object(),
    (number for number in (1, 2)),
]


@each_registered
@pytest.mark.parametrize("returned", RETURNED, ids=lambda returned: type(returned).__name__)
def test_whatever_a_function_returns_is_answered_in_words(name, returned):
    if not find(name).asks_for_a_function:
        pytest.skip("asks for no function")
    assert_refused(name, lambda *args, **options: returned)


@each_registered
@pytest.mark.parametrize("returned", [None, {}, set(), np.array(["1"]), np.array(None), Ellipsis])
def test_none_and_other_kinds_do_not_stop_the_notebook(name, returned):
    if find(name).asks_for_a_function:
        assert not check(name, lambda *args, **options: returned).passed
    assert not check(name, returned).passed


@each_registered
def test_right_numbers_pass_as_a_list_and_as_a_tensor_with_gradients(name):
    reference = find(name).reference()
    if not find(name).asks_for_a_function or isinstance(reference, torch.nn.Module):
        pytest.skip("asks for no function")

    def as_list(*args, **options):
        result = reference(*args, **options)
        return result.tolist() if hasattr(result, "tolist") else result

    def as_tensor(*args, **options):
        result = reference(*args, **options)
        if isinstance(result, torch.nn.Module):
            return result
        return torch.as_tensor(result, dtype=torch.float64).requires_grad_()

    for answer in (as_list, as_tensor):
        result = check(name, answer)
        assert result.passed, result.message


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (3, r"should return 2 numbers, \(size, stride\), but returns 3\."),
        ((1, 2, 3), r"returns \(1, 2, 3\)"),
        ("ab", "returns 'ab'"),
        (None, "returns None"),
        (np.arange(90), "…"),
    ],
)
def test_parts_names_what_is_to_be_returned(result, says):
    with pytest.raises(Wrong, match=says):
        parts(result, "size, stride")


def test_parts_takes_whatever_holds_as_many_numbers():
    for result in ((3, 2), [3.0, np.int64(2)], np.array([3, 2]), torch.tensor([3.0, 2.0], requires_grad=True)):
        assert parts(result, "size, stride") == (3.0, 2.0)


def test_hints_come_one_by_one_and_the_last_stays(demo):
    first, second, third = (repr(hint("demo.running_sum")) for _call in range(3))
    assert first == "Hint 1 of 2: Begin with the first."
    assert second.startswith("Hint 2 of 2: NumPy has a function.")
    assert 'solution("demo.running_sum")' in second
    assert third == second
    assert "Hint 1 of 1" in repr(hint("demo.size"))


def test_the_solution_is_shown_as_code(demo):
    shown = solution("demo.running_sum")
    assert repr(shown).startswith("def running_sum(values):")
    assert "```python\ndef running_sum" in shown._repr_markdown_()


@pytest.mark.parametrize("call", [check, hint, solution])
def test_an_unknown_exercise_offers_the_nearest(call, demo):
    with pytest.raises(WrongSetting, match="Did you mean 'demo.running_sum'"):
        call("demo.runing_sum")


def test_texts_are_escaped_in_html():
    result = exercises.Result("demo.<b>", False, True, "1 < 2 & <script>")
    assert "&lt;script&gt;" in result._repr_html_()
    assert "<script>" not in result._repr_html_()
    assert "&lt;i&gt;" in exercises.Note("<i>")._repr_html_()


ROW = np.arange(12.0).reshape(3, 4) ** 2


@pytest.mark.parametrize(
    ("actual", "says"),
    [
        (ROW[:2], r"has shape \(2, 4\), but should have \(3, 4\)"),
        (ROW * 0, "zero everywhere"),
        (ROW * np.nan, "nan or inf"),
        (ROW[:, ::-1], "flipped"),
        (ROW[::-1, ::-1], "flipped"),
        (np.roll(ROW, 1, 1), "shifted by one"),
        (np.roll(ROW, -1, 0), "shifted by one"),
        (ROW * 2, "2 times"),
        (-ROW, "-1 times"),
        (ROW + 3, "off by the same amount everywhere: [+]3"),
        (np.where(ROW == 4, 5, ROW), r"wrong in 1 of 12 places; the first is \[0, 2\]: 5, not 4"),
        ([[1, 2], [3]], "made of numbers"),
    ],
)
def test_expect_close_says_how_numbers_are_wrong(actual, says):
    with pytest.raises(Wrong, match=says):
        expect_close(actual, ROW)


def test_expect_close_knows_transposes_and_numbers_and_accepts_what_is_close():
    square = ROW[:, :3]
    with pytest.raises(Wrong, match="transposed"):
        expect_close(square.T, square)
    with pytest.raises(Wrong, match="too large"):
        expect_close(7, 6)
    expect_close(torch.tensor(square + 1e-6, requires_grad=True), square)
    expect_close(square.tolist(), torch.tensor(square))


# Predict


def test_predict_keeps_the_choice_and_shows_it_beside_what_happens():
    question = Predict("Does it <blur>?", ["yes", "no <b>"], answer="yes")
    assert question.value is None
    assert "no guess" in repr(question.reveal())
    seen = []
    question.observe(lambda change: seen.append(change["new"]), "value")
    question.choice.value = "no <b>"
    assert question.value == "no <b>"
    assert seen == ["no <b>"]
    assert repr(question.reveal()) == "You guessed no <b>. What happened: yes."
    assert "no &lt;b&gt;" in question.outcome.value
    question.choice.value = "yes"
    assert repr(question.reveal("yes")) == "You guessed yes, and so it was."


@pytest.mark.parametrize(("options", "guess"), [((0, 10), 3), (range(1, 16, 2), 7), ((0.0, 1.0), 0.25)])
def test_predict_a_number_on_a_slider(options, guess):
    question = Predict("How many?", options)
    assert question.value is None
    question.choice.value = guess
    assert question.value == guess


def test_predict_is_also_a_text_for_pages_without_a_kernel():
    question = Predict("A < B?", ["<yes>", "no"])
    assert repr(question) == "Predict('A < B?')"
    bundle = question._repr_mimebundle_()
    assert bundle["text/plain"] == repr(question)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for text in ("A &lt; B?", "&lt;yes&gt;", "<li>no</li>"):
        assert text in bundle["text/html"]
    assert "a number from 2 to 9" in Predict("How many?", (2, 9))._repr_mimebundle_()["text/html"]


def test_closing_predict_closes_all_its_parts():
    from ipywidgets.widgets import widget

    before = set(widget._instances)
    Predict("A?", ["a", "b"]).close()
    assert set(widget._instances) == before


@pytest.mark.parametrize("options", [[], ["only"], ["a", "a"], (3, 3), (5, 2), range(0), None, 5])
def test_predict_needs_something_to_choose(options):
    with pytest.raises(WrongSetting):
        Predict("A?", options)
