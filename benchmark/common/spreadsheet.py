"""Text that others chose, made harmless for programs that run what looks like a formula."""

import re

import pandas as pd
from pandas.api.types import is_numeric_dtype

# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, the full-width
# forms included; white space before it does not stop them. A lone "-" is our sign for "nothing".
_FORMULA = re.compile(r"[\t\r]|\s*[=+\-@＝＋－＠](?!\Z)")  # noqa: RUF001


def no_formula(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would run it."""
    return f"'{text}" if _FORMULA.match(text) else text


def no_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with every text made harmless, headings too; columns of numbers are untouched."""
    return pd.DataFrame(
        {
            no_formula(str(name)): column if is_numeric_dtype(column) else column.map(_cell)
            for name, column in table.items()
        }
    )


def _cell(value: object) -> object:
    return no_formula(value) if isinstance(value, str) else value
