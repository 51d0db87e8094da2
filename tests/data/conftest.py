"""A small data set that every test may spoil."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.data.dataset import MASK_COLUMNS, UNLABELLED, Dataset


@pytest.fixture
def dataset(tmp_path):
    """Six images, a to f, with a mask each; c and f are larger, f is unlabelled."""
    rng = np.random.default_rng(1)
    rows, masks = [], []
    for number, name in enumerate("abcdef"):
        size = (9, 7) if name in "cf" else (6, 5)
        path, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)).save(path)
        marked = np.zeros((size[1], size[0]), np.uint8)
        marked[0, : number % 3 + 1] = 255
        Image.fromarray(marked).save(mask)
        label = UNLABELLED if name == "f" else number % 2
        rows.append((str(path), label, f"g{number // 2}", "", number * 10.0, "left"))
        masks.append((name, f"r{number % 2}", "Scale", str(mask)))
    table = pd.DataFrame(
        rows,
        columns=["path", "label", "group", "split", "age", "side"],
        index=pd.Index(list("abcdef"), name="id"),
    )
    return Dataset(
        "test",
        tmp_path,
        table,
        ("even", "odd"),
        pd.DataFrame(masks, columns=list(MASK_COLUMNS)),
        ("something odd",),
    )
