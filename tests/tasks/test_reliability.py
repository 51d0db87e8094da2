"""Reliability of a trial: metrics with intervals, before and after the temperature."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.metrics import calibration, statistics
from tasks.reliability import (
    AS_TRAINED,
    RELIABILITY,
    draw_reliability,
    metrics_of,
    reliability_metrics,
    tables_of,
)
from tasks.scoring import resamples

TEMPERATURE = 2.5


@pytest.fixture(scope="module")
def sharpened():
    """Labels, groups and outputs that are calibrated again at the temperature."""
    generator = np.random.default_rng(0)
    honest = generator.dirichlet([0.7] * 3, 240)
    labels = (generator.random(240)[:, None] > honest.cumsum(axis=1)).sum(axis=1)
    groups = np.array([f"g{n // 2}" for n in range(240)])
    return labels, groups, calibration.scaled(honest, 1 / TEMPERATURE).astype(np.float32)


def test_scaled_metrics_come_with_a_temperature_only(sharpened):
    plain, both = metrics_of(*sharpened, None), metrics_of(*sharpened, TEMPERATURE)
    assert tuple(plain) == calibration.SCORES
    assert tuple(both) == RELIABILITY
    assert {name: both[name] for name in plain} == plain


def test_metrics_are_those_of_the_outputs_at_their_temperature(sharpened):
    labels, _, probabilities = sharpened
    found = metrics_of(*sharpened, TEMPERATURE)
    before = calibration.scores(labels, probabilities)
    after = calibration.scores(labels, calibration.scaled(probabilities, TEMPERATURE))
    for name, value in before.items():
        assert found[name].value == value
        assert (found[name].n, found[name].groups) == (240, 120)
    for name in ("ece", "adaptive_ece", "classwise_ece", "brier", "negative_log_likelihood"):
        assert found[f"{name}_scaled"].value == after[name]
        assert after[name] < before[name]


def test_every_interval_holds_its_value(sharpened):
    for name, metric in metrics_of(*sharpened, TEMPERATURE).items():
        assert metric.low is not None, name
        assert 0 <= metric.low <= metric.value <= metric.high, name


def test_a_calibration_errors_interval_is_as_wide_as_its_resamples_spread(sharpened):
    labels, groups, probabilities = sharpened
    weights = resamples(labels, groups)
    samples = calibration.resampled(labels, probabilities, weights)
    found = metrics_of(*sharpened, None)
    for name in ("ece", "brier"):
        low, high = statistics.interval(samples[name])
        assert found[name].high - found[name].low == pytest.approx(high - low)


def test_a_single_group_has_values_without_intervals(sharpened):
    labels, _, probabilities = sharpened
    for metric in metrics_of(labels, np.full(240, "g"), probabilities, TEMPERATURE).values():
        assert metric.value is not None
        assert metric.low is metric.high is None


def test_one_image_of_one_class_has_every_metric():
    one = np.array([1]), np.array(["g"]), np.array([[0.25, 0.75]], np.float32)
    assert {metric.n for metric in metrics_of(*one, 1.5).values()} == {1}


def test_a_trials_metrics_are_of_its_images_in_their_order(dataset):
    ids = tuple(reversed(dataset.table.index))
    labels = dataset.table.loc[list(ids), "label"].to_numpy()
    probabilities = np.where(np.eye(2)[labels] == 1, 0.9, 0.1).astype(np.float32)
    outputs = SimpleNamespace(ids=ids, probabilities=probabilities, temperature=0.5)
    found = reliability_metrics(dataset, outputs)
    assert found["ece"].value == pytest.approx(0.1, abs=1e-6)
    assert found["ece_scaled"].value == pytest.approx(1 - 0.81 / 0.82, abs=1e-6)
    assert found["aurc"].value == 0


def test_tables_hold_both_series_with_a_temperature(sharpened):
    labels, _, probabilities = sharpened
    plain = tables_of(labels, probabilities, None)["reliability"]
    assert plain["outputs"].unique().tolist() == [AS_TRAINED]
    both = tables_of(labels, probabilities, TEMPERATURE)["reliability"]
    assert both["outputs"].unique().tolist() == [AS_TRAINED, "temperature 2.5"]
    for series, name in ((AS_TRAINED, "ece"), ("temperature 2.5", "ece_scaled")):
        part = both[both["outputs"] == series]
        gaps = (part["accuracy"] - part["mean_confidence"]).abs() * part["n"]
        value = metrics_of(*sharpened, TEMPERATURE)[name].value
        assert gaps.sum() / 240 == pytest.approx(value)


def test_the_risk_at_80_per_cent_is_the_metric(sharpened):
    labels, _, probabilities = sharpened
    table = tables_of(labels, probabilities, None)["risk_coverage"]
    value = metrics_of(*sharpened, None)["accuracy_at_coverage_80"].value
    assert table.loc[80, "accuracy"] == value


@pytest.mark.parametrize("temperature", [None, TEMPERATURE])
def test_pictures_are_drawn_by_name(sharpened, tmp_path, temperature):
    labels, _, probabilities = sharpened
    tables = tables_of(labels, probabilities, temperature)
    made = draw_reliability(
        tables["reliability"], tables["risk_coverage"], "idrid, DR", tmp_path, "-DR"
    )
    assert [target.name for target in made] == ["reliability-DR.png", "risk-coverage-DR.png"]
    assert all(target.is_file() for target in made)
