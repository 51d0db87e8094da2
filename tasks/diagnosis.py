"""Diagnosis: how well does a network tell the classes apart?"""

from pathlib import Path

from benchmark.data.dataset import Dataset
from benchmark.data.pixels import Progress, silent
from benchmark.metrics import classification
from tasks.base import Task
from tasks.given import Outputs, Score, Trial
from tasks.reliability import SHOWN, add_reliability, draw_added
from tasks.scoring import diagnosis_metrics, draw_confusion, truth


class Diagnosis(Task):
    """Classification of held-out images.

    The data set's own test split is kept; without one, 20 % of the groups are held out. Ranked by
    macro one-vs-rest AUC, which needs no threshold and weighs rare classes like common ones.
    """

    name = "diagnosis"
    version = "1"
    summary = "classify held-out images"
    headline = "macro_auc"
    shown = (
        "macro_auc",
        "macro_f1",
        "balanced_accuracy",
        "accuracy",
        "macro_sensitivity",
        "macro_specificity",
        "macro_precision",
        *SHOWN,
    )

    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """Macro and overall scores, reliability, and a table per class."""
        labels, _ = truth(dataset, outputs.ids)
        per_class = classification.per_class(labels, outputs.probabilities, dataset.classes)
        score = Score(diagnosis_metrics(dataset, outputs), {"per_class": per_class})
        return add_reliability(score, dataset, trial, outputs)

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """The confusion matrix, the reliability diagram and the risk-coverage curve."""
        return [draw_confusion(dataset, outputs, folder), *draw_added(dataset, score, folder)]
