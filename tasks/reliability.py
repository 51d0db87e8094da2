"""Reliability, for every task that classifies: can the network's confidence be trusted?

The metrics, tables and pictures; a task adds them to its own.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import pictures
from benchmark.data.dataset import Dataset
from benchmark.metrics import calibration, selective
from benchmark.metrics.calibration import TEMPERATURES
from benchmark.metrics.names import SCALED
from benchmark.records.record import Metric
from tasks.given import Outputs, Score, Trial
from tasks.scoring import resamples, shown_in, truth, with_intervals

# What a temperature changes; it hardly moves which images are the most confident.
_SCALED = ("ece", "adaptive_ece", "classwise_ece", "brier", "negative_log_likelihood")
# Sums of absolute gaps: a resample has larger ones than the sample, whatever the network.
_BIASED = frozenset({"ece", "adaptive_ece", "classwise_ece"})
# In the column `outputs` of the table `reliability`.
AS_TRAINED = "as trained"

# Every metric of this module, for what a task shows.
RELIABILITY = (*calibration.SCORES, *(name + SCALED for name in _SCALED))

# What the command line prints of them, those with a temperature beside those without.
SHOWN = (
    *("ece", "ece_scaled", "brier", "brier_scaled"),
    *("negative_log_likelihood", "negative_log_likelihood_scaled", "accuracy_at_coverage_80"),
)


def add_reliability(score: Score, dataset: Dataset, trial: Trial, outputs: Outputs) -> Score:
    """The score with `reliability_metrics` and `tables_of` too, and a note of the temperature."""
    labels, _ = truth(dataset, outputs.ids)
    tables = tables_of(labels, outputs.probabilities, outputs.temperature)
    notes = score.notes
    if outputs.temperature is not None:
        bound = ", a bound of the search" if outputs.temperature in TEMPERATURES else ""
        told = f"temperature {outputs.temperature:.3g}{bound}, fitted on the validation images"
        notes = (*notes, f"{trial.name}: {told}")
    return replace(
        score,
        metrics=score.metrics | reliability_metrics(dataset, outputs),
        tables=score.tables | tables,
        notes=notes,
    )


def draw_added(dataset: Dataset, score: Score, folder: Path) -> list[Path]:
    """The pictures of what `add_reliability` added."""
    tables = score.tables
    title = shown_in(dataset, folder)
    return draw_reliability(tables["reliability"], tables["risk_coverage"], title, folder)


def reliability_metrics(dataset: Dataset, outputs: Outputs) -> dict[str, Metric]:
    """The metrics of `metrics_of` for the test images of a trial."""
    labels, groups = truth(dataset, outputs.ids)
    return metrics_of(labels, groups, outputs.probabilities, outputs.temperature)


def metrics_of(
    labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray, temperature: float | None
) -> dict[str, Metric]:
    """`calibration.scores` with 95 % bootstrap intervals over groups.

    A resample repeats images, so its calibration errors are larger than the sample's. Theirs are
    moved until their median is the sample's value, cut at 0 (ours): the interval tells the spread,
    not that bias. The temperature is taken as it is: its own uncertainty is not in the intervals.

    Args:
        labels: (N,) int, in [0, K).
        groups: (N,) the group of each image.
        probabilities: (N, K) float, rows sum to 1.
        temperature: fitted on validation images; None leaves out the scaled metrics.

    Returns:
        Those of `RELIABILITY`, the last five, such as `ece_scaled`, with a temperature only.
    """
    weights = resamples(labels, groups)
    found = _estimated(labels, groups, probabilities, weights)
    if temperature is None:
        return found
    after = _estimated(labels, groups, calibration.scaled(probabilities, temperature), weights)
    return found | {name + SCALED: after[name] for name in _SCALED}


def tables_of(
    labels: np.ndarray, probabilities: np.ndarray, temperature: float | None
) -> dict[str, pd.DataFrame]:
    """The tables behind the pictures.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float, rows sum to 1.
        temperature: fitted on validation images, or None.

    Returns:
        `reliability`: `calibration.reliability_table`, its first column `outputs` AS_TRAINED, then
        with a temperature once more, called such as "temperature 1.63". `risk_coverage`:
        `selective.risk_coverage_table`, as trained.
    """
    series = {AS_TRAINED: probabilities}
    if temperature is not None:
        # Enough digits to tell 1.003 from 1.
        series[f"temperature {temperature:.3g}"] = calibration.scaled(probabilities, temperature)
    tables = []
    for name, each in series.items():
        table = calibration.reliability_table(labels, each)
        table.insert(0, "outputs", name)
        tables.append(table)
    return {
        "reliability": pd.concat(tables),
        "risk_coverage": selective.risk_coverage_table(labels, probabilities),
    }


def draw_reliability(
    reliability: pd.DataFrame, risk_coverage: pd.DataFrame, title: str, folder: Path, end: str = ""
) -> list[Path]:
    """Draw the reliability diagram and the risk-coverage curve.

    Args:
        reliability: as of `tables_of`.
        risk_coverage: as of `tables_of`.
        title: whose they are, such as "isic2018" or "idrid, DR".
        folder: where reliability.png and risk-coverage.png go.
        end: of the files' names, where a folder has several, such as "-DR".

    Returns:
        The two files.
    """
    diagram, curve = folder / f"reliability{end}.png", folder / f"risk-coverage{end}.png"
    series = {str(name): part for name, part in reliability.groupby("outputs", sort=False)}
    pictures.reliability_diagram(series, f"Reliability: {title}", diagram)
    pictures.risk_coverage({AS_TRAINED: risk_coverage}, f"Selective diagnosis: {title}", curve)
    return [diagram, curve]


def _estimated(
    labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, Metric]:
    values = calibration.scores(labels, probabilities)
    samples = calibration.resampled(labels, probabilities, weights)
    for name in _BIASED:
        if len(samples[name]):
            moved = samples[name] - np.nanmedian(samples[name]) + values[name]
            samples[name] = np.maximum(moved, 0)
    return with_intervals(values, samples, groups)
