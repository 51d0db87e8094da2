"""A run's folder: its checkpoints when a run begins again, and what is read back as it was."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.config import configure
from benchmark.records.folder import RunFolder

sys.path.insert(0, str(Path(__file__).parent))
records_made = importlib.import_module("records_made")

CONFIG = configure("MobileNetV2", "diagnosis", budget="smoke")


@pytest.fixture
def begun(tmp_path):
    """A run that was interrupted."""
    folder = RunFolder(tmp_path, CONFIG, "r0123456789ab")
    folder.start(CONFIG, overwrite=False)
    folder.checkpoint("main-train").parent.mkdir()
    folder.checkpoint("main-train").write_text("kept")
    return folder


def test_the_folder_of_a_network_from_outside_has_a_name_that_any_file_system_takes(tmp_path):
    config = configure("timm:resnet18", "diagnosis", budget="smoke")
    path = RunFolder(tmp_path, config, "r0123456789ab").path
    assert path.name == "diagnosis-timm-resnet18-torch-synthetic-r0123456789ab"


def test_the_same_again_goes_on(begun):
    begun.start(CONFIG, overwrite=False)
    assert begun.checkpoint("main-train").exists()


def test_with_overwrite_it_starts_over_and_then_goes_on(begun):
    begun.start(CONFIG, overwrite=True)
    assert not begun.checkpoint("main-train").exists()
    begun.checkpoint("main-train").write_text("kept")
    begun.start(CONFIG, overwrite=True)
    assert begun.checkpoint("main-train").exists()


def test_after_its_end_it_starts_over_again(begun):
    begun.start(CONFIG, overwrite=True)
    begun.finish(records_made.record("r0123456789ab", "accuracy", {}, CONFIG.public()))
    assert begun.finished
    begun.checkpoint("main-train").parent.mkdir()
    begun.checkpoint("main-train").write_text("of another try")
    begun.start(CONFIG, overwrite=True)
    assert not begun.checkpoint("main-train").exists()


def test_every_float32_of_the_predictions_is_read_back_exactly(begun):
    said = np.random.default_rng(0).dirichlet([1, 1], 50).astype(np.float32)
    ids = [f"00{number}" for number in range(50)]
    begun.save_predictions("main", ids, np.arange(50) % 2, ["no", "NA"], said)
    path = begun.path / "main" / "predictions.csv"
    found = pd.read_csv(path, dtype={"id": str}, na_filter=False)
    assert list(found["id"]) == ids
    assert list(found["true"]) == ["no", "NA"] * 25
    np.testing.assert_array_equal(found[["no", "NA"]].to_numpy(np.float32), said)


def test_maps_are_read_without_unpickling(begun):
    maps = np.random.default_rng(0).random((2, 3, 3), np.float32)
    begun.save_maps("main", ["a", "0b"], {"true": maps})
    with np.load(begun.path / "main" / "maps.npz", allow_pickle=False) as found:
        assert sorted(found.files) == ["ids", "true"]
        assert found["ids"].tolist() == ["a", "0b"]
        np.testing.assert_array_equal(found["true"], maps)


def test_pictures_of_the_whole_run_come_before_those_of_its_trials(begun):
    for name in ("b", "a"):
        for trial in ("second", "first", ""):
            begun.pictures(trial).mkdir(parents=True, exist_ok=True)
            (begun.pictures(trial) / f"{name}.png").touch()
    told = [path.relative_to(begun.path).as_posix() for path in begun.drawings()]
    assert told == [
        *("plots/a.png", "plots/b.png", "first/plots/a.png", "first/plots/b.png"),
        *("second/plots/a.png", "second/plots/b.png"),
    ]
