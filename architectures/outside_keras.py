"""Networks of keras.applications, and those that others add, as they are, under our head: see
`outside`.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from architectures.architecture import LEAST_MAP
from architectures.keras_nets import KerasNetwork, drawn_from, variable_slot
from architectures.outside import Outside
from architectures.weights import Row, Slot
from benchmark.errors import UserError, unknown_name


class OutsidePixels(keras.layers.Layer):
    """(N, H, W, 3) RGB of 0..255, as the network's own `preprocess_input` leaves it."""

    def __init__(self, preprocess: Callable[[Any], Any]) -> None:
        super().__init__(name="pixels", dtype=keras.config.floatx(), trainable=False)
        self._preprocess = preprocess

    def call(self, images: Any) -> Any:
        """Same shape out, floating point."""
        return self._preprocess(keras.ops.cast(images, self.compute_dtype))


class OutsideKeras(KerasNetwork):
    """Such a `Network`: features are the average of its last map."""

    architecture: Outside

    def _build(self, architecture: Outside) -> None:  # type: ignore[override]
        base, own = self._base(), architecture.own
        shape = (*self.image_size, 3)
        cut = base.output
        layer = architecture.cam_layer or ("" if own is None else own.keras_cam)
        if layer:
            names = [each.name for each in base.layers]
            if layer not in names:
                raise unknown_name(f"layer of {architecture.name}", layer, names)
            cut = base.get_layer(layer).output
        if len(cut.shape) != 4 or min(cut.shape[1:3]) < LEAST_MAP:
            raise UserError(
                f"layer {layer or base.layers[-1].name} of {architecture.name}"
                f" gives {tuple(cut.shape[1:])} at this image size, no map of"
                f" {LEAST_MAP}x{LEAST_MAP} or more: take larger images, or name an earlier"
                " --cam-layer"
            )
        self._pixels = OutsidePixels(_preprocessing(architecture))
        self._backbone = keras.Model(base.input, cut, name="backbone")
        self.map_shape = (int(cut.shape[1]), int(cut.shape[2]))
        self._after = keras.Model(cut, base.output, name="after") if layer else None
        self._early = self._rest = None
        self._layers = [layer for layer in base.layers if layer.weights]
        self.width = int(base.output.shape[-1])
        self._tail = self._build_tail(tuple(cut.shape[1:]))
        images = keras.Input(shape, name="images", dtype=keras.config.floatx())
        self.module = keras.Model(
            images, self._tail(self._backbone(self._pixels(images)))[1], name="outside"
        )

    def _last_map(self, maps: Any) -> Any:
        return maps if self._after is None else self._after(maps)

    def _freeze(self, policy: str) -> None:
        if self._after is not None and policy != "none":
            raise UserError(
                f"freezing {policy!r} with --cam-layer would leave what follows that layer"
                " trainable: leave out --cam-layer, or choose a method without frozen parts"
            )
        super()._freeze(policy)

    def _base(self) -> keras.Model:
        """The network without top, its weights drawn by Keras."""
        if self.architecture.own is not None:
            made = self.architecture.own.keras(self.image_size)
            if not isinstance(made, keras.Model):
                raise UserError(
                    f"{self.architecture.name}: `keras` gave no keras.Model but {made!r}"
                )
            return made
        constructor = _constructor(self.architecture.model)
        try:
            return constructor(include_top=False, weights=None, input_shape=(*self.image_size, 3))
        except ValueError as error:
            height, width = self.image_size
            raise UserError(
                f"{self.architecture.name} does not take images of {height}x{width} px ({error}):"
                " give another --image-size"
            ) from error

    def initialise(self, seed: int, backbone: bool = True) -> None:
        """Draw the weights from `seed`: the backbone's as its maker does, the head's as ours."""
        if backbone:
            with drawn_from(seed):
                fresh = [layer for layer in self._base().layers if layer.weights]
            for own, other in zip(self._layers, fresh, strict=True):
                for variable, value in zip(own.weights, other.weights, strict=True):
                    variable.assign(value)
        super().initialise(seed, backbone=False)

    def base_slots(self) -> list[tuple[Row, list[Slot]]]:
        """The backbone's tensors, layer by layer, by their place.

        Keras' own names differ from one network to the next.
        """
        return [
            (
                Row(f"{place}", "outside", ()),
                [
                    variable_slot(f"backbone/{place}/{number}", variable, "weight")
                    for number, variable in enumerate(layer.weights)
                ],
            )
            for place, layer in enumerate(self._layers)
        ]


def _preprocessing(architecture: Outside) -> Callable[[Any], Any]:
    """What makes of (N, H, W, 3) RGB of 0..255 what the network was made for."""
    own = architecture.own
    if own is not None:
        return lambda images: (images / 255 - np.array(own.mean)) / np.array(own.deviation)
    return sys.modules[_constructor(architecture.model).__module__].preprocess_input


def require_model(model: str) -> None:
    """See that keras.applications has a network of this name.

    Raises:
        UserError: there is none.
    """
    known = [name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction)]
    if model not in known:
        raise unknown_name("network of keras.applications", model, known)


def _constructor(model: str) -> Callable[..., keras.Model]:
    require_model(model)
    return getattr(keras.applications, model)
