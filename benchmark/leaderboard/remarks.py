"""What a reader must know of single rows of a section, in sentences below its table."""

import pandas as pd

from architectures import catalogue
from benchmark.leaderboard.columns import COLUMNS, OF_DISEASE, metric_columns
from benchmark.leaderboard.table import title

_AUC = "macro_auc"


def remarks(table: pd.DataFrame) -> dict[str, list[str]]:
    """By section, what is said of rows that may have learned nothing and of networks from outside.

    Args:
        table: of `build_table`.
    """
    found = {
        str(section): [*_at_chance(rows), *_outside(rows)]
        for section, rows in table.groupby(COLUMNS.section, sort=False)
    }
    return {section: told for section, told in found.items() if told}


def _at_chance(rows: pd.DataFrame) -> list[str]:
    """Macro AUC is 0.5 of a network that does not look at the image, however rare the classes."""
    metrics = [
        c
        for c in rows.columns
        if (c == _AUC or c.startswith(f"{_AUC}{OF_DISEASE}")) and metric_columns(c)[1] in rows
    ]
    return [
        f"Not shown to be better than chance, as the interval of their {title(metric)} reaches 0.5:"
        f" {', '.join(_name(row, rows) for _, row in at_chance.iterrows())}."
        for metric in metrics
        if len(at_chance := rows[rows[metric_columns(metric)[1]] <= 0.5])
    ]


def _outside(rows: pd.DataFrame) -> list[str]:
    # By name: whoever builds the board need not have the plugin of every network. What a submission
    # calls its network may be anything.
    ours = rows[(rows[COLUMNS.kind] == "run") & (rows[COLUMNS.submitted] != "yes")]
    names = [arch for arch in dict.fromkeys(ours[COLUMNS.arch]) if arch not in catalogue.names()]
    if not names:
        return []
    return [
        f"Outside the eleven: {', '.join(names)}. Such a network has no counterpart in the other"
        " framework that is the same function."
    ]


def _name(row: pd.Series, rows: pd.DataFrame) -> str:
    varying = [c for c in (COLUMNS.method, COLUMNS.framework) if rows[c].nunique() > 1]
    return " ".join([row[COLUMNS.arch], *(f"({row[column]})" for column in varying)])
