"""Questions with options: what is ranked apart, what leaks, and what the page says of it."""

import importlib
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmark.leaderboard import build
from benchmark.leaderboard.columns import COLUMNS, leaks_told, options_of
from benchmark.leaderboard.markdown import escape
from benchmark.leaderboard.shown import shown_metrics
from benchmark.leaderboard.table import build_table, conditions, sections, varying_settings
from benchmark.metrics.names import title
from benchmark.records.record import Metric
from benchmark.records.store import Store
from tasks.imbalance import Imbalance

sys.path.insert(0, str(Path(__file__).parent))
imbalance_made = importlib.import_module("imbalance_made")
LEAK, a_record, on, measured = (
    imbalance_made.LEAK,
    imbalance_made.a_record,
    imbalance_made.on,
    imbalance_made.measured,
)

NEW = ("task_options", "method_options", "allow_leaks")
# Settings of the recipe that a method may fix, with two values each.
BY_METHOD = [("head", "plain", "cosine"), ("class_weights", False, True)]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    records = [
        *(a_record(0.5 - int(r) / 1000, r, seed=s) for r in ("10", "50", "100") for s in (0, 1)),
        a_record(0.47, "natural", notes=(measured("58.3"),)),
        *(a_record(0.6, r, method="focal", method_options={"gamma": 2.0}) for r in ("10", "50")),
        a_record(0.9, "10", allow_leaks=True, fields={"leaks": (LEAK, "<b>bold</b>\n# more")}),
        a_record(0.8, "10", allow_leaks=True, method="focal", fields={"leaks": (LEAK,)}),
        a_record(0.4, "10", allow_leaks=True, positive="MEL"),
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
        {"fields": {"leaks": (LEAK,)}},
    ],
)
def test_another_question_or_leaks_are_never_ranked_with_this_one(change):
    split = on("s" * 64)
    fields = split | change.pop("fields", {})
    table = build_table([a_record(0.8, fields=split), a_record(0.9, fields=fields, **change)])
    assert [len(part) for part in sections(table)] == [1, 1]
    assert table[COLUMNS.rank].tolist() == [1, 1]
    assert table[COLUMNS.section].nunique() == 2


def test_the_question_is_a_column_without_what_is_left_open():
    options = [{"positive": "MEL", "imbalance": "50"}, {"imbalance": 50, "positive": None}, {}]
    table = build_table([a_record(task_options=each) for each in options])
    assert set(table[COLUMNS.question]) == {"imbalance=50, positive=MEL", "imbalance=50", ""}


def test_leaks_are_those_that_were_found_and_not_the_leave_to_have_them():
    found = a_record(fields={"leaks": (LEAK,)})
    table = build_table([found, a_record(imbalance="10", allow_leaks=True)])
    assert dict(zip(table[COLUMNS.question], table[COLUMNS.leaks], strict=True)) == {
        "imbalance=50": "allowed",
        "imbalance=10": "",
    }
    assert list(leaks_told([found, a_record()]).values()) == [(LEAK,)]


def test_leave_to_leak_makes_no_row_and_is_no_setting_to_tell():
    seeds = [a_record(seed=0), a_record(seed=1, allow_leaks=True)]
    assert build_table(seeds)[COLUMNS.n_seeds].tolist() == [2]
    others = build_table([a_record(), a_record(method="focal", allow_leaks=True)])
    assert varying_settings(others) == ["", ""]


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


@pytest.mark.parametrize(("key", "one", "other"), BY_METHOD)
def test_what_a_method_decides_of_the_recipe_is_told_only_where_its_own_runs_differ(
    key, one, other
):
    def by(score, method, value):
        return a_record(score, method=method, recipe={"epochs": 9, key: value})

    table = build_table([by(0.9, "cross-entropy", one), by(0.8, "ldam-drw", other)])
    assert varying_settings(table) == ["", ""]
    both = build_table([by(0.9, "cross-entropy", one), by(0.8, "cross-entropy", other)])
    assert varying_settings(both) == [f"{key}={one}", f"{key}={other}"]
    rates = [
        a_record(s, method=m, recipe={"learning_rate": s}) for s, m in ((0.9, "a"), (0.8, "b"))
    ]
    assert varying_settings(build_table(rates)) == ["learning_rate=0.9", "learning_rate=0.8"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "ratio 50, no pre-training"),
        ({"imbalance": "natural"}, "natural ratio, no pre-training"),
        ({"positive": "MEL"}, "ratio 50, MEL against the rest, no pre-training"),
        ({"task_options": {"labelled_share": 0.1}}, "labelled share 0.1, no pre-training"),
        ({"task_options": {}}, "no pre-training"),
        ({"fields": {"leaks": (LEAK,)}}, "ratio 50, leaks allowed, no pre-training"),
        ({"allow_leaks": True}, "ratio 50, no pre-training"),
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
        f"{before}, ratio 10, leaks allowed, no pre-training",
    ]


def test_only_sections_with_leaks_warn_of_them(board):
    parts = board[2].split("\n## ")
    warned = [part for part in parts if "Not to be compared with other sections" in part]
    assert len(warned) == 1
    heading, _, warning, *_ = warned[0].splitlines()
    assert "leaks allowed" in heading
    told = f"memory. {escape(LEAK)} {escape('<b>bold</b> # more')}"
    assert warning == f"**Not to be compared with other sections**, because leaks reward {told}"


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
    assert re.search("rows that lack a ratio come last. Test images `[0-9a-f]{8}`.", part)
    pictures = sorted(p.relative_to(folder).as_posix() for p in folder.glob("plots/*-curve.png"))
    assert len(pictures) == 2
    assert all(f"]({name})" in page and folder / name in built.paths for name in pictures)


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
    assert (runs["leaks"] == "allowed").sum() == 2
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


def test_the_page_shows_metrics_that_the_task_has():
    metrics = {name: Metric(value=0.5, n=9, groups=9) for name in Imbalance.shown}
    table = build_table([a_record().model_copy(update={"metrics": metrics})])
    shown = shown_metrics(table)
    assert shown[0] == Imbalance.headline
    assert len(shown) == 12
