"""What predictions tell of rows, computed again only where what it is computed from has changed.

It is by far the slowest thing to compute of a row: its score in each resample of the test images.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from benchmark.data.pixels import Progress, silent
from benchmark.leaderboard.columns import digest, frame
from benchmark.leaderboard.common import add_common
from benchmark.leaderboard.kept import stat
from benchmark.leaderboard.standing import add_standing
from benchmark.records import predictions, splits
from benchmark.records.index import Index
from benchmark.records.record import Record


def remembered_standing(
    index: Index,
    table: pd.DataFrame,
    records: Sequence[Record],
    results: Path,
    progress: Progress = silent,
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """`standing.add_standing` and `common.add_common`, or what they gave for the same files.

    Args:
        index: where it is noted.
        table: of `build_table`, of one part.
        records: those in the table.
        results: the folder in which v1/predictions and v1/splits lie.
        progress: over the sections.

    Returns:
        The table, and by section the sentences of both.
    """
    first = records[0]
    name = "standing/" + digest([first.task, first.task_version, first.data.fingerprint])
    # Before anything is read: what changes meanwhile is found next time.
    made_of = _made_of(index, table, records, results)
    noted = index.noted(name)
    if noted:
        was, columns, notes = json.loads(noted)
        if was == made_of:
            rows = pd.DataFrame(columns, dtype=object).to_dict("records")
            before = table.to_dict("records")
            # Without a column there are no rows to add.
            rows = rows or [{}] * len(before)
            return frame([b | r for b, r in zip(before, rows, strict=True)]), notes
    found, common = add_common(table, records, results)
    found, standing = add_standing(found, records, results, progress)
    told = {*standing, *common}
    notes = {s: [each[s] for each in (standing, common) if s in each] for s in told}
    new = [c for c in found if c not in table or not found[c].equals(table[c])]
    # Text has no missing values; what is missing of numbers is null.
    columns = {c: found[c].astype(object).where(found[c].notna(), None).tolist() for c in new}
    index.note({name: json.dumps([made_of, columns, notes])})
    return found, notes


def _made_of(index: Index, table: pd.DataFrame, records: Iterable[Record], results: Path) -> str:
    """Digest of all that a standing is computed from but the code."""
    said = [
        (r.run_id, index.content(r.run_id), stat(predictions.location(results, r.run_id)))
        for r in records
    ]
    data = {(r.data.name, r.data.fingerprint) for r in records}
    frozen = sorted(p for each in data for p in splits.folder(results, *each).glob("*"))
    files = [(p.relative_to(results).as_posix(), stat(p)) for p in frozen]
    told = repr((table.to_csv(index=False), said, files))
    return hashlib.sha256(told.encode()).hexdigest()
