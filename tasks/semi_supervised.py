"""Semi-supervised: how much of the score is left where few of the training images are labelled?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from benchmark.config import Options
from benchmark.data import fractions
from benchmark.data.dataset import UNLABELLED, Dataset
from benchmark.data.images import SUFFIXES
from benchmark.data.pixels import Progress, silent
from benchmark.errors import DataError
from benchmark.metrics import classification
from benchmark.pictures.fractions import Series, score_by_fraction
from benchmark.records.predictions import Predictions
from benchmark.records.record import Metric
from tasks.base import Task
from tasks.given import Outputs, Score, Trial
from tasks.reliability import add_reliability, draw_added
from tasks.scoring import (
    diagnosis_metrics,
    draw_confusion,
    positions,
    resamples,
    sample_first,
    truth,
    with_intervals,
)

FRACTIONS = "1,5,10,20,50,100"
# Scores whose curve over the label fractions has an area, headline first, and those without one.
AREAS = ("macro_f1", "balanced_accuracy", "macro_auc")
BY_FRACTION = (*AREAS, "accuracy", "macro_sensitivity", "macro_specificity")
# The double slash is in no id of a layout: these are relative paths.
FOLDER_PREFIX = "unlabelled//"


class SemiSupervisedOptions(Options):
    """How many labels there are, and what there is besides."""

    paths: ClassVar[frozenset[str]] = frozenset({"unlabelled"})

    label_fractions: str = Field(
        FRACTIONS,
        description="percent of the training images that are labelled, separated by commas; each is"
        " a trial, and its labelled images are part of every larger one's",
    )
    unlabelled: str | None = Field(
        None,
        min_length=1,
        description="a folder with further training images without labels, searched recursively",
    )

    @field_validator("label_fractions")
    @classmethod
    def _normalised(cls, text: str) -> str:
        """Increasing and without repeats, so that one question has one spelling."""
        try:
            # As they are written: trials that have one name would be one trial.
            percents = {float(f"{float(part):g}") for part in text.split(",")}
        except ValueError:
            percents = set()
        # Written so that NaN fails, too.
        if not percents or not all(0 < percent <= 100 for percent in percents):
            raise PydanticCustomError(
                "label_fractions",
                "it should be percentages above 0 and at most 100, separated by commas, such as"
                " 5,10,100",
            )
        return ",".join(f"{percent:g}" for percent in sorted(percents))


class SemiSupervised(Task):
    """Classification of held-out images after training with few labels.

    The parts are those of every task; each label fraction is a trial, which trains on the same
    images, but is told the labels of a few only. These are drawn from the run's seed, whole lesions
    and patients at a time, the same share of every class, the few of one fraction part of the more
    of the next; so seeds differ in what is labelled, and are scored on the same images. Images of
    the data set that have no label, and those of `unlabelled`, are trained on without one at every
    fraction; images of a lesion or patient that is in validation or test are not.

    Ranked by the area under the curve of macro F1 over the label fraction: the mean height of the
    curve, drawn straight between the fractions on a logarithmic axis, so that going from 1 to 10 %
    weighs as much as from 10 to 100 %; of one fraction, the score itself (ours). Its interval is
    that of the area: each resample of the test groups is the same at all fractions.

    The epoch is chosen by macro F1 of the validation part, which keeps its labels at every
    fraction. At small fractions there are so more labels to choose by than to train on: a run says
    what can be had where a validation set is labelled anyway, and not with 1 % of all labels. The
    same holds for every method (ours).
    """

    name = "semi-supervised"
    version = "1"
    summary = "classify held-out images after training with few labels"
    Options: ClassVar[type[Options]] = SemiSupervisedOptions
    options: SemiSupervisedOptions
    headline = f"{AREAS[0]}_area"
    selected_by = "macro_f1"
    seeded = True
    shown = (
        *(f"{score}_area" for score in AREAS),
        *(f"{score}_at_*" for score in ("macro_f1", "macro_auc")),
    )

    @property
    def percents(self) -> list[float]:
        """The label fractions, increasing."""
        return [float(part) for part in self.options.label_fractions.split(",")]

    def prepare(self, dataset: Dataset) -> Dataset:
        """With `unlabelled`, the data and the images of that folder, each a group of its own.

        Raises:
            DataError: the folder cannot be read or holds no image.
        """
        if self.options.unlabelled is None:
            return dataset
        rows = _folder_rows(Path(self.options.unlabelled))
        further = rows.reindex(columns=dataset.table.columns)
        for column in further.columns.difference(rows.columns):
            if not pd.api.types.is_numeric_dtype(dataset.table[column]):
                further[column] = ""
        note = (
            f"{len(rows)} further images without labels are from the folder"
            f" {Path(self.options.unlabelled).name}."
        )
        table = pd.concat([dataset.table, further]).rename_axis(dataset.table.index.name)
        return replace(dataset, table=table, notes=(*dataset.notes, note))

    def trials_of(self, dataset: Dataset, seed: int) -> list[Trial]:
        """A trial `labels-P` for each label fraction P in percent.

        Raises:
            DataError: as `fractions.draw`.
        """
        (whole,) = self.trials(dataset)
        rows = dataset.table.loc[list(whole.train)]
        try:
            drawn = fractions.draw(rows, self.percents, seed, dataset.classes)
        except DataError as error:
            raise DataError(f"{dataset.root}: {error}") from error
        pool = self._pool(dataset, whole)
        return [
            replace(
                whole,
                name=f"labels-{percent:g}",
                train=tuple(labelled),
                unlabelled=tuple(sorted({*whole.train, *pool} - set(labelled))),
            )
            for percent, labelled in drawn.items()
        ]

    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """The scores of diagnosis and of reliability, a table per class, how many were labelled."""
        labels, _ = truth(dataset, outputs.ids)
        per_class = classification.per_class(labels, outputs.probabilities, dataset.classes)
        labelled = _class_counts(dataset, trial.train)
        hidden = _class_counts(dataset, trial.unlabelled)
        per_class.insert(0, "n_labelled", labelled)
        most, least = int(labelled.argmax()), int(labelled.argmin())
        about = (
            f"{trial.name}: {len(trial.train)} training images with a label"
            f" ({dataset.classes[most]} {labelled[most]}, {dataset.classes[least]}"
            f" {labelled[least]}), {len(trial.unlabelled)} without"
        )
        missed = fractions.misses(labelled, labelled + hidden, _percent(trial), dataset.classes)
        notes = (about, *([f"{trial.name}: {missed}"] if missed else []))
        score = Score(diagnosis_metrics(dataset, outputs), {"per_class": per_class}, notes=notes)
        return add_reliability(score, dataset, trial, outputs)

    def overall(self, dataset: Dataset, results: Sequence[tuple[Trial, Outputs, Score]]) -> Score:
        """The areas, the scores at each label fraction, and a table of the curve."""
        percents = [_percent(trial) for trial, _, _ in results]
        metrics = _areas(dataset, percents, [outputs for _, outputs, _ in results])
        for name in BY_FRACTION:
            for percent, (_, _, score) in zip(percents, results, strict=True):
                metrics[f"{name}_at_{percent:g}"] = score.metrics[name]
        table = _curve(percents, [trial for trial, _, _ in results], metrics)
        notes = tuple(note for _, _, score in results for note in score.notes)
        return Score(metrics, {"label_fractions": table}, notes=notes)

    def sampled(
        self, dataset: Dataset, results: Sequence[tuple[Trial, Predictions]], weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The areas; arguments as of `Task.sampled`."""
        said = [each for _, each in results]
        labels, _ = truth(dataset, said[0].ids)
        own = weights[:, positions(self.tested([trial for trial, _ in results]), said[0].ids)]
        return _sampled_areas(labels, [_percent(trial) for trial, _ in results], said, own)

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """The confusion matrix, the reliability diagram and the risk-coverage curve."""
        return [draw_confusion(dataset, outputs, folder), *draw_added(dataset, score, folder)]

    def draw_overall(self, dataset: Dataset, score: Score, folder: Path) -> list[Path]:
        """Macro F1 and macro AUC against the label fraction."""
        table = score.tables["label_fractions"]
        series = {
            told: Series(*(table[f"{name}{end}"].to_numpy(float) for end in ("", "_low", "_high")))
            for name, told in (("macro_auc", "macro AUC"), ("macro_f1", "macro F1"))
        }
        target = folder / "label-fractions.png"
        title = f"Score by label fraction: {dataset.name}"
        score_by_fraction(
            table.index.to_numpy(float), table["labelled"].to_numpy(), series, title, target
        )
        return [target]

    def _pool(self, dataset: Dataset, whole: Trial) -> set[str]:
        """Images without a label that may be trained on, those of the folder among them."""
        table = dataset.table
        held_out = [*whole.validation, *whole.test, *whole.unscored]
        free = (table["label"] == UNLABELLED) & ~table["split"].isin(["validation", "test"])
        free &= ~table["group"].isin(table.loc[held_out, "group"])
        further = self.prepare(dataset).table.index.difference(table.index)
        return {*table.index[free], *further}


def _folder_rows(folder: Path) -> pd.DataFrame:
    """A row of a data set's table for each image below the folder.

    Raises:
        DataError: the folder cannot be read or holds no image.
    """
    try:
        next(folder.iterdir(), None)
        found = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
    except OSError as error:
        raise DataError(
            f"--unlabelled {folder} cannot be read ({error.strerror}): check the path and its"
            " permissions"
        ) from error
    if not found:
        raise DataError(
            f"--unlabelled {folder} holds no image ({', '.join(SUFFIXES)}): add some, or leave the"
            " option out"
        )
    ids = [FOLDER_PREFIX + path.relative_to(folder).as_posix() for path in found]
    columns = {"path": list(map(str, found)), "label": UNLABELLED, "group": ids, "split": "train"}
    return pd.DataFrame(columns, index=ids)


def _percent(trial: Trial) -> float:
    """The label fraction of a trial."""
    return float(trial.name.removeprefix("labels-"))


def _class_counts(dataset: Dataset, ids: tuple[str, ...]) -> np.ndarray:
    """(K,) int64: images of each class, those without a label in none."""
    labels, _ = truth(dataset, ids)
    return np.bincount(labels[labels != UNLABELLED], minlength=len(dataset.classes))


def _areas(
    dataset: Dataset, percents: Sequence[float], outputs: Sequence[Outputs]
) -> dict[str, Metric]:
    """The area of each of `AREAS` with its interval, every resample the same at all fractions."""
    labels, groups = truth(dataset, outputs[0].ids)
    weights = sample_first(resamples(labels, groups))
    areas = _sampled_areas(labels, percents, outputs, weights)
    values = {name: float(every[0]) for name, every in areas.items()}
    return with_intervals(values, {name: every[1:] for name, every in areas.items()}, groups)


def _sampled_areas(
    labels: np.ndarray,
    percents: Sequence[float],
    said: Sequence[Outputs | Predictions],
    weights: np.ndarray,
) -> dict[str, np.ndarray]:
    """The area of each of `AREAS` in each resample of the images, in the order of their ids."""
    if any(each.ids != said[0].ids for each in said):
        raise ValueError("the label fractions were not scored on the same images")
    found = [classification.resampled(labels, each.probabilities, weights) for each in said]
    return {
        f"{name}_area": area(percents, np.stack([scores[name] for scores in found]))
        for name in AREAS
    }


def area(percents: Sequence[float], scores: np.ndarray) -> np.ndarray:
    """The mean height of curves over the logarithm of the label fraction, by trapezoids.

    Args:
        percents: F label fractions, increasing.
        scores: (F, ...) of each; NaN where undefined.

    Returns:
        (...) in the range of the scores; NaN where any is. Of one fraction, its score.
    """
    if len(percents) == 1:
        return np.asarray(scores[0])
    steps = np.diff(np.log(percents))
    heights = (scores[1:] + scores[:-1]) / 2
    return np.tensordot(steps / steps.sum(), heights, axes=1)


def _curve(
    percents: Sequence[float], trials: Sequence[Trial], metrics: Mapping[str, Metric]
) -> pd.DataFrame:
    """A row for each label fraction: images, then each score with its interval."""
    rows = []
    for percent, trial in zip(percents, trials, strict=True):
        row: dict[str, float | int | None] = {
            "labelled": len(trial.train),
            "unlabelled": len(trial.unlabelled),
        }
        for name in BY_FRACTION:
            found = metrics[f"{name}_at_{percent:g}"]
            row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(percents, name="percent"))
