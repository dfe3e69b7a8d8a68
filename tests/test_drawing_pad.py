import numpy as np

from cnnviz_widgets.controls.drawing_pad import FINER, DrawingPad, rasterised

LINE = [[5.0, 3.0], [5.0, 20.0]]


def test_a_stroke_is_as_wide_as_the_pen_and_lies_where_it_was_drawn():
    picture = rasterised([LINE], side=28, pen=2.0)
    assert picture.shape == (28 * FINER, 28 * FINER)
    columns = np.flatnonzero(picture[10 * FINER])
    assert abs(columns.mean() / FINER - 5) < 0.3
    assert abs(len(columns) / FINER - 2) < 0.5
    rows = np.flatnonzero(picture.max(1))
    assert abs(rows[0] / FINER - 2) < 0.5 and abs(rows[-1] / FINER - 21) < 0.5


def test_strokes_are_not_joined():
    picture = rasterised([[[2, 2], [2, 10]], [[20, 2], [20, 10]]])
    assert picture[:, 10 * FINER].max() == 0


def test_a_single_point_is_a_dot():
    picture = rasterised([[[14, 14]]], pen=3.0)
    area = (picture > 0).sum() / FINER**2
    assert abs(area - np.pi * 1.5**2) < 1.2


def test_undo_takes_the_last_stroke_and_clear_all_of_them():
    pad = DrawingPad([LINE, [[1, 1]]])
    pad.undo()
    assert pad.value == [LINE]
    pad.clear()
    assert pad.value == [] and pad.image.max() == 0
    pad.undo()
    assert pad.value == []
