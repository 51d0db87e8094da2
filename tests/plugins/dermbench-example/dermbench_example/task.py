"""Whether the true diagnosis is among the two that the network finds most probable."""

from collections.abc import Sequence

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.pixels import Progress, silent
from benchmark.metrics import statistics
from benchmark.records.predictions import Predictions
from tasks.base import Task
from tasks.given import Outputs, Score, Trial
from tasks.scoring import diagnosis_metrics, mean_metric, positions, truth


class TopTwo(Task):
    """Ranked by the share of test images whose class is among the two most probable."""

    name = "example-top-2"
    version = "1"
    summary = "the true class among the two most probable"
    headline = "top_2_accuracy"
    shown = ("top_2_accuracy", "macro_auc")

    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """The share with its interval over groups, and every score of diagnosis."""
        labels, groups = truth(dataset, outputs.ids)
        share = mean_metric(_hits(labels, outputs.probabilities), groups)
        return Score({**diagnosis_metrics(dataset, outputs), self.headline: share})

    def sampled(
        self, dataset: Dataset, results: Sequence[tuple[Trial, Predictions]], weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The share in resamples of the test images, for intervals of ranks and for tests."""
        ((trial, said),) = results
        labels, _ = truth(dataset, said.ids)
        own = weights[:, positions(self.tested([trial]), said.ids)]
        share = statistics.weighted_mean(_hits(labels, said.probabilities), own)
        return {**super().sampled(dataset, results, weights), self.headline: share}


def _hits(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) float64: 1 where the label is among the two most probable classes."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return (best == labels[:, np.newaxis]).any(axis=1).astype(np.float64)
