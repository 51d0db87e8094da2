"""One network for several diseases, as a run trains it: its parts, its validation score."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmark.data.dataset import UNLABELLED
from benchmark.data.pipeline import Samples
from benchmark.methods.base import Part, Stage
from benchmark.running.survey import TrialSurvey
from benchmark.training.loop import Selection


def parts(names: Sequence[str], sizes: Sequence[int]) -> tuple[Part, ...]:
    """The logits of diseases of so many grades each, side by side."""
    ends = np.cumsum(sizes).tolist()
    return tuple(
        Part(name, slice(end - size, end))
        for name, size, end in zip(names, sizes, ends, strict=True)
    )


def mean_selection(selection: Selection, stage: Stage, parts: Sequence[Part]) -> Selection:
    """The mean of the validation scores of the diseases that the stage is judged by.

    Of labels (V, D), UNLABELLED where not known, and probabilities (V, K); each disease is scored
    by `selection` on the images that have its grade.
    """
    judged = range(len(parts)) if stage.judged_by is None else stage.judged_by

    def mean(labels: np.ndarray, probabilities: np.ndarray) -> float:
        scores = []
        for number in judged:
            known = labels[:, number] != UNLABELLED
            said = probabilities[known, parts[number].logits]
            scores.append(selection(labels[known, number], said))
        return float(np.mean(scores))

    return mean


def unlabelled(samples: Samples) -> Samples:
    """Without their labels: what no method is given, none can use."""
    return replace(samples, labels=np.full(len(samples), UNLABELLED, np.int64))


def passed_over(stage: Stage, survey: TrialSurvey) -> Samples:
    """The training images that a stage does not train on, without labels.

    An epoch counts them, as it does the images without a label in the run of one disease: so a
    teacher takes the steps of `single-task`, and every stage as many as the others.
    """
    without = survey.of_unlabelled
    if stage.of is None:
        return without
    rows = np.append(np.delete(survey.labelled.rows, stage.of), without.rows)
    return unlabelled(Samples(without.pixels, rows, rows))
