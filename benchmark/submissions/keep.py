"""Accepted submissions below results/v1/submissions: a folder each, written by us from its content.

`manifest.json` is the manifest as we understood it, `predictions.npz` the probabilities in the
order of the split: no byte of the bundle itself is kept.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import DataError
from benchmark.files import write_text
from benchmark.records import predictions
from benchmark.records.predictions import Predictions
from benchmark.submissions.manifest import MANIFEST, Manifest, read_manifest

_PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Kept:
    """An accepted submission: its id, its manifest, and its predictions by trial."""

    name: str
    manifest: Manifest
    said: dict[str, Predictions]


def folder(results: str | Path) -> Path:
    """Where accepted submissions lie."""
    return Path(results) / "v1" / "submissions"


def submission_id(manifest: Manifest, said: Sequence[Predictions]) -> str:
    """The name of a submission: a letter and twelve digits that stand for its content."""
    digest = hashlib.sha256(_public(manifest).text().encode())
    for each in said:
        digest.update("\n".join(each.ids).encode())
        digest.update(np.asarray(each.probabilities, "<f4").tobytes())
    return f"s{digest.hexdigest()[:12]}"


def keep(results: str | Path, manifest: Manifest, said: Sequence[Predictions]) -> Path:
    """Store an accepted submission; returns its folder. What is there already is left as it is.

    Raises:
        DataError: another submission has this id, or the one that is there is damaged.
        UserError: it cannot be written.
    """
    name = submission_id(manifest, said)
    target = folder(results) / name
    if target.exists():
        there = load(results, name)
        if submission_id(there.manifest, list(there.said.values())) != name:
            raise DataError(
                f"{target} holds another submission: move it away, then accept this one"
            )
        return target
    predictions.write(target / _PREDICTIONS, said)
    # Last: a folder without its manifest was never finished, and `load` says so.
    write_text(target / MANIFEST, _public(manifest).text())
    return target


def load(results: str | Path, name: str) -> Kept:
    """An accepted submission.

    Raises:
        DataError: its folder is missing or damaged.
    """
    own = folder(results) / name
    try:
        content = (own / MANIFEST).read_bytes()
    except OSError as error:
        raise DataError(
            f"{own / MANIFEST} cannot be read ({error.strerror or error}): delete the folder and"
            " accept the bundle again"
        ) from error
    manifest = read_manifest(str(own / MANIFEST), content)
    trials = [trial.name for trial in manifest.question.trials]
    return Kept(name, manifest, predictions.read(own / _PREDICTIONS, trials))


def names(results: str | Path) -> list[str]:
    """The ids of the accepted submissions, sorted."""
    return sorted(path.name for path in folder(results).glob("s*") if path.is_dir())


def _public(manifest: Manifest) -> Manifest:
    """The manifest without what the format of a file adds: the same predictions, the same id."""
    trials = tuple(
        trial.model_copy(update={"file": f"predictions-{number}.npz"})
        for number, trial in enumerate(manifest.question.trials, 1)
    )
    question = manifest.question.model_copy(update={"trials": trials})
    return manifest.model_copy(update={"question": question})
