"""Records to one table: a row per thing compared, seeds aggregated, ranked within one protocol.

The rows that are not runs come from `baselines` and `published`; what the table looks like on
paper is `report` and `plots`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from textwrap import shorten
from typing import Any

import pandas as pd
from pydantic import BaseModel

from benchmark.config import DECIDE_NOTHING, RunConfig
from benchmark.leaderboard.columns import (
    COLUMNS,
    PROTOCOL,
    estimate,
    frame,
    options_of,
    over_seeds,
    protocol,
    score,
    size,
    smaller_is_better,
)
from benchmark.leaderboard.timing import mean_seconds_per_image, shared_hardware
from benchmark.metrics.names import title
from benchmark.records.record import Record, WeightsUsed, text
from benchmark.registry import DIGEST

# Settings with a column of their own, and those that do not tell one row from another: the seeds
# are what a row is the mean of; where the data lie, what computes and what would have been allowed
# must not matter. A temperature changes no diagnosis and no rank.
_OWN_COLUMN = frozenset(
    {"arch", "framework", "task", "method", "dataset", "weights", "pretrain_on", "explainer"}
)
_OWN_COLUMN |= {"image_size", "budget", "recipe.epochs"}
_QUESTION, _METHODS_OWN = "task_options.", "method_options."
_NOT_IDENTIFYING = frozenset({"seed", "temperature_scaling", *DECIDE_NOTHING})
# Of what others wrote, before its name; so many letters tell one version from another.
_OTHERS, _TOLD = "others.", len(DIGEST) + 8
# Settings that a method may decide.
_BY_METHOD = frozenset({"recipe.head", "recipe.class_weights"})

# What tells rows of one section apart; runs of one rank, or without one, are sorted by it.
ROW_ORDER = (
    *(COLUMNS.dataset, COLUMNS.arch, COLUMNS.framework, COLUMNS.method, COLUMNS.weights_source),
    *(COLUMNS.image_size, COLUMNS.budget, COLUMNS.epochs, COLUMNS.settings),
)


def rows_of(records: Iterable[Record]) -> list[list[Record]]:
    """The records of each row, one per seed, in the order of the seeds.

    Two records share a row when they agree in protocol, data, architecture, method and every
    setting but `_NOT_IDENTIFYING`. Of two records of one seed the newer counts.
    """
    rows: dict[tuple[str, ...], dict[str, Record]] = defaultdict(dict)
    for record in sorted(records, key=lambda r: (r.created, r.run_id)):
        rows[tuple(_identity(record).values())][text(record.config.get("seed"))] = record
    # By length first: seed 10 comes after seed 2.
    return [
        [seeds[seed] for seed in sorted(seeds, key=lambda s: (len(s), s))]
        for seeds in rows.values()
    ]


def build_table(records: Iterable[Record]) -> pd.DataFrame:
    """One row per thing that is compared, each the mean over its seeds (see `rows_of`).

    Intervals over several seeds are `columns.over_seeds`. Rows rank by the headline within
    one protocol, ties share the better rank.

    Returns:
        Columns `COLUMNS`, then `metric_columns` of every metric of any record, by name. A metric
        that is undefined or absent for one seed is missing in the row, never averaged over the
        others; a row without its headline has no rank. Sorted by protocol, rank, then the rest.
    """
    rows = rows_of(records)
    metrics = sorted({name for seeds in rows for r in seeds for name in (r.headline, *r.metrics)})
    return _ranked(frame([_row(seeds, metrics) for seeds in rows]))


def sections(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The table cut into parts whose runs may be ranked together, best run first in each."""
    return [part for _, part in table.groupby(COLUMNS.section, sort=False)]


def section_id(section: pd.DataFrame) -> str:
    """Eight hex digits that name a section's protocol, data and split."""
    return str(section[COLUMNS.section].iloc[0])


def leading(section: pd.DataFrame) -> pd.DataFrame:
    """The rows a section is about: its runs; of a section without runs, all."""
    runs = section[section[COLUMNS.kind] == "run"]
    return section if runs.empty else runs


def varying_settings(section: pd.DataFrame) -> list[str]:
    """For each row, the settings in which the rows of the section differ, such as "epochs=9".

    A method's own options, and what it decides of the recipe, are compared with those of rows of
    the same method only.
    """
    rows = [json.loads(settings) for settings in section[COLUMNS.settings]]
    methods = section[COLUMNS.method].tolist()
    told: list[list[str]] = [[] for _ in rows]
    for key in sorted({key for row in rows for key in row}):
        own = key.startswith((_METHODS_OWN, _OTHERS)) or key in _BY_METHOD
        values = defaultdict(set)
        for row, method in zip(rows, methods, strict=True):
            values[own and method].add(text(row.get(key)))
        for row, method, parts in zip(rows, methods, told, strict=True):
            if len(values[own and method]) > 1:
                parts.append(f"{_called(key)}={text(row.get(key))}")
    return [", ".join(parts) for parts in told]


def _called(key: str) -> str:
    """A setting's name: a file's has dots of its own."""
    return key.removeprefix(_OTHERS) if key.startswith(_OTHERS) else key.split(".")[-1]


def settings_apart(settings: str) -> tuple[str, str]:
    """A row's settings in two parts, both JSON: the method's own with what others wrote, the rest.

    What a method decides of the recipe is in neither.
    """
    every = json.loads(settings)
    own = {k: v for k, v in every.items() if k.startswith((_METHODS_OWN, _OTHERS))}
    rest = {k: v for k, v in every.items() if k not in own and k not in _BY_METHOD}
    return json.dumps(own, sort_keys=True), json.dumps(rest, sort_keys=True)


def conditions(section: pd.DataFrame) -> str:
    """What a section's rows were asked, on what terms, and what they started from, in words."""
    first = section.iloc[0]
    parts = [*asked(options_of(first[COLUMNS.question])), leaking(section), pretraining(section)]
    return ", ".join(filter(None, parts))


def asked(options: Mapping[str, str]) -> list[str]:
    """A task's options in words, one each: "ratio 50", "MEL against the rest"."""
    return [_asked(name, value) for name, value in options.items()]


def _asked(name: str, value: str) -> str:
    if name == "imbalance":
        return f"ratio {value}" if value.isdigit() else f"{value} ratio"
    if name == "label_fractions":
        return f"{', '.join(value.split(','))} % of the labels"
    words = {"positive": f"{value} against the rest", "unlabelled": f"images of {value} besides"}
    return words.get(name, f"{name.replace('_', ' ')} {value}")


def leaking(section: pd.DataFrame) -> str:
    """A warning where the parts of a section's runs share what they must not, else ""."""
    return "leaks allowed" if section[COLUMNS.leaks].iloc[0] else ""


def pretraining(section: pd.DataFrame) -> str:
    """What a section's rows started from and are explained by, in words: all by the same."""
    first = section.iloc[0]
    parts = [_STARTS[first[COLUMNS.weights]]] if first[COLUMNS.weights] != "none" else []
    if first[COLUMNS.pretrained_on]:
        parts.append(f"pre-trained on {first[COLUMNS.pretrained_on]}")
    parts = parts or ["no pre-training"]
    return ", ".join([*parts, *filter(None, [first[COLUMNS.explainer]])])


def heading(metric: str) -> str:
    """A metric's title with an arrow where smaller is better."""
    return f"{title(metric)} ↓" if smaller_is_better(metric) else title(metric)


_STARTS = {
    "imagenet": "ImageNet weights of keras.applications",
    "timm": "timm's weights",
    "file": "weights from files",
    "unverified": "submitted, without extra data by the authors' account",
    "unverified-extra": "submitted, with extra data",
}
_LONGEST_SOURCE = 80


def _identity(record: Record) -> dict[str, str]:
    """The values of the columns that tell one row from another."""
    # How a submission was trained is not known, so the defaults are not its.
    config = (_UNSAID if record.submission is None else {}) | _flat(record.config)
    if not config.get("pretrain_on"):
        # The budget's, and of nothing.
        config.pop("pretrain_epochs", None)
    rest = {
        k: v
        for k, v in config.items()
        if k not in _OWN_COLUMN | _NOT_IDENTIFYING and not k.startswith(_QUESTION)
    }
    # What others wrote and have edited since is something else.
    rest |= {_OTHERS + name: told[:_TOLD] for name, told in record.origins.items()}
    return protocol(record) | {
        COLUMNS.dataset: record.data.name,
        COLUMNS.arch: text(config.get("arch")),
        COLUMNS.framework: text(config.get("framework")),
        COLUMNS.method: text(config.get("method")),
        COLUMNS.weights_source: _source(record.weights),
        COLUMNS.image_size: size(config.get("image_size")),
        COLUMNS.budget: text(config.get("budget")),
        COLUMNS.epochs: text(config.get("recipe.epochs")),
        COLUMNS.settings: json.dumps(rest, sort_keys=True),
    }


def _source(weights: WeightsUsed) -> str:
    """The name of the weights; with the first digits of its hash where it is the user's own.

    Of a submission the beginning of what its authors say: its page has all of it.
    """
    if weights.kind in ("unverified", "unverified-extra"):
        return shorten(f"trained on {weights.name}", _LONGEST_SOURCE, placeholder=" ...")
    if weights.run is not None:
        return weights.name
    digits = f" ({weights.sha256[:8]})" if weights.kind == "file" and weights.sha256 else ""
    return weights.name + digits if weights.kind in ("timm", "file") else ""


def _row(records: Sequence[Record], metrics: list[str]) -> dict[str, Any]:
    """One row from the records of its seeds, one each."""
    headline = [estimate(r.metrics.get(r.headline)) for r in records]
    row: dict[str, Any] = _identity(records[0]) | {
        COLUMNS.kind: "run",
        COLUMNS.parameters: records[0].parameters,
        COLUMNS.hardware: shared_hardware(records),
        COLUMNS.seconds: mean_seconds_per_image(records),
        COLUMNS.seeds: " ".join(text(r.config.get("seed")) for r in records),
        COLUMNS.n_seeds: len(records),
        COLUMNS.n_images: min(e.n for e in headline),
        COLUMNS.n_groups: min(e.groups for e in headline),
        COLUMNS.run_ids: " ".join(r.run_id for r in records),
        COLUMNS.created: max(r.created for r in records),
        COLUMNS.benchmark_versions: " ".join(sorted({r.benchmark_version for r in records})),
        COLUMNS.submitted: "" if records[0].submission is None else "yes",
    }
    for name in metrics:
        row |= score(name, over_seeds(name, [estimate(r.metrics.get(name)) for r in records]))
    return row


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    signs = table[COLUMNS.headline].map(smaller_is_better).map({True: -1.0, False: 1.0})
    scores = pd.Series(
        [row[row[COLUMNS.headline]] for _, row in table.iterrows()], table.index, dtype=float
    )
    ranks = (scores * signs).groupby(table[COLUMNS.section]).rank(method="min", ascending=False)
    table[COLUMNS.rank] = ranks.astype("Int64")
    return table.sort_values(
        [*PROTOCOL, COLUMNS.rank, *ROW_ORDER],
        key=lambda column: column.map(_by_number) if column.name == COLUMNS.question else column,
        na_position="last",
        kind="stable",
        ignore_index=True,
    )


def _by_number(question: str) -> str:
    """A question so that its ratios sort together, and 50 before 100."""
    options = (f"{name}={value}" for name, value in reversed(options_of(question).items()))
    return re.sub(r"\d+", lambda digits: digits.group().zfill(9), ", ".join(options))


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """A model's settings that have a default, and those of the models in it."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found[name] = _defaults(kind)
        elif not field.is_required():
            found[name] = field.default
    return found


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


# An older record lacks settings that came later: their defaults are what was done before.
_UNSAID = _flat(_defaults(RunConfig))
