"""Exercises with cases: which sentence a wrong function gets, and that no wrong function passes or stops a notebook."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from cnnviz_widgets.exercises import Case, Exercise, Misreading, _framework, case, check, exercise_modules, find
from cnnviz_widgets.exercises._cases import outcomes, right_outcomes, same


def weighted(values, weights):
    """The sum of products."""
    return (values * weights).sum()


def moments(values):
    """(mean, spread) of the values."""
    return values.mean(), values.std()


WEIGHTED = Exercise(
    name="weighted",
    question="Sum the products.",
    starter="def weighted(values, weights):\n    return ...",
    solution=weighted,
    cases=(
        case("With weights of 1", np.array([1.0, 2.0]), weights=np.ones(2)),
        case("With {values.size} values", np.array([3.0, 4.0, 5.0]), weights=np.array([2.0, 0.0, 1.0])),
    ),
    gives="the sum",
    hints=("Multiply first.",),
    misreadings=(
        Misreading(
            "leaves the weights out", lambda values, weights: values.sum(), "{case}, {result:g} has no weights."
        ),
        Misreading("turns them", lambda values, weights: (values * weights[::-1]).sum(), "{case}, turned."),
        Misreading("indexes", lambda values, weights: values[7], "There is no eighth value."),
    ),
)
MOMENTS = Exercise(
    name="moments",
    question="Mean and spread?",
    starter="def moments(values):\n    return ...",
    solution=moments,
    cases=(case("For {values}", np.array([1.0, 2.0, 6.0])), case("For {values}", np.array([1.0, 1.0, 4.0, 6.0]))),
    gives=("mean", "spread"),
    hints=("NumPy has both.",),
    misreadings=(
        Misreading("variance", lambda values: (values.mean(), values.var()), "That is the square of the spread."),
        Misreading("swapped", lambda values: (values.std(), values.mean()), "Both are right, the wrong way round."),
    ),
)


@pytest.fixture
def said(monkeypatch):
    """What is said of a function that answers one of the two exercises above."""

    def say(exercise, answer):
        monkeypatch.setattr(_framework, "find", lambda name: exercise)
        return check("cases.demo", answer)

    return say


def test_a_right_function_passes_in_all_cases(said):
    assert said(WEIGHTED, weighted).passed
    assert said(MOMENTS, moments).passed


def test_a_misreading_is_named_with_the_first_case_in_which_it_is_wrong(said):
    assert said(WEIGHTED, lambda values, weights: sum(values)).message == "With 3 values, 12 has no weights."
    assert said(WEIGHTED, lambda values, weights: values @ weights[::-1]).message == "With 3 values, turned."


def test_who_gives_what_a_misreading_gives_in_one_case_only_is_not_taken_for_it(said):
    message = said(WEIGHTED, lambda values, weights: 12 if len(values) == 3 else 0).message
    assert message.startswith("With weights of 1, the sum is zero everywhere")


def test_a_function_right_in_the_first_case_alone_is_refused_with_the_second(said):
    assert said(WEIGHTED, lambda values, weights: 3.0).message == "With 3 values, the sum is too small."
    message = said(MOMENTS, lambda values: (3.0, np.std([1, 2, 6]))).message
    assert message == "For [1. 1. 4. 6.], the value of spread is too large."


def test_the_error_of_a_misreading_is_recognised_and_others_are_not(said):
    assert said(WEIGHTED, lambda values, weights: values[7] * 2).message == "There is no eighth value."
    message = said(WEIGHTED, lambda values, weights: values[8]).message
    assert message.startswith("With weights of 1: <lambda> stopped with an error. IndexError")


def test_a_number_that_is_wrong_alone_is_recognised_whatever_the_others_are(said):
    assert (
        said(MOMENTS, lambda values: (values.mean() + 1, values.var())).message == "That is the square of the spread."
    )


def test_the_case_named_is_one_in_which_the_recognised_number_is_wrong(said):
    def answer(values, weights):
        return [values.sum() + (values.size == 2), values.sum()]

    two = dataclasses.replace(
        WEIGHTED,
        solution=lambda values, weights: (values.sum(), (values * weights).sum()),
        gives=("plain", "weighted"),
        misreadings=(
            Misreading("unweighted", lambda values, weights: 2 * [values.sum()], "{case}, the weights count."),
        ),
    )
    assert said(two, answer).message == "With 3 values, the weights count."


def test_changed_places_are_named_only_when_both_have_changed(said):
    assert said(MOMENTS, lambda values: (values.std(), values.mean())).message == "Both are right, the wrong way round."
    message = said(MOMENTS, lambda values: (values.std(), values.std())).message
    assert message.endswith("the value of mean is too small.")


def test_another_count_of_numbers_is_said_with_their_names(said):
    message = said(MOMENTS, lambda values: values.mean()).message
    assert message == "Your function should return 2 numbers, (mean, spread), but returns 3.0."


def test_arguments_that_the_function_changes_are_copies(said):
    def in_place(values, weights):
        values *= weights
        weights[:] = 0
        return values.sum()

    assert said(WEIGHTED, in_place).passed
    assert said(WEIGHTED, weighted).passed
    assert np.array_equal(WEIGHTED.cases[1].arguments[0], [3, 4, 5])


def test_results_that_share_one_array_are_kept_apart(said):
    buffer = np.zeros(2)

    def reusing(values):
        buffer[:] = moments(values)
        return buffer

    assert said(MOMENTS, reusing).passed
    assert not said(MOMENTS, lambda values: buffer).passed


def test_an_open_place_in_a_later_case_is_not_attempted_yet(said):
    assert not said(WEIGHTED, lambda values, weights: 3.0 if len(values) == 2 else ...).attempted


def test_a_callable_that_is_no_function_is_called_as_well(said):
    class Weighted:
        def __call__(self, values, weights):
            return values @ weights

    class Wrong(Weighted):
        def __call__(self, values, weights):
            return weights.missing

    assert said(WEIGHTED, Weighted()).passed
    assert "With weights of 1: your function stopped with an error. AttributeError" in said(WEIGHTED, Wrong()).message


@pytest.mark.parametrize("parts", [{}, {"cases": (Case("", (), {}),), "check": print}, {"cases": (Case("", (), {}),)}])
def test_an_exercise_needs_either_cases_with_words_or_a_check(parts):
    with pytest.raises(ValueError, match="needs either|need a function"):
        Exercise("name", "question", "starter", weighted, (), (), **parts)


# Every exercise with cases


def with_cases():
    return [
        f"{module}.{exercise.name}"
        for module in exercise_modules()
        for exercise in _framework._exercises_of(module)
        if exercise.cases
    ]


def asking_for_numbers():
    return [*with_cases(), "activation_and_pooling.steady_pool"]


def equal(some, others, tolerance):
    return all(same(one, other, tolerance) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("name", with_cases())
def test_the_cases_tell_every_misreading_from_the_right_answer_and_from_each_other(name):
    exercise = find(name)
    with np.errstate(all="ignore"):
        of = {misreading.title: outcomes(exercise, misreading.answer) for misreading in exercise.misreadings}
    of["the right answer"] = right_outcomes(exercise)
    assert len(of) == len(exercise.misreadings) + 1
    for one, other in itertools.combinations(of, 2):
        assert not equal(of[one], of[other], exercise.tolerance), f"{name} cannot tell {one!r} from {other!r}"


@pytest.mark.parametrize("name", with_cases())
def test_misreadings_have_sentences_of_their_own(name):
    says = [misreading.says for misreading in find(name).misreadings]
    assert len(set(says)) == len(says)
    assert all(sentence.endswith((".", "?")) for sentence in says)


@pytest.mark.parametrize("name", with_cases())
def test_the_cases_need_more_than_one_answer(name):
    exercise = find(name)
    first, *others = right_outcomes(exercise)
    assert not all(same(first, other, exercise.tolerance) for other in others)


INDEPENDENT = {
    "lenet.parameters_of": [156, 1516, 2416, 84],
    "lenet.worst_mix_up": [(4, 9), (7, 2), (0, 6)],
    "vgg_layers.cost": [(1792, 86_704_128), (73_856, 825_753_600), (2_359_808, 462_422_016), (984, 537_600)],
    "feature_maps.field": [(3, 2), (5, 1), (7, 2), (27, 8), (27, 4)],
    "tsne.perplexity": [5, 2**1.75, 2.2295, 2],
    "start_here.the_rest": [0.25, 0.04],
    "occlusion.times_asked": [82, 50, 145, 2, 122],
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_the_solution_gives_what_was_worked_out_by_hand(name):
    results = right_outcomes(find(name))
    for result, expected in zip(results, INDEPENDENT[name], strict=True):
        assert np.allclose(result, expected, rtol=1e-4), f"{result} is not {expected}"


# Wrong functions that nobody has written down


def changed(result, change):
    """`result` with its numbers changed, in the same container."""
    array = np.asarray(result.detach() if isinstance(result, torch.Tensor) else result, float)
    return change(array)


def off_by_one(reference):
    return lambda *args, **options: changed(reference(*args, **options), lambda numbers: numbers + 1)


def one_short(reference):
    return lambda *args, **options: changed(reference(*args, **options), lambda numbers: numbers[..., :-1])


def last_one_off(reference):
    def change(numbers):
        numbers = numbers.copy()
        numbers.flat[-1] += 0.3
        return numbers

    return lambda *args, **options: changed(reference(*args, **options), change)


def transposed(reference):
    return lambda *args, **options: changed(reference(*args, **options), np.transpose)


def nearly_right(reference):
    """Right to two or three digits, which is not right."""
    return lambda *args, **options: changed(reference(*args, **options), lambda numbers: numbers * 1.001 + 0.001)


def only_the_first_time(reference):
    kept = []

    def answer(*args, **options):
        kept.append(kept[0] if kept else reference(*args, **options))
        return kept[0]

    return answer


def in_vain(reference):
    """Leaves the right result in its argument, and returns another."""

    def answer(*args, **options):
        result = reference(*args, **options)
        for value in args:
            if isinstance(value, (np.ndarray, torch.Tensor)):
                value[...] = 0
            elif isinstance(value, list):
                value.clear()
        return changed(result, lambda numbers: -numbers - 1)

    return answer


def yielding(reference):
    def answer(*args, **options):
        yield reference(*args, **options)

    return answer


def in_a_list_more(reference):
    return lambda *args, **options: [changed(reference(*args, **options), np.array)]


def as_text(reference):
    return lambda *args, **options: str(reference(*args, **options))


def asking_for_more(reference):
    return lambda *args, one_more, **options: reference(*args, **options)


def never_ending(reference):
    def answer(*args, **options):
        return answer(*args, **options)

    return answer


def with_gradient(reference):
    def answer(*args, **options):
        result = torch.as_tensor(changed(reference(*args, **options), np.array)).requires_grad_()
        return result * 2 + 1

    return answer


WRONG = [
    off_by_one,
    one_short,
    last_one_off,
    transposed,
    nearly_right,
    only_the_first_time,
    in_vain,
    yielding,
    in_a_list_more,
    as_text,
    asking_for_more,
    never_ending,
    with_gradient,
]


@pytest.mark.parametrize("name", asking_for_numbers())
@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_no_wrong_function_passes_or_stops_the_notebook(name, make):
    exercise = find(name)
    if make is transposed and exercise.cases and all(np.ndim(right) < 2 for right in right_outcomes(exercise)):
        pytest.skip("numbers and rows have no transpose")
    reference = exercise.reference()
    result = check(name, make(reference))
    assert not result.passed, f"{name} accepts a function that is {make.__name__}"
    assert result.attempted
    assert "cannot be checked" not in result.message
    assert check(name, reference).passed, "the wrong function has spoiled the cases"


@pytest.mark.parametrize("name", asking_for_numbers())
def test_a_right_function_may_change_its_arguments(name):
    exercise = find(name)
    reference = exercise.reference()

    def answer(*args, **options):
        result = changed(reference(*args, **options), np.copy)
        for value in args:
            if isinstance(value, (np.ndarray, torch.Tensor)):
                value[...] = 0
        return result

    assert check(name, answer).passed


# Limits of open-ended exercises, at their borders


@pytest.mark.parametrize("count", [999_999, 1_000_000])
def test_a_head_has_fewer_than_a_million_parameters(count):
    head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(512, 1000))
    head.register_parameter("unused", torch.nn.Parameter(torch.zeros(count - 513_000)))
    assert check("vgg_layers.head", head).passed == (count < 1_000_000)
    assert head.training, "the check changes the reader's module"


def test_a_unit_of_the_cats_own_answers_to_it_at_least_one_and_a_half_times_as_strongly():
    below, above = (check("feature_maps.unit", {"layer": "block6_1", "channel": channel}) for channel in (0, 67))
    assert above.passed, above.message
    assert not below.passed
    assert "that is 1.47 times, not 1.5." in below.message
    assert "1.5 times as strongly" in find("feature_maps.unit").question


def test_a_head_that_ends_with_a_softmax_uses_all_channels():
    layers = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(512, 1000), torch.nn.Softmax(1)
    assert check("vgg_layers.head", torch.nn.Sequential(*layers)).passed


def test_a_patch_has_at_most_2500_pixels():
    patch = {"picture": "rocket", "top": 80, "left": 80, "height": 50, "width": 50}
    assert check("occlusion.patch", patch).passed
    assert "2,550 pixels; 2,500 are the most" in check("occlusion.patch", patch | {"height": 51}).message
