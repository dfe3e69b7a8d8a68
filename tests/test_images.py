import contextlib
import io
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz_widgets.errors import ImageError, WrongSetting
from cnnviz_widgets.images import (
    PICTURES,
    catalogue,
    centre_crop,
    fit,
    greyscale,
    load,
    reading,
    resize,
    to_image,
    to_tensor,
)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def quarters() -> np.ndarray:
    """A picture that shows every mirroring and turning: red, green, blue, white quarters, wider than high."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :30], picture[:20, 30:] = (255, 0, 0), (0, 255, 0)
    picture[20:, :30], picture[20:, 30:] = (0, 0, 255), (255, 255, 255)
    return picture


# The course's pictures ------------------------------------------------------------------------------------------


def test_every_picture_of_the_course_loads_in_colour_and_is_credited():
    for name, picture in PICTURES.items():
        pixels = load(name)
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        assert min(pixels.shape[:2]) >= 300 and pixels.std() > 15, name
        assert picture.name == name
        assert all((picture.title, picture.alt, picture.credit, picture.licence, picture.source))


def test_the_cat_is_a_4_to_5_crop_with_both_eyes_and_the_nose_in_their_places():
    cat = load("cat").astype(int)
    assert cat.shape == (320, 400, 3)
    whole = load(catalogue.course_file("cat"))
    assert whole.shape == (300, 451, 3)
    left = reading._CAT_LEFT
    for row, column in [(116, 170), (137, 318), (240, 265)]:  # an eye, the other eye, the nose
        there = cat[round(row * 320 / 300), round((column - left) * 400 / 375)]
        assert np.abs(there - whole[row, column].astype(int)).max() < 25
    assert left <= 38 and left + 375 >= 400  # the ears reach from column 38 to 400 of the photograph


def test_the_pictures_are_rgb_and_not_bgr():
    red, _, blue = load("coffee").reshape(-1, 3).mean(0)
    assert red > 2 * blue  # a red saucer on brown wood


def test_reading_pictures_imports_neither_scikit_image_nor_scikit_learn():
    code = (
        "import sys; from cnnviz_widgets.images import PICTURES, load; [load(name) for name in PICTURES];"
        "heavy = {'skimage', 'sklearn', 'matplotlib', 'torchvision'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match="scikit-learn, which is not installed: python -m pip install scikit-learn"):
        load("flower")


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(ImageError, match="Did you mean motorcycle"):
        load("motorcicle")
    with pytest.raises(ImageError, match="The pictures of the course are cat, coffee"):
        load("zzz")
    with pytest.raises(ImageError, match="is a folder"):
        load("")


def test_two_loads_do_not_share_pixels():
    first = load("cat")
    first[:] = 0
    assert load("cat").any()


# Sources --------------------------------------------------------------------------------------------------------


def test_one_picture_reads_the_same_from_every_kind_of_source(tmp_path, quarters):
    data = encoded(Image.fromarray(quarters))
    path = tmp_path / "quarters.png"
    path.write_bytes(data)
    with path.open("rb") as stream:
        for source in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), stream, quarters):
            np.testing.assert_array_equal(load(source), quarters)
    np.testing.assert_array_equal(load(Image.fromarray(quarters)), quarters)


def test_arrays_of_every_accepted_kind(quarters):
    grey = np.array([[0, 51], [102, 255]], np.uint8)
    as_grey = np.repeat(grey[..., None], 3, axis=2)
    for array in (grey, grey[..., None], grey / 255.0, (grey / 255.0).astype(np.float16), grey.astype(int)):
        np.testing.assert_array_equal(load(array), as_grey)
    np.testing.assert_array_equal(load(grey.astype(np.uint16) * 257), as_grey)
    np.testing.assert_array_equal(load(grey > 60), np.where(as_grey > 60, 255, 0))
    half = np.dstack([quarters, np.full((40, 60), 128, np.uint8)])
    np.testing.assert_allclose(load(half), quarters * (128 / 255) + 127, atol=1)


def test_load_does_not_alias_the_array_it_was_given(quarters):
    loaded = load(quarters)
    loaded[:] = 7
    assert quarters.max() == 255


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 50, 50), np.uint8), r"shape \(3, 50, 50\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        (np.zeros((4, 4, 4, 4)), "is no picture"),
        (np.full((4, 4, 3), 200.0), "from 200 to 200; float64 pixels run from 0 to 1"),
        (np.full((4, 4, 3), np.nan), "nan"),
        (np.full((4, 4, 3), -1), "run from -1"),
        (np.full((4, 4, 3), "a"), "is no picture"),
        (torch.zeros(1, 3, 4, 4), r"to_image\(tensor\)"),
        (None, "NoneType"),
        ([1, 2, 3], "list"),
        (io.StringIO("text"), 'mode "rb"'),
    ],
)
def test_what_is_no_picture_is_refused(array, message):
    with pytest.raises(ImageError, match=message):
        load(array)


# Bad files ------------------------------------------------------------------------------------------------------


def refused(source) -> str:
    with pytest.raises(ImageError) as caught:
        load(source)
    message = str(caught.value)
    assert message.endswith((".", "?")) and "\n" not in message and len(message) < 250
    return message


def test_text_renamed_png_is_refused(tmp_path):
    path = tmp_path / "letter.png"
    path.write_text("Dear reader, this is not a picture.")
    assert "not a picture" in refused(path)


def test_a_truncated_jpeg_is_refused(quarters):
    data = encoded(Image.fromarray(np.tile(quarters, (20, 20, 1))), "JPEG")
    assert "damaged or incomplete" in refused(data[: len(data) // 2])
    assert "damaged or incomplete" in refused(data[:40])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_file_cut_anywhere_or_with_flipped_bytes_is_shown_or_refused_in_one_sentence(kind, quarters):
    data = encoded(Image.fromarray(np.tile(quarters, (3, 3, 1))), kind)
    random = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(data[: random.integers(1, len(data))])
        for place in random.integers(0, len(damaged), 3):
            damaged[place] ^= 0xFF
        try:
            pixels = load(bytes(damaged))
        except ImageError as error:
            assert "\n" not in str(error)
        else:
            assert pixels.dtype == np.uint8 and pixels.shape[2] == 3


def test_empty_missing_and_folder_are_refused(tmp_path):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert refused(empty) == "The file is empty."
    assert "is a folder" in refused(tmp_path)
    assert refused(tmp_path / "nowhere.png") == 'There is no file "nowhere.png".'


@pytest.mark.parametrize("start", [b"P", b"\xff", b"B", b"RIFF", b"\x89PNG", b"II", b"\x00"])
def test_a_file_of_a_few_bytes_is_refused(start):
    refused(start)


def test_a_heic_photograph_is_refused_with_what_to_do():
    assert "save the photograph as JPEG" in refused(b"\x00\x00\x00\x18ftypheic" + bytes(50))


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO"])
def test_formats_that_are_not_plain_raster_pictures_are_refused(kind):
    assert "not a picture that can be read here" in refused(encoded(Image.new("RGB", (20, 20)), kind))


# Odd but valid files --------------------------------------------------------------------------------------------


def test_one_pixel_is_a_picture():
    np.testing.assert_array_equal(load(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))), [[[1, 2, 3]]])


def test_grey_and_black_and_white_become_three_equal_channels():
    for mode, value in (("L", 77), ("1", 1)):
        pixels = load(encoded(Image.new(mode, (3, 2), value)))
        assert pixels.shape == (2, 3, 3) and (pixels == (77 if mode == "L" else 255)).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(kind):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = load(encoded(Image.fromarray(ramp), kind))
    np.testing.assert_array_equal(pixels[..., 0], np.arange(256).reshape(16, 16))


def test_float_tiff_in_0_to_1_is_scaled():
    pixels = load(encoded(Image.fromarray(np.array([[0.0, 0.2, 1.0]], np.float32)), "TIFF"))
    np.testing.assert_array_equal(pixels[..., 1], [[0, 51, 255]])


def test_transparency_is_laid_over_white():
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 4, 8))
    pixels = load(encoded(picture))
    assert (pixels[:, :4] == (0, 0, 255)).all() and (pixels[:, 4:] == 255).all()


def test_a_palette_with_a_transparent_colour_is_laid_over_white():
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30, 200, 0, 0])
    picture.paste(1, (0, 0, 4, 8))
    pixels = load(encoded(picture, transparency=0))
    assert (pixels[:, :4] == (200, 0, 0)).all() and (pixels[:, 4:] == 255).all()


def test_cmyk_keeps_its_colours(quarters):
    cmyk = Image.fromarray(np.kron(quarters, np.ones((4, 4, 1), np.uint8))).convert("CMYK")
    for data in (encoded(cmyk, "JPEG", quality=95), encoded(cmyk, "TIFF")):
        pixels = load(data).astype(int)
        for (row, column), colour in {(40, 60): (255, 0, 0), (40, 180): (0, 255, 0), (120, 60): (0, 0, 255)}.items():
            assert np.abs(pixels[row, column] - colour).max() < 12
        assert pixels[120, 180].min() > 243


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (load(data) == (255, 0, 0)).all(), kind


LYING = {  # how an upright picture is stored under each value of EXIF's orientation but 1
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_photograph_is_turned_upright(orientation, kind, quarters):
    upright = Image.fromarray(quarters)
    operation = LYING.get(orientation)
    stored = upright if operation is None else upright.transpose(operation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = load(encoded(stored, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {})))
    assert pixels.shape == quarters.shape
    for row, column in [(8, 8), (8, 50), (30, 8), (30, 50)]:
        assert np.abs(pixels[row, column].astype(int) - quarters[row, column]).max() < 40


def test_broken_exif_data_do_not_spoil_the_picture(quarters):
    warnings.simplefilter("ignore")  # Pillow mentions them
    data = encoded(Image.fromarray(quarters), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff junk")
    assert load(data).shape == quarters.shape


# Large pictures -------------------------------------------------------------------------------------------------


def test_a_large_picture_is_scaled_down_to_the_working_size():
    wide = np.zeros((300, 4096, 3), np.uint8)
    wide[:, 2048:] = 200
    for source in (wide, encoded(Image.fromarray(wide)), encoded(Image.fromarray(wide), "JPEG")):
        pixels = load(source)
        assert pixels.shape == (150, 2048, 3)
        assert pixels[75, 1000].max() < 3 and np.abs(pixels[75, 1048].astype(int) - 200).max() < 3


def test_a_jpeg_of_200_megapixels_is_shown_at_reduced_size():
    picture = Image.new("L", (16384, 12288), 30)
    picture.paste(220, (8192, 0, 16384, 12288))
    data = encoded(picture, "JPEG")
    del picture
    pixels = load(data)
    assert pixels.shape == (1536, 2048, 3)
    assert abs(int(pixels[700, 500, 0]) - 30) < 3 and abs(int(pixels[700, 1500, 0]) - 220) < 3


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims another size than it has."""
    data = encoded(Image.new("L", (4, 4)))
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


def test_a_png_of_200_megapixels_is_refused_before_it_is_decoded():
    data = claiming(20000, 10000)
    tracemalloc.start()
    message = refused(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "200 megapixels (20000 × 10000)" in message and "at most 40" in message
    assert peak < 20e6


def test_a_progressive_jpeg_that_cannot_be_decoded_small_is_refused():
    data = encoded(Image.new("L", (6400, 6400)), "JPEG", progressive=True)
    assert "41 megapixels" in refused(data)


def test_a_header_that_claims_a_huge_picture_is_refused():
    data = bytearray(encoded(Image.new("L", (4, 4)), "BMP"))
    data[18:26] = (30000).to_bytes(4, "little") * 2
    assert "900 megapixels" in refused(bytes(data))


def test_a_strip_a_thousand_times_longer_than_high_keeps_a_pixel():
    assert load(encoded(Image.new("RGB", (20000, 3)))).shape == (1, 2048, 3)


# Pictures and tensors -------------------------------------------------------------------------------------------


def test_tensor_and_back_is_the_same_picture(quarters):
    tensor = to_tensor(quarters)
    assert tensor.shape == (1, 3, 40, 60) and tensor.dtype == torch.float32 and tensor.is_contiguous()
    assert tensor[0, :, 0, 0].tolist() == [1, 0, 0] and tensor[0, :, 30, 5].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(to_image(tensor), quarters)
    every_level = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(to_image(to_tensor(every_level)), every_level)


def test_to_image_clips_and_takes_one_channel_and_gradients():
    tensor = torch.tensor([[-1.0, 0.5, 2.0]]).reshape(1, 1, 1, 3).requires_grad_()
    np.testing.assert_array_equal(to_image(tensor)[0], [[0] * 3, [128] * 3, [255] * 3])
    with pytest.raises(ImageError, match=r"\(2, 3, 4, 4\)"):
        to_image(torch.zeros(2, 3, 4, 4))


def test_resize_keeps_the_mean_and_the_orientation(quarters):
    small = resize(quarters, (10, 20))
    assert small.shape == (10, 20, 3)
    assert (small[1, 1] == (255, 0, 0)).all() and (small[8, 1] == (0, 0, 255)).all()
    checker = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(resize(load(checker), (16, 16)).astype(int) - 127).max() < 12  # smoothed, not sampled


def test_centre_crop_takes_the_middle():
    numbers = np.arange(6 * 5, dtype=np.uint8).reshape(6, 5)
    np.testing.assert_array_equal(centre_crop(load(numbers), (2, 3))[..., 0], numbers[2:4, 1:4])
    with pytest.raises(WrongSetting, match="7 × 3 pixels does not fit into a picture of 6 × 5"):
        centre_crop(load(numbers), (7, 3))
    with pytest.raises(WrongSetting, match="at least 1"):
        resize(load(numbers), (0, 3))


def test_fit_cuts_before_it_resizes(quarters):
    square = fit(quarters, (20, 20))
    assert (square[2, 2] == (255, 0, 0)).all() and (square[2, 17] == (0, 255, 0)).all()
    marked = quarters.copy()
    marked[:, :9] = marked[:, 51:] = 0  # what the square of 40 columns leaves out
    np.testing.assert_array_equal(fit(marked, (40, 40)), quarters[:, 10:50])
    assert load("cat", size=(50, 80)).shape == (50, 80, 3)


def test_greyscale_weighs_green_most():
    primary = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    grey = greyscale(primary)
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, [[0.299, 0.587, 0.114, 1.0]], rtol=1e-6)


def test_no_part_of_the_repository_is_needed_to_read_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load("cat").shape == (320, 400, 3)
    assert not list(Path().iterdir())


# What others' cameras, microscopes and libraries make ------------------------------------------------------------


def test_a_file_object_is_read_from_its_beginning_and_to_its_end(quarters):
    stream = io.BytesIO()
    Image.fromarray(quarters).save(stream, "PNG")  # now it stands at its end
    assert np.array_equal(load(stream), quarters)

    class Pipe:
        def __init__(self):
            self.bytes = io.BytesIO(stream.getvalue())

        def read(self, count=-1):
            return self.bytes.read(min(count, 50))

    assert np.array_equal(load(Pipe()), quarters)


def test_whatever_a_file_object_raises_becomes_one_sentence():
    class Broken:
        def read(self, _count):
            raise EOFError("ended before its marker")

    with pytest.raises(ImageError, match="cannot be read: ended before its marker"):
        load(Broken())
    with pytest.raises(ImageError, match='mode "rb"'):
        load(io.TextIOWrapper(io.BytesIO(b"\x89PNG")))


def test_a_path_begins_at_home_and_no_address_or_endless_name_is_taken_for_one(monkeypatch, tmp_path, quarters):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.fromarray(quarters).save(tmp_path / "mine.png")
    assert np.array_equal(load("~/mine.png"), quarters)
    with pytest.raises(ImageError, match="not fetched from the web"):
        load("https://example.org/cat.jpg")
    with pytest.raises(ImageError) as refused:
        load("a" * 5000)
    assert len(str(refused.value)) < 200


def sixteen_bit_tiff(values: np.ndarray, order: str, photometric: int) -> bytes:
    """A TIFF of 16-bit grey written by hand; `order` is "<" or ">"."""
    height, width = values.shape
    entries = [(256, width), (257, height), (258, 16), (259, 1), (262, photometric), (277, 1), (278, height)]
    entries = sorted([*entries, (273, 8), (279, values.size * 2)])
    data = values.astype(f"{order}u2").tobytes()
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data))
    tags = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries)
    return head + data + struct.pack(f"{order}H", len(entries)) + tags + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_keep_their_scale_in_either_order_of_bytes(order):
    dark = np.full((4, 6), 200)  # of 65,535: almost black
    assert load(sixteen_bit_tiff(dark, order, 1)).max() == 1
    assert load(dark.astype(f"{order}u2")).max() == 1


def test_a_tiff_in_which_zero_is_white_is_not_shown_as_its_negative():
    assert load(sixteen_bit_tiff(np.full((4, 6), 0), "<", 0)).min() == 255


def test_pixels_of_an_unusual_kind_are_not_called_damaged():
    with pytest.raises(ImageError, match="8 bits for each colour"):
        load(sixteen_bit_tiff(np.zeros((4, 6)), ">", 0))


@pytest.mark.parametrize("value", [-3.0, 1e38])
def test_one_deep_grey_everywhere_is_shown_and_infinity_is_the_brightest(value):
    assert np.unique(load(Image.fromarray(np.full((4, 4), value, np.float32)))).size == 1
    half = np.array([[0.0, 1.0, np.inf, -np.inf, np.nan]], np.float32)
    assert load(Image.fromarray(half))[0, :, 0].tolist() == [0, 255, 255, 0, 0]


def test_a_damaged_tiff_prints_no_warning(quarters):
    data = bytearray(encoded(Image.fromarray(quarters), "TIFF"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for end in range(20, 160, 3):
            with contextlib.suppress(ImageError):
                load(bytes(data[:end]))
    assert not caught


def test_an_array_too_large_to_be_turned_into_a_picture_is_refused_before_it_is_copied():
    with pytest.raises(ImageError, match="3600 megapixels"):
        load(np.broadcast_to(np.uint8(7), (60_000, 60_000)))


def test_floats_that_overstep_their_range_by_a_rounding_error_are_a_picture():
    pixels = load(np.array([[1.0000001, -1e-9, 0.5]]))
    assert pixels[0, :, 0].tolist() == [255, 0, 128]
    with pytest.raises(ImageError, match="run from 0 to 1"):
        load(np.array([[1.01, 0.0]]))


def test_a_video_is_not_called_a_heic_picture():
    with pytest.raises(ImageError, match="not a picture"):
        load(b"\0\0\0\x18ftypisom" + bytes(40))


def test_a_tensor_of_bytes_is_taken_in_bytes():
    pixels = torch.tensor([0, 100, 255], dtype=torch.uint8).view(3, 1, 1)
    assert to_image(pixels).tolist() == [[[0, 100, 255]]]


@pytest.mark.parametrize("size", [5, (5,), (5, 5, 3), ("a", "b")])
def test_a_size_that_is_no_pair_is_refused(size):
    with pytest.raises(WrongSetting, match="height, width"):
        load("cat", size=size)
