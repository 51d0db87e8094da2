"""What a reader must know of single rows of a section, in sentences below its table."""

import numpy as np
import pandas as pd

from architectures import catalogue
from benchmark.leaderboard.columns import COLUMNS, metric_columns
from benchmark.metrics.names import OF_DISEASE, title

_AUC = "macro_auc"
_SENSITIVITY, _SPECIFICITY = "macro_sensitivity", "macro_specificity"


def remarks(table: pd.DataFrame) -> dict[str, list[str]]:
    """By section, what is said of rows that may have learned nothing and of networks from outside.

    Args:
        table: of `build_table`.
    """
    found = {
        str(section): [*_at_chance(rows), *_one_class(rows), *_outside(rows)]
        for section, rows in table.groupby(COLUMNS.section, sort=False)
    }
    return {section: told for section, told in found.items() if told}


def _at_chance(rows: pd.DataFrame) -> list[str]:
    """Macro AUC is 0.5 of a network that does not look at the image, however rare the classes."""
    return [
        f"Not shown to be better than chance, as the interval of their {title(metric)} reaches 0.5:"
        f" {', '.join(_name(row, rows) for _, row in at_chance.iterrows())}."
        for metric in _variants(_AUC, rows)
        if len(at_chance := rows[rows[metric_columns(metric)[1]] <= 0.5])
    ]


def _one_class(rows: pd.DataFrame) -> list[str]:
    """Of K classes such a call has a sensitivity of 1 / K and a specificity of (K - 1) / K.

    Whichever images are drawn: the intervals have no width.
    """
    told = []
    for sensitivity in _variants(_SENSITIVITY, rows):
        disease = sensitivity.removeprefix(_SENSITIVITY)
        specificity = f"{_SPECIFICITY}{disease}"
        if specificity not in rows:
            continue
        low, high = (rows[column] for column in metric_columns(sensitivity)[1:])
        same = np.isclose(low, high) & np.isclose(rows[sensitivity] + rows[specificity], 1)
        if same.any():
            of = f" of {disease.removeprefix(OF_DISEASE)}" if disease else ""
            names = ", ".join(_name(row, rows) for _, row in rows[same].iterrows())
            told.append(
                f"Call every image the same{of}: {names}. Metrics of probabilities, such as AUC,"
                " may still tell images apart; those of the called class tell nothing."
            )
    return told


def _variants(metric: str, rows: pd.DataFrame) -> list[str]:
    """Columns of a metric that have an interval: itself, or one for each disease."""
    return [
        column
        for column in rows.columns
        if (column == metric or column.startswith(f"{metric}{OF_DISEASE}"))
        and metric_columns(column)[1] in rows
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
