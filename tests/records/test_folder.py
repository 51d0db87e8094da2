"""What becomes of checkpoints when a run begins again."""

import importlib
import sys
from pathlib import Path

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
