"""One run, from top to bottom: data, split, network, training, outputs, score, record."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import architectures
from benchmark import __version__, pictures
from benchmark.config import RunConfig, configure, run_id
from benchmark.data import Dataset, load, splits
from benchmark.data.images import content_hash
from benchmark.data.pipeline import Samples, plain_batches
from benchmark.data.pixels import open_pixels
from benchmark.errors import DataError, UserError
from benchmark.explain.gradcam import gradcam_maps
from benchmark.methods.base import Context, Method
from benchmark.progress import Display, SilentDisplay
from benchmark.records import environment
from benchmark.records.folder import RunFolder
from benchmark.records.record import DataUsed, Record, TrainingSummary, TrialRecord
from benchmark.records.store import Store
from benchmark.registry import DATASETS, METHODS, TASKS
from benchmark.training.engine import Engine
from benchmark.training.frameworks import make_engine, select_backend
from benchmark.training.loop import PREDICTION_BATCH, StageLog, train_stage
from tasks.base import SPLIT_SEED, Outputs, Score, Task, Trial


def run(
    arch: str,
    task: str,
    *,
    out: str | Path = "results",
    overwrite: bool = False,
    display: Display | None = None,
    **settings: Any,
) -> Record:
    """Do what `python -m benchmark run` does and return the record.

    Args:
        arch: an architecture's name, as listed by `python -m benchmark list`.
        task: a task's name, likewise.
        out: the results folder; the run's own folder and its record go below it.
        overwrite: run again although a record of this very run exists.
        display: where progress goes; none by default.
        settings: the keyword arguments of `benchmark.config.configure`.

    Raises:
        UserError: anything the caller can mend, in one line.
    """
    return execute(configure(arch, task, **settings), Path(out), overwrite, display)


@dataclass
class _Watch:
    """Seconds spent in each part of a run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - started


def execute(
    config: RunConfig, out: Path, overwrite: bool = False, display: Display | None = None
) -> Record:
    """Run a resolved configuration, or return the record of the same run made earlier."""
    display = display or SilentDisplay()
    watch = _Watch()
    task: Task = TASKS.get(config.task)()
    method: Method = METHODS.get(config.method)()
    if config.framework not in method.frameworks:
        raise UserError(f"method {method.name} does not run in {config.framework}")
    select_backend(config.framework)
    store = Store(out)
    with watch("data"):
        dataset = load(config.dataset, config.data_dir, **config.dataset_options)
        dataset.require_images()
        task.check(dataset)
        trials = task.trials(dataset)
        earlier = [_load_earlier(item) for item in config.pretrain_on]
        for other in earlier:
            _refuse_shared_images(other, dataset, trials)
        name = run_id(config, _protocol(config, task, dataset, trials, earlier))
    if not overwrite and store.has(name):
        display.say(f"run {name} is done already; --overwrite runs it again")
        return store.load(name)
    folder = RunFolder(out, config, name)
    folder.start(config, overwrite)
    for note in dataset.notes:
        display.say(f"note: {note}")

    results = [
        _run_trial(config, task, method, dataset, trial, earlier, folder, watch, display)
        for trial in trials
    ]

    with watch("record"):
        record = _record(config, name, task, dataset, earlier, results, watch)
        folder.finish(record)
        store.save(record)
    return record


@dataclass(frozen=True)
class _TrialResult:
    trial: Trial
    logs: list[StageLog]
    score: Score
    parameters: int
    device: dict[str, str]
    device_memory: int | None


def _run_trial(
    config: RunConfig,
    task: Task,
    method: Method,
    dataset: Dataset,
    trial: Trial,
    earlier: list[Dataset],
    folder: RunFolder,
    watch: _Watch,
    display: Display,
) -> _TrialResult:
    logs: list[StageLog] = []
    weights = None if config.weights == "none" else config.weights
    backbone: Path | None = None
    for position, other in enumerate(earlier, start=1):
        parts = splits.partition(other, SPLIT_SEED)
        engine = _engine(config, len(other.classes), weights, backbone)
        recipe = config.recipe.model_copy(update={"epochs": config.pretrain_epochs})
        title = f"pretrain-{position}-{other.name}"
        logs += _train(
            config.model_copy(update={"recipe": recipe}),
            task,
            method,
            engine,
            other,
            (parts["train"], parts["validation"]),
            title,
            folder,
            watch,
            display,
        )
        backbone = folder.weights(title)
        engine.network.save(backbone)
        weights = None
    engine = _engine(config, len(dataset.classes), weights, backbone)
    ids = (trial.train, trial.validation)
    logs += _train(config, task, method, engine, dataset, ids, trial.name, folder, watch, display)
    engine.network.save(folder.weights(trial.name))
    outputs = _outputs(config, task, engine, dataset, trial, watch, display)
    labels = dataset.table.loc[list(trial.test), "label"].to_list()
    folder.save_predictions(trial.name, outputs.ids, labels, dataset.classes, outputs.probabilities)
    if outputs.maps is not None:
        folder.save_maps(trial.name, outputs.ids, outputs.maps)
    with watch("score"):
        score = task.score(dataset, trial, outputs)
    folder.save_tables(trial.name, score.tables)
    with watch("pictures"):
        task.draw(dataset, outputs, score, folder.pictures(trial.name))
    return _TrialResult(
        trial,
        logs,
        score,
        sum(tensor.size for tensor in engine.network.tensors().values()),
        engine.device(),
        engine.peak_device_memory(),
    )


def _engine(config: RunConfig, classes: int, weights: str | None, backbone: Path | None) -> Engine:
    network = architectures.build(
        config.arch,
        config.framework,
        classes,
        image_size=config.image_size,
        weights=weights,
        seed=config.seed,
        head=config.recipe.head,
    )
    if backbone is not None:
        network.load(backbone, head=False)
    return make_engine(network, config.device, config.seed)


def _train(
    config: RunConfig,
    task: Task,
    method: Method,
    engine: Engine,
    dataset: Dataset,
    ids: tuple[Any, Any],
    title: str,
    folder: RunFolder,
    watch: _Watch,
    display: Display,
) -> list[StageLog]:
    """Run a method's stages on one data set; the network is left trained."""
    with watch("data"):
        pixels = _pixels(dataset, config, display)
        train, validation = (_samples(dataset, pixels, part) for part in ids)
    context = Context(train.labels, dataset.classes, config.recipe)
    logs = []
    with watch("training"):
        for stage in method.stages(context):
            name = stage.name if title == "main" else f"{title} {stage.name}"
            checkpoint = folder.checkpoint(f"{title}-{stage.name}")
            log = train_stage(
                engine, stage, train, validation, task.selection, config.seed, checkpoint, display
            )
            log.stage = name
            folder.save_history(title, stage.name, log.epochs)
            target = folder.pictures(title) / f"history-{stage.name}.png"
            pictures.history(log.epochs, log.best_epoch, f"{config.arch}: {name}", target)
            logs.append(log)
    return logs


def _outputs(
    config: RunConfig,
    task: Task,
    engine: Engine,
    dataset: Dataset,
    trial: Trial,
    watch: _Watch,
    display: Display,
) -> Outputs:
    pixels = _pixels(dataset, config, display)
    test = _samples(dataset, pixels, trial.test)
    batches = -(-len(test) // PREDICTION_BATCH)
    with watch("prediction"):
        stream = plain_batches(test, PREDICTION_BATCH)
        probabilities = engine.predict(display.track(stream, "predicting", batches))
    if not task.maps:
        return Outputs(trial.test, probabilities)
    with watch("explanation"):
        stream = plain_batches(test, PREDICTION_BATCH)
        maps = gradcam_maps(engine.network, display.track(stream, "Grad-CAM", batches), test.labels)
    return Outputs(trial.test, probabilities, maps)


def _pixels(dataset: Dataset, config: RunConfig, display: Display) -> np.ndarray:
    return open_pixels(dataset, config.image_size, display.track)


def _samples(dataset: Dataset, pixels: np.ndarray, ids: Any) -> Samples:
    rows = dataset.table.index.get_indexer(list(ids))
    return Samples(pixels, rows, dataset.table["label"].to_numpy(np.int64)[rows])


def _load_earlier(item: str) -> Dataset:
    name, _, folder = item.partition(":")
    dataset = load(name, folder or None)
    dataset.require_images()
    return dataset


def _refuse_shared_images(earlier: Dataset, dataset: Dataset, trials: list[Trial]) -> None:
    """Pre-training must not have seen a test lesion: neither its name nor its bytes."""
    test = sorted({sample for trial in trials for sample in trial.test})
    rows = dataset.table.loc[test]
    if earlier.name == dataset.name and DATASETS.get(dataset.name).shared_groups:
        groups = set(rows["group"]) & set(earlier.table["group"])
        if groups:
            raise DataError(
                f"--pretrain-on {earlier.root}: {len(groups)} lesions or patients (such as"
                f" {min(groups)}) are also in the test part of {dataset.root}; pre-train on data"
                " without them"
            )
    seen = {content_hash(path) for path in earlier.table["path"]}
    for sample, path in rows["path"].items():
        if content_hash(path) in seen:
            raise DataError(
                f"--pretrain-on {earlier.root}: the test image {sample} of {dataset.root} is in it,"
                " byte for byte; pre-train on data without it"
            )


def _protocol(
    config: RunConfig, task: Task, dataset: Dataset, trials: list[Trial], earlier: list[Dataset]
) -> dict[str, Any]:
    file = Path(config.weights)
    return {
        "weights": content_hash(config.weights) if file.is_file() else config.weights,
        "task_version": task.version,
        "data": dataset.fingerprint,
        "splits": [trial.fingerprint for trial in trials],
        "pretraining": [other.fingerprint for other in earlier],
    }


def _data_used(dataset: Dataset) -> DataUsed:
    return DataUsed(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        notes=dataset.notes,
    )


def _record(
    config: RunConfig,
    name: str,
    task: Task,
    dataset: Dataset,
    earlier: list[Dataset],
    results: list[_TrialResult],
    watch: _Watch,
) -> Record:
    memory = {"main": environment.peak_memory()}
    device_memory = [r.device_memory for r in results if r.device_memory is not None]
    if device_memory:
        memory["device"] = max(device_memory)
    return Record(
        benchmark_version=__version__,
        run_id=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=task.name,
        task_version=task.version,
        headline=task.headline,
        config=config.public(),
        data=_data_used(dataset),
        pretraining=tuple(_data_used(other) for other in earlier),
        packages=environment.packages(),
        hardware=environment.hardware(results[0].device),
        seconds={part: round(seconds, 3) for part, seconds in watch.seconds.items()},
        peak_memory_bytes=memory,
        parameters=results[0].parameters,
        trials=tuple(_trial_record(result) for result in results),
        metrics=results[0].score.metrics,
    )


def _trial_record(result: _TrialResult) -> TrialRecord:
    trial = result.trial
    return TrialRecord(
        name=trial.name,
        split_fingerprint=trial.fingerprint,
        n_train=len(trial.train),
        n_validation=len(trial.validation),
        n_test=len(trial.test),
        stages=tuple(_summary(log) for log in result.logs),
        metrics=result.score.metrics,
    )


def _summary(log: StageLog) -> TrainingSummary:
    return TrainingSummary(
        stage=log.stage,
        epochs=len(log.epochs),
        best_epoch=log.best_epoch,
        selected_by="validation macro AUC",
        selection_score=log.best_score,
        images_per_second=round(log.images_per_second, 2),
        seconds=round(log.seconds, 3),
    )
