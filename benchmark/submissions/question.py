"""Which of the board's questions a bundle answers: told by our records, never by the bundle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, unknown_name
from benchmark.records.record import Record
from benchmark.registry import TASKS
from benchmark.rescoring import Question, Sheet, question_of, sheet_of
from benchmark.submissions.columns import check_classes
from benchmark.submissions.faults import BundleError, shown
from benchmark.submissions.manifest import Asked, TrialAsked

_ANEW = "make the bundle anew with `submit --like` and a run of these results"
_ELSEWHERE = f"name the folder of its records with --results, or {_ANEW}"


@dataclass(frozen=True)
class Matched:
    """A question of ours that a bundle answers.

    `records` were asked the same; `related` were run on the same data, they among them.
    """

    question: Question
    sheet: Sheet
    records: tuple[Record, ...]
    related: tuple[Record, ...]


def classes_of(sheet: Sheet, trial: str) -> tuple[str, ...]:
    """The classes of a trial, in order."""
    return sheet.task.of_trial(sheet.dataset, trial).classes


def asked_of(question: Question, sheet: Sheet, endings: Sequence[str], maps: bool = False) -> Asked:
    """A question as a manifest has it.

    Args:
        question: which.
        sheet: what it comes to.
        endings: of the predictions' files, trial by trial.
        maps: whether each trial has a file of maps, too.
    """
    trials = tuple(
        TrialAsked(
            name=trial.name,
            split=trial.fingerprint,
            classes=classes_of(sheet, trial.name),
            file=f"predictions-{number}{ending}",
            maps=f"maps-{number}.npz" if maps else None,
        )
        for number, (trial, ending) in enumerate(zip(sheet.trials, endings, strict=True), 1)
    )
    return Asked(
        task=question.task,
        version=question.version,
        options=dict(question.options),
        seed=question.seed,
        dataset=question.data.name,
        data=question.data.fingerprint,
        trials=trials,
    )


def matched(where: str, results: str | Path, asked: Asked, records: Sequence[Record]) -> Matched:
    """The question of our records that a manifest names.

    Args:
        where: the manifest, for sentences.
        results: the folder with the splits.
        asked: by the manifest.
        records: ours, of any question.

    Raises:
        BundleError: no record was asked that; tells the first thing in which they differ.
        UserError: our own split is missing or damaged.
    """
    _check_task(where, asked)
    same_task = [
        record
        for record in records
        if (record.task, record.task_version) == (asked.task, asked.version)
    ]
    related = _alike(where, same_task, "data set", asked.dataset, lambda one: one.data.name)
    related = _alike(where, related, "data fingerprint", asked.data, lambda o: o.data.fingerprint)
    # Records with settings of another version have a question that is not known here.
    questions = [(record, found) for record in related if (found := _question(record))]
    questions = _alike(where, questions, "options", asked.options, lambda o: dict(o[1].options))
    questions = _alike(where, questions, "seed", asked.seed, lambda one: one[1].seed)
    trials = [one.name for one in asked.trials]
    questions = _alike(where, questions, "trials", trials, lambda one: list(one[1].splits))
    for trial in asked.trials:
        name = f"trial {shown(trial.name)}: split"
        questions = _alike(where, questions, name, trial.split, _split_of(trial.name))
    question = questions[0][1]
    sheet = sheet_of(results, question)
    for trial in asked.trials:
        told = f"{where}, trial {shown(trial.name)}"
        check_classes(told, trial.classes, classes_of(sheet, trial.name))
    return Matched(question, sheet, tuple(record for record, _ in questions), tuple(related))


def _check_task(where: str, asked: Asked) -> None:
    if asked.task not in TASKS.names():
        told = unknown_name("task", asked.task, TASKS.names())
        raise BundleError(where, str(told), _ANEW)
    if not TASKS.get(asked.task).maps and any(trial.maps for trial in asked.trials):
        raise BundleError(
            where, f"task {asked.task} scores no maps", "leave them out of the bundle"
        )
    version = TASKS.get(asked.task).version
    if asked.version != version:
        raise BundleError(
            where,
            f"task {asked.task} has version {shown(asked.version)}, here it has {version!r}",
            "predict anew for the split of this version",
        )


def _split_of(trial: str) -> Callable[[tuple[Record, Question]], str]:
    return lambda one: one[1].splits[trial]


def _question(record: Record) -> Question | None:
    try:
        return question_of(record)
    except UserError:
        return None


def _alike(
    where: str, candidates: Sequence[Any], name: str, value: Any, part: Callable[[Any], Any]
) -> list[Any]:
    """The candidates that have the value there."""
    found = [one for one in candidates if part(one) == value]
    if not found:
        ours = list(dict.fromkeys(shown(part(one)) for one in candidates))
        told = f"they have {', '.join(ours[:3])}" if ours else "there is none of this task"
        raise BundleError(where, f"{name} {shown(value)} fits no record here ({told})", _ELSEWHERE)
    return found
