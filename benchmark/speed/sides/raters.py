"""Agreement between annotators: all of ours, and the loop over pairs that one writes at first."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data import load
from benchmark.data.dataset import Dataset
from benchmark.raters import raters
from benchmark.raters.overlap import IMAGE
from benchmark.speed.worker import Prepared

# Of all images, so that a turn takes seconds.
_EVERY = 10


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """`benchmark.raters.raters`: all that the command computes."""
    dataset = _dataset(settings)

    def compared(pairs: pd.DataFrame) -> np.ndarray:
        of_images = pairs[(pairs["level"] == IMAGE) & (pairs["drew"] == 2)]
        return of_images.sort_values(["id", "annotator_1", "annotator_2"])["f1"].to_numpy()

    facts = {"images": len(dataset.table), "masks": len(dataset.masks)}
    return Prepared(lambda: raters(dataset).pairs, compared, facts=facts)


def pil_loop(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The F1 of every two who marked something on an image, by Pillow and numpy."""
    dataset = _dataset(settings)

    def union(paths: list[str]) -> np.ndarray | bool:
        marked: np.ndarray | bool = False
        for path in paths:
            marked = marked | (np.array(Image.open(path).convert("L")) > 127)
        return marked

    def work() -> list[float]:
        found = []
        for sample in sorted(dataset.table.index):
            masks = dataset.mask_rows(sample)
            own = {name: list(rows["path"]) for name, rows in masks.groupby("annotator")}
            for first, second in combinations(sorted(own), 2):
                a, b = union(own[first]), union(own[second])
                marked = np.sum(a) + np.sum(b)
                if marked:
                    found.append(2 * np.sum(a & b) / marked)
        return found

    return Prepared(work)


def _dataset(settings: Mapping[str, Any]) -> Dataset:
    """Every tenth image, in the order of the table."""
    whole = load(settings["dataset"], settings["dataset"])
    table = whole.table.iloc[::_EVERY]
    masks = whole.masks[whole.masks["id"].isin(table.index)]
    return replace(whole, table=table, masks=masks)
