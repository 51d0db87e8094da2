"""Whether the true diagnosis is among the two that the network finds most probable."""

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.pixels import Progress, silent
from tasks.base import Task
from tasks.given import Outputs, Score, Trial
from tasks.scoring import diagnosis_metrics, mean_metric, truth


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
        best = np.argsort(-outputs.probabilities, axis=1, kind="stable")[:, :2]
        hit = (best == labels[:, np.newaxis]).any(axis=1).astype(np.float64)
        metrics = diagnosis_metrics(dataset, outputs)
        return Score({**metrics, self.headline: mean_metric(hit, groups)})
