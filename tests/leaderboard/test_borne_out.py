"""A record that its own predictions contradict is no row, and which do is found once."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))

import answered_made

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.leaderboard import borne_out, build
from benchmark.records import predictions
from benchmark.records.predictions import Predictions
from benchmark.records.store import Store

OPTIONS = {
    "diagnosis": {},
    "imbalance": {"task_options": {"positive": "mel"}},
    "semi-supervised": {"task_options": {"label_fractions": "10,50"}, "method": "supervised"},
    "grading": {"method": "single-task"},
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "results"


@pytest.fixture
def compared(monkeypatch):
    """The runs whose predictions are compared with their records."""
    runs, really = [], borne_out.answered
    monkeypatch.setattr(
        borne_out,
        "answered",
        lambda results, record, *rest: runs.append(record.run_id) or really(results, record, *rest),
    )
    return runs


def _say(results, record, value):
    """Another headline in the record's file."""
    path = results / "v1" / "records" / f"{record.run_id}.json"
    told = json.loads(path.read_text())
    told["metrics"][record.headline]["value"] = value
    path.write_text(json.dumps(told))


@pytest.mark.parametrize("task", sorted(OPTIONS))
def test_a_record_that_contradicts_its_predictions_is_left_out_and_named(results, task):
    one = answered_made.run(results, task, skill=1.0, **OPTIONS[task])
    other = answered_made.run(results, task, skill=1.0, stray=1, epochs=9, **OPTIONS[task])
    assert build(results).problems == ()
    _say(results, other, 0.99)
    (problem,) = build(results).problems
    assert problem.startswith(f"{results}/v1/records/{other.run_id}.json says {one.headline} 0.99")
    assert f"rescore {other.run_id} --out {results}`" in problem
    table = (results / "v1" / "table.csv").read_text()
    assert one.run_id in table
    assert other.run_id not in table
    assert not (results / "v1" / "site" / "records" / f"{other.run_id}.html").exists()


def test_the_remedy_that_is_named_mends_it(results):
    record = answered_made.run(results)
    _say(results, record, 0.99)
    with pytest.raises(UserError, match=r"says macro_auc 0\.99 and its own predictions give"):
        build(results)
    assert main(["rescore", record.run_id, "--out", str(results)]) == 0
    assert build(results).problems == ()


@pytest.mark.parametrize("value", [None, 0.99])
def test_undefined_and_defined_contradict_each_other(results, value):
    record = answered_made.run(results)
    answered_made.run(results, stray=1, epochs=9)
    _say(results, record, value)
    assert len(build(results).problems) == 1


def test_last_bits_of_another_machine_are_no_contradiction(results):
    record = answered_made.run(results)
    _say(results, record, record.metrics[record.headline].value + 1e-9)
    assert build(results).problems == ()


def test_without_predictions_or_split_nothing_is_compared(results):
    for at, place in enumerate(("predictions", "splits")):
        record = answered_made.run(results / place, stray=at)
        _say(results / place, record, 0.99)
        next(p for p in (results / place / "v1" / place).rglob("*.*")).unlink()
        assert build(results / place).problems == ()


def test_a_headline_of_maps_that_were_not_kept_is_not_compared(results):
    record = answered_made.run(results)
    other = {"explainability_f1": record.metrics[record.headline]}
    changed = {"headline": "explainability_f1", "metrics": other}
    Store(results).save(record.model_copy(update=changed))
    assert build(results).problems == ()


def test_of_the_same_files_it_is_compared_once(results, compared):
    sound, contradicted = (answered_made.run(results, stray=at, epochs=2 + at) for at in (0, 1))
    _say(results, contradicted, 0.99)
    first = build(results).problems
    assert sorted(compared) == sorted([sound.run_id, contradicted.run_id])
    compared.clear()
    assert build(results).problems == first
    assert compared == []
    (said,) = predictions.load(results, sound).values()
    other = Predictions(said.ids, np.roll(said.probabilities, 1, axis=1))
    predictions.save(results, sound.run_id, [other])
    with pytest.raises(UserError, match="no readable record"):
        build(results)
    assert compared == [sound.run_id]
    answered_made.run(results, stray=1, epochs=3)
    compared.clear()
    assert len(build(results).problems) == 1
    assert compared == [contradicted.run_id]


def test_a_split_that_comes_back_is_asked_again(results, compared):
    record = answered_made.run(results)
    answered_made.run(results, stray=1, epochs=9)
    _say(results, record, 0.99)
    (split,) = (p for p in (results / "v1" / "splits").rglob("*.csv"))
    content = split.read_bytes()
    split.unlink()
    assert build(results).problems == ()
    split.write_bytes(content)
    assert len(build(results).problems) == 1
