"""Documented doubt about a record or a submission: a small file each in results/v1/contested.

A row that is contested keeps its rank: doubt is not proof, and a note that could take one row off
the board could take off any. It is shown wherever the row is, so that whoever reads decides.
"""

import datetime
import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from benchmark.common.files import finished, write_text
from benchmark.errors import DataError, UserError
from benchmark.records.authored import Link, Name, Part, Text, fault_told
from benchmark.submissions.faults import shown
from benchmark.submissions.manifest import read_part


class Note(Part):
    """Who contests which record or submission, on what ground; `link` leads to more, or is ""."""

    note_version: Literal[1] = 1
    record: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    why: Text
    by: Name
    date: datetime.date
    link: Link = ""

    @property
    def told(self) -> str:
        """The note in a sentence, without its link."""
        return f"{self.record}, contested by {self.by} on {self.date.isoformat()}: {self.why}"

    @property
    def file(self) -> str:
        """The name of its file: the record's id and eight digits that stand for its content."""
        return f"{self.record}-{hashlib.sha256(self._text.encode()).hexdigest()[:8]}.json"

    @property
    def _text(self) -> str:
        return self.model_dump_json(indent=2) + "\n"

    def write(self, results: str | Path) -> Path:
        """Write it below a results folder; returns its file. The same note is one file.

        Raises:
            UserError: it cannot be written.
        """
        target = folder(results) / self.file
        write_text(target, self._text)
        return target


@dataclass(frozen=True)
class Contested:
    """Every note by its record's id, oldest first, and a sentence for each that says nothing."""

    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of(self, records: str) -> list[Note]:
        """The notes on records, given by their ids with spaces between, as a row has them."""
        return [note for record in records.split() for note in self.notes.get(record, ())]


def folder(results: str | Path) -> Path:
    """Where the notes lie."""
    return Path(results) / "v1" / "contested"


def note(record: str, why: str, by: str, link: str, date: datetime.date) -> Note:
    """A note from what somebody has typed.

    Raises:
        UserError: a part of it cannot be; says which, and what it should be.
    """
    try:
        return Note(record=record, why=why, by=by, link=link, date=date)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        flag = ".".join(map(str, first["loc"]))
        raise UserError(f"--{flag}: {fault_told(first['msg'])}") from None


def contested(results: str | Path, known: Collection[str]) -> Contested:
    """The notes of a results folder.

    Args:
        results: the folder.
        known: the ids of its records and submissions; a note on another is a problem.
    """
    found: dict[str, list[Note]] = defaultdict(list)
    problems = []
    for path in finished(folder(results), "*.json"):
        try:
            one = _read(path)
        except DataError as error:
            problems.append(str(error))
            continue
        if one.record in known:
            found[one.record].append(one)
        else:
            problems.append(
                f"{path}: there is no readable record or submission {one.record}: restore it, or"
                f" withdraw the note with `python -m benchmark contest {one.record} --withdraw`"
            )
    in_order = {
        record: tuple(sorted(notes, key=lambda one: (one.date, one.by, one.file)))
        for record, notes in found.items()
    }
    return Contested(in_order, tuple(problems))


def withdraw(results: str | Path, record: str, by: str | None) -> Path:
    """Remove a note; returns the file that is gone. Its record need not be there any more.

    Args:
        results: the results folder.
        record: the beginning of its record's id.
        by: who had written it; None where there is one note only.

    Raises:
        UserError: there is no such note, there are several, or it cannot be removed.
    """
    chosen = []
    for path in finished(folder(results), "*.json"):
        one = _read(path) if path.name.startswith(record) else None
        if one is not None and by in (None, one.by):
            chosen.append((path, one))
    whose = "" if by is None else f" by {shown(by)}"
    if not chosen:
        raise UserError(f"no note on {shown(record)}{whose} in {folder(results)}")
    if len(chosen) > 1:
        told = "; ".join(each.told for _, each in chosen[:3])
        raise UserError(
            f"{len(chosen)} notes on {shown(record)}{whose} ({told}): give more of the id, and --by"
        )
    ((path, _),) = chosen
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror or error}") from error
    return path


def _read(path: Path) -> Note:
    """A note that nobody vouches for.

    Raises:
        DataError: it is damaged, or not the one that its name says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    one = read_part(str(path), content, Note, "restore the file, or delete it")
    if one.file != path.name:
        raise DataError(
            f"{path} was changed, its name should be {one.file}: write notes by `python -m"
            " benchmark contest`"
        )
    return one
