"""Explainability against diagnosis, score against cost: what is drawn, and what it means."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.leaderboard import build, scatter
from benchmark.leaderboard.baselines import baseline_rows
from benchmark.leaderboard.columns import COLUMNS, add_rows, frame
from benchmark.leaderboard.label_places import beside, spread, unclear
from benchmark.leaderboard.published import publications
from benchmark.leaderboard.scatter import MOST_POINTS, draw_tradeoff
from benchmark.leaderboard.table import build_table, sections
from benchmark.leaderboard.timing import hardware, seconds_per_image
from benchmark.leaderboard.tradeoffs import tradeoffs
from benchmark.records.record import Baseline, Metric, TrainingSummary
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")
from pages_read import Page  # noqa: E402

CPU = {"device": "cpu", "processor": "Some CPU", "cores": 8, "precision": "float32"}
GPU = CPU | {"device": "Some GPU"}


def a_metric(value, half=0.05):
    return Metric(value=value, low=value - half, high=value + half, n=100, groups=90)


def a_record(run_id, auc=0.8, ms=10.0, more=None, headline="macro_auc", fields=None, **config):
    """A run whose 100 test images took `ms` milliseconds each."""
    settings = {
        **{"arch": "Xception", "framework": "torch", "method": "cross-entropy", "weights": "none"},
        **{"image_size": [96, 96], "budget": "quick", "recipe": {"epochs": 9}, "seed": 0},
    } | config
    metrics = {headline: a_metric(auc)} | {k: a_metric(v) for k, v in (more or {}).items()}
    trial = records_made.trial(metrics).model_copy(update={"n_test": 100})
    seconds = {} if ms is None else {"prediction": ms / 10}
    told = {"hardware": CPU, "seconds": seconds, "trials": (trial,)} | (fields or {})
    return records_made.record(run_id, headline, metrics, settings, **told)


def a_net(arch, auc, parameters, ms=10.0, **fields):
    fields = {"parameters": parameters, "hardware": CPU} | fields
    return a_record(re.sub(r"\W", "_", f"{arch}{auc}"), auc, ms, arch=arch, fields=fields)


def drawn(records):
    """The plots of the only section, by the last words of their files' names."""
    (section,) = sections(build_table(records))
    return {each.plot.split("-")[3]: each for each in tradeoffs(section)}


# Seconds and hardware


def test_seconds_per_image_are_those_of_prediction_over_the_test_images():
    assert seconds_per_image(a_record("a", ms=12.0)) == pytest.approx(0.012)
    assert np.isnan(seconds_per_image(a_record("b", ms=None)))


def test_validation_images_count_where_a_temperature_was_fitted_on_them():
    record = a_record("a", ms=12.0)
    (trial,) = record.trials
    fitted = trial.model_copy(update={"n_validation": 20, "temperature": 1.5})
    without = fitted.model_copy(update={"temperature": None})
    assert seconds_per_image(record.model_copy(update={"trials": (fitted,)})) == 1.2 / 120
    assert seconds_per_image(record.model_copy(update={"trials": (without,)})) == 1.2 / 100


def test_networks_of_several_diseases_are_added_and_fractions_are_not():
    def stage(name):
        return TrainingSummary(
            stage=name, epochs=1, best_epoch=1, selected_by="", selection_score=None,
            images_per_second=1.0, seconds=1.0,
        )  # fmt: skip

    def seconds(task, *stages):
        (trial,) = a_record("a", ms=None).trials
        trials = tuple(trial.model_copy(update={"stages": (stage(name),)}) for name in stages)
        fields = {"task": task, "trials": trials, "seconds": {"prediction": 2.0}}
        return seconds_per_image(a_record("a", fields=fields))

    assert seconds("grading", "DR main", "DME main") == pytest.approx(0.02)
    assert seconds("grading", "all-diseases main", "all-diseases main") == pytest.approx(0.01)
    assert seconds("semi-supervised", "labels-5 main", "labels-10 main") == pytest.approx(0.01)


def test_the_table_has_the_mean_over_seeds_of_one_hardware_and_none_of_two():
    def row(*hardware_of_seeds):
        records = [
            a_record(f"r{seed}", ms=10.0 * (seed + 1), seed=seed, fields={"hardware": used})
            for seed, used in enumerate(hardware_of_seeds)
        ]
        return build_table(records).iloc[0]

    alone = row(CPU, CPU)
    assert alone[COLUMNS.seconds] == pytest.approx(0.015)
    assert alone[COLUMNS.hardware] == "Some CPU, 8 cores"
    for mixed in (row(CPU, GPU), row(CPU, CPU | {"cores": 4}), row({}, {})):
        assert np.isnan(mixed[COLUMNS.seconds])
        assert mixed[COLUMNS.hardware] == ""
    assert hardware(a_record("a", fields={"hardware": GPU})) == "Some GPU, Some CPU, 8 cores"


def test_a_seed_without_a_time_leaves_its_row_without():
    records = [a_record("a"), a_record("b", ms=None, seed=1)]
    assert np.isnan(build_table(records).iloc[0][COLUMNS.seconds])


# Score against cost


def test_the_front_holds_what_nothing_cheaper_beats():
    records = [
        a_net("VGG16", 0.80, 14_000_000),
        a_net("Xception", 0.90, 20_000_000),
        a_net("MobileNet", 0.70, 3_000_000),
        a_net("ResNet50", 0.90, 23_000_000),
        a_net("MobileNetV2", 0.70, 3_000_000),
        a_net("DenseNet121", 0.60, 7_000_000),
    ]
    found = drawn(records)["parameters.png"]
    front = [found.points[at].label for at in found.front()]
    assert front == ["MobileNet", "MobileNetV2", "VGG16", "Xception"]
    assert "MobileNet (PyTorch); MobileNetV2 (PyTorch); VGG16 (PyTorch)" in found.alt
    assert found.points[0].y == pytest.approx((0.90, 0.85, 0.95))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=2, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_point_is_on_the_front_unless_another_dominates_it(places):
    records = [a_net(f"net{at:02d}", score / 10, size) for at, (size, score) in enumerate(places)]
    found = drawn(records).get("parameters.png")
    if found is None:
        assert len({size for size, _ in places}) == 1
        return
    front = set(found.front())
    at = [(point.x[0], round(10 * point.y[0])) for point in found.points]
    for number, (size, score) in enumerate(at):
        beaten = any(s <= size and y >= score and (s, y) != (size, score) for s, y in at)
        assert (number in front) == (not beaten)


def test_where_smaller_scores_are_better_the_axis_and_the_front_are_turned():
    records = [
        a_record(name, error, headline="mean_absolute_grade_error", arch=name,
                 fields={"parameters": size})
        for name, error, size in (("VGG16", 0.5, 14), ("MobileNet", 0.4, 3))
    ]  # fmt: skip
    found = drawn(records)["parameters.png"]
    assert found.smaller
    assert [found.points[at].label for at in found.front()] == ["MobileNet"]
    assert "the axis is turned" in found.reading


def test_rows_of_one_size_or_one_network_have_no_plot_of_cost():
    methods = ("cross-entropy", "focal", "mixup")
    records = [a_record(name, 0.8, 10 + n, method=name) for n, name in enumerate(methods)]
    assert drawn(records) == {}


def test_times_are_compared_on_one_hardware_and_called_by_its_name():
    records = [
        a_net("VGG16", 0.8, 14, ms=20.0),
        a_net("Xception", 0.9, 20, ms=30.0),
        a_net("MobileNet", 0.7, 3, ms=1.0, hardware=GPU),
        a_net("ResNet50", 0.7, 23, ms=None),
    ]
    (section,) = sections(build_table(records))
    _, found = tradeoffs(section)
    assert [point.label for point in found.points] == ["Xception", "VGG16"]
    assert [point.x[0] for point in found.points] == pytest.approx([30.0, 20.0])
    assert "on Some CPU, 8 cores" in found.title
    assert "no benchmark of speed" in found.reading


def test_rows_of_one_network_stand_at_their_median_time_with_the_span_of_their_times():
    times = {"cross-entropy": 10.0, "focal": 11.0, "mixup": 40.0}
    records = [a_record(name, 0.8, ms, method=name) for name, ms in times.items()]
    records.append(a_net("VGG16", 0.7, 14, ms=20.0))
    (section,) = sections(build_table(records))
    found = tradeoffs(section)[-1]
    assert [point.x for point in found.points[:3]] == [pytest.approx((11.0, 10.0, 40.0))] * 3
    assert found.points[3].x == pytest.approx((20.0, np.nan, np.nan), nan_ok=True)


# Explainability against diagnosis


def explained(name, f1, macro_f1=None, **more):
    metrics = more | ({} if macro_f1 is None else {"macro_f1": macro_f1})
    untrained = Baseline(kind="floor", metrics={"explainability_f1": a_metric(f1 / 2)})
    shared = {
        "annotator pairs": Baseline(kind="ceiling", metrics={"explainability_f1": a_metric(0.7)}),
        "centred Gaussian": Baseline(kind="floor", metrics={"explainability_f1": a_metric(0.3)}),
        "untrained network": untrained,
    }
    fields = {"task": "explainability", "baselines": shared}
    return a_record(name, f1, None, metrics, "explainability_f1", fields, arch=name)


def maps(records):
    table = build_table(records)
    table = add_rows(table, baseline_rows(records)[0])
    (section,) = sections(table)
    return [each for each in tradeoffs(section) if each.plot.endswith("diagnosis.png")]


def test_maps_are_set_against_macro_f1_with_both_intervals_between_floors_and_ceilings():
    (found,) = maps([explained("VGG16", 0.4, 0.6), explained("Xception", 0.5, 0.7)])
    assert "explainability F1 against macro F1" in found.title
    assert found.points[0].label == "Xception"
    assert found.points[0].x == pytest.approx((0.7, 0.65, 0.75))
    assert found.points[0].y == pytest.approx((0.5, 0.45, 0.55))
    assert found.lines == (
        ("annotator pairs", 0.7),
        ("centred Gaussian", 0.3),
        ("best of 2 untrained networks", 0.25),
    )
    assert found.front() == []


def test_without_macro_f1_another_score_of_the_decisions_is_taken_and_named():
    (found,) = maps([explained(n, 0.4, accuracy=0.6, macro_auc=0.9) for n in ("VGG16", "Xception")])
    assert found.title.endswith("against accuracy")


def test_rows_without_a_diagnosis_are_left_out_and_one_row_is_no_plot():
    three = [explained("VGG16", 0.4, 0.6), explained("Xception", 0.5, 0.7), explained("a", 0.6)]
    assert len(maps(three)[0].points) == 2
    assert maps(three[1:]) == []


def test_what_others_reported_is_drawn_with_standard_deviations():
    (section,) = sections(frame(publications()[0].apart()))
    (found,) = tradeoffs(section)
    assert len(found.points) == 20
    assert "standard deviation over runs" in found.x
    value, low, high = found.points[0].x
    assert value - low == pytest.approx(high - value)
    assert not found.ranked


# Where labels stand


@given(st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_numbers_hide_neither_each_other_nor_points_where_there_is_room(count, seed):
    points = np.random.default_rng(seed).uniform(20, 780, size=(count, 2))
    offsets = beside(points, [(10, 8)] * count, (0, 0, 800, 800))
    middles = points + offsets
    assert ((middles > 4) & (middles < 796)).all()
    for one in range(count):
        for other in range(one):
            assert (np.abs(middles[one] - middles[other]) >= (10, 8)).any()
        assert (np.abs(middles[one] - points) >= (5, 4)).any(axis=1).all()


def test_points_on_one_spot_have_numbers_apart_that_are_led_to_it():
    points = np.full((6, 2), 100.0)
    offsets = beside(points, [(6, 8)] * 6, (0, 0, 200, 200))
    assert len({tuple(o) for o in offsets.round(3).tolist()}) == 6
    assert unclear(points, offsets).all()
    assert not unclear(points[:1], offsets[:1]).any()


def test_names_of_lines_are_spread_no_more_than_need_be():
    assert spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.52, 0.5, 0.9], 0.1) == pytest.approx([0.56, 0.46, 0.9])
    # A group that grows into its neighbour takes it in.
    assert spread([0.5, 0.5, 0.58], 0.1) == pytest.approx([0.42667, 0.52667, 0.62667], abs=1e-4)


# The pictures


def test_of_many_rows_the_first_are_drawn_and_the_front_with_them(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(scatter, "_key", lambda _, points, *more: said.append((points, more)))
    many = [a_net(f"net{at:03d}", 0.9 - at / 1000, 10_000 + at) for at in range(MOST_POINTS + 20)]
    draw_tradeoff(drawn([*many, a_net("tiny", 0.1, 10)])["parameters.png"], tmp_path / "all.png")
    ((points, (_, _, left_out, _)),) = said
    assert len(points) == MOST_POINTS
    assert [points[0].label, points[-1].label] == ["net000", "tiny"]
    assert left_out == 21


def test_a_front_of_more_rows_than_can_be_drawn_is_told_in_part(tmp_path):
    count = MOST_POINTS + 5
    records = [a_net(f"net{at:03d}", 0.9 - at / 1000, 10_000 - at) for at in range(count)]
    found = drawn(records)["parameters.png"]
    assert len(found.front()) == count
    assert found.alt.endswith(f"and {count - 12} more.")
    draw_tradeoff(found, tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as opened:
        assert opened.width < 2000
        assert opened.info["Description"].endswith(found.alt)


def test_the_same_rows_give_the_same_bytes_and_hostile_names_are_text(tmp_path):
    names = ["$x^$ \x1b[31m\u202e\n<b>", "VGG16"]
    for at in (0, 1):
        found = drawn([a_net(n, 0.5 + k / 10, k + 1) for k, n in enumerate(names)])
        draw_tradeoff(found["parameters.png"], tmp_path / f"{at}.png")
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    assert found["parameters.png"].alt.isprintable()


def test_the_board_has_the_plots_on_page_site_and_among_its_files(tmp_path):
    for record in (a_net("VGG16", 0.8, 14_000_000, 20.0), a_net("Xception", 0.9, 20_000_000)):
        Store(tmp_path).save(record)
    built = build(tmp_path)
    root = tmp_path / "v1"
    page = (root / "leaderboard.md").read_text()
    site = Page.of(root / "site" / "index.html")
    names = [p.relative_to(root).as_posix() for p in built.paths]
    for kind in ("parameters", "seconds"):
        (plot,) = [n for n in names if n.startswith("plots/diagnosis") and kind in n]
        assert f"]({plot})" in page
        (image,) = [each for each in site.images if each["src"] == plot]
        assert image["alt"].startswith("Scatter plot of 2 rows: macro AUC")
        assert (root / "site" / plot).read_bytes() == (root / plot).read_bytes()
    assert "To the left rows are smaller" in site.text
    (row,) = [line for line in page.splitlines() if line.startswith("| 1 ")]
    assert row.split("|")[4].strip() == "20000000"
    assert row.split("|")[5].strip() == "10"
    (table,) = [each for each in site.tables if "parameters" in each.heads]
    assert table.rows[0][table.heads.index("parameters")] == "20,000,000"
