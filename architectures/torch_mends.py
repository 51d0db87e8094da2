"""What has to be changed in timm's modules to make them the networks of keras.applications.

Each function takes a timm network, mends it in place and says how Keras differs. Module
names stay timm's, so the tables in `keras_to_torch` hold for timm's stock networks too.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

BatchNorm = nn.modules.batchnorm._BatchNorm


def batchnorms(module: nn.Module) -> list[nn.BatchNorm2d]:
    """Every batch normalisation below `module`."""
    return [m for m in module.modules() if isinstance(m, BatchNorm)]


def pad_end(x: Tensor, kernel: int, value: float) -> Tensor:
    """Pad as TensorFlow's SAME for stride 2; a 3x3: (0, 1) on even sides, (1, 1) on odd ones.

    Args:
        x: (N, C, H, W).
        kernel: odd.
        value: 0 or -inf.
    """
    height, width = x.shape[-2:]
    reach = kernel // 2
    return F.pad(x, (reach - 1 + width % 2, reach, reach - 1 + height % 2, reach), value=value)


class SamePool(nn.Module):
    """3x3 max-pooling with stride 2 and SAME padding: MaxPool2d(3, 2, 1) pads evenly instead."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2))."""
        return F.max_pool2d(pad_end(x, 3, float("-inf")), 3, 2)


class EndPaddedConv(nn.Conv2d):
    """Convolution after one row and one column of zeros at the end, whatever the parity."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, floor(H/2), floor(W/2)) for 3x3 with stride 2."""
        padded = F.pad(input, (0, 1, 0, 1))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class EdgeAverage(nn.Module):
    """Turns a 3x3 average that counted zero padding into one that did not, then convolves.

    InceptionV3 computes the average itself and hands it to `branch_pool`; at the border it has
    divided by 9 where TensorFlow divides by the pixels inside (6, or 4 in a corner).
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.conv = branch.conv
        self.bn = branch.bn

    def forward(self, averaged: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W)."""
        inside = torch.ones(
            (1, 1, *averaged.shape[-2:]), dtype=averaged.dtype, device=averaged.device
        )
        return self.bn(self.conv(averaged / F.avg_pool2d(inside, 3, 1, 1)))


class LateStrideBlock(nn.Module):
    """Bottleneck of ResNetV2 that halves the map: its shortcut takes every second raw pixel."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.norm1, self.conv1 = block.norm1, block.conv1
        self.norm2, self.conv2 = block.norm2, block.conv2
        self.norm3, self.conv3 = block.norm3, block.conv3
        self.conv2.stride = (2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2))."""
        y = self.conv1(self.norm1(x))
        y = self.conv3(self.norm3(self.conv2(self.norm2(y))))
        return y + x[:, :, ::2, ::2]


def _add_bias(*convs: nn.Conv2d) -> None:
    for conv in convs:
        conv.bias = nn.Parameter(torch.zeros(conv.out_channels))


def _mend_resnet50(net: nn.Module) -> None:
    """Keras strides in the first 1x1 (timm: in the 3x3) and all 53 convolutions have a bias."""
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    _add_bias(*(m for m in net.modules() if isinstance(m, nn.Conv2d)))


def _mend_resnet50v2(net: nn.Module) -> None:
    """Keras strides in the last block of stages 1 to 3 (timm: in the first of stages 2 to 4).

    Stem, shortcuts and the last convolution of each block have a bias.
    """
    _add_bias(net.stem.conv)
    for number, stage in enumerate(net.stages):
        for block in stage.blocks:
            block.conv2.stride = (1, 1)
            _add_bias(block.conv3)
            if block.downsample is not None:
                block.downsample.conv.stride = (1, 1)
                _add_bias(block.downsample.conv)
        if number < 3:
            stage.blocks[-1] = LateStrideBlock(stage.blocks[-1])


def _mend_inception_v3(net: nn.Module) -> None:
    """Keras' averages leave padding out, and BatchNormalization has no gamma."""
    for block in net.children():
        if isinstance(getattr(block, "branch_pool", None), nn.Module):
            block.branch_pool = EdgeAverage(block.branch_pool)
    _drop_gamma(net)


def _drop_gamma(net: nn.Module) -> None:
    """Keras' BatchNormalization(scale=False): a constant 1, in no file and never trained."""
    for norm in batchnorms(net):
        gamma = norm.weight.detach()
        del norm.weight
        norm.register_buffer("weight", torch.ones_like(gamma), persistent=False)


def _mend_mobilenet(net: nn.Module) -> None:
    """Keras pads the four strided depthwise convolutions at the end only, even on odd sides."""
    for stage in net.blocks[1:]:
        old = stage[0].conv_dw
        channels = old.out_channels
        stage[0].conv_dw = EndPaddedConv(channels, channels, 3, 2, groups=channels, bias=False)


def _mend_xception(net: nn.Module) -> None:
    """Keras' max-pooling has SAME padding."""
    for block in (net.block1, net.block2, net.block3, net.block12):
        block.rep[-1] = SamePool()


MENDS: dict[str, Callable[[nn.Module], None]] = {
    "ResNet50": _mend_resnet50,
    "ResNet50V2": _mend_resnet50v2,
    "InceptionV3": _mend_inception_v3,
    "InceptionResNetV2": _drop_gamma,
    "MobileNet": _mend_mobilenet,
    "Xception": _mend_xception,
}
