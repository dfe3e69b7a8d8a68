"""The picture view: what it shows, what it tells of the pointer, and what is left when it is closed."""

import base64
import io
import time

import ipywidgets as widgets
import numpy as np
import pytest
from ipywidgets.widgets import widget as registry
from PIL import Image

from cnnviz_widgets import ImageView, images, render
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.views import discard, image_view
from cnnviz_widgets.views.image_view import patch_corner
from cnnviz_widgets.views.twin import VIEW

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def messages(view):
    """A list that grows by the set of traits of every message that goes out to the page."""
    sent = []
    send = view.send_state
    view.send_state = lambda key=None: (sent.append({key} if isinstance(key, str) else set(key or ())), send(key))
    return sent


def test_a_shown_picture_is_the_one_the_page_gets():
    view = ImageView(PICTURE, kind="png")
    np.testing.assert_array_equal(decoded(view.data), PICTURE)
    np.testing.assert_array_equal(view.image, PICTURE)
    assert (view.width, view.height, view.mime, view.serial) == (9, 6, "image/png", 1)


def test_photographs_go_out_as_jpeg():
    cat = images.load("cat")
    view = ImageView(cat)
    assert view.mime == "image/jpeg"
    assert Image.open(io.BytesIO(view.data)).format == "JPEG"
    assert np.abs(decoded(view.data).astype(int) - cat).mean() < 4


def test_a_picture_and_all_that_belongs_to_it_travel_in_one_message():
    view = ImageView(PICTURE)
    sent = messages(view)
    view.show(PICTURE[::2, ::-1], kind="png", caption="half", alt="half of it", marks=[{"x": 1}], pointer=[2, 1])
    wanted = {"data", "height", "mime", "serial", "caption", "alt", "marks", "pointer"}  # the width is the same
    assert [message for message in sent if message] == [wanted]


def test_a_picture_drawn_in_afterwards_stays_as_it_was_shown():
    picture = PICTURE.copy()
    view = ImageView(picture, kind="png")
    picture[:] = 0
    np.testing.assert_array_equal(view.image, PICTURE)


def test_an_unknown_kind_is_refused_and_the_picture_kept():
    view = ImageView(PICTURE, kind="png")
    with pytest.raises(WrongSetting):
        view.show(PICTURE[:2], kind="webp")
    np.testing.assert_array_equal(view.image, PICTURE)
    assert (view.height, view.serial) == (6, 1)


def test_two_pictures_on_their_way_are_enough():
    view = ImageView(PICTURE)
    for shade in range(5):
        view.show(PICTURE // (shade + 2))
        assert not view.congested  # no page has ever answered, so there is nobody to wait for
    view.shown = view.serial
    view.show(PICTURE // 3, kind="png")
    assert not view.congested
    view.show(PICTURE // 4, kind="png")
    assert view.congested
    view.shown = view.serial - 1
    assert not view.congested


def test_the_same_picture_again_is_not_waited_for():
    view = ImageView(PICTURE)
    view.shown = view.serial
    for _again in range(3):
        view.show(PICTURE, caption="the same")
    assert view.serial == view.shown
    assert not view.congested


def test_a_picture_that_is_never_acknowledged_is_given_up_after_a_while(monkeypatch):
    view = ImageView(PICTURE)
    view.shown = view.serial
    view.show(PICTURE // 2)
    view.show(PICTURE // 3)
    assert view.congested
    later = time.monotonic() + image_view.LOST_AFTER
    monkeypatch.setattr(image_view.time, "monotonic", lambda: later)
    assert not view.congested


@pytest.mark.parametrize(
    ("pointer", "patch", "corner"),
    [
        ((50, 30), (10, 10), (45, 25)),
        ((50, 30), (11, 11), (45, 25)),
        ((0, 0), (10, 10), (0, 0)),
        ((99, 59), (10, 10), (90, 50)),
        ((50, 30), (200, 10), (0, 25)),
        ((50, 30), (100, 60), (0, 0)),
    ],
)
def test_a_patch_is_centred_on_the_pointer_and_stays_inside(pointer, patch, corner):
    assert patch_corner(list(pointer), list(patch), (100, 60)) == corner


def test_the_figure_shows_marks_patch_scale_and_caption():
    grey = np.full((60, 100, 3), 128, np.uint8)
    view = ImageView(grey, kind="png", patch=[10, 10], caption="A grey picture")
    np.testing.assert_array_equal(view.figure()[:60, :100], grey)
    view.pointer = [50, 30]
    picture = view.figure()
    np.testing.assert_array_equal(picture[25, 45:56], np.full((11, 3), 255))
    assert (picture[24, :100] == 128).all()
    view.ramp = render.ramp("magma", 0, 1, "share")
    assert view.figure().shape[1] == max(164, render.NARROWEST)
    view.caption = ""
    assert view.figure().shape[0] == 60


def test_a_view_is_also_a_picture_with_a_short_fixed_name():
    view = ImageView(PICTURE, kind="png", caption="nine by six", zoom=4, pixelated=True)
    bundle = view._repr_mimebundle_()
    assert bundle["text/plain"] == repr(view) == "ImageView()"
    assert bundle[VIEW]["model_id"] == view.model_id
    np.testing.assert_array_equal(decoded(base64.b64decode(bundle["image/png"])), view.figure())
    np.testing.assert_array_equal(view.figure()[:24, :36], render.enlarge(PICTURE, 4))


def test_an_empty_view_is_a_picture_too():
    assert base64.b64decode(ImageView()._repr_mimebundle_()["image/png"])[:4] == b"\x89PNG"


def test_traits_are_refused_that_make_no_sense():
    with pytest.raises(Exception, match="follow"):
        ImageView(follow="everything")


def test_discard_closes_a_whole_tree_and_nothing_else():
    kept = ImageView(PICTURE)
    before = set(registry._instances)
    box = widgets.VBox([widgets.HBox([ImageView(PICTURE), widgets.IntSlider()]), widgets.Button(), widgets.HTML()])
    assert len(set(registry._instances) - before) > 10
    discard(box)
    discard(box)  # a second time does no harm
    assert set(registry._instances) == before
    assert kept.comm is not None
