"""Floors, ceilings and reported numbers stand beside the runs and are never ranked with them."""

import importlib
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imread

import architectures
from benchmark.leaderboard import build
from benchmark.leaderboard.baselines import baseline_rows
from benchmark.leaderboard.columns import COLUMNS, add_rows, frame
from benchmark.leaderboard.plots import bars
from benchmark.leaderboard.published import publications, reported_rows
from benchmark.leaderboard.table import build_table, sections
from benchmark.records.record import (
    Baseline,
    DataUsed,
    Metric,
    WeightsUsed,
)
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

GAUSSIAN, OTHERS, UNTRAINED = (
    "centred Gaussian",
    "annotator against the others",
    "untrained network",
)


def a_metric(value, half=0.05, n=100):
    return Metric(value=value, low=value - half, high=value + half, n=n, groups=90)


def a_baseline(kind, f1, n=100, **more):
    metrics = {"explainability_f1": a_metric(f1, n=n)}
    return Baseline(kind=kind, metrics=metrics | {k: a_metric(v) for k, v in more.items()})


def baselines(gaussian=0.35, others=0.6, untrained=0.2):
    return {
        OTHERS: a_baseline("ceiling", others, n=80),
        GAUSSIAN: a_baseline("floor", gaussian, explainability_auprc=0.3),
        UNTRAINED: a_baseline("floor", untrained),
    }


def a_record(run_id, f1=0.4, compared=None, dataset="synthetic", weights="none", **config):
    metrics = {
        "explainability_f1": a_metric(f1),
        "explainability_skill": a_metric(0.2),
        "explainability_auprc": a_metric(0.45),
        "dermxdb_2023_f1": a_metric(0.38),
        "deletion_auc": a_metric(0.3),
    }
    config = {
        "arch": "Xception",
        "framework": "torch",
        "method": "cross-entropy",
        "weights": weights,
        "image_size": [96, 128],
        "budget": "quick",
        "recipe": {"epochs": 9},
        "seed": 0,
    } | config
    return records_made.record(
        run_id,
        "explainability_f1",
        metrics,
        config,
        task="explainability",
        task_version="2",
        data=DataUsed(name=dataset, fingerprint="d" * 64, classes=("a", "b")),
        weights=WeightsUsed(kind=weights),
        baselines=baselines() if compared is None else compared,
    )


def built(folder, *records):
    """The table, the page and what was left out, of these records."""
    for record in records:
        Store(folder).save(record)
    problems = build(folder).problems
    table = pd.read_csv(folder / "v1" / "table.csv", keep_default_na=False, dtype=str)
    return table, (folder / "v1" / "leaderboard.md").read_text(), problems


def cells(line):
    """The cells of a Markdown row, except in escaped bars."""
    return [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]


def first_table(page):
    lines = [line for line in page.splitlines() if line.startswith("|")]
    end = next(i for i, line in enumerate(lines) if line.startswith("| setting "))
    return [dict(zip(cells(lines[0]), cells(line), strict=True)) for line in lines[2:end]]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    records = [
        a_record("a1", 0.30),
        a_record("b1", 0.45, framework="keras", compared=baselines(untrained=0.25)),
        a_record("c1", 0.40, arch="VGG16", compared=baselines(untrained=0.15)),
    ]
    return built(tmp_path_factory.mktemp("board"), *records)


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A board without a section of DermXDB."""
    folder = tmp_path_factory.mktemp("apart")
    return *built(folder, a_record("a1")), folder


def test_floors_and_ceilings_stand_once_around_the_ranked_rows(board):
    table, _, problems = board
    ours = table[table["kind"] != "reported"]
    assert list(zip(ours["kind"], ours["rank"], ours["name"], strict=True)) == [
        ("ceiling", "", OTHERS),
        ("run", "1", ""),
        ("run", "2", ""),
        ("run", "3", ""),
        ("floor", "", GAUSSIAN),
        ("floor", "", "untrained Xception (keras)"),
        ("floor", "", "untrained Xception (torch)"),
        ("floor", "", "untrained VGG16 (torch)"),
    ]
    assert ours["section"].nunique() == 1
    assert problems == ()


def test_their_numbers_are_those_of_the_records(board):
    table, _, _ = board
    row = table[table["name"] == GAUSSIAN].iloc[0]
    columns = ["explainability_f1", "explainability_f1_low", "explainability_f1_high"]
    assert [float(row[c]) for c in columns] == pytest.approx([0.35, 0.30, 0.40])
    assert (row["n_images"], row["n_groups"], row["run_ids"]) == ("100", "90", "")
    assert row["dermxdb_2023_f1"] == ""


def test_the_page_shows_them_in_the_same_columns_in_italics(board):
    _, page, _ = board
    rows = first_table(page)
    assert [row["rank"] for row in rows] == [
        "*ceiling*",
        *("1", "2", "3"),
        *("*floor*",) * 4,
    ]
    assert rows[0]["architecture"] == f"*{OTHERS}*"
    assert [row["images"] for row in rows] == ["80", *["100"] * 7]
    assert rows[4]["pixel AUPRC"] == "0.300 [0.250, 0.350]"
    assert rows[4]["explainability skill"] == "-"
    assert rows[1]["explainability skill"] == "0.200 [0.150, 0.250]"
    assert rows[1]["deletion AUC ↓"] == "0.300 [0.250, 0.350]"
    assert "image size 96x128" in page


def test_a_baseline_that_records_dispute_is_left_out_and_the_records_are_named(tmp_path):
    records = [
        a_record("a1"),
        a_record("b1", framework="keras", compared=baselines(gaussian=0.36)),
        a_record("c1", arch="VGG16"),
    ]
    table, _, problems = built(tmp_path, *records)
    assert GAUSSIAN not in set(table["name"])
    assert OTHERS in set(table["name"])
    (problem,) = problems
    assert "centred Gaussian" in problem
    assert "0.350000 [0.300000, 0.400000] of 100 images in a1, c1;" in problem
    assert "0.360000 [0.310000, 0.410000] of 100 images in b1:" in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    "other",
    [
        {"x": a_baseline("ceiling", 0.3)},
        {"x": a_baseline("floor", 0.3, n=99)},
        {
            "x": Baseline(
                kind="floor", metrics={"explainability_f1": Metric(value=None, n=100, groups=90)}
            )
        },
    ],
)
def test_another_kind_number_of_images_or_a_missing_value_is_a_dispute(other):
    one = a_record("a1", compared={"x": a_baseline("floor", 0.3)})
    rows, problems = baseline_rows([one, a_record("b1", arch="VGG16", compared=other)])
    assert (rows, len(problems)) == ([], 1)


def test_round_off_is_no_dispute():
    one = a_record("a1", compared={"x": a_baseline("floor", 0.3)})
    other = a_record("b1", arch="VGG16", compared={"x": a_baseline("floor", 0.3 + 1e-6)})
    rows, problems = baseline_rows([one, other])
    assert (len(rows), problems) == (1, ())


def test_scores_of_a_networks_correct_images_stand_only_where_they_agree():
    one = a_record("a1", compared={"x": a_baseline("floor", 0.3, dermxdb_2023_f1=0.30)})
    other = a_baseline("floor", 0.3, dermxdb_2023_f1=0.32)
    (alone,), _ = baseline_rows([one])
    assert alone["dermxdb_2023_f1"] == 0.30
    (both,), problems = baseline_rows([one, a_record("b1", arch="VGG16", compared={"x": other})])
    assert problems == ()
    assert "dermxdb_2023_f1" not in both
    assert both["explainability_f1"] == 0.3


def test_records_made_before_there_were_baselines_do_not_dispute_them():
    rows, problems = baseline_rows([a_record("a1", compared={}), a_record("b1", arch="VGG16")])
    assert sorted(row[COLUMNS.name] for row in rows) == [
        OTHERS,
        GAUSSIAN,
        "untrained VGG16 (torch)",
    ]
    assert problems == ()


def test_sections_have_baselines_of_their_own():
    records = [a_record("a1"), a_record("b1", weights="imagenet", compared=baselines(0.36))]
    rows, problems = baseline_rows(records)
    assert problems == ()
    assert len({row[COLUMNS.section] for row in rows if row[COLUMNS.name] == GAUSSIAN}) == 2


def test_an_untrained_network_is_the_mean_over_its_seeds_each_counted_once():
    records = [
        a_record("a1", compared={UNTRAINED: a_baseline("floor", 0.20)}),
        a_record("b1", seed=1, compared={UNTRAINED: a_baseline("floor", 0.30)}),
        a_record("c1", seed=1, method="other", compared={UNTRAINED: a_baseline("floor", 0.30)}),
    ]
    (row,), problems = baseline_rows(records)
    assert problems == ()
    assert row["explainability_f1"] == pytest.approx(0.25)
    assert (row[COLUMNS.seeds], row[COLUMNS.n_seeds]) == ("0 1", 2)


@pytest.mark.parametrize(
    "change", [{"image_size": [64, 64]}, {"explainer": "layercam"}, {"framework": "keras"}]
)
def test_what_an_untrained_network_depends_on_makes_another_row(change):
    compared = {UNTRAINED: a_baseline("floor", 0.20)}
    records = [a_record("a1", compared=compared), a_record("b1", compared=compared, **change)]
    rows, _ = baseline_rows(records)
    assert len(rows) == 2


def test_reported_rows_are_never_ranked_in_table_page_or_plot(tmp_path):
    table, page, _ = built(tmp_path, a_record("a1", dataset="dermxdb"))
    reported = table[table["kind"] == "reported"]
    assert len(reported) == 20
    assert set(reported["rank"]) == {""}
    assert (table[table["kind"] == "run"]["rank"] == "1").all()
    assert set(reported["section"]) == set(table[table["kind"] == "run"]["section"])
    assert "### Reported elsewhere: DermXDB explainability benchmark (2023)" in page
    assert all(row["architecture"] != "NASNetMobile" for row in first_table(page))
    bars(frame(table_rows(a_record("a1", dataset="dermxdb"), reported=True)), tmp_path / "1.png")
    bars(frame(table_rows(a_record("a1", dataset="dermxdb"), reported=False)), tmp_path / "2.png")
    assert (imread(tmp_path / "1.png") == imread(tmp_path / "2.png")).all()


def table_rows(record, reported):
    table = build_table([record])
    joined = add_rows(table, reported_rows(table) if reported else [])
    return joined.to_dict("records")


def test_without_such_a_section_reported_rows_have_their_own_under_a_title(apart):
    table, page, _, folder = apart
    reported = table[table["kind"] == "reported"]
    assert len(reported) == 20
    assert not set(reported["section"]) & set(table[table["kind"] == "run"]["section"])
    assert "## Reported: DermXDB explainability benchmark (2023)" in page
    (plot,) = (folder / "v1" / "plots").glob("explainability-dermxdb-*-diagnosis.png")
    assert page.count(f"](plots/{plot.name})") == 1


def test_every_section_of_dermxdb_has_the_reported_rows():
    table = build_table(
        [a_record("a1", dataset="dermxdb"), a_record("b1", dataset="dermxdb", weights="imagenet")]
    )
    parts = sections(add_rows(table, reported_rows(table)))
    assert [(part[COLUMNS.kind] == "reported").sum() for part in parts] == [20, 20]


def dermamnist(run_id, images):
    auc = Metric(value=0.9, low=0.88, high=0.92, n=images, groups=images)
    config = {"dataset": "medmnist", "task": "diagnosis"}
    data = DataUsed(name="medmnist", fingerprint="d" * 64, classes=("a", "b"))
    fields = {"task": "diagnosis", "data": data}
    return records_made.record(run_id, "macro_auc", {"macro_auc": auc}, config, **fields)


def test_what_was_published_of_one_archive_stands_beside_rows_on_its_test_images_alone(tmp_path):
    table, page, _ = built(tmp_path, dermamnist("a1", 2005))
    assert "### Reported elsewhere: MedMNIST v2, DermaMNIST (2023)" in page
    rows = table[(table["kind"] == "reported") & (table["dataset"] == "medmnist")]
    assert set(rows["macro_auc"]) == {"0.917000", "0.913000", "0.912000"}
    assert set(rows["accuracy"]) == {"0.735000", "0.731000"}
    assert set(rows["section"]) == set(table[table["kind"] == "run"]["section"])
    assert set(rows["rank"]) == {""}
    # No deviation was printed, and of how many runs they are was not found.
    lines = [line.split("|") for line in page.splitlines() if line.startswith("| 28 px  ")]
    assert [[cell.strip() for cell in line[2:7]] for line in lines] == [
        ["ResNet18", "2005", "-", "0.917", "0.735"],
        ["ResNet50", "2005", "-", "0.913", "0.735"],
    ]
    assert "DermXDB explainability benchmark (2023)" in page


def test_another_archive_has_no_reported_rows_and_they_are_no_section_of_their_own(tmp_path):
    table, page, _ = built(tmp_path, dermamnist("a1", 400))
    assert "MedMNIST v2" not in page
    assert set(table[table["kind"] == "reported"]["dataset"]) == {"dermxdb"}


def test_a_reported_figure_has_a_deviation_and_no_interval(apart):
    table, page, *_ = apart
    chosen = (table["arch"] == "Xception") & (table["name"] == "fine-tuned")
    row = table[(table["kind"] == "reported") & chosen].iloc[0]
    assert float(row["dermxdb_2023_f1"]) == pytest.approx(0.4149, abs=5e-5)
    assert float(row["dermxdb_2023_f1_sd"]) == pytest.approx(0.0021, abs=5e-5)
    assert (row["dermxdb_2023_f1_low"], row["dermxdb_2023_f1_high"]) == ("", "")
    assert (row["n_images"], row["n_seeds"], row["framework"]) == ("262", "5", "keras")
    assert row["source"].startswith("arXiv 2302.12084; github.com/ralucaj/dermx-benchmark at aab")
    assert table[table["kind"] == "run"]["dermxdb_2023_f1_sd"].eq("").all()
    assert "0.415 ± 0.002" in page


def test_the_page_says_what_must_be_known_of_reported_rows(apart):
    page = apart[1]
    for words in ("chained", "diagnosed correctly", "restarts from ImageNet", "0.35 to 0.46"):
        assert words in page
    assert "own table was not found" in page


def test_the_reported_figures_are_scores_of_our_architectures():
    found = publications()[0]
    figures = [f for s in found.settings for row in s.rows.values() for f in row.values()]
    assert all(0 < f.mean < 1 and 0 < f.sd < 0.2 for f in figures)
    assert len(figures) == 2 * 10 * 9
    for setting in found.settings:
        assert set(setting.rows) == set(architectures.names()) - {"DenseNet121"}
        assert all(found.headline in row for row in setting.rows.values())


def test_fuzzy_scores_that_belong_together_do():
    """Dice and IoU of means are not bound exactly, but a row mixed up would be far off."""
    for setting in publications()[0].settings:
        for row in setting.rows.values():
            iou, f1 = row["dermxdb_2023_iou"].mean, row["dermxdb_2023_f1"].mean
            assert iou < f1 < 2 * iou / (1 + iou) + 0.01


def test_a_plot_marks_floors_and_ceilings_apart_from_the_runs(tmp_path):
    table = build_table([a_record("a1")])
    joined = add_rows(table, baseline_rows([a_record("a1")])[0])
    bars(joined, tmp_path / "plot.png")
    pixels = (imread(tmp_path / "plot.png")[..., :3] * 255).round().astype(int).reshape(-1, 3)
    colours = {tuple(c) for c in pixels.tolist()}
    assert {(0xDD, 0xEF, 0xE8), (0xEE, 0xEE, 0xEE), (0x00, 0x72, 0xB2)} <= colours


def test_counts_stay_whole_where_some_are_missing(board):
    table, _, _ = board
    assert set(table["parameters"]) == {"1000", ""}
    assert set(table["rank"]) == {"1", "2", "3", ""}
