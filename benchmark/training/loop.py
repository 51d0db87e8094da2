"""The training loop every method shares: epochs, schedule, validation, best epoch, checkpoints."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import interrupt
from benchmark.data.dataset import UNLABELLED
from benchmark.data.pipeline import (
    UNLABELLED_STREAM,
    Samples,
    plain_batches,
    steps_per_epoch,
    training_batches,
)
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.methods.base import Batch, Picks, Stage
from benchmark.progress import Display
from benchmark.recipe import Recipe
from benchmark.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from benchmark.training.engine import Engine

# A checkpoint of a large network takes a second to write; this bounds its share of the time.
CHECKPOINT_SECONDS = 30.0
PREDICTION_BATCH = 32
_READINGS_PER_SECOND = 4
# Streams of random numbers; the pipeline's are 0, 1, 4 and 5.
_INPUTS, _TOGETHER = 2, 3

# selection(labels (N,), probabilities (N, K)) -> higher is better
Selection = Callable[[np.ndarray, np.ndarray], float]


@dataclass
class StageLog:
    """What happened in a stage, one dictionary per epoch.

    `chosen` tells whether `best_epoch` is the best of all, else it is the last. `recipe` is the
    stage's own.
    """

    stage: str
    recipe: Recipe
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    chosen: bool = True

    @property
    def best_score(self) -> float | None:
        """The validation score of the epoch whose weights are kept; None: there is none."""
        return self.epochs[self.best_epoch - 1]["validation"] if self.epochs else None

    @property
    def seconds(self) -> float:
        """Training and validation together."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    @property
    def images_per_second(self) -> float:
        """Training images per second of training, over all epochs."""
        trained = sum(epoch["images"] for epoch in self.epochs)
        return trained / max(sum(epoch["training_seconds"] for epoch in self.epochs), 1e-9)


def train_stage(
    engine: Engine,
    stage: Stage,
    train: Samples,
    validation: Samples,
    selection: Selection,
    seed: int,
    checkpoint: Path,
    display: Display,
    batch_statistics: bool = False,
    unlabelled: Samples | None = None,
) -> StageLog:
    """Train one stage and leave the network with the weights of its best epoch.

    The epoch with the highest validation score is kept, ties keep the earlier one; where the stage
    has nothing to choose by, the last. A checkpoint at `checkpoint` is continued from, with the
    exact batches that would have come next. `batch_statistics` is of validation, see
    `Engine.logits`. Of `unlabelled`, of the same pixels as `train`, labels are not read.
    """
    recipe = stage.recipe
    engine.begin(stage)
    log = StageLog(stage.name, recipe, chosen=stage.choose)
    best: dict[str, np.ndarray] = {}
    saved = load_checkpoint(checkpoint)
    if saved is not None:
        log.epochs, log.best_epoch, best = saved.epochs, saved.best_epoch, saved.best
        engine.assign(saved.weights)
        engine.restore_optimiser(saved.optimiser)
        display.say(f"{stage.name}: continuing after epoch {len(log.epochs)}")
    last_write = -math.inf
    data = _Data.of_stage(stage, train, unlabelled)

    def validate() -> float:
        together = recipe.batch_size if batch_statistics else None
        return selection(validation.labels, predict(engine, validation, together, seed))

    while not _finished(log, recipe):
        row = _epoch(engine, stage, data, seed, len(log.epochs), display, validate)
        best_score = log.best_score
        log.epochs.append(row)
        if not stage.choose or best_score is None or row["validation"] > best_score:
            log.best_epoch = len(log.epochs)
            best = engine.tensors()
        if _finished(log, recipe) or time.monotonic() - last_write > CHECKPOINT_SECONDS:
            state = Checkpoint(
                log.epochs, log.best_epoch, engine.tensors(), best, engine.optimiser_state()
            )
            save_checkpoint(checkpoint, state)
            last_write = time.monotonic()
    engine.assign(best)
    engine.end()
    return log


def predict(
    engine: Engine,
    samples: Samples,
    together: int | None,
    seed: int,
    progress: Progress = silent,
) -> np.ndarray:
    """Softmax probabilities (N, K) float32, in the order of the samples.

    Args:
        engine: of the network.
        samples: N of them.
        together: how many images are judged by the statistics of their batch. The batches are drawn
            from the seed: in the samples' own order images of one class may fill one. None: each
            image is judged alone.
        seed: of the run.
        progress: called as `progress(batches, description, total)`, passes the batches on.
    """
    size = together or PREDICTION_BATCH
    order = np.arange(len(samples))
    if together:
        order = np.random.default_rng((seed, _TOGETHER)).permutation(len(samples))
    drawn = Samples(samples.pixels, samples.rows[order], samples.labels[order])
    batches = progress(plain_batches(drawn, size), "predicting", -(-len(samples) // size))
    found = engine.predict(iter(batches), batch_statistics=together is not None)
    return found[np.argsort(order)]


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of a step: linear warm-up, then by `Recipe.schedule`; the cosine ends at zero."""
    warmup = recipe.warmup_epochs * steps
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "thirds":
        return recipe.learning_rate * 0.1 ** (step // steps // max(recipe.epochs // 3, 1))
    done = (step - warmup) / max(recipe.epochs * steps - warmup, 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass(frozen=True)
class _Data:
    """What a stage trains on: what it knows the labels of, and all there is without labels."""

    labelled: Samples
    everything: Samples
    # A row for each labelled image.
    beside: Mapping[str, np.ndarray]

    @classmethod
    def of_stage(cls, stage: Stage, train: Samples, unlabelled: Samples | None) -> "_Data":
        beside = stage.beside
        if stage.of is not None:
            train = Samples(train.pixels, train.rows[stage.of], train.labels[stage.of])
            beside = {name: rows[stage.of] for name, rows in beside.items()}
        rows = train.rows if unlabelled is None else np.append(train.rows, unlabelled.rows)
        everything = Samples(train.pixels, rows, np.full(len(rows), UNLABELLED, np.int64))
        if stage.picks is not None and len(stage.picks.places):
            train = _with_picks(train, unlabelled, stage.picks)
        return cls(train, everything, beside)

    def batches(self, stage: Stage, seed: int, number: int) -> Iterator[Batch]:
        """One epoch of numpy batches."""
        # Not the pipeline's generators: what a loss draws leaves the batches as they are.
        generator = np.random.default_rng((seed, number, _INPUTS))
        size, total = stage.recipe.batch_size, len(self.everything)
        views = (stage.recipe.augmentation,) if stage.views is None else stage.views
        labelled = training_batches(
            self.labelled, views, size, seed, number, stage.class_shares, total
        )
        further: Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]] = repeat(((), np.empty(0)))
        if stage.unlabelled_views:
            size = stage.unlabelled_ratio * min(size, total)
            count = steps_per_epoch(total, stage.recipe.batch_size) * size
            further = training_batches(
                self.everything,
                stage.unlabelled_views,
                size,
                seed,
                number,
                count=count,
                stream=UNLABELLED_STREAM,
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


def _epoch(
    engine: Engine,
    stage: Stage,
    data: _Data,
    seed: int,
    number: int,
    display: Display,
    validate: Callable[[], float],
) -> dict[str, Any]:
    recipe = stage.recipe
    steps = steps_per_epoch(len(data.everything), recipe.batch_size)
    watch = display.epoch(stage.name, number + 1, recipe.epochs, steps)
    started = last_reading = time.monotonic()
    losses: list[Any] = []
    images_seen = 0
    summary = ""
    try:
        for step, batch in enumerate(data.batches(stage, seed, number), start=number * steps):
            interrupt.check()
            rate = learning_rate(recipe, step, steps)
            keeps = stage.teacher.keeps(step) if stage.teacher else 1.0
            losses.append(engine.train_step(batch, rate, keeps))
            images_seen += sum(len(of[0]) for of in (batch.views, batch.unlabelled) if of)
            now = time.monotonic()
            # Reading a loss waits for the device, so it is read a few times a second only.
            due = now - last_reading > 1 / _READINGS_PER_SECOND
            watch.step(float(losses[-1]) if due else None, images_seen / (now - started))
            last_reading = now if due else last_reading
        loss = float(np.mean([float(value) for value in losses]))
        trained = time.monotonic() - started
        if not math.isfinite(loss):
            raise UserError(
                f"{stage.name}: the loss of epoch {number + 1} is {loss}: training diverged; a"
                f" lower learning rate than {recipe.learning_rate:g} is needed"
            )
        score = validate() if stage.choose else None
        told = "" if score is None else f"  validation {score:.3f}"
        summary = f"loss {loss:.3f}{told}  {images_seen / trained:.0f} img/s"
    finally:
        watch.close(summary)
    return {
        "epoch": number + 1,
        "learning_rate": rate,
        "loss": loss,
        "validation": score,
        "images": images_seen,
        "training_seconds": trained,
        "seconds": time.monotonic() - started,
    }


def _finished(log: StageLog, recipe: Recipe) -> bool:
    done = len(log.epochs)
    waited = done - log.best_epoch
    return done >= recipe.epochs or (recipe.patience is not None and waited >= recipe.patience)
