"""Runs and facts as the tables that commands print and that Python users can have too."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

import pandas as pd
from tabulate import tabulate

from benchmark.common.wording import counted
from benchmark.metrics.names import title
from benchmark.records.record import Metric, Record
from benchmark.registry import TASKS

# Room for the names of facts.
_LONGEST_FACT = 30


def text_table(table: pd.DataFrame, wrap: int | None = None) -> str:
    """A data frame as aligned text; an unnamed index is left out.

    Fractions have three decimals. The last column is wrapped at `wrap` characters.
    """
    shown = table.reset_index() if table.index.name else table
    shown = shown.map(_cell)
    if wrap is not None:
        # Not by tabulate, which takes a text such as "2,500" for an integer when it wraps.
        last = shown.columns[-1]
        shown[last] = [fill(cell, wrap) if isinstance(cell, str) else cell for cell in shown[last]]
    return str(
        tabulate(
            shown,
            headers="keys",
            showindex=False,
            disable_numparse=True,
        )
    )


def headline(record: Record) -> str:
    """One line that says which run or submission this is.

    Raises:
        UserError: as `Record.settings`.
    """
    if record.submission is not None:
        about = record.submission.about
        return (
            f"{about.architecture} ({about.framework}) on {record.data.name}, task {record.task}"
            f" v{record.task_version}: method {about.method}, made elsewhere"
            f"  [submission {record.run_id}]"
        )
    config = record.settings
    height, width = config.image_size
    return (
        f"{config.arch} ({config.framework}) on {config.dataset}, task {record.task}"
        f" v{record.task_version}: method {config.method}, budget {config.budget},"
        f" {counted(config.recipe.epochs, 'epoch')}, {height}x{width} px, weights {config.weights},"
        f" seed {config.seed}  [run {record.run_id}]"
    )


def metrics_table(record: Record) -> pd.DataFrame:
    """The task's metrics of a run: index `metric`; columns value, 95 % interval, images, note."""
    shown = TASKS.get(record.task).shown
    names = [name for each in shown for name in record.metrics if fnmatchcase(name, each)]
    rows = {title(name): metric_row(record.metrics[name]) for name in names}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def baselines_table(record: Record) -> pd.DataFrame:
    """What the run is compared with, by the shown metrics that any of it has: a row for each."""
    shown = [
        name
        for name in TASKS.get(record.task).shown
        if any(name in each.metrics for each in record.baselines.values())
    ]
    rows = {
        f"{each.kind}: {name}": {
            title(key): "-" if key not in each.metrics else metric_row(each.metrics[key])["value"]
            for key in shown
        }
        for name, each in record.baselines.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("compared with")


def moved_table(moved: pd.DataFrame) -> pd.DataFrame:
    """What rescoring moved, as text; `moved` as of `rescoring.Rescored`."""
    rows = [
        {
            "trial": row.trial or "all",
            "metric": title(row.metric),
            "before": _cell(row.before),
            "after": _cell(row.after),
            "change": _cell(row.after - row.before),
        }
        for row in moved.itertuples()
    ]
    return pd.DataFrame(rows)


def repeated_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """A run made again beside its record, as text; `metrics` as of `repeat.Repetition`."""
    rows = [
        {
            "trial": row.trial or "all",
            "metric": title(row.metric),
            "record": _cell(row.before),
            "again": _cell(row.after),
            "difference": _cell(row.after - row.before),
            "95 % interval of the record": "-"
            if pd.isna(row.low)
            else f"{row.low:.3f} to {row.high:.3f}",
        }
        for row in metrics.itertuples()
    ]
    return pd.DataFrame(rows)


def _cell(value: Any) -> Any:
    if pd.isna(value):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else value


def facts_text(table: pd.DataFrame) -> str:
    """Facts as they are printed: no wider than the terminal."""
    return text_table(table, wrap=max(get_terminal_size().columns - _LONGEST_FACT, 40))


def facts_table(name: str, facts: Mapping[str, Any]) -> pd.DataFrame:
    """Facts about one thing, a row each."""
    table = pd.DataFrame({name: {key: str(value) for key, value in facts.items()}})
    return table.rename_axis(" ")


def metric_row(metric: Metric) -> dict[str, str | int]:
    """A metric as text: value, 95 % interval, images, note."""
    if metric.value is None:
        return {"value": "-", "95 % interval": "-", "images": metric.n, "note": metric.note}
    interval = "-"
    if metric.low is not None and metric.high is not None:
        interval = f"{metric.low:.3f} to {metric.high:.3f}"
    return {
        "value": f"{metric.value:.3f}",
        "95 % interval": interval,
        "images": metric.n,
        "note": metric.note,
    }
