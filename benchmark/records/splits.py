"""Frozen splits: which image was in which part, written once and read ever after.

A file per data set, task, task version and options, and per seed where that decides, lies in
results/v1/splits, beside the records. The files decide: a later version that would draw another
split still runs on these. Whether the parts share what they must not is the business of
`benchmark.data.leaks`.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.common.files import atomic_path
from benchmark.data.dataset import UNLABELLED, Dataset
from benchmark.errors import DataError

PARTS = ("train", "unlabelled", "validation", "test", "unscored")
# Parts that a data set may fix and no task divides; unscored images are of the test part.
_FIXED = {"validation": "validation", "test": "test", "unscored": "test"}
COLUMNS = ("trial", "part", "id", "group", "class")

# Trial -> part -> ids.
Split = Mapping[str, Mapping[str, Sequence[str]]]
Frozen = dict[str, dict[str, tuple[str, ...]]]
# A trial's name -> the data with its labels and classes.
OfTrial = Callable[[str], Dataset]


@dataclass(frozen=True)
class FrozenSplit:
    """A split and the file it is from or goes to.

    `trials` has trial -> part -> sorted ids, every part of `PARTS`.
    """

    path: Path
    text: str
    trials: Frozen

    def keep(self) -> None:
        """Write the file where there is none yet.

        Raises:
            DataError: another run has meanwhile written another split.
            UserError: it cannot be written.
        """
        if not self.path.exists():
            with atomic_path(self.path) as temporary:
                temporary.write_bytes(self.text.encode())
        if self.path.read_bytes() != self.text.encode():
            raise DataError(
                f"{self.path}: another run has frozen another split meanwhile: run the same command"
                " again, it will use that one"
            )


def frozen(
    out: str | Path,
    dataset: Dataset,
    task: str,
    task_version: str,
    options: Mapping[str, Any],
    draw: Callable[[], Split],
    seed: int | None = None,
    of_trial: OfTrial | None = None,
) -> FrozenSplit:
    """The split of a task on a data set: from its file, drawn where there is none.

    Args:
        out: the results folder.
        dataset: as the task has prepared it.
        task: the task's name.
        task_version: of its protocol.
        options: the task's; those that are None are left out of the file's name.
        draw: makes the split: trial -> part (of `PARTS`) -> ids; called only without a file.
        seed: of the run; None where the split is the same for all.
        of_trial: the data with the labels of the trial of this name; None: those of `dataset`.

    Raises:
        DataError: the file is damaged or does not fit the data; names line and remedy.
    """
    path = location(out, dataset.name, dataset.fingerprint, task, task_version, options, seed)
    of_trial = of_trial or (lambda trial: dataset)
    if path.exists():
        return read(path, of_trial)
    text = _text(of_trial, draw())
    try:
        return FrozenSplit(path, text, _parsed(path, text, of_trial))
    except DataError as error:
        raise ValueError(f"task {task} drew a faulty split: {error}") from error


def location(
    out: str | Path,
    dataset: str,
    fingerprint: str,
    task: str,
    task_version: str,
    options: Mapping[str, Any],
    seed: int | None = None,
) -> Path:
    """The file of a split of the data set of this name and fingerprint; the rest as of `frozen`."""
    given = {name: value for name, value in sorted(options.items()) if value is not None}
    values = [f"{_plain(name)}={_plain(str(value))}" for name, value in given.items()]
    values += [] if seed is None else [f"seed={seed}"]
    name = "-".join([_plain(task), f"v{_plain(task_version)}", *values])
    return folder(out, dataset, fingerprint) / f"{name}.csv"


def folder(out: str | Path, dataset: str, fingerprint: str) -> Path:
    """Where the splits of the data set of this name and fingerprint lie."""
    return Path(out) / "v1" / "splits" / f"{_plain(dataset)}-{fingerprint[:12]}"


def read(path: Path, of_trial: OfTrial) -> FrozenSplit:
    """Read a frozen split, checking every line against the data of its trial.

    Raises:
        DataError: the first fault, with its line and the remedy.
    """
    text = _decoded(path)
    return FrozenSplit(path, text, _parsed(path, text, of_trial))


def rows(path: Path) -> pd.DataFrame:
    """A frozen split as it stands, without the data: a row per line, text in `COLUMNS`.

    Raises:
        DataError: it cannot be read, or a line has not as many fields as there are columns.
    """
    return pd.DataFrame([fields for _, fields in _rows(path, _decoded(path))], columns=[*COLUMNS])


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist: restore it, or repeat a run of it with --overwrite, which"
            " draws it again"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}: make it readable, or delete it to"
            " draw the split again"
        ) from error
    except UnicodeDecodeError as error:
        raise _fault(path, 1, f"not UTF-8 text ({error})") from error


def _parsed(path: Path, text: str, of_trial: OfTrial) -> Frozen:
    views: dict[str, Dataset] = {}
    split: dict[str, dict[str, list[str]]] = {}
    placed: dict[tuple[str, str], str] = {}
    classes: dict[tuple[str, str], set[str]] = {}
    for line, (trial, part, sample, group, name) in _rows(path, text):
        if part not in PARTS:
            raise _fault(path, line, f"part {part!r} is none of {', '.join(PARTS)}")
        if trial not in views:
            try:
                views[trial] = of_trial(trial)
            except DataError as error:
                raise _fault(path, line, str(error)) from error
        dataset = views[trial]
        if sample not in dataset.table.index:
            raise _fault(path, line, f"image {sample!r} is not in {dataset.root}")
        if (trial, sample) in placed:
            earlier = placed[trial, sample]
            where = f"twice in {part}" if earlier == part else f"in {earlier} and in {part}"
            raise _fault(path, line, f"image {sample} is {where}")
        true_group, true_name = _about(dataset, sample)
        if group != true_group:
            raise _fault(
                path, line, f"image {sample}: group {group!r} is {true_group!r} in the data"
            )
        if name != true_name:
            raise _fault(path, line, f"image {sample}: class {name!r} is {true_name!r} in the data")
        own = dataset.table.at[sample, "split"]
        if own in _FIXED and own != _FIXED.get(part, part):
            raise _fault(path, line, f"image {sample} is in {part} here and in {own} in the data")
        placed[trial, sample] = part
        classes.setdefault((trial, part), set()).add(name)
        split.setdefault(trial, {each: [] for each in PARTS})[part].append(sample)
    if not split:
        raise _fault(path, 1, "no image")
    for trial, parts in split.items():
        dataset = views[trial]
        occurring = {dataset.classes[n] for n in set(dataset.table["label"]) - {UNLABELLED}}
        for part in ("train", "validation", "test"):
            if not parts[part]:
                raise _fault(path, 1, f"trial {trial} has no image in {part}")
        for name in sorted(occurring - classes[trial, "train"]):
            raise _fault(path, 1, f"trial {trial} has no image of class {name} in train")
    return {
        trial: {part: tuple(sorted(ids)) for part, ids in parts.items()}
        for trial, parts in split.items()
    }


def _text(of_trial: OfTrial, split: Split) -> str:
    """The file's text: trials as they come, parts as in `PARTS`, ids sorted."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial, parts in split.items():
        if unknown := set(parts) - set(PARTS):
            raise ValueError(f"trial {trial} has parts {sorted(unknown)}, known are {PARTS}")
        dataset = of_trial(trial)
        for part in PARTS:
            for sample in sorted(parts.get(part, ())):
                writer.writerow((trial, part, sample, *_about(dataset, sample)))
    return stream.getvalue()


def _about(dataset: Dataset, sample: str) -> tuple[str, str]:
    """Group and class of an image; the class is "" where it has no label."""
    label = int(dataset.table.at[sample, "label"])
    name = "" if label == UNLABELLED else dataset.classes[label]
    return str(dataset.table.at[sample, "group"]), name


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row below the header."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in lines:
            if lines.line_num == 1 and tuple(row) != COLUMNS:
                raise _fault(path, 1, f"the columns are not {','.join(COLUMNS)}")
            if len(row) != len(COLUMNS):
                raise _fault(path, lines.line_num, f"{len(row)} fields for {len(COLUMNS)} columns")
            if lines.line_num > 1:
                yield lines.line_num, row
    except csv.Error as error:
        raise _fault(path, lines.line_num, str(error)) from error


def _fault(path: Path, line: int, what: str) -> DataError:
    return DataError(
        f"{path}, line {line}: {what}: restore the file, or delete it to draw the split again"
    )


def _plain(text: str) -> str:
    """`text` as part of a file name; where that changes it, with a few digits of its hash."""
    plain = re.sub(r"[^A-Za-z0-9.+-]+", "_", text)[:40]
    return plain if plain == text else f"{plain}~{hashlib.sha256(text.encode()).hexdigest()[:8]}"
