"""The leaderboard's columns, and how rows of every kind become one table of them.

What a row of runs holds is `table`; the other kinds come from `baselines` and `published`.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmark.config import DEFAULT_EXPLAINER
from benchmark.metrics import statistics
from benchmark.metrics.names import measure
from benchmark.metrics.statistics import Estimate
from benchmark.records.record import Metric, Record, text
from benchmark.registry import EXPLAINERS, TASKS


@dataclass(frozen=True)
class Columns:
    """The columns of the table, in order; three more per metric follow, see `metric_columns`.

    `section` digests the protocol of what stands side by side. `kind` is one of `KINDS`; only runs
    have a rank. `name` says which floor or ceiling a row is, or how the network of a reported row
    was trained, whose `source` tells where its numbers were printed, whose `n_images` are the test
    images and whose `n_seeds` the runs of its mean; it has SPREAD columns in place of intervals.

    `question` holds the task's options as "imbalance=50, positive=MEL", see `options_of`; `leaks`
    is LEAKS where the records name what their parts share, see `leaks_told`. `split` digests the
    trials' splits. `weights` is the kind of weights a run started with and `weights_source` which
    those were, see `WeightsUsed`. `pretrained_on` names earlier data sets with the first digits of
    their fingerprints. `explainer` made the maps that are scored, "" where a task asks for none.
    `settings` is the rest of the configuration, a method's options among them, as flat JSON with
    keys such as "recipe.learning_rate". `hardware` is what all seeds ran on, and `seconds` the mean
    of their seconds of prediction per test image, see `timing`. `n_images` and `n_groups` are the
    headline's. `run_ids` are the records in the row, `created` the date of the newest. `submitted`
    is "yes" where they are of a submission, which no run of ours made, and `contested` the doubts
    that somebody has about one of them, see `benchmark.leaderboard.contested`. `n_common`
    counts the images of `COMMON`. `rank_first`, `rank_last` and `tied_with_best` ("yes", "no", ""
    where it is not known) are those of `standing`, with P_AGAINST_BEST.
    """

    section: str = "section"
    task: str = "task"
    task_version: str = "task_version"
    dataset: str = "dataset"
    data: str = "data_fingerprint"
    question: str = "question"
    leaks: str = "leaks"
    split: str = "split"
    headline: str = "headline"
    kind: str = "kind"
    rank: str = "rank"
    rank_first: str = "rank_first"
    rank_last: str = "rank_last"
    tied: str = "tied_with_best"
    name: str = "name"
    arch: str = "arch"
    framework: str = "framework"
    method: str = "method"
    weights: str = "weights"
    weights_source: str = "weights_source"
    explainer: str = "explainer"
    pretrained_on: str = "pretrained_on"
    image_size: str = "image_size"
    budget: str = "budget"
    epochs: str = "epochs"
    settings: str = "settings"
    parameters: str = "parameters"
    hardware: str = "hardware"
    seconds: str = "seconds_per_image"
    seeds: str = "seeds"
    n_seeds: str = "n_seeds"
    n_images: str = "n_images"
    n_groups: str = "n_groups"
    n_common: str = "n_common_correct"
    run_ids: str = "run_ids"
    created: str = "created"
    benchmark_versions: str = "benchmark_versions"
    submitted: str = "submitted"
    contested: str = "contested"
    source: str = "source"


COLUMNS = Columns()

# In the order in which they stand in a section.
KINDS = ("ceiling", "run", "floor", "reported")

# The mean F1 of a section's rows over the images that all of them diagnose correctly.
COMMON = "common_correct_f1"

# A column of its own: the p-value of a row against the best of its section.
P_AGAINST_BEST = "p_against_best"

# Ends the column of a reported metric's standard deviation over runs, which is no interval.
SPREAD = "_sd"

# Only rows that agree in all of these were asked the same question on the same images, and
# started from the same kind of knowledge: pre-training is worth more than most of what is compared.
# What a submission started from is only told, never known: its weights are a kind of their own.
PROTOCOL = (
    COLUMNS.task,
    COLUMNS.task_version,
    COLUMNS.data,
    COLUMNS.leaks,
    COLUMNS.question,
    COLUMNS.split,
    COLUMNS.headline,
    COLUMNS.weights,
    COLUMNS.pretrained_on,
    COLUMNS.explainer,
)

# In the column `leaks` where there are any; a run without leave to have them was refused.
LEAKS = "allowed"

# Begins an option in `question`; a value may hold commas.
_OPTION = re.compile(r"(?:^|, )([a-z][a-z0-9_]*)=")

# Where scores lie that are not in [0, 1], such as a ratio of differences, by `measure`.
_RANGES = {
    "explainability_skill": (-np.inf, np.inf),
    "discrimination_f1": (-1.0, 1.0),
    "brier": (0.0, 2.0),
    "negative_log_likelihood": (0.0, np.inf),
    "quadratic_kappa": (-1.0, 1.0),
    "mean_absolute_grade_error": (0.0, np.inf),
}

# What is better when smaller, by `measure`; all else is better when larger.
SMALLER_IS_BETTER = frozenset(
    {
        *("deletion_auc", "randomised_similarity", "mean_absolute_grade_error"),
        *("ece", "adaptive_ece", "classwise_ece", "brier", "negative_log_likelihood", "aurc"),
    }
)

# Columns of whole numbers; the others hold text, up to the metrics.
COUNTS = (
    *(COLUMNS.rank, COLUMNS.rank_first, COLUMNS.rank_last, COLUMNS.parameters, COLUMNS.n_seeds),
    *(COLUMNS.n_images, COLUMNS.n_groups, COLUMNS.n_common),
)
# Columns of other numbers that are no metric.
NUMBERS = (COLUMNS.seconds,)


def milliseconds(row: Mapping[str, Any] | pd.Series) -> str:
    """A row's time of prediction for one image, in milliseconds; "" where it is not known."""
    seconds = row[COLUMNS.seconds]
    return "" if pd.isna(seconds) else f"{1000 * seconds:.3g}"


def smaller_is_better(metric: str) -> bool:
    """Whether a metric is better when smaller."""
    return measure(metric) in SMALLER_IS_BETTER


def metric_columns(metric: str) -> tuple[str, str, str]:
    """The columns of one metric: mean over the seeds, lower and upper end of its interval."""
    return metric, f"{metric}_low", f"{metric}_high"


def score(metric: str, found: Estimate) -> dict[str, float]:
    """An estimate as the values of the metric's columns."""
    return dict(zip(metric_columns(metric), (found.value, found.low, found.high), strict=True))


def over_seeds(metric: str, estimates: Sequence[Estimate]) -> Estimate:
    """`statistics.combine_seeds` in the metric's range: what records alone can tell."""
    return statistics.combine_seeds(estimates, *_range(metric))


def nested_interval(metric: str, values: ArrayLike, samples: ArrayLike) -> tuple[float, float]:
    """The 95 % interval of a mean over seeds, by `statistics.over_seeds`, in the metric's range.

    Args:
        metric: its name.
        values: (S,) the score of each seed.
        samples: (S, R) the same in each resample of the images, which are the same for all.
    """
    low, high = np.clip(
        statistics.interval(statistics.over_seeds(values, samples)), *_range(metric)
    )
    return float(low), float(high)


def _range(metric: str) -> tuple[float, float]:
    return _RANGES.get(measure(metric), (0.0, 1.0))


def estimate(metric: Metric | None) -> Estimate:
    """A record's metric, NaN where it has none."""
    if metric is None:
        return Estimate(np.nan, np.nan, np.nan, 0, 0)
    value, low, high = (
        np.nan if number is None else number for number in (metric.value, metric.low, metric.high)
    )
    return Estimate(value, low, high, metric.n, metric.groups)


def protocol(record: Record) -> dict[str, str]:
    """A record's values of the `PROTOCOL` columns, and the `section` they make."""
    pretraining = (f"{d.name} ({d.fingerprint[:8]})" for d in record.pretraining)
    values = {
        COLUMNS.task: record.task,
        COLUMNS.task_version: record.task_version,
        COLUMNS.data: record.data.fingerprint,
        COLUMNS.leaks: LEAKS if record.leaks else "",
        COLUMNS.question: _question(record.config.get("task_options")),
        COLUMNS.split: digest(sorted(f"{t.name} {t.split_fingerprint}" for t in record.trials)),
        COLUMNS.headline: record.headline,
        COLUMNS.weights: record.weights.kind,
        COLUMNS.pretrained_on: ", ".join(pretraining),
        COLUMNS.explainer: _explainer(record),
    }
    return values | {COLUMNS.section: digest([values[c] for c in PROTOCOL])[:8]}


def leaks_told(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """By `section`, of those that leak: a sentence for each leak, as the records have them."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for record in sorted(records, key=lambda r: (r.created, r.run_id)):
        if record.leaks:
            found[protocol(record)[COLUMNS.section]] |= dict.fromkeys(record.leaks)
    return {section: tuple(sentences) for section, sentences in found.items()}


def against_best(row: Mapping[str, Any] | pd.Series) -> str:
    """Whether a row is tied with the best, and the p-value that says so; "" where it is unknown."""
    if row[COLUMNS.tied] == "":
        return ""
    if pd.isna(row[P_AGAINST_BEST]):
        return "best"
    return f"{'tied, ' if row[COLUMNS.tied] == 'yes' else ''}p = {row[P_AGAINST_BEST]:.2g}"


def options_of(question: str) -> dict[str, str]:
    """The task's options by name, from the column `question`; those that are None are not in it."""
    _, *parts = _OPTION.split(question)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _question(options: Any) -> str:
    """A record's task options as text; "" of records from before there were any."""
    given = sorted((options or {}).items())
    return ", ".join(f"{name}={value}" for name, value in given if value is not None)


def _explainer(record: Record) -> str:
    """Which maps a record's scores are of, "" where it has none."""
    name = str(record.config.get("explainer", DEFAULT_EXPLAINER))
    if record.task not in TASKS.names() or not TASKS.get(record.task).maps:
        return ""
    apart = name in EXPLAINERS.names() and not EXPLAINERS.get(name).same_in_both
    return f"{name} in {record.config['framework']}" if apart else name


def add_rows(table: pd.DataFrame, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The table with rows that are not runs, each in its section by the order of `KINDS`.

    Sections keep their order, new ones follow; rows of one kind keep the order they come in.
    """
    joined = frame([*table.to_dict("records"), *rows])
    place = {name: at for at, name in enumerate(joined[COLUMNS.section].unique())}
    kinds = {kind: at for at, kind in enumerate(KINDS)}
    order = pd.DataFrame([joined[COLUMNS.section].map(place), joined[COLUMNS.kind].map(kinds)]).T
    order = order.sort_values([COLUMNS.section, COLUMNS.kind], kind="stable")
    return joined.loc[order.index].reset_index(drop=True)


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with the columns in their order: missing text is "", a missing number NA."""
    columns = ordered(column for row in rows for column in row)
    table = pd.DataFrame(list(rows), columns=columns)
    numbers = [*columns[len(astuple(COLUMNS)) :], *NUMBERS]
    counts, told = list(COUNTS), list(texts())
    table[numbers] = table[numbers].astype(float)
    table[counts] = table[counts].astype("Int64")
    table[told] = table[told].astype(object).where(table[told].notna(), "")
    return table


def ordered(columns: Iterable[str]) -> list[str]:
    """All of `COLUMNS`, then those of metrics among the given, by name."""
    own = astuple(COLUMNS)
    return [*own, *sorted(set(columns) - set(own), key=_metric_of)]


def texts() -> tuple[str, ...]:
    """The columns that hold text."""
    return tuple(column for column in astuple(COLUMNS) if column not in (*COUNTS, *NUMBERS))


def _metric_of(column: str) -> tuple[str, int]:
    """A metric's name, and which of its columns this is."""
    for place, suffix in enumerate(("_low", "_high", SPREAD), 1):
        if column.endswith(suffix):
            return column.removesuffix(suffix), place
    return column, 0


def size(value: Any) -> str:
    """An image size from a record's settings as the table has it."""
    return f"{value[0]}x{value[1]}" if isinstance(value, list | tuple) else text(value)


def file_name(name: str) -> str:
    """Text as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[:80]


def digest(parts: Sequence[str]) -> str:
    """SHA-256 of some texts, in hex digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
