"""One file at a time: every kind of image that users have, and every kind of broken one."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from benchmark.data import images
from benchmark.errors import DataError

# A picture without symmetry, whose four corners differ.
ROWS, COLUMNS = np.mgrid[0:20, 0:30]
COLOUR = np.stack([ROWS * 12, COLUMNS * 8, 255 - ROWS * 5], axis=2).astype(np.uint8)
GREY = (ROWS * 12).astype(np.uint8)


def _save(image, path, **options):
    image.save(path, **options)
    return str(path)


def test_rgb_png_is_read_exactly(tmp_path):
    path = _save(Image.fromarray(COLOUR), tmp_path / "a.png")
    read = images.read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, COLOUR)


def test_channels_are_red_green_blue(tmp_path):
    path = _save(Image.new("RGB", (8, 8), (250, 10, 20)), tmp_path / "red.jpg", quality=95)
    red, green, blue = images.read_image(path).reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert green < 30
    assert blue < 40


def test_greyscale_is_repeated_over_the_channels(tmp_path):
    path = _save(Image.fromarray(GREY), tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_image(path), np.stack([GREY] * 3, axis=2))


def test_palette_gives_the_colours_not_the_indices(tmp_path):
    palette = Image.fromarray(COLOUR).quantize(16)
    path = _save(palette, tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_image(path), np.array(palette.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.new(mode, (4, 4), 0)
    image.putalpha(0)
    path = _save(image, tmp_path / "a.png")
    assert (images.read_image(path) == 255).all()


def test_transparent_palette_colour_is_laid_over_white(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    path = _save(image, tmp_path / "a.png", transparency=1)
    assert (images.read_image(path) == 255).all()


def test_opaque_alpha_changes_nothing(tmp_path):
    image = Image.fromarray(COLOUR)
    image.putalpha(255)
    np.testing.assert_array_equal(images.read_image(_save(image, tmp_path / "a.png")), COLOUR)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_values_keep_their_high_byte(tmp_path, suffix):
    values = ROWS.astype(np.uint16) * 3000 + 77
    path = _save(Image.fromarray(values), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(images.read_image(path)[..., 0], values >> 8)


def test_cmyk_jpeg_shows_the_colours_it_was_made_from(tmp_path):
    smooth = np.stack([COLUMNS * 8, 255 - COLUMNS * 8, ROWS * 10], axis=2).astype(np.uint8)
    cmyk = Image.fromarray(smooth).convert("CMYK")
    path = _save(cmyk, tmp_path / "a.jpg", quality=98)
    error = np.abs(images.read_image(path).astype(int) - np.array(cmyk.convert("RGB")).astype(int))
    assert error.mean() < 6


def test_content_counts_and_not_the_suffix(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(COLOUR).save(path, format="PNG")
    np.testing.assert_array_equal(images.read_image(str(path)), COLOUR)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored rows are the picture's columns
    path = _save(Image.fromarray(COLOUR), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images.read_image(path), np.rot90(COLOUR, -1))
    assert images.image_size(path) == (30, 20)


def test_damaged_exif_does_not_lose_the_photograph(tmp_path):
    path = _save(Image.fromarray(COLOUR), tmp_path / "a.jpg", exif=b"Exif\x00\x00garbage")
    assert images.read_image(path).shape == (20, 30, 3)


def test_an_image_of_too_many_pixels_is_refused_by_its_header_too(tmp_path, monkeypatch):
    path = _save(Image.fromarray(COLOUR), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for read in (images.read_image, images.image_size):
        with pytest.raises(DataError, match=r"a\.png cannot be read .*exceeds limit"):
            read(path)


def test_size_from_the_header_is_the_size_of_the_pixels(tmp_path):
    path = _save(Image.fromarray(COLOUR), tmp_path / "a.jpg")
    assert images.image_size(path) == images.read_image(path).shape[:2]


@pytest.mark.parametrize(("format_", "kept"), [("JPEG", 0.6), ("PNG", 0.6), ("JPEG", 0.97)])
def test_truncated_image_is_refused_by_name(tmp_path, format_, kept):
    path = tmp_path / f"cut.{format_.lower()}"
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path, format=format_)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"cut\.\w+ cannot be read \(.*trunc"):
        images.read_image(str(path))


def test_zero_byte_image_is_refused_by_name(tmp_path):
    path = tmp_path / "void.jpg"
    path.touch()
    with pytest.raises(DataError, match=r"void\.jpg is empty \(0 bytes\)"):
        images.read_image(str(path))


def test_text_named_like_an_image_is_refused(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"page\.jpg is not an image"):
        images.read_image(str(path))


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        images.read_image(str(tmp_path / "none.jpg"))
    with pytest.raises(DataError, match="cannot be read"):
        images.read_image(str(tmp_path))


@pytest.mark.parametrize("values", [np.ones((3, 3), np.float32), np.full((3, 3), 70000, np.int32)])
def test_pixels_without_a_defined_white_are_refused(tmp_path, values):
    path = _save(Image.fromarray(values), tmp_path / "deep.tif")
    with pytest.raises(DataError, match=r"deep\.tif holds (floating point|32-bit) pixels"):
        images.read_image(path)
    with pytest.raises(DataError, match=r"deep\.tif holds"):
        images.read_mask(path)


def test_postscript_is_never_handed_to_its_interpreter(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(DataError, match="is not an image"):
        images.read_image(str(path))


@pytest.mark.parametrize("high", [255, 200, 1])
def test_mask_is_what_is_brighter_than_half_or_one(tmp_path, high):
    marked = ROWS > 10
    path = _save(Image.fromarray((marked * high).astype(np.uint8)), tmp_path / "m.png")
    read = images.read_mask(path)
    assert read.dtype == bool
    np.testing.assert_array_equal(read, marked)


def test_mask_threshold_lies_between_127_and_128(tmp_path):
    values = np.array([[0, 127, 128, 255]], np.uint8)
    path = _save(Image.fromarray(values), tmp_path / "m.png")
    assert images.read_mask(path).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("mode", ["1", "RGB", "P", "I;16"])
def test_mask_of_any_pixel_type_marks_the_same(tmp_path, mode):
    marked = ROWS > 10
    if mode == "I;16":
        image = Image.fromarray(marked.astype(np.uint16) * 65535)
    else:
        image = Image.fromarray((marked * 255).astype(np.uint8)).convert(mode)
    np.testing.assert_array_equal(images.read_mask(_save(image, tmp_path / "m.png")), marked)


@pytest.mark.parametrize("red", [76, 255])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_mask_in_one_red_as_idrid_has_them_marks_what_is_red(tmp_path, mode, red):
    marked = ROWS > 10
    if mode == "L":
        image = Image.fromarray((marked * np.uint8(red)).astype(np.uint8))
    elif mode == "P":
        image = Image.fromarray(marked.astype(np.uint8), mode="P")
        image.putpalette([0, 0, 0, red, 0, 0])
    else:
        pixels = np.zeros((*marked.shape, 3), np.uint8)
        pixels[marked, 0] = red
        image = Image.fromarray(pixels).convert(mode)
    path = _save(image, tmp_path / "IDRiD_01_MA.tif", compression="tiff_lzw")
    assert Image.open(path).mode == mode
    np.testing.assert_array_equal(images.read_mask(path), marked)


def test_mask_of_several_faint_values_marks_nothing(tmp_path):
    path = _save(Image.fromarray(np.array([[0, 50, 76]], np.uint8)), tmp_path / "m.png")
    assert not images.read_mask(path).any()


def test_every_saturated_colour_marks(tmp_path):
    colours = np.array([[[0, 0, 0], [255, 0, 0], [0, 0, 255], [255, 255, 0]]], np.uint8)
    path = _save(Image.fromarray(colours), tmp_path / "m.png")
    assert images.read_mask(path).tolist() == [[False, True, True, True]]


def test_empty_mask_marks_nothing(tmp_path):
    path = _save(Image.new("L", (5, 4), 0), tmp_path / "m.png")
    assert images.read_mask(path).sum() == 0


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.npz"
    grey = np.stack([GREY, GREY // 2])
    np.savez_compressed(path, grey=grey, colour=COLOUR[None], names=np.array([{}, None]))
    return path


def test_npz_row_is_read_as_rgb(archive):
    np.testing.assert_array_equal(images.read_image(f"{archive}#colour/0"), COLOUR)
    np.testing.assert_array_equal(
        images.read_image(f"{archive}#grey/1"), np.stack([GREY // 2] * 3, axis=2)
    )
    assert images.image_size(f"{archive}#grey/0") == (20, 30)


def test_npz_array_is_mapped_and_read_only(archive):
    array = images.read_array(archive, "grey")
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable


def test_npz_with_pickled_objects_is_refused(archive):
    with pytest.raises(DataError, match="'names' cannot be mapped"):
        images.read_array(archive, "names")


def test_npz_without_the_array_names_those_it_has(archive):
    with pytest.raises(DataError, match="no array 'other'; it has grey, colour, names"):
        images.read_array(archive, "other")


def test_npz_row_beyond_the_array_is_refused(archive):
    with pytest.raises(DataError, match="the array has 2 rows"):
        images.read_image(f"{archive}#grey/2")


def test_broken_npz_is_refused(tmp_path):
    path = tmp_path / "b.npz"
    path.write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(DataError, match=r"b\.npz is not a sound npz archive"):
        images.read_array(path, "x")
    with pytest.raises(DataError, match=r"b\.npz is not an npz archive"):
        images.array_names(path)


def test_changed_npz_is_read_anew(archive):
    first = images.read_image(f"{archive}#grey/0")
    np.savez_compressed(archive, grey=np.stack([255 - GREY]))
    os.utime(archive, ns=(1, 1))
    assert (images.read_image(f"{archive}#grey/0") == 255 - first).all()


def test_content_hash_is_the_sha256_of_the_bytes(tmp_path, archive):
    path = tmp_path / "x.bin"
    path.write_bytes(b"skin")
    assert images.content_hash(str(path)) == hashlib.sha256(b"skin").hexdigest()
    row = hashlib.sha256((GREY // 2).tobytes()).hexdigest()
    assert images.content_hash(f"{archive}#grey/1") == row
    assert images.content_hash("") == images.ABSENT


def test_content_hash_notices_a_change(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"aaaa")
    before = images.content_hash(str(path))
    path.write_bytes(b"bbbb")
    os.utime(path, ns=(5, 5))
    assert images.content_hash(str(path)) != before


def test_content_hash_is_remembered_across_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "x.bin"
    path.write_bytes(b"aaaa")
    os.utime(path, ns=(7, 7))
    before = images.content_hash(str(path))
    # Other bytes under the same size and time of change: only a remembered hash is the old one.
    path.write_bytes(b"bbbb")
    os.utime(path, ns=(7, 7))
    monkeypatch.setattr(images, "_HASHES", images._HashFile())
    assert images.content_hash(str(path)) == before


def test_a_damaged_hash_file_costs_only_time(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hashes-v1.txt").write_bytes(b"\xff\x00 nonsense\nabc")
    path = tmp_path / "x.bin"
    path.write_bytes(b"skin")
    assert images.content_hash(str(path)) == hashlib.sha256(b"skin").hexdigest()


def test_content_hash_works_where_the_cache_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("DERMBENCH_CACHE", str(blocked / "cache"))
    path = tmp_path / "x.bin"
    path.write_bytes(b"skin")
    assert images.content_hash(str(path)) == hashlib.sha256(b"skin").hexdigest()


def test_unreadable_file_has_no_hash(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        images.content_hash(str(tmp_path / "none.jpg"))
