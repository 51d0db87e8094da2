"""The table as Markdown, one section per protocol and data set."""

from collections.abc import Iterator, Sequence
from itertools import compress

import pandas as pd

from benchmark.common.wording import counted
from benchmark.leaderboard import unfinished
from benchmark.leaderboard.columns import (
    COLUMNS,
    COMMON,
    against_best,
    metric_columns,
    milliseconds,
)
from benchmark.leaderboard.contested import Note
from benchmark.leaderboard.markdown import cell, escape, grid, more, shared
from benchmark.leaderboard.marks import footnotes, mark, numbers
from benchmark.leaderboard.part import Part, Summary
from benchmark.leaderboard.published import figure_told, publication_of
from benchmark.leaderboard.report_joined import below_section, curve_section
from benchmark.leaderboard.shown import shown_metrics
from benchmark.leaderboard.table import (
    conditions,
    heading,
    leading,
    section_id,
    sections,
    varying_settings,
)
from benchmark.metrics.names import title
from benchmark.records.attempts import Attempt
from benchmark.records.record import UNVERIFIED

_SUBMITTED = (
    " These predictions were made elsewhere and submitted; the scores were computed here from them."
    " What their networks learned from is what the authors say, so they are ranked among themselves"
    " and not against runs."
)
# What a reader must know to compare rows whose weights have several sources.
CAVEATS = {
    "timm": " These are timm's own networks, pre-trained by recipes that differ: see weights.",
    "file": " How the files were trained, and on which images, is not known here.",
    **dict.fromkeys(UNVERIFIED, _SUBMITTED),
}

_LEAKS = "**Not to be compared with other sections**, because leaks reward memory."
TITLE = "# DermBench leaderboard\n\n"


def markdown_sections(part: Part, most: int) -> Iterator[str]:
    """The page's sections of one part of the board, between `TITLE` and `closing`.

    The same part gives the same text. A section shows at most `most` rows of one kind.
    """
    for section in sections(part.table):
        own = section_id(section)
        for curve in part.curves:
            if curve.section == own:
                yield f"{curve_section(curve, most)}\n\n"
        told = [_footnote(*each) for each in footnotes(section, part.contested)]
        told += map(escape, part.notes.get(own, ()))
        told += map(below_section, part.below.get(own, ()))
        yield f"{_section(section, part.plots[own], told, part.leaks.get(own, ()), most)}\n\n"


def _unfinished(attempts: Sequence[Attempt]) -> str:
    shown = attempts[: unfinished.MOST_ROWS]
    columns = {
        name: [escape(tell(each)) for each in shown] for name, tell in unfinished.COLUMNS.items()
    }
    return "\n\n".join([f"## {unfinished.TITLE}", unfinished.about(attempts), grid(columns)])


def _footnote(number: int, note: Note) -> str:
    # A link of a note holds no sign that could end it.
    return f"Note {number}: {escape(note.told)}{f' <{note.link}>' if note.link else ''}"


def _section(
    section: pd.DataFrame, picture: str, notes: Sequence[str], leaks: Sequence[str], most: int
) -> str:
    reported = section[section[COLUMNS.kind] == "reported"]
    if len(reported) == len(section):
        name = f"Reported: {escape(publication_of(reported).title)}"
        parts = [f"## {name}", f"![{name}]({picture})", *_reported(reported), *notes]
        return "\n\n".join(parts)
    runs = leading(section)
    first = runs.iloc[0]
    names = escape(" / ".join(sorted(runs[COLUMNS.dataset].unique())))
    task, version = escape(first[COLUMNS.task]), escape(first[COLUMNS.task_version])
    ours = section[section[COLUMNS.kind] != "reported"]
    told, alike = _told(ours)
    shown = (ours.groupby(COLUMNS.kind).cumcount() < most).tolist()
    told = {name: list(compress(texts, shown)) for name, texts in told.items()}
    about = (
        f"Ranked by **{escape(title(first[COLUMNS.headline]))}**. Data"
        f" `{first[COLUMNS.data][:8]}`, split `{first[COLUMNS.split][:8]}`."
        + shared(alike)
        + CAVEATS.get(first[COLUMNS.weights], "")
    )
    parts = [
        f"## {task} (version {version}) on {names}, {escape(conditions(runs))}",
        *([" ".join([_LEAKS, *map(escape, leaks)])] if leaks else []),
        about,
        f"![{task} on {names}]({picture})",
        grid(told),
        *more(shown.count(False)),
        *notes,
    ]
    if len(reported):
        name = f"Reported elsewhere: {escape(publication_of(reported).title)}"
        parts += [f"### {name}", *_reported(reported)]
    return "\n\n".join(parts)


def _told(section: pd.DataFrame) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The columns of runs, floors and ceilings, and what is the same in every row instead."""
    is_run = (section[COLUMNS.kind] == "run").tolist()
    columns = {
        "rank": _ranks(section),
        "architecture": _marked(section),
        "framework": _texts(section, COLUMNS.framework),
    }
    if (section[COLUMNS.tied] != "").any():
        columns["against the best"] = [
            escape(against_best(row)) or ("-" if run else "")
            for (_, row), run in zip(section.iterrows(), is_run, strict=True)
        ]
    names = zip(section[COLUMNS.kind], section[COLUMNS.name], is_run, strict=True)
    for at, (kind, name, run) in enumerate(names):
        if not run:
            columns["rank"][at] = f"*{kind}*"
            columns["architecture"][at] = f"*{escape(name)}*"
            columns["framework"][at] = ""
    settings = iter(varying_settings(section[is_run]))
    shared = {}
    for name, texts in {
        "method": _texts(section, COLUMNS.method),
        "weights": _texts(section, COLUMNS.weights_source),
        "image size": _texts(section, COLUMNS.image_size),
        "budget": _texts(section, COLUMNS.budget),
        "epochs": _texts(section, COLUMNS.epochs),
        "settings": [escape(next(settings)) if run else "" for run in is_run],
        "images": _texts(section, COLUMNS.n_images),
        "groups": _texts(section, COLUMNS.n_groups),
        "seeds": _texts(section, COLUMNS.n_seeds),
    }.items():
        # Floors and ceilings leave open what they do not have.
        differing = {each for each, run in zip(texts, is_run, strict=True) if run or each}
        if len(differing) > 1:
            columns[name] = texts
        elif not differing <= {"", "-"}:
            shared[name] = differing.pop()
    columns |= _costs(section)
    for metric in shown_metrics(section):
        values = section[list(metric_columns(metric))].itertuples(index=False)
        columns[_head(metric, section)] = [cell(*each) for each in values]
    return columns, shared


def _marked(section: pd.DataFrame) -> list[str]:
    """Each row's architecture, with what must be seen at its name."""
    number = numbers(section)
    rows = section[[COLUMNS.submitted, COLUMNS.contested]].to_dict("records")
    marks = [mark(row, number.get(at)) for at, row in zip(section.index, rows, strict=True)]
    return [
        f"{arch} ({told})" if told else arch
        for arch, told in zip(_texts(section, COLUMNS.arch), marks, strict=True)
    ]


def _costs(section: pd.DataFrame) -> dict[str, list[str]]:
    """What rows differ in that is set against their score below the table."""
    runs = section[section[COLUMNS.kind] == "run"]
    found = {}
    if runs[COLUMNS.parameters].nunique() > 1:
        found["parameters"] = _texts(section, COLUMNS.parameters)
    if runs[COLUMNS.seconds].notna().any():
        found["ms per image"] = [
            milliseconds(row) or ("-" if row[COLUMNS.kind] == "run" else "")
            for _, row in section.iterrows()
        ]
    return found


def _ranks(section: pd.DataFrame) -> list[str]:
    """Each row's rank with its interval, where that is known."""
    ends = zip(section[COLUMNS.rank_first], section[COLUMNS.rank_last], strict=True)
    return [
        rank if pd.isna(first) else f"{rank} [{first}, {last}]"
        for rank, (first, last) in zip(_texts(section, COLUMNS.rank), ends, strict=True)
    ]


def _head(metric: str, section: pd.DataFrame) -> str:
    """A metric's column heading; of the common images also their number, one for all rows."""
    count = section[COLUMNS.n_common].max()
    if metric != COMMON or pd.isna(count):
        return escape(heading(metric))
    return escape(f"{heading(metric)} ({counted(count, 'image')})")


def _texts(section: pd.DataFrame, column: str) -> list[str]:
    """A column's values, "" where a row that is no run has none, "-" where a run has none."""
    empty = ["-" if kind == "run" else "" for kind in section[COLUMNS.kind]]
    return [
        instead if pd.isna(value) else escape(str(value))
        for value, instead in zip(section[column], empty, strict=True)
    ]


def _reported(rows: pd.DataFrame) -> list[str]:
    """The reported rows of a section as a table of their own, and what a reader must know."""
    about = publication_of(rows)
    columns = {
        "setting": [escape(name) for name in rows[COLUMNS.name]],
        "architecture": [escape(arch) for arch in rows[COLUMNS.arch]],
        "test images": [str(count) for count in rows[COLUMNS.n_images]],
        "runs": ["-" if pd.isna(count) else str(count) for count in rows[COLUMNS.n_seeds]],
    }
    for metric in about.metrics(rows):
        columns[escape(heading(metric))] = [
            " ".join(filter(None, figure_told(row, metric))) for _, row in rows.iterrows()
        ]
    return [
        escape(about.opening),
        grid(columns),
        "\n".join(f"- {escape(point)}" for point in about.points),
    ]


def closing(summary: Summary, attempts: Sequence[Attempt] = ()) -> str:
    """The end of the page: runs without a record, how to read it, and what it holds."""
    above = f"{_unfinished(attempts)}\n\n" if attempts else ""
    sent = f" and {counted(summary.submitted, 'submission')}" if summary.submitted else ""
    told = "\n".join(
        [
            "## How to read this",
            "",
            "- Brackets hold the 95 % interval: bootstrap over groups (lesions or patients) of the"
            " test images. With several seeds the score is their mean and the interval also holds"
            " the spread over seeds: in each resample the seeds vary, too, or, where predictions"
            " were not kept, both spreads are added as independent. With one seed it does not.",
            "- Rows are ranked only against rows of the same task version and options, data,"
            " split, pre-training and explainer, with or without leaks; submissions, of which the"
            " pre-training is only told, among themselves. Brackets behind a rank"
            " hold the ranks that a row has in 95 % of the resamples of the test images' groups, in"
            " which its seeds vary, too.",
            "- Against the best: the p-value of a paired bootstrap test on the same resamples,"
            " corrected for the number of rows (Holm). Rows of at least 0.05 are tied with the"
            " best: these images do not tell them apart. The best is chosen on these very images,"
            " which is in its favour. Of one seed the test is about the trained networks, not about"
            " how another seed would fall.",
            '- "-" is a score that is missing or undefined; it is never averaged. ↓ marks scores'
            " that are better when smaller.",
            "- Rows in italics are not ranked: a ceiling is what experts reach, a floor what needs"
            " no trained network. Skill is 0 at the best floor but the untrained network, 1 at one"
            " annotator against the others.",
            "- Common-correct scores are means over the images that every seed of every ranked row"
            " diagnoses correctly; their intervals take these images as given.",
            "- Milliseconds per image are times of the runs as they happened, on whatever machine"
            " (column `hardware` of `table.csv`) and whatever else it did: no benchmark of speed.",
            f"- {counted(summary.runs, 'run')}{sent}, the newest of each row from"
            f" {escape(summary.oldest[:10])} to {escape(summary.newest[:10])}, by DermBench"
            f" {escape(', '.join(sorted(summary.versions)))}. Written by"
            " `python -m benchmark leaderboard`; every number and more are in `table.csv`.",
        ]
    )
    return f"{above}{told}\n"
