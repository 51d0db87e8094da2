"""A test set in PyTorch as timm's validation script goes through it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmark.speed.sides import nets
from benchmark.speed.sides.inference import test_set
from benchmark.speed.sides.pipeline import WORKERS
from benchmark.speed.worker import Prepared
from benchmark.training.loop import PREDICTION_BATCH


def loop(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """DataLoader, inference mode, softmax."""
    root = test_set(settings, scratch).root
    batches = DataLoader(
        ImageFolder(str(root), v2.PILToTensor()),
        PREDICTION_BATCH,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    module = nets.engine(settings).network.module.eval()
    device = next(module.parameters()).device

    def work() -> np.ndarray:
        found = []
        with torch.inference_mode():
            for images, _ in batches:
                found.append(module(images.permute(0, 2, 3, 1).to(device)).softmax(1))
        return torch.cat(found).cpu().numpy()

    return Prepared(work, facts={"workers": WORKERS})
