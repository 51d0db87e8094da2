"""A network's weights by name: drawn, read, written, changed, whatever its framework."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from architectures import initial, keras_match
from architectures import weights as files
from architectures.architecture import Architecture
from architectures.heads import last_layers
from architectures.weights import Row, Slot
from benchmark.errors import UserError

_LEAVE_HEAD = ": load it with head=False"
_TIMMS_OWN = ": timm's own networks are read into build(weights='timm') only, in Python"


class Weighted(ABC):
    """What `Network` does with its weights; the attributes are described there."""

    architecture: Architecture
    framework: str
    sizes: tuple[int, ...]
    classes: int
    image_size: tuple[int, int]
    head: tuple[str, ...]
    weights: str | None

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
            "image_size": size_text(self.image_size),
            "weights": str(self.weights),
        }


def size_text(size: tuple[int, ...]) -> str:
    """Such as "224x224"."""
    return "x".join(str(side) for side in size)
