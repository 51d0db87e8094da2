"""Questions with options: what is ranked apart, and the curve over ratios of imbalance."""

import hashlib
import importlib
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.data.dataset import Dataset
from benchmark.leaderboard import build
from benchmark.leaderboard.columns import COLUMNS, options_of
from benchmark.leaderboard.curve_plot import MOST_LINES, draw_curve
from benchmark.leaderboard.curves import curves
from benchmark.leaderboard.table import (
    build_table,
    conditions,
    sections,
    shown_metrics,
    title,
    varying_settings,
)
from benchmark.records.record import DataUsed, Metric, WeightsUsed
from benchmark.records.store import Store
from tasks.base import Outputs, Trial
from tasks.imbalance import Imbalance

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

NEW = ("task_options", "method_options", "allow_leaks")


def a_record(score=0.5, imbalance="50", positive=None, notes=(), fields=None, **config):
    """A record of the imbalance task; `fields` are the record's own, the rest its settings."""
    options = {"imbalance": imbalance, "positive": positive}
    config = {
        "arch": "Xception",
        "framework": "torch",
        "task": "imbalance",
        "method": "cross-entropy",
        "image_size": [96, 128],
        "budget": "quick",
        "recipe": {"epochs": 9, "learning_rate": 0.001},
        "seed": 0,
        "task_options": options,
        "method_options": {},
        "allow_leaks": False,
    } | config
    value = score and Metric(value=score, low=score - 0.05, high=score + 0.05, n=100, groups=90)
    metrics = {"macro_f1": value or Metric(value=None, n=0, groups=0)}
    told = json.dumps([score, config, repr(fields)])
    return records_made.record(
        "r" + hashlib.sha256(told.encode()).hexdigest()[:12],
        "macro_f1",
        metrics,
        config,
        **{
            "task": "imbalance",
            # Another ratio is another training set.
            "trials": (records_made.trial(metrics, split=json.dumps(options)),),
            "notes": notes,
        }
        | (fields or {}),
    )


def measured(ratio):
    return f"9 training images; the largest class has {ratio} times the images of the rarest"


def drawn(*records):
    return curves(build_table(records), records)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    records = [
        *(a_record(0.5 - int(r) / 1000, r, seed=s) for r in ("10", "50", "100") for s in (0, 1)),
        a_record(0.47, "natural", notes=(measured("58.3"),)),
        *(a_record(0.6, r, method="focal", method_options={"gamma": 2.0}) for r in ("10", "50")),
        a_record(0.9, "10", allow_leaks=True),
        a_record(0.4, "10", positive="MEL"),
        a_record(0.4, "50", positive="MEL"),
    ]
    for record in records:
        Store(folder).save(record)
    built = build(folder)
    return folder / "v1", built, (folder / "v1" / "leaderboard.md").read_text()


def headings(page):
    return [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]


@pytest.mark.parametrize(
    "change",
    [
        {"imbalance": "10"},
        {"imbalance": "natural"},
        {"positive": "MEL"},
        {"task_options": {"imbalance": "50", "other": 3}},
        {"allow_leaks": True},
    ],
)
def test_another_question_or_leaks_are_never_ranked_with_this_one(change):
    split = {"trials": (records_made.trial({}),)}
    table = build_table([a_record(0.8, fields=split), a_record(0.9, fields=split, **change)])
    assert [len(part) for part in sections(table)] == [1, 1]
    assert table[COLUMNS.rank].tolist() == [1, 1]
    assert table[COLUMNS.section].nunique() == 2


def test_the_question_is_a_column_without_what_is_left_open():
    options = [{"positive": "MEL", "imbalance": "50"}, {"imbalance": 50, "positive": None}, {}]
    table = build_table([a_record(task_options=each) for each in options])
    assert set(table[COLUMNS.question]) == {"imbalance=50, positive=MEL", "imbalance=50", ""}
    leaking = build_table([a_record(allow_leaks=True), a_record(imbalance="10")])
    assert sorted(leaking[COLUMNS.leaks]) == ["", "allowed"]


def test_options_are_read_back_from_the_column_whatever_a_class_is_called():
    called = ("a, b", "c=d", "e, F=g")
    named = [{"imbalance": "10", "positive": name} for name in called]
    for options in ({}, {"imbalance": "50"}, *named):
        (question,) = build_table([a_record(task_options=options)])[COLUMNS.question]
        assert options_of(question) == options


def test_a_record_from_before_there_were_options_is_another_seed_of_the_same_row():
    new = a_record(0.5, task_options={}, fields={"task": "diagnosis"})
    old = a_record(0.7, seed=1, fields={"task": "diagnosis", "trials": new.trials})
    old = old.model_copy(update={"config": {k: v for k, v in old.config.items() if k not in NEW}})
    row = build_table([old, new]).iloc[0]
    assert (row[COLUMNS.n_seeds], row["macro_f1"]) == (2, pytest.approx(0.6))
    assert (row[COLUMNS.question], row[COLUMNS.leaks]) == ("", "")


def test_a_setting_that_came_later_does_not_tell_an_older_record_apart():
    recipe = {"epochs": 9, "learning_rate": 0.001}
    new = a_record(recipe=recipe | {"nesterov": True, "augmentation": {"crop": [1.0, 1.0]}})
    assert len(build_table([a_record(seed=1), new])) == 1
    changed = a_record(0.4, recipe=recipe | {"nesterov": False})
    assert varying_settings(build_table([a_record(), changed])) == [
        "nesterov=True",
        "nesterov=False",
    ]


def test_a_methods_options_are_told_only_where_runs_of_that_method_differ():
    def focal(score, gamma):
        options = {"gamma": gamma, "alpha": None}
        return a_record(score, method="focal", method_options=options)

    table = build_table([a_record(0.9), focal(0.8, 2.0), focal(0.7, 1.0)])
    assert varying_settings(table) == ["", "gamma=2.0", "gamma=1.0"]
    assert varying_settings(build_table([a_record(0.9), focal(0.8, 2.0)])) == ["", ""]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "ratio 50, no pre-training"),
        ({"imbalance": "natural"}, "natural ratio, no pre-training"),
        ({"positive": "MEL"}, "ratio 50, MEL against the rest, no pre-training"),
        ({"task_options": {"labelled_share": 0.1}}, "labelled share 0.1, no pre-training"),
        ({"task_options": {}}, "no pre-training"),
        (
            {"allow_leaks": True},
            "ratio 50, leaks allowed: train and test share lesions, no pre-training",
        ),
    ],
)
def test_a_section_says_in_words_what_was_asked(change, words):
    assert conditions(build_table([a_record(**change)])) == words


def test_sections_stand_by_question_and_rising_ratio_leaks_last(board):
    before = "imbalance (version 1) on synthetic"
    assert headings(board[2])[:-2] == [
        f"{before} by ratio, no pre-training",
        f"{before}, ratio 10, no pre-training",
        f"{before}, ratio 50, no pre-training",
        f"{before}, ratio 100, no pre-training",
        f"{before}, natural ratio, no pre-training",
        f"{before} by ratio, MEL against the rest, no pre-training",
        f"{before}, ratio 10, MEL against the rest, no pre-training",
        f"{before}, ratio 50, MEL against the rest, no pre-training",
        f"{before}, ratio 10, leaks allowed: train and test share lesions, no pre-training",
    ]


def test_only_sections_with_leaks_warn_of_them(board):
    parts = board[2].split("\n## ")
    warned = [part for part in parts if "Not to be compared with other sections" in part]
    assert len(warned) == 1
    assert "leaks allowed" in warned[0].splitlines()[0]


def test_the_page_shows_the_curve_and_its_numbers(board):
    folder, built, page = board
    (part,) = [p for p in page.split("\n## ") if "by ratio, no pre-training\n" in p]
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in part.splitlines() if "|" in line]
    assert rows[0] == ["method", "ratio 10", "ratio 50", "ratio 100", "natural (58:1)"]
    assert rows[2] == [
        "cross-entropy",
        *(f"{v:.3f} [{v - 0.05:.3f}, {v + 0.05:.3f}], 2 seeds" for v in (0.49, 0.45, 0.4)),
        "0.470 [0.420, 0.520], 1 seed",
    ]
    interval = "0.600 [0.550, 0.650], 1 seed"
    assert rows[3:] == [["focal", interval, interval, "-", "-"]]
    assert "The same in every row: architecture Xception, framework torch" in part
    pictures = sorted(p.relative_to(folder).as_posix() for p in folder.glob("plots/*-curve.png"))
    assert len(pictures) == 2
    assert all(f"]({name})" in page and folder / name in built.paths for name in pictures)


@pytest.mark.parametrize(
    "records",
    [
        [a_record(imbalance="50"), a_record(0.6, "50", method="focal")],
        [a_record(imbalance="natural")],
        [a_record(imbalance="10"), a_record(imbalance="50", allow_leaks=True)],
        [a_record(imbalance="10"), a_record(imbalance="50", positive="MEL")],
        [a_record(imbalance="10"), a_record(None, imbalance="50")],
        [
            a_record(imbalance="10"),
            a_record(imbalance="50", fields={"weights": WeightsUsed(kind="timm", name="x")}),
        ],
        [
            a_record(imbalance="10"),
            a_record(
                imbalance="50",
                fields={"data": DataUsed(name="synthetic", fingerprint="e" * 64, classes=("a",))},
            ),
        ],
        [a_record(task_options={"share": "10"}), a_record(task_options={"share": "50"})],
    ],
)
def test_there_is_no_curve_without_two_ratios_of_one_question(records):
    assert drawn(*records) == []


def test_two_profiles_make_a_curve_and_the_natural_one_stands_apart():
    (curve,) = drawn(a_record(imbalance="100"), a_record(imbalance="10"))
    assert (curve.ratios, curve.others) == ({"10": 10.0, "100": 100.0}, {})
    (curve,) = drawn(a_record(imbalance="natural"), a_record(imbalance="10"))
    assert (curve.ratios, curve.others) == ({"10": 10.0}, {"natural": "natural"})


@pytest.mark.parametrize(
    ("notes", "called"),
    [
        (((measured("58.3"),), (measured("58.3"),)), "natural (58:1)"),
        (((measured("58.3"),), (measured("40.0"),)), "natural"),
        ((("other", measured("4.6")), ()), "natural (4.6:1)"),
        ((("at 10:00, 3 times the images of before",), ()), "natural"),
    ],
)
def test_a_natural_ratio_is_told_where_the_notes_agree(notes, called):
    natural = [a_record(imbalance="natural", notes=n, seed=s) for s, n in enumerate(notes)]
    (curve,) = drawn(a_record(imbalance="10"), *natural)
    assert curve.others == {"natural": called}


def test_lines_stand_by_their_mean_and_those_that_lack_a_ratio_last():
    records = [
        *(a_record(0.3, ratio, method="low") for ratio in ("10", "50")),
        *(a_record(score, ratio, method="high") for ratio, score in (("10", 0.2), ("50", 0.6))),
        a_record(0.9, "10", method="alone"),
    ]
    (curve,) = drawn(*records)
    assert [line.told["method"] for line in curve.lines] == ["high", "low", "alone"]
    assert list(curve.lines[-1].points) == ["10"]


def test_rows_that_differ_in_a_setting_are_lines_of_their_own():
    records = [a_record(0.3, r, image_size=[s, s]) for r in ("10", "50") for s in (64, 96)]
    (curve,) = drawn(*records)
    assert sorted(line.told["image size"] for line in curve.lines) == ["64x64", "96x96"]
    assert all(len(line.points) == 2 for line in curve.lines)


def test_the_same_records_draw_the_same_bytes_in_any_order(tmp_path):
    records = [
        a_record(0.3 + 0.01 * n, ratio, method=f"$m_{n}$")
        for ratio in ("10", "50", "natural")
        for n in range(MOST_LINES + 2)
    ]
    (curve,), (again,) = drawn(*records), drawn(*reversed(records))
    assert curve == again
    draw_curve(curve, tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30}):
        draw_curve(again, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as opened:
        told = opened.info["Description"]
    assert f"macro F1 of {MOST_LINES} lines at ratio 10, ratio 50, natural" in told
    assert "\n" not in told


def test_a_line_without_an_interval_and_a_single_ratio_can_be_drawn(tmp_path):
    bare = Metric(value=0.4, n=10, groups=9)
    record = a_record(imbalance="10").model_copy(update={"metrics": {"macro_f1": bare}})
    (curve,) = drawn(record, a_record(imbalance="natural"))
    draw_curve(curve, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_the_csv_holds_every_question(board):
    table = pd.read_csv(board[0] / "table.csv", keep_default_na=False)
    runs = table[table["kind"] == "run"]
    assert sorted(runs["question"].unique()) == [
        "imbalance=10",
        "imbalance=10, positive=MEL",
        "imbalance=100",
        "imbalance=50",
        "imbalance=50, positive=MEL",
        "imbalance=natural",
    ]
    assert (runs["leaks"] == "allowed").sum() == 1
    assert not runs["settings"].str.contains("task_options|allow_leaks").any()


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("g_mean", "G-mean"),
        ("few_shot_sensitivity", "few-shot sensitivity"),
        ("many_shot_f1", "many-shot F1"),
        ("hard_label_auc", "hard-label AUC"),
        ("average_precision", "average precision"),
        ("sensitivity_at_90_specificity", "sensitivity at 90 % specificity"),
        ("balanced_accuracy", "balanced accuracy"),
    ],
)
def test_metrics_of_imbalance_have_readable_titles(metric, words):
    assert title(metric) == words


def test_the_natural_ratio_is_read_from_the_notes_that_the_task_writes():
    labels = [0] * 26 + [1] * 6
    ids = [f"i{n}" for n in range(len(labels))]
    table = pd.DataFrame({"path": ids, "label": labels, "group": ids, "split": ""}, index=ids)
    dataset = Dataset("hand", "here", table.rename_axis("id"), ("a", "b"))
    trial = Trial("main", train=(*ids[:23], *ids[26:28]), validation=(), test=(ids[25], ids[30]))
    said = Outputs(trial.test, np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    notes = Imbalance().score(dataset, trial, said).notes
    (curve,) = drawn(a_record(imbalance="10"), a_record(imbalance="natural", notes=notes))
    assert curve.others == {"natural": "natural (12:1)"}


def test_the_page_shows_metrics_that_the_task_has():
    metrics = {name: Metric(value=0.5, n=9, groups=9) for name in Imbalance.shown}
    table = build_table([a_record().model_copy(update={"metrics": metrics})])
    shown = shown_metrics(table)
    assert shown[0] == Imbalance.headline
    assert len(shown) == 10
