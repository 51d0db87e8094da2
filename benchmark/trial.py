"""One trial of a run: pre-training, training, outputs, score, pictures."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import architectures
from architectures.network import Network
from benchmark import pictures
from benchmark.config import RunConfig
from benchmark.data import Dataset
from benchmark.data.pipeline import Samples
from benchmark.data.pixels import Decoded
from benchmark.errors import UserError
from benchmark.explain.outputs import explain
from benchmark.methods.base import Adjustment, Context, Method, Stage
from benchmark.progress import Display
from benchmark.records.folder import RunFolder
from benchmark.registry import EXPLAINERS
from benchmark.training.adjust import Adjusted, adjust
from benchmark.training.engine import Engine
from benchmark.training.frameworks import make_engine
from benchmark.training.loop import StageLog, predict, train_stage
from tasks.base import Outputs, Score, Task, Trial


@dataclass
class Watch:
    """Seconds spent in each part of a run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time of the body to `part`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - started


@dataclass(frozen=True)
class TrialResult:
    """What a trial came to.

    `parameters` counts the network's weights, BatchNorm statistics included; `device_memory` is the
    accelerator's peak in bytes, None on a CPU.
    """

    trial: Trial
    logs: list[StageLog | Adjusted]
    score: Score
    parameters: int
    device: dict[str, str]
    device_memory: int | None


@dataclass(frozen=True)
class TrialRunner:
    """Runs the trials of one run; what they have in common."""

    config: RunConfig
    task: Task
    method: Method
    folder: RunFolder
    watch: Watch
    display: Display
    decoded: Decoded
    # Train and validation ids of each earlier data set.
    earlier_parts: Sequence[Mapping[str, Sequence[str]]] = ()

    def run(self, dataset: Dataset, trial: Trial, earlier: Sequence[Dataset]) -> TrialResult:
        """Pre-train on each earlier data set in turn, train, score; every file is written."""
        logs: list[StageLog | Adjusted] = []
        backbone: Path | None = None
        for position, other in enumerate(earlier, start=1):
            title = f"pretrain-{position}-{other.name}"
            engine = self._engine(len(other.classes), backbone)
            parts = self.earlier_parts[position - 1]
            epochs = self.config.pretrain_epochs
            logs += self._train(
                engine, other, parts["train"], parts["validation"], title, epochs, True
            )
            backbone = self.folder.weights(title)
            engine.network.save(backbone)
        engine = self._engine(len(dataset.classes), backbone)
        epochs = self.config.recipe.epochs
        logs += self._train(engine, dataset, trial.train, trial.validation, trial.name, epochs)
        engine.network.save(self.folder.weights(trial.name))
        outputs = self._outputs(engine, dataset, trial)
        self._save(dataset, trial, outputs)
        with self.watch("score"):
            score = self.task.score(dataset, trial, outputs, self.display.track)
        self.folder.save_tables(trial.name, score.tables)
        with self.watch("pictures"):
            self.task.draw(dataset, outputs, score, self.folder.pictures(trial.name))
        parameters = sum(tensor.size for tensor in engine.network.tensors().values())
        device, memory = engine.device(), engine.peak_device_memory()
        return TrialResult(trial, logs, score, parameters, device, memory)

    def _engine(self, classes: int, backbone: Path | None) -> Engine:
        """A fresh network: the run's weights to start with, or an earlier stage's backbone."""
        config = self.config
        fresh = backbone is not None or config.weights == "none" or not self.method.trains
        network = architectures.build(
            config.arch,
            config.framework,
            classes,
            image_size=config.image_size,
            weights=None if fresh else config.weights,
            seed=config.seed,
            head=config.recipe.head,
        )
        if backbone is not None:
            network.load(backbone, head=False)
        if not self.method.trains and not architectures.read(network, config.weights):
            raise UserError(
                f"{config.weights} has no head, so method {self.method.name} cannot score it: train"
                " one on it, with --method cross-entropy for instance"
            )
        return make_engine(network, config.device, config.seed)

    def _train(
        self,
        engine: Engine,
        dataset: Dataset,
        train_ids: Sequence[str],
        validation_ids: Sequence[str],
        title: str,
        epochs: int,
        backbone_only: bool = False,
    ) -> list[StageLog | Adjusted]:
        """Run the method's stages on one data set; the network is left trained.

        With `backbone_only`, without those that are for the head alone.
        """
        train = self._samples(dataset, train_ids)
        validation = self._samples(dataset, validation_ids)
        context = Context(
            labels=train.labels,
            classes=dataset.classes,
            recipe=self.config.recipe.model_copy(update={"epochs": epochs}),
            features=engine.network.architecture.channels,
            seed=self.config.seed,
        )
        logs: list[StageLog | Adjusted] = []
        for stage in self.method.stages(context):
            if backbone_only and (isinstance(stage, Adjustment) or stage.new_head):
                continue
            with self.watch("training"):
                if isinstance(stage, Adjustment):
                    log = adjust(engine, stage, validation, self.task.selection)
                    self.display.say(f"{stage.name}: {log.chosen}")
                    logs.append(replace(log, stage=f"{title} {stage.name}"))
                    continue
                logs.append(self._stage(engine, stage, train, validation, title))
        return logs

    def _stage(
        self, engine: Engine, stage: Stage, train: Samples, validation: Samples, title: str
    ) -> StageLog:
        log = train_stage(
            engine,
            stage,
            train,
            validation,
            self.task.selection,
            self.config.seed,
            self.folder.checkpoint(f"{title}-{stage.name}"),
            self.display,
            self.method.batch_statistics,
        )
        self.folder.save_history(title, stage.name, log.epochs)
        target = self.folder.pictures(title) / f"history-{stage.name}.png"
        log.stage = f"{title} {stage.name}"
        pictures.history(log.epochs, log.best_epoch, f"{self.config.arch}: {log.stage}", target)
        return log

    def _outputs(self, engine: Engine, dataset: Dataset, trial: Trial) -> Outputs:
        test = self._samples(dataset, trial.test)
        with self.watch("prediction"):
            together = self.config.recipe.batch_size if self.method.batch_statistics else None
            probabilities = predict(engine, test, together, self.config.seed, self.display.track)
        if not self.task.maps:
            return Outputs(trial.test, probabilities)
        with self.watch("explanation"):
            network = engine.network
            found = explain(
                network,
                self._untrained(network),
                EXPLAINERS.get(self.config.explainer)(),
                test,
                trial.test,
                probabilities,
                self.config.probed_images,
                self.config.seed,
                self.display,
            )
        return Outputs(trial.test, probabilities, found)

    def _untrained(self, network: Network) -> Network:
        """The architecture with the random weights of the run's seed."""
        untrained = architectures.build(
            self.config.arch,
            self.config.framework,
            network.classes,
            image_size=self.config.image_size,
            seed=self.config.seed,
            head=self.config.recipe.head,
        )
        return make_engine(untrained, self.config.device, self.config.seed).network

    def _save(self, dataset: Dataset, trial: Trial, outputs: Outputs) -> None:
        labels = dataset.table.loc[list(outputs.ids), "label"].to_list()
        self.folder.save_predictions(
            trial.name, outputs.ids, labels, dataset.classes, outputs.probabilities
        )
        if outputs.explanations is not None:
            self.folder.save_maps(trial.name, outputs.ids, outputs.explanations.arrays())

    def _samples(self, dataset: Dataset, ids: Sequence[str]) -> Samples:
        with self.watch("data"):
            pixels = self.decoded(dataset)
        rows = dataset.table.index.get_indexer(list(ids))
        return Samples(pixels, rows, dataset.table["label"].to_numpy(np.int64)[rows])
