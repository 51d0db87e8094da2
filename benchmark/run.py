"""One run, from top to bottom: data, split, trials, record. Its steps: `benchmark.running`."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import architectures
from benchmark import __version__
from benchmark.common.progress import Display, SilentDisplay
from benchmark.config import RunConfig, configure, run_id
from benchmark.data import Dataset, load
from benchmark.data.pixels import Decoded
from benchmark.errors import UserError
from benchmark.methods.base import Method
from benchmark.records import attempts, environment, predictions
from benchmark.records.attempts import Attempt
from benchmark.records.folder import RunFolder
from benchmark.records.predictions import Predictions
from benchmark.records.record import (
    DataUsed,
    DiseaseUsed,
    Epoch,
    Record,
    TrainingSummary,
    TrialRecord,
    WeightsUsed,
)
from benchmark.records.store import Store
from benchmark.registry import METHODS
from benchmark.running import trackers
from benchmark.running.guards import Guards, refuse_another
from benchmark.running.notes import divided_notes, undecided_notes
from benchmark.running.origin import learned, load_named, origin_of, require_classes, settled
from benchmark.running.others import origins
from benchmark.running.question import asked_of, question
from benchmark.running.start import require_heads, weights_used
from benchmark.running.trial import TrialResult, TrialRunner, Watch
from benchmark.training.adjust import Adjusted
from benchmark.training.frameworks import select_backend
from benchmark.training.loop import StageLog
from tasks.base import SPLIT_SEED, Task
from tasks.given import ONLY, Score, Trial, trial_record
from tasks.scoring import BOOTSTRAP_SEED


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
    framework, seed = settings.get("framework", "torch"), settings.get("seed", 0)
    settings |= settled(settings, out, arch, framework, seed)
    return execute(configure(arch, task, **settings), Path(out), overwrite, display)


def execute(
    config: RunConfig,
    out: Path,
    overwrite: bool = False,
    display: Display | None = None,
    same_as: Record | None = None,
) -> Record:
    """Run a resolved configuration, or return the record of the same run made earlier.

    Raises:
        UserError: anything the caller can mend; with `same_as`, before anything is trained, that
            the run would not be the one of that record.
    """
    display = display or SilentDisplay()
    watch = Watch()
    task, method = question(config)
    select_backend(config.framework)
    store = Store(out)
    with watch("weights"):
        # Before the data are read, which may take minutes.
        architectures.require(config.arch, config.framework)
        origin = origin_of(config.weights, out, config.arch)
        # Folders and files where they lie here; `config` says what the run is.
        here = config if origin is None else config.model_copy(update={"weights": str(origin.file)})
        weights = weights_used(config) if origin is None else origin.used
    with watch("data"):
        whole = load(config.dataset, config.data_dir, **config.dataset_options)
        dataset = asked_of(task, whole)
        caveats = method.notes([each.name for each in dataset.diseases] if task.graded else [])
        if not method.trains:
            require_heads(here.weights, task, dataset)
            if origin is not None:
                require_classes(origin, dataset)
                caveats = ()  # what the network has seen is known
        guards = Guards.of_run(out, config.allow_leaks, display)
        split = guards.split(task, whole, dataset, config.question, config.seed)
        trials = [Trial(name, **parts) for name, parts in split.trials.items()]
        earlier = [load_named(item) for item in config.pretrain_on]
        seen = [] if origin is None else list(learned(origin, out, guards))
        earlier_splits = [guards.earlier_split(other) for other in earlier]
        earlier_parts = [each.trials[ONLY] for each in earlier_splits]
        divided = list(zip(earlier, earlier_parts, strict=True))
        # By name first, which takes no time; by pixels once it is clear that the run is to be done.
        guards.refuse_leaks(dataset, trials, divided, False, seen)
        # Once: a file that is edited while the run goes on is not what was run.
        others = origins(config)
        protocol = _protocol(weights, task, dataset, trials, earlier, others)
        name = run_id(config, protocol)
        if same_as is not None:
            refuse_another(same_as, name, protocol)
    folder = RunFolder(out, config, name)
    if not overwrite and store.has(name):
        record = store.load(name)  # first: a damaged one is not done
        display.say(f"run {name} is done already; --overwrite runs it again")
        _tidy(out, folder, record)
        return record
    with watch("data"):
        leaking = guards.refuse_leaks(dataset, trials, divided, True, seen)
    for frozen in (split, *earlier_splits):
        frozen.keep()
    for note in (*dataset.notes, *caveats, *leaking):
        display.say(f"note: {note}")
    attempt = Attempt(
        benchmark_version=__version__,
        run_id=name,
        task=task.name,
        task_version=task.version,
        dataset=dataset.name,
        config=config.public(),
        started=attempts.now(),
    )
    with folder.reserved(), attempts.noted(out, attempt), environment.MemoryWatch(0.1) as memory:
        if not overwrite and store.has(name):
            # Another process has finished it since it was looked for, or all but finished it.
            record = store.load(name)
            folder.finish(record)
            return record
        folder.start(config, overwrite)
        decoded = Decoded(config.image_size, display.track)
        with trackers.opened(_watched(config, name, folder, out), display) as told:
            runner = TrialRunner(
                here, task, method, folder, watch, display, decoded, told, earlier_parts
            )
            results = _results(runner, dataset, trials, earlier)
            score = _overall(task, dataset, results, folder, watch)
            told.scores({k: m.value for k, m in score.metrics.items() if m.value is not None})

        with watch("record"):
            undecided = undecided_notes(results, config.recipe.epochs)
            notes = (*caveats, *undecided, *divided_notes(results), *score.notes)
            record = _record(
                config,
                name,
                task,
                weights,
                dataset,
                others,
                (() if origin is None else origin.pretraining) + tuple(map(_data_used, earlier)),
                results,
                score,
                watch,
                memory.peak,
                leaking,
                notes,
            )
            # The checkpoints go last: a full disk must not cost what was computed.
            predictions.save(out, name, [_said(task, result) for result in results])
            store.save(record)
            folder.finish(record)
    return record


def _watched(config: RunConfig, name: str, folder: RunFolder, out: Path) -> trackers.Watched:
    title = f"{config.task} {config.arch} {config.framework} {config.method} {config.dataset}"
    settings = pd.json_normalize(config.public()).iloc[0]
    told = {str(setting): str(value) for setting, value in settings.items()}
    return trackers.Watched(name, title, told, folder.path, out)


def _tidy(out: Path, folder: RunFolder, record: Record) -> None:
    """Do what is left to do after a record, where the run was killed in between."""
    if folder.finished and not attempts.note(out, record.run_id).exists():
        return
    # It may be in use, by a run with --overwrite, or not ours to write; the record is there.
    with suppress(UserError), folder.reserved():
        folder.finish(record)
        attempts.forget(out, record.run_id)


def _results(
    runner: TrialRunner, dataset: Dataset, trials: list[Trial], earlier: list[Dataset]
) -> list[TrialResult]:
    if _jointly(runner.task, runner.method):
        runner.display.say("; ".join(map(_told, trials)))
        return runner.run_jointly(dataset, trials)
    results = []
    for place, trial in enumerate(trials, start=1):
        if len(trials) > 1:
            runner.display.say(f"{_told(trial)} ({place} of {len(trials)})")
        results.append(runner.run(dataset, trial, earlier))
    return results


def _jointly(task: Task, method: Method | type[Method]) -> bool:
    """Whether one network has a head for each trial; what is only scored has, too."""
    return method.joint or (task.graded and not method.trains)


def _said(task: Task, result: TrialResult) -> Predictions:
    """What is kept of a trial beside the record."""
    table = result.score.tables.get("per_image", pd.DataFrame())
    kept = {name: column for name, column in task.per_image.items() if column in table}
    values = {name: table[column].to_numpy(np.float32) for name, column in kept.items()}
    return Predictions(result.outputs.ids, result.outputs.probabilities, values)


def _told(trial: Trial) -> str:
    hidden = f", {len(trial.unlabelled)} unlabelled" if trial.unlabelled else ""
    return f"{trial.name}: {len(trial.train)} labelled{hidden}"


def _overall(
    task: Task, dataset: Dataset, results: list[TrialResult], folder: RunFolder, watch: Watch
) -> Score:
    """The score of all trials; its tables and pictures are written."""
    with watch("score"):
        score = task.overall(dataset, [(r.trial, r.outputs, r.score) for r in results])
    if task.headline not in score.metrics:
        raise UserError(
            f"task {task.name!r} ranks by {task.headline!r}, which its score does not have; it has"
            f" {', '.join(score.metrics) or 'none'}"
        )
    folder.save_tables("", score.tables)
    with watch("pictures"):
        task.draw_overall(dataset, score, folder.pictures())
    return score


def _protocol(
    weights: WeightsUsed,
    task: Task,
    dataset: Dataset,
    trials: list[Trial],
    earlier: list[Dataset],
    others: dict[str, str],
) -> dict[str, Any]:
    protocol: dict[str, Any] = {
        "weights": weights.identity,
        "task_version": task.version,
        "data": dataset.fingerprint,
        "splits": [trial.fingerprint for trial in trials],
        "pretraining": [other.fingerprint for other in earlier],
    }
    # Each only where there is any: other runs keep the ids that they have.
    labelled = [trial.labelled_fingerprint for trial in trials]
    if any(labelled):
        protocol["labelled"] = labelled
    if others:
        protocol["others"] = others
    return protocol


def _data_used(dataset: Dataset) -> DataUsed:
    return DataUsed(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        diseases=tuple(DiseaseUsed(**asdict(each)) for each in dataset.diseases),
        notes=dataset.notes,
    )


def _record(
    config: RunConfig,
    name: str,
    task: Task,
    weights: WeightsUsed,
    dataset: Dataset,
    others: dict[str, str],
    pretraining: tuple[DataUsed, ...],
    results: list[TrialResult],
    score: Score,
    watch: Watch,
    own_memory: int,
    leaks: tuple[str, ...],
    notes: tuple[str, ...],
) -> Record:
    memory = {"main": environment.peak_memory(), "anonymous": own_memory}
    device_memory = [r.device_memory for r in results if r.device_memory is not None]
    if device_memory:
        memory["device"] = max(device_memory)
    return Record(
        benchmark_version=__version__,
        run_id=name,
        created=attempts.now(),
        task=task.name,
        task_version=task.version,
        headline=task.headline,
        config=config.public(),
        data=_data_used(dataset),
        weights=weights,
        pretraining=pretraining,
        seeds={"run": config.seed, "split": SPLIT_SEED, "bootstrap": BOOTSTRAP_SEED},
        packages=environment.packages(),
        origins=others,
        hardware=environment.hardware(results[0].device),
        seconds={part: round(seconds, 3) for part, seconds in watch.seconds.items()},
        peak_memory_bytes=memory,
        parameters=_parameters(config, task, results),
        trials=tuple(_trial_record(result, task) for result in results),
        metrics=score.metrics,
        baselines=score.baselines,
        leaks=leaks,
        notes=notes,
    )


def _parameters(config: RunConfig, task: Task, results: list[TrialResult]) -> int:
    """Of what answers of an image: where each disease has a network, of all of them."""
    method = METHODS.get(config.method)
    apart = task.graded and not _jointly(task, method)
    return sum(result.parameters for result in (results if apart else results[:1]))


def _trial_record(result: TrialResult, task: Task) -> TrialRecord:
    return trial_record(
        result.trial,
        result.score.metrics,
        tuple(_summary(log, task) for log in result.logs),
        result.outputs.temperature,
    )


def _summary(log: StageLog | Adjusted, task: Task) -> TrainingSummary:
    if isinstance(log, Adjusted):
        return TrainingSummary(
            stage=log.stage,
            chosen=log.chosen,
            epochs=0,
            best_epoch=0,
            selected_by="nothing" if log.score is None else f"validation {task.selected_by}",
            selection_score=log.score,
            images_per_second=0.0,
            seconds=round(log.seconds, 3),
        )
    return TrainingSummary(
        stage=log.stage,
        epochs=len(log.epochs),
        best_epoch=log.best_epoch,
        selected_by=f"validation {task.selected_by}" if log.chosen else "last epoch",
        selection_score=log.best_score,
        images_per_second=round(log.images_per_second, 2),
        seconds=round(log.seconds, 3),
        recipe=log.recipe.model_dump(mode="json"),
        micro_batches=log.micro_batches,
        learning=tuple(
            Epoch(loss=each["loss"], validation=each["validation"]) for each in log.epochs
        ),
    )
