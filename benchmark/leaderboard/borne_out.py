"""Whether records say what their own predictions give, computed once of the same files.

Only the headline is compared, for it ranks; `rescore` compares every metric.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.common.wording import out_option
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.leaderboard.kept import Stat, stat
from benchmark.records import predictions
from benchmark.records.index import Head, Index
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.rescoring import TOLERANCE, Sheets, answered, question_of, split_of

# Verdicts that are noted at once: what an interrupted build does not have to do again.
_BATCH = 500


class _Verdict(NamedTuple):
    """What a record says that its predictions do not give, "" if nothing, and of which files.

    `content` is the digest of the record's file; `split` lies below the results.
    """

    content: str
    said: Stat
    split: str
    frozen: Stat
    fault: str


def contradicted(index: Index, results: Path, progress: Progress = silent) -> dict[str, str]:
    """By run id a sentence for each record whose headline is not what its predictions give.

    A record without predictions is not compared, nor is one whose predictions or split cannot be
    used, which its section tells, or whose headline needs maps of which nothing was kept.

    Args:
        index: of the records; what is found is noted there.
        results: the folder in which v1/predictions and v1/splits lie.
        progress: over the records of which nothing is noted.
    """
    faults: dict[str, str] = {}
    unknown: list[tuple[Head, Stat]] = []
    for head in index.heads:
        # Before anything is read: what changes meanwhile is found next time.
        said = stat(predictions.location(results, head.run_id))
        if said is None:
            continue
        known = _noted(index, results, head, said)
        if known is None:
            unknown.append((head, said))
        elif known.fault:
            faults[head.run_id] = known.fault
    # By question, which decides what they are compared with.
    unknown.sort(key=lambda each: each[0].part)
    found = _compared(index, results, progress(unknown, "comparing predictions", len(unknown)))
    while some := dict(islice(found, _BATCH)):
        index.note({_name(run): json.dumps(verdict) for run, verdict in some.items()})
        faults |= {run: verdict.fault for run, verdict in some.items() if verdict.fault}
    where = Store(results).folder
    option = out_option(results)
    return {
        run: f"{where / run}.json {faults[run]}: restore the file, or compute it anew with"
        f" `python -m benchmark rescore {run}{option}`"
        for run in sorted(faults)
    }


def _name(run_id: str) -> str:
    return f"borne out/{run_id}"


def _noted(index: Index, results: Path, head: Head, said: Stat) -> _Verdict | None:
    """What was found of the same files before."""
    noted = index.noted(_name(head.run_id))
    if not noted:
        return None
    content, was_said, split, frozen, fault = json.loads(noted)
    known = _Verdict(content, _stat(was_said), split, _stat(frozen), fault)
    now = known._replace(content=head.content, said=said, frozen=stat(results / split))
    return known if known == now else None


def _stat(noted: list[int] | None) -> Stat:
    return None if noted is None else (noted[0], noted[1])


def _compared(
    index: Index, results: Path, heads: Iterable[tuple[Head, Stat]]
) -> Iterator[tuple[str, _Verdict]]:
    sheets = Sheets(results)
    for head, said in heads:
        (record,) = index.records([head])
        try:
            split = split_of(results, question_of(record))
        except UserError:
            continue  # of another version, or of a task that was not loaded
        frozen = stat(split)
        fault = _fault(results, record, sheets)
        where = split.relative_to(results).as_posix()
        yield head.run_id, _Verdict(head.content, said, where, frozen, fault)


def _fault(results: Path, record: Record, sheets: Sheets) -> str:
    try:
        one = answered(results, record, sheets)
    except UserError:
        return ""
    given = one.sampled(np.ones((1, len(one.images)), np.int64)).get(record.headline)
    if given is None:
        return ""
    metric, computed = record.metrics.get(record.headline), float(given[0])
    told = np.nan if metric is None or metric.value is None else metric.value
    if np.isclose(told, computed, rtol=0, atol=TOLERANCE, equal_nan=True):
        return ""
    return f"says {record.headline} {_shown(told)} and its own predictions give {_shown(computed)}"


def _shown(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.7g}"
