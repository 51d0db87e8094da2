"""What a record tells of its training, as tables of its page."""

from typing import Any

from benchmark.leaderboard.site.grid import Cell, Column, Table, count, table
from benchmark.records.record import Record


def stages(record: Record) -> Table | None:
    """A row for each stage of each trial; None where nothing was trained."""
    rows = [(trial.name, stage) for trial in record.trials for stage in trial.stages]
    if not rows:
        return None
    columns: list[Column[Any]] = [
        Column("trial", lambda row: Cell(row[0])),
        Column("stage", lambda row: Cell(row[1].stage), names=True),
        Column("epochs", lambda row: count(row[1].epochs), number=True),
        Column("best epoch", lambda row: count(row[1].best_epoch), number=True),
        Column("selected by", lambda row: Cell(row[1].selected_by)),
        Column("validation", _selection, number=True),
        Column("images/s", lambda row: Cell(f"{row[1].images_per_second:.1f}"), number=True),
        Column("seconds", lambda row: Cell(f"{row[1].seconds:,.0f}"), number=True),
    ]
    if any(stage.chosen for _, stage in rows):
        columns.append(Column("chosen", lambda row: Cell(row[1].chosen)))
    return table("stages", "Stages of training", columns, [("run", rows)])[0]


def _selection(row: Any) -> Cell:
    return _validation(row[1].selection_score)


def _validation(score: float | None) -> Cell:
    return Cell("-" if score is None else f"{score:.3f}")


def epochs(record: Record) -> Table | None:
    """A row for each epoch; None of older records and where nothing was trained."""
    rows = [
        (trial.name, stage.stage, number, epoch)
        for trial in record.trials
        for stage in trial.stages
        for number, epoch in enumerate(stage.learning, 1)
    ]
    if not rows:
        return None
    columns: list[Column[Any]] = [
        Column("trial", lambda row: Cell(row[0])),
        Column("stage", lambda row: Cell(row[1])),
        Column("epoch", lambda row: count(row[2]), number=True, names=True),
        Column("loss", lambda row: Cell(f"{row[3].loss:.3f}"), number=True),
        Column("validation", lambda row: _validation(row[3].validation), number=True),
    ]
    return table("epochs", "Each epoch", columns, [("run", rows)])[0]
