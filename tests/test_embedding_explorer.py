"""The panel with a map of codes, without a front end: every control, the pointer, a click, Stop, and bad input."""

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

from cnnviz_widgets import EmbeddingExplorer
from cnnviz_widgets.errors import WrongSetting
from cnnviz_widgets.render.scatter import class_colour, places, scatter, value_colours
from cnnviz_widgets.techniques.embedding import neighbour_accuracy, pca, trustworthiness, tsne

COUNT = 90


def examples(seed=0):
    """Three classes of grey pictures, and codes in which they lie apart; in their pixels the first two are mixed."""
    numbers = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], COUNT // 3)
    pictures = numbers.integers(0, 90, (COUNT, 6, 6)).astype(np.uint8)
    pictures[labels == 2] += 100
    near = numbers.normal(size=(COUNT, 5)) + 12 * np.eye(5)[labels]
    return {"first": numbers.normal(size=(COUNT, 4)), "last": near}, pictures, labels


def make(**settings):
    codes, pictures, labels = examples()
    return EmbeddingExplorer(codes, pictures, labels, "abc", iterations=30, perplexity=10, **settings)


@pytest.fixture
def panel():
    panel = make()
    yield panel
    panel.close()


def moved(panel, name, value):
    panel.settings[name].value = value
    assert panel.settle(60)
    assert not panel.status.wrong, panel.status.value
    return panel.value


def wanted(layer="last", perplexity=10, **settings):
    return tsne(examples()[0][layer], perplexity, iterations=30, progress=False, **settings)


def test_the_first_map_is_there_at_once(panel):
    codes, _pictures, labels = examples()
    made = panel.value
    assert torch.equal(made.points, wanted().points)
    assert (made.layer, made.method) == ("last", "tsne")
    assert made.divergence == wanted().divergence
    assert made.accuracy == neighbour_accuracy(made.points, labels)
    assert made.trustworthiness == trustworthiness(codes["last"], made.points)
    assert not panel.run.running


def test_every_control_changes_the_map_as_it_says(panel):
    assert torch.equal(moved(panel, "layer", "first").points, wanted("first").points)
    assert torch.equal(moved(panel, "perplexity", 25).points, wanted("first", 25).points)
    assert panel.seed.disabled
    assert torch.equal(moved(panel, "start", "random").points, wanted("first", 25, start="random").points)
    assert not panel.seed.disabled
    assert torch.equal(moved(panel, "seed", 7).points, wanted("first", 25, start="random", seed=7).points)
    made = moved(panel, "method", "pca")
    torch.testing.assert_close(made.points, pca(examples()[0]["first"])[0].float())
    assert made.accuracy == neighbour_accuracy(made.points, examples()[2])
    assert panel.perplexity.disabled
    assert panel.start_from.disabled
    assert panel.seed.disabled
    panel.reset()
    assert panel.settle(60)
    assert torch.equal(panel.value.points, wanted().points)
    assert not panel.perplexity.disabled


def test_a_map_that_was_made_is_kept(panel):
    first = panel.value
    moved(panel, "layer", "first")
    assert moved(panel, "layer", "last") is first


def test_the_picture_has_the_points_where_the_map_has_them(panel):
    picture = panel.view.image
    corners = places(panel.value.points.numpy(), 860, 32)
    for label in range(3):
        colour = np.array(class_colour(label))
        drawn = np.argwhere((np.abs(picture.astype(int) - colour) < 8).all(2))
        own = corners[panel.labels == label]
        for x, y in own:
            assert np.abs(drawn - (y, x)).max(1).min() <= 12
        for y, x in drawn[::17]:
            assert np.abs(own - (x, y)).max(1).min() <= 12


def test_the_map_can_be_drawn_as_pictures(panel):
    before = panel.view.image.copy()
    moved(panel, "drawn_as", "pictures")
    assert not np.array_equal(before, panel.view.image)
    x, y = panel._places[40].round().astype(int)
    ink = 255 - panel.view.image[y - 20 : y + 20, x - 20 : x + 20].astype(float).mean()
    assert ink > 5


def test_pointing_shows_the_picture_under_the_pointer_and_leaving_shows_the_chosen_one(panel):
    chosen = panel.point_view.image.copy()
    x, y = panel._places[50].round().astype(int)
    panel.view.pointer = [int(x), int(y)]
    found = panel.nearest_to(x, y)
    assert np.hypot(*(panel._places[found] - panel._places[50])) < 1
    tile = np.asarray(Image.fromarray(panel.pictures[found]).resize((144, 144), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(panel.point_view.image[:144, :144, 0], tile)
    assert f"Picture {found}: {'abc'[panel.labels[found]]}" in panel.point_view.alt
    assert any(mark["colour"] == "#666666" for mark in panel.view.marks)
    panel.view.pointer = []
    np.testing.assert_array_equal(panel.point_view.image, chosen)
    assert not any(mark["colour"] == "#666666" for mark in panel.view.marks)


def test_a_click_chooses_and_shows_the_neighbours(panel):
    codes, pictures, _labels = examples()
    x, y = panel._places[33].round().astype(int)
    panel.view.click = [int(x), int(y), 1]
    index = panel.point.value
    assert np.hypot(*(panel._places[index] - panel._places[33])) < 1
    spaces = {"codes": codes["last"], "pixels": pictures.reshape(COUNT, -1).astype(float)}
    for name, space in spaces.items():
        apart = ((space - space[index]) ** 2).sum(1)
        order = [int(other) for other in apart.argsort() if other != index]
        assert panel.near(index)[name] == order[:6]
    assert set(panel.near(index)["codes"]) <= set(range(30, 60))  # its own class
    assert "nearest in last: b, b, b, b, b, b" in panel.neighbours_view.alt
    centre = (panel.view.marks[-1]["x"] + 22, panel.view.marks[-1]["y"] + 22)
    np.testing.assert_allclose(centre, panel._places[index], atol=1)


def test_a_click_beside_the_points_says_so(panel):
    panel.view.click = [0, 0, 1]
    assert "no picture near this place" in panel.status.value
    assert panel.point.value == 0


def test_a_pointer_that_is_nowhere_is_no_trouble(panel):
    for place in ([-3, 5], [10**9, -(10**9)], []):
        panel.view.pointer = place
        panel.view.click = [*place, 1] if place else []
        assert panel.point.value == 0 and not panel.status.wrong
    assert "chosen" in panel.point_view.alt


def test_a_choice_taken_away_by_the_page_is_put_back(panel):
    with pytest.raises(traitlets.TraitError, match="Choose one under “Start”"):
        panel.start_from.set_state({"index": None})
    assert panel.start_from.value == "pca"
    assert torch.equal(moved(panel, "layer", "first").points, wanted("first").points)


def test_closing_ends_the_map_that_is_on_its_way(panel):
    panel.iterations = 100_000
    panel.perplexity.value = 20
    panel.close()
    assert panel.settle(60) and panel.run.done < 0.1


def test_the_caption_names_the_perplexity_of_the_map_that_is_shown(panel):
    with panel._lock:  # no step of the next map can be shown
        panel.perplexity.value = 25
        panel.drawn_as.value = "pictures"
        assert "perplexity 10," in panel.view.caption
    assert panel.settle(60) and "perplexity 25," in panel.view.caption


def test_a_map_on_its_way_moves_the_frames_along_and_keeps_the_scores(panel):
    seen = []
    said = panel.scores_view.alt
    panel.iterations = 600
    panel.view.observe(lambda change: seen.append((panel.scores_view.alt, list(panel._places[0]))), "marks")
    panel.perplexity.value = 20
    assert panel.settle(60)
    forming = [place for words, place in seen if words == said]
    assert len({tuple(place) for place in forming}) > 1
    assert panel.scores_view.alt != said and "nan" not in panel.scores_view.alt


def test_the_slider_chooses_as_well(panel):
    moved(panel, "point", 77)
    assert panel.neighbours_view.alt.startswith("Neighbours of picture 77")
    assert "Picture 77: c" in panel.point_view.alt


def test_values_colour_the_points():
    values = np.linspace(-1, 0.5, COUNT)
    panel = make(values=values, value_name="worth")
    assert panel.colour.value == "value"
    assert panel.view.ramp["label"] == "worth"
    assert (panel.view.ramp["low"], panel.view.ramp["high"]) == ("−1", "1")
    by_value = panel.view.image.copy()
    assert f"worth: {'−1'}" in panel.point_view.alt
    moved(panel, "colour", "class")
    assert panel.view.ramp == {}
    assert not np.array_equal(by_value, panel.view.image)
    panel.close()


def test_stop_keeps_what_there_is_and_judges_it():
    codes, pictures, labels = examples()
    panel = EmbeddingExplorer(codes, pictures, labels, "abc", iterations=20, perplexity=10)
    panel.iterations = 100_000
    steps = []
    panel.observe(lambda change: (steps.append(change["new"]), len(steps) == 12 and panel.run.stop()), "value")
    panel.layer.value = "first"
    assert panel.settle(60)
    assert panel.run.done < 0.01
    assert "Stopped before its end" in panel.status.value
    assert panel.value.trustworthiness == trustworthiness(codes["first"], panel.value.points)
    panel.iterations = 20
    panel.start()
    assert panel.settle(60)
    assert torch.equal(panel.value.points, tsne(codes["first"], 10, iterations=20, progress=False).points)
    panel.close()


def test_a_newer_setting_replaces_the_map_that_is_on_its_way(panel):
    panel.iterations = 100_000
    panel.perplexity.value = 20
    panel.iterations = 30
    panel.perplexity.value = 5
    assert panel.settle(60)
    assert torch.equal(panel.value.points, wanted(perplexity=5).points)
    assert panel.view.caption.startswith("90 pictures by t-SNE, perplexity 5,")


def test_numbers_are_said_and_drawn(panel):
    flat = pca(examples()[0]["last"])[0]
    for value in (neighbour_accuracy(flat, panel.labels), trustworthiness(examples()[0]["last"], flat)):
        assert f"{value:.3f}" in panel.scores_view.alt
    assert f"on t-SNE's map {panel.value.accuracy:.3f}" in panel.scores_view.alt


def test_the_panel_is_a_picture_too(panel):
    bundle = panel._repr_mimebundle_()
    assert "image/png" in bundle
    assert "Layer: last" in panel.alt
    assert panel.snapshot().shape[1] > 700


def test_one_matrix_of_codes_and_names_that_are_numbers():
    codes, pictures, labels = examples()
    colour = np.repeat(pictures[..., None], 3, 3)
    panel = EmbeddingExplorer(torch.tensor(codes["last"]), colour, labels, iterations=10, as_pictures=True)
    assert panel.names == ["0", "1", "2"]
    assert panel.value.layer == "codes"
    panel.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": [0, 1]}, "as many of each"),
        ({"pictures": np.zeros((4, 2, 2), np.uint8)}, "pictures: 4"),
        ({"names": "ab"}, "Labels must be numbers from 0 to 1"),
        ({"values": np.zeros(3), "value_name": "worth"}, "worth: 3"),
        ({"layer": "lsat"}, "Did you mean 'last'"),
        ({"method": "umap"}, "choose one of tsne, pca"),
        ({"start": "zero"}, "choose one of pca, random"),
        ({"codes": {"last": np.full((COUNT, 2), np.nan)}}, "not numbers"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, says):
    codes, pictures, labels = examples()
    settings = {"codes": codes, "pictures": pictures, "labels": labels, "names": "abc", "iterations": 10, **change}
    with pytest.raises(WrongSetting, match=says):
        EmbeddingExplorer(**settings)


# The picture of points


def test_places_keep_proportions_and_turn_y_up():
    where = places(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0]]), 100, 10)
    np.testing.assert_allclose(where, [[10, 70], [90, 70], [10, 30]])
    np.testing.assert_allclose(places(np.ones((3, 2)), 100), 50)


def test_names_stand_in_the_middle_of_their_classes():
    points = np.array([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 5)
    labels = np.repeat([0, 1], 5)
    named = scatter(points, labels, ["apple", "pear"], side=200)
    bare = scatter(points, labels, ["a", "p"], side=200)
    assert (named != 255).any(2)[300:].sum() > (bare != 255).any(2)[300:].sum()
    assert (named != 255).any(2)[100:300, 100:300].sum() == 0


def test_values_around_zero_have_white_in_the_middle():
    colours, name, low, high = value_colours(np.array([-2.0, 0.0, 1.0]))
    assert (name, low, high) == ("RdBu_r", -2, 2)
    assert colours[1].min() > 240
    assert colours[0][2] > colours[0][0]  # blue below
    assert colours[2][0] > colours[2][2]  # red above
    assert value_colours(np.array([0.0, 3.0]))[1:] == ("viridis", 0, 3)
