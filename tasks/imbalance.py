"""Imbalance: how well does a network diagnose the classes it has seen few images of?"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from benchmark import pictures
from benchmark.config import Options
from benchmark.data import longtail
from benchmark.data.dataset import UNLABELLED, Dataset
from benchmark.data.pixels import Progress, silent
from benchmark.errors import DataError, UserError
from benchmark.metrics import binary, classification, statistics
from benchmark.records.predictions import Predictions
from benchmark.records.record import Metric
from tasks.base import SPLIT_SEED, Task
from tasks.given import Outputs, Score, Trial
from tasks.reliability import SHOWN, add_reliability, draw_added
from tasks.scoring import (
    diagnosis_metrics,
    draw_confusion,
    resamples,
    sample_first,
    truth,
    with_intervals,
)

# Training images of a class, least and most: the bands of Liu et al. 2019 (arXiv 1904.05160).
BANDS: dict[str, tuple[int, float]] = {
    "many": (101, np.inf),
    "medium": (20, 100),
    "few": (1, 19),
}


class ImbalanceOptions(Options):
    """How rare the rare classes are."""

    imbalance: Literal["natural", "10", "50", "100"] = Field(
        "natural",
        description="training images of the largest class to those of the rarest: as they are, or"
        " thinned to this ratio by an exponential profile; validation and test stay",
    )
    positive: str | None = Field(
        None, description="a class to tell from all others: a question of two classes"
    )


class Imbalance(Task):
    """Classification of held-out images after training on a long tail.

    Only the training part is thinned, whole lesions and patients at a time: the profiles of one
    data set share their validation and test images, and at ratio 10, 50 and 100 the largest class
    has as many images, so a lower score comes of what the other classes lost. Ranked by macro F1:
    balanced accuracy hardly notices a rare class that is diagnosed too often, macro AUC needs no
    decision.

    The validation score is macro F1 too, of validation images that are as frequent as in the data.
    With the few that a rare class has there, one more hit moves it about as much as balanced
    accuracy; but its false alarms are counted among all images, and a classifier that is adjusted
    by balanced accuracy pays for rare classes with false alarms which the ranking punishes (ours).
    """

    name = "imbalance"
    version = "1"
    summary = "classify held-out images after training on classes of unequal size"
    Options: ClassVar[type[Options]] = ImbalanceOptions
    options: ImbalanceOptions
    headline = "macro_f1"
    selected_by = "macro_f1"
    shown = (
        "macro_f1",
        "balanced_accuracy",
        "macro_auc",
        "many_shot_sensitivity",
        "medium_shot_sensitivity",
        "few_shot_sensitivity",
        "many_shot_f1",
        "medium_shot_f1",
        "few_shot_f1",
        "g_mean",
        "hard_label_auc",
        "accuracy",
        "macro_sensitivity",
        "macro_specificity",
        "macro_precision",
        *binary.SCORES,
        *SHOWN,
    )

    def prepare(self, dataset: Dataset) -> Dataset:
        """With `positive`, the data as two classes: "not X" (0) and X (1).

        Raises:
            UserError: no class is called so.
        """
        name = self.options.positive
        if name is None:
            return dataset
        if name not in dataset.classes:
            # In the very spelling: another one would be another run of the same question.
            raise UserError(
                f"--positive {name}: {dataset.name} has no such class, choose one of"
                f" {', '.join(dataset.classes)}"
            )
        labels = dataset.table["label"]
        chosen = labels == dataset.classes.index(name)
        positive = chosen.astype(labels.dtype).where(labels != UNLABELLED, UNLABELLED)
        return replace(
            dataset,
            table=dataset.table.assign(label=positive),
            classes=(f"not {name}", name),
        )

    def trials(self, dataset: Dataset) -> list[Trial]:
        """The split of every task, its training part thinned to the profile.

        One class against the rest is asked of the same images as all classes are.

        Raises:
            DataError: as `longtail.profile` and `longtail.draw`.
        """
        asked = self.prepare(dataset)
        return [self._thinned(asked, trial) for trial in super().trials(dataset)]

    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """Macro scores, those of frequent and rare classes, reliability, and a table per class."""
        score = self._of_answers(dataset, trial, outputs)
        notes = self._notes(dataset, trial, _class_counts(dataset, trial.train))
        return replace(score, notes=(*notes, *score.notes))

    def rescore(
        self, dataset: Dataset, trial: Trial, said: Predictions, temperature: float | None
    ) -> Score:
        """All but the notes on the profile, which only the whole data set can tell."""
        outputs = Outputs(said.ids, said.probabilities, temperature=temperature)
        return self._of_answers(dataset, trial, outputs)

    def _of_answers(self, dataset: Dataset, trial: Trial, outputs: Outputs) -> Score:
        """The score of a trial without notes on its training part."""
        labels, groups = truth(dataset, outputs.ids)
        weights = sample_first(resamples(labels, groups))
        found = classification.resampled_per_class(labels, outputs.probabilities, weights)
        counts = _class_counts(dataset, trial.train)
        metrics = diagnosis_metrics(dataset, outputs)
        metrics |= _estimated(
            {
                "g_mean": classification.g_mean(found["sensitivity"]),
                "hard_label_auc": classification.hard_label_auc(
                    found["sensitivity"], found["specificity"]
                ),
            },
            groups,
        )
        metrics |= _band_metrics(found, counts, labels, groups)
        if len(dataset.classes) == 2:
            positive = binary.resampled(labels == 1, outputs.probabilities[:, 1], weights)
            metrics |= _estimated(positive, groups)
        tables = {"per_class": _per_class(dataset, found, counts, labels)}
        return add_reliability(Score(metrics, tables), dataset, trial, outputs)

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """Sensitivity by the number of training images, the confusion matrix, reliability."""
        table = score.tables["per_class"]
        target = folder / "sensitivity-by-frequency.png"
        pictures.sensitivity_by_frequency(
            table["n_train"].to_numpy(),
            table["sensitivity"].to_numpy(),
            table["sensitivity_low"].to_numpy(),
            table["sensitivity_high"].to_numpy(),
            dataset.classes,
            f"Sensitivity by training images: {dataset.name}, imbalance {self.options.imbalance}",
            target,
        )
        confusion = draw_confusion(dataset, outputs, folder)
        return [target, confusion, *draw_added(dataset, score, folder)]

    def _targets(self, dataset: Dataset, counts: np.ndarray) -> np.ndarray:
        """(K,) training images wanted of each class, where there are `counts`."""
        if self.options.imbalance == "natural":
            return counts
        return longtail.profile(counts, float(self.options.imbalance), dataset.classes)

    def _thinned(self, dataset: Dataset, trial: Trial) -> Trial:
        if self.options.imbalance == "natural":
            return trial
        table = dataset.table.loc[list(trial.train)]
        try:
            targets = self._targets(dataset, _class_counts(dataset, trial.train))
            drawn = longtail.draw(table, targets, SPLIT_SEED, dataset.classes)
        except DataError as error:
            raise DataError(f"{dataset.root}: {error}") from error
        return replace(trial, train=tuple(drawn))

    def _notes(self, dataset: Dataset, trial: Trial, counts: np.ndarray) -> tuple[str, ...]:
        """What the training part is, and which classes missed the profile."""
        present = counts[counts > 0]
        listed = ", ".join(
            f"{dataset.classes[k]} {counts[k]}" for k in np.argsort(-counts, kind="stable")
        )
        # What the other parts leave, not what the code would draw: the split may be frozen.
        others = {*trial.validation, *trial.test, *trial.unscored}
        labelled = dataset.table.index[dataset.table["label"] != UNLABELLED]
        whole = _class_counts(dataset, tuple(i for i in labelled if i not in others))
        thinned = f", thinned from {whole.sum()}" if counts.sum() < whole.sum() else ""
        measured = present.max() / present.min()
        about = (
            f"{counts.sum()} training images{thinned}: {listed}; the largest class has"
            f" {measured:.1f} times the images of the rarest"
        )
        if self.options.imbalance == "natural":
            return (about,)
        wanted = float(self.options.imbalance)
        if abs(measured - wanted) > 0.1 * wanted:
            about = f"{about}, where {wanted:g} was asked for: whole images, of few"
        return about, *longtail.misses(counts, self._targets(dataset, whole), dataset.classes)


def _class_counts(dataset: Dataset, ids: tuple[str, ...]) -> np.ndarray:
    """(K,) int64: images of each class."""
    return np.bincount(truth(dataset, ids)[0], minlength=len(dataset.classes))


def _estimated(series: Mapping[str, np.ndarray], groups: np.ndarray) -> dict[str, Metric]:
    """Metrics of (1 + R,) scores each: on the images as they are, then on the resamples."""
    values = {name: float(every[0]) for name, every in series.items()}
    return with_intervals(values, {name: every[1:] for name, every in series.items()}, groups)


def _band_metrics(
    found: Mapping[str, np.ndarray], counts: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> dict[str, Metric]:
    """Mean sensitivity and F1 of the classes of each band that have a test image.

    Args:
        found: score -> (1 + R, K).
        counts: (K,) training images.
        labels: (N,) of the test images.
        groups: (N,) of the test images.
    """
    tested = np.bincount(labels, minlength=len(counts)) > 0
    metrics: dict[str, Metric] = {}
    for band, (least, most) in BANDS.items():
        members = (counts >= least) & (counts <= most) & tested
        for score in ("sensitivity", "f1"):
            name = f"{band}_shot_{score}"
            if not members.any():
                note = f"no class has {_spelled(band)} training images"
                metrics[name] = Metric(value=None, n=0, groups=0, note=note)
                continue
            series = {name: _mean_of(found, score, members)}
            # False alarms among all images enter F1; sensitivity knows only the band's own.
            own = members[labels] if score == "sensitivity" else np.full(len(labels), True)
            metrics |= _estimated(series, groups[own])
    return metrics


def _spelled(band: str) -> str:
    least, most = BANDS[band]
    if np.isinf(most):
        return f"more than {least - 1}"
    return f"less than {most + 1:g}" if least == 1 else f"{least} to {most:g}"


def _mean_of(found: Mapping[str, np.ndarray], score: str, members: np.ndarray) -> np.ndarray:
    """(1 + R,) mean over the classes that a resample has images of; NaN where it has none."""
    drawn = ~np.isnan(found["sensitivity"]) & members
    total = np.where(drawn, found[score], 0).sum(axis=1)
    count = drawn.sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _per_class(
    dataset: Dataset, found: Mapping[str, np.ndarray], counts: np.ndarray, labels: np.ndarray
) -> pd.DataFrame:
    """One row per class: images, then each score with its 95 % interval."""
    columns: dict[str, np.ndarray | list[float]] = {
        "n_train": counts,
        "n_test": np.bincount(labels, minlength=len(counts)),
    }
    for name in classification.PER_CLASS:
        ends = [statistics.interval(column) for column in found[name][1:].T]
        columns[name] = found[name][0]
        columns[f"{name}_low"] = [low for low, _ in ends]
        columns[f"{name}_high"] = [high for _, high in ends]
    return pd.DataFrame(columns, index=pd.Index(dataset.classes, name="class"))
