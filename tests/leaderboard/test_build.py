"""The leaderboard's files: the same records give the same bytes, and text stays text."""

import importlib
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.image import imread

from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.markdown import cell, escape
from benchmark.leaderboard.opening import opening
from benchmark.leaderboard.part import Part
from benchmark.leaderboard.plots import MOST_ROWS, bars
from benchmark.leaderboard.report import markdown_sections
from benchmark.leaderboard.table import build_table, section_id, sections
from benchmark.records.index import head_of
from benchmark.records.record import Metric, WeightsUsed
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

HOSTILE = "<script>alert(1)</script> | ![x](javascript:y) `$z$` \x1b[31m\n# heading"


def a_metric(value, half=0.05):
    if value is None:
        return Metric(value=None, n=0, groups=0, note="no image")
    return Metric(value=value, low=value - half, high=value + half, n=100, groups=90)


def a_record(run_id, auc=0.8, headline="macro_auc", extra=None, **config):
    metrics = {headline: a_metric(auc)} | {k: a_metric(v) for k, v in (extra or {}).items()}
    config = {
        "arch": "Xception",
        "framework": "torch",
        "method": "cross-entropy",
        "weights": "none",
        "image_size": [128, 128],
        "budget": "quick",
        "recipe": {"epochs": 9, "learning_rate": 0.001},
        "seed": 0,
    } | config
    task = "explainability" if headline == "explainability_f1" else "diagnosis"
    return records_made.record(run_id, headline, metrics, config, task=task)


@pytest.fixture
def results(tmp_path):
    """A small board: two tasks, both frameworks, two seeds, an undefined score, a hostile name."""
    records = [
        a_record("a1", 0.8),
        a_record("a2", 0.9, seed=1),
        a_record("b1", 0.7, framework="keras", extra={"accuracy": 0.6}),
        a_record("c1", None, arch="VGG16"),
        a_record("d1", 0.6, method=HOSTILE),
        a_record(
            "e1",
            0.4,
            headline="explainability_f1",
            extra={"explainability_skill": 0.3, "macro_auc": 0.8},
        ),
    ]
    for record in records:
        Store(tmp_path).save(record)
    return tmp_path


def files(results):
    return {p.relative_to(results): p.read_bytes() for p in results.rglob("*") if p.is_file()}


def test_a_board_from_random_weights_alone_says_so_first(tmp_path):
    Store(tmp_path).save(a_record("a1"))
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text().splitlines()
    assert page[2].startswith("Every run here started from random weights")
    site = (tmp_path / "v1" / "site" / "index.html").read_text()
    assert page[2] in site

    sent = a_record("s1").model_copy(update={"weights": WeightsUsed(kind="unverified")})
    told = opening([head_of(each, "") for each in (a_record("a1"), sent)])
    assert told == f"{page[2]} What submissions started from is what their authors say of them."
    assert opening([head_of(sent, "")]) == ""

    pretrained = a_record("b1", weights="imagenet")
    Store(tmp_path).save(pretrained.model_copy(update={"weights": WeightsUsed(kind="imagenet")}))
    build(tmp_path)
    for name in ("leaderboard.md", "site/index.html"):
        assert "random weights" not in (tmp_path / "v1" / name).read_text()


def test_rows_that_may_have_learned_nothing_are_named_below_their_table(tmp_path):
    # The interval is 0.05 to either side.
    for run, auc, more in (
        ("a1", 0.56, {"arch": "VGG16"}),
        ("b1", 0.54, {}),
        ("c1", 0.549, {"framework": "keras"}),
    ):
        Store(tmp_path).save(a_record(run, auc, **more))
    build(tmp_path)
    for name in ("leaderboard.md", "site/index.html"):
        page = (tmp_path / "v1" / name).read_text()
        (line,) = (each for each in page.splitlines() if "better than chance" in each)
        assert "Xception (keras), Xception (torch)." in line
        assert "VGG16" not in line


def test_rows_that_call_every_image_the_same_are_named_below_their_table(tmp_path):
    for run, sensitivity, half, more in (
        ("a1", 0.25, 0, {"arch": "VGG16"}),  # one of four classes, whichever images are drawn
        ("b1", 0.25, 0.05, {}),
        ("c1", 0.3, 0, {"framework": "keras"}),
    ):
        told = {
            "macro_sensitivity": a_metric(sensitivity, half),
            "macro_specificity": a_metric(0.75),
        }
        record = a_record(run, **more)
        Store(tmp_path).save(record.model_copy(update={"metrics": record.metrics | told}))
    build(tmp_path)
    for name in ("leaderboard.md", "site/index.html"):
        page = (tmp_path / "v1" / name).read_text()
        (line,) = (each for each in page.splitlines() if "every image the same" in each)
        assert "the same: VGG16 (torch)." in line
        assert "Xception" not in line


def test_networks_outside_the_eleven_are_marked_where_their_plugin_is_not(tmp_path):
    for run, arch in (("a1", "my-net"), ("b1", "Xception"), ("c1", "timm:resnet10t")):
        Store(tmp_path).save(a_record(run, arch=arch))
    build(tmp_path)
    for name in ("leaderboard.md", "site/index.html"):
        page = (tmp_path / "v1" / name).read_text()
        (line,) = (each for each in page.splitlines() if "Outside the eleven" in each)
        assert "my-net, timm:resnet10t. Such" in line.replace("\\", "")
    (own,) = (tmp_path / "v1" / "site" / "architectures").glob("my-net*.html")
    assert "Not one of the eleven" in own.read_text()


def test_table_report_and_a_plot_per_section_are_written(results):
    built = build(results)
    names = [str(p.relative_to(results / "v1")) for p in built.paths]
    assert names[:3] == ["leaderboard.md", "table.csv", "table.parquet"]
    *plots, site = names[3:]
    assert site == "site/index.html"
    assert [n.rsplit("-", 1)[0] for n in plots] == [
        "plots/diagnosis-synthetic",
        "plots/explainability-synthetic",
        "plots/explainability-dermxdb",  # what others reported
        "plots/explainability-dermxdb-7a4146ab",  # the same against their diagnosis
    ]
    text = (results / "v1" / "leaderboard.md").read_text()
    for name in plots:
        assert f"]({name})" in text
    assert built.problems == ()


def test_the_same_records_give_the_same_bytes(results, tmp_path_factory):
    build(results)
    first = files(results)
    build(results)
    assert files(results) == first
    other = tmp_path_factory.mktemp("other")
    for record in reversed(Store(results).all().records):
        Store(other).save(record)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 30}):
        build(other)
    assert files(other) == first


def test_the_csv_holds_the_numbers_and_leaves_missing_ones_empty(results):
    build(results)
    table = pd.read_csv(results / "v1" / "table.csv")
    xception = table[(table["task"] == "diagnosis") & (table["framework"] == "torch")].iloc[0]
    assert xception["macro_auc"] == pytest.approx(0.85)
    assert (xception["n_seeds"], xception["run_ids"]) == (2, "a1 a2")
    assert pd.isna(xception["accuracy"])
    runs = table[table["kind"] == "run"]
    assert runs["rank"].isna().sum() == 1
    assert runs["n_seeds"].tolist() == [2, 1, 1, 1, 1]


def test_missing_scores_are_dashes_and_shared_settings_stand_once(results):
    build(results)
    text = (results / "v1" / "leaderboard.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| -") and "VGG16" in line]
    assert row.count("| - ") == 3  # rank, macro AUC, accuracy
    assert "on synthetic, no pre-training" in text
    assert "The same in every row: image size 128x128, budget quick" in text
    assert "0.700 [0.650, 0.750]" in text


def test_names_from_elsewhere_stay_text(results):
    build(results)
    text = (results / "v1" / "leaderboard.md").read_text()
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "![x]" not in text.replace("\\!", "").replace("\\[", "")
    lines = [line for line in text.splitlines() if "alert" in line]
    assert len(lines) == 1
    header = next(line for line in text.splitlines() if line.startswith("| rank"))
    unescaped = lines[0].replace("\\|", "")
    assert unescaped.count("|") == header.count("|")


def test_escape_keeps_plain_text_plain():
    assert escape("cross-entropy 0.5, (v2): a.b") == "cross-entropy 0.5, (v2): a.b"
    assert escape("a|b_c") == "a\\|b\\_c"


def test_cells():
    nan = float("nan")
    assert cell(0.8731, 0.85, 0.9) == "0.873 [0.850, 0.900]"
    assert cell(0.8731, nan, nan) == "0.873"
    assert cell(nan, nan, nan) == "-"


def test_a_damaged_record_is_reported_and_the_others_are_built(results):
    (results / "v1" / "records" / "bad.json").write_text("{")
    built = build(results)
    assert len(built.problems) == 1
    assert "bad.json" in built.problems[0]
    assert (pd.read_csv(results / "v1" / "table.csv")["kind"] == "run").sum() == 5


def test_without_a_readable_record_the_remedy_is_named(tmp_path):
    with pytest.raises(UserError, match="python -m benchmark run"):
        build(tmp_path)
    (tmp_path / "v1" / "records").mkdir(parents=True)
    (tmp_path / "v1" / "records" / "bad.json").write_text("{")
    with pytest.raises(UserError, match=r"bad\.json is not valid JSON"):
        build(tmp_path)


def test_a_plot_shows_both_frameworks_in_their_colours(tmp_path):
    table = build_table([a_record("a"), a_record("b", framework="keras")])
    bars(table, tmp_path / "plot.png")
    pixels = (imread(tmp_path / "plot.png")[..., :3] * 255).round().astype(int).reshape(-1, 3)
    colours = {tuple(c) for c in pixels.tolist()}
    assert (0x00, 0x72, 0xB2) in colours
    assert (0xE6, 0x9F, 0x00) in colours


def test_an_interval_beside_its_value_can_be_drawn(tmp_path):
    record = a_record("a")
    beside = Metric(value=0.8, low=0.81, high=0.9, n=10, groups=9)
    table = build_table([record.model_copy(update={"metrics": {"macro_auc": beside}})])
    bars(table, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_a_section_without_any_score_can_be_drawn(tmp_path):
    bars(build_table([a_record("a", None)]), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_a_long_section_is_cut_in_the_plot_and_whole_in_the_report(tmp_path):
    records = [a_record(f"r{i}", 0.5, method=f"method-{i:03d}") for i in range(MOST_ROWS + 20)]
    table = build_table(records)
    bars(table, tmp_path / "plot.png")
    height = imread(tmp_path / "plot.png").shape[0]
    bars(table.head(MOST_ROWS), tmp_path / "forty.png")
    assert height == imread(tmp_path / "forty.png").shape[0]
    text = "".join(
        markdown_sections(Part((), table, {section_id(s): "p.png" for s in sections(table)}), 100)
    )
    assert f"method-{MOST_ROWS + 19:03d}" in text


def test_importing_metrics_records_and_leaderboard_loads_no_framework():
    code = (
        "import sys, benchmark.metrics.classification, benchmark.metrics.maps,"
        " benchmark.metrics.statistics, benchmark.records.store, benchmark.leaderboard;"
        "print([m for m in ('torch', 'keras', 'tensorflow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
