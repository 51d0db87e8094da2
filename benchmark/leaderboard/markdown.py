"""Text, scores and tables in Markdown, safe whatever the text holds."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd
from tabulate import tabulate

from benchmark.common.wording import counted, plain

# Whatever can begin markup in GitHub's Markdown, inside a table cell or a heading.
_MARKUP = re.compile(r"([\\`*_\[\]<>|&#~$!])")


def escape(text: str) -> str:
    """Text that shows in Markdown as it is: no markup, no line break, no control character."""
    return _MARKUP.sub(r"\\\1", plain(text))


def cell(value: float, low: float, high: float) -> str:
    """A score with its interval, such as "0.873 [0.851, 0.894]"; "-" where it is missing."""
    if pd.isna(value):
        return "-"
    if pd.isna(low) or pd.isna(high):
        return f"{value:.3f}"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def grid(columns: Mapping[str, Sequence[str]]) -> str:
    """A table from its columns by heading; all of it is Markdown already."""
    return tabulate(columns, headers="keys", tablefmt="github", disable_numparse=True)


def shared(values: Mapping[str, str]) -> str:
    """A sentence on what is the same in every row, " " before it; "" without any."""
    told = ", ".join(f"{name} {value}" for name, value in values.items())
    return f" The same in every row: {told}." if told else ""


def more(rows: int) -> list[str]:
    """A sentence on the rows that are not shown, if there are any."""
    return [f"{counted(f'{rows:,}', 'more row')} in `table.csv`."] if rows else []
