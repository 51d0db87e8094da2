"""Training in PyTorch without us: a bare loop on tensors, and torch's own loader of files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from benchmark.speed.sides import made, nets
from benchmark.speed.sides.pipeline_torch import loader as batches_of
from benchmark.speed.sides.recipes import recipe
from benchmark.speed.sides.training import trained, warmed
from benchmark.speed.worker import Prepared
from benchmark.training.engine import ADAM_EPSILON


class _Loop:
    """The steps that every PyTorch tutorial has."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        asked = recipe(settings)
        self.network = nets.engine(settings).network
        self.device = next(self.network.module.parameters()).device
        self._optimiser = torch.optim.AdamW(
            self.network.module.parameters(),
            lr=asked.learning_rate,
            eps=ADAM_EPSILON,
            weight_decay=asked.weight_decay,
            fused=True,
        )

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images (B, H, W, 3) uint8, labels (B,) int64; the loss."""
        self._optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.network.forward(images, training=True).logits, labels)
        loss.backward()
        self._optimiser.step()
        return loss.detach()


def bare(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The limit: batches that are tensors in memory already, not augmented."""
    return _bare(_Loop(settings), settings)


def compiled(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The bare loop with a backbone that torch.compile has compiled."""
    loop = _Loop(settings)
    module = loop.network.module
    module.maps = torch.compile(module.maps)
    return warmed(_bare(loop, settings))


def _bare(loop: _Loop, settings: Mapping[str, Any]) -> Prepared:
    count, size, batch = settings["images"], settings["size"], settings["batch"]
    images = torch.from_numpy(made.pixels(count, size, size)).to(loop.device)
    labels = torch.from_numpy(made.labels(count)).to(loop.device)

    def work() -> int:
        losses = [
            loop.step(images[start : start + batch], labels[start : start + batch])
            for start in range(0, count, batch)
        ]
        float(torch.stack(losses).mean())
        return len(losses) * batch

    return Prepared(work, trained)


def loader(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The same loop behind torch's DataLoader and torchvision's transforms, as timm's script."""
    loop = _Loop(settings)
    batches = batches_of(settings, scratch).batches

    def work() -> int:
        losses = [
            loop.step(images.permute(0, 2, 3, 1).to(loop.device), labels.to(loop.device))
            for images, labels in batches
        ]
        float(torch.stack(losses).mean())
        return len(losses) * settings["batch"]

    return Prepared(work, trained)
