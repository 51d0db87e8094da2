"""The common-correct view by hand: which images count, and when there is no number."""

import hashlib
import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.config import configure
from benchmark.data import Dataset
from benchmark.leaderboard import build
from benchmark.leaderboard.common import add_common
from benchmark.leaderboard.table import build_table
from benchmark.metrics import statistics
from benchmark.records import predictions, splits
from benchmark.records.predictions import Predictions
from benchmark.records.record import DataUsed, Metric
from benchmark.records.store import Store
from tasks.given import Trial
from tasks.scoring import BOOTSTRAP_SEED

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

CLASSES = ("nevus", "melanoma")
TRAIN, VALIDATION = ("y0", "y1"), ("z0", "z1")


def a_run(out, images, arch="Xception", f1=0.4, seed=0, kept=True):
    """A record, its split and predictions; `images` is id -> (correct, F1), or that by trial."""
    trials = images if isinstance(next(iter(images.values())), dict) else {"main": images}
    ids = sorted({image for own in trials.values() for image in own})
    # Of two classes in turn, so that most resamples hold both.
    every = [*ids, *TRAIN, *VALIDATION]
    labels = [*(np.arange(len(ids)) % 2), 0, 1, 0, 1]
    table = pd.DataFrame(
        {"path": "", "label": labels, "group": every, "split": ""},
        index=pd.Index(every, name="id"),
    )
    dataset = Dataset("hand", out, table, CLASSES)
    config = configure(arch, "explainability", seed=seed, budget="smoke", dataset_options={})
    parts = {
        name: {"train": TRAIN, "validation": VALIDATION, "test": tuple(sorted(own))}
        for name, own in trials.items()
    }
    splits.frozen(out, dataset, config.task, "2", config.question, lambda: parts).keep()
    value = f1 and Metric(value=f1, low=f1, high=f1, n=3, groups=3)
    metrics = {"explainability_f1": value or Metric(value=None, n=0, groups=0)}
    made = {name: Trial(name, **own) for name, own in parts.items()}
    record = records_made.record(
        hashlib.sha256(f"{config} {f1} {trials}".encode()).hexdigest()[:12],
        "explainability_f1",
        metrics,
        config.public(),
        task="explainability",
        task_version="2",
        seeds={"run": seed},
        data=DataUsed(name="hand", fingerprint=dataset.fingerprint, classes=CLASSES),
        trials=tuple(
            records_made.trial(metrics, name, trial.fingerprint, trial.test_fingerprint)
            for name, trial in made.items()
        ),
    )
    if kept:
        said = [_said(table, own) for own in trials.values()]
        predictions.save(out, record.run_id, said)
    return record


def _said(table, images):
    """In another order than the split's."""
    ids = list(images)
    right = np.array([correct for correct, _ in images.values()])
    says = np.where(right, table.loc[ids, "label"], 1 - table.loc[ids, "label"])
    values = np.array([f1 for _, f1 in images.values()], np.float32)
    return Predictions(tuple(ids), np.eye(2, dtype=np.float32)[says], {"explainability_f1": values})


def found(out, *records):
    table, notes = add_common(build_table(records), records, out)
    row = table.set_index("arch")["common_correct_f1"]
    return row.to_dict(), table["n_common_correct"].tolist(), list(notes.values())


def test_the_mean_is_over_the_images_that_every_row_has_correct(tmp_path):
    one = a_run(tmp_path, {"a": (True, 0.2), "b": (True, 0.6), "c": (False, 1.0)}, "Xception")
    other = a_run(tmp_path, {"c": (True, 0.9), "b": (True, 0.3), "a": (True, 0.1)}, "VGG16")
    values, counts, notes = found(tmp_path, one, other)
    assert values == pytest.approx({"Xception": 0.4, "VGG16": 0.2})
    assert (counts, notes) == ([2, 2], [])


def test_an_image_counts_when_every_seed_of_every_row_has_it_correct(tmp_path):
    records = [
        a_run(tmp_path, {"a": (True, 0.2), "b": (True, 0.6)}, "Xception"),
        a_run(tmp_path, {"a": (True, 0.4), "b": (False, 0.6)}, "Xception", seed=1),
        a_run(tmp_path, {"a": (True, 0.7), "b": (True, 0.9)}, "VGG16"),
    ]
    values, counts, _ = found(tmp_path, *records)
    assert values == pytest.approx({"Xception": 0.3, "VGG16": 0.7})
    assert counts == [1, 1]


def test_the_images_of_every_trial_count(tmp_path):
    one = {"a": (True, 0.2), "b": (False, 0.9)}
    two = {"a": (True, 0.4), "b": (True, 0.9)}
    values, counts, _ = found(tmp_path, a_run(tmp_path, {"one": one, "two": two}))
    assert values == pytest.approx({"Xception": 0.5})
    assert counts == [3]


def test_a_row_without_a_rank_does_not_narrow_the_images(tmp_path):
    images = {"a": (True, 0.2), "b": (False, 0.2)}
    one = a_run(tmp_path, images, "Xception")
    values, _, notes = found(tmp_path, one, a_run(tmp_path, images, "VGG16", None, kept=False))
    assert values["Xception"] == pytest.approx(0.2)
    assert pd.isna(values["VGG16"])
    assert notes == []


def test_the_interval_is_of_resampled_groups_with_the_common_images_as_given(tmp_path):
    images = {f"i{number:02}": (number % 5 > 0, number / 40) for number in range(40)}
    record = a_run(tmp_path, images)
    table, _ = add_common(build_table([record]), [record], tmp_path)
    weights = statistics.group_weights(sorted(images), statistics.RESAMPLES, BOOTSTRAP_SEED)
    labels = np.arange(40) % 2
    whole = weights[:, labels == 0].any(axis=1) & weights[:, labels == 1].any(axis=1)
    f1 = [value if correct else np.nan for correct, value in images.values()]
    low, high = statistics.interval(statistics.weighted_mean(f1, weights[whole]))
    row = table.iloc[0]
    assert row["common_correct_f1_low"] == pytest.approx(low)
    assert row["common_correct_f1_high"] == pytest.approx(high)
    assert low < row["common_correct_f1"] < high


def test_missing_predictions_leave_the_section_without_and_are_named(tmp_path):
    images = {"a": (True, 0.2), "b": (True, 0.2)}
    one = a_run(tmp_path, images, "Xception")
    missing = a_run(tmp_path, images, "VGG16", kept=False)
    values, counts, (note,) = found(tmp_path, one, missing)
    assert all(pd.isna(value) for value in values.values())
    assert pd.isna(counts[0])
    assert f"v1/predictions/{missing.run_id}.npz does not exist" in note
    assert str(tmp_path) not in note


def test_predictions_without_the_f1_of_single_images_are_named(tmp_path):
    record = a_run(tmp_path, {"a": (True, 0.2), "b": (True, 0.2)})
    (said,) = predictions.load(tmp_path, record).values()
    predictions.save(tmp_path, record.run_id, [Predictions(said.ids, said.probabilities)])
    values, _, (note,) = found(tmp_path, record)
    assert pd.isna(values["Xception"])
    assert f"run {record.run_id}: no F1 of single images" in note


def test_without_a_common_image_there_is_no_number(tmp_path):
    one = a_run(tmp_path, {"a": (True, 0.2), "b": (False, 0.2)}, "Xception")
    other = a_run(tmp_path, {"a": (False, 0.2), "b": (True, 0.2)}, "VGG16")
    values, counts, (note,) = found(tmp_path, one, other)
    assert all(pd.isna(value) for value in values.values())
    assert counts == [0, 0]
    assert "No image is diagnosed correctly" in note


def test_the_page_has_the_column_with_the_number_of_images(tmp_path):
    for arch in ("Xception", "VGG16"):
        images = {"a": (True, 0.25), "b": (True, 0.75), "c": (False, 0.2)}
        Store(tmp_path).save(a_run(tmp_path, images, arch, f1=0.4))
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    (head,) = [line for line in page.splitlines() if line.startswith("| rank")]
    assert "common-correct F1 (2 images)" in head
    assert sum("| 0.500 " in line for line in page.splitlines()) >= 2


def test_the_page_says_which_predictions_are_missing(tmp_path):
    record = a_run(tmp_path, {"a": (True, 0.2), "b": (True, 0.2)}, kept=False)
    Store(tmp_path).save(record)
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    assert f"{record.run_id}.npz does not exist" in page
    assert "needs the predictions of every ranked row" in page
