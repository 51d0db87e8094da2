"""Runs that have no record: begun, and failed or never heard of again.

One JSON file each in `results`/v1/unfinished, gone when the run is done: a board that shows only
what went well is not honest.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.common.files import finished, write_json
from benchmark.errors import UserError, out_of_memory

_LONGEST_REASON = 300
# A published reason names nobody's folders: of a path its last part is kept.
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")


class Attempt(BaseModel):
    """A run that was begun, as far as it came.

    `ended` and `reason` are empty while it runs, and stay so when it is killed. `config` is the
    resolved `RunConfig`, paths by their last name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    benchmark_version: str
    run_id: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")
    task: str
    task_version: str
    dataset: str
    config: dict[str, object]
    started: str = Field(description="UTC, ISO 8601")
    ended: str = Field("", description="likewise")
    reason: str = Field("", description="why it ended, one line")

    @property
    def told(self) -> str:
        """Why there is no record, in words."""
        return self.reason or "killed, or still running: the same command continues it"


@dataclass(frozen=True)
class Unfinished:
    """The attempts without a record, newest first, and a sentence for each file that is damaged."""

    attempts: tuple[Attempt, ...]
    problems: tuple[str, ...]


def now() -> str:
    """The time as attempts and records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def noted(results: str | Path, attempt: Attempt) -> Iterator[None]:
    """Note an attempt while the body runs; on success the note goes, on failure it says why.

    Raises:
        UserError: the folder cannot be written before the body has begun.
    """
    path = note(results, attempt.run_id)
    write_json(path, attempt.model_dump(mode="json"))
    try:
        yield
    except BaseException as error:
        ended = attempt.model_copy(update={"ended": now(), "reason": _published(error)})
        # What went wrong matters more than that it cannot be noted.
        with suppress(UserError):
            write_json(path, ended.model_dump(mode="json"))
        raise
    forget(results, attempt.run_id)


def note(results: str | Path, run_id: str) -> Path:
    """Where the attempt of a run is noted."""
    return folder(results) / f"{run_id}.json"


def forget(results: str | Path, run_id: str) -> None:
    """Remove the note of a run that has its record.

    Raises:
        UserError: the folder cannot be written.
    """
    path = note(results, run_id)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be deleted: {error.strerror or error}") from error


def folder(results: str | Path) -> Path:
    """Where the notes lie."""
    return Path(results) / "v1" / "unfinished"


def without_record(results: str | Path) -> Unfinished:
    """Every attempt of a results folder whose run has no record."""
    found, problems = [], []
    for path in finished(folder(results), "*.json"):
        if (Path(results) / "v1" / "records" / path.name).is_file():
            continue
        try:
            attempt = Attempt.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            fault = error.strerror if isinstance(error, OSError) else "it is damaged"
            problems.append(f"{path} cannot be read ({fault}): delete it, or repeat the run")
            continue
        found.append(attempt)
    found.sort(key=lambda one: (one.started, one.run_id), reverse=True)
    return Unfinished(tuple(found), tuple(problems))


def reason_of(error: BaseException) -> str:
    """Why a run ended, in one line; of an error that is not the user's to mend with its kind."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted: the same command continues it"
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, UserError):
        return first
    kind = type(error).__name__
    if out_of_memory(error):
        return f"out of memory ({kind}): a smaller --image-size or a larger machine is needed"
    return f"{kind}: {first}"


def _published(error: BaseException) -> str:
    return _FOLDERS.sub("", reason_of(error))[:_LONGEST_REASON]
