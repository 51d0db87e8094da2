"""The page of one record: what was run, what came out, on what machine, and how to repeat it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.common.wording import counted
from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, estimate, size
from benchmark.leaderboard.contested import Note
from benchmark.leaderboard.folder import OwnFolder
from benchmark.leaderboard.site import training
from benchmark.leaderboard.site.grid import Cell, Column, Table, count, score, table
from benchmark.leaderboard.site.names import SPOKEN, Pages, stem, things
from benchmark.leaderboard.site.pictures import (
    Picture,
    charts,
    other_folders,
    run_folder,
    trial_folder,
)
from benchmark.leaderboard.site.reproduce import Reproduction, reproduction
from benchmark.leaderboard.site.sections import anchor
from benchmark.leaderboard.site.trial_tables import Tables, grids, read
from benchmark.leaderboard.table import heading
from benchmark.metrics.names import title
from benchmark.records.authored import About
from benchmark.records.record import Metric, Record, TrialRecord, text
from benchmark.registry import TASKS

NO_FOLDER = (
    "The run folder is not beside this board, so there are no tables by class and no charts."
)

# What is shown of something: its name, its text, its page or "".
Fact = tuple[str, str, str]
# What authors say: a name, their text, and whether that is a web address.
Told = tuple[str, str, bool]


@dataclass(frozen=True)
class Place:
    """The row of the board that a record is in, and how many rows with a rank its section has."""

    row: Mapping[str, Any]
    title: str
    ranked: int


@dataclass(frozen=True)
class Trial:
    """One trial: its scores where there are several trials, its tables and charts."""

    name: str
    scores: Table | None
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Run:
    """One record as its page shows it."""

    title: str
    record: Record
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]
    contested: tuple[Note, ...]
    headline: Cell
    headline_title: str
    scores: Table
    more_scores: Table | None
    baselines: Table | None
    trials_table: Table
    stages_table: Table | None
    epochs_table: Table | None
    pictures: tuple[Picture, ...]
    trials: tuple[Trial, ...]
    missing: str
    reproduction: Reproduction
    authors: tuple[Told, ...]
    flags: tuple[str, ...]
    environment: tuple[tuple[str, tuple[Fact, ...]], ...]
    notes: tuple[str, ...]


def view(
    record: Record,
    results: Path,
    site: OwnFolder,
    pages: Pages,
    place: Place | None,
    tables: Mapping[str, Tables],
    contested: Sequence[Note],
) -> Run:
    """A record as its page shows it; its charts are copied into the site.

    Args:
        record: any readable one, on the board or not.
        results: the folder in which v1/runs lies.
        site: where the copies go.
        pages: for links.
        place: where the record is on the board; None where a newer one of the same seed is.
        tables: by trial, where they are not in the run folder.
        contested: the notes on it.
    """
    shown, others = _metrics(record)
    folder = run_folder(results, record)
    where = f"pictures/{stem(record.run_id)}"
    several = len(record.trials) > 1
    return Run(
        title=run_title(record),
        record=record,
        facts=tuple(_facts(record, pages, place)),
        warnings=record.leaks,
        contested=tuple(contested),
        headline=_score(record.metrics.get(record.headline)),
        headline_title=title(record.headline),
        scores=_scores("scores", "Scores", record.metrics, shown),
        more_scores=_scores("more", "All other scores", record.metrics, others) if others else None,
        baselines=_baselines(record, shown) if record.baselines else None,
        trials_table=_trials(record),
        stages_table=training.stages(record),
        epochs_table=training.epochs(record),
        pictures=tuple(_overall(record, folder, site, where)) if folder else (),
        trials=tuple(
            _trial(trial, at, several, folder, site, f"{where}/{at}", tables.get(trial.name, {}))
            for at, trial in enumerate(record.trials)
        ),
        missing="" if folder or record.submission else NO_FOLDER,
        reproduction=reproduction(record),
        authors=tuple(_authors(record.submission.about)) if record.submission else (),
        flags=record.submission.flags if record.submission else (),
        environment=_environment(record),
        notes=(*record.data.notes, *record.notes),
    )


def run_title(record: Record) -> str:
    """A run in words, but for its settings."""
    of = things(record)
    last = f"seed {text(record.config.get('seed'))}" if record.submission is None else "submitted"
    return (
        f"{of['architecture']} ({text(record.config.get('framework'))}), {of['method']},"
        f" {record.task} on {of['dataset']}, {last}"
    )


def _facts(record: Record, pages: Pages, place: Place | None) -> list[Fact]:
    of = [(kind, name, pages.thing(kind, name)) for kind, name in things(record).items()]
    return [
        *((SPOKEN[kind], name, page) for kind, name, page in of),
        ("framework", text(record.config.get("framework")), ""),
        *(
            _training(record)
            if record.submission is None
            else [("run by", "others: submitted", "")]
        ),
        *([] if record.parameters is None else [("parameters", f"{record.parameters:,}", "")]),
        ("task version", record.task_version, ""),
        ("data fingerprint", record.data.fingerprint[:16], ""),
        ("made" if record.submission is None else "accepted", _made(record), ""),
        ("record" if record.submission is None else "submission", record.run_id, ""),
        on_board(place),
    ]


def _made(record: Record) -> str:
    return f"{record.created[:10]} by DermBench {record.benchmark_version}"


def _training(record: Record) -> list[Fact]:
    """How a run was trained."""
    config = record.config
    recipe = config.get("recipe")
    epochs = recipe.get("epochs") if isinstance(recipe, dict) else None
    weights = " ".join(filter(None, [record.weights.kind, record.weights.name]))
    weights += f" (run {record.weights.run})" if record.weights.run else ""
    return [
        ("started from", f"weights {weights}", ""),
        *(("pre-trained on", f"{d.name} ({d.fingerprint[:8]})", "") for d in record.pretraining),
        ("image size", f"{size(config.get('image_size'))} px", ""),
        ("budget", f"{text(config.get('budget'))}, {counted(text(epochs), 'epoch')}", ""),
        ("seed", text(config.get("seed")), ""),
    ]


def _authors(about: About) -> Iterator[Told]:
    """What the authors of a submission say; what they left out is not shown."""
    told: dict[str, object] = {
        "authors": ", ".join(about.authors),
        "paper": about.paper,
        "code": about.code,
        "explainer": about.explainer,
        "training data": about.training_data,
        "extra data": about.extra_data,
        "licence of the predictions": about.licence,
        "contact": about.contact,
        "seconds per image": about.seconds_per_image,
    }
    for name, value in told.items():
        if value not in (None, ""):
            yield name, str(value), name in ("paper", "code")


def on_board(place: Place | None) -> Fact:
    """Where a record stands: all that its page tells of other records."""
    if place is None:
        return ("on the board", "no: a newer record of the same settings and seed is", "")
    rank, seeds = place.row[COLUMNS.rank], int(place.row[COLUMNS.n_seeds])
    standing = "without a rank" if pd.isna(rank) else f"rank {int(rank)} of {place.ranked}"
    if not pd.isna(place.row[COLUMNS.rank_first]):
        first, last = (int(place.row[c]) for c in (COLUMNS.rank_first, COLUMNS.rank_last))
        standing += f" ({first} to {last})"
    mean = f", as the mean of {seeds} seeds" if seeds > 1 else ""
    told = f"{standing}{mean}: {place.title}"
    return ("on the board", told, f"index.html#{anchor(place.row[COLUMNS.section])}")


def _metrics(record: Record) -> tuple[list[str], list[str]]:
    """The metrics that the task shows, headline first, and the others by name."""
    try:
        wanted = TASKS.get(record.task).shown
    except UserError:  # a task that is not installed here
        wanted = ()
    found = [n for each in wanted for n in record.metrics if fnmatchcase(n, each)]
    shown = list(dict.fromkeys([record.headline, *found]))
    return shown, sorted(set(record.metrics) - set(shown))


def _score(metric: Metric | None) -> Cell:
    found = estimate(metric)
    return score(found.value, found.low, found.high)


def _scores(id: str, caption: str, metrics: Mapping[str, Metric], names: Sequence[str]) -> Table:
    def of(name: str) -> Metric | None:
        return metrics.get(name)

    def number(name: str, counted: str) -> Cell:
        metric = of(name)
        return Cell("-") if metric is None else count(getattr(metric, counted))

    def note(name: str) -> Cell:
        metric = of(name)
        return Cell("this record has none" if metric is None else metric.note)

    columns: list[Column[str]] = [
        Column("score", lambda name: Cell(heading(name)), names=True),
        Column("value", lambda name: Cell(_score(of(name)).text), number=True),
        Column("95 % interval", lambda name: Cell(_score(of(name)).note or "-"), number=True),
        Column("images", lambda name: number(name, "n"), number=True),
        Column("groups", lambda name: number(name, "groups"), number=True),
    ]
    if any(note(name).text for name in names):
        columns.append(Column("note", note))
    return table(id, caption, columns, [("run", names)])[0]


def _baselines(record: Record, shown: Sequence[str]) -> Table:
    """What needs no trained network, and what experts reach, on the same images."""
    have = [m for m in shown if any(m in each.metrics for each in record.baselines.values())]

    def value(metric: str) -> Callable[[str], Cell]:
        return lambda name: _score(record.baselines[name].metrics.get(metric))

    columns: list[Column[str]] = [
        Column("compared with", lambda name: Cell(name), names=True),
        *(Column(heading(metric), value(metric), number=True) for metric in have),
    ]
    kinds = ("ceiling", "floor")
    groups = [(k, [n for n, each in record.baselines.items() if each.kind == k]) for k in kinds]
    return table("baselines", "Ceilings and floors on the same images", columns, groups)[0]


def _trials(record: Record) -> Table:
    columns: list[Column[TrialRecord]] = [
        Column("trial", lambda t: Cell(t.name), names=True),
        Column("training images", lambda t: count(t.n_train), number=True),
        Column("without label", lambda t: count(t.n_unlabelled), number=True),
        Column("validation images", lambda t: count(t.n_validation), number=True),
        Column("test images", lambda t: count(t.n_test), number=True),
    ]
    columns += [Column(heading(m), _of_trial(m), number=True) for m in _of_trials(record)]
    if any(t.temperature is not None for t in record.trials):
        columns.append(Column("temperature", _temperature, number=True))
    columns.append(Column("split", lambda t: Cell(t.split_fingerprint[:8])))
    return table("trials", "Trials", columns, [("run", record.trials)])[0]


def _of_trials(record: Record) -> list[str]:
    """What the trials have of the headline: itself, or what it is made of by its name."""
    have = {name for trial in record.trials for name in trial.metrics}
    parts = [name for name in have if record.headline.startswith(name)]
    return [max(parts, key=len)] if parts else []


def _of_trial(metric: str) -> Callable[[TrialRecord], Cell]:
    return lambda trial: _score(trial.metrics.get(metric))


def _temperature(trial: TrialRecord) -> Cell:
    return Cell("-" if trial.temperature is None else f"{trial.temperature:.3f}")


def _overall(record: Record, run: Path, site: OwnFolder, where: str) -> Iterator[Picture]:
    """The charts that are of no single trial."""
    yield from charts(run, site, f"{where}/run")
    for folder in other_folders(run, {trial.name for trial in record.trials}):
        yield from charts(folder, site, f"{where}/of-{stem(folder.name)}")


def _trial(
    trial: TrialRecord,
    at: int,
    several: bool,
    run: Path | None,
    site: OwnFolder,
    where: str,
    tables: Tables,
) -> Trial:
    folder = trial_folder(run, trial.name) if run else None
    return Trial(
        name=trial.name,
        scores=_scores(f"scores-{at}", "Scores", trial.metrics, sorted(trial.metrics))
        if several
        else None,
        tables=tuple(grids(read(folder) if folder else tables, at)),
        pictures=tuple(charts(folder, site, where)) if folder else (),
    )


# Ends the name of what is counted in bytes.
_BYTES = "_bytes"


def _environment(record: Record) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
    memory = {f"peak memory, {k}": f"{v / 1e9:.2f} GB" for k, v in record.peak_memory_bytes.items()}
    hardware = {
        name.removesuffix(_BYTES).replace("_", " "): _measured(name, value)
        for name, value in record.hardware.items()
    }
    blocks = {
        "Machine": hardware | memory,
        "Packages": record.packages,
        "Written by others": record.origins,
        "Seconds": {name: f"{seconds:,.1f}" for name, seconds in record.seconds.items()},
        "Seeds": {name: str(seed) for name, seed in record.seeds.items()},
        "Weights": {"SHA-256": record.weights.sha256} if record.weights.sha256 else {},
    }
    return tuple(
        (name, tuple((key, value, "") for key, value in sorted(block.items())))
        for name, block in blocks.items()
        if block
    )


def _measured(name: str, value: Any) -> str:
    if name.endswith(_BYTES) and isinstance(value, int | float):
        return f"{value / 1e9:.1f} GB"
    return text(value)
