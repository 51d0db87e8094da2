"""The cache of decoded pixels: right, read-only, rebuilt when damaged, small in memory."""

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.data import images, pixels
from benchmark.data.dataset import Dataset
from benchmark.errors import DataError, UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DERMBENCH_CACHE", str(folder))
    return folder


def _dataset(folder: Path, count: int = 5, side: int = 40) -> Dataset:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    paths = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (side, side + 10, 3)).astype(np.uint8)).save(path)
        paths.append(str(path))
    ids = [f"s{number}" for number in range(count)]
    table = pd.DataFrame(
        {"path": paths, "label": 0, "group": ids, "split": ""}, index=pd.Index(ids, name="id")
    )
    return Dataset("test", folder, table, ("a", "b"))


def _forbid_decoding(monkeypatch):
    def fail(path):
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr(images, "read_image", fail)


def test_rows_are_the_resized_images_in_table_order(tmp_path):
    dataset = _dataset(tmp_path / "d")
    cached = pixels.open_pixels(dataset, (16, 24))
    assert cached.shape == (5, 16, 24, 3)
    assert cached.dtype == np.uint8
    for row, sample_id in enumerate(dataset.table.index):
        np.testing.assert_array_equal(
            cached[row], pixels.resize(dataset.image(sample_id), (16, 24))
        )


def test_an_image_of_the_wanted_size_keeps_its_pixels(tmp_path):
    dataset = _dataset(tmp_path / "d")
    cached = pixels.open_pixels(dataset, (40, 50))
    np.testing.assert_array_equal(cached[2], dataset.image("s2"))


def test_shrinking_averages_over_areas():
    checkered = np.indices((16, 16)).sum(axis=0) % 2 * 200
    checkered[:, ::4] = 0  # an interpolation of neighbours would not see these columns
    image = np.repeat(checkered[:, :, None], 3, axis=2).astype(np.uint8)
    assert (pixels.resize(image, (4, 4)) == 75).all()


def test_enlarging_interpolates():
    image = np.repeat(np.array([[0, 100], [0, 100]], np.uint8)[:, :, None], 3, axis=2)
    assert pixels.resize(image, (4, 4))[0, :, 0].tolist() == [0, 25, 75, 100]


def test_pixels_cannot_be_written(tmp_path):
    cached = pixels.open_pixels(_dataset(tmp_path / "d"), 8)
    assert isinstance(cached, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cached[0] = 0


def test_second_call_decodes_nothing(tmp_path, monkeypatch):
    dataset = _dataset(tmp_path / "d")
    first = np.array(pixels.open_pixels(dataset, 8))
    _forbid_decoding(monkeypatch)
    np.testing.assert_array_equal(pixels.open_pixels(dataset, 8), first)


def test_another_order_of_the_same_images_is_another_file(tmp_path):
    dataset = _dataset(tmp_path / "d")
    turned = Dataset("test", dataset.root, dataset.table.iloc[::-1], dataset.classes)
    np.testing.assert_array_equal(
        pixels.open_pixels(turned, 8), pixels.open_pixels(dataset, 8)[::-1]
    )


def test_changed_image_is_decoded_anew(tmp_path):
    dataset = _dataset(tmp_path / "d")
    pixels.open_pixels(dataset, 8)
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "d" / "1.png")
    assert (pixels.open_pixels(dataset, 8)[1] == 9).all()


def _cut(data: bytearray) -> None:
    del data[-10:]


def _flip(data: bytearray) -> None:
    data[100] ^= 0xFF


@pytest.mark.parametrize("damage", [_cut, _flip, bytearray.clear])
def test_damaged_cache_is_made_again(tmp_path, cache, damage):
    dataset = _dataset(tmp_path / "d")
    sound = np.array(pixels.open_pixels(dataset, 8))
    (file,) = (cache / "pixels").iterdir()
    data = bytearray(file.read_bytes())
    damage(data)
    file.write_bytes(data)
    np.testing.assert_array_equal(pixels.open_pixels(dataset, 8), sound)


def test_broken_image_is_named_and_leaves_no_cache(tmp_path, cache):
    dataset = _dataset(tmp_path / "d")
    (tmp_path / "d" / "3.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3\.png is empty"):
        pixels.open_pixels(dataset, 8)
    assert not list((cache / "pixels").iterdir())


def test_absent_photographs_are_counted_and_told_where_to_go(tmp_path):
    dataset = _dataset(tmp_path / "d")
    dataset.table.loc[["s1", "s4"], "path"] = ""
    with pytest.raises(DataError, match=r"photograph s1 .*\(2 of 5 are missing\).*images"):
        pixels.open_pixels(dataset, 8)


@pytest.mark.parametrize("size", [0, (8, -1), (8, 8, 8)])
def test_impossible_size_is_refused(tmp_path, size):
    with pytest.raises(UserError, match="not positive"):
        pixels.open_pixels(_dataset(tmp_path / "d"), size)


def test_progress_sees_every_image(tmp_path):
    seen = []

    def watch(items, description, total):
        for item in items:
            seen.append((description, total))
            yield item

    pixels.open_pixels(_dataset(tmp_path / "d"), 8, watch)
    assert seen == [("decoding images", 5)] * 5


def test_full_disk_is_one_line_with_a_remedy(tmp_path, cache):
    dataset = _dataset(tmp_path / "d")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))  # a disk that ends here
    try:
        with pytest.raises(UserError, match=r"cannot write .*free some space.*DERMBENCH_CACHE"):
            pixels.open_pixels(dataset, 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((cache / "pixels").iterdir())


def test_memory_does_not_grow_with_the_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "WINDOW", 8)
    side, peaks = 100, []
    for count in (20, 120):
        dataset = _dataset(tmp_path / str(count), count, side=4)
        tracemalloc.start()
        pixels.open_pixels(dataset, side)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 20 * side * side * 3
