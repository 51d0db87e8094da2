"""The records under a results folder: one JSON file each, read with suspicion, written atomically.

What a record holds is `record.py`; what is made of many is `benchmark.leaderboard`.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from benchmark.common.files import finished, write_json
from benchmark.errors import UserError
from benchmark.records.record import SCHEMA_VERSION, Record

# Size in bytes, and in nanoseconds when content and file were last changed.
Stat = tuple[int, int, int]

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Stored:
    """Every record that could be read, by run id, and one sentence for each that could not."""

    records: tuple[Record, ...]
    problems: tuple[str, ...]


class Store:
    """Records in `results`/v1/records, each in a file named by its run id."""

    def __init__(self, results: str | Path) -> None:
        self.folder = Path(results) / "v1" / "records"

    def save(self, record: Record) -> Path:
        """Write a record, in place of an earlier one of the same run; returns its file.

        Raises:
            UserError: the folder cannot be written.
            ValueError: the run id cannot be a file name, or no run made this.
        """
        if record.submission is not None:
            raise ValueError(f"{record.run_id} is a submission: its record is computed, not stored")
        if not _RUN_ID.fullmatch(record.run_id):
            raise ValueError(f"run id {record.run_id!r} must match {_RUN_ID.pattern}")
        target = self._path(record.run_id)
        write_json(target, record.model_dump(mode="json"))
        return target

    def run_ids(self) -> list[str]:
        """The runs of all record files, damaged or not, sorted."""
        return [path.stem for path in self._files()]

    def stats(self) -> dict[str, Stat]:
        """By name of each record file, sorted, its size and when it was written."""
        return {path.name: _stat(path) for path in self._files()}

    def stat(self, run_id: str) -> Stat | None:
        """Size and times of the record of this run; None where there is none."""
        return _stat(self._path(run_id)) if self.has(run_id) else None

    def has(self, run_id: str) -> bool:
        """Whether there is a record of this run."""
        return bool(_RUN_ID.fullmatch(run_id)) and self._path(run_id).is_file()

    def load(self, run_id: str) -> Record:
        """The record of a run.

        Raises:
            UserError: there is none, or its file is damaged or of another version.
        """
        if not self.has(run_id):
            raise UserError(
                f"no record {run_id!r} in {self.folder}: `python -m benchmark list records` shows"
                " what there is"
            )
        return _read(self._path(run_id))

    def find(self, prefix: str) -> Record:
        """The record whose run id is `prefix`, or the only one that starts with it.

        Raises:
            UserError: none starts with it, several do, or the file is damaged.
        """
        if self.has(prefix):
            return self.load(prefix)
        matches = [run for run in self.run_ids() if run.startswith(prefix)]
        if len(matches) > 1:
            shown = ", ".join(matches[:5]) + (", ..." if len(matches) > 5 else "")
            raise UserError(
                f"{len(matches)} records in {self.folder} start with {prefix!r} ({shown}): give"
                " more of the id"
            )
        return self.load(matches[0] if matches else prefix)

    def all(self) -> Stored:
        """Every record, sorted by run id. A damaged file costs its own record and no other."""
        records, problems = [], []
        for path in self._files():
            try:
                records.append(_read(path))
            except UserError as error:
                problems.append(str(error))
        return Stored(tuple(records), tuple(problems))

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"

    def _files(self) -> list[Path]:
        return finished(self.folder, "*.json")


def _stat(path: Path) -> Stat:
    try:
        found = path.stat()
    except OSError:  # which reading it will tell
        return -1, -1, -1
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path) -> Record:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    return parsed(path, content)


def parsed(path: Path, content: bytes) -> Record:
    """The record that a file holds.

    Raises:
        UserError: it is damaged, of another version, or not that of its name; begins with the path.
    """
    try:
        told = content.decode("utf-8")
        value = json.loads(told, parse_constant=_refuse_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"is not valid JSON ({error})") from error
    if not isinstance(value, dict) or "schema_version" not in value:
        raise UserError(
            f"{path} is not a record of DermBench (no field schema_version): move it out of this"
            " folder"
        )
    if value["schema_version"] != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema_version {value['schema_version']!r} and this DermBench reads"
            f" {SCHEMA_VERSION}: use the version of DermBench that wrote it"
        )
    try:
        record = Record.model_validate(value)
    except ValidationError as error:
        raise _damaged(path, _first_fault(error)) from error
    if record.submission is not None:
        raise UserError(
            f"{path} is of a submission, which is no record: move it out of this folder"
        )
    if record.run_id != path.stem:
        raise UserError(
            f"{path} holds run_id {record.run_id!r}: name the file {record.run_id}.json"
        )
    return record


def _first_fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    place = ".".join(str(part) for part in faults[0]["loc"])
    more = f", and {len(faults) - 1} more faults" if len(faults) > 1 else ""
    return f"has a fault in field {place}: {faults[0]['msg']}{more}"


def _damaged(path: Path, fault: str) -> UserError:
    return UserError(f"{path} {fault}: restore the file, or delete it and repeat the run")


def _refuse_number(name: str) -> NoReturn:
    raise ValueError(f"the number {name}")


def _finite(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_number(digits)
