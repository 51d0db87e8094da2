"""The standing of rows is computed again only where what it is computed from has changed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
sys.path.insert(0, str(Path(__file__).parent))

import answered_made
import site_made

from benchmark.leaderboard import build, remembered
from benchmark.records import predictions
from benchmark.records.store import Store


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two rows of one section, with their predictions."""
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    for at, skill in enumerate((2.0, 1.0)):
        answered_made.run(tmp_path / "results", skill=skill, epochs=2 + at, stray=at)
    return tmp_path / "results"


@pytest.fixture
def computed(monkeypatch):
    """How many parts were computed."""
    counts, really = [], remembered.add_standing
    monkeypatch.setattr(
        remembered,
        "add_standing",
        lambda table, *rest: counts.append(len(table)) or really(table, *rest),
    )
    return counts


def test_of_the_same_files_it_is_computed_once_and_is_the_same(results, computed):
    build(results)
    first = site_made.files(results / "v1")
    assert b"would not be shown" in first["leaderboard.md"]
    build(results)
    assert computed == [2]
    assert site_made.files(results / "v1") == first


def test_where_no_row_has_one_that_is_remembered_too(results, computed):
    for file in (results / "v1" / "predictions").glob("*"):
        file.unlink()
    build(results)
    first = site_made.files(results / "v1")
    assert b"Ranks have no intervals here" in first["leaderboard.md"]
    build(results)
    assert computed == [2]
    assert site_made.files(results / "v1") == first


def _other_predictions(results):
    record = Store(results).all().records[0]
    (said,) = predictions.load(results, record).values()
    other = said.probabilities / 2  # in the order that the record was scored by
    predictions.save(results, record.run_id, [predictions.Predictions(said.ids, other)])


@pytest.mark.parametrize(
    "change",
    [
        _other_predictions,
        lambda results: next((results / "v1" / "predictions").glob("*")).unlink(),
        lambda results: next(p for p in (results / "v1" / "splits").rglob("*.*")).unlink(),
        lambda results: next((results / "v1" / "records").glob("*")).unlink(),
        lambda results: answered_made.run(results, skill=3.0, epochs=9, stray=9),
    ],
    ids=["predictions", "no predictions", "no split", "a record less", "a record more"],
)
def test_after_any_change_it_is_computed_again(results, computed, change):
    build(results)
    change(results)
    build(results)
    assert len(computed) == 2
