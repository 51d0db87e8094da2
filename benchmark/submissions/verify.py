"""A bundle verified: read with suspicion, held against our split, scored by the task itself."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.metrics.names import title
from benchmark.records.original import original
from benchmark.records.predictions import Predictions
from benchmark.records.store import Store
from benchmark.rescoring import scored
from benchmark.submissions import bundle, flags, keep, maps, tables
from benchmark.submissions.check import checked
from benchmark.submissions.faults import BundleError
from benchmark.submissions.manifest import MANIFEST, Manifest, read_manifest
from benchmark.submissions.question import Matched, classes_of, matched
from tasks.given import Score


@dataclass(frozen=True)
class Verified:
    """An acceptable submission and what it scores.

    Attributes:
        name: its id, which stands for its content.
        manifest: what it says of itself.
        matched: which of our questions it answers.
        said: the probabilities of each trial, in the order of our split.
        score: of the whole, as a run's.
        best: the board's leading row of the question, None where no row has a score.
        flags: what deserves a second look, one sentence each.
        remarks: what else a reader must know, likewise.
        unscored_maps: whether there are maps that could not be scored, for want of masks.
    """

    name: str
    manifest: Manifest
    matched: Matched
    said: dict[str, Predictions]
    score: Score
    best: pd.Series | None
    flags: tuple[str, ...]
    remarks: tuple[str, ...]
    unscored_maps: bool


def verify(path: str | Path, results: str | Path, data_dir: str | None = None) -> Verified:
    """Verify a bundle against the records and splits of a results folder. Nothing is written.

    Args:
        path: the bundle.
        results: the folder.
        data_dir: where the data set lies, whose masks maps are scored against.

    Raises:
        BundleError: the bundle cannot be accepted; says why in one sentence.
        UserError: our own records, splits or data are missing or damaged.
    """
    read = bundle.read(Path(path))
    manifest = read_manifest(MANIFEST, read.manifest)
    asked = manifest.question
    _check_files(manifest, read)
    ours = matched(MANIFEST, results, asked, Store(results).all().records)
    by_name = {trial.name: trial for trial in asked.trials}
    said, given = {}, {}
    for trial in ours.sheet.trials:
        named, classes = by_name[trial.name], classes_of(ours.sheet, trial.name)
        table = tables.read(named.file, named.file, read.files[named.file], classes)
        said[trial.name] = checked(table, trial, classes)
        if named.maps is not None:
            given[trial.name] = maps.read(named.maps, read.files[named.maps], trial).values
    said |= _with_maps(ours, said, given, data_dir)
    score, scores = scored(ours.sheet, list(said.values()), [None] * len(said))
    trials = dict(zip(said, scores, strict=True))
    own = keep.submission_id(manifest, list(said.values()))
    best = flags.best_row(ours.records)
    copies, problems = flags.same_as(results, own, said, ours.related)
    headline = ours.sheet.task.headline
    return Verified(
        name=own,
        manifest=manifest,
        matched=ours,
        said=said,
        score=score,
        best=best,
        flags=(*copies, *flags.flagged(headline, score, trials, best)),
        remarks=(
            *_of_maps(ours, said, given),
            *dict.fromkeys(leak for one in ours.records for leak in one.leaks),
            *problems,
        ),
        unscored_maps=bool(given) and not _scored_maps(said),
    )


def _with_maps(
    ours: Matched,
    said: dict[str, Predictions],
    given: dict[str, np.ndarray],
    data_dir: str | None,
) -> dict[str, Predictions]:
    """The predictions with what the maps of their trial score on each image, where that is known.

    Raises:
        UserError: the data set there is another.
    """
    dataset = original(ours.records[0], data_dir, photographs=False) if given else None
    if dataset is None:
        return {}
    task = ours.sheet.task
    prepared = task.prepare(dataset)
    found = {}
    for name, values in given.items():
        own = said[name]
        scores = task.map_scores(task.of_trial(prepared, name), own.ids, values)
        found[name] = replace(own, values={k: v.astype(np.float32) for k, v in scores.items()})
    return found


def _scored_maps(said: dict[str, Predictions]) -> bool:
    return any(each.values for each in said.values())


def _of_maps(
    ours: Matched, said: dict[str, Predictions], given: dict[str, np.ndarray]
) -> list[str]:
    """What to know of a task that scores maps, a sentence."""
    task = ours.sheet.task
    if not task.maps:
        return []
    headline = title(task.headline)
    if not given:
        return [f"There are no maps, so the row has no {headline} and no rank."]
    if not _scored_maps(said):
        return [
            "The maps are of the right shape and range and were not scored: that needs the"
            " experts' masks, so name the data set's folder with --data-dir. All else was scored."
        ]
    metrics = ", ".join(title(name) for each in said.values() for name in each.values)
    return [
        f"Maps of the true class alone give {metrics}; what needs further maps or the network is"
        " missing."
    ]


def _check_files(manifest: Manifest, read: bundle.Bundle) -> None:
    named = {file for trial in manifest.question.trials for file in trial.files}
    for name in sorted(named ^ set(read.files)):
        told = "is named here and not there" if name in named else "is there and not named here"
        raise BundleError(MANIFEST, f"{name} {told}", "make the bundle anew with `submit`")
