"""Every control: its value means what it says, follows the hand, and refuses nonsense in one sentence."""

import base64
import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from torch import nn

from cnnviz_widgets import images
from cnnviz_widgets.controls import (
    ClassPicker,
    DilationSlider,
    ImagePicker,
    KernelEditor,
    KernelSizeSlider,
    NumberGrid,
    PaddingPicker,
    RunControl,
    SettingChoice,
    SettingSlider,
    StrideSlider,
)
from cnnviz_widgets.controls.run_control import seconds
from cnnviz_widgets.errors import ImageError, WrongSetting
from cnnviz_widgets.explorers import base
from cnnviz_widgets.networks import Network
from cnnviz_widgets.techniques.convolution import KERNELS, kernel
from tests import uploads

LONG = 30


def changes(control, name="value"):
    """A list that grows by the new value whenever the trait changes."""
    seen = []
    control.observe(lambda change: seen.append(change["new"]), name)
    return seen


def message(control, content, *buffers):
    """What the page sends."""
    control._handle_custom_msg(content, list(buffers))


def all_controls():
    return [
        KernelSizeSlider(),
        StrideSlider(),
        DilationSlider(),
        PaddingPicker(),
        SettingChoice([("One", "one")], "one", "Choice", "One of one"),
        SettingSlider(3, 1, 5, "Setting", "A number"),
        ClassPicker(tiny(["a", "b"]), "a"),
        KernelEditor(),
        RunControl(),
    ]


def tiny(labels):
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, len(labels))), labels, size=4)


# Sliders and pickers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", all_controls(), ids=lambda control: type(control).__name__)
def test_every_control_says_what_it_is_and_has_a_tooltip(control):
    parts = [control, *base.descendants(control)]
    named = [part for part in parts if getattr(part, "description", "") and not isinstance(part, NumberGrid)]
    assert named
    assert all(getattr(part, "tooltip", "") or getattr(part, "tooltips", ()) for part in named)


@pytest.mark.parametrize("control", [KernelSizeSlider(), StrideSlider(), DilationSlider()])
def test_a_number_set_beyond_its_range_becomes_the_nearest_that_makes_sense(control):
    control.value = 0
    assert control.value == 1
    control.value = 1000
    assert control.value == control.max
    with pytest.raises(traitlets.TraitError):
        control.value = "three"
    assert control.value == control.max


def test_an_unknown_padding_is_refused_and_the_value_kept():
    picker = PaddingPicker("same")
    with pytest.raises(traitlets.TraitError):
        picker.value = "reflect"
    assert picker.value == "same"


# The kernel editor --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("size", [1, 2, 3, 8, 15])
def test_a_named_kernel_is_shown_number_by_number(name, size):
    editor = KernelEditor(name, size)
    assert editor.value == editor.grid.value == kernel(name, size).tolist()
    assert torch.equal(editor.tensor, kernel(name, size))
    assert (editor.name, editor.size) == (name, size)


def test_another_name_changes_the_numbers_once():
    editor = KernelEditor("blur", 3)
    seen = changes(editor)
    editor.name = "sobel_x"
    assert seen == [kernel("sobel_x", 3).tolist()]
    assert editor.grid.value == seen[0]
    assert editor.described() == f"Kernel: {KERNELS['sobel_x']}"


def test_another_size_makes_the_named_kernel_anew_once():
    editor = KernelEditor("sharpen", 3)
    seen = changes(editor)
    editor.size = 6
    assert seen == [kernel("sharpen", 6).tolist()]
    assert (editor.name, editor.grid.value) == ("sharpen", seen[0])


def test_an_edited_number_makes_it_one_s_own_kernel_and_counts_once():
    editor = KernelEditor("blur", 3)
    seen, names = changes(editor), changes(editor, "name")
    rows = [list(row) for row in editor.grid.value]
    rows[0][2] = 7.0
    editor.grid.value = rows  # as the page does
    assert seen == [rows]
    assert names == ["own"]
    assert editor.tensor[0, 2] == 7
    assert editor.described() == "Kernel: own numbers"


def test_choosing_own_numbers_starts_from_those_that_are_there():
    editor = KernelEditor("laplacian", 3)
    seen = changes(editor)
    editor.name = "own"
    assert seen == []
    assert editor.value == kernel("laplacian", 3).tolist()


@pytest.mark.parametrize(("size", "expected"), [(5, (1, 1, 3, 1)), (4, (0, 1, 3, 1)), (1, None), (2, None)])
def test_one_s_own_numbers_keep_their_middle_when_the_size_changes(size, expected):
    editor = KernelEditor("blur", 3)
    editor.value = [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]
    editor.size = size
    values = editor.tensor
    assert values.shape == (size, size)
    assert editor.name == "own"
    if size == 1:
        assert values.item() == 5
    elif size == 2:
        assert 5 in values
        assert values.tolist() in ([[1, 2], [4, 5]], [[5, 6], [8, 9]])
    else:
        assert values.sum() == 45
        start = (size - 3) // 2
        assert values[start : start + 3, start : start + 3].flatten().tolist() == list(range(1, 10))


def test_numbers_of_another_size_take_the_size_with_them():
    editor = KernelEditor("blur", 3)
    seen = changes(editor)
    editor.value = [[1, 2], [3, 4]]
    assert (editor.size, editor.name) == (2, "own")
    assert editor.grid.value == [[1.0, 2.0], [3.0, 4.0]]
    assert len(seen) == 1


def test_a_named_kernel_s_own_numbers_keep_its_name():
    editor = KernelEditor("emboss", 3)
    editor.value = kernel("emboss", 5).tolist()
    assert (editor.name, editor.size) == ("emboss", 5)


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[1.0], [2.0]], [], [[1.0, 2.0], [3.0]]])
def test_numbers_that_make_no_square_are_refused_and_the_kernel_kept(rows):
    editor = KernelEditor("blur", 3)
    with pytest.raises(traitlets.TraitError, match="rows"):
        editor.value = rows
    assert editor.value == editor.grid.value == kernel("blur", 3).tolist()


def test_an_unknown_kernel_is_refused_with_those_there_are():
    editor = KernelEditor()
    with pytest.raises(traitlets.TraitError, match="sobel_x"):
        editor.name = "sobel"
    assert editor.name == "blur"


def test_what_is_typed_and_no_number_is_a_complaint_that_can_be_heard_again():
    editor = KernelEditor()
    seen = changes(editor, "error")
    message(editor.grid, {"kind": "not a number", "text": "<b>two</b>"})
    message(editor.grid, {"kind": "not a number", "text": "<b>two</b>"})
    said = "“<b>two</b>” is not a number; the cell keeps the one it had."
    assert [sentence for sentence in seen if sentence] == [said, said]
    assert editor.value == kernel("blur", 3).tolist()


def test_a_grid_takes_whole_numbers_as_floats_and_refuses_ragged_rows():
    grid = NumberGrid([[1, 2], [3, 4]])
    assert grid.value == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(traitlets.TraitError, match="equal length"):
        grid.value = [[1], [2, 3]]
    assert grid.value == [[1.0, 2.0], [3.0, 4.0]]
    assert repr(grid) == "NumberGrid()"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e300])
def test_numbers_that_nothing_can_be_computed_with_are_refused_and_the_kernel_kept(number):
    """A page cannot even be sent them: they are no JSON."""
    editor, grid = KernelEditor("blur", 3), NumberGrid([[1.0]])
    with pytest.raises(traitlets.TraitError, match="no number to compute with"):
        editor.value = [[number]]
    with pytest.raises(traitlets.TraitError, match="no number to compute with"):
        grid.value = [[number]]
    assert editor.value == editor.grid.value == kernel("blur", 3).tolist()
    message(grid, {"kind": "too large", "text": "1e200"})
    assert grid.error == "1e200 is too large; the cell keeps the number it had."


def test_a_kernel_of_no_size_is_refused_and_the_size_kept():
    editor = KernelEditor("blur", 3)
    with pytest.raises(WrongSetting, match="at least 1"):
        editor.size = 0
    assert editor.size == 3


# The class picker ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "label", "index"),
    [("tabby", "tabby", 1), (" Tabby ", "tabby", 1), ("2", "fox squirrel", 2), ("0", "tiger cat", 0)],
)
def test_a_class_is_chosen_by_name_or_number(typed, label, index):
    picker = ClassPicker(tiny(["tiger cat", "tabby", "fox squirrel"]), "fox squirrel" if index < 2 else "tabby")
    seen = changes(picker)
    picker._field.value = typed  # as the page does
    assert (picker.value, picker.index, picker._field.value) == (label, index, label)
    assert seen == [label]
    assert picker.described() == f"Class: {label}"


def test_an_unknown_class_is_a_complaint_that_offers_the_nearest_and_keeps_the_value():
    picker = ClassPicker(tiny(["tiger cat", "tabby", "fox squirrel"]), "tabby")
    seen, complaints = changes(picker), changes(picker, "error")
    for typed in ("tigre cat", "tigre cat", "7", ""):
        picker._field.value = typed
        assert (picker.value, picker.index, picker._field.value) == ("tabby", 1, "tabby")
        assert picker.error
    heard = [sentence for sentence in complaints if sentence]
    assert len(heard) == 4
    assert "tiger cat" in heard[0]
    assert heard[0] == heard[1]
    assert "0 to 2" in heard[2]
    assert seen == []
    picker._field.value = "tiger cat"
    assert (picker.value, picker.error) == ("tiger cat", "")


def test_labels_that_are_digits_are_labels_before_they_are_numbers():
    picker = ClassPicker(tiny(["1", "2", "20"]), "1")
    assert (picker.value, picker.index) == ("1", 0)
    picker._field.value = "20"
    assert (picker.value, picker.index) == ("20", 2)
    picker._field.value = "0"
    assert (picker.value, picker.index) == ("1", 0)


def test_likely_classes_are_offered_first_and_every_class_once():
    picker = ClassPicker(tiny(["a", "b", "c", "d"]), "a")
    picker.offer(["c", "b"])
    assert list(picker._field.options) == ["c", "b", "a", "d"]


# The image picker ---------------------------------------------------------------------------------------------------


@pytest.fixture
def picker():
    return ImagePicker(names=("cat", "coffee", "camera"))


def test_every_picture_has_a_thumbnail_of_its_own_pixels(picker):
    assert [choice["name"] for choice in picker.choices] == ["cat", "coffee", "camera"]
    for choice in picker.choices:
        assert choice["title"] == images.PICTURES[choice["name"]].title
        data = base64.b64decode(choice["thumbnail"].removeprefix("data:image/jpeg;base64,"))
        thumbnail = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        expected = images.fit(images.load(choice["name"]), (48, 48))
        assert thumbnail.shape == (48, 48, 3)
        assert np.abs(thumbnail.astype(int) - expected).mean() < 8


def test_all_pictures_of_the_course_are_offered():
    assert [choice["name"] for choice in ImagePicker().choices] == list(images.PICTURES)


def test_a_chosen_picture_is_the_course_s_picture(picker):
    for name in ("coffee", "camera", "cat"):
        picker.value = name
        np.testing.assert_array_equal(picker.image, images.load(name))
        assert picker.image is picker.image  # decoded once
        assert picker.title == images.PICTURES[name].title
        assert picker.described() == f"Picture: {picker.title}"


def test_an_unknown_picture_is_refused_with_those_there_are(picker):
    with pytest.raises(ImageError, match="cat, coffee, camera"):
        picker.value = "dog"
    assert picker.value == "cat"
    with pytest.raises(ImageError, match="dog"):
        ImagePicker("dog")


def test_it_may_begin_with_a_picture_of_the_reader_s(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    file = tmp_path / "holiday.png"
    Image.fromarray(pixels).save(file)
    for source, title in ((file, "holiday.png"), (str(file), "holiday.png"), (pixels, "your picture")):
        picker = ImagePicker(source)
        np.testing.assert_array_equal(picker.image, pixels)
        assert picker.title == title
        picker.value = "coffee"
        picker.value = title
        np.testing.assert_array_equal(picker.image, pixels)


@pytest.mark.parametrize("kind", uploads.SHOWN)
def test_every_kind_of_picture_is_shown_right(picker, kind):
    message(picker, {"kind": "upload", "name": f"{kind}.file"}, memoryview(uploads.SHOWN[kind]()))
    assert (picker.value, picker.title, picker.error) == (f"{kind}.file", f"{kind}.file", "")
    uploads.assert_left_and_right(picker.image, kind)
    assert picker.choices[-1]["name"] == f"{kind}.file"


def test_one_pixel_is_a_picture(picker):
    picker.upload("dot.png", uploads.one_pixel())
    np.testing.assert_array_equal(picker.image, [[uploads.GREEN]])


@pytest.mark.parametrize("kind", uploads.REFUSED)
def test_what_cannot_be_shown_is_refused_in_a_sentence_and_nothing_changes(picker, kind):
    make, words = uploads.REFUSED[kind]
    seen, choices = changes(picker), list(picker.choices)
    message(picker, {"kind": "upload", "name": "cat.png"}, memoryview(make()))
    assert picker.error.startswith("“cat.png” was not taken. ")
    assert words in picker.error
    assert "Traceback" not in picker.error
    assert (picker.value, seen, picker.choices) == ("cat", [], choices)
    np.testing.assert_array_equal(picker.image, images.load("cat"))


def test_the_same_refusal_is_heard_twice_and_ends_with_a_good_picture(picker):
    heard = changes(picker, "error")
    picker.upload("a.png", uploads.text())
    picker.upload("a.png", uploads.text())
    assert len([sentence for sentence in heard if sentence]) == 2
    picker.upload("dot.png", uploads.one_pixel())
    assert picker.error == ""


def test_a_file_too_large_for_the_browser_to_shrink_is_refused_in_a_sentence(picker):
    message(picker, {"kind": "too large", "name": "huge.tif", "megabytes": 81.4})
    assert "“huge.tif” has 81 MB" in picker.error
    assert picker.value == "cat"


def test_the_same_file_name_with_other_pixels_is_told_to_observers(picker):
    seen = changes(picker)
    picker.upload("mine.png", uploads.one_pixel())
    picker.upload("mine.png", uploads.encoded(Image.new("RGB", (2, 3), "red")))
    assert seen == ["mine.png", "mine.png"]
    assert picker.image.shape == (3, 2, 3)
    assert [choice["name"] for choice in picker.choices].count("mine.png") == 1


def test_a_reader_s_file_called_cat_is_not_the_course_s_cat(picker):
    picker.upload("cat", uploads.one_pixel())
    assert picker.image.shape == (1, 1, 3)
    picker.value = "cat"
    np.testing.assert_array_equal(picker.image, images.load("cat"))


def test_an_upload_is_still_there_after_another_picture(picker):
    picker.upload("dot.png", uploads.one_pixel())
    picker.value = "coffee"
    picker.value = "cat"
    picker.value = "dot.png"
    assert picker.image.shape == (1, 1, 3)


# Run and Stop -------------------------------------------------------------------------------------------------------


def steps_to(total):
    return lambda: (SimpleNamespace(index=index, total=total) for index in range(total + 1))


class Gate:
    """Steps that wait until they are let through, and how they ended."""

    def __init__(self, total=4):
        self.total, self.closed, self.shown = total, False, []
        self.entered, self.opened, self.ends = threading.Event(), threading.Event(), []

    def steps(self):
        try:
            for index in range(self.total + 1):
                if index == 2:
                    self.entered.set()
                    self.opened.wait(LONG)
                yield SimpleNamespace(index=index, total=self.total)
        finally:
            self.closed = True

    def start(self, run):
        return run.run(self.steps, lambda step, _draw: self.shown.append(step.index), self.ends.append)


def test_run_calls_what_it_was_told_and_stop_is_off_while_nothing_runs():
    run, calls = RunControl(), []
    run.on_run(lambda: calls.append(1))
    assert run.stop_button.disabled
    run.run_button.click()
    assert calls == [1]


def test_a_run_shows_its_progress_and_its_end():
    run, shown, ends = RunControl(), [], []
    job = run.run(steps_to(5), lambda step, draw: shown.append((step.index, draw, run.running)), ends.append)
    assert run.wait(LONG)
    assert [index for index, _draw, _running in shown] == [0, 1, 2, 3, 4, 5]
    assert shown[-1] == (5, True, True)
    assert ends == [job]
    assert (run.running, run.done, run._bar.value, run.stop_button.disabled) == (False, 1.0, 1.0, True)
    assert run._left.value.startswith("done in ")


def test_stop_ends_a_run_between_two_steps_and_keeps_its_progress():
    run, gate = RunControl(), Gate()
    job = gate.start(run)
    assert gate.entered.wait(LONG)
    assert (run.running, run.stop_button.disabled) == (True, False)
    done = run.done
    run.stop_button.click()
    gate.opened.set()
    assert run.wait(LONG)
    assert gate.shown == [0, 1]
    assert gate.closed
    assert gate.ends == [job]
    assert (job.cancelled, job.finished, run.running, run.done) == (True, False, False, done)
    assert run._left.value.startswith("stopped after ")


def test_a_newer_run_takes_the_display_over_and_only_it_reports():
    run, gate, shown, ends = RunControl(), Gate(), [], []
    gate.start(run)
    assert gate.entered.wait(LONG)
    newer = run.run(steps_to(3), lambda step, _draw: shown.append(step.index), ends.append)
    states = changes(run, "running")
    assert run.running
    gate.opened.set()
    assert run.wait(LONG)
    assert gate.shown == [0, 1]
    assert gate.closed
    assert gate.ends == []
    assert (shown, ends, states, run.done) == ([0, 1, 2, 3], [newer], [False], 1.0)


def test_a_step_that_waited_for_the_panel_while_its_run_was_replaced_is_not_shown():
    run, gate, ends = RunControl(), Gate(), []
    gate.opened.set()
    with run.lock:  # the panel is busy in a callback
        gate.start(run)
        assert gate.entered.wait(0.2) is False  # the worker waits with its first step
        run.run(steps_to(1), lambda _step, _draw: None, ends.append)
    assert run.wait(LONG)
    assert gate.shown == []
    assert len(ends) == 1


def test_a_run_shorter_than_its_submission_still_ends():
    run = RunControl()
    for _round in range(200):
        run.run(lambda: (), lambda _step, _draw: None, lambda _job: None)
        assert run.wait(LONG)
        assert not run.running


def test_an_error_ends_a_run_and_is_handed_on():
    run, ends = RunControl(), []

    def steps():
        yield SimpleNamespace(index=1, total=2)
        raise ValueError("no more")

    run.run(steps, lambda _step, _draw: None, lambda job: ends.append(str(job.error)))
    assert run.wait(LONG)
    assert ends == ["no more"]
    assert (run.running, run._left.value) == (False, "")


def test_clear_stops_and_forgets():
    run, gate = RunControl(), Gate()
    job = gate.start(run)
    assert gate.entered.wait(LONG)
    run.clear()
    gate.opened.set()
    assert job.wait(LONG)
    assert gate.closed
    assert (run.running, run.done, run._left.value, gate.ends) == (False, 0.0, "", [])


@pytest.mark.parametrize(
    ("duration", "words"), [(0.04, "0.0 s"), (3.21, "3.2 s"), (12.4, "12 s"), (59.2, "59 s"), (185.0, "3 min 05 s")]
)
def test_time_is_told_as_one_would_say_it(duration, words):
    assert seconds(duration) == words


def test_a_run_taken_up_again_starts_from_the_share_that_was_done():
    run, shares = RunControl(), []
    run.observe(lambda change: shares.append(change["new"]), "done")

    def second_half():
        yield from (SimpleNamespace(index=index, total=4) for index in (3, 4))

    run.run(second_half, lambda _step, _draw: None, lambda _job: None, begun=0.5)
    assert run.wait(LONG)
    assert shares == [0.5, 0.75, 1.0] or shares == [0.5, 1.0]
    run.clear(0.25)
    assert (run.done, run._left.value) == (0.25, "")
