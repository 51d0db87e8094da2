"""Records to one table: a row per thing compared, seeds aggregated, ranked within one protocol.

What the table looks like on paper is `report` and `plots`.
"""

import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.metrics.statistics import Estimate, combine_seeds
from benchmark.records.record import Metric, Record, WeightsUsed
from benchmark.registry import TASKS


@dataclass(frozen=True)
class Columns:
    """The columns of the table, in order; three more per metric follow, see `metric_columns`.

    `split` digests the trials' splits. `weights` is the kind of weights a run started with and
    `weights_source` which those were, see `WeightsUsed`. `pretrained_on` names earlier data sets
    with the first digits of their fingerprints. `settings` is the rest of the configuration, as
    flat JSON with keys such as "recipe.learning_rate". `n_images` and `n_groups` are the
    headline's. `run_ids` are the records in the row, `created` the date of the newest.
    """

    task: str = "task"
    task_version: str = "task_version"
    dataset: str = "dataset"
    data: str = "data_fingerprint"
    split: str = "split"
    headline: str = "headline"
    rank: str = "rank"
    arch: str = "arch"
    framework: str = "framework"
    method: str = "method"
    weights: str = "weights"
    weights_source: str = "weights_source"
    pretrained_on: str = "pretrained_on"
    image_size: str = "image_size"
    budget: str = "budget"
    epochs: str = "epochs"
    settings: str = "settings"
    parameters: str = "parameters"
    seeds: str = "seeds"
    n_seeds: str = "n_seeds"
    n_images: str = "n_images"
    n_groups: str = "n_groups"
    run_ids: str = "run_ids"
    created: str = "created"
    benchmark_versions: str = "benchmark_versions"


COLUMNS = Columns()

# Only rows that agree in all of these were asked the same question on the same images, and
# started from the same kind of knowledge: pre-training is worth more than most of what is compared.
PROTOCOL = (
    COLUMNS.task,
    COLUMNS.task_version,
    COLUMNS.data,
    COLUMNS.split,
    COLUMNS.headline,
    COLUMNS.weights,
    COLUMNS.pretrained_on,
)

# Settings with a column of their own, and those that do not tell one row from another: the seeds
# are what a row is the mean of; where the data lie and what computes must not matter.
_OWN_COLUMN = frozenset(
    {"arch", "framework", "task", "method", "dataset", "weights", "pretrain_on"}
)
_OWN_COLUMN |= {"image_size", "budget", "recipe.epochs"}
_NOT_IDENTIFYING = frozenset({"seed", "data_dir", "device"})


def metric_columns(metric: str) -> tuple[str, str, str]:
    """The columns of one metric: mean over the seeds, lower and upper end of its interval."""
    return metric, f"{metric}_low", f"{metric}_high"


def build_table(records: Iterable[Record]) -> pd.DataFrame:
    """One row per thing that is compared, each the mean over its seeds.

    Two records share a row when they agree in protocol, data, architecture, method and every
    setting but the seed, the device and the data's folder. Of two records of one seed the newer
    counts. Intervals over several seeds are `statistics.combine_seeds`. Every metric is taken to be
    better when larger; rows rank by the headline within one protocol, ties share the better rank.

    Returns:
        Columns `COLUMNS`, then `metric_columns` of every metric of any record, by name. A metric
        that is undefined or absent for one seed is missing in the row, never averaged over the
        others; a row without its headline has no rank. Sorted by protocol, rank, then the rest.
    """
    rows: dict[tuple[str, ...], dict[str, Record]] = defaultdict(dict)
    for record in sorted(records, key=lambda r: (r.created, r.run_id)):
        rows[_identity(record)][_text(record.config.get("seed"))] = record
    used = [record for seeds in rows.values() for record in seeds.values()]
    metrics = sorted({name for r in used for name in (r.headline, *r.metrics)})
    table = pd.DataFrame(
        [_row(identity, list(seeds.values()), metrics) for identity, seeds in rows.items()],
        columns=[*astuple(COLUMNS), *(c for name in metrics for c in metric_columns(name))],
    )
    return _ranked(table)


def sections(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The table cut into parts that may be ranked together, best row first in each."""
    return [part for _, part in table.groupby(list(PROTOCOL), sort=True)]


def section_id(section: pd.DataFrame) -> str:
    """Eight hex digits that name a section's protocol, data and split."""
    return _digest([str(section[column].iloc[0]) for column in PROTOCOL])[:8]


def shown_metrics(section: pd.DataFrame) -> list[str]:
    """The metrics to show for a section, headline first, of those that some row has.

    The task says which (`Task.shown`); of a task that is not installed here, all are shown.
    """
    have = [
        c for c in section.columns if f"{c}_low" in section.columns and section[c].notna().any()
    ]
    try:
        wanted = TASKS.get(section[COLUMNS.task].iloc[0]).shown
    except UserError:
        wanted = have
    headline = section[COLUMNS.headline].iloc[0]
    return [headline, *(name for name in wanted if name in have and name != headline)]


def varying_settings(section: pd.DataFrame) -> list[str]:
    """For each row, the settings in which the rows of the section differ, such as "epochs=9"."""
    rows = [json.loads(text) for text in section[COLUMNS.settings]]
    keys = sorted({key for row in rows for key in row})
    differing = [key for key in keys if len({_text(row.get(key)) for row in rows}) > 1]
    return [", ".join(f"{k.split('.')[-1]}={_text(row.get(k))}" for k in differing) for row in rows]


def pretraining(section: pd.DataFrame) -> str:
    """What a section's rows started from, in words: all of them from the same."""
    first = section.iloc[0]
    parts = [_STARTS[first[COLUMNS.weights]]] if first[COLUMNS.weights] != "none" else []
    if first[COLUMNS.pretrained_on]:
        parts.append(f"pre-trained on {first[COLUMNS.pretrained_on]}")
    return ", ".join(parts) or "no pre-training"


def plain(text: str) -> str:
    """Text from a record on one line, without control characters."""
    return "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)


def title(metric: str) -> str:
    """A metric's name as people write it: macro_auc is "macro AUC"."""
    return _TITLES.get(metric) or " ".join(_WORDS.get(w, w) for w in metric.split("_"))


_STARTS = {
    "imagenet": "ImageNet weights of keras.applications",
    "timm": "timm's weights",
    "file": "weights from files",
}
_WORDS = {"auc": "AUC", "f1": "F1", "iou": "IoU", "npv": "NPV"}
_TITLES = {
    "gaussian_f1": "centred Gaussian F1 (floor)",
    "annotators_f1": "annotators' F1 (ceiling)",
}


def _identity(record: Record) -> tuple[str, ...]:
    """The values of the columns from `task` to `settings`, without the rank."""
    config = _flat(record.config)
    rest = {k: v for k, v in config.items() if k not in _OWN_COLUMN | _NOT_IDENTIFYING}
    pretraining = (f"{d.name} ({d.fingerprint[:8]})" for d in record.pretraining)
    return (
        record.task,
        record.task_version,
        record.data.name,
        record.data.fingerprint,
        _digest(sorted(f"{t.name} {t.split_fingerprint}" for t in record.trials)),
        record.headline,
        _text(config.get("arch")),
        _text(config.get("framework")),
        _text(config.get("method")),
        record.weights.kind,
        _source(record.weights),
        ", ".join(pretraining),
        _size(config.get("image_size")),
        _text(config.get("budget")),
        _text(config.get("recipe.epochs")),
        json.dumps(rest, sort_keys=True),
    )


def _source(weights: WeightsUsed) -> str:
    """The name of the weights; with the first digits of its hash where it is the user's own."""
    digits = f" ({weights.sha256[:8]})" if weights.kind == "file" and weights.sha256 else ""
    return weights.name + digits if weights.kind in ("timm", "file") else ""


_IDENTITY = [c for c in astuple(COLUMNS) if c != COLUMNS.rank]
_IDENTITY = _IDENTITY[: _IDENTITY.index(COLUMNS.settings) + 1]


def _row(
    identity: tuple[str, ...], records: Sequence[Record], metrics: list[str]
) -> dict[str, Any]:
    """One row from the records of its seeds, one each."""
    # By length first: seed 10 comes after seed 2.
    records = sorted(records, key=lambda r: (len(s := _text(r.config.get("seed"))), s))
    row: dict[str, Any] = dict(zip(_IDENTITY, identity, strict=True))
    headline = [_estimate(r.metrics.get(r.headline)) for r in records]
    row |= {
        COLUMNS.parameters: records[0].parameters,
        COLUMNS.seeds: " ".join(_text(r.config.get("seed")) for r in records),
        COLUMNS.n_seeds: len(records),
        COLUMNS.n_images: min(e.n for e in headline),
        COLUMNS.n_groups: min(e.groups for e in headline),
        COLUMNS.run_ids: " ".join(r.run_id for r in records),
        COLUMNS.created: max(r.created for r in records),
        COLUMNS.benchmark_versions: " ".join(sorted({r.benchmark_version for r in records})),
    }
    for name in metrics:
        found = combine_seeds([_estimate(r.metrics.get(name)) for r in records])
        values = (found.value, found.low, found.high)
        row |= dict(zip(metric_columns(name), values, strict=True))
    return row


def _estimate(metric: Metric | None) -> Estimate:
    if metric is None:
        return Estimate(np.nan, np.nan, np.nan, 0, 0)
    value, low, high = (
        np.nan if number is None else number for number in (metric.value, metric.low, metric.high)
    )
    return Estimate(value, low, high, metric.n, metric.groups)


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    scores = pd.Series(
        [row[row[COLUMNS.headline]] for _, row in table.iterrows()], table.index, dtype=float
    )
    ranks = scores.groupby([table[c] for c in PROTOCOL]).rank(method="min", ascending=False)
    table[COLUMNS.rank] = ranks.astype("Int64")
    return table.sort_values(
        [*PROTOCOL, COLUMNS.rank, *_IDENTITY], na_position="last", kind="stable", ignore_index=True
    )


def _size(value: Any) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, list | tuple) else _text(value)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
