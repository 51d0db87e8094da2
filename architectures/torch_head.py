"""The PyTorch networks' heads, from the Grad-CAM map to the logits."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from architectures.heads import COSINE_FLOOR, COSINE_SCALE, HEAD_DROPOUT, last_layers
from architectures.network import Forward

_EPSILON, _MOMENTUM = 1e-3, 0.99  # Keras' defaults, for the paper's head


class Cosine(nn.Linear):
    """COSINE_SCALE times the cosine of each feature vector with each class's weight vector.

    As LDAM's NormedLinear (Cao et al., arXiv 1906.07413), whose loss multiplies by s.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(N, D) -> (N, classes)."""
        return COSINE_SCALE * F.linear(_unit(input), _unit(self.weight))


def _unit(rows: Tensor) -> Tensor:
    return rows * rows.square().sum(1, keepdim=True).clamp_min(COSINE_FLOOR).rsqrt()


class Head(nn.Module):
    """From the Grad-CAM map to the logits; always in float32 or better.

    Where it says several things, the last dense layer is one for each of them, side by side.
    """

    def __init__(
        self,
        parts: tuple[str, ...],
        map_size: tuple[int, int],
        channels: int,
        sizes: tuple[int, ...],
    ) -> None:
        super().__init__()
        classes = sum(sizes)
        self.flatten = "flatten" in parts
        width = map_size[0] * map_size[1] * channels if self.flatten else channels
        self.layers = nn.ModuleDict()
        self.last = list(last_layers(parts, sizes))
        for position, part in enumerate(parts):
            if position == len(parts) - 1 and len(sizes) > 1:
                for name, size in zip(self.last, sizes, strict=True):
                    self.layers[name] = nn.Linear(width, size)
            elif part == "dense":
                self.layers[f"dense_{position}"] = nn.Linear(width, classes)
                width = classes
            elif part == "cosine":
                self.layers[f"cosine_{position}"] = Cosine(width, classes)
            elif part == "batchnorm":
                self.layers[f"batchnorm_{position}"] = nn.BatchNorm1d(
                    width, _EPSILON, 1 - _MOMENTUM
                )
            elif part == "dropout":
                self.layers[f"dropout_{position}"] = nn.Dropout(HEAD_DROPOUT)

    def forward(self, maps: Tensor) -> Forward:
        """(N, C, h, w) -> features (N, C), logits (N, classes)."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.to(next(self.parameters()).dtype)
            features = maps.mean((2, 3))
            # Keras flattens channels last.
            x = maps.permute(0, 2, 3, 1).flatten(1) if self.flatten else features
            for name, layer in self.layers.items():
                if name not in self.last:
                    x = layer(x)
            said = [self.layers[name](x) for name in self.last]
            # One is not copied: a plain network's logits are the layer's own.
            logits = said[0] if len(said) == 1 else torch.cat(said, 1)
        return Forward(features, logits)
