"""Grading: how severe is each of several diseases, where training images have a grade of one?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from benchmark.config import Options
from benchmark.data import splits
from benchmark.data.dataset import SPLITS, UNLABELLED, Dataset, Disease
from benchmark.data.pixels import Progress, silent
from benchmark.errors import DataError
from benchmark.metrics import classification, ordinal
from benchmark.metrics.names import OF_DISEASE
from benchmark.metrics.statistics import RESAMPLES
from benchmark.records.predictions import Predictions
from benchmark.records.record import Metric
from tasks.base import SPLIT_SEED, Task
from tasks.given import Outputs, Score, Trial
from tasks.reliability import SHOWN, add_reliability, draw_added
from tasks.scoring import (
    diagnosis_metrics,
    draw_confusion,
    positions,
    resamples,
    sample_first,
    truth,
    with_intervals,
)

HEADLINE = "quadratic_kappa"
# What the command line prints of each disease.
_OF_EACH = (
    HEADLINE,
    "accuracy",
    "macro_f1",
    "macro_auc",
    "referable_auc",
    "mean_absolute_grade_error",
    *SHOWN,
)


class GradingOptions(Options):
    """Which grades of an image may be trained on."""

    grades: Literal["one", "all"] = Field(
        "one",
        description="one: a training or validation image keeps the grade of a single disease, taken"
        " in turn (SALL's setting); all: every grade that it has",
    )


class Grading(Task):
    """Ordered grades of several diseases, each scored on the test images that have its grade.

    Each disease is a trial. Parts are of whole patients; those that the data set fixes are kept, a
    missing one is carved out by disease and grade. With `grades` one, an image of the training and
    validation parts keeps the grade of one disease: patients stand in the order of their grades,
    those of equal grades at random, and take the diseases in turn, so that each disease keeps about
    the same share of every grade (ours). The other grades of such an image are out of reach. A
    trial trains on the images that kept its disease's grade; to a joint method the other training
    images are there as well, with the grades that they kept.

    Ranked by the quadratic-weighted kappa of the most probable grades (Cohen 1968; usual for
    grading, not from SALL's paper), the mean over the diseases. The epoch is chosen by macro AUC:
    the kappa of a network that still says one grade of all images is 0, however much it has
    learned, and the first such epoch would be kept (ours). Referable disease is a grade from the
    disease's `referable` on, scored by the summed probability of such grades. The interval of the
    mean is over the patients of all test images.
    """

    name = "grading"
    version = "1"
    summary = "grade several diseases, each training image with the grade of one"
    Options: ClassVar[type[Options]] = GradingOptions
    options: GradingOptions
    dataset = "synthetic-fundus"
    headline = HEADLINE
    graded = True
    explained_with = "gradcam"
    shown = (HEADLINE, *(f"{name}_of_*" for name in _OF_EACH))

    def check(self, dataset: Dataset) -> None:
        """Refuse data without grades.

        Raises:
            DataError: there is no disease, or one has no graded image.
        """
        if not dataset.diseases:
            raise DataError(
                f"{dataset.root}: task {self.name} needs graded diseases, and data set"
                f" {dataset.name} has classes only: use synthetic-fundus, idrid or multi-disease"
            )
        for disease in dataset.diseases:
            if (dataset.table[disease.column] == UNLABELLED).all():
                raise DataError(
                    f"{dataset.root}: no image has a grade of {disease.name}: add some, or leave"
                    " the disease out"
                )

    def prepare(self, dataset: Dataset) -> Dataset:
        """The grades of the first disease as labels, whichever the data set was asked for."""
        return self.of_trial(dataset, dataset.diseases[0].name) if dataset.diseases else dataset

    def trials(self, dataset: Dataset) -> list[Trial]:
        """A trial for each disease, by its name.

        Raises:
            DataError: as `check`; a disease's training part lacks one of its grades, or another
                part has images of one grade only.
        """
        self.check(dataset)
        grades = _grades(dataset)
        kept = self._kept(dataset)
        parts = _parts(dataset, kept)
        trials = []
        for number, disease in enumerate(dataset.diseases):
            usable = {name: kept[:, number] for name in SPLITS}
            usable["test"] = grades[:, number] != UNLABELLED
            ids = {
                name: tuple(sorted(set(dataset.table.index[usable[name]]).intersection(part)))
                for name, part in parts.items()
            }
            _check_grades(dataset, disease, ids, self.options.grades)
            others = tuple(sorted(set(parts["train"]).difference(ids["train"])))
            trials.append(Trial(disease.name, **ids, unlabelled=others))
        return trials

    def of_trial(self, dataset: Dataset, name: str) -> Dataset:
        """The data with the grades of the disease of this name for labels."""
        disease = _disease(dataset, name)
        table = dataset.table.assign(label=dataset.table[disease.column])
        return replace(dataset, table=table, classes=disease.grades)

    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """The scores of diagnosis, of ordered grades and of reliability; tables of each."""
        labels, groups = truth(dataset, outputs.ids)
        said, referable = outputs.probabilities, _disease(dataset, trial.name).referable
        ordered = with_intervals(
            ordinal.scores(labels, said, referable),
            ordinal.resampled(labels, said, referable, resamples(labels, groups)),
            groups,
        )
        tables = {"per_grade": classification.per_class(labels, said, dataset.classes)}
        score = Score(diagnosis_metrics(dataset, outputs) | ordered, tables)
        return add_reliability(score, dataset, trial, outputs)

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """The confusion matrix and the reliability diagram."""
        return [draw_confusion(dataset, outputs, folder), *draw_added(dataset, score, folder)]

    def overall(self, dataset: Dataset, results: Sequence[tuple[Trial, Outputs, Score]]) -> Score:
        """The mean kappa, and every score of every disease."""
        metrics = {HEADLINE: self._mean_kappa(dataset, results)}
        for trial, _, score in results:
            metrics |= {
                f"{name}{OF_DISEASE}{trial.name}": one for name, one in score.metrics.items()
            }
        rows = {
            trial.name: {name: one.value for name, one in score.metrics.items()}
            for trial, _, score in results
        }
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("disease")
        notes: list[str] = []
        for trial, _, score in results:
            there = f"{len(trial.train)} training images with its grade"
            notes += [f"{trial.name}: {there}, {len(trial.unlabelled)} without", *score.notes]
        return Score(metrics, {"diseases": table}, notes=tuple(notes))

    def resampling(self, dataset: Dataset, trials: Sequence[Trial], count: int) -> np.ndarray:
        """As if of one class: which grades a resample lacks is another matter for each disease."""
        _, groups = truth(dataset, self.tested(trials))
        return resamples(np.zeros(len(groups), np.int64), groups, count)

    def sampled(
        self, dataset: Dataset, results: Sequence[tuple[Trial, Predictions]], weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The mean kappa; arguments as of `Task.sampled`."""
        return {HEADLINE: self._mean_kappas(dataset, results, weights)}

    def _mean_kappa(
        self, dataset: Dataset, results: Sequence[tuple[Trial, Outputs, Score]]
    ) -> Metric:
        """Every resample of the test images' groups is the same for all diseases."""
        said = [(trial, outputs) for trial, outputs, _ in results]
        trials = [trial for trial, _ in said]
        _, groups = truth(dataset, self.tested(trials))
        weights = sample_first(self.resampling(dataset, trials, RESAMPLES))
        mean = self._mean_kappas(dataset, said, weights)
        return with_intervals({HEADLINE: float(mean[0])}, {HEADLINE: mean[1:]}, groups)[HEADLINE]

    def _mean_kappas(
        self,
        dataset: Dataset,
        results: Sequence[tuple[Trial, Outputs | Predictions]],
        weights: np.ndarray,
    ) -> np.ndarray:
        """(R,) the mean over the diseases in each resample (R, N) of the images of `tested`."""
        every = self.tested([trial for trial, _ in results])
        kappas = []
        for trial, said in results:
            labels, _ = truth(self.of_trial(dataset, trial.name), said.ids)
            own = weights[:, positions(every, said.ids)]
            referable = _disease(dataset, trial.name).referable
            kappas.append(ordinal.resampled(labels, said.probabilities, referable, own)[HEADLINE])
        return np.mean(kappas, axis=0)

    def _kept(self, dataset: Dataset) -> np.ndarray:
        """(N, D) bool: which grades may be trained on or chosen by, test images apart."""
        grades = _grades(dataset)
        known = grades != UNLABELLED
        if self.options.grades == "all":
            return known
        # By id and group, so that the order of the rows does not matter.
        rows = pd.Series(np.arange(len(grades)), index=dataset.table.index).sort_index()
        first = rows.groupby(dataset.table["group"]).first()
        shuffled = first.iloc[np.random.default_rng(SPLIT_SEED).permutation(len(first))]
        order = np.lexsort(grades[shuffled.to_numpy()].T)
        turn = dict(zip(shuffled.index[order], range(len(order)), strict=True))
        kept = np.zeros_like(known)
        for row, group in enumerate(dataset.table["group"]):
            diseases = np.flatnonzero(known[row])
            if len(diseases):
                kept[row, diseases[turn[group] % len(diseases)]] = True
        return kept


def _disease(dataset: Dataset, name: str) -> Disease:
    for disease in dataset.diseases:
        if disease.name == name:
            return disease
    raise DataError(f"{dataset.root} grades no disease called {name}")


def _grades(dataset: Dataset) -> np.ndarray:
    """(N, D) int64, UNLABELLED where not known."""
    columns = [disease.column for disease in dataset.diseases]
    return dataset.table[columns].to_numpy(np.int64)


def _parts(dataset: Dataset, kept: np.ndarray) -> dict[str, list[str]]:
    """The ids of each part, whole groups: the data set's own, the others carved out of the rest.

    They are carved out by the kept grades, an image of several counting as the rarest of them.
    """
    names = [f"{one.name} {grade}" for one in dataset.diseases for grade in one.grades]
    starts = np.cumsum([0, *(len(one.grades) for one in dataset.diseases)])[:-1]
    codes = np.where(kept, _grades(dataset) + starts, UNLABELLED)
    counts = np.bincount(codes[kept], minlength=len(names))
    rarity = np.where(kept, counts[codes], len(codes) + 1)
    rarest = codes[np.arange(len(codes)), rarity.argmin(axis=1)]
    fixed = dataset.table["split"]
    parts = {name: sorted(dataset.table.index[fixed == name]) for name in SPLITS[1:]}
    free = dataset.table.assign(label=rarest)[~fixed.isin(SPLITS[1:])]
    if free.empty:
        raise DataError(f"{dataset.root} has no training images: put some into the part 'train'")
    missing = [name for name, ids in parts.items() if not ids]
    if not missing:
        return {"train": sorted(free.index), **parts}
    shares = {"train": 1 - splits.CARVED * len(missing)} | dict.fromkeys(missing, splits.CARVED)
    try:
        return parts | splits.split(free, shares, SPLIT_SEED, names)
    except DataError as error:
        raise DataError(f"{dataset.root}: {error}") from error


def _check_grades(
    dataset: Dataset, disease: Disease, ids: Mapping[str, Sequence[str]], kept: str
) -> None:
    """Every grade that occurs is trained on; the other parts have two grades at least."""
    column = dataset.table[disease.column]
    occurring = set(column[column != UNLABELLED])
    for name, own in ids.items():
        lacking = occurring - set(column.loc[list(own)])
        if lacking and (name == "train" or len(occurring - lacking) < 2):
            told = ", ".join(disease.grades[grade] for grade in sorted(lacking))
            # Where images keep one grade, another may be what such an image has kept.
            thinned = kept == "one" and name != "test"
            has, remedy = ("keeps", ", or give --grades all") if thinned else ("has", "")
            raise DataError(
                f"{dataset.root}: no image of the {name} part {has} the {disease.name} grade"
                f" {told}: add some, or divide the images otherwise{remedy}"
            )
