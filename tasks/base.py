"""What a task is: the trials it splits a data set into and the score it gives their outputs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark import config
from benchmark.data import splits
from benchmark.data.dataset import Dataset
from benchmark.data.pixels import Progress, silent
from benchmark.errors import DataError
from benchmark.metrics import classification, statistics
from benchmark.records.predictions import Predictions
from tasks.given import ONLY, Outputs, Score, Trial
from tasks.scoring import draw_confusion, positions, resamples, truth

# Part of every task's protocol: the split is the same for all seeds of a run, so that seeds
# differ by training alone and every row of a table is scored on the same images.
SPLIT_SEED = 0


class Task(ABC):
    """One question. Subclasses fix its protocol; a change of protocol changes `version`.

    Class attributes:
        name, version, summary: as shown by `list`.
        Options: what may be asked of it beyond the data: each field is a flag of `run`.
        headline: the metric that ranks.
        dataset: the data set of a run that names none.
        needs: what the data must have beyond labels: "masks".
        maps: whether test images need maps that explain what the network says.
        selected_by: the validation score that chooses the epoch; macro one-vs-rest AUC, ours: it
            needs no threshold and moves with every image.
        seeded: whether the run's seed decides the trials, not only what is drawn in training.
        explained_with: the explainer that shows why, on some test images; "": none.
        graded: whether its trials are several diseases, which one network may learn together.
        shown: the metrics the command line prints, in order; "*" stands for any text.
        per_image: metric -> the column of the table `per_image` whose mean it is, of metrics that
            need more than probabilities: these columns are kept with the predictions.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    Options: ClassVar[type[config.Options]] = config.Options
    headline: ClassVar[str]
    dataset: ClassVar[str] = "synthetic"
    needs: ClassVar[frozenset[str]] = frozenset()
    maps: ClassVar[bool] = False
    selected_by: ClassVar[str] = "macro_auc"
    seeded: ClassVar[bool] = False
    explained_with: ClassVar[str] = ""
    graded: ClassVar[bool] = False
    shown: ClassVar[tuple[str, ...]]
    per_image: ClassVar[Mapping[str, str]] = {}

    # Of the class's own `Options`.
    options: Any

    def __init__(self, options: config.Options | None = None) -> None:
        self.options = self.Options() if options is None else options

    def prepare(self, dataset: Dataset) -> Dataset:
        """The data as the question has them, such as with other classes; here as they are.

        `trials` divides the data as they are; all else gets them prepared.
        """
        return dataset

    def check(self, dataset: Dataset) -> None:
        """Refuse data that cannot answer the question.

        Raises:
            DataError: fewer than two classes, or masks are needed and there are none.
        """
        if len(dataset.classes) < 2:
            raise DataError(
                f"{dataset.root}: task {self.name} needs at least two classes, found"
                f" {', '.join(dataset.classes) or 'none'}"
            )
        if "masks" in self.needs and dataset.masks.empty:
            raise DataError(
                f"{dataset.root}: task {self.name} needs experts' masks and found none; see"
                f" `python -m benchmark describe {dataset.name}` for where they belong"
            )

    def trials(self, dataset: Dataset) -> list[Trial]:
        """One trial: the data set's own split, or one by group and label (SPLIT_SEED)."""
        parts = splits.partition(dataset, SPLIT_SEED)
        return [
            Trial(ONLY, tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))
        ]

    def trials_of(self, dataset: Dataset, seed: int) -> list[Trial]:
        """The trials of a run with this seed; here those of `trials`, whatever the seed."""
        return self.trials(dataset)

    def of_trial(self, dataset: Dataset, name: str) -> Dataset:
        """The data with the labels and classes of the trial of this name; here as they are."""
        return dataset

    def selection(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """The validation score that chooses the epoch; the higher the better."""
        return classification.scores(labels, probabilities)[self.selected_by]

    @abstractmethod
    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """Score the outputs on the trial's test images; `progress` shows how far it has come."""

    def rescore(
        self, dataset: Dataset, trial: Trial, said: Predictions, temperature: float | None
    ) -> Score:
        """The score of a trial from what is kept of it: every metric that needs no map.

        Args:
            dataset: with the labels of the trial; photographs and masks are not looked at.
            trial: which was scored.
            said: of its test images.
            temperature: that was fitted, if one was.
        """
        return self.score(
            dataset, trial, Outputs(said.ids, said.probabilities, temperature=temperature)
        )

    def map_scores(
        self,
        dataset: Dataset,
        ids: Sequence[str],
        heatmaps: np.ndarray,
        progress: Progress = silent,
    ) -> dict[str, np.ndarray]:
        """What maps of the true class score, made anywhere; here nothing.

        Args:
            dataset: with its masks.
            ids: N test images.
            heatmaps: (N, h, w) float, non-negative and finite.
            progress: over the images.

        Returns:
            metric -> (N,) float64 of those of `per_image` that need nothing else; NaN where an
            image has none.
        """
        return {}

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """Draw the pictures of a trial into `folder`; the files, most telling first.

        Here the confusion matrix.
        """
        return [draw_confusion(dataset, outputs, folder)]

    def overall(self, dataset: Dataset, results: Sequence[tuple[Trial, Outputs, Score]]) -> Score:
        """The run's own score, of all its trials; here that of the only one, without its tables."""
        ((_, _, score),) = results
        return replace(score, tables={})

    def tested(self, trials: Sequence[Trial]) -> tuple[str, ...]:
        """The test images of any of the trials, sorted: what a resample of a run draws from."""
        return tuple(sorted({sample for trial in trials for sample in trial.test}))

    def resampling(self, dataset: Dataset, trials: Sequence[Trial], count: int) -> np.ndarray:
        """(R, N) how often each resample has each image of `tested`: those of the run's intervals.

        Args:
            dataset: as `prepare` gives it.
            trials: all of the run.
            count: how many are drawn; R may be less, see `resamples`.
        """
        return resamples(*truth(dataset, self.tested(trials)), count)

    def sampled(
        self, dataset: Dataset, results: Sequence[tuple[Trial, Predictions]], weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The run's scores in resamples of its test images.

        Args:
            dataset: as `prepare` gives it; photographs and masks are not looked at.
            results: every trial and what was said of its test images.
            weights: (R, N) int, how often each resample has each image of `tested`.

        Returns:
            metric -> (R,) float64, the headline among them; NaN where undefined. A row of ones
            gives the metrics of the run.
        """
        ((trial, said),) = results
        own = weights[:, positions(self.tested([trial]), said.ids)]
        labels, _ = truth(dataset, said.ids)
        found = classification.resampled(labels, said.probabilities, own)
        means = {n: statistics.weighted_mean(each, own) for n, each in said.values.items()}
        return found | means

    def draw_overall(self, dataset: Dataset, score: Score, folder: Path) -> list[Path]:
        """Draw the pictures of the run's own score into `folder`; here there are none."""
        return []
