"""What a network offers, whatever its framework: the abstract `Network` and its tensors by name.

The framework's half lies in `torch_nets` and `keras_nets`; reading and writing files in `weights`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from architectures import initial, keras_match
from architectures import weights as files
from architectures.cams import Cam
from architectures.catalogue import Architecture, map_shape
from architectures.heads import last_layers
from architectures.outside import Outside
from architectures.weights import Row, Slot
from benchmark.errors import UserError

FREEZE_POLICIES = ("none", "paper", "backbone", "backbone-weights")
_LEAVE_HEAD = ": load it with head=False"
_TIMMS_OWN = ": timm's own networks are read into build(weights='timm') only, in Python"


class Forward(NamedTuple):
    """One pass through a network, as tensors of its framework.

    Attributes:
        features: (N, D) global average of the last map, whatever the head.
        logits: (N, classes).
    """

    features: Any
    logits: Any


class Network(ABC):
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

    framework: str
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
        self.weights: str | None = None

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
                f"this {self.architecture.name} takes images of {_size(self.image_size)}, not"
                f" {_size(images.shape[1:3])}: resize them, or build it with another image_size"
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

    # ---- weights

    @abstractmethod
    def base_slots(self) -> list[tuple[Row, list[Slot]]]:
        """The backbone's tensors, per weighted Keras layer, in the order of a Keras file."""

    @abstractmethod
    def head_slots(self) -> list[Slot]:
        """The head's tensors, from the map to the logits."""

    def tensors(self) -> dict[str, np.ndarray]:
        """Copies of all weights and buffers, in the Keras layout; the names are `Slot.name`."""
        return {slot.name: slot.read() for slot in self._slots()}

    def assign(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set all weights and buffers to what `tensors` gave.

        Raises:
            ValueError: a name is missing or unknown, or a shape differs.
        """
        files.assign(tensors, list(self._slots()))

    def save(self, path: str | Path) -> None:
        """Write the network as safetensors, atomically.

        Raises:
            UserError: the file cannot be written.
        """
        files.write(Path(path), self.tensors(), self._metadata())

    def load(self, path: str | Path, head: bool = True) -> None:
        """Read a file that `save` wrote, by either framework: names and layout are the same.

        Args:
            path: the file.
            head: False reads the backbone only, so the number of classes may differ.

        Raises:
            UserError: the file is missing, broken, foreign, of another architecture, topology or
                head.
        """
        path = Path(path)
        tensors, stored = files.read(path)
        own = self._metadata()
        # A head was trained on maps of one size; a flattened one even fits another by accident.
        whole = ("classes", "head", "image_size") if head else ()
        for key in ("architecture", "topology", *whole):
            if stored.get(key) != own[key]:
                hint = _LEAVE_HEAD if key in whole else _TIMMS_OWN if key == "topology" else ""
                raise UserError(
                    f"{path} holds another network: {key} {stored.get(key)}, expected"
                    f" {own[key]}{hint}"
                )
        slots = [slot for _, row in self.base_slots() for slot in row]
        if head:
            slots += self.head_slots()
        else:
            tensors = {k: v for k, v in tensors.items() if not k.startswith("head/")}
        try:
            files.assign(tensors, slots)
        except ValueError as error:
            raise UserError(
                f"{path} does not fit this {self.architecture.name}: {error}"
            ) from error

    def load_keras_weights(self, path: str | Path, head: bool = True) -> bool:
        """Read a file that Keras wrote: legacy .h5 or .weights.h5, a whole model as .h5 or .keras.

        The layers are taken by their position in `model.layers`. Nothing is set unless all fits. A
        file of weights alone cannot tell how an EfficientNetB0 scaled its input: it is taken to be
        as keras.applications has it with ImageNet weights since TensorFlow 2.10. A MobileNetV2 or
        EfficientNetB0 built for images of any size (None x None) pads as if every map had an even
        size; here padding follows the image size, so at others its function differs.

        Args:
            path: of the model without top, or with any head after the backbone.
            head: whether to read the head too, where the file has one: it must be this network's
                (`PaperSettings.head`, or one pooling and one dense layer), for as many classes.
                False reads the backbone only, whatever follows it, as for several diseases.

        Returns:
            Whether a head was read; otherwise this network's own is as it was.

        Raises:
            UserError: the file is missing, broken, foreign, of another architecture, of a backbone
                with other input layers, or of another head.
        """
        if self.weights == "timm":
            raise UserError(
                f"this {self.architecture.name} is timm's, another function than Keras': build it"
                " with other weights than 'timm' to read Keras' files"
            )
        return keras_match.load(
            Path(path),
            self.architecture,
            self.base_slots(),
            self.head_slots() if head and len(self.sizes) == 1 else None,
            self.head,
            self.image_size,
        )

    def initialise(self, seed: int, backbone: bool = True) -> None:
        """Draw the weights from the distributions of keras.applications, from `seed` alone.

        The draws are ours, in numpy and in the order of the slots, so one seed gives the same
        weights in both frameworks. The head's do not depend on whether the backbone is drawn.
        """
        base_draws, head_draws = np.random.default_rng(seed).spawn(2)
        for row, slots in self.base_slots() if backbone else ():
            for slot in slots:
                how = initial.initialiser(self.architecture, row)
                slot.write(initial.draw(slot.role, slot.shape, how, base_draws))
        last = last_layers(self.head, self.sizes)
        before_last = None
        for slot in self.head_slots():
            if slot.name.split("/")[1] in last:
                # Each last layer is drawn as if it were the only one: so it is in its own network.
                before_last = before_last or head_draws.bit_generator.state
                head_draws.bit_generator.state = before_last
            slot.write(initial.draw(slot.role, slot.shape, "glorot", head_draws))

    def new_head(self, seed: int) -> None:
        """Draw the head as `build` does from this seed; nothing else changes.

        Its BatchNormalization starts anew too; the random stream of its dropout goes on.
        """
        self.initialise(seed, backbone=False)

    def classifier(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the last dense layer's kernel (D', K) and bias (K,), float32.

        D' is D, h * w * D after "flatten", or K in MobileNet's paper head of two dense layers.

        Raises:
            UserError: several diseases, or a "cosine" head, which has no bias and no use for norms.
        """
        kernel, bias = self._classifier_slots()
        return kernel.read(), bias.read()

    def scale_logits(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """New logits = scale * logits + shift, by changing the last dense layer.

        Args:
            scale: (K,), finite; it multiplies the kernel's columns and the bias.
            shift: (K,), finite; it is added to the bias.

        Raises:
            UserError: as `classifier`.
            ValueError: other shapes, or values that are not finite.
        """
        change = np.array([scale, shift])
        if change.shape != (2, self.classes) or not np.isfinite(change).all():
            raise ValueError(f"scale and shift must be ({self.classes},) and finite: {change}")
        kernel, bias = self._classifier_slots()
        kernel.write((kernel.read() * change[0]).astype(np.float32))
        bias.write((bias.read() * change[0] + change[1]).astype(np.float32))

    def _classifier_slots(self) -> list[Slot]:
        if len(self.sizes) > 1:
            raise UserError("a network for several diseases has no single classifier to adjust")
        if self.head[-1] != "dense":
            raise UserError(
                "a cosine head has no norms or bias to adjust: use another method or head"
            )
        return self.head_slots()[-2:]

    def _slots(self) -> Iterator[Slot]:
        for _, slots in self.base_slots():
            yield from slots
        yield from self.head_slots()

    def _metadata(self) -> dict[str, str]:
        return {
            "architecture": self.architecture.name,
            "topology": "timm" if self.weights == "timm" else "keras",
            "framework": self.framework,
            "classes": "+".join(map(str, self.sizes)),
            "head": "+".join(self.head),
            "image_size": _size(self.image_size),
            "weights": str(self.weights),
        }


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _size(size: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in size)
