"""NASNet-A (4 @ 1056) as a PyTorch module, the graph of keras.applications.NASNetMobile.

timm has the large variant only. Cells: Zoph et al., arXiv 1707.07012, fig. 4; padding, wiring and
where the ReLUs stand follow keras/src/applications/nasnet.py. Module names follow Keras' layers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from architectures.torch_mends import pad_end

_BLOCKS = 4
_FILTERS = 1056 // 24
_STEM_FILTERS = 32


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


class Separable(nn.Module):
    """Depthwise, then pointwise convolution; stride 2 pads as TensorFlow's SAME does."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        padding = kernel // 2 if stride == 1 else 0
        self.depthwise = nn.Conv2d(
            inputs, inputs, kernel, stride, padding, groups=inputs, bias=False
        )
        self.pointwise = _conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/stride), ceil(W/stride))."""
        if self.stride == 2:
            x = pad_end(x, self.kernel, 0.0)
        return self.pointwise(self.depthwise(x))


class SeparablePair(nn.Module):
    """Twice ReLU, separable convolution, batch normalisation; only the first one strides."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv_1 = Separable(inputs, outputs, kernel, stride)
        self.bn_1 = nn.BatchNorm2d(outputs)
        self.conv_2 = Separable(outputs, outputs, kernel, 1)
        self.bn_2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/stride), ceil(W/stride))."""
        x = self.bn_1(self.conv_1(F.relu(x)))
        return self.bn_2(self.conv_2(F.relu(x)))


class Project(nn.Module):
    """Bring the previous cell's map to this cell's number of filters."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_projection = _conv(inputs, outputs)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W)."""
        return self.bn(self.conv_projection(F.relu(x)))


class Reduce(nn.Module):
    """As `Project`, at half the size: every second pixel, and every second one shifted by one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_1 = _conv(inputs, outputs // 2)
        self.conv_2 = _conv(inputs, outputs // 2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/2), ceil(W/2))."""
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(
            torch.cat([self.conv_1(x[:, :, ::2, ::2]), self.conv_2(shifted[:, :, ::2, ::2])], 1)
        )


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Cell(nn.Module):
    """What normal and reduction cells share: the two inputs brought to `filters` channels."""

    def __init__(self, inputs: int, filters: int, adjust: nn.Module) -> None:
        super().__init__()
        self.adjust = adjust
        self.conv_1 = _conv(inputs, filters)
        self.bn_1 = nn.BatchNorm2d(filters)

    def inputs(self, x: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """The current map and the previous cell's, ready to be combined."""
        return self.bn_1(self.conv_1(F.relu(x))), self.adjust(previous)


class NormalCell(Cell):
    """Keeps the size; 6 * filters channels."""

    def __init__(self, inputs: int, filters: int, adjust: nn.Module) -> None:
        super().__init__(inputs, filters, adjust)
        self.left1 = SeparablePair(filters, filters, 5)
        self.right1 = SeparablePair(filters, filters, 3)
        self.left2 = SeparablePair(filters, filters, 5)
        self.right2 = SeparablePair(filters, filters, 3)
        self.left5 = SeparablePair(filters, filters, 3)

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        """Maps of the last two cells -> (N, 6 * filters, H, W)."""
        h, p = self.inputs(x, previous)
        average = _average(p)
        combined = [
            p,
            self.left1(h) + self.right1(p),
            self.left2(p) + self.right2(p),
            _average(h) + p,
            average + average,
            self.left5(h) + h,
        ]
        return torch.cat(combined, 1)


class ReductionCell(Cell):
    """Halves the size; 4 * filters channels."""

    def __init__(self, inputs: int, previous: int, filters: int, adjust: nn.Module) -> None:
        super().__init__(inputs, filters, adjust)
        self.left1 = SeparablePair(filters, filters, 5, stride=2)
        self.right1 = SeparablePair(previous, filters, 7, stride=2)
        self.right2 = SeparablePair(previous, filters, 7, stride=2)
        self.right3 = SeparablePair(previous, filters, 5, stride=2)
        self.left4 = SeparablePair(filters, filters, 3)

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        """Maps of the last two cells -> (N, 4 * filters, ceil(H/2), ceil(W/2))."""
        h, p = self.inputs(x, previous)
        # Keras pads with zeros before pooling: the maximum is at least 0 there and the average
        # counts the padding. No ReLU stands in front, so -inf would be another function.
        padded = pad_end(h, 3, 0.0)
        maximum = F.max_pool2d(padded, 3, 2)
        x1 = self.left1(h) + self.right1(p)
        x2 = maximum + self.right2(p)
        x3 = F.avg_pool2d(padded, 3, 2) + self.right3(p)
        return torch.cat([x2, x3, x2 + _average(x1), self.left4(x1) + maximum], 1)


class NASNetMobile(nn.Module):
    """The backbone: (N, 3, H, W) -> (N, 1056, h, w), after the last ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv1 = nn.Conv2d(3, _STEM_FILTERS, 3, 2, bias=False)
        self.stem_bn1 = nn.BatchNorm2d(_STEM_FILTERS)
        quarter, half = _FILTERS // 4, _FILTERS // 2
        self.stem_1 = ReductionCell(_STEM_FILTERS, _STEM_FILTERS, quarter, nn.Identity())
        self.stem_2 = ReductionCell(4 * quarter, half, half, Reduce(_STEM_FILTERS, half))
        cells: dict[str, Cell] = {}
        x, previous = 4 * half, 4 * quarter
        # Keras numbers the normal cells so.
        for stage, first in enumerate((0, 5, 9)):
            filters = _FILTERS * 2**stage
            if stage:
                adjust: nn.Module = Project(previous, filters)
                cells[f"reduce_{_BLOCKS * stage}"] = ReductionCell(x, filters, filters, adjust)
                x, previous = 4 * filters, x
            for number in range(first, first + _BLOCKS):
                # After a reduction the predecessor is twice the size.
                bring = Reduce if number == first else Project
                cells[f"normal_{number}"] = NormalCell(x, filters, bring(previous, filters))
                x, previous = 6 * filters, x
        self.cells = nn.ModuleDict(cells)
        self.activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1056, h, w)."""
        x = self.stem_bn1(self.stem_conv1(images))
        # The first cell has no predecessor and takes the stem twice.
        x, previous = self.stem_1(x, x), x
        x, previous = self.stem_2(x, previous), x
        for cell in self.cells.values():
            # A cell's predecessor is the previous cell's input, after a reduction as well
            # (Keras' skip_reduction=False).
            x, previous = cell(x, previous), x
        return self.activation(x)
