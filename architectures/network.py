"""What a network offers, whatever its framework: the abstract `Network`.

The framework's half lies in `torch_nets` and `keras_nets`, what concerns its weights in `weighted`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from architectures.architecture import Architecture, map_shape
from architectures.cams import Cam
from architectures.outside import Outside
from architectures.weighted import Weighted, size_text
from benchmark.errors import UserError

FREEZE_POLICIES = ("none", "paper", "backbone", "backbone-weights")


class Forward(NamedTuple):
    """One pass through a network, as tensors of its framework.

    Attributes:
        features: (N, D) global average of the last map, whatever the head.
        logits: (N, classes).
    """

    features: Any
    logits: Any


class Network(Weighted, ABC):
    """One architecture in one framework, with a head for `classes` classes.

    The numpy level (`logits`, `features`, `feature_map`, `gradcam`) runs in inference mode and
    takes images (N, H, W, 3) uint8 RGB of exactly `image_size`. The tensor level (`forward`,
    `trainable`, `freeze`) is for the training engine.

    Attributes:
        architecture: the catalogue row.
        framework: "torch" or "keras".
        sizes: the classes of each thing that the network says; one, but for several diseases.
        classes: length of the logits, their sum; the things stand side by side.
        image_size: (H, W) in pixels.
        weights: which pre-training: None, "imagenet", "timm" or a path.
        head: the parts between the last map and the logits, see `PaperSettings.head` and `build`.
        width: D, the length of the features.
        map_shape: (h, w) of `feature_map` and `gradcam`.
        module: torch.nn.Module or keras.Model, (N, H, W, 3) RGB of 0..255 in, logits out; the
            preprocessing is inside.
    """

    module: Any

    def __init__(
        self,
        architecture: Architecture,
        sizes: tuple[int, ...],
        image_size: tuple[int, int],
        head: tuple[str, ...],
    ) -> None:
        self.architecture = architecture
        self.sizes = sizes
        self.classes = sum(sizes)
        self.image_size = image_size
        self.head = head
        self.width = architecture.channels
        self.map_shape = map_shape(architecture, image_size)
        self.weights = None

    # ---- numpy level

    def logits(self, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """(N, classes) float32.

        Raises:
            UserError: the images are not (N, H, W, 3) uint8 of this network's size.
        """
        return self._batched(lambda batch: self._infer(batch).logits, batch_size, images)

    def features(self, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """(N, D) float32: the global average of the last map, before any other part of the head.

        Raises:
            UserError: the images are not (N, H, W, 3) uint8 of this network's size.
        """
        return self._batched(lambda batch: self._infer(batch).features, batch_size, images)

    def feature_map(self, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """(N, h, w, C) float32: the output of the Grad-CAM layer.

        Raises:
            UserError: the images are not (N, H, W, 3) uint8 of this network's size.
        """
        return self._batched(self._infer_map, batch_size, images)

    def gradcam(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        batch_size: int = 32,
        *,
        paper: bool = False,
    ) -> np.ndarray:
        """Grad-CAM maps of one class or of several per image, not normalised.

        ReLU(sum_k mean_ij(dy_c/dA_k) A_k), Selvaraju et al., arXiv 1610.02391, eq. 1 and 2; A is
        the catalogue's Grad-CAM layer, y_c the logit (not the probability) of the target class.
        One forward pass per batch, whatever the number of classes; the gradients go through the
        head only.

        Args:
            images: (N, H, W, 3) uint8 RGB.
            targets: (N,) or (N, T) int, the classes to explain, 0 to classes - 1.
            batch_size: images at a time.
            paper: y_c and A as in the published maps of the DermXDB benchmark (arXiv 2302.12084;
                see `PaperSettings.cam_score` and `cam_layer`). A probability of almost 1 or 0 has
                almost no slope: such a map is rounding, and zero throughout where float32 gives
                exactly 1. DenseNet121 has no published maps and keeps the catalogue's layer (ours).

        Returns:
            float32 of at least 0, (N, h, w) for targets (N,), else (N, T, h, w).

        Raises:
            UserError: the images are not of this network's size; `paper` of several diseases.
            ValueError: the targets do not fit the images or the classes.
        """
        return self.gradcams(images, [Cam(targets, paper)], batch_size)[0]

    def gradcams(
        self, images: np.ndarray, asked: Sequence[Cam], batch_size: int = 32
    ) -> list[np.ndarray]:
        """What `gradcam` gives of each; those of the same layer share the forward pass.

        Raises:
            UserError, ValueError: as `gradcam`.
        """
        targets = [cam.each(len(images), self.sizes) for cam in asked]
        self._check(images)
        parts = [
            self._infer_gradcams(
                images[some],
                [Cam(t[some], cam.paper) for t, cam in zip(targets, asked, strict=True)],
            )
            for some in _slices(len(images), batch_size)
        ]
        whole = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return [
            maps if np.ndim(cam.targets) == 2 else maps[:, 0]
            for maps, cam in zip(whole, asked, strict=True)
        ]

    def _batched(
        self, function: Callable[[np.ndarray], np.ndarray], batch_size: int, images: np.ndarray
    ) -> np.ndarray:
        self._check(images)
        parts = [function(images[some]) for some in _slices(len(images), batch_size)]
        return np.concatenate(parts).astype(np.float32, copy=False)

    def _check(self, images: np.ndarray) -> None:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images):
            raise UserError(
                f"images must be (N, H, W, 3) uint8 with N >= 1, not {images.shape} {images.dtype}"
            )
        if images.shape[1:3] != self.image_size:
            raise UserError(
                f"this {self.architecture.name} takes images of {size_text(self.image_size)}, not"
                f" {size_text(images.shape[1:3])}: resize them, or build it with another image_size"
            )

    @abstractmethod
    def _infer(self, images: np.ndarray) -> Forward:
        """Features and logits of one batch, as numpy arrays."""

    @abstractmethod
    def _infer_map(self, images: np.ndarray) -> np.ndarray:
        """The Grad-CAM layer's output for one batch, (N, h, w, C)."""

    @abstractmethod
    def _infer_gradcams(self, images: np.ndarray, asked: list[Cam]) -> list[np.ndarray]:
        """Un-normalised Grad-CAM of one batch, targets (B, T) int64 -> (B, T, h, w) float32."""

    # ---- tensor level

    @abstractmethod
    def forward(self, images: Any, training: bool) -> Forward:
        """Differentiable pass; images (N, H, W, 3) of 0..255, any number type of the framework.

        With `training`, BatchNormalization uses and updates batch statistics and dropout is on,
        except in what `freeze` fixed.
        """

    @abstractmethod
    def trainable(self) -> list[Any]:
        """The tensors (torch) or variables (Keras) that are to be trained."""

    def freeze(self, policy: str) -> None:
        """Fix a part of the network; each call starts from an entirely trainable one.

        Args:
            policy: "none"; "paper": every layer but BatchNormalization up to and including the
                catalogue's last fixed layer, BatchNormalization stays trainable and in train mode;
                "backbone": all but the head, BatchNormalization and dropout in inference mode;
                "backbone-weights": all but the head, in train mode: batch statistics are used and
                move the running ones, stochastic depth is on (keyu07/SuperCon_ISIC on GitHub).

        Raises:
            UserError: another policy, or "paper" of a network that is not in that benchmark.
        """
        if policy not in FREEZE_POLICIES:
            raise UserError(
                f"unknown freezing policy {policy!r}: choose {', '.join(FREEZE_POLICIES)}"
            )
        if policy == "paper" and isinstance(self.architecture, Outside):
            raise UserError(f"{self.architecture.name} is not in the DermXDB benchmark")
        self._freeze(policy)

    @abstractmethod
    def _freeze(self, policy: str) -> None: ...

    @abstractmethod
    def set_bn_momentum(self, momentum: float) -> None:
        """Of every BatchNormalization, moving = momentum * moving + (1 - momentum) * batch.

        That is Keras' convention; torch's momentum is 1 - momentum. Each network starts with Keras'
        own value. Call it before the first training step: Keras compiles the value in.
        """

    @abstractmethod
    def twin(self) -> "Network":
        """Another network with the same weights, entirely trainable; neither touches the other."""

    @abstractmethod
    def averaged(self) -> list[Any]:
        """The tensors (torch) or variables (Keras) that an average of networks is made of.

        All weights, trained or not, in the same order for every network of one architecture and
        head. BatchNormalization's running means and variances are not among them.
        """

    @abstractmethod
    def statistics(self) -> list[Any]:
        """BatchNormalization's running means and variances, in an order as of `averaged`."""


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]
