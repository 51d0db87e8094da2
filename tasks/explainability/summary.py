"""Many images: means with intervals, floors and ceilings, and the levels below the image."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.data.dataset import Dataset
from benchmark.metrics import statistics
from benchmark.metrics.maps import LOCALISATION_SCORES
from benchmark.metrics.statistics import FEW_IMAGES
from benchmark.records.record import Baseline, Metric
from tasks.explainability.image import CEILINGS, FLOORS, FUZZY, LEVEL_SCORES, PUBLISHED
from tasks.given import Probes
from tasks.scoring import BOOTSTRAP_SEED, mean_metric, metric, truth

PUBLISHED_ALL = f"{PUBLISHED}all_images_f1"
# The network's scores that are means over all test images: metric -> column.
PER_IMAGE = {f"explainability_{name}": f"network_{name}" for name in (*FUZZY, *LOCALISATION_SCORES)}
PER_IMAGE |= {
    "predicted_class_f1": "predicted_f1",
    "discrimination_f1": "discrimination_f1",
    # On these the floors are the same in every run; the authors average over correct images only.
    PUBLISHED_ALL: f"network_{PUBLISHED}f1",
}
# What the network is compared with in its skill: maps that nothing was trained for.
_BLIND = ("gaussian", "constant", "mean_mask", "edges")
_2023 = "dermxdb-2023"
# Metadata that makes subgroups; `dataset` is DermXDB's word for the source of a photograph.
SUBGROUPS = ("skin_tone", "age", "sex", "dataset")
# Years become decades-wide groups (ours).
_AGES = ((0, 30, "under 30"), (30, 60, "30 to 59"), (60, 200, "60 and over"))


def network_metrics(table: pd.DataFrame, groups: np.ndarray) -> dict[str, Metric]:
    """The network's scores.

    Args:
        table: per image, the columns "correct" and those of `image.score_image`.
        groups: (N,) lesion or patient of each row.
    """
    correct = table["correct"].to_numpy(bool)
    found = {name: _mean(table, column, groups) for name, column in PER_IMAGE.items()}
    found["explainability_skill"] = skill(table, groups)
    found["correct_only_f1"] = _mean(table[correct], "network_f1", groups[correct])
    if found["discrimination_f1"].value is None:
        found["discrimination_f1"] = found["discrimination_f1"].model_copy(
            update={"note": "this explainer is too slow for the maps of every class"}
        )
    return found | {
        f"{PUBLISHED}{name}": _mean(table[correct], f"network_{PUBLISHED}{name}", groups[correct])
        for name in FUZZY
    }


def probe_metrics(probes: Probes, dataset: Dataset) -> dict[str, Metric]:
    """Areas under the insertion and deletion curves, similarity of maps of random weights."""
    _, groups = truth(dataset, probes.ids)
    return {
        "insertion_auc": mean_metric(np.trapezoid(probes.insertion, probes.shares, axis=1), groups),
        "deletion_auc": mean_metric(np.trapezoid(probes.deletion, probes.shares, axis=1), groups),
        # Random weights may turn a map round, which is as telling as keeping it.
        "randomised_similarity": mean_metric(np.abs(probes.similarity[-1]), groups),
    }


def skill(table: pd.DataFrame, groups: np.ndarray) -> Metric:
    """(network - floor) / (ceiling - floor) of the mean F1 of dermbench-1 (ours).

    The floor is the best of the maps that nothing was trained for, the ceiling one annotator
    against the others; all three are averaged over the images that have a ceiling. 0 is as good as
    that floor, 1 as good as an annotator. Which floor is best is seen on these very images, which
    is in the floor's favour; resamples keep it. One whose ceiling is not above it is left out.
    """
    if "annotator_f1" not in table or table["annotator_f1"].isna().all():
        return Metric(value=None, n=0, groups=0, note="no image has two annotators")
    kept = table["annotator_f1"].notna().to_numpy()
    rows, whose = table[kept], groups[kept]
    floor = max(_present(rows, _BLIND), key=lambda name: rows[f"{name}_f1"].mean())
    values = rows[["network_f1", f"{floor}_f1", "annotator_f1"]].to_numpy(np.float64)
    weights = statistics.group_weights(whose, statistics.RESAMPLES, BOOTSTRAP_SEED)
    value = _skill(values.sum(axis=0))
    samples = np.apply_along_axis(_skill, 1, weights @ values)
    found = metric(
        statistics.Estimate(value, *statistics.interval(samples), len(rows), len(np.unique(whose)))
    )
    note = f"floor: {FLOORS[floor]}" if found.value is not None else "no room above the floor"
    return found.model_copy(update={"note": note})


def _skill(sums: np.ndarray) -> float:
    network, floor, ceiling = sums
    return float((network - floor) / (ceiling - floor)) if ceiling > floor else float("nan")


def baselines(table: pd.DataFrame, groups: np.ndarray) -> dict[str, Baseline]:
    """Floors and ceilings by name, on the network's images; ceilings on those that two read."""
    correct = table["correct"].to_numpy(bool)
    found = {}
    for kind, names in (("floor", FLOORS), ("ceiling", CEILINGS)):
        for prefix in _present(table, tuple(names)):
            metrics = {
                f"explainability_{name}": _mean(table, f"{prefix}_{name}", groups)
                for name in (*FUZZY, *LOCALISATION_SCORES)
                if f"{prefix}_{name}" in table
            }
            metrics |= {
                f"{PUBLISHED}{name}": _mean(
                    table[correct], f"{prefix}_{PUBLISHED}{name}", groups[correct]
                )
                for name in FUZZY
                if f"{prefix}_{PUBLISHED}{name}" in table
            }
            if f"{prefix}_{PUBLISHED}f1" in table:
                metrics[PUBLISHED_ALL] = _mean(table, f"{prefix}_{PUBLISHED}f1", groups)
            found[names[prefix]] = Baseline.model_validate({"kind": kind, "metrics": metrics})
    return found


def _present(table: pd.DataFrame, prefixes: Sequence[str]) -> list[str]:
    return [p for p in prefixes if f"{p}_f1" in table and table[f"{p}_f1"].notna().any()]


def levels(
    rows: pd.DataFrame, table: pd.DataFrame, dataset: Dataset, groups: np.ndarray
) -> pd.DataFrame:
    """Scores below the image and of subgroups of images, long form.

    Args:
        rows: columns id, protocol, level, name and LEVEL_SCORES: one row per image, protocol and
            characteristic or annotator.
        table: as in `network_metrics`.
        dataset: whose metadata make the subgroups.
        groups: as in `network_metrics`.

    Returns:
        Columns protocol, level, name, score, value, low, high, n (images), groups, note. The
        protocol dermxdb-2023 has correctly diagnosed images only.
    """
    whose = pd.Series(groups, index=table.index)
    parts = [rows, *_subgroups(table, dataset)]
    found = []
    for (protocol, level, name), part in pd.concat(parts).groupby(
        ["protocol", "level", "name"], sort=False
    ):
        if protocol == _2023:
            part = part[table.loc[part["id"], "correct"].to_numpy(bool)]
        for score in LEVEL_SCORES:
            measured = mean_metric(part[score].to_numpy(), whose.loc[part["id"]].to_numpy())
            note = f"fewer than {FEW_IMAGES} images" if 0 < measured.n < FEW_IMAGES else ""
            found.append(
                {
                    "protocol": protocol,
                    "level": level,
                    "name": name,
                    "score": score,
                    "value": measured.value,
                    "low": measured.low,
                    "high": measured.high,
                    "n": measured.n,
                    "groups": measured.groups,
                    "note": measured.note or note,
                }
            )
    return pd.DataFrame(found)


def _subgroups(table: pd.DataFrame, dataset: Dataset) -> list[pd.DataFrame]:
    """Rows of the image level, by what the metadata says of the image."""
    found = []
    for column in SUBGROUPS:
        if column not in dataset.table:
            continue
        values = dataset.table.loc[table.index, column]
        if pd.api.types.is_numeric_dtype(values):
            values = values.map(_age_group)
        named = values.fillna("").astype(str).replace("", "(missing)")
        if named.nunique() < 2:
            continue
        for protocol, prefix in (("dermbench-1", "network_"), (_2023, f"network_{PUBLISHED}")):
            part = table[[f"{prefix}{score}" for score in LEVEL_SCORES]]
            part = part.set_axis(list(LEVEL_SCORES), axis=1)
            part = part.assign(protocol=protocol, level=column, name=named)
            found.append(part.rename_axis("id").reset_index())
    return found


def _age_group(years: float) -> str:
    return next((name for low, high, name in _AGES if low <= years < high), "")


def _mean(table: pd.DataFrame, column: str, groups: np.ndarray) -> Metric:
    values = table[column] if column in table else pd.Series(np.nan, index=table.index)
    return mean_metric(values.to_numpy(np.float64), groups)
