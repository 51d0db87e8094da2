"""The same files through torch's DataLoader and torchvision's transforms (v2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmark.speed.sides import made
from benchmark.speed.sides.pipeline import WORKERS, Loading


def loader(settings: Mapping[str, Any], scratch: Path) -> Loading:
    """The changes of our recipe in torchvision's terms; every epoch decodes the files."""
    paths = made.files(scratch / "images", settings["images"])
    size = settings["size"]
    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize((size, size), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(180, scale=(0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.1),
        ]
    )
    batches = DataLoader(
        ImageFolder(str(scratch / "images"), transform),
        settings["batch"],
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
        generator=torch.Generator().manual_seed(0),
    )

    def work() -> int:
        return sum(len(labels) for _, labels in batches)

    facts = {"workers": WORKERS, **made.facts(paths)}
    return Loading(work, np.atleast_1d, facts=facts, batches=batches)
