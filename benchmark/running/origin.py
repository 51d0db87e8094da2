"""Where a run goes on from what an earlier run of the same results folder has learned.

`--weights run:ID` starts with the network which that run left, as `--weights FILE` does with a
file's. But here it is known what that network has seen: its data count as pre-training, and test
images among them are refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import architectures
from benchmark.common.wording import counted
from benchmark.config import EARLIER_RUN, RunConfig
from benchmark.data import Dataset, load
from benchmark.data.dataset import no_masks
from benchmark.data.images import content_hash
from benchmark.errors import DataError, UserError
from benchmark.records import index
from benchmark.records.folder import RunFolder
from benchmark.records.record import DataUsed, Record, WeightsUsed
from benchmark.records.store import Store
from benchmark.registry import METHODS, TASKS
from benchmark.running.guards import Guards
from benchmark.running.question import asked_of, question

# Parts of a split that a run learns from or chooses by.
_LEARNED = ("train", "unlabelled", "validation")


def settled(
    asked: Mapping[str, Any], results: str | Path, arch: str, framework: str, seed: int
) -> dict[str, Any]:
    """What `weights` of `run:...` stand for, among the settings that are asked.

    `weights` with the whole id, the image size of that run where none is asked, and its seed where
    a method scores its network as it is; nothing where other weights are.

    After `run:` stands an id, the beginning of one, a task, or TASK/DATASET: then the run of that
    task (on that data set) with this architecture, framework and seed is meant.

    Raises:
        UserError: there is no such run, or several, or its network is to be scored as one of
            another seed, or as `origin_of`.
    """
    weights = asked.get("weights", "none")
    if not weights.startswith(EARLIER_RUN):
        return {}
    named = EARLIER_RUN + _named(weights, results, arch, framework, seed)
    origin = origin_of(named, results, arch)
    assert origin is not None
    size = origin.config.image_size
    found = {"weights": named, "image_size": asked.get("image_size") or size}
    if "method" not in asked or METHODS.get(asked["method"]).trains:
        return found
    # Nothing is drawn when a network is scored: its seed is that of its training.
    trained = origin.config.seed
    if seed not in (0, trained):
        raise UserError(
            f"--seed {seed}: the network of run {origin.record.run_id} was trained with seed"
            f" {trained}: leave out --seed"
        )
    return found | {"seed": trained}


def _named(weights: str, results: str | Path, arch: str, framework: str, seed: int) -> str:
    """The id of the run that `run:...` means."""
    name = weights.removeprefix(EARLIER_RUN)
    task, slash, dataset = name.partition("/")
    if task not in TASKS.names():
        return Store(results).find(name).run_id
    wanted = (task, architectures.find(arch).name, framework, str(seed))
    with index.opened(results) as opened:
        found = [
            head.run_id
            for head in opened.heads
            if (head.task, head.arch, head.framework, head.seed) == wanted
            and (not slash or head.dataset == dataset)
        ]
    if len(found) == 1:
        return found[0]
    whose = (
        f"{task}{f' on {dataset}' if slash else ''} by {wanted[1]} in {framework} with seed {seed}"
    )
    if found:
        raise UserError(
            f"--weights {weights}: {results} has {len(found)} runs of {whose}: write one of"
            f" {', '.join(EARLIER_RUN + run_id for run_id in found[:5])}"
        )
    raise UserError(
        f"--weights {weights}: {results} has no run of {whose}: run it first, or write"
        f" {EARLIER_RUN}ID with an id of `python -m benchmark list records`"
    )


@dataclass(frozen=True)
class Origin:
    """The run that another goes on from, and the file of its network."""

    record: Record
    file: Path

    @property
    def config(self) -> RunConfig:
        """Its settings, folders and files by their last names."""
        return self.record.settings

    @property
    def used(self) -> WeightsUsed:
        """For the record: what it all began with, and what was done since."""
        before = self.record.weights
        config = self.config
        done = (
            f"{config.method}, {counted(config.recipe.epochs, 'epoch')}, {config.image_size[0]} px"
            f" ({self.record.task})"
        )
        return WeightsUsed(
            kind=before.kind,
            name=", then ".join(filter(None, [before.name, done])),
            sha256=content_hash(str(self.file)),
            run=self.record.run_id,
        )

    @property
    def pretraining(self) -> tuple[DataUsed, ...]:
        """The data sets that its network has learned from, in turn."""
        return (*self.record.pretraining, self.record.data)


def origin_of(weights: str, results: str | Path, arch: str) -> Origin | None:
    """The run that `weights` name as `run:ID`; None of other weights.

    Raises:
        UserError: there is no such run, its network is of another architecture, is not here, or is
            one of several.
    """
    if not weights.startswith(EARLIER_RUN):
        return None
    record = Store(results).load(weights.removeprefix(EARLIER_RUN))
    told = f"--weights {weights}"
    if record.config.get("arch") != architectures.find(arch).name:
        raise UserError(f"{told}: that run is of {record.config.get('arch')}, not of {arch}")
    if len(record.trials) != 1:
        names = ", ".join(trial.name for trial in record.trials)
        raise UserError(
            f"{told}: that run has trials of their own ({names}): give the weights.safetensors of"
            " one of them, in its run folder"
        )
    file = RunFolder.of_record(results, record).weights(record.trials[0].name)
    if not file.is_file():
        raise UserError(
            f"{told}: {file} is not here, for boards are published without weights: make that run"
            " again with --overwrite (its page on the board tells the command)"
        )
    return Origin(record, file)


def require_classes(origin: Origin, dataset: Dataset) -> None:
    """That the head of that network, which is scored as it is, has the classes of these data.

    Raises:
        UserError: it has others, or in another order.
    """
    theirs = origin.record.data.classes
    if theirs != dataset.classes:
        raise UserError(
            f"run {origin.record.run_id} learned {', '.join(theirs)}, and what is scored here has"
            f" {', '.join(dataset.classes)}: train it on these, with --method cross-entropy for"
            " instance"
        )


def learned(origin: Origin, results: Path, guards: Guards) -> Iterator[Dataset]:
    """Every image that the network has learned from or was chosen by, a data set for each stage.

    Raises:
        UserError: the data of that run are not here any more, or are others.
    """
    config = _settings(results, origin.record)
    whole = load(config.dataset, config.data_dir, **config.dataset_options)
    task, _ = question(config)
    dataset = asked_of(task, whole)
    if dataset.fingerprint != origin.record.data.fingerprint:
        raise DataError(
            f"{dataset.root} has changed since run {origin.record.run_id} learned from it, so it"
            " cannot be known whether a test image was among it: put the data back, or make that"
            " run again"
        )
    split = guards.split(task, whole, dataset, config.question, config.seed)
    used = {i for trial in split.trials.values() for part in _LEARNED for i in trial[part]}
    yield replace(
        dataset, table=dataset.table.loc[sorted(used)], masks=no_masks(), diseases=(), notes=()
    )
    for item in config.pretrain_on:
        yield load_named(item)
    before = origin_of(config.weights, results, config.arch)
    if before is not None:
        yield from learned(before, results, guards)


def load_named(item: str) -> Dataset:
    """The data set of NAME:DIR, with its images."""
    name, _, folder = item.partition(":")
    dataset = load(name, folder or None)
    dataset.require_images()
    return dataset


def _settings(results: Path, record: Record) -> RunConfig:
    """A run's settings with the folders that it read, which no record tells."""
    path = RunFolder.of_record(results, record).path / "config.json"
    try:
        return RunConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise UserError(f"{path} is damaged ({error.errors()[0]['msg']}): restore it") from error
