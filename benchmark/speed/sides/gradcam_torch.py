"""Grad-CAM of the libraries for PyTorch, each called as its own documentation does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.speed.sides.gradcam import asked, scaled, shown
from benchmark.speed.worker import Prepared


class _Plain(nn.Module):
    """The network as libraries expect one: (N, 3, H, W) in, logits out, a layer to hook."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layer(self.module.maps(images.permute(0, 2, 3, 1)))
        return self.module.tail(maps).logits


def grad_cam(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """pytorch-grad-cam; its maps come scaled, and as large as the image."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, images, targets = _asked(settings)
    library = GradCAM(model, [model.layer])
    chosen = [ClassifierOutputTarget(int(target)) for target in targets]
    # What it adds to a maximum before it divides by it is much where maps are faint.
    return Prepared(lambda: library(images, chosen), scaled)


def torchcam(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """torch-cam."""
    from torchcam.methods import GradCAM

    model, images, targets = _asked(settings)
    library = GradCAM(model, model.layer)

    def work() -> np.ndarray:
        (maps,) = library(targets.tolist(), model(images), normalized=False)
        return maps.cpu().numpy()

    return Prepared(work, lambda maps: shown(maps, settings["size"]))


def captum(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """LayerGradCam of captum."""
    from captum.attr import LayerGradCam

    model, images, targets = _asked(settings)
    library = LayerGradCam(model, model.layer)
    chosen = torch.from_numpy(targets).to(images.device)

    def work() -> np.ndarray:
        maps = library.attribute(images, target=chosen, relu_attributions=True)
        return maps.detach()[:, 0].cpu().numpy()

    return Prepared(work, lambda maps: shown(maps, settings["size"]))


def _asked(settings: Mapping[str, Any]) -> tuple[_Plain, Tensor, np.ndarray]:
    network, images, targets = asked(settings)
    device = next(network.module.parameters()).device
    floats = torch.from_numpy(images).permute(0, 3, 1, 2).float().to(device)
    return _Plain(network.module.eval()), floats, targets
