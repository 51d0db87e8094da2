"""Networks of timm, and those that others add, as they are, under our head: see `outside`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from architectures.architecture import LEAST_MAP
from architectures.cams import Cam
from architectures.network import Forward, Network
from architectures.outside import Outside
from architectures.pixels import Preprocessing
from architectures.torch_head import Head
from architectures.torch_nets import Pixels, TorchNetwork, pretrained, tensor_slot
from architectures.weights import Row, Slot
from benchmark.errors import UserError, unknown_name


class MapLayer:
    """The module whose output Grad-CAM explains, and what that output is as a map."""

    def __init__(self, architecture: Outside, backbone: nn.Module) -> None:
        """Find the module.

        Raises:
            UserError: there is none of that name, or timm names none.
        """
        self._of = architecture.name
        known = dict(backbone.named_modules())
        own = architecture.own
        told = _last_named(backbone) if own is None else own.torch_cam
        self.name = architecture.cam_layer or told
        if not self.name:
            raise UserError(
                f"no map of {self._of} is named: name a layer with --cam-layer"
                + ("" if own is None else ", or as torch_cam of its class")
            )
        if self.name not in known:
            raise unknown_name(f"layer of {self._of}", self.name, [each for each in known if each])
        # What timm says of networks whose maps have their channels last, or that have tokens.
        self._channels_last = getattr(backbone, "output_fmt", "") == "NHWC"
        self._prefix = getattr(backbone, "num_prefix_tokens", None) or 0
        self._grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)

    @contextmanager
    def heard(self, backbone: nn.Module, hear: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
        """Within, `hear` gets the module's output; what it returns stands in for it."""
        module = backbone.get_submodule(self.name)
        hook = module.register_forward_hook(lambda _, given, output: hear(output))
        try:
            yield
        finally:
            hook.remove()

    def as_map(self, output: Any) -> Tensor:
        """The output as (N, C, h, w): tokens are put where they belong, a class token is left out.

        Raises:
            UserError: it is neither a map nor a grid of tokens.
        """
        if isinstance(output, Tensor) and output.ndim == 4:
            return output.permute(0, 3, 1, 2) if self._channels_last else output
        if isinstance(output, Tensor) and output.ndim == 3 and self._grid is not None:
            tokens = output[:, self._prefix :]
            if tokens.shape[1] == self._grid[0] * self._grid[1]:
                return tokens.transpose(1, 2).unflatten(2, tuple(self._grid))
        raise UserError(
            f"the output of layer {self.name} of {self._of} is no map: name another with"
            " --cam-layer"
        )


class OutsideModule(nn.Module):
    """Pixels to logits: `pixels`, `backbone` up to pooled features, `head`."""

    def __init__(self, pixels: nn.Module, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.pixels = pixels
        self.backbone = backbone
        self.head = head

    def passed(self, images: Tensor) -> Forward:
        """(N, H, W, 3) RGB of 0..255 -> features (N, D) and logits (N, classes)."""
        x = self.pixels(images, next(self.head.parameters()).dtype)
        return self.head(self.backbone(x)[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """(N, H, W, 3) RGB of 0..255 -> logits (N, classes)."""
        return self.passed(images).logits


class OutsideTorch(TorchNetwork):
    """Such a `Network`: its features are what its own classifier would see."""

    architecture: Outside
    module: OutsideModule

    def __init__(
        self,
        architecture: Outside,
        sizes: tuple[int, ...],
        image_size: tuple[int, int],
        head: tuple[str, ...],
        stock: bool,
    ) -> None:
        """Build the network; weights are timm's when `stock`, else those of `initialise`.

        Raises:
            UserError: there is no such network or layer, its weights cannot be had, it does not
                take such images, or what the layer gives is no map of 3x3 or more.
        """
        Network.__init__(self, architecture, sizes, image_size, head)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of the noise that it is probed with
            backbone = _created(architecture, image_size, stock).eval()
            self._layer = MapLayer(architecture, backbone)
            self.width, self.map_shape = self._probed(backbone)
            colours = _colours(architecture, backbone)
            tail = Head(head, (1, 1), self.width, sizes)
        module = OutsideModule(Pixels(colours), backbone, tail).eval()
        self.module = module.to(memory_format=torch.channels_last)
        self._backbone_fixed = False

    def _probed(self, backbone: nn.Module) -> tuple[int, tuple[int, int]]:
        """Length of the features, and (h, w) of the Grad-CAM layer's map."""
        name, (height, width) = self.architecture.name, self.image_size
        kept: list[Tensor] = []

        def hear(output: Tensor) -> None:
            kept.append(output)
            if isinstance(output, Tensor):
                output.retain_grad()

        try:
            with torch.enable_grad(), self._layer.heard(backbone, hear):
                # Noise: of an even image many a slope is nothing.
                features = backbone(torch.randn(1, 3, height, width))
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{name} does not take images of {height}x{width} px ({error}): give another"
                " --image-size"
            ) from error
        if features.ndim != 2:
            raise UserError(
                f"{name} gives features of shape {tuple(features.shape)} for one image, expected a"
                " vector (1, D): pool its last map and flatten it"
            )
        if not kept:
            raise UserError(
                f"layer {self._layer.name} of {name} is not passed: name another with --cam-layer"
            )
        rows, columns = self._layer.as_map(kept[0]).shape[2:]
        # Of their plain sum LayerNorm makes a constant.
        (features * torch.randn_like(features)).sum().backward()
        backbone.zero_grad(set_to_none=True)
        slope = kept[0].grad
        if slope is None or not self._layer.as_map(slope).any():
            raise UserError(
                f"nothing that {name} says depends on the map of layer {self._layer.name}, as where"
                " a class token alone is used: name an earlier --cam-layer"
            )
        if min(rows, columns) < LEAST_MAP:
            raise UserError(
                f"layer {self._layer.name} of {name} gives a map of {rows}x{columns} at"
                f" {height}x{width} px, less than {LEAST_MAP}x{LEAST_MAP}: take larger images, or"
                " name an earlier --cam-layer"
            )
        return features.shape[1], (rows, columns)

    def forward(self, images: Tensor, training: bool) -> Forward:
        """See `Network.forward`."""
        self._set_mode(training)
        return self.module.passed(images)

    def _maps(self, images: np.ndarray) -> Tensor:
        self._set_mode(training=False)
        kept: list[Tensor] = []
        with torch.no_grad(), self._layer.heard(self.module.backbone, kept.append):
            self.module.passed(self._tensor(images))
        return self._layer.as_map(kept[0])

    def _infer_gradcams(self, images: np.ndarray, asked: list[Cam]) -> list[np.ndarray]:
        """One forward pass; the gradients go from the logits back to the layer and no further."""
        self._set_mode(training=False)
        kept: list[Tensor] = []

        def cut(output: Tensor) -> Tensor:
            kept.append(output.detach().requires_grad_())
            # What follows is differentiated, what came before was not.
            torch.set_grad_enabled(True)
            return kept[0]

        with torch.no_grad(), self._layer.heard(self.module.backbone, cut):
            logits = self.module.passed(self._tensor(images)).logits
        return [self._slopes(kept[0], logits, cam) for cam in asked]

    def _slopes(self, output: Tensor, logits: Tensor, cam: Cam) -> np.ndarray:
        chosen = torch.from_numpy(cam.targets).to(logits.device)
        maps = self._layer.as_map(output.detach())
        weights = []
        with torch.enable_grad():
            # The published rule, see `PaperSettings.cam_score`.
            scores = logits.softmax(1) if cam.paper else logits
            for one in scores.gather(1, chosen).sum(0):
                (slope,) = torch.autograd.grad(one, output, retain_graph=True)
                weights.append(self._layer.as_map(slope).mean((2, 3)))
        found = torch.einsum("ntc,nchw->nthw", torch.stack(weights, 1), maps)
        return F.relu(found).float().cpu().numpy()

    def initialise(self, seed: int, backbone: bool = True) -> None:
        """Draw the weights from `seed`: the backbone's as its maker does, the head's as ours."""
        if backbone:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                fresh = _created(self.architecture, self.image_size, stock=False)
            own = self.module.backbone.state_dict()
            with torch.no_grad():
                for name, tensor in fresh.state_dict().items():
                    own[name].copy_(tensor)
        super().initialise(seed, backbone=False)

    def load_keras_weights(self, path: Any, head: bool = True) -> bool:
        """Refused: no file of Keras' is of such a network.

        Raises:
            UserError: always.
        """
        raise UserError(f"{path} is Keras', and {self.architecture.name} is of another making")

    def base_slots(self) -> list[tuple[Row, list[Slot]]]:
        """The backbone's tensors, module by module, by its maker's names, in PyTorch's layout."""
        found = []
        for name, module in self.module.backbone.named_modules():
            own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            # Counts of batches decide nothing: no momentum here depends on them.
            named = [(part, tensor) for part, tensor in own if tensor.is_floating_point()]
            slots = [tensor_slot(f"backbone/{name}/{part}", "weight", t) for part, t in named]
            if slots:
                found.append((Row(name, "outside", ()), slots))
        return found


def _last_named(backbone: nn.Module) -> str:
    """The module of the last map that timm's feature info names, "" where it names none."""
    told = getattr(backbone, "feature_info", None)
    return str(told[-1].get("module", "")) if isinstance(told, list) and told else ""


def _colours(architecture: Outside, backbone: nn.Module) -> Preprocessing:
    """What makes of pixels what the network was made for."""
    if architecture.own is not None:
        return Preprocessing(255.0, architecture.own.mean, architecture.own.deviation)
    config = backbone.pretrained_cfg
    return Preprocessing(255.0, tuple(config["mean"]), tuple(config["std"]))


def require_model(model: str) -> None:
    """See that timm has a network of this name.

    Raises:
        UserError: there is none.
    """
    if not timm.is_model(model):
        raise unknown_name("network of timm", model, timm.list_models())


def _created(architecture: Outside, image_size: tuple[int, int], stock: bool) -> nn.Module:
    """The network without a classifier, made for the image size where it has to know it."""
    if architecture.own is not None:
        made = architecture.own.torch(image_size)
        if not isinstance(made, nn.Module):
            raise UserError(f"{architecture.name}: `torch` gave no torch.nn.Module but {made!r}")
        return made
    require_model(architecture.model)
    if stock:
        return pretrained(architecture)
    fixed = getattr(timm.get_pretrained_cfg(architecture.model), "fixed_input_size", False)
    sized = {"img_size": image_size} if fixed else {}
    return timm.create_model(architecture.model, num_classes=0, **sized)
