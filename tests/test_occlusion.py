"""Occlusion against a closed form, against a plain loop, and the proof that the model stays as it was."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz_widgets.errors import CnnvizError, UnknownClass, WrongSetting
from cnnviz_widgets.networks import Network
from cnnviz_widgets.techniques.occlusion import ARTICLE, occlude, occlusion, occlusion_steps, under_patch
from tests.helpers import fingerprint


def linear_network(weights):
    """Logits of two classes: the sum of weights times pixels, and 0."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 2)).double()
    with torch.no_grad():
        module[1].weight.copy_(torch.stack([weights.flatten(), torch.zeros_like(weights).flatten()]))
        module[1].bias.zero_()
    return module


def convolutional_network():
    """Small, with all that has a mode, a buffer or a random number in it; trained parts frozen and hooked unevenly."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 8, 3),
        nn.Dropout(0.5),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )
    module(torch.rand(4, 3, 20, 24)).sum().backward()
    module[3].requires_grad_(False)
    module[1].eval()
    module[5].register_forward_hook(lambda *args: None)
    return module


def plain_loop(module, inputs, target, window, stride, cover):
    """(probabilities, logits) of every window, one picture at a time."""
    module.eval()
    height, width = inputs.shape[2:]
    logits = []
    for y in range(0, height - window[0] + 1, stride):
        for x in range(0, width - window[1] + 1, stride):
            covered = inputs.clone()
            covered[:, :, y : y + window[0], x : x + window[1]] = cover[:, :, y : y + window[0], x : x + window[1]]
            logits.append(module(covered)[0].detach())
    logits = torch.stack(logits).reshape((height - window[0]) // stride + 1, -1, len(logits[0]))
    return logits.softmax(-1)[..., target], logits[..., target]


def test_the_logits_of_a_linear_network_are_known_in_closed_form():
    weights, picture = torch.randn(2, 3, 8, 10, dtype=torch.float64).abs()
    picture = picture / picture.max()
    result = occlusion(linear_network(weights), picture[None], 0, (2, 4), (3, 2), "black", progress=False)
    evidence = (weights * picture).sum(0)
    assert result.tops == (0, 3, 6)
    assert result.lefts == (0, 2, 4, 6)
    for (row, top), (column, left) in itertools.product(enumerate(result.tops), enumerate(result.lefts)):
        lost = evidence[top : top + 2, left : left + 4].sum()
        torch.testing.assert_close(result.logits[row, column], evidence.sum() - lost, rtol=0, atol=1e-10)
    torch.testing.assert_close(result.probabilities, result.logits.sigmoid())
    assert result.clean_logit == pytest.approx(evidence.sum().item())
    torch.testing.assert_close(result.drop, evidence.sum().sigmoid() - result.logits.sigmoid())


COLOUR = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)


@pytest.mark.parametrize("fill", ["grey", "black", "white", "mean", "noise", COLOUR])
@pytest.mark.parametrize("batch_size", [None, 1, 5])
def test_every_fill_and_batch_size_equals_the_plain_loop(fill, batch_size):
    module, inputs = convolutional_network(), torch.rand(1, 3, 20, 24)
    cover = occlude(inputs, 0, 0, (20, 24), fill)
    result = occlusion(module, inputs, 2, (8, 6), 2, fill, batch_size=batch_size, progress=False)
    probabilities, logits = plain_loop(module, inputs, 2, (8, 6), 2, cover)
    torch.testing.assert_close(result.probabilities, probabilities, rtol=0, atol=1e-6)
    torch.testing.assert_close(result.logits, logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("fill", "value"), [("black", -2.0), ("grey", 0.5), ("white", 3.0)])
def test_fills_are_pixel_values_carried_into_the_units_of_the_network(fill, value):
    inputs = torch.randn(1, 3, 6, 6)
    assert torch.equal(occlude(inputs, 1, 2, 2, fill, bounds=(-2, 3))[0, :, 1:3, 2:4], torch.full((3, 2, 2), value))
    network = Network(linear_network(torch.ones(3, 6, 6)), labels=["a", "b"], mean=(0.4,) * 3, std=(0.2,) * 3, size=6)
    result = occlusion(network, inputs.double(), "a", 6, 1, fill, progress=False)
    pixel = {"black": 0.0, "grey": 0.5, "white": 1.0}[fill]
    assert result.logits.item() == pytest.approx(108 * (pixel - 0.4) / 0.2, rel=1e-5)


def test_only_the_window_is_covered_also_where_it_hangs_over_the_edge():
    inputs = torch.rand(1, 3, 8, 9)
    for y, x in itertools.product([-5, -2, 0, 3, 7, 12], repeat=2):
        expected = inputs.clone()
        for row, column in itertools.product(range(8), range(9)):
            if y <= row < y + 3 and x <= column < x + 4:
                expected[:, :, row, column] = 1
        assert torch.equal(occlude(inputs, y, x, (3, 4), "white"), expected)


def test_mean_is_each_channels_own():
    inputs = torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(occlude(inputs, 0, 0, 3, "mean")[0, :, 1, 1], inputs.mean((0, 2, 3)))


def test_blur_is_a_gaussian_of_a_quarter_of_the_window():
    from scipy.ndimage import gaussian_filter

    inputs = torch.rand(1, 3, 40, 30, dtype=torch.float64)
    expected = [gaussian_filter(channel, sigma=3, mode="nearest", truncate=3) for channel in inputs[0].numpy()]
    covered = occlude(inputs, 20, 5, 12, "blur")[0, :, 20:32, 5:17]
    np.testing.assert_allclose(covered.numpy(), np.array(expected)[:, 20:32, 5:17], atol=1e-12)


def test_noise_is_one_field_from_its_seed_between_black_and_white():
    inputs = torch.zeros(1, 3, 20, 20)
    field = occlude(inputs, 0, 0, 20, "noise", bounds=(-1, 3), seed=4)
    assert torch.equal(occlude(inputs, 5, 6, 4, "noise", bounds=(-1, 3), seed=4)[..., 5:9, 6:10], field[..., 5:9, 6:10])
    assert not torch.equal(field, occlude(inputs, 0, 0, 20, "noise", bounds=(-1, 3), seed=5))
    assert -1 <= field.min() < -0.9
    assert 2.9 < field.max() <= 3


def small_map(**changes):
    weights = torch.ones(1, 10, 12, dtype=torch.float64)
    settings = {"window": 4, "stride": 3, "fill": "black", "progress": False} | changes
    return occlusion(linear_network(weights), torch.full((1, 1, 10, 12), 0.01, dtype=torch.float64), 0, **settings)


def test_the_last_window_ends_at_the_edge():
    assert small_map().lefts == (0, 3, 6, 8)
    assert small_map().tops == (0, 3, 6)
    assert small_map(stride=20).lefts == (0, 8)


def test_per_pixel_is_the_mean_over_the_windows_that_cover_a_pixel():
    result = small_map()
    values = torch.arange(12.0).reshape(3, 4)
    values[1, 2] = float("nan")
    covering = [[[] for _x in range(12)] for _y in range(10)]
    for (row, top), (column, left) in itertools.product(enumerate(result.tops), enumerate(result.lefts)):
        for y, x in itertools.product(range(top, top + 4), range(left, left + 4)):
            covering[y][x] += [values[row, column].item()] * (not values[row, column].isnan())
    expected = [[np.mean(at) if at else float("nan") for at in line] for line in covering]
    np.testing.assert_allclose(result.per_pixel(values).numpy(), expected, rtol=1e-6)


def test_in_the_articles_setting_cores_tile_the_picture_and_boxes_hang_over_its_edge():
    weights = torch.rand(1, 98, 98, dtype=torch.float64) / 1000
    module, inputs = linear_network(weights), torch.ones(1, 1, 98, 98, dtype=torch.float64)
    result = occlusion(module, inputs, 0, **ARTICLE, progress=False)
    assert result.tops == result.lefts == tuple(range(-28, 70, 14))
    assert result.probabilities.shape == (7, 7)
    box = weights[0, :42, 14:84].sum()  # centred on the cell of row 0, column 3: rows -28 to 42
    assert result.logits[0, 3] == pytest.approx((weights.sum() - box / 2).item())
    pixels = result.per_pixel()
    assert torch.equal(pixels, result.probabilities.repeat_interleave(14, 0).repeat_interleave(14, 1))


def test_the_mask_holds_what_falls_below_the_share_of_the_maps_maximum():
    weights = torch.zeros(1, 6, 9, dtype=torch.float64)
    weights[0, 3:6, 3:6] = 1
    inputs = torch.full((1, 1, 6, 9), 0.5, dtype=torch.float64)
    result = occlusion(linear_network(weights), inputs, 0, 3, 3, "black", progress=False)
    assert result.probabilities[1, 1] == pytest.approx(0.5)  # the evidence is gone: two classes, evenly
    expected = torch.zeros(6, 9, dtype=torch.bool)
    expected[3:6, 3:6] = True
    assert torch.equal(result.mask(), expected)
    assert not result.mask(0.5).any()
    image = np.random.default_rng(0).integers(1, 256, (6, 9, 3), np.uint8)
    assert np.array_equal(result.masked(image), image * expected.numpy()[..., None])
    with pytest.raises(WrongSetting, match="5 × 9 pixels, but the map belongs to one of 6 × 9"):
        result.masked(image[:5])


def test_steps_fill_the_map_from_the_upper_left_and_end_with_the_whole():
    module, inputs = convolutional_network(), torch.rand(1, 3, 20, 24)
    whole = occlusion(module, inputs, 1, 4, 4, "mean", batch_size=4, progress=False)
    steps = list(occlusion_steps(module, inputs, 1, 4, 4, "mean", batch_size=4))
    assert [step.index for step in steps] == [0, *range(4, 30, 4), 30]
    assert {step.total for step in steps} == {30}
    for step in steps:
        flat = step.map.probabilities.flatten()
        assert torch.equal(flat[: step.index], whole.probabilities.flatten()[: step.index])
        assert flat[step.index :].isnan().all()
        assert step.map.clean_probability == whole.clean_probability
        assert step.map.mask().any() == (step.index > 0 and (flat < 0.85 * flat[: step.index].max()).any())


def test_the_model_is_the_same_after_each_step_a_break_an_error_and_the_whole():
    module, inputs = convolutional_network(), torch.rand(1, 3, 20, 24, requires_grad=True)
    two_channels = torch.rand(1, 2, 20, 24)
    before = fingerprint(module)
    steps = occlusion_steps(module, inputs, 1, 4, 4, "noise")
    for _number in range(4):
        next(steps)
        assert fingerprint(module) == before
    steps.close()
    assert fingerprint(module) == before
    with pytest.raises(WrongSetting, match="channels that the network takes is 3, that of the picture 2"):
        occlusion(module, two_channels, 1, 4, 4, progress=False)
    assert fingerprint(module) == before
    result = occlusion(module, inputs, 1, 4, 4, progress=False)
    assert not result.probabilities.requires_grad
    assert fingerprint(module) == before
    assert inputs.grad is None


class Uncopyable(nn.Module):
    """Holds an open generator, which no one can copy."""

    def __init__(self):
        super().__init__()
        self.inner = convolutional_network()
        self.stream = (number for number in range(3))

    def forward(self, inputs):
        return self.inner(inputs)


def test_a_module_that_cannot_be_copied_is_asked_itself_and_stays_the_same():
    inputs = torch.rand(1, 3, 20, 24)
    module = Uncopyable()
    before = fingerprint(module)
    for step in occlusion_steps(module, inputs, 1, 4, 4):
        assert fingerprint(module) == before
        last = step
    expected = occlusion(convolutional_network(), inputs, 1, 4, 4, progress=False)
    torch.testing.assert_close(last.map.logits, expected.logits)


def test_interleaved_steps_do_not_disturb_each_other():
    module, inputs = convolutional_network(), torch.rand(1, 3, 20, 24)
    before = fingerprint(module)
    fills = ("black", "white")
    alone = [list(occlusion_steps(module, inputs, 1, 4, 4, fill, batch_size=3))[-1].map for fill in fills]
    pairs = list(zip(*(occlusion_steps(module, inputs, 1, 4, 4, fill, batch_size=3) for fill in fills), strict=True))
    for together, single in zip(pairs[-1], alone, strict=True):
        assert torch.equal(together.map.probabilities, single.probabilities)
    assert fingerprint(module) == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("inplace", [True, False])
def test_relu_in_place_makes_no_difference(inplace):
    module, inputs = convolutional_network(), torch.rand(1, 3, 20, 24)
    expected = occlusion(module, inputs, 1, 4, 4, batch_size=4, progress=False)
    module[2].inplace = module[5].inplace = inplace
    result = occlusion(module, inputs, 1, 4, 4, batch_size=4, progress=False)
    assert torch.equal(result.logits, expected.logits)


def test_other_weights_give_another_map():
    """The sanity check of Adebayo et al., "Sanity Checks for Saliency Maps" (2018)."""
    inputs = torch.rand(1, 3, 20, 24)
    module = convolutional_network()
    first = occlusion(module, inputs, 1, 4, 4, progress=False).drop.flatten()
    torch.nn.init.normal_(module[8].weight)
    second = occlusion(module, inputs, 1, 4, 4, progress=False).drop.flatten()
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.9


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"window": 11}, WrongSetting, "window of 11 × 11 is larger than the picture of 10 × 12"),
        ({"window": 0}, WrongSetting, "window must be a whole number of at least 1, not 0"),
        ({"stride": 0}, WrongSetting, "stride must be a whole number of at least 1, not 0"),
        ({"core": 5}, WrongSetting, "core of 5 × 5 is larger than the window of 4 × 4"),
        ({"fill": "gray"}, WrongSetting, "Did you mean 'grey'"),
        ({"fill": torch.zeros(1, 3, 2, 2)}, WrongSetting, "does not fit"),
        ({"batch_size": 0}, WrongSetting, "batch size"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(changes, error, says):
    with pytest.raises(error, match=says):
        small_map(**changes)


@pytest.mark.parametrize(
    ("target", "says"),
    [(2, "no class 2: the network has 2"), (-1, "no class -1"), ("cat", "wrap the module in a Network")],
)
def test_an_unknown_class_is_refused(target, says):
    with pytest.raises(UnknownClass, match=says):
        occlusion(linear_network(torch.ones(1, 4, 4)), torch.rand(1, 1, 4, 4).double(), target, 2, 2, progress=False)


def test_an_unknown_label_offers_the_nearest():
    network = Network(linear_network(torch.ones(3, 4, 4)), labels=["tabby", "espresso"], size=4)
    with pytest.raises(UnknownClass, match="tabby"):
        occlusion_steps(network, torch.rand(1, 3, 4, 4), "taby", 2, 2)


def test_normalised_inputs_need_bounds_for_fills_that_are_pixel_values():
    inputs = torch.rand(1, 3, 4, 4) * 4 - 2
    with pytest.raises(WrongSetting, match=r"pass bounds=\(black, white\)"):
        occlude(inputs, 0, 0, 2, "grey")
    assert torch.isfinite(occlude(inputs, 0, 0, 2, "mean")).all()


@pytest.mark.parametrize("inputs", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8), np.zeros((8, 8, 3))])
def test_anything_but_one_picture_is_refused(inputs):
    with pytest.raises(WrongSetting, match="one picture as a tensor"):
        occlude(inputs, 0, 0, 2)


class Brightness(nn.Module):
    """Two classes whose scores follow the sum of the pixels; `answer` says how they are given back."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, pictures):
        total = pictures.sum((1, 2, 3))
        return self.answer(torch.stack([total, 3 - total], 1))


def test_a_network_that_ends_in_softmax_gives_the_map_of_the_one_without():
    picture = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0)) / 10
    settings = {"target": 0, "window": 2, "stride": 2, "fill": "black", "progress": False}
    plain = occlusion(Brightness(lambda scores: scores), picture, **settings)
    soft = occlusion(Brightness(lambda scores: scores.softmax(1)), picture, **settings)
    assert torch.allclose(soft.probabilities, plain.probabilities, atol=1e-5)


def test_an_answer_for_fewer_pictures_than_were_asked_about_is_refused():
    """Spread over the batch, it would put one window's value in the place of eight."""
    with pytest.raises(WrongSetting, match="for 8 pictures"):
        occlusion(Brightness(lambda scores: scores[:1]), torch.zeros(1, 1, 6, 6), 0, 2, 2, progress=False)
    with pytest.raises(WrongSetting, match="not tuple"):
        occlusion(Brightness(lambda scores: (scores, scores)), torch.zeros(1, 1, 6, 6), 0, 2, 2, progress=False)


def test_a_fill_may_be_an_array_and_bounds_are_two():
    picture = torch.rand(1, 3, 6, 6)
    black = np.zeros((1, 3, 1, 1), np.float32)
    assert torch.equal(occlude(picture, 1, 1, 3, black), occlude(picture, 1, 1, 3, "black"))
    for bounds in [(0, 1, 2), 5, (torch.zeros(4), torch.ones(4))]:
        with pytest.raises(WrongSetting, match="bounds are"):
            occlude(picture, 1, 1, 3, "grey", bounds=bounds)


# How the network is read, and of which kind it is


class Brightest(nn.Module):
    """One score, high where the middle of the picture is bright; as many labels as asked, each a little higher."""

    def __init__(self, labels=1, squeezed=False):
        super().__init__()
        self.labels, self.squeezed = labels, squeezed

    def forward(self, pictures):
        score = 9.64 * pictures[:, :, 2:4, 2:4].mean((1, 2, 3)) - 4.82
        return score if self.squeezed else torch.stack([score + index / 10 for index in range(self.labels)], 1)


def bright_middle():
    picture = torch.zeros(1, 1, 6, 6)
    picture[:, :, 2:4, 2:4] = 1
    return picture


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_single_score_is_read_by_the_sigmoid(squeezed):
    result = occlusion(Brightest(squeezed=squeezed), bright_middle(), 0, 2, 2, "black", progress=False)
    assert result.clean_probability == pytest.approx(0.992, abs=1e-3)
    assert result.drop.max() == pytest.approx(2 * 0.992 - 1, abs=2e-3)
    assert result.drop[1, 1] == result.drop.max() and (result.drop > 0.01).sum() == 1


def test_independent_labels_fall_each_by_itself():
    network = Network(Brightest(3), mean=(0.5,), std=(0.5,), size=6, output="sigmoid")
    clean = network.module(bright_middle())[0].sigmoid()
    covered = network.module(torch.zeros(1, 1, 6, 6))[0].sigmoid()
    for index in range(3):
        result = occlusion(network, bright_middle(), index, 2, 2, torch.zeros(1, 1, 1, 1), progress=False)
        torch.testing.assert_close(result.drop[1, 1], clean[index] - covered[index])
        assert (result.target, result.label) == (index, f"class {index}")


def test_a_function_of_the_output_is_mapped_by_its_value():
    def twice(scores):
        return 2 * scores[:, 0]

    result = occlusion(Brightest(), bright_middle(), twice, 2, 2, "black", progress=False)
    assert (result.target, result.label) == (None, "twice")
    assert result.clean_probability == result.clean_logit == pytest.approx(9.64)
    assert result.drop[1, 1] == pytest.approx(2 * 9.64, rel=1e-5)


@pytest.mark.parametrize(("dtype", "near"), [(torch.bfloat16, 0.02), (torch.float16, 2e-3), (torch.float64, 1e-6)])
def test_a_network_of_another_type_gives_nearly_the_same_map(dtype, near):
    inputs = torch.rand(1, 3, 20, 24)
    expected = occlusion(convolutional_network(), inputs, np.int64(1), 8, np.int64(4), progress=False)
    found = occlusion(convolutional_network().to(dtype), inputs, 1, 8, 4, progress=False)
    assert found.probabilities.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.probabilities.float(), expected.probabilities, rtol=0, atol=near)


def test_in_inference_mode_it_is_the_same():
    module, inputs = convolutional_network(), torch.rand(1, 3, 20, 24)
    expected = occlusion(module, inputs, 1, 8, 4, progress=False)
    with torch.inference_mode():
        found = occlusion(module, inputs * 1, 1, 8, 4, progress=False)
    assert torch.equal(found.probabilities, expected.probabilities)


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_windows_do_not_change_each_others_answers_where_norms_have_no_statistics(batch_size):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), nn.Flatten(), nn.Linear(160, 3)
    )
    inputs = torch.rand(1, 3, 10, 7)
    result = occlusion(module, inputs, 1, 4, 3, "black", batch_size=batch_size, progress=False)
    expected, _logits = plain_loop(module, inputs, 1, (4, 4), 3, torch.zeros(1, 3, 10, 7))
    torch.testing.assert_close(result.probabilities, expected, rtol=0, atol=1e-6)


def test_a_module_that_asks_for_one_layout_of_memory_gets_it():
    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8 * 9 * 11, 4)

        def forward(self, x):
            return self.head(nn.functional.max_pool2d(self.conv(x).relu(), 2).view(x.size(0), -1))

    torch.manual_seed(0)
    module, inputs = Views(), torch.rand(1, 3, 20, 24)
    result = occlusion(module, inputs, 1, 8, 4, "black", progress=False)
    expected, _logits = plain_loop(module, inputs, 1, (8, 8), 4, torch.zeros(1, 3, 20, 24))
    torch.testing.assert_close(result.probabilities, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("fill", ["grey", "blur", "noise"])
def test_one_place_by_itself_has_the_number_of_the_map(fill):
    """Nothing is rounded to pixels on the way, which moved a probability by a thousandth."""
    torch.manual_seed(0)
    network = Network(convolutional_network(), size=(20, 24))
    inputs = network.preprocess("cat")
    result = occlusion(network, inputs, 1, 8, 4, fill, progress=False)
    for row, top in enumerate(result.tops):
        for column, left in enumerate(result.lefts):
            seen, probabilities = under_patch(network, inputs, (top, left), 8, fill)
            assert probabilities[1].item() == pytest.approx(result.probabilities[row, column].item(), abs=2e-6)
    assert seen.shape == (20, 24, 3) and seen.dtype == np.uint8
    assert probabilities.sum().item() == pytest.approx(1)


def test_what_the_module_raises_is_one_sentence():
    def stop(_scores):
        raise KeyError("a\nb")

    with pytest.raises(CnnvizError, match="KeyError") as caught:
        occlusion(Brightness(stop), torch.zeros(1, 1, 6, 6), 0, 2, 2, progress=False)
    assert isinstance(caught.value.__cause__, KeyError) and "\n" not in str(caught.value)
