"""How sure ranks are: computed from predictions, told in the table and on the page."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))

import answered_made

from benchmark.comparison import compare
from benchmark.data.pixels import silent
from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.columns import P_AGAINST_BEST, nested_interval
from benchmark.metrics import statistics
from benchmark.metrics.statistics import Estimate, combine_seeds
from benchmark.records import predictions
from benchmark.records.predictions import Predictions
from benchmark.records.store import Store
from benchmark.registry import TASKS
from benchmark.rescoring import answered, rescored
from tasks.diagnosis import Diagnosis


def _rows(out, skills, seeds=2, task="diagnosis", **settings):
    """A row for each skill, told apart by its epochs; the records, row by row."""
    return [
        [
            answered_made.run(out, task, skill, seed=seed, epochs=2 + at, stray=at, **settings)
            for seed in range(seeds)
        ]
        for at, skill in enumerate(skills)
    ]


def _built(out):
    """The table's runs by epochs, and the page."""
    build(out)
    table = pd.read_csv(out / "v1" / "table.csv", dtype={"tied_with_best": str})
    table = table.fillna({"tied_with_best": ""})
    runs = table[table["kind"] == "run"].set_index("epochs").sort_index()
    return runs, (out / "v1" / "leaderboard.md").read_text()


def test_a_much_better_row_is_the_first_and_its_rank_is_certain(tmp_path):
    # Of one seed each: two would leave room for a third that is far worse.
    _rows(tmp_path, [5.0, 1.0, 1.0], seeds=1)
    runs, page = _built(tmp_path)
    assert runs.loc[2, ["rank", "rank_first", "rank_last"]].tolist() == [1, 1, 1]
    assert runs.loc[2, "tied_with_best"] == "yes"
    assert np.isnan(runs.loc[2, P_AGAINST_BEST])
    for epochs in (3, 4):
        assert runs.loc[epochs, "tied_with_best"] == "no"
        assert runs.loc[epochs, P_AGAINST_BEST] < 0.05
        assert runs.loc[epochs, "rank_first"] >= 2
    assert "| 1 [1, 1] |" in page
    assert "| best " in page
    assert "would not be shown by these 48 test images (24 groups)" in page


def test_equally_good_rows_are_tied(tmp_path):
    _rows(tmp_path, [2.0, 2.0, 2.0])
    runs, page = _built(tmp_path)
    assert (runs["tied_with_best"] == "yes").all()
    assert (runs["rank_last"] - runs["rank_first"]).max() >= 1
    assert "tied, p = " in page


def test_rows_that_say_the_same_share_rank_and_interval(tmp_path):
    (one,), (other,) = _rows(tmp_path, [2.0, 2.0], seeds=1)
    (said,) = predictions.load(tmp_path, one).values()
    predictions.save(tmp_path, other.run_id, [Predictions(said.ids, said.probabilities)])
    Store(tmp_path).save(rescored(answered(tmp_path, other)).record)
    runs, _ = _built(tmp_path)
    assert runs["rank_first"].tolist() == [1, 1]
    assert (runs["tied_with_best"] == "yes").all()


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("grading", {"method": "single-task"}),
        ("semi-supervised", {"task_options": {"label_fractions": "10,50"}, "method": "supervised"}),
    ],
)
def test_tasks_of_several_trials_have_standings(tmp_path, task, settings):
    _rows(tmp_path, [5.0, 0.5], seeds=1, task=task, **settings)
    runs, _ = _built(tmp_path)
    assert runs.loc[2, ["rank_first", "rank_last"]].tolist() == [1, 1]
    assert runs.loc[3, "tied_with_best"] == "no"


def test_a_run_without_predictions_leaves_its_section_without_standing(tmp_path):
    rows = _rows(tmp_path, [3.0, 1.0])
    predictions.location(tmp_path, rows[0][0].run_id).unlink()
    runs, page = _built(tmp_path)
    assert (runs["tied_with_best"] == "").all()
    assert runs["rank_first"].isna().all()
    assert f"v1/predictions/{rows[0][0].run_id}.npz does not exist" in page.replace("\\", "")
    assert str(tmp_path) not in page
    assert "against the best" not in page


def _junk(path):
    path.write_bytes(b"junk")


def test_a_row_alone_has_nothing_to_be_compared_with(tmp_path):
    _rows(tmp_path, [3.0])
    runs, page = _built(tmp_path)
    assert (runs["tied_with_best"] == "").all()
    assert "against the best" not in page


@pytest.mark.parametrize(
    ("spoil", "told"), [(Path.unlink, "does not exist"), (_junk, "is not a sound npz archive")]
)
@pytest.mark.parametrize("skills", [[3.0], [3.0, 1.0]])
def test_predictions_that_cannot_be_used_are_told_with_the_remedy(tmp_path, skills, spoil, told):
    spoil(predictions.location(tmp_path, _rows(tmp_path, skills, seeds=1)[0][0].run_id))
    _, page = _built(tmp_path)
    page = page.replace("\\", "")
    assert told in page
    assert "restore the file, or make the run again with --overwrite" in page
    assert ("Nobody can compute the scores here again" in page) == (len(skills) == 1)


def test_the_same_records_give_the_same_bytes(tmp_path):
    _rows(tmp_path, [3.0, 1.0])
    build(tmp_path)
    first = (tmp_path / "v1" / "table.csv").read_bytes()
    build(tmp_path)
    assert (tmp_path / "v1" / "table.csv").read_bytes() == first


def test_the_interval_over_seeds_is_nested_in_the_resamples_of_the_images(tmp_path):
    (records,) = _rows(tmp_path, [2.0], seeds=3)
    runs, _ = _built(tmp_path)
    answers = [answered(tmp_path, record) for record in records]
    weights = answers[0].weights(statistics.RESAMPLES)
    every = np.stack([answer.sampled(weights)["macro_f1"] for answer in answers])
    low, high = statistics.interval(statistics.over_seeds(every[:, 0], every[:, 1:]))
    row = runs.loc[2]
    assert row["macro_f1"] == pytest.approx(every[:, 0].mean(), abs=1e-6)
    assert row["macro_f1_low"] == pytest.approx(low, abs=1e-6)
    assert row["macro_f1_high"] == pytest.approx(high, abs=1e-6)
    apart = [record.metrics["macro_f1"] for record in records]
    closed = combine_seeds([Estimate(m.value, m.low, m.high, m.n, m.groups) for m in apart])
    assert abs(closed.low - low) > 1e-4


def test_without_the_predictions_of_a_seed_the_spreads_are_added(tmp_path):
    (records,) = _rows(tmp_path, [2.0], seeds=3)
    predictions.location(tmp_path, records[1].run_id).unlink()
    runs, _ = _built(tmp_path)
    apart = [record.metrics["macro_f1"] for record in records]
    closed = combine_seeds([Estimate(m.value, m.low, m.high, m.n, m.groups) for m in apart])
    assert runs.loc[2, "macro_f1_low"] == pytest.approx(closed.low, abs=1e-6)


def test_the_interval_of_a_single_seed_is_its_records(tmp_path):
    ((record,),) = _rows(tmp_path, [2.0], seeds=1)
    runs, _ = _built(tmp_path)
    assert runs.loc[2, "macro_f1_low"] == pytest.approx(record.metrics["macro_f1"].low, abs=1e-6)


def test_a_nested_interval_stays_in_the_range_of_its_metric():
    seeds = np.array([0.9, 0.99, 0.98])
    low, high = nested_interval("macro_f1", seeds, np.repeat(seeds[:, None], 500, axis=1))
    assert 0 <= low < 0.95 < high == 1


def test_where_resamples_lack_classes_nothing_is_said_of_ranks(tmp_path):
    data = answered_made.dataset(tmp_path)
    groups = data.table["group"].str[1:].astype(int)
    # Of two classes about one lesion each is left for the test part.
    data.table["label"] = np.where(groups < 5, 0, np.where(groups < 10, 1, 2))
    _rows(tmp_path, [5.0, 1.0], seeds=2, data=data)
    runs, page = _built(tmp_path)
    assert runs["macro_auc_low"].isna().all()
    assert (runs["tied_with_best"] == "").all()
    assert "more than half of the resamples lack it" in page
    assert "nan" not in page


class _Halves(Diagnosis):
    """Of somebody else, whose headline nobody can compute in resamples."""

    name = "halves"
    headline = "half_accuracy"
    shown = ("half_accuracy",)

    def score(self, dataset, trial, outputs, progress=silent):
        score = super().score(dataset, trial, outputs)
        metrics = score.metrics | {self.headline: score.metrics["accuracy"]}
        return replace(score, metrics=metrics)


def test_a_task_that_is_not_resampled_leaves_its_section_without_standing(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS._loaded, "halves", _Halves)
    better, other = _rows(tmp_path, [5.0, 1.0], task="halves")
    runs, page = _built(tmp_path)
    assert runs["rank"].tolist() == [1, 2]
    assert (runs["tied_with_best"] == "").all()
    assert "the task does not say what half accuracy is in resamples (Task.sampled)" in page
    with pytest.raises(UserError, match="has no half accuracy, by which rows rank"):
        compare(tmp_path, better, other)
