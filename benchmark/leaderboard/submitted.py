"""Submissions beside the runs that were asked the same, against which they are not ranked."""

import pandas as pd

from benchmark.leaderboard.columns import COLUMNS, PROTOCOL, metric_columns, smaller_is_better
from benchmark.leaderboard.markdown import cell
from benchmark.leaderboard.table import pretraining
from benchmark.metrics.names import title

# What the rows of a question may differ in and are ranked apart by.
_KNOWLEDGE = (COLUMNS.weights, COLUMNS.pretrained_on, COLUMNS.explainer, COLUMNS.leaks)
_QUESTION = [column for column in PROTOCOL if column not in _KNOWLEDGE]


def leader(rows: pd.DataFrame) -> pd.Series | None:
    """The row with the best headline, of rows that have one headline; None without any score."""
    headline = rows[COLUMNS.headline].iloc[0]
    scored = rows[rows[headline].notna()].reset_index(drop=True)
    if scored.empty:
        return None
    scores = scored[headline]
    return scored.loc[scores.idxmin() if smaller_is_better(headline) else scores.idxmax()]


def best_runs(table: pd.DataFrame) -> dict[str, str]:
    """By section of submissions, a sentence on the best run of their question, where there is one.

    Args:
        table: of `build_table`.
    """
    sent = table[table[COLUMNS.submitted] == "yes"]
    runs = table[table[COLUMNS.submitted] != "yes"].set_index(_QUESTION, drop=False)
    found = {}
    for section, rows in sent.groupby(COLUMNS.section, sort=False):
        asked = tuple(rows[_QUESTION].iloc[0])
        best = leader(runs.loc[[asked]]) if asked in runs.index else None
        if best is not None:
            found[str(section)] = _told(best)
    return found


def _told(best: pd.Series) -> str:
    headline = best[COLUMNS.headline]
    who = ", ".join(best[c] for c in (COLUMNS.arch, COLUMNS.framework, COLUMNS.method))
    return (
        f"The best run of this question, by {title(headline)}:"
        f" {cell(*(best[column] for column in metric_columns(headline)))}, {who}"
        f" ({pretraining(best.to_frame().T)}), {best[COLUMNS.run_ids].replace(' ', ', ')}."
        " The command compare sets a submission beside it, with a test."
    )
