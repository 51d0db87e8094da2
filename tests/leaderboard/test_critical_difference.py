"""Rows compared over data sets: who is compared, on what, and what is left out and said."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.leaderboard import build
from benchmark.leaderboard.critical_difference import comparable, comparisons
from benchmark.leaderboard.critical_difference_plot import MOST_ENTRANTS, draw_comparison
from benchmark.leaderboard.report_joined import comparison_section
from benchmark.leaderboard.table import build_table
from benchmark.records.record import DataUsed, Metric, WeightsUsed
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
sys.path.insert(0, str(Path(__file__).parent))
records_made = importlib.import_module("records_made")
from pages_read import Page  # noqa: E402

NETS = ("VGG16", "Xception", "ResNet50", "MobileNet")
SETS = tuple(f"set{number}" for number in range(8))


def a_record(arch, dataset, auc, data="d", fields=None, headline="macro_auc", **config):
    metric = Metric(value=auc, low=None, high=None, n=9, groups=9)
    settings = {
        **{"arch": arch, "framework": "torch", "method": "cross-entropy", "weights": "none"},
        **{"image_size": [96, 96], "budget": "quick", "recipe": {"epochs": 9}, "seed": 0},
    } | config
    own = (arch, dataset, data, *map(str, config.values()), *map(str, fields or ()))
    used = DataUsed(name=dataset, fingerprint=data * 64, classes=("a", "b"))
    return records_made.record(
        "-".join(own), headline, {headline: metric}, settings, **{"data": used, **(fields or {})}
    )


def a_grid(nets=NETS, sets=SETS, step=0.01, **config):
    """The first network best everywhere, the second next, ..."""
    return [
        a_record(net, name, 0.9 - step * at - 0.05 * number, **config)
        for number, name in enumerate(sets)
        for at, net in enumerate(nets)
    ]


def compared(records):
    return comparisons(comparable(build_table(records)))


def drawn(records, folder):
    (found,) = compared(records)
    draw_comparison(found, folder / found.plot)
    return found


def test_rows_are_ranked_over_the_data_sets_of_one_question():
    (found,) = compared(a_grid())
    assert found.datasets == SETS
    assert [each.name for each in found.entrants] == list(NETS)
    assert [each.average for each in found.entrants] == [1, 2, 3, 4]
    assert found.entrants[1].ranks == (2,) * 8
    assert found.entrants[0].scores[:2] == pytest.approx((0.9, 0.85))
    assert found.friedman.p < 1e-6
    # The critical difference of four rows over eight data sets is 1.66.
    assert found.cliques == ((0, 1), (1, 2), (2, 3))
    assert found.left_out == ()


def test_where_smaller_is_better_the_smallest_ranks_first():
    (found,) = compared(a_grid(headline="mean_absolute_grade_error"))
    assert [each.name for each in found.entrants] == list(NETS[::-1])


def test_the_score_of_a_row_is_the_mean_of_its_seeds():
    (found,) = compared([*a_grid(sets=SETS[:2]), a_record("MobileNet", "set0", 0.99, seed=1)])
    scores = {each.name: each.scores[0] for each in found.entrants}
    assert scores["MobileNet"] == pytest.approx((0.87 + 0.99) / 2)


@pytest.mark.parametrize("records", [a_grid(sets=SETS[:1]), a_grid(nets=NETS[:1]), a_grid()[:5]])
def test_one_data_set_or_one_row_that_has_two_is_no_comparison(records):
    assert compared(records) == []


@pytest.mark.parametrize(
    "other",
    [
        {"task_options": {"imbalance": 50}},
        {"fields": {"task_version": "2"}},
        {"fields": {"leaks": ("a lesion in both",)}},
        {"fields": {"weights": WeightsUsed(kind="imagenet", name="w")}},
        {"headline": "macro_f1"},
    ],
)
def test_data_sets_on_which_something_else_was_asked_are_no_blocks(other):
    (found,) = compared([*a_grid(sets=SETS[:3]), *a_grid(sets=SETS[3:4], **other)])
    assert found.datasets == SETS[:3]


def test_runs_whose_parts_share_images_are_not_compared_at_all():
    assert compared(a_grid(fields={"leaks": ("a lesion in both",)})) == []


@pytest.mark.parametrize(
    "other",
    [{"method": "focal"}, {"image_size": [128, 128]}, {"budget": "paper"}, {"recipe": {"x": 1}}],
)
def test_a_row_that_was_trained_otherwise_is_another_entrant(other):
    grid = a_grid(sets=SETS[:3])
    (found,) = compared([*grid[:8], *(a_record(net, "set2", 0.5, **other) for net in NETS)])
    assert found.datasets == SETS[:2]
    assert "data sets set2" in " ".join(found.left_out)


def _lacking(row, sets):
    return [r for r in a_grid() if r.config["arch"] != row or r.data.name not in sets]


def test_rows_that_lack_a_data_set_are_left_out_and_named():
    (found,) = compared(_lacking("Xception", SETS[4:]))
    assert [each.name for each in found.entrants] == ["VGG16", "ResNet50", "MobileNet"]
    assert found.datasets == SETS
    (told,) = found.left_out
    assert told.endswith("one of these data sets: Xception.")


def test_a_data_set_is_left_out_where_that_leaves_more_scores_to_compare():
    (found,) = compared(_lacking("Xception", SETS[4:5]))
    assert len(found.entrants) == 4
    assert found.datasets == (*SETS[:4], *SETS[5:])
    (told,) = found.left_out
    assert told.endswith("rows lack a score on them: data sets set4.")


def test_a_score_that_is_undefined_is_missing_and_not_the_worst():
    undefined = [a_record("Xception", name, None) for name in SETS[4:]]
    (found,) = compared([*_lacking("Xception", SETS[4:]), *undefined])
    assert [each.name for each in found.entrants] == ["VGG16", "ResNet50", "MobileNet"]


def test_a_data_set_that_few_rows_have_costs_none_of_the_others():
    (found,) = compared([*a_grid(sets=SETS[:4]), *a_grid(nets=NETS[:1], sets=["rare"])])
    assert len(found.entrants) == 4
    assert found.datasets == SETS[:4]
    assert found.left_out[-1].endswith("data sets rare.")


def test_two_versions_of_a_data_set_are_one_block_and_it_is_said():
    edited = a_grid(nets=NETS[:3], sets=SETS[:1], data="e")
    (found,) = compared([*a_grid(sets=SETS[:2]), *edited])
    assert found.datasets == SETS[:2]
    (told,) = found.left_out
    assert "set0 was run in several versions: compared is dddddddd" in told
    assert "left out eeeeeeee" in told


def test_a_reader_of_any_folder_reads_several_data_sets():
    one = a_grid(sets=["folder"], data="1", dataset_options={"table": "one.csv"})
    other = a_grid(sets=["folder"], data="2", dataset_options={"table": "other.csv"})
    (found,) = compared([*one, *other])
    assert found.datasets == ("folder (11111111)", "folder (22222222)")


def test_without_a_difference_all_rows_are_joined_and_the_power_is_told():
    records = [
        a_record(net, name, 0.5 + 0.01 * ((at + number) % 4))
        for number, name in enumerate(SETS[:4])
        for at, net in enumerate(NETS)
    ]
    (found,) = compared(records)
    assert found.cliques == ((0, 3),)
    assert {each.average for each in found.entrants} == {2.5}
    assert "no difference is shown" in " ".join(found.reading)
    assert "hardly any power" in " ".join(found.reading)
    (two,) = compared(a_grid(sets=SETS[:2]))
    assert "no two of these rows could be told apart" in " ".join(two.reading)


def test_the_page_has_the_diagram_and_a_row_for_each_entrant(tmp_path):
    found = drawn(a_grid(), tmp_path)
    text = comparison_section(found)
    assert f"]({found.plot})" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| Xception")]
    assert "| 2.00" in row
    assert "2 (0.890)" in row
    with Image.open(tmp_path / found.plot) as opened:
        assert opened.info["Description"] == found.alt
    assert "VGG16 1.00; Xception 2.00" in found.alt


def test_the_site_has_the_diagram_with_its_table_and_says_in_words_what_it_shows(tmp_path):
    for record in a_grid(sets=SETS[:2]):
        Store(tmp_path).save(record)
    assert any("critical-difference" in path.name for path in build(tmp_path).paths)
    page = Page.of(tmp_path / "v1" / "site" / "index.html")
    (anchor,) = [each for each in page.ids if re.fullmatch(r"comparison-[0-9a-f]{8}", each)]
    assert f"#{anchor}" in page.links
    assert "critical-difference diagram" in page.text
    (image,) = [each for each in page.images if "critical-difference" in each["src"]]
    assert "Average ranks: VGG16 1.00; Xception 2.00" in image["alt"]
    (table,) = [each for each in page.tables if "average rank" in each.heads]
    assert table.heads == ["row", "average rank", "set0", "set1"]
    assert table.rows[1] == ["Xception", "2.00", "2 0.890", "2 0.840"]


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        found = drawn(a_grid(), tmp_path / folder)
    one, other = ((tmp_path / f / found.plot).read_bytes() for f in ("a", "b"))
    assert one == other


def test_many_rows_with_hostile_names_are_drawn_as_far_as_there_is_room(tmp_path):
    generator = np.random.default_rng(0)
    nets = [f"$x_{at}^$ \x1b[31m\n{'long ' * 12}" for at in range(MOST_ENTRANTS + 9)]
    records = [a_record(net, name, float(generator.random())) for name in SETS[:3] for net in nets]
    found = drawn(records, tmp_path)
    assert len(found.entrants) == MOST_ENTRANTS + 9
    assert found.alt.isprintable()
    with Image.open(tmp_path / found.plot) as opened:
        assert opened.height < 1000
