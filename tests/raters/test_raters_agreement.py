"""The tables of agreement: what is averaged, counted and named; files, pictures, the command."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark.data
from benchmark.data.dataset import MASK_COLUMNS, Dataset
from benchmark.errors import UserError
from benchmark.metrics.statistics import bootstrap
from benchmark.raters import raters
from benchmark.raters.agreement import COLUMNS, FEW_NOTE
from benchmark.raters.report import headline, write


def _dataset(folder, drawn, table=None, readers=None):
    """`drawn`: (image, annotator, characteristic, session) to (first, last) marked column."""
    rows = []
    for number, ((sample_id, name, what, session), (first, last)) in enumerate(drawn.items()):
        mask = np.zeros((5, 10), np.uint8)
        mask[:, first:last] = 255
        path = folder / f"{number}.png"
        Image.fromarray(mask).save(path)
        rows.append((sample_id, name, what, str(path), session))
    ids = list(dict.fromkeys(sample_id for sample_id, *_ in drawn))
    if table is None:
        table = pd.DataFrame({"group": ids, "label": 0}, index=ids)
    table = table.assign(path="", split="")
    if readers is not None:
        table["readers"] = readers
    masks = pd.DataFrame(rows, columns=[*MASK_COLUMNS, "session"])
    return Dataset("made", folder, table, ("even", "odd"), masks, ("something odd",))


def _row(agreement, level, name="all", measure="pairs", counted="drew", score="f1"):
    table = agreement.table
    for column, value in zip(COLUMNS, (level, name, measure, counted, score), strict=False):
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return row


@pytest.fixture
def made(tmp_path):
    """i: a 0-4, b 2-6, c 0-4; j: a and b the same; k: a alone, as Scar. c read all three."""
    drawn = {
        ("i", "a", "Scale", 1): (0, 4),
        ("i", "b", "Scale", 1): (2, 6),
        ("i", "c", "Scale", 1): (0, 4),
        ("j", "a", "Scale", 1): (0, 5),
        ("j", "b", "Plaque", 1): (0, 5),
        ("j", "a", "Scale", 2): (0, 5),
        ("k", "a", "Scar", 1): (0, 2),
    }
    table = pd.DataFrame(
        {
            "group": ["p", "q", "q", "r"],
            "label": [0, 0, 1, 1],
            "skin_tone": ["dark", "light", "", "light"],
            "dataset": ["X"] * 4,
        },
        index=list("ijkl"),
    )
    return _dataset(tmp_path, drawn, table, readers=["a;b;c"] * 4)


def test_every_image_weighs_the_same(made):
    row = _row(raters(made), "image")
    # i: 1/2, 1, 1/2 over three pairs; j: 1 over one.
    assert row["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert (row["n_images"], row["n_groups"], row["n_pairs"]) == (2, 2, 4)


def test_nothing_drawn_counts_as_zero_where_the_readers_are_known(made):
    row = _row(raters(made), "image", counted="read")
    # j: c drew nothing, 1, 0, 0; k: only a drew, 0, 0, and the pair of b and c has no score.
    assert row["value"] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert (row["n_images"], row["n_groups"], row["n_pairs"]) == (3, 2, 8)


def test_characteristics_count_pairs_that_drew_it_and_disagreement_as_zero(made):
    agreement = raters(made)
    drew = _row(agreement, "characteristic", "Scale")
    assert (drew["value"], drew["n_images"]) == (pytest.approx(2 / 3), 1)
    read = _row(agreement, "characteristic", "Scale", counted="read")
    assert (read["value"], read["n_images"], read["n_pairs"]) == (pytest.approx(1 / 3), 2, 5)
    plaque = _row(agreement, "characteristic", "Plaque")
    assert np.isnan(plaque["value"])
    assert (plaque["n_images"], plaque["note"]) == (0, "nothing to compare")


def test_levels_hold_pairs_annotators_and_groups_of_images(made):
    agreement = raters(made)
    assert _row(agreement, "annotator pair", "a - b")["value"] == pytest.approx((1 / 2 + 1) / 2)
    against = _row(agreement, "annotator", "a", "against the others (share)")
    # i: b and c share; columns 0-1: 1/2, 2-3: 1, 4-5: 1/2. j: b alone.
    assert against["value"] == pytest.approx((2 * 3 / (4 + 4) + 1) / 2)
    assert _row(agreement, "diagnosis", "even")["n_images"] == 2
    assert _row(agreement, "diagnosis", "odd", counted="read")["value"] == 0
    assert _row(agreement, "skin tone", "(missing)", counted="read")["n_images"] == 1
    assert _row(agreement, "source", "X")["n_images"] == 2
    assert "age" not in set(agreement.table["level"])


def test_repeats_compare_sessions_and_the_pairs_of_the_same_images(made):
    agreement = raters(made)
    repeat = _row(agreement, "repeat", measure="first against second session")
    assert (repeat["value"], repeat["n_pairs"]) == (1, 1)
    again = _row(agreement, "repeat", "b", "first against second session", "read")
    assert (again["value"], again["n_pairs"]) == (0, 1)
    same = _row(agreement, "repeat", measure="pairs on the images read twice")
    assert (same["value"], same["n_images"]) == (1, 1)


def test_odd_cases_are_counted_and_named(made):
    agreement = raters(made)
    text = " ".join(agreement.remarks)
    assert "1 image without any mask enter no number: l." in text
    assert "1 image with marks of one annotator only enter no row of those who drew: k." in text
    assert "1 repeat reading where nothing was drawn in either session enter no number: c j" in text
    assert "1 pairs in which neither annotator drew" in text
    assert "something odd" in agreement.remarks
    assert agreement.readings["nothing drawn"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert set(agreement.readings["read"]) == {4}


def test_without_known_readers_only_masks_speak(made):
    unknown = Dataset(
        "made", made.root, made.table.drop(columns="readers"), made.classes, made.masks
    )
    agreement = raters(unknown)
    drew, read = (_row(agreement, "image", counted=how) for how in ("drew", "read"))
    assert {k: drew[k] for k in ("value", "n_pairs")} == {k: read[k] for k in ("value", "n_pairs")}
    assert any("is not known here" in remark for remark in agreement.remarks)


def test_annotators_may_be_called_anything(made):
    names = {"a": "Zoë", "b": "M", "c": "A | B"}
    renamed = Dataset(
        "made",
        made.root,
        made.table.assign(readers="M;Zoë;A | B"),
        made.classes,
        made.masks.assign(annotator=made.masks["annotator"].map(names)).iloc[::-1],
    )
    levels = ["image", "characteristic", "diagnosis"]
    tables = [a.table[a.table["level"].isin(levels)] for a in (raters(made), raters(renamed))]
    pd.testing.assert_frame_equal(*(t.reset_index(drop=True) for t in tables))


@pytest.fixture
def many(tmp_path):
    """Forty images of twenty patients; a second annotator is off by up to five columns."""
    rng = np.random.default_rng(2)
    drawn = {}
    for number in range(40):
        drawn[f"i{number:02}", "a", "", 1] = (0, 5)
        off = int(rng.integers(0, 5))
        drawn[f"i{number:02}", "b", "", 1] = (off, off + 5)
    ids = [f"i{number:02}" for number in range(40)]
    table = pd.DataFrame({"group": [f"p{n // 2}" for n in range(40)], "label": 0}, index=ids)
    table["skin_tone"] = ["dark"] * 29 + ["light"] * 11
    return _dataset(tmp_path, drawn, table)


def test_intervals_are_the_bootstrap_over_patients(many):
    agreement = raters(many)
    values = agreement.pairs[agreement.pairs["level"] == "image"].set_index("id")["f1"]
    expected = bootstrap(values.to_numpy(), many.table["group"].loc[values.index].to_numpy())
    row = _row(agreement, "image")
    assert [row[k] for k in ("value", "low", "high", "n_images", "n_groups")] == pytest.approx(
        [expected.value, expected.low, expected.high, 40, 20]
    )
    assert row["low"] < row["value"] < row["high"]


def test_few_images_carry_a_warning(many):
    agreement = raters(many)
    assert _row(agreement, "image")["note"] == ""
    assert _row(agreement, "skin tone", "dark")["note"] == FEW_NOTE
    assert _row(agreement, "characteristic", "(whole lesion)")["value"] > 0


def test_interval_of_one_patient_is_refused(many):
    alone = Dataset("made", many.root, many.table.assign(group="p"), many.classes, many.masks)
    row = _row(raters(alone), "skin tone", "dark")
    assert np.isnan([row["low"], row["high"]]).all()
    assert row["note"] == f"{FEW_NOTE}, of one patient: no interval"


def test_too_few_annotators_are_refused_in_one_line(tmp_path):
    one = _dataset(tmp_path, {("i", "a", "Scale", 1): (0, 4)})
    apart = _dataset(tmp_path, {("i", "a", "", 1): (0, 4), ("j", "b", "", 1): (0, 4)})
    none = Dataset("made", tmp_path, one.table, one.classes)
    for dataset, held in (
        (one, r"masks of one annotator \(a\)"),
        (apart, "no image that two annotators read"),
        (none, "no masks"),
    ):
        with pytest.raises(UserError, match=f"holds {held}: agreement needs"):
            raters(dataset)


def test_files_are_the_tables_and_the_same_each_time(made, tmp_path):
    agreement = raters(made)
    files = write(agreement, tmp_path / "one")
    again = write(raters(made), tmp_path / "two")
    assert [path.name for path in files] == [
        "agreement.md",
        "agreement.csv",
        "annotator-pairs.png",
        "characteristics.png",
        "per_image_pairs.csv",
        "per_image_others.csv",
    ]
    for path, other in zip(files, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
    table = pd.read_csv(files[1])
    assert list(table.columns) == list(COLUMNS)
    assert table["value"].to_numpy() == pytest.approx(
        agreement.table["value"], nan_ok=True, abs=1e-6
    )
    pairs = pd.read_csv(files[4])
    drew = pairs[(pairs["level"] == "image") & (pairs["drew"] == 2)]
    assert drew.groupby("id")["f1"].mean().mean() == pytest.approx(
        _row(agreement, "image")["value"], abs=1e-5
    )
    page = files[0].read_text()
    for part in ("## Characteristics", "## Repeated readings", "enter no number: l", "share"):
        assert part in page
    for picture in files[2:4]:
        pixels = np.asarray(Image.open(picture).convert("L"))
        assert pixels.std() > 10


def test_headline_holds_pairs_others_and_repeats(made):
    table = headline(raters(made))
    assert list(table["compared"]) == [
        "two annotators",
        "two annotators",
        "one against the others (share)",
        "one against the others (share)",
        "one against the others (sum)",
        "one against the others (sum)",
        "one annotator, first against second session",
        "one annotator, first against second session",
        "two annotators, the images read twice",
        "two annotators, the images read twice",
    ]


def _benchmark(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=300,
        check=False,
    )


def test_command_compares_the_annotators_of_a_made_data_set(tmp_path):
    options = ["images=54", "size=64", "annotators=3"]
    asked = [part for option in options for part in ("--data-option", option)]
    assert _benchmark("data", "make", "--data-dir", tmp_path, *asked).returncode == 0
    (root,) = tmp_path.glob("synthetic-*")
    out = tmp_path / "out"
    done = _benchmark("raters", "--dataset", "dermxdb", "--data-dir", root, "--out", out)
    assert done.returncode == 0, done.stderr
    dataset = benchmark.data.load("dermxdb", root)
    folder = out / "v1" / "raters" / f"dermxdb-{dataset.fingerprint[:12]}"
    assert str(folder / "agreement.md") in done.stdout
    assert "one against the others (share)" in done.stdout
    table = pd.read_csv(folder / "agreement.csv")
    first = table[(table["level"] == "image") & (table["counted"] == "drew")].iloc[0]
    assert 0 < first["low"] < first["value"] < first["high"] < 1
    assert first["n_images"] <= 54
    assert len(table[table["level"] == "annotator pair"]["name"].unique()) == 3


def test_command_refuses_data_of_one_annotator_in_one_line(tmp_path):
    for name in ("x", "y"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / name / f"{name}.png")
    done = _benchmark("raters", "--dataset", "folder", "--data-dir", tmp_path / "images")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "holds no masks: agreement needs masks of at least two annotators" in line


def test_command_shows_an_example():
    assert "python -m benchmark raters --dataset dermxdb" in _benchmark("raters", "--help").stdout


@pytest.mark.slow
def test_real_annotators_agree_as_measured(real_data):
    agreement = raters(benchmark.data.load("dermxdb", real_data / "dermxdb", sessions="both"))
    # python -m benchmark raters --dataset dermxdb --data-dir dermxdb
    for measure, counted, value in (
        ("pairs", "drew", 0.670),
        ("pairs", "read", 0.516),
        ("against the others (share)", "drew", 0.669),
        ("against the others (sum)", "drew", 0.655),
    ):
        row = _row(agreement, "image", measure=measure, counted=counted)
        assert row["value"] == pytest.approx(value, abs=5e-4)
    repeat = _row(agreement, "repeat", measure="first against second session")
    assert repeat["value"] == pytest.approx(0.742, abs=5e-4)
    assert agreement.readings["read"].to_dict() == {f"labeller{n}": 566 for n in range(1, 9)}
    assert set(agreement.table.loc[agreement.table["name"] == "dark", "note"]) == {FEW_NOTE}
