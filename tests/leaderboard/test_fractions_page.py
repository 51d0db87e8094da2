"""The curve over label fractions as it is shown: its page and its picture."""

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from benchmark.leaderboard import build, fraction_plot
from benchmark.leaderboard.fraction_plot import MOST_METHODS, MOST_PANELS, draw_label_curve
from benchmark.leaderboard.markdown import escape
from benchmark.leaderboard.table import asked, title
from benchmark.pictures.figure import INK
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent))
fractions_made = importlib.import_module("fractions_made")
FEW, FULL, a_record, drawn = (
    fractions_made.FEW,
    fractions_made.FULL,
    fractions_made.a_record,
    fractions_made.drawn,
)

HOSTILE = "<b>|![x](y) `$z$` \x1b[31m\n# heading"


def page_of(folder, *records):
    for record in records:
        Store(folder).save(record)
    build(folder)
    return (folder / "v1" / "leaderboard.md").read_text()


def rows_in(page, name):
    """The cells of a table's rows whose first cell is `name`."""
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in page.splitlines()]
    return [row[1:] for row in cells if row[0] == name]


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is drawn, as it was when it was written."""
    made, really = [], fraction_plot.drawing

    @contextmanager
    def kept(target, *rest):
        with really(target, *rest) as figure:
            yield figure
            made.append(figure)

    monkeypatch.setattr(fraction_plot, "drawing", kept)
    return made


def shown(figure):
    """The panels with something in them."""
    return [axis for axis in figure.axes if axis.get_visible()]


def means(axis):
    """The lines that join the fractions, by colour and marker."""
    joined = [line for line in axis.lines if line.get_marker() in "osD^vP*Xph<>"]
    return {(line.get_color(), line.get_marker()): line for line in joined}


def across(axis):
    """The heights of the lines from one end of the panel to the other."""
    return [line.get_ydata()[0] for line in axis.lines if list(line.get_xdata()) == [0, 1]]


@pytest.mark.parametrize(
    "records",
    [[a_record({"5": None, "100": None})], [a_record(FULL, fields={"task": "diagnosis"})]],
)
def test_there_is_no_curve_without_a_score_or_of_another_task(records, tmp_path):
    assert drawn(*records) == []
    assert "by label fraction" not in page_of(tmp_path, *records)


def test_a_missing_fraction_is_a_dash_and_a_gap(tmp_path, figures):
    gap = {"5": 0.4, "10": None, "20": 0.6, "100": 0.8}
    records = [a_record(gap, "crest"), a_record(gap | {"10": 0.5})]
    (curve,) = drawn(*records)
    (row, kept) = rows_in(page_of(tmp_path, *records), "crest")
    assert row == [
        *("0.400 [0.350, 0.450]", "-", "0.600 [0.550, 0.650]", "0.800 [0.750, 0.850]", "-", "0"),
    ]
    assert kept == ["50 %", "-", "75 %", "100 %"]
    assert [line.method for line in curve.lines] == ["supervised", "crest"]
    (axis,) = shown(figures[0])
    heights = [line.get_ydata() for line in means(axis).values()]
    assert np.array_equal(heights[0], [0.4, 0.5, 0.6, 0.8])
    assert np.array_equal(heights[1], [0.4, np.nan, 0.6, 0.8], equal_nan=True)


def test_a_row_without_any_score_is_in_the_table_only(tmp_path, figures):
    records = [a_record({"5": 0.4, "100": 0.8}), a_record({"5": None, "100": None}, "crest")]
    row, _ = rows_in(page_of(tmp_path, *records), "crest")
    assert row == ["-", "-", "-", "0"]
    (legend,) = figures[0].legends
    assert "crest" not in [text.get_text() for text in legend.get_texts()]
    assert "1 more in the table" in legend.get_title().get_text()


def test_the_page_has_the_scores_the_area_the_seeds_and_what_is_kept(tmp_path):
    records = [a_record(FULL, seed=s) for s in range(3)] + [a_record(FEW | {"100": 0.8}, "isdl")]
    page = page_of(tmp_path, *records)
    row, kept = rows_in(page, "isdl")
    assert row[:3] == ["0.400 [0.350, 0.450]", "0.600 [0.550, 0.650]", "0.800 [0.750, 0.850]"]
    assert row[3:] == ["0.607 [0.557, 0.657]", "0"]
    assert kept == ["50 %", "75 %", "100 %"]
    assert rows_in(page, "supervised")[0][-1] == "0, 1, 2"
    assert "trained in the same way: 0.800 [0.750, 0.850], seeds 0, 1, 2." in page
    assert "**Rows differ in their seeds**" in page
    assert "bootstrap over groups of the test images" in page
    assert "spread over seeds" in page
    assert "no reference line" not in page


def test_rows_of_the_same_seeds_are_not_said_to_differ(tmp_path):
    page = page_of(tmp_path, a_record(FULL), a_record(FULL, "isdl"))
    assert "differ in their seeds" not in page


def test_a_page_without_a_reference_says_so_and_has_no_shares(tmp_path, figures):
    page = page_of(tmp_path, a_record(FEW), a_record(FEW, "isdl"))
    assert "There is no reference line: no record of method `supervised` with all labels" in page
    assert "Kept" not in page
    (axis,) = shown(figures[0])
    assert [text.get_text() for text in axis.texts] == ["no supervised run with all labels"]
    assert across(axis) == []


def test_each_architecture_has_a_panel_and_a_reference_of_its_own(tmp_path, figures):
    records = [
        *(a_record(FULL, m) for m in ("supervised", "isdl")),
        *(a_record(FULL | {"100": 0.9}, m, arch="VGG16") for m in ("supervised", "isdl")),
        a_record(FULL, "isdl", arch="Xception"),
    ]
    page = page_of(tmp_path, *records)
    assert "There is no reference line for 1 row:" in page
    row = next(cells for cells in rows_in(page, "isdl") if "VGG16" in cells and "44 %" in cells)
    assert row[-1] == "0.900 [0.850, 0.950], seed 0"
    panels = {axis.get_title(loc="left"): axis for axis in shown(figures[0])}
    assert set(panels) == {"MobileNetV2", "VGG16", "Xception"}
    heights = {name: across(axis) for name, axis in panels.items()}
    assert heights == {"VGG16": [0.9], "MobileNetV2": [0.8], "Xception": []}
    same = {name: set(means(axis)) for name, axis in panels.items()}
    assert same["VGG16"] == same["MobileNetV2"] > same["Xception"]


def test_the_picture_has_a_log_axis_of_the_fractions_and_a_dot_for_each_seed(tmp_path, figures):
    seeds = [a_record({"5": v, "20": 0.6, "100": 0.8}, seed=s) for s, v in enumerate((0.3, 0.5))]
    (curve,) = drawn(*seeds)
    draw_label_curve(curve, tmp_path / "a.png")
    (axis,) = shown(figures[0])
    assert axis.get_xscale() == "log"
    assert list(axis.get_xticks()) == [5, 20, 100]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["5", "20", "100"]
    dots = [list(line.get_ydata()) for line in axis.lines if line.get_marker() == "."]
    assert dots == [[0.3, 0.5], [0.6, 0.6], [0.8, 0.8]]
    (alone,) = drawn(seeds[0])
    draw_label_curve(alone, tmp_path / "b.png")
    assert not [line for line in shown(figures[1])[0].lines if line.get_marker() == "."]
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("supervised", "supervised, all labels: 0.800", "a single seed"),
    ]


def test_lines_of_a_fraction_stand_side_by_side_and_fractions_keep_apart(tmp_path, figures):
    fractions = {"1": 0.2, "2": 0.3, "100": 0.8}
    (curve,) = drawn(*(a_record(fractions, f"m{n}") for n in range(MOST_METHODS)))
    draw_label_curve(curve, tmp_path / "a.png")
    places = np.array([line.get_xdata() for line in means(shown(figures[0])[0]).values()])
    assert len({tuple(row) for row in places}) == len(places)
    assert places[:, 0].max() < places[:, 1].min()


def test_supervised_is_drawn_in_ink_and_never_left_out(tmp_path, figures):
    worst = {f: 0.1 for f in FULL}
    methods = [f"m{50 - n}" for n in range(MOST_METHODS + 1)]
    scores = [{f: 0.8 - 0.01 * n for f in FULL} for n in range(len(methods))]
    (curve,) = drawn(a_record(worst), *map(a_record, scores, methods))
    draw_label_curve(curve, tmp_path / "a.png")
    (legend,) = figures[0].legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names[: MOST_METHODS - 1] == methods[: MOST_METHODS - 1]
    assert names[MOST_METHODS - 1] == "supervised"
    assert "2 more in the table" in legend.get_title().get_text()
    markers = [handle.get_marker() for handle in legend.legend_handles[:MOST_METHODS]]
    assert len(set(markers)) == MOST_METHODS
    assert legend.legend_handles[MOST_METHODS - 1].get_color() == "#000000" != INK


def test_of_many_networks_the_best_are_drawn_and_the_rest_is_counted(tmp_path, figures):
    networks = [f"N{n}" for n in range(MOST_PANELS + 2)]
    records = [a_record({"5": 0.9 - 0.1 * n}, "isdl", arch=a) for n, a in enumerate(networks)]
    (curve,) = drawn(*records)
    draw_label_curve(curve, tmp_path / "a.png")
    assert [axis.get_title(loc="left") for axis in shown(figures[0])] == networks[:MOST_PANELS]
    assert "2 more in the table" in figures[0].legends[0].get_title().get_text()


def test_the_ranked_table_shows_areas_and_the_csv_every_fraction(tmp_path):
    page = page_of(tmp_path, a_record(FULL), a_record(FULL, "isdl"))
    (head,) = [line for line in page.splitlines() if line.startswith("| rank")]
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("rank", "architecture", "framework", "method", "macro F1 area"),
    ]
    assert "on synthetic, 5, 20, 100 % of the labels, no pre-training" in page
    columns = (tmp_path / "v1" / "table.csv").read_text().splitlines()[0].split(",")
    assert {"macro_f1_at_5", "macro_f1_at_5_low", "macro_f1_at_100_high"} <= set(columns)


def test_names_are_text_in_the_page_and_in_the_picture(tmp_path):
    records = [a_record(FULL, HOSTILE), a_record(FULL, arch=HOSTILE)]
    page = page_of(tmp_path, *records)
    assert escape(HOSTILE) in page
    assert "<b>" not in page.replace("\\<b\\>", "")
    assert "\x1b" not in page
    (picture,) = (tmp_path / "v1" / "plots").glob("semi-supervised*-curve.png")
    assert f"](plots/{picture.name})" in page
    with Image.open(picture) as opened:
        assert "\n" not in opened.info["Description"]
        assert "at 5, 20, 100 % of the labels" in opened.info["Description"]


def test_the_same_records_give_the_same_page_and_picture_in_any_order(tmp_path):
    records = [
        a_record({f: v + 0.01 * s + 0.02 * n for f, v in FULL.items()}, m, seed=s, arch=arch)
        for n, m in enumerate(("supervised", "isdl", "$x_1$"))
        for s in range(2)
        for arch in ("VGG16", "MobileNetV2")
    ]
    assert drawn(*records) == drawn(*records[::-1])
    for name, some in (("a", records), ("b", records[::-1])):
        with matplotlib.rc_context({"font.size": 30 if name == "b" else 9}):
            page_of(tmp_path / name, *some)
    files = [
        {p.name: p.read_bytes() for p in (tmp_path / n / "v1").rglob("*") if p.is_file()}
        for n in ("a", "b")
    ]
    assert files[0] == files[1]
    assert sum(name.endswith("-curve.png") for name in files[0]) == 1


def test_questions_and_scores_have_readable_names():
    options = {"label_fractions": "2.5,100", "unlabelled": "more"}
    assert asked(options) == ["2.5, 100 % of the labels", "images of more besides"]
    assert title("macro_f1_at_2.5") == "macro F1 at 2.5 % of the labels"
    assert title("macro_auc_area") == "macro AUC area"
    assert title("sensitivity_at_90_specificity") == "sensitivity at 90 % specificity"
