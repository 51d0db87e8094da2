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
from benchmark.common.progress import Display
from benchmark.config import RunConfig
from benchmark.data import Dataset
from benchmark.data.dataset import ALL_DISEASES, UNLABELLED
from benchmark.data.pipeline import Samples
from benchmark.data.pixels import Decoded
from benchmark.errors import UserError
from benchmark.explain.outputs import explain
from benchmark.explain.predictions import explain_predictions
from benchmark.methods.base import Adjustment, Context, Method, Part, Picks, Stage
from benchmark.metrics import calibration
from benchmark.records.folder import RunFolder
from benchmark.registry import EXPLAINERS
from benchmark.running import joint
from benchmark.running.survey import TrialSurvey
from benchmark.running.trackers import Trackers
from benchmark.training.adjust import Adjusted, adjust
from benchmark.training.engine import Engine
from benchmark.training.frameworks import make_engine
from benchmark.training.loop import Selection, StageLog, predict, train_stage
from tasks.base import Task
from tasks.given import Outputs, Score, Trial
from tasks.scoring import shown_in


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

    `outputs` are those of the test images, without their explanations. `parameters` counts the
    network's weights, BatchNorm statistics included; `device_memory` is the accelerator's peak in
    bytes, None on a CPU.
    """

    trial: Trial
    logs: list[StageLog | Adjusted]
    outputs: Outputs
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
    trackers: Trackers
    # Train and validation ids of each earlier data set.
    earlier_parts: Sequence[Mapping[str, Sequence[str]]] = ()

    def run(self, dataset: Dataset, trial: Trial, earlier: Sequence[Dataset]) -> TrialResult:
        """Pre-train on each earlier data set in turn, train, score; every file is written."""
        dataset = self.task.of_trial(dataset, trial.name)
        logs: list[StageLog | Adjusted] = []
        backbone: Path | None = None
        for position, other in enumerate(earlier, start=1):
            title = f"pretrain-{position}-{other.name}"
            engine = self._engine(len(other.classes), backbone)
            parts = self.earlier_parts[position - 1]
            epochs = self.config.pretrain_epochs
            divided = Trial(title, tuple(parts["train"]), tuple(parts["validation"]), ())
            logs += self._train(engine, other, divided, epochs, backbone_only=True)
            backbone = self.folder.weights(title)
            engine.network.save(backbone)
        engine = self._engine(len(dataset.classes), backbone)
        epochs = self.config.recipe.epochs
        logs += self._train(engine, dataset, trial, epochs)
        engine.network.save(self.folder.weights(trial.name))
        return self._finish(engine, dataset, trial, logs)

    def run_jointly(self, dataset: Dataset, trials: Sequence[Trial]) -> list[TrialResult]:
        """Train one network for the diseases of all trials, then score each by its own logits."""
        views = [self.task.of_trial(dataset, trial.name) for trial in trials]
        sizes = tuple(len(view.classes) for view in views)
        parts = joint.parts([trial.name for trial in trials], sizes)
        engine = self._engine(sizes, None)
        graded = {sample for trial in trials for sample in trial.train}
        bare = {sample for trial in trials for sample in trial.unlabelled} - graded
        survey = TrialSurvey(
            engine=engine,
            labelled=self._graded(views, [trial.train for trial in trials]),
            of_unlabelled=joint.unlabelled(self._samples(dataset, sorted(bare))),
            of_validation=self._graded(views, [trial.validation for trial in trials]),
            groups=np.empty(0, np.str_),
            selection=self.task.selection,
            seed=self.config.seed,
            display=self.display,
        )
        pairs = zip(trials, views, strict=True)
        classes = tuple(f"{trial.name} {name}" for trial, view in pairs for name in view.classes)
        context = self._context(survey, classes, self.config.recipe.epochs, parts)
        logs: list[StageLog | Adjusted] = []
        for stage in self._stages(context):
            assert isinstance(stage, Stage), "a classifier of several diseases is not adjusted"
            with self.watch("training"):
                counted = replace(survey, of_unlabelled=joint.passed_over(stage, survey))
                selection = joint.mean_selection(self.task.selection, stage, parts)
                logs.append(self._stage(stage, counted, ALL_DISEASES, selection))
        engine.network.save(self.folder.weights(ALL_DISEASES))
        return [
            self._finish(engine, view, trial, logs, part.logits)
            for view, trial, part in zip(views, trials, parts, strict=True)
        ]

    def _graded(self, views: Sequence[Dataset], ids: Sequence[Sequence[str]]) -> Samples:
        """All images of these, sorted; labels (N, D), a disease's where it has the image."""
        every = sorted({sample for own in ids for sample in own})
        samples = self._samples(views[0], every)
        columns = [
            view.table["label"].reindex(every).where(np.isin(every, list(own)), UNLABELLED)
            for view, own in zip(views, ids, strict=True)
        ]
        return replace(samples, labels=np.stack(columns, axis=1).astype(np.int64))

    def _finish(
        self,
        engine: Engine,
        dataset: Dataset,
        trial: Trial,
        logs: list[StageLog | Adjusted],
        part: slice = slice(None),
    ) -> TrialResult:
        """Predict and score the test images of a trial by these of the network's logits."""
        outputs = self._outputs(engine, dataset, trial, part)
        self._save(dataset, trial, outputs)
        self._explain_some(engine.network, dataset, trial, outputs, part)
        with self.watch("score"):
            score = self.task.score(dataset, trial, outputs, self.display.track)
        self.folder.save_tables(trial.name, score.tables)
        with self.watch("pictures"):
            self.task.draw(dataset, outputs, score, self.folder.pictures(trial.name))
        parameters = sum(tensor.size for tensor in engine.network.tensors().values())
        device, memory = engine.device(), engine.peak_device_memory()
        # Maps of every test image are large, and they are in the run's folder.
        outputs = replace(outputs, explanations=None)
        return TrialResult(trial, logs, outputs, score, parameters, device, memory)

    def _engine(self, classes: int | tuple[int, ...], backbone: Path | None) -> Engine:
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
            cam_layer=config.cam_layer,
        )
        if backbone is not None:
            network.load(backbone, head=False)
        if not self.method.trains and not architectures.read(network, config.weights):
            raise UserError(
                f"{config.weights} has no head, so method {self.method.name} cannot score it:"
                " train one on it, with --method cross-entropy for instance"
            )
        return make_engine(network, config.device, config.seed)

    def _train(
        self,
        engine: Engine,
        dataset: Dataset,
        trial: Trial,
        epochs: int,
        backbone_only: bool = False,
    ) -> list[StageLog | Adjusted]:
        """Run the method's stages on one data set; the network is left trained.

        With `backbone_only`, without those that are for the head alone.
        """
        survey = self._survey(engine, dataset, trial)
        context = self._context(survey, dataset.classes, epochs)
        logs: list[StageLog | Adjusted] = []
        for stage in self._stages(context):
            if backbone_only and (isinstance(stage, Adjustment) or stage.new_head):
                continue
            with self.watch("training"):
                if isinstance(stage, Adjustment):
                    log = adjust(engine, stage, survey.of_validation, self.task.selection)
                    self.display.say(f"{stage.name}: {log.chosen}")
                    logs.append(replace(log, stage=f"{trial.name} {stage.name}"))
                    continue
                if stage.picks is not None:
                    self.display.say(f"{stage.name}: {_counted(stage.picks, dataset.classes)}")
                logs.append(self._stage(stage, survey, trial.name, self.task.selection))
        return logs

    def _context(
        self,
        survey: TrialSurvey,
        classes: tuple[str, ...],
        epochs: int,
        parts: tuple[Part, ...] = (),
    ) -> Context:
        return Context(
            labels=survey.labelled.labels,
            classes=classes,
            recipe=self.config.recipe.model_copy(update={"epochs": epochs}),
            features=survey.engine.network.width,
            seed=self.config.seed,
            unlabelled=len(survey.of_unlabelled),
            survey=survey,
            parts=parts,
        )

    def _stages(self, context: Context) -> Iterator[Stage | Adjustment]:
        """The method's stages; what it surveys between them has a time of its own.

        Raises:
            UserError: a method that trains has none.
        """
        stages = iter(self.method.stages(context))
        count = 0
        while True:
            with self.watch("survey"):
                stage = next(stages, None)
            if stage is None:
                break
            count += 1
            yield stage
        if self.method.trains and not count:
            raise UserError(
                f"method {self.method.name} has no stage, so nothing is trained: let its `stages`"
                " yield one, or set `trains = False` where a network is only scored"
            )

    def _survey(self, engine: Engine, dataset: Dataset, trial: Trial) -> TrialSurvey:
        """The images of a trial, as a method may know them."""
        return TrialSurvey(
            engine=engine,
            labelled=self._samples(dataset, trial.train),
            of_unlabelled=joint.unlabelled(self._samples(dataset, trial.unlabelled)),
            of_validation=self._samples(dataset, trial.validation),
            groups=dataset.table.loc[list(trial.validation), "group"].to_numpy(str),
            selection=self.task.selection,
            seed=self.config.seed,
            display=self.display,
        )

    def _stage(
        self, stage: Stage, survey: TrialSurvey, title: str, selection: Selection
    ) -> StageLog:
        log = train_stage(
            survey.engine,
            stage,
            survey.labelled,
            survey.of_validation,
            selection,
            self.config.seed,
            self.folder.checkpoint(f"{title}-{stage.name}"),
            self.display,
            self.method.batch_statistics,
            survey.of_unlabelled,
            lambda row: self.trackers.epoch(f"{title}/{stage.name}", row),
        )
        self.folder.save_history(title, stage.name, log.epochs)
        target = self.folder.pictures(title) / f"history-{stage.name}.png"
        log.stage = f"{title} {stage.name}"
        pictures.history(log.epochs, log.best_epoch, f"{self.config.arch}: {log.stage}", target)
        return log

    def _outputs(self, engine: Engine, dataset: Dataset, trial: Trial, part: slice) -> Outputs:
        test = self._samples(dataset, trial.test)
        with self.watch("prediction"):
            probabilities = self._probabilities(engine, test)[:, part]
            temperature = None
            if self.config.temperature_scaling:
                validation = self._samples(dataset, trial.validation)
                judged = self._probabilities(engine, validation)[:, part]
                temperature = calibration.fit_temperature(validation.labels, judged)
        if not self.task.maps:
            return Outputs(trial.test, probabilities, None, temperature, self.config.arch)
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
        return Outputs(trial.test, probabilities, found, temperature, self.config.arch)

    def _probabilities(self, engine: Engine, samples: Samples) -> np.ndarray:
        together = self.config.recipe.batch_size if self.method.batch_statistics else None
        return predict(engine, samples, together, self.config.seed, self.display.track)

    def _explain_some(
        self, network: Network, dataset: Dataset, trial: Trial, outputs: Outputs, part: slice
    ) -> None:
        """What the method or the task promises to show of its predictions, if it does."""
        for name in sorted({self.method.explained_with, self.task.explained_with} - {""}):
            with self.watch("explanation"):
                explain_predictions(
                    network,
                    EXPLAINERS.get(name)(),
                    self._samples(dataset, trial.test),
                    trial.test,
                    dataset.classes,
                    outputs.probabilities,
                    self.folder.path / trial.name,
                    shown_in(dataset, self.folder.pictures(trial.name)),
                    self.display,
                    first=part.start or 0,
                )

    def _untrained(self, network: Network) -> Network:
        """The architecture with the random weights of the run's seed."""
        untrained = architectures.build(
            self.config.arch,
            self.config.framework,
            network.classes,
            image_size=self.config.image_size,
            seed=self.config.seed,
            head=self.config.recipe.head,
            cam_layer=self.config.cam_layer,
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


def _counted(picks: Picks, classes: Sequence[str]) -> str:
    counts = np.bincount(picks.labels, minlength=len(classes))
    told = ", ".join(f"{name} {count}" for name, count in zip(classes, counts, strict=True))
    return f"{len(picks.places)} unlabelled images are picked ({told})"
