"""Floors and ceilings of the records as rows of the table. They are never ranked."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmark.leaderboard.columns import COLUMNS, estimate, over_seeds, protocol, score, size
from benchmark.metrics.statistics import Estimate
from benchmark.records.record import UNTRAINED, Baseline, Metric, Record, text

# Room for the round-off of different machines (ours); a score made otherwise differs by more.
_TOLERANCE = 1e-4

# Averaged over the images that a run's own network diagnosed correctly, so these may differ.
OF_CORRECT_IMAGES = ("dermxdb_2023_", "correct_only_")


def baseline_rows(records: Iterable[Record]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows of all floors and ceilings, and a sentence for each that the records dispute.

    A baseline that ignores the network is the same in every record of a section and becomes one
    row. Where records disagree in one of its scores it is left out, because one of them was scored
    otherwise; only the scores of a network's correctly diagnosed images may differ, and are missing
    in the row when they do. An untrained network becomes a row per architecture, framework and
    image size, the mean over its seeds; of two records of one seed the newer counts.

    Returns:
        Rows for `columns.add_rows`: ceilings and floors by headline, best first.
    """
    found: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.created, r.run_id)):
        for name in record.baselines:
            found[protocol(record)[COLUMNS.section], *_which(record, name)].append(record)
    rows, problems = [], []
    for (_, name, *network), users in found.items():
        if network:
            rows.append(_untrained(users))
            continue
        disputed = _disputed(name, users)
        if disputed:
            problems.append(disputed)
        else:
            rows.append(_shared(name, users))
    return sorted(rows, key=_best_first), tuple(sorted(problems))


def _which(record: Record, name: str) -> tuple[str, ...]:
    """What tells one baseline of a section from another."""
    if name != UNTRAINED:
        return (name,)
    config = record.config
    network = (text(config.get(key)) for key in ("arch", "framework"))
    return (name, *network, _size(record))


def _size(record: Record) -> str:
    return size(record.config.get("image_size"))


def _best_first(row: dict[str, Any]) -> tuple[float, str]:
    value = row.get(row[COLUMNS.headline], np.nan)
    return (np.inf if np.isnan(value) else -value, row[COLUMNS.name])


def _disputed(name: str, records: Sequence[Record]) -> str:
    """Which records say what of a score on which they should agree; empty if they do."""
    if len({id(record.baselines[name]) for record in records}) == 1:
        return ""  # equal ones are one object where the index read them
    kinds = _groups([(record, _kind(record, name)) for record in records])
    if len(kinds) > 1:
        return _fault(name, "kind", records, kinds)
    metrics = sorted({m for r in records for m in r.baselines[name].metrics})
    for metric in metrics:
        if metric.startswith(OF_CORRECT_IMAGES):
            continue
        values = _groups(
            [(r, _numbers(b.metrics[metric])) for r, b in _having(name, metric, records)]
        )
        if len(values) > 1:
            return _fault(name, metric, records, values)
    return ""


def _fault(
    name: str, what: str, records: Sequence[Record], groups: list[tuple[str, list[Record]]]
) -> str:
    told = "; ".join(f"{value} in {', '.join(r.run_id for r in runs)}" for value, runs in groups)
    first = records[0]
    return (
        f"{_kind(first, name)} {name!r} of {first.task} on {first.data.name}, which the network"
        f" cannot change, has {what} {told}: repeat the runs of the older DermBench, or delete"
        " their records"
    )


def _groups(said: Sequence[tuple[Record, Any]]) -> list[tuple[str, list[Record]]]:
    """The records by what they say, numbers equal within the tolerance."""
    groups: list[tuple[Any, list[Record]]] = []
    for record, value in said:
        for known, members in groups:
            if known == value or _close(known, value):
                members.append(record)
                break
        else:
            groups.append((value, [record]))
    return [(_told(value), members) for value, members in groups]


def _close(one: Any, other: Any) -> bool:
    return not isinstance(one, str) and all(map(_near, one, other))


def _near(one: float, other: float) -> bool:
    # Not numpy: of a few numbers at a time it takes most of a build of many records.
    return one == other or abs(one - other) <= _TOLERANCE or (one != one and other != other)


def _told(value: Any) -> str:
    """A kind, or a score with what else of it could differ."""
    if isinstance(value, str):
        return value
    number, low, high, n, _ = value
    return f"{number:.6f} [{low:.6f}, {high:.6f}] of {n:.0f} images"


def _numbers(metric: Metric) -> tuple[float, ...]:
    found = estimate(metric)
    return found.value, found.low, found.high, found.n, found.groups


def _kind(record: Record, name: str) -> str:
    return record.baselines[name].kind


def _having(name: str, metric: str, records: Sequence[Record]) -> list[tuple[Record, Baseline]]:
    return [(r, r.baselines[name]) for r in records if metric in r.baselines[name].metrics]


def _shared(name: str, records: Sequence[Record]) -> dict[str, Any]:
    """The row of a baseline on which the records agree."""
    scores = {}
    for metric in sorted({m for r in records for m in r.baselines[name].metrics}):
        having = {id(b): b.metrics[metric] for _, b in _having(name, metric, records)}
        said = list(having.values())
        if all(_close(_numbers(said[0]), _numbers(each)) for each in said):
            scores[metric] = estimate(said[0])
    return _row(records[-1], name, name, scores)


def _untrained(records: Sequence[Record]) -> dict[str, Any]:
    """The row of one architecture's untrained network, records from old to new."""
    by_seed = {text(r.config.get("seed")): r for r in records}
    seeds = sorted(by_seed, key=lambda seed: (len(seed), seed))
    metrics = {m for r in by_seed.values() for m in r.baselines[UNTRAINED].metrics}
    scores = {
        metric: over_seeds(
            metric,
            [estimate(by_seed[s].baselines[UNTRAINED].metrics.get(metric)) for s in seeds],
        )
        for metric in sorted(metrics)
    }
    newest = records[-1]
    arch, framework = (text(newest.config.get(key)) for key in ("arch", "framework"))
    return _row(newest, UNTRAINED, f"untrained {arch} ({framework})", scores) | {
        COLUMNS.arch: arch,
        COLUMNS.framework: framework,
        COLUMNS.image_size: _size(newest),
        COLUMNS.seeds: " ".join(seeds),
        COLUMNS.n_seeds: len(seeds),
    }


def _row(record: Record, name: str, called: str, scores: dict[str, Estimate]) -> dict[str, Any]:
    own = (
        *(COLUMNS.section, COLUMNS.task, COLUMNS.task_version, COLUMNS.data),
        *(COLUMNS.leaks, COLUMNS.question, COLUMNS.split, COLUMNS.headline),
    )
    values = protocol(record)
    row: dict[str, Any] = {column: values[column] for column in own}
    row |= {
        COLUMNS.dataset: record.data.name,
        COLUMNS.kind: _kind(record, name),
        COLUMNS.name: called,
    }
    if record.headline in scores:
        row[COLUMNS.n_images] = scores[record.headline].n
        row[COLUMNS.n_groups] = scores[record.headline].groups
    for metric, found in scores.items():
        row |= score(metric, found)
    return row
