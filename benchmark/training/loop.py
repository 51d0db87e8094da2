"""The training loop every method shares: epochs, schedule, validation, best epoch, checkpoints."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.common import interrupt
from benchmark.common.progress import Display, EpochDisplay
from benchmark.data.pipeline import Samples, plain_batches
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError, out_of_memory
from benchmark.methods.base import Batch, Stage
from benchmark.recipe import Recipe
from benchmark.training.batches import StageData
from benchmark.training.checkpoint import Begun, Checkpoint, load_checkpoint, save_checkpoint
from benchmark.training.engine import Engine

# Between two checkpoints lies so much time, and so many times what the last one took to write: a
# slow disk, or one that many runs share, costs a twentieth of the time.
CHECKPOINT_SECONDS = 30.0
_CHECKPOINT_SPACING = 20
PREDICTION_BATCH = 32
_READINGS_PER_SECOND = 4
# Least labelled images in a micro-batch: BatchNorm has nothing to normalise one by.
_LEAST_IMAGES = 2
# A stream of random numbers; the pipeline's are 0, 1, 4 and 5, that of the batches' inputs is 2.
_TOGETHER = 3

# selection(labels (N,), probabilities (N, K)) -> higher is better
Selection = Callable[[np.ndarray, np.ndarray], float]


@dataclass
class StageLog:
    """What happened in a stage, one dictionary per epoch.

    `chosen` tells whether `best_epoch` is the best of all, else it is the last. `recipe` is the
    stage's own. `micro_batches` tells into how many each batch was divided in the last epoch.
    """

    stage: str
    recipe: Recipe
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    chosen: bool = True
    micro_batches: int = 1

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
    heard: Callable[[Mapping[str, Any]], None] | None = None,
) -> StageLog:
    """Train one stage and leave the network with the weights of its best epoch.

    The epoch with the highest validation score is kept, ties keep the earlier one; where the stage
    has nothing to choose by, the last. A checkpoint at `checkpoint` is continued from, with the
    exact batches that would have come next; one is written at the ends of epochs and where training
    is interrupted between two steps. Where memory does not suffice, the batches are divided, see
    `Engine.micro_batches`. `batch_statistics` is of validation, see `Engine.logits`. Of
    `unlabelled`, of the same pixels as `train`, labels are not read. `heard` gets the row of every
    epoch that is trained here.

    Raises:
        UserError: training diverged.
        KeyboardInterrupt: it was interrupted.
        Exception: the framework's own where memory does not suffice for the smallest micro-batches,
            see `benchmark.errors.out_of_memory`.
    """
    engine.begin(stage)
    data = StageData.of(stage, train, unlabelled)
    training = StageTraining(engine, stage, data, seed, checkpoint, display)

    def validate() -> float:
        together = stage.recipe.batch_size if batch_statistics else None
        return selection(validation.labels, predict(engine, validation, together, seed))

    with interrupt.held():
        while not training.finished:
            before = len(training.log.epochs)
            training.advance(validate)
            for row in training.log.epochs[before:]:
                if heard is not None:
                    heard(row)
    engine.assign(training.best)
    engine.end()
    return training.log


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

    Raises:
        UserError: a probability is not finite.
    """
    size = together or PREDICTION_BATCH
    order = np.arange(len(samples))
    if together:
        order = np.random.default_rng((seed, _TOGETHER)).permutation(len(samples))
    drawn = Samples(samples.pixels, samples.rows[order], samples.labels[order])
    batches = progress(plain_batches(drawn, size), "predicting", -(-len(samples) // size))
    if together is None:
        # Else what is drawn in training mode would be drawn twice by a run that is continued.
        batches = _interruptible(batches)
    found = engine.predict(iter(batches), batch_statistics=together is not None)
    # The last step of an epoch may have spoilt weights whose loss was finite yet.
    if not np.isfinite(found).all():
        raise UserError(
            "the network says no numbers of some images: its training diverged, a lower learning"
            " rate is needed, or the weights that it started with are damaged"
        )
    return found[np.argsort(order)]


def _interruptible(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for batch in batches:
        interrupt.check()
        yield batch


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of a step: linear warm-up, then by `Recipe.schedule`; the cosine ends at zero."""
    warmup = recipe.warmup_epochs * steps
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "thirds":
        return recipe.learning_rate * 0.1 ** (step // steps // max(recipe.epochs // 3, 1))
    if recipe.schedule == "half-then-quarter":
        epoch = step // steps
        drops = (2 * epoch >= recipe.epochs) + (4 * epoch >= 3 * recipe.epochs)
        return recipe.learning_rate * 0.1**drops
    done = (step - warmup) / max(recipe.epochs * steps - warmup, 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class _ExhaustedError(Exception):
    """Memory did not suffice for a step, and there are smaller micro-batches."""


class StageTraining:
    """One stage under way: its log, its best weights, how far the epoch has come.

    It begins where the checkpoint at `path` ends, if there is one.
    """

    def __init__(
        self,
        engine: Engine,
        stage: Stage,
        data: StageData,
        seed: int,
        path: Path,
        display: Display,
    ) -> None:
        self.log = StageLog(stage.name, stage.recipe, chosen=stage.choose)
        self.best: dict[str, np.ndarray] = {}
        self._begun = Begun()
        self._engine, self._stage, self._data = engine, stage, data
        self._seed, self._path, self._display = seed, path, display
        self._due_at = -math.inf
        # What there is to go back to before there is a checkpoint.
        self._first: Checkpoint | None = None
        saved = load_checkpoint(path, display.say)
        if saved is None:
            self._first = self._state()
            return
        self._restore(saved)
        steps = f" and {len(saved.begun.losses)} steps" if saved.begun.losses else ""
        display.say(f"{stage.name}: continuing after epoch {len(saved.epochs)}{steps}")

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience is over."""
        recipe, done = self._stage.recipe, len(self.log.epochs)
        waited = done - self.log.best_epoch
        return done >= recipe.epochs or (recipe.patience is not None and waited >= recipe.patience)

    def advance(self, validate: Callable[[], float]) -> None:
        """Go on to the end of the epoch, or divide its batches where memory does not suffice.

        Raises:
            UserError: training diverged.
            interrupt.Asked: between two steps; those before it are kept.
        """
        try:
            self.epoch(validate)
        except interrupt.Asked:
            self._keep()
            raise
        except _ExhaustedError as error:
            self._divide(str(error))
            return
        if self.finished or self._due:
            self._keep()

    @property
    def _due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() >= self._due_at

    def _keep(self) -> None:
        """Write a checkpoint."""
        started = time.monotonic()
        save_checkpoint(self._path, self._state())
        ended = time.monotonic()
        self._due_at = ended + max(CHECKPOINT_SECONDS, _CHECKPOINT_SPACING * (ended - started))
        self._first = None

    def _divide(self, exhausted: str) -> None:
        """After memory did not suffice: back to what is kept, and on in smaller micro-batches."""
        further = 2 * self._engine.micro_batches
        self._display.say(
            f"{self._stage.name}: out of memory ({exhausted}): going on with each batch in"
            f" {further} parts, their gradients added up"
        )
        saved = self._first or load_checkpoint(self._path, self._display.say)
        assert saved is not None
        self._restore(replace(saved, micro_batches=further))

    def _state(self) -> Checkpoint:
        engine = self._engine
        return Checkpoint(
            list(self.log.epochs),
            self.log.best_epoch,
            self._begun.copy(),
            engine.micro_batches,
            engine.tensors(),
            self.best,
            engine.optimiser_state(),
        )

    def _restore(self, saved: Checkpoint) -> None:
        self.log.epochs, self.log.best_epoch = list(saved.epochs), saved.best_epoch
        self.best, self._begun = saved.best, saved.begun.copy()
        self._engine.assign(saved.weights)
        self._engine.restore_optimiser(saved.optimiser)
        self._engine.micro_batches = self.log.micro_batches = saved.micro_batches

    def epoch(self, validate: Callable[[], float]) -> None:
        """Train and validate what is left of the epoch; nothing is written.

        Raises:
            UserError: training diverged.
            interrupt.Asked: between two steps.
            _ExhaustedError: smaller micro-batches may help.
        """
        recipe, data, number = self._stage.recipe, self._data, len(self.log.epochs)
        watch = self._display.epoch(self._stage.name, number + 1, recipe.epochs, data.steps)
        begun = self._begun
        # As if it had never been interrupted.
        started = time.monotonic() - begun.seconds
        summary = ""
        try:
            self._train(watch, number, started)
            loss = float(np.mean([float(value) for value in begun.losses]))
            if not math.isfinite(loss):
                raise UserError(
                    f"{self._stage.name}: the loss of epoch {number + 1} is {loss}: training"
                    f" diverged; a lower learning rate than {recipe.learning_rate:g} is needed"
                )
            begun.seconds = time.monotonic() - started
            score = validate() if self._stage.choose else None
            told = "" if score is None else f"  validation {score:.3f}"
            summary = f"loss {loss:.3f}{told}  {begun.images / begun.seconds:.0f} img/s"
        finally:
            watch.close(summary)
        row: dict[str, Any] = {
            "epoch": number + 1,
            "learning_rate": learning_rate(recipe, (number + 1) * data.steps - 1, data.steps),
            "loss": loss,
            "validation": score,
            "images": begun.images,
            "training_seconds": begun.seconds,
            "seconds": time.monotonic() - started,
        }
        self._begun = Begun()
        best_score = self.log.best_score
        self.log.epochs.append(row)
        if not self._stage.choose or best_score is None or row["validation"] > best_score:
            self.log.best_epoch = number + 1
            self.best = self._engine.tensors()

    def _train(self, watch: EpochDisplay, number: int, started: float) -> None:
        stage, data, begun = self._stage, self._data, self._begun
        skipped, last_reading = len(begun.losses), time.monotonic()
        for _ in range(skipped):
            watch.step(None, 0.0)
        batches = data.batches(self._seed, number, skipped)
        for step, batch in enumerate(batches, start=number * data.steps + skipped):
            interrupt.check()
            rate = learning_rate(stage.recipe, step, data.steps)
            keeps = stage.teacher.keeps(step) if stage.teacher else 1.0
            begun.losses.append(self._step(batch, rate, keeps))
            begun.images += sum(len(of[0]) for of in (batch.views, batch.unlabelled) if of)
            now = time.monotonic()
            begun.seconds = now - started
            # Reading a loss waits for the device, so it is read a few times a second only.
            due = now - last_reading > 1 / _READINGS_PER_SECOND
            watch.step(float(begun.losses[-1]) if due else None, begun.images / begun.seconds)
            last_reading = now if due else last_reading

    def _step(self, batch: Batch, rate: float, keeps: float) -> Any:
        try:
            return self._engine.train_step(batch, rate, keeps)
        except Exception as error:
            images = len(batch.labels) // (2 * self._engine.micro_batches)
            if images < _LEAST_IMAGES or not out_of_memory(error):
                raise
            exhausted = type(error).__name__
        # Here, for the error holds the tensors of the step that failed.
        raise _ExhaustedError(exhausted)
