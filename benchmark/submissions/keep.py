"""Accepted submissions below results/v1/submissions: a folder each, written by us from its content.

`manifest.json` is the manifest as we understood it, `predictions.npz` the probabilities in the
order of the split, with what the maps scored on each image, where there were maps: no byte of the
bundle itself is kept, and no map. `acceptance.json` says when and by which
DermBench it was accepted, and what was flagged then. There are no scores: they are computed from
the predictions whenever they are shown, see `board`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import AwareDatetime

from benchmark import __version__
from benchmark.common.files import write_text
from benchmark.errors import DataError
from benchmark.records import predictions
from benchmark.records.authored import Name, Part
from benchmark.records.predictions import Predictions, submissions, submitted
from benchmark.submissions.manifest import MANIFEST, Manifest, read_manifest, read_part

ACCEPTANCE = "acceptance.json"


class Acceptance(Part):
    """When (UTC) and by which DermBench a submission was accepted, and what was flagged then."""

    accepted: AwareDatetime
    benchmark_version: Name
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """An accepted submission: its id, its manifest, its acceptance, its predictions by trial."""

    name: str
    manifest: Manifest
    acceptance: Acceptance
    said: dict[str, Predictions]


def submission_id(manifest: Manifest, said: Sequence[Predictions]) -> str:
    """The name of a submission: a letter and twelve digits that stand for its content."""
    digest = hashlib.sha256(_public(manifest).text().encode())
    for each in said:
        digest.update("\n".join(each.ids).encode())
        digest.update(np.asarray(each.probabilities, "<f4").tobytes())
        for metric, values in sorted(each.values.items()):
            digest.update(metric.encode() + np.asarray(values, "<f4").tobytes())
    return f"s{digest.hexdigest()[:12]}"


def keep(
    results: str | Path,
    manifest: Manifest,
    said: Sequence[Predictions],
    flags: Sequence[str] = (),
) -> Path:
    """Store an accepted submission; returns its folder. What is there already is left as it is.

    Args:
        results: the results folder.
        manifest: of the bundle.
        said: of each trial.
        flags: what was flagged when it was verified.

    Raises:
        DataError: another submission has this id, or the one that is there is damaged.
        UserError: it cannot be written.
    """
    name = submission_id(manifest, said)
    target = submissions(results) / name
    if target.exists():
        there = load(results, name)
        if submission_id(there.manifest, list(there.said.values())) != name:
            raise DataError(
                f"{target} holds another submission: move it away, then accept this one"
            )
        return target
    predictions.write(submitted(results, name), said)
    now = datetime.now(UTC).replace(microsecond=0)
    acceptance = Acceptance(accepted=now, benchmark_version=__version__, flags=tuple(flags))
    write_text(target / ACCEPTANCE, acceptance.model_dump_json(indent=2) + "\n")
    # Last: a folder without its manifest was never finished, and `load` says so.
    write_text(target / MANIFEST, _public(manifest).text())
    return target


def load(results: str | Path, name: str) -> Kept:
    """An accepted submission.

    Raises:
        DataError: its folder is missing or damaged.
    """
    own = submissions(results) / name
    manifest = read_manifest(str(own / MANIFEST), _content(own / MANIFEST))
    acceptance = read_part(str(own / ACCEPTANCE), _content(own / ACCEPTANCE), Acceptance)
    trials = [trial.name for trial in manifest.question.trials]
    try:
        said = predictions.read(submitted(results, name), trials)
    except DataError as error:
        raise DataError(f"{error}: delete the folder and accept the bundle again") from error
    return Kept(name, manifest, acceptance, said)


def names(results: str | Path) -> list[str]:
    """The ids of the accepted submissions, sorted."""
    return sorted(path.name for path in submissions(results).glob("s*") if path.is_dir())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}): delete the folder and accept the"
            " bundle again"
        ) from error


def _public(manifest: Manifest) -> Manifest:
    """The manifest without what the format of a file adds: the same predictions, the same id."""
    trials = tuple(
        trial.model_copy(update={"file": f"predictions-{number}.npz", "maps": None})
        for number, trial in enumerate(manifest.question.trials, 1)
    )
    question = manifest.question.model_copy(update={"trials": trials})
    return manifest.model_copy(update={"question": question})
