"""The curve over ratios of imbalance: what it joins, its order, its picture."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from PIL import Image

from benchmark.data.dataset import Dataset
from benchmark.leaderboard import build
from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.curve_plot import MOST_LINES, _words, draw_curve
from benchmark.leaderboard.curves import curves
from benchmark.leaderboard.table import build_table
from benchmark.records.record import DataUsed, Metric, WeightsUsed
from benchmark.records.store import Store
from tasks.given import Outputs, Trial
from tasks.imbalance import Imbalance

sys.path.insert(0, str(Path(__file__).parent))
imbalance_made = importlib.import_module("imbalance_made")
LEAK, a_record, on, measured = (
    imbalance_made.LEAK,
    imbalance_made.a_record,
    imbalance_made.on,
    imbalance_made.measured,
)
records_made = importlib.import_module("records_made")


def drawn(*records):
    return curves(build_table(records), records)


@pytest.mark.parametrize(
    "records",
    [
        [a_record(imbalance="50"), a_record(0.6, "50", method="focal")],
        [a_record(imbalance="natural")],
        [a_record(imbalance="10"), a_record(imbalance="50", fields={"leaks": (LEAK,)})],
        [a_record(imbalance="10"), a_record(imbalance="50", fields=on("x", "u" * 64))],
        [a_record(imbalance="10"), a_record(imbalance="50", fields=on("x", ""))],
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


def test_means_over_different_ratios_are_never_compared():
    """Without the natural training set, which is easier; of other ratios only among themselves."""
    scores = {
        "best": {"10": 0.6, "50": 0.5, "100": 0.4},
        "with natural": {"10": 0.5, "50": 0.4, "100": 0.3, "natural": 0.9},
        "easy low": {"10": 0.7, "50": 0.7},
        "hard": {"50": 0.75, "100": 0.75},
        "easy high": {"10": 0.8, "50": 0.8},
        "two of four": {"100": 0.9, "natural": 0.9},
        "natural alone": {"natural": 0.95},
    }
    records = [a_record(s, r, method=m) for m, own in scores.items() for r, s in own.items()]
    (curve,) = drawn(*records)
    assert [line.told["method"] for line in curve.lines] == [
        *("best", "with natural", "easy high", "easy low", "hard", "two of four", "natural alone"),
    ]


def test_runs_on_other_test_images_have_a_curve_and_a_picture_of_their_own():
    records = [
        a_record(score, ratio, fields=on(f"{ratio} {test}", test))
        for score, test in ((0.3, "u" * 64), (0.5, ""), (0.7, "t" * 64))
        for ratio in ("10", "50")
    ]
    found = drawn(*records)
    assert len({curve.plot for curve in found}) == len({curve.test for curve in found}) == 3
    values = [[p.value for p in line.points.values()] for curve in found for line in curve.lines]
    assert sorted(values) == [[0.3, 0.3], [0.5, 0.5], [0.7, 0.7]]
    assert [curve.lines[0].points["10"].value for curve in found if not curve.test] == [0.5]


def test_the_test_images_of_every_trial_count():
    def two(test):
        trials = (("one", "t" * 64), ("two", test))
        return {"trials": tuple(records_made.trial({}, n, f"{n} {test}", t) for n, t in trials)}

    assert len(drawn(a_record(imbalance="10", fields=two("a")), a_record(fields=two("a")))) == 1
    assert drawn(a_record(imbalance="10", fields=two("a")), a_record(fields=two("b"))) == []


def test_an_older_record_of_a_known_split_has_its_test_images():
    old = a_record(0.4, "10", seed=1, fields=on("ten", ""))
    assert drawn(old, a_record(imbalance="50")) == []
    for seed in (0, 2):
        new = a_record(0.6, "10", seed=seed, fields=on("ten"))
        assert len(drawn(old, new, a_record(imbalance="50"))) == 1


def test_a_page_says_where_older_records_do_not_know_their_test_images(tmp_path):
    for ratio in ("10", "50"):
        Store(tmp_path).save(a_record(imbalance=ratio, fields=on(ratio, "")))
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    assert "whether those of all ratios are the same is not known" in page


def test_of_a_profile_on_two_splits_one_is_drawn_and_the_other_is_named(tmp_path):
    edited = {"created": "2025-03-02T12:00:00+00:00"} | on("edited")
    records = [
        *(a_record(0.5, "10", method=m, fields=on("first")) for m in ("cross-entropy", "focal")),
        a_record(0.9, "10", fields=edited),
        a_record(0.9, "10", method="only edited", fields=edited),
        a_record(0.9, "10", method="focal", fields=edited),
        a_record(0.4, "50"),
    ]
    for some, value, other in ((records, 0.9, 0.5), (records[:3] + records[-1:], 0.5, 0.9)):
        (curve,), (again,) = drawn(*some), drawn(*reversed(some))
        assert curve == again
        points = {line.told.get("method"): line.points for line in curve.lines}
        assert points["cross-entropy"]["10"].value == value
        assert ("only edited" in points) == (value == 0.9)
        table = build_table(some)
        names = table[table[COLUMNS.question] == "imbalance=10"].set_index("macro_f1")["split"]
        shown, left = (names.loc[[v]].iloc[0][:8] for v in (value, other))
        (sentence,) = curve.left_out
        assert sentence.startswith("Ratio 10 was run on several splits with the same test images")
        assert f"shown is {shown} (" in sentence
        assert f"left out {left} (" in sentence
    for record in records:
        Store(tmp_path).save(record)
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    assert "(3 rows), left out" in page
    assert page.count("ratio 10, no pre-training\n") == 2


def test_of_two_splits_with_as_many_rows_the_newer_is_drawn():
    for old, new in (("a", "b"), ("b", "a")):
        newer = {"created": "2025-03-02T12:00:00+00:00"} | on(new)
        records = [a_record(0.4, "10", fields=on(old)), a_record(0.6, "10", fields=newer)]
        (curve,) = drawn(*records, a_record(imbalance="50"))
        assert curve.lines[0].points["10"].value == 0.6


def test_one_epoch_is_no_epochs_and_the_axis_says_whose_ratio_it_is(tmp_path, monkeypatch):
    labels = []
    monkeypatch.setattr(Axes, "set_xlabel", lambda _, words, **__: labels.append(words))
    records = [
        a_record(0.1 * n, r, recipe={"epochs": n}) for r in ("10", "natural") for n in (1, 2)
    ]
    (curve,) = drawn(*records)
    draw_curve(curve, tmp_path / "a.png")
    assert labels == ["ratio asked for (largest to rarest class)"]
    assert _words(curve)[1] == ["2 epochs", "1 epoch"]
    alone = replace(curve, lines=curve.lines[1:])
    draw_curve(alone, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as opened:
        assert "of 1 line at" in opened.info["Description"]
        assert opened.info["Description"].endswith("First: 1 epoch")


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
