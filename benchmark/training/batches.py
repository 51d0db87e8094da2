"""The batches of a stage's epochs: what it trains on, in the order that seed and epoch fix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from benchmark.data.dataset import UNLABELLED
from benchmark.data.pipeline import (
    UNLABELLED_STREAM,
    Samples,
    steps_per_epoch,
    training_batches,
)
from benchmark.methods.base import Batch, Picks, Stage

# A stream of random numbers; the pipeline's are 0, 1, 4 and 5, the loop's 3.
_INPUTS = 2


@dataclass(frozen=True)
class StageData:
    """What a stage trains on: what it knows the labels of, and all there is without labels.

    `beside` has a row for each labelled image.
    """

    stage: Stage
    labelled: Samples
    everything: Samples
    beside: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, stage: Stage, train: Samples, unlabelled: Samples | None) -> "StageData":
        """Of a stage, its training images and those whose labels it does not know."""
        beside = stage.beside
        if stage.of is not None:
            train = Samples(train.pixels, train.rows[stage.of], train.labels[stage.of])
            beside = {name: rows[stage.of] for name, rows in beside.items()}
        rows = train.rows if unlabelled is None else np.append(train.rows, unlabelled.rows)
        everything = Samples(train.pixels, rows, np.full(len(rows), UNLABELLED, np.int64))
        if stage.picks is not None and len(stage.picks.places):
            train = _with_picks(train, unlabelled, stage.picks)
        return cls(stage, train, everything, beside)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return steps_per_epoch(len(self.everything), self.stage.recipe.batch_size)

    def batches(self, seed: int, number: int, first: int = 0) -> Iterator[Batch]:
        """The numpy batches of an epoch, counted from 0, from its `first` one on."""
        stage, total = self.stage, len(self.everything)
        # Not the pipeline's generators: what a loss draws leaves the batches as they are.
        generator = np.random.default_rng((seed, number, _INPUTS))
        size = min(stage.recipe.batch_size, total)
        if stage.inputs:
            for _ in range(first):
                stage.inputs(number, size, generator)
        views = (stage.recipe.augmentation,) if stage.views is None else stage.views
        labelled = training_batches(
            self.labelled, views, size, seed, number, stage.class_shares, total, first=first
        )
        further: Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]] = repeat(((), np.empty(0)))
        if stage.unlabelled_views:
            size *= stage.unlabelled_ratio
            further = training_batches(
                self.everything,
                stage.unlabelled_views,
                size,
                seed,
                number,
                count=self.steps * size,
                stream=UNLABELLED_STREAM,
                first=first,
            )
        for (images, places), (unlabelled, _) in zip(labelled, further, strict=False):
            inputs = stage.inputs(number, len(places), generator) if stage.inputs else {}
            inputs |= {name: rows[places] for name, rows in self.beside.items()}
            yield Batch(images, self.labelled.labels[places], inputs, unlabelled)


def _with_picks(train: Samples, unlabelled: Samples | None, picks: Picks) -> Samples:
    if unlabelled is None or len(np.unique(picks.places)) < len(picks.places):
        raise ValueError("picks are of unlabelled images, none twice")
    rows = np.append(train.rows, unlabelled.rows[picks.places])
    return Samples(train.pixels, rows, np.append(train.labels, picks.labels))
