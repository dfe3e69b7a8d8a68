"""Colours and depths that a file describes beside its numbers, and which format a file is of."""

import io
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from cnnviz_widgets.errors import ImageError
from cnnviz_widgets.images import PICTURES, catalogue, load
from tests.uploads import DISPLAY_P3, LINEAR_CURVE, SRGB, SRGB_CURVE, encoded, half_and_half, profile, tiff

GREEN = (60, 200, 60)
EXACT = {"JPEG": {"quality": 100}, "AVIF": {"quality": 100}, "WEBP": {"lossless": True}}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_display_p3_is_brought_to_srgb(kind):
    data = encoded(
        Image.new("RGB", (8, 8), GREEN), kind, icc_profile=profile(SRGB_CURVE, DISPLAY_P3), **EXACT.get(kind, {})
    )
    expected = (0, 203, 11)  # by the matrices of both spaces; red would be below zero
    assert np.abs(load(data).astype(int) - expected).max() <= 8
    with Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(load(opened), load(data))


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "P"])
@pytest.mark.parametrize("primaries", [None, SRGB])
def test_linear_light_is_brightened_whatever_the_pixels_are(mode, primaries):
    grey = Image.new("RGB", (8, 8), (55, 55, 55))
    grey = grey.quantize(2) if mode == "P" else grey.convert(mode)
    pixels = load(encoded(grey, icc_profile=profile(LINEAR_CURVE, primaries)))
    assert np.abs(pixels.astype(int) - 128).max() <= 1


def test_linear_light_of_sixteen_bits_is_brightened():
    deep = Image.fromarray(np.full((8, 8), 55 * 257, np.uint16))
    assert np.abs(load(encoded(deep, icc_profile=profile(LINEAR_CURVE))).astype(int) - 128).max() <= 1


@pytest.mark.parametrize("broken", [b"broken", profile(SRGB_CURVE, DISPLAY_P3)[:200], profile(LINEAR_CURVE)[:128]])
def test_a_broken_profile_is_passed_over(broken):
    assert (load(encoded(Image.new("RGB", (8, 8), GREEN), icc_profile=broken)) == GREEN).all()


def test_a_profile_of_other_colours_than_the_pixels_is_passed_over():
    cmyk = Image.new("CMYK", (8, 8), (60, 200, 60, 0))
    data = encoded(cmyk, "JPEG", quality=100, icc_profile=profile(SRGB_CURVE, DISPLAY_P3))
    assert np.abs(load(data).astype(int) - (195, 55, 195)).max() < 4


def test_a_profile_of_srgb_changes_nothing():
    every = Image.fromarray(np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3))
    data = encoded(every, icc_profile=profile(SRGB_CURVE, SRGB))
    assert np.abs(load(data).astype(int) - np.asarray(every)).max() <= 1


def test_the_course_s_pictures_are_shown_as_they_are_stored():
    for name in sorted(set(PICTURES) - {"cat", "cat_and_coffee"}):
        with Image.open(catalogue.course_file(name)) as stored:
            np.testing.assert_array_equal(load(name), np.asarray(stored.convert("RGB")))


# Depth --------------------------------------------------------------------------------------------------------------


TWELVE_BITS = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)


def sixteen_bit_tiff(packed: bool, **said: int) -> bytes:
    """A TIFF of 16 bits whose numbers need only twelve; `said` are further tags, as in `tag_281=4095`."""
    data = TWELVE_BITS.astype("<u2").tobytes()
    data = zlib.compress(data) if packed else data
    entries = {256: 8, 257: 8, 258: 16, 259: 8 if packed else 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: len(data)}
    entries |= {int(name.removeprefix("tag_")): value for name, value in said.items()}
    return tiff({tag: (1, value) for tag, value in entries.items()}, data)


@pytest.mark.parametrize("tag", ["tag_281", "tag_341"])  # MaxSampleValue, SMaxSampleValue
@pytest.mark.parametrize("packed", [False, True])
def test_twelve_bits_in_sixteen_are_bright_where_the_file_says_so(tag, packed):
    pixels = load(sixteen_bit_tiff(packed, **{tag: 4095}))
    np.testing.assert_allclose(pixels[..., 0], np.linspace(0, 255, 64).reshape(8, 8), atol=1)
    assert load(sixteen_bit_tiff(packed)).max() == 16  # it says nothing: of 65,535


def test_white_is_zero_also_where_the_brightest_value_is_said():
    dark = load(sixteen_bit_tiff(False, tag_281=4095, tag_262=0))
    np.testing.assert_array_equal(dark, 255 - load(sixteen_bit_tiff(False, tag_281=4095)))


def test_a_brightest_value_that_is_exceeded_is_not_believed():
    assert load(sixteen_bit_tiff(False, tag_281=1000)).max() == 16


def test_a_deep_picture_is_scaled_by_one_range_from_top_to_bottom():
    """It is larger than what is converted at a time."""
    ramp = np.linspace(0, 1e6, 2000 * 2000, dtype=np.float32).reshape(2000, 2000)
    pixels = load(Image.fromarray(ramp - 10))
    np.testing.assert_allclose(pixels[:, 0, 0], np.linspace(0, 255, 2000), atol=1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P", "L", "LA"])
def test_a_large_picture_is_scaled_down_as_pillow_does_it(mode):
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (30, 50, 3), np.uint8))
    large = small.resize((4000, 2400), Image.Resampling.BICUBIC).convert(mode)
    pixels = load(encoded(large, "TIFF" if mode == "CMYK" else "PNG", compress_level=1))
    expected = large.convert("RGB").resize((2048, 1229), Image.Resampling.BICUBIC)
    assert pixels.shape == (1229, 2048, 3)
    assert np.abs(pixels.astype(int) - np.asarray(expected)).max() <= (2 if mode == "CMYK" else 0)


# Formats ------------------------------------------------------------------------------------------------------------


def media_file(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + bytes(60)


@pytest.mark.parametrize(
    "brands", [[b"mif1", b"heic"], [b"msf1", b"hevc"], [b"mif1"], [b"heix", b"mif1"], [b"isom", b"heic"]]
)
def test_heic_is_known_by_any_of_its_brands(brands):
    with pytest.raises(ImageError, match="HEIC pictures cannot be read here; save the photograph as JPEG"):
        load(media_file(*brands))


def test_avif_under_the_brand_of_its_container_is_avif():
    data = encoded(half_and_half(), "AVIF", quality=95)
    assert data[8:12] == b"avif"
    renamed = data[:8] + b"mif1" + data[12:16] + b"avif" + data[20:]
    np.testing.assert_array_equal(load(renamed), load(data))


def test_a_photograph_of_several_pictures_gives_its_first():
    data = encoded(half_and_half(), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")])
    np.testing.assert_array_equal(load(data), load(encoded(half_and_half(), "JPEG")))


# What is the reader's stays as it was ---------------------------------------------------------------------------------


def test_a_picture_that_the_reader_has_opened_is_not_changed():
    data = encoded(Image.new("RGB", (9000, 6000), GREEN), "JPEG")
    with Image.open(io.BytesIO(data)) as opened:
        place = opened.fp.tell()
        assert load(opened).shape == (1365, 2048, 3)  # 54 megapixels: decoded at a reduced size
        assert opened.size == (9000, 6000) and opened.fp.tell() == place
        opened.draft("RGB", (100, 100))
        opened.load()
        assert opened.size == (1125, 750)


def test_reading_on_many_threads_leaves_warnings_and_pillow_s_limits_alone():
    damaged = encoded(half_and_half(), "TIFF")[:150]
    before, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    failures = []

    def read():
        for _time in range(30):
            try:
                load(damaged)
            except ImageError:
                continue
            except Warning as warning:
                failures.append(warning)

    threads = [threading.Thread(target=read) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before and limit == Image.MAX_IMAGE_PIXELS
    assert not failures
