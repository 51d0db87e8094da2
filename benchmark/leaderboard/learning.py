"""How a section's networks learned: what their validation images scored after each epoch.

Here are the lines of the plot, from the records; `learning_plot` draws them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from benchmark.common.wording import counted
from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, file_name
from benchmark.leaderboard.plot_style import Look, framework_look, question, row_labels
from benchmark.leaderboard.table import leading, section_id
from benchmark.metrics.names import title
from benchmark.records.record import Record
from benchmark.registry import TASKS

_READING = (
    "A line is the training of one network, its last stage where it had several; the further it"
    " still climbs at its end, the less can be said of where longer training would lead. These are"
    " scores of the validation images, by which the epoch was chosen, and not of the test images."
)


class Trace(NamedTuple):
    """One network's validation scores after its first epoch, its second and so on."""

    look: Look
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Learning:
    """The plot of a section: a panel for each architecture and method, a line for each network.

    Attributes:
        section: its id.
        plot: the picture, relative to the leaderboard.
        heading: the section's question, in words.
        metric: what is scored, in words.
        panels: by what its rows are called without their framework, best row first.
        missing: rows that have no scores of validation images.
    """

    section: str
    plot: str
    heading: str
    metric: str
    panels: tuple[tuple[str, tuple[Trace, ...]], ...]
    missing: int

    @property
    def title(self) -> str:
        """What is set against what."""
        return f"{self.metric} of the validation images by epoch"

    @property
    def reading(self) -> str:
        """How to read it."""
        if not self.missing:
            return _READING
        kept = "keeps its last epoch or was" if self.missing == 1 else "keep their last or were"
        return f"{_READING} {counted(self.missing, 'row')} without: {kept} not trained."

    @property
    def alt(self) -> str:
        """What the picture shows, for those who cannot see it."""
        ends = [trace.scores[-1] for _, traces in self.panels for trace in traces]
        return (
            f"{counted(len(self.panels), 'panel')} of lines: {self.title}."
            f" They end between {min(ends):.2f} and {max(ends):.2f}."
        )


def learning(section: pd.DataFrame, records: Mapping[str, Record]) -> Learning | None:
    """The plot of a section, of `table.sections`; None where no line would have two epochs.

    Args:
        section: its rows.
        records: those in the table, by run id.
    """
    rows = leading(section)
    if rows[COLUMNS.kind].iloc[0] != "run":
        return None
    panels: dict[str, list[Trace]] = {}
    missing = 0
    for label, (_, row) in zip(row_labels(rows), rows.iterrows(), strict=True):
        curves = list(_curves(records[run] for run in row[COLUMNS.run_ids].split()))
        missing += not curves
        if curves:
            look = framework_look(row)
            panels.setdefault(label, []).extend(Trace(look, scores) for scores in curves)
    if not any(len(trace.scores) > 1 for traces in panels.values() for trace in traces):
        return None
    first, own = rows.iloc[0], section_id(section)
    return Learning(
        section=own,
        plot=f"plots/{file_name(f'{first[COLUMNS.task]}-{first[COLUMNS.dataset]}')}-{own}-learning.png",
        heading=question(section),
        metric=_metric(str(first[COLUMNS.task])),
        panels=tuple((label, tuple(traces)) for label, traces in panels.items()),
        missing=missing,
    )


def _curves(records: Iterable[Record]) -> Iterable[tuple[float, ...]]:
    """Of each network of these runs the last stage that validation images scored."""
    for record in records:
        for trial in record.trials:
            scored = [
                tuple(epoch.validation for epoch in stage.learning if epoch.validation is not None)
                for stage in trial.stages
            ]
            yield from [scores for scores in scored if scores][-1:]


def _metric(task: str) -> str:
    try:
        return title(TASKS.get(task).selected_by)
    except UserError:  # of a plugin that is not here
        return "score"
