"""The common-correct view by hand: which images count, and when there is no number."""

import hashlib
import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmark.config import configure
from benchmark.leaderboard import build
from benchmark.leaderboard.common import add_common
from benchmark.leaderboard.table import build_table
from benchmark.records.folder import RunFolder
from benchmark.records.record import Metric
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")


def a_record(arch="Xception", f1=0.4, seed=0, trials=("main",), task="explainability"):
    config = configure(arch, task, seed=seed, budget="smoke").public()
    value = f1 and Metric(value=f1, low=f1, high=f1, n=3, groups=3)
    metrics = {"explainability_f1": value or Metric(value=None, n=0, groups=0)}
    return records_made.record(
        hashlib.sha256(f"{config} {f1}".encode()).hexdigest()[:12],
        "explainability_f1",
        metrics,
        config,
        task=task,
        task_version="2",
        seeds={"run": seed},
        trials=tuple(records_made.trial(metrics, name) for name in trials),
    )


def saved(out, record, images, trial="main"):
    """A run folder with the per-image table: id -> (correct, F1)."""
    table = pd.DataFrame.from_dict(images, orient="index", columns=["correct", "network_f1"])
    table["other"] = "x"
    RunFolder.of_record(out, record).save_tables(trial, {"per_image": table.rename_axis("id")})
    return record


def found(out, *records):
    table, notes = add_common(build_table(records), records, out)
    row = table.set_index("arch")["common_correct_f1"]
    return row.to_dict(), table["n_common_correct"].tolist(), list(notes.values())


def test_the_mean_is_over_the_images_that_every_row_has_correct(tmp_path):
    one = saved(
        tmp_path, a_record("Xception", 0.5), {"a": (True, 0.2), "b": (True, 0.6), "c": (False, 1.0)}
    )
    other = saved(
        tmp_path, a_record("VGG16", 0.4), {"c": (True, 0.9), "b": (True, 0.3), "a": (True, 0.1)}
    )
    values, counts, notes = found(tmp_path, one, other)
    assert values == pytest.approx({"Xception": 0.4, "VGG16": 0.2})
    assert (counts, notes) == ([2, 2], [])


def test_an_image_counts_when_every_seed_of_every_row_has_it_correct(tmp_path):
    records = [
        saved(tmp_path, a_record("Xception", 0.5), {"a": (True, 0.2), "b": (True, 0.6)}),
        saved(tmp_path, a_record("Xception", 0.5, seed=1), {"a": (True, 0.4), "b": (False, 0.6)}),
        saved(tmp_path, a_record("VGG16", 0.4), {"a": (True, 0.7), "b": (True, 0.9)}),
    ]
    values, counts, _ = found(tmp_path, *records)
    assert values == pytest.approx({"Xception": 0.3, "VGG16": 0.7})
    assert counts == [1, 1]


def test_the_images_of_every_trial_count(tmp_path):
    record = a_record(trials=("one", "two"))
    saved(tmp_path, record, {"a": (True, 0.2), "b": (False, 0.9)}, "one")
    saved(tmp_path, record, {"a": (True, 0.4), "b": (True, 0.9)}, "two")
    values, counts, _ = found(tmp_path, record)
    assert values == pytest.approx({"Xception": 0.5})
    assert counts == [3]


def test_a_row_without_a_rank_does_not_narrow_the_images(tmp_path):
    one = saved(tmp_path, a_record("Xception", 0.5), {"a": (True, 0.2)})
    values, _, notes = found(tmp_path, one, a_record("VGG16", None))
    assert values["Xception"] == pytest.approx(0.2)
    assert pd.isna(values["VGG16"])
    assert notes == []


def test_a_missing_folder_leaves_the_section_without_and_is_named(tmp_path):
    one = saved(tmp_path, a_record("Xception", 0.5), {"a": (True, 0.2)})
    missing = a_record("VGG16", 0.4)
    values, counts, (note,) = found(tmp_path, one, missing)
    assert all(pd.isna(value) for value in values.values())
    assert pd.isna(counts[0])
    name = RunFolder.of_record(tmp_path, missing).path.name
    assert f"v1/runs/{name}/main/per_image.csv (missing)" in note
    assert str(tmp_path) not in note


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,correct\na,True\n", "network_f1"),
        ("id,correct,network_f1\na,perhaps,0.2\n", "per_image.csv ("),
        ("id,correct,network_f1\na,True,high\n", "per_image.csv ("),
        ("id,correct,network_f1\na,True,0.2\na,True,0.3\n", "an id twice"),
        ("", "per_image.csv ("),
    ],
)
def test_a_damaged_file_is_named_and_counts_as_missing(tmp_path, text, words):
    record = saved(tmp_path, a_record(), {"a": (True, 0.2)})
    (RunFolder.of_record(tmp_path, record).path / "main" / "per_image.csv").write_text(text)
    values, _, (note,) = found(tmp_path, record)
    assert pd.isna(values["Xception"])
    assert words in note
    assert "\n" not in note


def test_runs_of_other_images_are_not_compared(tmp_path):
    one = saved(tmp_path, a_record("Xception", 0.5), {"a": (True, 0.2), "b": (True, 0.2)})
    other = saved(tmp_path, a_record("VGG16", 0.4), {"a": (True, 0.2)})
    values, _, (note,) = found(tmp_path, one, other)
    assert all(pd.isna(value) for value in values.values())
    assert "other images" in note


def test_without_a_common_image_there_is_no_number(tmp_path):
    one = saved(tmp_path, a_record("Xception", 0.5), {"a": (True, 0.2), "b": (False, 0.2)})
    other = saved(tmp_path, a_record("VGG16", 0.4), {"a": (False, 0.2), "b": (True, 0.2)})
    values, counts, (note,) = found(tmp_path, one, other)
    assert all(pd.isna(value) for value in values.values())
    assert counts == [0, 0]
    assert "No image is diagnosed correctly" in note


def test_an_id_that_looks_like_a_missing_value_or_a_number_stays_text(tmp_path):
    one = saved(tmp_path, a_record("Xception", 0.5), {"NA": (True, 0.2), "007": (True, 0.4)})
    other = saved(tmp_path, a_record("VGG16", 0.4), {"NA": (True, 0.2), "007": (True, 0.2)})
    assert found(tmp_path, one, other)[1] == [2, 2]


def test_the_page_has_the_column_with_the_number_of_images(tmp_path):
    for record in (a_record("Xception", 0.5), a_record("VGG16", 0.4)):
        Store(tmp_path).save(saved(tmp_path, record, {"a": (True, 0.25), "b": (True, 0.75)}))
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    (head,) = [line for line in page.splitlines() if line.startswith("| rank")]
    assert "common-correct F1 (2 images)" in head
    assert sum("| 0.500 " in line for line in page.splitlines()) >= 2


def test_the_page_says_which_folder_is_missing(tmp_path):
    record = a_record()
    Store(tmp_path).save(record)
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    assert f"{record.run_id}/main/per" in page
    assert "needs the run folder of every ranked row" in page
