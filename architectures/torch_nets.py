"""Catalogue row -> PyTorch network, the same function as its Keras twin.

timm's modules with constructor arguments and the mends of `torch_mends`; NASNetMobile is ours.
"""

from copy import deepcopy
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from architectures import published
from architectures.architecture import Architecture, map_shape
from architectures.cams import Cam
from architectures.nasnet_mobile import NASNetMobile
from architectures.network import Forward, Network
from architectures.pixels import (
    EFFICIENTNET_RESCALE,
    EFFICIENTNET_SCALE,
    PREPROCESSING,
    Preprocessing,
)
from architectures.published import WeightsSource
from architectures.torch_head import Head
from architectures.torch_mends import MENDS, batchnorms
from architectures.weights import Row, Slot, table
from benchmark.errors import UserError

# timm's constructor arguments that bring a model closer to Keras: SAME padding, zeros around the
# stem's pooling, the schedule of stochastic depth, no second classifier.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "EfficientNetB0": {"drop_path_rate": 0.2},
    "InceptionV3": {"aux_logits": False},
    "MobileNet": {"pad_type": "same"},
    "MobileNetV2": {"pad_type": "same"},
    "ResNet50V2": {"stem_type": "fixed"},
}

# Axes of a kernel: torch (out, in, kh, kw) to Keras (kh, kw, in, out); depthwise (C, 1, kh, kw) to
# (kh, kw, C, 1); dense (out, in) to (in, out).
_KERNEL_AXES = {"kernel": (2, 3, 1, 0), "depthwise_kernel": (2, 3, 0, 1), "dense": (1, 0)}


class Pixels(nn.Module):
    """(N, H, W, 3) RGB of 0..255 -> (N, 3, H, W), as a keras.applications `preprocess_input`."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.preprocessing = preprocessing

    def forward(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Scalars per channel, so that float64 networks get exact constants."""
        spec = self.preprocessing
        order = (2, 1, 0) if spec.bgr else (0, 1, 2)
        channels = [
            (images[..., source].to(dtype) / spec.divisor - spec.mean[i]) / spec.deviation[i]
            for i, source in enumerate(order)
        ]
        return torch.stack(channels, 1)


class EfficientNetPixels(nn.Module):
    """EfficientNetB0's input layers: Rescaling, Normalization, Rescaling."""

    mean: Tensor
    variance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("variance", torch.ones(3))
        self.register_buffer("rescale", torch.tensor(EFFICIENTNET_RESCALE), persistent=False)

    def forward(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """(N, H, W, 3) RGB of 0..255 -> (N, 3, H, W)."""
        x = images.to(dtype) * EFFICIENTNET_SCALE
        x = (x - self.mean) / self.variance.sqrt() * self.rescale
        return x.permute(0, 3, 1, 2).contiguous()


class TorchModule(nn.Module):
    """Pixels to logits: `pixels`, `backbone` up to the Grad-CAM map, `last_pool`, `head`."""

    def __init__(self, pixels: nn.Module, backbone: nn.Module, head: Head, pooled: bool) -> None:
        super().__init__()
        self.pixels = pixels
        self.backbone = backbone
        self.last_pool = nn.MaxPool2d(2) if pooled else nn.Identity()
        self.head = head

    def maps(self, images: Tensor) -> Tensor:
        """(N, H, W, 3) RGB of 0..255 -> the Grad-CAM layer's output (N, C, h, w)."""
        x = self.pixels(images, next(self.head.parameters()).dtype)
        if isinstance(self.backbone, nn.Sequential | NASNetMobile):
            return self.backbone(x)
        return self.backbone.forward_features(x)

    def tail(self, maps: Tensor) -> Forward:
        """The Grad-CAM layer's output (N, C, h, w) -> features and logits."""
        return self.head(self.last_pool(maps))

    def forward(self, images: Tensor) -> Tensor:
        """(N, H, W, 3) RGB of 0..255 -> logits (N, classes)."""
        return self.tail(self.maps(images)).logits


class TorchNetwork(Network):
    """A `Network` in PyTorch."""

    framework = "torch"
    module: TorchModule

    def __init__(
        self,
        architecture: Architecture,
        sizes: tuple[int, ...],
        image_size: tuple[int, int],
        head: tuple[str, ...],
        stock: bool,
    ) -> None:
        """Build the network; weights are timm's when `stock`, else those of `initialise`."""
        super().__init__(architecture, sizes, image_size, head)
        # Constructors draw from torch's global generator; what they drew is replaced.
        with torch.random.fork_rng(devices=[]):
            pixels, backbone = _stock(architecture) if stock else _twin(architecture)
            height, width = map_shape(architecture, image_size)
            pooled = architecture.name == "VGG16"
            if pooled:
                height, width = height // 2, width // 2
            tail = Head(head, (height, width), architecture.channels, sizes)
        module = TorchModule(pixels, backbone, tail, pooled).eval()
        # Measured on a CPU: Xception trains 1.4 times as fast channels_last.
        self.module = module.to(memory_format=torch.channels_last)
        self._backbone_fixed = False

    # ---- numpy level

    def _infer(self, images: np.ndarray) -> Forward:
        with torch.no_grad():
            features, logits = self.forward(self._tensor(images), training=False)
        return Forward(features.cpu().numpy(), logits.cpu().numpy())

    def _infer_map(self, images: np.ndarray) -> np.ndarray:
        return self._maps(images).permute(0, 2, 3, 1).float().cpu().numpy()

    def _infer_gradcams(self, images: np.ndarray, asked: list[Cam]) -> list[np.ndarray]:
        cut = self.architecture.torch_paper_cam if any(cam.paper for cam in asked) else None
        kept: list[Tensor] = []
        if cut is None:
            last = self._maps(images)
        else:
            # The pass to our map goes through the paper's.
            module = self.module.backbone.get_submodule(cut[0])
            hook = module.register_forward_hook(lambda *call: kept.append(call[-1]))
            try:
                last = self._maps(images)
            finally:
                hook.remove()
        found = []
        for cam in asked:
            if cam.paper and cut is not None:
                maps, rest = kept[0], self.module.backbone.get_submodule(cut[1])
            else:
                maps, rest = last, nn.Identity()
            found.append(self._cams(maps.detach(), rest, cam))
        return found

    def _cams(self, maps: Tensor, rest: nn.Module, cam: Cam) -> np.ndarray:
        """Of the layer's output (N, C, h, w) and what lies between it and the tail."""
        maps.requires_grad_()
        chosen = torch.from_numpy(cam.targets).to(maps.device)
        with torch.enable_grad():
            scores = self.module.tail(rest(maps)).logits
            if cam.paper and self.architecture.settings.cam_score == "probability":
                scores = scores.softmax(1)
            # In inference mode no image touches another, so one gradient of the sum serves all.
            sums = scores.gather(1, chosen).sum(0)
            slopes = [torch.autograd.grad(one, maps, retain_graph=True)[0] for one in sums]
        weights = torch.stack([slope.mean((2, 3)) for slope in slopes], 1)
        found = torch.einsum("ntc,nchw->nthw", weights, maps.detach())
        return F.relu(found).float().cpu().numpy()

    def _maps(self, images: np.ndarray) -> Tensor:
        self._set_mode(training=False)
        with torch.no_grad():
            return self.module.maps(self._tensor(images))

    def _tensor(self, images: np.ndarray) -> Tensor:
        device = next(self.module.parameters()).device
        return torch.from_numpy(np.ascontiguousarray(images)).to(device)

    # ---- tensor level

    def forward(self, images: Tensor, training: bool) -> Forward:
        """See `Network.forward`."""
        self._set_mode(training)
        return self.module.tail(self.module.maps(images))

    def _set_mode(self, training: bool) -> None:
        backbone = training and not self._backbone_fixed
        if self.module.head.training != training or self.module.backbone.training != backbone:
            self.module.train(training)
            self.module.backbone.train(backbone)

    def trainable(self) -> list[nn.Parameter]:
        """See `Network.trainable`."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def _freeze(self, policy: str) -> None:
        self._backbone_fixed = policy == "backbone"
        self.module.backbone.requires_grad_(policy in ("none", "paper"))
        self.module.head.requires_grad_(True)
        if policy == "paper":
            for row in table(self.architecture.name)[: self.architecture.settings.fixed_rows]:
                if row.kind not in ("batchnorm", "normalization"):
                    for name in row.modules:
                        self.module.backbone.get_submodule(name).requires_grad_(False)

    def set_bn_momentum(self, momentum: float) -> None:
        """See `Network.set_bn_momentum`."""
        for norm in batchnorms(self.module):
            norm.momentum = 1 - momentum

    def twin(self) -> "TorchNetwork":
        """See `Network.twin`."""
        other = deepcopy(self)
        other.freeze("none")
        return other

    def averaged(self) -> list[Tensor]:
        """See `Network.averaged`."""
        return list(self.module.parameters())

    def statistics(self) -> list[Tensor]:
        """See `Network.statistics`."""
        tensors: list[Tensor] = []
        for norm in batchnorms(self.module):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            tensors += [norm.running_mean, norm.running_var]
        return tensors

    # ---- weights

    def base_slots(self) -> list[tuple[Row, list[Slot]]]:
        """See `Network.base_slots`."""
        return [(row, self._row_slots(row)) for row in table(self.architecture.name)]

    def _row_slots(self, row: Row) -> list[Slot]:
        if row.kind == "normalization":
            pixels = self.module.pixels
            return [
                tensor_slot(f"{row.layer}/{role}", role, buffer)
                for role, buffer in pixels.named_buffers()
                if role in ("mean", "variance")
            ]
        modules = [self.module.backbone.get_submodule(name) for name in row.modules]
        if row.kind == "separable":
            depthwise, pointwise = modules
            return [
                *_slots(row.layer, depthwise, "depthwise_kernel"),
                *_slots(row.layer, pointwise, "pointwise_kernel"),
            ]
        return _slots(
            row.layer, modules[0], "depthwise_kernel" if row.kind == "depthwise" else "kernel"
        )

    def head_slots(self) -> list[Slot]:
        """See `Network.head_slots`."""
        layers = self.module.head.layers
        return [slot for name in layers for slot in _slots(f"head/{name}", layers[name], "kernel")]


def _twin(architecture: Architecture) -> tuple[nn.Module, nn.Module]:
    """Preprocessing and backbone, up to the Grad-CAM map, as keras.applications has them."""
    if architecture.twin is None:
        backbone: nn.Module = NASNetMobile()
    else:
        arguments = _ARGUMENTS.get(architecture.name, {})
        backbone = timm.create_model(architecture.twin, num_classes=0, **arguments)
        if architecture.name in MENDS:
            MENDS[architecture.name](backbone)
    for norm in batchnorms(backbone):
        assert architecture.bn_epsilon is not None
        assert architecture.bn_momentum is not None
        norm.eps = architecture.bn_epsilon
        norm.momentum = 1 - architecture.bn_momentum
    pixels: nn.Module = (
        EfficientNetPixels()
        if architecture.preprocessing == "none"
        else Pixels(PREPROCESSING[architecture.preprocessing])
    )
    return pixels, _up_to_map(architecture, backbone)


def stock_source(architecture: Architecture) -> WeightsSource:
    """Name (timm's) and file of the stock network's pre-training, downloaded if need be.

    Raises:
        UserError: timm has no such network, or its weights cannot be had.
    """
    if architecture.timm is None:
        raise UserError(
            f"timm has no {architecture.name}: use weights 'imagenet', which both frameworks share"
        )
    config = timm.get_pretrained_cfg(architecture.timm)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = published.timm_weights(config.hf_hub_id, config.url, folder)
    return WeightsSource(f"{architecture.timm}.{config.tag}", path)


def pretrained(architecture: Architecture) -> nn.Module:
    """The stock network of timm with timm's weights, without a classifier.

    Raises:
        UserError: timm has no such network, or its weights cannot be had.
    """
    path = stock_source(architecture).path
    try:
        return timm.create_model(
            architecture.timm,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(path)},
            num_classes=0,
        )
    except (RuntimeError, SafetensorError, UnpicklingError) as error:
        raise UserError(
            f"timm cannot read {path} ({error}): delete it to fetch it again"
        ) from error


def _stock(architecture: Architecture) -> tuple[nn.Module, nn.Module]:
    """Preprocessing and backbone of timm's stock network with timm's weights.

    Raises:
        UserError: as `pretrained`.
    """
    backbone = pretrained(architecture)
    config = backbone.pretrained_cfg
    pixels = Pixels(Preprocessing(255.0, tuple(config["mean"]), tuple(config["std"])))
    return pixels, _up_to_map(architecture, backbone)


def _up_to_map(architecture: Architecture, backbone: nn.Module) -> nn.Module:
    """VGG16's Grad-CAM map lies before its last pooling, the others' is the last map there is."""
    return backbone.features[:-1] if architecture.name == "VGG16" else backbone


def _slots(prefix: str, module: nn.Module, kernel: str) -> list[Slot]:
    """The tensors of one torch module, in Keras' order."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        roles = [("beta", module.bias), ("moving_mean", module.running_mean)]
        roles += [("moving_variance", module.running_var)]
        if isinstance(module.weight, nn.Parameter):
            roles.insert(0, ("gamma", module.weight))
    elif isinstance(module, nn.Linear | nn.Conv2d):
        roles = [(kernel, module.weight)]
        if module.bias is not None:
            roles.append(("bias", module.bias))
    else:
        roles = []
    return [
        tensor_slot(f"{prefix}/{role}", role, tensor)
        for role, tensor in roles
        if tensor is not None
    ]


def tensor_slot(name: str, role: str, tensor: Tensor) -> Slot:
    """One tensor under a name: a kernel in the Keras layout, any other as it is."""
    axes = tuple(range(tensor.ndim))
    if role.endswith("kernel"):
        kind = "dense" if tensor.ndim == 2 else role.replace("pointwise_", "")
        axes = _KERNEL_AXES[kind]
    back = tuple(int(i) for i in np.argsort(axes))

    def read() -> np.ndarray:
        return np.array(tensor.detach().permute(axes).cpu().numpy(), order="C", copy=True)

    def write(array: np.ndarray) -> None:
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)).permute(back))

    return Slot(name, role, tuple(tensor.shape[i] for i in axes), read, write)
