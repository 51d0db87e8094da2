"""The curve over label fractions: its points and its reference."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.data.dataset import Dataset
from benchmark.leaderboard.table import build_table, settings_apart
from benchmark.metrics.statistics import Estimate, combine_seeds
from benchmark.records.record import DataUsed, WeightsUsed
from tasks.given import Outputs, Trial
from tasks.semi_supervised import SemiSupervised

sys.path.insert(0, str(Path(__file__).parent))
fractions_made = importlib.import_module("fractions_made")
records_made = importlib.import_module("records_made")
FEW, FULL, a_record, drawn = (
    fractions_made.FEW,
    fractions_made.FULL,
    fractions_made.a_record,
    fractions_made.drawn,
)
HALF = fractions_made.HALF


def lines_of(*records):
    return {line.method: line for curve in drawn(*records) for line in curve.lines}


def test_a_point_is_the_mean_over_seeds_with_the_tables_interval_and_each_seed():
    values = (0.3, 0.35, 0.46)
    records = [a_record({"5": v, "100": 0.8}, seed=s) for s, v in enumerate(values)]
    point = lines_of(*records)["supervised"].points["5"]
    whole = combine_seeds([Estimate(v, v - HALF, v + HALF, 9, 9) for v in values])
    assert point[:3] == pytest.approx((whole.value, whole.low, whole.high))
    assert point.singles == values
    line = lines_of(records[0])["supervised"]
    assert line.points["5"] == (0.3, 0.25, 0.35, (0.3,))
    assert line.area[:3] == pytest.approx((0.55, 0.5, 0.6))
    assert line.seeds == ("0",)


def test_fractions_rise_by_number_whatever_the_order_of_the_trials():
    scores = {"100": 0.8, "20": 0.6, "5": 0.4, "2.5": 0.3}
    (curve,) = drawn(a_record(scores))
    assert list(curve.fractions.items()) == [("2.5", 2.5), ("5", 5.0), ("20", 20.0), ("100", 100.0)]
    assert {f: p.value for f, p in curve.lines[0].points.items()} == scores


def test_a_curve_has_the_scores_that_the_task_gives():
    labels = np.arange(40) % 2
    ids = [f"i{n}" for n in range(len(labels))]
    table = pd.DataFrame({"path": ids, "label": labels, "group": ids, "split": ""}, index=ids)
    dataset = Dataset("hand", "here", table.rename_axis("id"), ("a", "b"))
    task, results = SemiSupervised(), []
    for name, hits in (("labels-2.5", 6), ("labels-100", 9)):
        trial = Trial(name, train=tuple(ids[:20]), validation=(), test=tuple(ids[30:]))
        sure = np.where(np.arange(10) < hits, 0.9, 0.1)
        right = labels[30:, None] == np.arange(2)
        said = np.where(right, sure[:, None], 1 - sure[:, None]).astype(np.float32)
        outputs = Outputs(trial.test, said)
        results.append((trial, outputs, task.score(dataset, trial, outputs)))
    metrics = dict(task.overall(dataset, results).metrics)
    record = a_record({"2.5": 0.1, "100": 0.1}).model_copy(update={"metrics": metrics})
    line = lines_of(record)["supervised"]
    scored = {t.name: score.metrics["macro_f1"].value for t, _, score in results}
    assert {f"labels-{f}": p.value for f, p in line.points.items()} == scored
    assert line.area.value == pytest.approx(np.mean(list(scored.values())))
    assert (SemiSupervised.name, SemiSupervised.headline) == (record.task, record.headline)


def test_a_row_keeps_a_share_of_what_supervised_scores_with_every_label():
    better = {"5": 0.6, "20": 0.7, "100": 0.9}
    found = lines_of(
        a_record(FULL), a_record(FULL | {"100": 0.6}, seed=1), a_record(better, "fixmatch")
    )
    assert found["fixmatch"].reference[0] == pytest.approx(0.7)
    assert found["fixmatch"].reference.seeds == ("0", "1")
    kept = {f: found["fixmatch"].kept(f) for f in better}
    assert kept == pytest.approx({"5": 0.6 / 0.7, "20": 1.0, "100": 0.9 / 0.7})
    assert found["supervised"].kept("100") == pytest.approx(1)


def test_the_reference_may_have_been_asked_for_other_fractions():
    fixmatch = a_record(FEW, "fixmatch")
    for scores in (FULL, {"100": 0.8}, {"1": 0.2, "100": 0.8}):
        assert lines_of(fixmatch, a_record(scores))["fixmatch"].reference.value == 0.8
    assert lines_of(fixmatch, a_record(FEW))["fixmatch"].reference is None


@pytest.mark.parametrize(
    "other",
    [
        {"arch": "VGG16"},
        {"framework": "keras"},
        {"image_size": [128, 128]},
        {"budget": "paper"},
        {"recipe": {"epochs": 9, "learning_rate": 0.001}},
        {"recipe": {"epochs": 8, "learning_rate": 0.01}},
        {"unlabelled": "more"},
        {"fields": {"weights": WeightsUsed(kind="imagenet", name="x")}},
        {"fields": {"leaks": ("2 of 9 test images are in train.",)}},
        {"fields": {"data": DataUsed(name="synthetic", fingerprint="e" * 64, classes=("a", "b"))}},
        {"fields": {"trials": (records_made.trial({}, "labels-100", split="x"),)}},
        {"fields": {"trials": (records_made.trial({}, "labels-100", test="x"),)}},
        {"method": "cross-entropy"},
    ],
)
def test_a_run_of_another_network_question_or_data_is_no_reference(other):
    fixmatch = a_record(FEW, "fixmatch")
    assert lines_of(fixmatch, a_record({"100": 0.8}))["fixmatch"].reference.value == 0.8
    assert lines_of(fixmatch, a_record({"100": 0.8}, **other))["fixmatch"].reference is None


def test_what_a_method_decides_itself_does_not_part_it_from_its_reference():
    head = {"epochs": 8, "learning_rate": 0.001, "head": "cosine", "class_weights": True}
    fixmatch = a_record(FEW, "fixmatch", recipe=head, method_options={"threshold": 0.9})
    assert lines_of(fixmatch, a_record(FULL))["fixmatch"].reference.value == 0.8


def test_of_several_references_that_of_most_seeds_counts_not_the_best():
    records = [
        a_record(FEW, "fixmatch"),
        a_record({"100": 0.9}, method_options={"x": 1.0}),
        *(a_record({"100": 0.7}, seed=seed, method_options={"x": 2.0}) for seed in range(3)),
    ]
    for some in (records, records[::-1]):
        found = lines_of(*some)["fixmatch"].reference
        assert (found.value, found.seeds) == (pytest.approx(0.7), ("0", "1", "2"))


def test_rows_of_a_method_are_told_apart_by_their_own_options_only():
    options = {"method": "src-mt", "method_options": {"as_released": True}}
    (curve,) = drawn(
        a_record(FULL), a_record(FULL, "src-mt", method_options={}), a_record(FEW | FULL, **options)
    )
    names = {line.method for line in curve.lines}
    assert names == {"supervised", "src-mt, as_released=-", "src-mt, as_released=True"}
    assert all(line.network == {} for line in curve.lines)
    assert curve.shared["architecture"] == "MobileNetV2"


def test_settings_part_into_the_methods_own_and_the_rest():
    every = '{"method_options.a": 1, "recipe.head": "plain", "recipe.learning_rate": 0.1}'
    assert settings_apart(every) == ('{"method_options.a": 1}', '{"recipe.learning_rate": 0.1}')


def test_a_score_that_one_seed_lacks_is_not_averaged_but_the_others_are_dots():
    records = [a_record(FULL | {"5": v}, seed=s) for s, v in enumerate((0.3, None, 0.4))]
    point = lines_of(*records)["supervised"].points["5"]
    assert np.isnan(point[:3]).all()
    assert point.singles == (0.3, 0.4)


def test_seeds_that_label_other_images_are_one_row():
    def labelled(digest):
        names = (f"labels-{f}" for f in FULL)
        trials = tuple(records_made.trial({}, name) for name in names)
        return {
            "trials": tuple(t.model_copy(update={"labelled_fingerprint": digest}) for t in trials)
        }

    records = [a_record(FULL, seed=s, fields=labelled(str(s))) for s in range(2)]
    table = build_table(records)
    assert table["seeds"].tolist() == ["0 1"]
