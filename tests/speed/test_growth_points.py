"""What the points are measured on is what it is said to be; every work can be done."""

import mmap
import time

import numpy as np
import pytest

import benchmark.data
from benchmark.data import copies
from benchmark.records.environment import MemoryWatch
from benchmark.records.store import Store
from benchmark.speed import growth_made as made
from benchmark.speed import growth_points
from benchmark.speed.growth import CURVES, named
from benchmark.speed.sides.made import pixels


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))


def test_made_images_are_no_copies_of_each_other():
    thumbnails = copies.thumbnails(pixels(300, 28, 28), range(300))
    found = copies.find(thumbnails, thumbnails)
    assert (found["first"] == found["second"]).all()


def test_a_made_folder_is_read_as_a_data_set(tmp_path):
    made.folder(tmp_path / "data", 12)
    dataset = benchmark.data.load("folder", tmp_path / "data")
    assert len(dataset.table) == 12
    assert len(dataset.classes) == made.CLASSES
    assert dataset.table["group"].nunique() == 6


def test_made_records_are_read_and_no_two_are_of_one_run(tmp_path):
    written = made.records(tmp_path, 3)
    stored = Store(tmp_path).all()
    assert not stored.problems
    assert len({record.config["seed"] for record in stored.records}) == 3
    assert written == sum(path.stat().st_size for path in Store(tmp_path).folder.iterdir())


def test_scores_of_every_score_have_an_interval(tmp_path):
    work, _ = growth_points.scores_of_images(60, tmp_path)
    intervals = work()
    assert len(intervals) == 7
    assert all(low < high for low, high in intervals)


def test_copies_are_looked_for_among_all_images(tmp_path):
    work, facts = growth_points.search_for_copies(20, tmp_path)
    assert facts == {"pixel_bytes": 20 * 28 * 28 * 3}
    assert len(work()) == 20  # each is a copy of itself


def test_a_board_of_made_records_is_built(tmp_path):
    work, facts = growth_points.leaderboard(4, tmp_path)
    assert not work().problems
    assert facts["bytes_per_record"] > 1000


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_every_curve_names_a_function_that_prepares_its_points(curve):
    module, _, function = curve.point.partition(":")
    assert module == growth_points.__name__
    assert callable(getattr(growth_points, function))


def test_memory_of_its_own_is_watched_and_mapped_pages_are_not(tmp_path):
    size = 100_000_000
    (tmp_path / "pixels").write_bytes(bytes(size))
    with MemoryWatch() as memory:
        before = memory.peak
        mapped = np.memmap(tmp_path / "pixels", np.uint8, mode="r")
        assert mapped.sum() == 0
        time.sleep(0.2)
        assert memory.peak < before + size / 2
        # Of the system, for what this process has freed before is still its own.
        with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
            held.write(b"1" * size)
            time.sleep(0.2)
        assert memory.peak > before + size / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run-images", "train-side", "predict-side"])
def test_what_a_network_does_can_be_measured(tmp_path, name):
    from benchmark.data.pixels import silent
    from benchmark.speed.growth import measure

    size = {"run-images": 40}.get(name, 72)
    (point,) = measure(named(name), tmp_path, silent, sizes=[size])
    assert point.seconds > 0
    assert point.anonymous_bytes > 100e6
