"""The explainability task: its two protocols, what it scores and what it says of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.common.wording import counted
from benchmark.data.dataset import Dataset, first_readings
from benchmark.data.pixels import Progress, in_threads, silent
from benchmark.errors import DataError
from benchmark.metrics import classification, maps
from benchmark.records.predictions import Predictions
from tasks.base import Task
from tasks.explainability import exhibits, summary
from tasks.explainability.image import (
    ImageScore,
    NetworkMaps,
    readings,
    score_image,
    score_true_class,
    share,
    silent_readers,
)
from tasks.explainability.summary import PER_IMAGE
from tasks.given import Explanations, Outputs, Score, Trial
from tasks.reliability import SHOWN, add_reliability
from tasks.scoring import diagnosis_metrics, mean_metric, truth

# Names that a note spells out; the rest is counted.
_NAMED = 5


class Explainability(Task):
    """The network's map of the true class against the experts' maps, by two protocols.

    dermbench-1 (ours, the headline). Reference: the share of the annotators who read the image and
    marked the pixel (where who read it is not known, of those who marked anything). Map:
    the explainer's (Grad-CAM of the true class's logit at the catalogue's layer, unless another is
    asked for), upscaled to the masks' size by half-pixel bilinear interpolation, min-max
    normalised, no threshold. Scores are fuzzy (minimum and maximum in place of intersection and
    union) and averaged over all test images; beside them correctly diagnosed images only, the
    predicted class's map, and the true class's map against the other classes' (discrimination).
    Threshold-free: pixel AUPRC and AUROC, pointing game, relevance mass and rank, IoU at the best
    threshold. Of the explanation itself: insertion and deletion, parameter randomisation, both on
    the budget's number of images.

    dermxdb-2023 (arXiv 2302.12084, by its code). Reference: the sum of all single masks over its
    maximum, in 8 bits. Map: Grad-CAM of the softmax score at the paper's layer (DenseNet121's was
    not found: the catalogue's), in 8 bits, at 300x400, then upscaled to the masks' size, bicubic at
    image level and nearest below, min-max. Averaged over correctly diagnosed images, and beside it
    over all. The rule is theirs, the images are not: their 524 images and their split are not
    published, theirs had three annotators and a mask per drawn item where DermXDB's newer release
    has eight and a mask per characteristic.

    Floors (centred Gaussian, constant, mean mask of the training images, edges, an untrained
    network) and ceilings (one annotator against the others, annotator pairs, repeat readings; who
    read an image and marked nothing has an empty mask) are scored by the same two rules on the same
    images, ceilings on those of them that two have read; `explainability_skill` places the network
    between them. Insertion, deletion and randomisation depend on one draw of pixels' order and of
    weights; similarity to the randomised network is the absolute rank correlation.
    """

    name = "explainability"
    version = "2"
    summary = "the network's maps against the experts' own"
    headline = "explainability_f1"
    needs = frozenset({"masks"})
    maps = True
    per_image = PER_IMAGE
    shown = (
        "explainability_f1",
        "explainability_skill",
        "explainability_sensitivity",
        "explainability_specificity",
        "explainability_auprc",
        "explainability_pointing_game",
        "correct_only_f1",
        "predicted_class_f1",
        "discrimination_f1",
        "dermxdb_2023_f1",
        "dermxdb_2023_all_images_f1",
        "insertion_auc",
        "deletion_auc",
        "randomised_similarity",
        "macro_f1",
        "macro_auc",
        *SHOWN,
    )

    def trials(self, dataset: Dataset) -> list[Trial]:
        """The data set's split; test images that nobody marked cannot be scored."""
        marked = set(first_readings(dataset.masks)["id"])
        trials = []
        for trial in super().trials(dataset):
            test = tuple(i for i in trial.test if i in marked)
            if not test:
                raise DataError(f"{dataset.root}: no test image of {dataset.name} has a mask")
            unscored = tuple(i for i in trial.test if i not in marked)
            trials.append(Trial(trial.name, trial.train, trial.validation, test, unscored))
        return trials

    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """Every score of every test image, then their means; diagnosis and its reliability."""
        found = outputs.explanations
        if found is None:
            raise ValueError("the explainability task scores maps and was given none")
        labels, groups = truth(dataset, outputs.ids)
        mean_mask = _mean_mask(dataset, trial, progress)

        def scored(position: int) -> ImageScore:
            sample = outputs.ids[position]
            return score_image(
                readings(dataset, sample),
                _network_maps(found, position, int(labels[position])),
                dataset.image(sample),
                mean_mask,
            )

        count = len(outputs.ids)
        each = list(progress(in_threads(scored, range(count)), "scoring maps against masks", count))
        index = pd.Index(outputs.ids, name="id")
        table = pd.DataFrame([one.scores for one in each], index=index)
        predicted = classification.predicted_classes(outputs.probabilities)
        table.insert(0, "correct", predicted == labels)
        if "network_f1" not in table:
            raise DataError(
                f"{dataset.root}: no mask of the {count} test images has a marked pixel, so there"
                " is nothing to explain: check the masks"
            )
        rows = pd.DataFrame(
            [{"id": i, **row} for i, one in zip(index, each, strict=True) for row in one.levels]
        )
        metrics = summary.network_metrics(table, groups)
        metrics |= summary.probe_metrics(found.probes, dataset)
        metrics |= diagnosis_metrics(dataset, outputs)
        tables = {
            "per_image": table,
            "levels_per_image": rows.set_index("id"),
            "levels": summary.levels(rows, table, dataset, groups),
            **_probe_tables(found),
        }
        notes = (*_map_notes(outputs, found), *_mask_notes(dataset, trial, table))
        score = Score(metrics, tables, summary.baselines(table, groups), notes)
        return add_reliability(score, dataset, trial, outputs)

    def rescore(
        self, dataset: Dataset, trial: Trial, said: Predictions, temperature: float | None
    ) -> Score:
        """Diagnosis, its reliability and the means over images; the rest needs maps and masks."""
        outputs = Outputs(said.ids, said.probabilities, temperature=temperature)
        labels, groups = truth(dataset, said.ids)
        metrics = {name: mean_metric(each, groups) for name, each in said.values.items()}
        if self.headline in metrics:
            correct = classification.predicted_classes(said.probabilities) == labels
            of_correct = said.values[self.headline][correct]
            metrics["correct_only_f1"] = mean_metric(of_correct, groups[correct])
        score = Score(metrics | diagnosis_metrics(dataset, outputs))
        return add_reliability(score, dataset, trial, outputs)

    def map_scores(
        self,
        dataset: Dataset,
        ids: Sequence[str],
        heatmaps: np.ndarray,
        progress: Progress = silent,
    ) -> dict[str, np.ndarray]:
        """Every score of dermbench-1 that is a mean over images and of the true class's map.

        The others need the predicted class's map, those of every class, Grad-CAM by dermxdb-2023's
        rule, the network itself (insertion, deletion, randomisation) or the photographs (skill).
        """

        def scored(position: int) -> dict[str, float]:
            values = np.asarray(heatmaps[position], np.float32)
            return score_true_class(readings(dataset, ids[position]), values)

        count = len(ids)
        stream = in_threads(scored, range(count))
        table = pd.DataFrame(list(progress(stream, "scoring maps against masks", count)))
        return {
            metric: table[column].to_numpy(np.float64)
            for metric, column in PER_IMAGE.items()
            if column in table
        }

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """The gallery, its sheets, the curves, the confusion matrix and reliability."""
        return exhibits.draw(dataset, outputs, score, folder)


def _network_maps(found: Explanations, position: int, label: int) -> NetworkMaps:
    here = {name: maps.finite(array[position]) for name, array in found.arrays().items()}
    return NetworkMaps(label=label, **here)


def _mean_mask(dataset: Dataset, trial: Trial, progress: Progress) -> np.ndarray | None:
    """The mean reference of the training images, None where nobody marked any."""
    marked = set(first_readings(dataset.masks)["id"])
    train = [sample for sample in trial.train if sample in marked]
    if not train:
        return None

    def reference(sample: str) -> np.ndarray:
        read = readings(dataset, sample)
        return share(read.first, read.readers)

    stream: Iterator[np.ndarray] = in_threads(reference, train)
    return maps.mean_map(progress(stream, "mean training mask", len(train)))


def _probe_tables(found: Explanations) -> dict[str, pd.DataFrame]:
    """Insertion, deletion and randomisation, a row per image and point."""
    probes = found.probes
    points = pd.MultiIndex.from_product([probes.ids, probes.shares], names=["id", "share"])
    curves = pd.DataFrame(
        {"insertion": probes.insertion.ravel(), "deletion": probes.deletion.ravel()}, index=points
    )
    stages = pd.MultiIndex.from_product([probes.stages, probes.ids], names=["stage", "id"])
    similarity = pd.DataFrame({"similarity": probes.similarity.ravel()}, index=stages)
    return {"faithfulness": curves, "randomisation": similarity}


def _mask_notes(dataset: Dataset, trial: Trial, table: pd.DataFrame) -> Iterator[str]:
    """Which images and readings have nothing to compare with."""
    if trial.unscored:
        yield f"Without a mask, not scored: {_some(trial.unscored)}."
    empty = list(table.index[table["network_f1"].isna()])
    if empty:
        yield f"Masks without a marked pixel, not scored: {_some(empty)}."
    silent = Counter(name for sample in trial.test for name in silent_readers(dataset, sample))
    if silent:
        each = ", ".join(f"{name} {count}" for name, count in sorted(silent.items()))
        count = counted(silent.total(), "reading")
        yield f"{count} of test images marked nothing ({each}): empty masks."


def _map_notes(outputs: Outputs, found: Explanations) -> Iterator[str]:
    """Which maps point nowhere."""
    kinds = (("true class", found.true), ("predicted class by dermxdb-2023", found.published))
    for name, values in kinds:
        flat = values.reshape(len(values), -1)
        broken = ~np.isfinite(flat).all(axis=1)
        empty = ~broken & (flat == 0).all(axis=1)
        for what, chosen in (("not finite", broken), ("zero everywhere", empty)):
            ids = [i for i, hit in zip(outputs.ids, chosen, strict=True) if hit]
            if ids:
                yield f"Map ({name}) {what}, scored as all zero: {_some(ids)}."


def _some(ids: tuple[str, ...] | list[str]) -> str:
    named = ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
    return f"{counted(len(ids), 'test image')} ({named})"
