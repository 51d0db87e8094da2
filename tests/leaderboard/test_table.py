"""What makes a row, what may be ranked together, and what is never averaged."""

import hashlib
import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.leaderboard.columns import COLUMNS, SMALLER_IS_BETTER, metric_columns
from benchmark.leaderboard.shown import shown_metrics
from benchmark.leaderboard.table import (
    build_table,
    heading,
    pretraining,
    section_id,
    sections,
    varying_settings,
)
from benchmark.metrics import calibration, ordinal
from benchmark.metrics.names import title
from benchmark.metrics.statistics import Estimate, combine_seeds
from benchmark.records.record import DataUsed, Metric, WeightsUsed
from benchmark.registry import TASKS

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")


def a_record(auc=0.8, created="2025-03-01T12:00:00+00:00", **changes):
    """A record of the diagnosis task; changes go to the config, or to the record itself."""
    record = {
        "task": "diagnosis",
        "task_version": "1",
        "headline": "macro_auc",
        "fingerprint": "d" * 64,
        "split": "s" * 64,
        "weights": WeightsUsed(kind="none"),
        "pretraining": (),
        "metrics": {"macro_auc": a_metric(auc)},
    }
    record |= {key: changes.pop(key) for key in list(changes) if key in record}
    config = {
        "arch": "Xception",
        "framework": "torch",
        "task": record["task"],
        "method": "cross-entropy",
        "dataset": "isic2018",
        "data_dir": "somewhere",
        "pretrain_on": [],
        "weights": record["weights"].kind,
        "image_size": [96, 128],
        "budget": "quick",
        "recipe": {"epochs": 9, "learning_rate": 0.001},
        "seed": 0,
        "device": "cpu",
    } | changes
    return records_made.record(
        hashlib.sha256(f"{created} {config} {record}".encode()).hexdigest()[:12],
        record["headline"],
        record["metrics"],
        config,
        created=created,
        task=record["task"],
        task_version=record["task_version"],
        data=DataUsed(
            name=config["dataset"], fingerprint=record["fingerprint"], classes=("a", "b")
        ),
        weights=record["weights"],
        pretraining=record["pretraining"],
        trials=(records_made.trial(record["metrics"], split=record["split"]),),
    )


def a_metric(value, half=0.05, n=100, groups=90):
    if value is None:
        return Metric(value=None, n=0, groups=0, note="no image")
    return Metric(value=value, low=value - half, high=value + half, n=n, groups=groups)


def test_seeds_make_one_row_with_their_mean_and_combined_interval():
    table = build_table([a_record(0.8, seed=0), a_record(0.9, seed=1), a_record(0.7, seed=10)])
    assert len(table) == 1
    row = table.iloc[0]
    assert row[COLUMNS.seeds] == "0 1 10"
    assert (row[COLUMNS.n_seeds], row[COLUMNS.n_images], row[COLUMNS.n_groups]) == (3, 100, 90)
    expected = combine_seeds([Estimate(v, v - 0.05, v + 0.05, 100, 90) for v in (0.8, 0.9, 0.7)])
    found = tuple(row[c] for c in metric_columns("macro_auc"))
    assert found == pytest.approx((expected.value, expected.low, expected.high))
    assert len(row[COLUMNS.run_ids].split()) == 3


def test_the_interval_of_a_score_that_may_be_negative_is_not_cut_at_nought():
    metrics = {"macro_auc": a_metric(0.8), "explainability_skill": a_metric(-0.5)}
    columns = list(metric_columns("explainability_skill"))
    alone = build_table([a_record(metrics=metrics)]).iloc[0]
    assert alone[columns].tolist() == pytest.approx([-0.5, -0.55, -0.45])
    both = build_table([a_record(metrics=metrics), a_record(metrics=metrics, seed=1)]).iloc[0]
    assert both[columns].tolist() == pytest.approx([-0.5, -0.55, -0.45])


def test_a_single_seed_keeps_its_bootstrap_interval():
    row = build_table([a_record(0.8)]).iloc[0]
    assert tuple(row[c] for c in metric_columns("macro_auc")) == pytest.approx((0.8, 0.75, 0.85))


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "VGG16"},
        {"framework": "keras"},
        {"method": "supercon"},
        {"image_size": [128, 128]},
        {"budget": "paper"},
        {"recipe": {"epochs": 30, "learning_rate": 0.001}},
        {"recipe": {"epochs": 9, "learning_rate": 0.01}},
    ],
)
def test_what_differs_in_a_setting_is_another_row_of_the_same_ranking(change):
    table = build_table([a_record(0.8), a_record(0.9, seed=1, **change)])
    assert len(table) == 2
    assert len(sections(table)) == 1
    assert table[COLUMNS.rank].tolist() == [1, 2]
    assert table["macro_auc"].tolist() == [0.9, 0.8]


@pytest.mark.parametrize("change", [{"device": "cuda"}, {"data_dir": "elsewhere"}])
def test_where_it_ran_does_not_make_another_row(change):
    assert len(build_table([a_record(0.8), a_record(0.9, seed=1, **change)])) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"task": "other"},
        {"task_version": "2"},
        {"fingerprint": "f" * 64},
        {"split": "t" * 64},
        {"headline": "accuracy", "metrics": {"accuracy": a_metric(0.5)}},
        {"weights": WeightsUsed(kind="imagenet", name="xception.h5")},
        {"pretraining": (DataUsed(name="isic2018", fingerprint="e" * 64, classes=("a",)),)},
    ],
)
def test_another_protocol_or_pretraining_is_never_ranked_with_this_one(change):
    table = build_table([a_record(0.8), a_record(0.9, **change)])
    parts = sections(table)
    assert [len(part) for part in parts] == [1, 1]
    assert table[COLUMNS.rank].tolist() == [1, 1]
    assert section_id(parts[0]) != section_id(parts[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "no pre-training"),
        ({"weights": WeightsUsed(kind="timm", name="vgg16.tv_in1k")}, "timm's weights"),
        (
            {"pretraining": (DataUsed(name="clinic", fingerprint="e" * 64, classes=("a",)),)},
            "pre-trained on clinic (eeeeeeee)",
        ),
    ],
)
def test_a_section_says_what_its_rows_started_from(change, words):
    (section,) = sections(build_table([a_record(0.8, **change)]))
    assert pretraining(section) == words


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (
            WeightsUsed(kind="timm", name="resnet50.a1_in1k"),
            WeightsUsed(kind="timm", name="densenet121.ra_in1k"),
            {"resnet50.a1_in1k", "densenet121.ra_in1k"},
        ),
        (
            WeightsUsed(kind="file", name="best.h5", sha256="a" * 64),
            WeightsUsed(kind="file", name="best.h5", sha256="b" * 64),
            {"best.h5 (aaaaaaaa)", "best.h5 (bbbbbbbb)"},
        ),
    ],
)
def test_weights_of_one_kind_are_ranked_together_and_told_apart(one, other, shown):
    table = build_table([a_record(0.8, weights=one), a_record(0.9, seed=1, weights=other)])
    assert table[COLUMNS.rank].tolist() == [1, 2]
    assert set(table[COLUMNS.weights_source]) == shown


def test_a_metric_missing_for_one_seed_is_missing_in_the_row():
    both = {"macro_auc": a_metric(0.8), "macro_f1": a_metric(0.5)}
    undefined = {"macro_auc": a_metric(0.8), "macro_f1": a_metric(None)}
    absent = {"macro_auc": a_metric(0.8)}
    for other in (undefined, absent):
        records = [a_record(metrics=both), a_record(metrics=other, seed=1)]
        row = build_table(records).iloc[0]
        assert row[list(metric_columns("macro_f1"))].isna().all()
        assert row["macro_auc"] == pytest.approx(0.8)


def test_a_row_without_its_headline_has_no_rank_and_comes_last():
    records = [
        a_record(metrics={"macro_auc": a_metric(None)}),
        a_record(metrics={}, framework="keras"),
        a_record(0.2, arch="VGG16"),
    ]
    table = build_table(records)
    assert table[COLUMNS.arch].tolist()[0] == "VGG16"
    assert table[COLUMNS.rank].isna().tolist() == [False, True, True]


def test_a_table_in_which_nobody_has_the_headline_still_builds():
    table = build_table([a_record(metrics={})])
    assert table["macro_auc"].isna().all()


def test_ties_share_the_better_rank():
    archs = {"Xception": 0.8, "VGG16": 0.9, "ResNet50": 0.8, "MobileNet": 0.7}
    table = build_table(a_record(auc, arch=arch) for arch, auc in archs.items())
    assert dict(zip(table[COLUMNS.arch], table[COLUMNS.rank], strict=True)) == {
        "VGG16": 1,
        "ResNet50": 2,
        "Xception": 2,
        "MobileNet": 4,
    }


def test_of_two_records_of_one_seed_the_newer_counts():
    old = a_record(0.9, created="2025-01-01T00:00:00+00:00")
    new = a_record(0.6, created="2025-02-01T00:00:00+00:00")
    for records in ([old, new], [new, old]):
        row = build_table(records).iloc[0]
        assert (row["macro_auc"], row[COLUMNS.run_ids]) == (0.6, new.run_id)


def test_runs_with_and_without_a_temperature_are_seeds_of_one_row():
    plain, scaled = a_record(0.6), a_record(0.8, seed=1, temperature_scaling=True)
    (row,) = build_table([plain, scaled]).to_dict("records")
    assert (row["macro_auc"], row[COLUMNS.n_seeds]) == (pytest.approx(0.7), 2)


def test_the_order_of_the_records_does_not_matter():
    generator = np.random.default_rng(0)
    records = [
        a_record(float(generator.random()), arch=arch, framework=framework, seed=seed)
        for arch in ("Xception", "VGG16", "MobileNet")
        for framework in ("torch", "keras")
        for seed in (0, 1)
    ]
    straight = build_table(records)
    shuffled = build_table([records[i] for i in generator.permutation(len(records))])
    pd.testing.assert_frame_equal(straight, shuffled)


def test_only_settings_that_differ_are_told():
    slow = {"epochs": 9, "learning_rate": 0.0001}
    table = build_table([a_record(0.9), a_record(0.8, recipe=slow)])
    assert varying_settings(table) == ["learning_rate=0.001", "learning_rate=0.0001"]
    assert varying_settings(table.head(1)) == [""]


def test_epochs_of_a_pretraining_that_was_not_are_no_setting():
    clinic = (DataUsed(name="clinic", fingerprint="e" * 64, classes=("a",)),)
    for asked, told in ((["clinic"], {"pretrain_epochs=5", "pretrain_epochs=9"}), ([], {""})):
        # By a run before this one, which has epochs of its own, where this one was asked for none.
        records = [
            a_record(
                arch=arch,
                pretrain_epochs=epochs,
                pretrain_on=asked,
                pretraining=clinic,
            )
            for arch, epochs in (("Xception", 5), ("VGG16", 9))
        ]
        assert set(varying_settings(build_table(records))) == told


def test_metrics_are_shown_headline_first_and_unknown_tasks_show_all():
    metrics = {name: a_metric(0.5) for name in ("zeal", "accuracy", "macro_auc")}
    known = build_table([a_record(metrics=metrics)])
    assert shown_metrics(known) == ["macro_auc", "accuracy"]
    foreign = build_table([a_record(metrics=metrics, task="from-elsewhere", headline="zeal")])
    assert shown_metrics(foreign) == ["zeal", "accuracy", "macro_auc"]


def test_titles_are_what_people_write():
    assert title("macro_auc") == "macro AUC"
    assert title("explainability_f1") == "explainability F1"
    assert title("dermxdb_2023_f1") == "DermXDB 2023 F1"
    assert title("common_correct_f1") == "common-correct F1"


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("ece", "ECE ↓"),
        ("classwise_ece_scaled", "class-wise ECE, temperature-scaled ↓"),
        ("negative_log_likelihood", "negative log-likelihood ↓"),
        ("ece_scaled_of_DR", "ECE of DR, temperature-scaled ↓"),
        ("brier_of_wet_AMD", "Brier score of wet_AMD ↓"),
        ("aurc", "AURC ↓"),
        ("accuracy_at_coverage_80", "accuracy at 80 % coverage"),
        ("accuracy_at_coverage_80_of_DME", "accuracy at 80 % coverage of DME"),
        ("quadratic_kappa_of_DR", "quadratic-weighted kappa of DR"),
        ("referable_auc_of_DR", "referable-disease AUC of DR"),
        ("mean_absolute_grade_error_of_DR", "mean absolute grade error of DR ↓"),
    ],
)
def test_reliability_and_diseases_have_readable_titles(metric, words):
    assert heading(metric) == words


@pytest.mark.parametrize("end", ["", "_scaled", "_of_DR", "_scaled_of_wet_AMD"])
def test_every_calibration_metric_is_better_when_smaller_whatever_the_disease(end):
    measured = [*calibration.SCORES, *ordinal.SCORES]
    larger = {"quadratic_kappa", "referable_auc"}
    larger |= {f"accuracy_at_coverage_{percent}" for percent in calibration.COVERAGES}
    assert {name for name in measured if not heading(name + end).endswith("↓")} == larger


@pytest.mark.parametrize("end", ["", "_scaled", "_of_DR", "_scaled_of_DR"])
@pytest.mark.parametrize(
    ("metric", "value", "kept"),
    [
        ("brier", 1.98, (1.93, 2.0)),
        ("negative_log_likelihood", 3.0, (2.95, 3.05)),
        ("mean_absolute_grade_error", 1.5, (1.45, 1.55)),
        ("quadratic_kappa", -0.5, (-0.55, -0.45)),
        ("ece", 0.98, (0.93, 1.0)),
    ],
)
def test_the_interval_over_seeds_is_cut_at_the_metrics_own_range(metric, value, kept, end):
    metrics = {"macro_auc": a_metric(0.8), metric + end: a_metric(value)}
    records = [a_record(metrics=metrics, seed=seed) for seed in (0, 1)]
    row = build_table(records).iloc[0]
    assert row[list(metric_columns(metric + end))].tolist() == pytest.approx([value, *kept])


def test_a_headline_of_one_disease_ranks_by_what_it_measures():
    name = "mean_absolute_grade_error_of_DR"
    records = [
        a_record(headline=name, metrics={name: a_metric(value)}, arch=arch)
        for arch, value in (("VGG16", 1.4), ("Xception", 0.6))
    ]
    assert build_table(records)[COLUMNS.arch].tolist() == ["Xception", "VGG16"]


def test_a_page_shows_what_was_graded_of_each_disease():
    of_each = ("quadratic_kappa", "accuracy", "ece", "ece_scaled", "macro_auc")
    metrics = {f"{name}_of_{disease}": a_metric(0.5) for name in of_each for disease in "BA"}
    metrics |= {"quadratic_kappa": a_metric(0.5)}
    table = build_table([a_record(metrics=metrics, task="grading", headline="quadratic_kappa")])
    names = ("quadratic_kappa", "macro_auc", "ece", "ece_scaled")
    pairs = [f"{name}_of_{disease}" for name in names for disease in "AB"]
    assert shown_metrics(table) == ["quadratic_kappa", *pairs]


def test_a_record_from_before_reliability_is_shown_without_it():
    old = a_record(0.9, arch="VGG16")
    metrics = {"macro_auc": a_metric(0.8), "ece": a_metric(0.1)}
    table = build_table([old, a_record(metrics=metrics)])
    assert shown_metrics(table)[-1] == "ece"
    assert table.set_index(COLUMNS.arch)["ece"].isna().to_dict() == {
        "VGG16": True,
        "Xception": False,
    }
    assert shown_metrics(build_table([old])) == ["macro_auc"]


def test_an_arrow_marks_what_is_better_when_smaller():
    assert heading("deletion_auc") == "deletion AUC ↓"
    assert heading("insertion_auc") == "insertion AUC"


def test_what_is_better_when_smaller_heads_no_task_and_would_rank_upside_down():
    headlines = {TASKS.get(name).headline for name in TASKS.names()}
    assert not headlines & SMALLER_IS_BETTER
    scores = {"Xception": 0.2, "VGG16": 0.7}
    records = [
        a_record(headline="deletion_auc", metrics={"deletion_auc": a_metric(v)}, arch=arch)
        for arch, v in scores.items()
    ]
    assert build_table(records)[COLUMNS.arch].tolist() == ["Xception", "VGG16"]


def test_a_task_that_measures_much_shows_a_page_of_it_in_the_pages_order():
    names = ("macro_auc", "zeal", "deletion_auc", "explainability_skill", "explainability_f1")
    metrics = {name: a_metric(0.5) for name in names}
    record = a_record(metrics=metrics, task="explainability", headline="explainability_f1")
    assert shown_metrics(build_table([record])) == [
        "explainability_f1",
        "explainability_skill",
        "deletion_auc",
        "macro_auc",
    ]
