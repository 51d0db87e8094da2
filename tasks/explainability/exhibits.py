"""What a run shows: sheets of explained images, curves and the gallery page."""

import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmark import gallery, pictures
from benchmark.data.dataset import Dataset
from benchmark.data.pixels import in_threads, resize
from benchmark.metrics import maps
from benchmark.records.record import Metric
from tasks.explainability.image import (
    WHOLE_LESION,
    heatmap,
    readings,
    score_characteristic,
    share,
)
from tasks.given import Explanations, Outputs, Score
from tasks.reliability import draw_added
from tasks.scoring import draw_confusion

# Images on a sheet of best, median and worst, and on that of a characteristic.
SHEET_IMAGES = 4
_SHEETS = {"best": "Best explained", "median": "In the middle", "worst": "Worst explained"}
# By how many there are; of more than three, three.
_CHOSEN = {
    1: "the only explained image",
    2: "the better and the worse explained image",
    3: "the best, a middling and the worst explained image",
}
# Images on the page; of more, every nth by rank, so that the page stays light.
GALLERY_IMAGES = 120
# Longer side of what is shown, pixels.
SHOWN_SIDE = 360


def draw(dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
    """Write every picture of a trial into `folder`; the files, the page first."""
    found = outputs.explanations
    assert found is not None
    table = score.tables["per_image"]
    scored = table["network_f1"].dropna()
    ranked = scored.sort_values(ascending=False, kind="stable").index
    shown = list(ranked[_spread(len(ranked), GALLERY_IMAGES)])
    sheets = _choices(list(ranked))
    wanted = list(dict.fromkeys([*shown, *(i for ids in sheets.values() for i in ids)]))
    exhibits = dict(
        zip(
            wanted,
            in_threads(partial(_exhibit, dataset, outputs, table), wanted),
            strict=True,
        )
    )
    drawn = []
    for name, ids in sheets.items():
        drawn.append(folder / f"explanations-{name}.png")
        title = f"{_SHEETS[name]}: {found.explainer} of the true class, by F1"
        pictures.explanations([exhibits[i] for i in ids], drawn[-1], title)
    drawn += _draw_characteristics(dataset, outputs, score, folder)
    drawn += _draw_levels(score, folder)
    drawn += _draw_probes(found, folder)
    drawn += [draw_confusion(dataset, outputs, folder), *draw_added(dataset, score, folder)]
    sections = [
        gallery.Section(
            "Test images, best explained first",
            f"{len(shown)} of {len(ranked)} images, evenly spaced by rank"
            if len(shown) < len(ranked)
            else f"all {len(ranked)}",
            [exhibits[i] for i in shown],
        )
    ]
    heading = f"Where the network looks: {dataset.name}, {found.explainer}"
    page = gallery.write(folder, heading, _summary(score), sections, drawn)
    return [page, *drawn]


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` positions of `count`, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _choices(ranked: list[str]) -> dict[str, list[str]]:
    middle = max((len(ranked) - SHEET_IMAGES) // 2, 0)
    return {
        "best": ranked[:SHEET_IMAGES],
        "median": ranked[middle : middle + SHEET_IMAGES],
        "worst": ranked[::-1][:SHEET_IMAGES],
    }


def _exhibit(
    dataset: Dataset,
    outputs: Outputs,
    table: pd.DataFrame,
    sample: str,
    characteristic: str | None = None,
) -> pictures.Exhibit:
    """One image as it is shown; experts' map and scores are of one characteristic where named."""
    assert outputs.explanations is not None
    position = outputs.ids.index(sample)
    own = maps.finite(outputs.explanations.true[position])
    read = readings(dataset, sample)
    if characteristic is None:
        marked, row = read.first, table.loc[sample]
        seen = tuple(name for name in read.characteristics if name != WHOLE_LESION)
    else:
        marked, seen = read.characteristics[characteristic], (characteristic,)
        row = pd.Series(score_characteristic(read, characteristic, own))
    photograph = dataset.image(sample)
    scale = min(1.0, SHOWN_SIDE / max(photograph.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in photograph.shape[:2])
    return pictures.Exhibit(
        id=sample,
        photograph=resize(photograph, (height, width)),
        experts=cv2.resize(
            share(marked, read.readers), (width, height), interpolation=cv2.INTER_AREA
        ),
        network=heatmap(own, (height, width)),
        truth=dataset.classes[dataset.table.at[sample, "label"]],
        said=dataset.classes[int(outputs.probabilities[position].argmax())],
        scores={
            "F1": float(row["network_f1"]),
            "Gaussian": float(row["gaussian_f1"]),
            "AUPRC": float(row["network_auprc"]),
        },
        annotators=read.readers,
        characteristics=seen,
    )


def _draw_characteristics(
    dataset: Dataset, outputs: Outputs, score: Score, folder: Path
) -> list[Path]:
    """Some images of each characteristic, by F1 against its own mask."""
    rows = score.tables["levels_per_image"]
    rows = rows[(rows["protocol"] == "dermbench-1") & (rows["level"] == "characteristic")]
    drawn = []
    for name, part in rows[rows["name"] != WHOLE_LESION].groupby("name"):
        ids = list(part["f1"].sort_values(ascending=False, kind="stable").index)
        chosen = [ids[k] for k in _spread(len(ids), max(_CHOSEN))]
        slug = re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")
        drawn.append(folder / f"characteristic-{slug}.png")
        shown = partial(
            _exhibit, dataset, outputs, score.tables["per_image"], characteristic=str(name)
        )
        title = f"{name}: {_CHOSEN[len(chosen)]}, by F1 against its own mask"
        pictures.explanations(list(in_threads(shown, chosen)), drawn[-1], title)
    return drawn


def _draw_levels(score: Score, folder: Path) -> list[Path]:
    """The headline's F1 by characteristic, annotator and subgroup."""
    table = score.tables["levels"]
    table = table[(table["protocol"] == "dermbench-1") & (table["score"] == "f1")]
    whole = score.metrics["explainability_f1"].value
    if table.empty or whole is None:
        return []
    rows = [
        pictures.Level(
            level=row.level,
            name=row.name,
            value=_number(row.value),
            low=_number(row.low),
            high=_number(row.high),
            images=row.n,
        )
        for row in table.sort_values(["level", "name"], kind="stable").itertuples(index=False)
    ]
    target = folder / "levels.png"
    pictures.levels(rows, whole, "F1", target)
    return [target]


def _number(value: float | None) -> float | None:
    return None if pd.isna(value) else value


def _draw_probes(found: Explanations, folder: Path) -> list[Path]:
    probes = found.probes
    curves, cascade = folder / "insertion-deletion.png", folder / "randomisation.png"
    pictures.curves(
        probes.shares,
        {"insertion": probes.insertion, "deletion": probes.deletion},
        f"Insertion and deletion, {len(probes.ids)} test images",
        curves,
    )
    pictures.randomisation(probes.stages, probes.similarity, cascade)
    return [curves, cascade]


def _summary(score: Score) -> list[tuple[str, str]]:
    """The first lines of the page."""
    lines = [
        ("F1 of the network", "explainability_f1"),
        ("F1 by dermxdb-2023", "dermxdb_2023_f1"),
        ("skill between floor and annotators", "explainability_skill"),
        ("diagnosis, macro AUC", "macro_auc"),
    ]
    said = [(title, _spelled(score.metrics[name])) for title, name in lines]
    said += [
        (f"F1 of the {name} ({each.kind})", _spelled(each.metrics["explainability_f1"]))
        for name, each in score.baselines.items()
    ]
    return said


def _spelled(found: Metric) -> str:
    if found.value is None:
        return "-"
    interval = f" [{found.low:.3f}, {found.high:.3f}]" if found.low is not None else ""
    return f"{found.value:.3f}{interval}, n = {found.n}"
