"""The bootstrap behind every interval and rank of a table, and scipy's over scikit-learn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.metrics.classification import resampled, scores
from benchmark.metrics.statistics import group_weights, interval
from benchmark.speed.worker import Prepared

# scipy's share of the work; scikit-learn takes milliseconds for each resample.
_PEER_RESAMPLES = 40


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """All rows on the same resamples, each with its interval."""
    labels, rows = _table(settings)
    metric, resamples = settings["metric"], settings["resamples"]

    def work() -> list[tuple[float, float]]:
        weights = group_weights(np.arange(len(labels)), resamples)
        return [interval(resampled(labels, row, weights, [metric])[metric]) for row in rows]

    return Prepared(work, lambda _: np.array([scores(labels, rows[0])[metric]]))


def scipy_over_sklearn(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """`scipy.stats.bootstrap` of one row, percentile interval, of few resamples."""
    from scipy.stats import bootstrap
    from sklearn.metrics import f1_score, roc_auc_score

    labels, rows = _table(settings)
    row = rows[0]
    every = np.arange(settings["classes"])

    def score(places: np.ndarray) -> float:
        if settings["metric"] == "macro_f1":
            return f1_score(labels[places], row[places].argmax(1), average="macro")
        some = row[places]
        return roc_auc_score(labels[places], some, multi_class="ovr", average="macro", labels=every)

    def work() -> Any:
        return bootstrap(
            (np.arange(len(labels)),),
            score,
            n_resamples=_PEER_RESAMPLES,
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(0),
        )

    times = settings["rows"] * settings["resamples"] / _PEER_RESAMPLES
    point = np.array([score(np.arange(len(labels)))])
    return Prepared(work, lambda _: point, times, {"multiplied by": times})


def _table(settings: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and probabilities (rows, N, classes), better than chance."""
    generator = np.random.default_rng(0)
    count, classes = settings["images"], settings["classes"]
    labels = generator.integers(classes, size=count)
    raw = generator.random((settings["rows"], count, classes))
    raw[:, np.arange(count), labels] += generator.random((settings["rows"], count))
    return labels, raw / raw.sum(axis=2, keepdims=True)
