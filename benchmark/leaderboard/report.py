"""The table as Markdown, one section per protocol and data set."""

import re
from collections.abc import Mapping

import pandas as pd
from tabulate import tabulate

from benchmark.leaderboard.table import (
    COLUMNS,
    metric_columns,
    plain,
    pretraining,
    section_id,
    sections,
    shown_metrics,
    title,
    varying_settings,
)

# What a reader must know to compare rows whose weights have several sources.
_CAVEATS = {
    "timm": " These are timm's own networks, pre-trained by recipes that differ: see weights.",
    "file": " How the files were trained, and on which images, is not known here.",
}

# Whatever can begin markup in GitHub's Markdown, inside a table cell or a heading.
_MARKUP = re.compile(r"([\\`*_\[\]<>|&#~$!])")


def markdown(table: pd.DataFrame, plots: Mapping[str, str]) -> str:
    """The leaderboard as one Markdown document. The same table gives the same text.

    Args:
        table: from `build_table`, with at least one row.
        plots: `section_id` to the path of its plot, relative to the document, for every section.
    """
    parts = [
        "# DermBench leaderboard",
        *(_section(s, plots) for s in sections(table)),
        _notes(table),
    ]
    return "\n\n".join(parts) + "\n"


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


def _section(section: pd.DataFrame, plots: Mapping[str, str]) -> str:
    first = section.iloc[0]
    names = escape(" / ".join(sorted(section[COLUMNS.dataset].unique())))
    task, version = escape(first[COLUMNS.task]), escape(first[COLUMNS.task_version])
    told, shared = _told(section)
    common = ", ".join(f"{name} {value}" for name, value in shared.items())
    about = (
        f"Ranked by **{escape(title(first[COLUMNS.headline]))}**. Data"
        f" `{first[COLUMNS.data][:8]}`, split `{first[COLUMNS.split][:8]}`."
        + (f" The same in every row: {common}." if common else "")
        + _CAVEATS.get(first[COLUMNS.weights], "")
    )
    picture = plots[section_id(section)]
    table = tabulate(told, headers="keys", tablefmt="github", disable_numparse=True)
    heading = f"## {task} (version {version}) on {names}, {escape(pretraining(section))}"
    return "\n\n".join([heading, about, f"![{task} on {names}]({picture})", table])


def _told(section: pd.DataFrame) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The table's columns, and what need not be a column because it is the same in every row."""
    ranks = ["-" if pd.isna(rank) else str(rank) for rank in section[COLUMNS.rank]]
    columns = {
        "rank": ranks,
        "architecture": _texts(section, COLUMNS.arch),
        "framework": _texts(section, COLUMNS.framework),
    }
    shared = {}
    for name, texts in {
        "method": _texts(section, COLUMNS.method),
        "weights": _texts(section, COLUMNS.weights_source),
        "image size": _texts(section, COLUMNS.image_size),
        "budget": _texts(section, COLUMNS.budget),
        "epochs": _texts(section, COLUMNS.epochs),
        "settings": [escape(text) for text in varying_settings(section)],
        "images": _texts(section, COLUMNS.n_images),
        "groups": _texts(section, COLUMNS.n_groups),
        "seeds": _texts(section, COLUMNS.n_seeds),
    }.items():
        if len(set(texts)) > 1:
            columns[name] = texts
        elif texts[0]:
            shared[name] = texts[0]
    for metric in shown_metrics(section):
        values = section[list(metric_columns(metric))].itertuples(index=False)
        columns[escape(title(metric))] = [cell(*each) for each in values]
    return columns, shared


def _texts(section: pd.DataFrame, column: str) -> list[str]:
    return [escape(str(value)) for value in section[column]]


def _notes(table: pd.DataFrame) -> str:
    dates = sorted(table[COLUMNS.created])
    runs = table[COLUMNS.n_seeds].sum()
    versions = sorted({v for text in table[COLUMNS.benchmark_versions] for v in text.split()})
    return "\n".join(
        [
            "## How to read this",
            "",
            "- Brackets hold the 95 % interval: bootstrap over groups (lesions or patients) of the"
            " test images. With several seeds the score is their mean and the interval also holds"
            " the spread over seeds; with one seed it does not.",
            "- Rows are ranked only against rows of the same task version, data, split and"
            " pre-training. Rows whose intervals overlap widely are not separated by these data.",
            '- "-" is a score that is missing or undefined; it is never averaged.',
            f"- {runs} runs, the newest of each row from {escape(dates[0][:10])} to"
            f" {escape(dates[-1][:10])}, by DermBench {escape(', '.join(versions))}. Written by"
            " `python -m benchmark leaderboard`; every number and more are in `table.csv`.",
        ]
    )
