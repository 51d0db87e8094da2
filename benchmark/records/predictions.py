"""What a network said of the test images of a run, small enough to be published with its record.

With it and the frozen split every score that needs no map is computed anew, by anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.common.archives import read_arrays
from benchmark.common.files import atomic_path
from benchmark.errors import DataError
from benchmark.records.record import Record

# The arrays of a trial; further ones are scores of single images.
_IDS, _PROBABILITIES = "ids", "probabilities"


@dataclass(frozen=True)
class Predictions:
    """Of one trial, in the order of `ids`.

    Attributes:
        ids: N sample ids, no two alike.
        probabilities: (N, K) float32, finite.
        values: metric -> (N,) float32, the score of each image; NaN where it has none. Of metrics
            that are means over images and cannot be computed from the probabilities.
    """

    ids: tuple[str, ...]
    probabilities: np.ndarray
    values: Mapping[str, np.ndarray] = field(default_factory=dict)


def location(results: str | Path, run_id: str) -> Path:
    """The file of a run's predictions."""
    return Path(results) / "v1" / "predictions" / f"{run_id}.npz"


def submissions(results: str | Path) -> Path:
    """Where accepted submissions lie, a folder each."""
    return Path(results) / "v1" / "submissions"


def submitted(results: str | Path, name: str) -> Path:
    """The file of a submission's predictions."""
    return submissions(results) / name / "predictions.npz"


def save(results: str | Path, run_id: str, trials: Sequence[Predictions]) -> Path:
    """Write the predictions of a run, in the order of its trials; returns the file.

    Raises:
        UserError: the file cannot be written.
    """
    target = location(results, run_id)
    write(target, trials)
    return target


def write(target: Path, trials: Sequence[Predictions]) -> None:
    """Write predictions, trial after trial. The same predictions give the same bytes.

    Raises:
        UserError: the file cannot be written.
    """
    # Untyped, as numpy's stub takes names for savez's own options.
    arrays: dict[str, Any] = {}
    # By number: a trial may be called anything.
    for number, said in enumerate(trials):
        arrays[f"{number}/{_IDS}"] = np.asarray(said.ids, np.str_)
        arrays[f"{number}/{_PROBABILITIES}"] = np.asarray(said.probabilities, np.float32)
        for metric, values in said.values.items():
            arrays[f"{number}/{metric}"] = np.asarray(values, np.float32)
    with atomic_path(target) as temporary:
        np.savez_compressed(temporary, **arrays)


def load(results: str | Path, record: Record) -> dict[str, Predictions]:
    """The predictions of a record's run, by trial, in the record's order.

    Raises:
        DataError: there are none, or they are not of this record's trials; names the remedy.
    """
    path = file_of(results, record)
    try:
        return read(path, [trial.name for trial in record.trials])
    except DataError as error:
        raise DataError(f"{error}: {remedy(record)}") from error


def remedy(record: Record) -> str:
    """What to do where the predictions of a record cannot be used."""
    if record.submission is not None:
        return "restore the file"
    return (
        "restore the file, or make the run again with --overwrite (its page on the board tells the"
        " command)"
    )


def file_of(results: str | Path, record: Record) -> Path:
    """The file of a record's predictions, of a run or of a submission."""
    of = location if record.submission is None else submitted
    return of(results, record.run_id)


def read(path: Path, trials: Sequence[str]) -> dict[str, Predictions]:
    """The predictions of a file of `write`, by the names of the trials, in their order.

    Raises:
        DataError: the file is missing or damaged, or a trial is not in it; names no remedy, which
            depends on whose it is.
    """
    arrays = read_arrays(path)
    found = {}
    for number, trial in enumerate(trials):
        prefix = f"{number}/"
        names = [name for name in arrays if name.startswith(prefix)]
        own = {name.removeprefix(prefix): arrays[name] for name in names}
        found[trial] = _checked(path, trial, own)
    return found


def _checked(path: Path, trial: str, arrays: dict[str, np.ndarray]) -> Predictions:
    where = f"{path}, trial {trial}"
    missing = {_IDS, _PROBABILITIES} - set(arrays)
    if missing:
        raise DataError(f"{where}: no array {', '.join(sorted(missing))}")
    ids, said = arrays.pop(_IDS), arrays.pop(_PROBABILITIES)
    if ids.ndim != 1 or ids.dtype.kind != "U":
        raise DataError(f"{where}: ids are {ids.dtype} {ids.shape}, not text (N,)")
    if said.ndim != 2 or len(said) != len(ids) or said.dtype.kind != "f":
        raise DataError(f"{where}: probabilities are {said.dtype} {said.shape}, not (N, K) floats")
    if not np.isfinite(said).all():
        raise DataError(f"{where}: probabilities that are not finite")
    if len(set(ids.tolist())) < len(ids):
        raise DataError(f"{where}: an id twice")
    for name, values in arrays.items():
        if values.shape != ids.shape or values.dtype.kind != "f":
            raise DataError(f"{where}: {name} is {values.dtype} {values.shape}, not (N,) floats")
    return Predictions(tuple(ids.tolist()), said, arrays)
