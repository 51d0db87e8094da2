"""A bundle verified: read with suspicion, held against our split, scored by the task itself."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.records.predictions import Predictions
from benchmark.records.store import Store
from benchmark.rescoring import scored
from benchmark.submissions import bundle, flags, keep, tables
from benchmark.submissions.check import checked
from benchmark.submissions.faults import BundleError
from benchmark.submissions.manifest import MANIFEST, Manifest, read_manifest
from benchmark.submissions.question import Matched, classes_of, matched
from tasks.base import Score


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
    """

    name: str
    manifest: Manifest
    matched: Matched
    said: dict[str, Predictions]
    score: Score
    best: pd.Series | None
    flags: tuple[str, ...]
    remarks: tuple[str, ...]


def verify(path: str | Path, results: str | Path) -> Verified:
    """Verify a bundle against the records and splits of a results folder. Nothing is written.

    Raises:
        BundleError: the bundle cannot be accepted; says why in one sentence.
        UserError: our own records or splits are missing or damaged.
    """
    read = bundle.read(Path(path))
    manifest = read_manifest(MANIFEST, read.manifest)
    asked = manifest.question
    _check_files(manifest, read)
    ours = matched(MANIFEST, results, asked, Store(results).all().records)
    file_of = {trial.name: trial.file for trial in asked.trials}
    said = {}
    for trial in ours.sheet.trials:
        name, classes = file_of[trial.name], classes_of(ours.sheet, trial.name)
        table = tables.read(name, name, read.files[name], classes)
        said[trial.name] = checked(table, trial, classes)
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
        remarks=(*dict.fromkeys(leak for one in ours.records for leak in one.leaks), *problems),
    )


def _check_files(manifest: Manifest, read: bundle.Bundle) -> None:
    named = {trial.file for trial in manifest.question.trials}
    for name in sorted(named ^ set(read.files)):
        told = "is named here and not there" if name in named else "is there and not named here"
        raise BundleError(MANIFEST, f"{name} {told}", "make the bundle anew with `submit`")
