"""The Keras engine on TensorFlow: a traced step per stage, losses through keras.ops."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from architectures.network import Forward, Network
from benchmark.methods.base import Activations, Batch, Stage
from benchmark.recipe import Recipe
from benchmark.training.engine import (
    ADAM_EPSILON,
    SGD_MOMENTUM,
    Engine,
    InTraining,
    back_in_order,
    no_cuda,
    parts,
    scalar,
)


class KerasEngine(Engine):
    """Trains a Keras network with TensorFlow."""

    def __init__(self, network: Network, device: str, seed: int) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        if device == "cuda" and not gpus:
            raise no_cuda("TensorFlow")
        super().__init__(network, seed)
        self._place = "/GPU:0" if gpus and device != "cpu" else "/CPU:0"
        keras.utils.set_random_seed(seed)
        shape = (None, *network.image_size, 3)
        self._images = tf.TensorSpec(shape, tf.uint8)
        self._traced: dict[tuple[bool, bool], Any] = {}
        self._parameters: dict[str, Any] = {}
        self._memory: dict[str, Any] = {}

    def _start(self, stage: Stage) -> None:
        # What is frozen is decided when a function is traced, so all are traced anew.
        self._traced.clear()
        self._parameters = {
            name: keras.Variable(array, name=name.replace("/", "_"))
            for name, array in stage.parameters.items()
        }
        self._memory = {
            name: keras.Variable(array, name=name.replace("/", "_"), trainable=False)
            for name, array in stage.memory.items()
        }
        averages, copies = self._pairs(stage)
        variables = [*self.network.trainable(), *self._parameters.values()]
        optimiser = _optimiser(stage.recipe)
        optimiser.build(variables)
        self._optimiser = optimiser
        # torch's SGD and Adam add the decay to the gradient; Keras' own would decouple it.
        coupled = 0.0 if stage.recipe.optimiser == "adamw" else stage.recipe.weight_decay

        def update(gradients: list[Any], keeps: Any) -> None:
            # As torch does, what the loss does not touch is left alone, decay included.
            touched = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
            if coupled:
                touched = [(g + coupled * v, v) for g, v in touched]
            optimiser.apply([g for g, _ in touched], [v for _, v in touched])
            for average, trained in averages:
                average.assign_add((1 - keeps) * (trained - average))
            for copy, current in copies:
                copy.assign(current)

        def once(images: Any) -> Activations:
            return self.network.forward(images, True)

        def again(images: Any, gradients: list[Any]) -> list[Any]:
            with tf.GradientTape() as tape:
                found = self.network.forward(images, True)
            pairs = [(f, g) for f, g in zip(found, gradients, strict=True) if g is not None]
            targets, given = [f for f, _ in pairs], [g for _, g in pairs]
            return tape.gradient(targets, self.network.trainable(), given)

        network = self._in_training(once, self._teach(stage))

        def step(
            views: tuple[Any, ...],
            labels: Any,
            inputs: dict[str, Any],
            unlabelled: tuple[Any, ...],
            keeps: Any,
        ) -> tf.Tensor:
            with tf.GradientTape() as tape:
                loss = stage.loss(network, Batch(views, labels, inputs, unlabelled))
            update(tape.gradient(loss, variables), keeps)
            return loss

        self._stage, self._step, self._update = stage, tf.function(step), tf.function(update)
        self._once, self._again = tf.function(once), tf.function(again)
        self._taught = tf.function(self._teach(stage))

    def train_step(self, batch: Batch, learning_rate: float, keeps: float = 1.0) -> Any:
        """One optimiser step."""
        with tf.device(self._place):
            self._optimiser.learning_rate.assign(learning_rate)
            # An array: another Python number would be traced anew.
            rate = np.float32(keeps)
            inputs = dict(batch.inputs)
            if self.micro_batches == 1:
                # Out here, because an error inside a traced function is told in ten lines.
                return scalar(
                    self._stage,
                    self._step(batch.views, batch.labels, inputs, batch.unlabelled, rate),
                )
            tensors = (batch.views, batch.labels, inputs, batch.unlabelled)
            loss, gradients = self._divided(
                Batch(*tf.nest.map_structure(tf.convert_to_tensor, tensors))
            )
            self._update(gradients, rate)
            return scalar(self._stage, loss)

    def _in_training(
        self, forward: Callable[[Any], Activations], teach: Callable[[Any], Activations]
    ) -> InTraining:
        return InTraining(
            forward,
            teach,
            self._parameters,
            self._memory,
            lambda name, value: self._memory[name].assign(value),
        )

    def _divided(self, batch: Batch) -> tuple[Any, list[Any]]:
        """The loss of a batch and its gradients, see `micro_batches`."""
        calls: list[tuple[Any, list[Any], Forward]] = []

        def forward(images: Any) -> Forward:
            with tape.stop_recording():
                found, seeds = self._in_parts(self.network, self._once, images)
            tape.watch(found)
            calls.append((images, seeds, found))
            return found

        def taught(images: Any) -> Forward:
            assert self._teacher is not None, "the stage has no teacher"
            with tape.stop_recording():
                return self._in_parts(self._teacher, self._taught, images)[0]

        with tf.GradientTape() as tape:
            loss = self._stage.loss(self._in_training(forward, taught), batch)
        own = list(self._parameters.values())
        of_own, of_calls = tape.gradient(loss, (own, [found for _, _, found in calls]))
        sums = [None] * len(self.network.trainable())
        # A part that runs again must neither count twice nor drop other units.
        changed = [*self.network.statistics(), *self._seeds()]
        after = _values(changed)
        for (images, seeds, _), of_call in zip(calls, of_calls, strict=True):
            for part, before in zip(parts(len(images), self.micro_batches), seeds, strict=True):
                _assign(self._seeds(), before)
                of_part = [g if g is None else g[part] for g in of_call]
                sums = _added(sums, self._again(images[part], of_part))
        _assign(changed, after)
        return loss, [*sums, *of_own]

    def _in_parts(
        self, network: Network, forward: Callable[[Any], Activations], images: Any
    ) -> tuple[Forward, list[Any]]:
        """A network's pass, part by part, and the state of dropout before each."""
        statistics = network.statistics()
        before = _values(statistics)
        after, seeds, found = before, [], []
        for part in parts(len(images), self.micro_batches):
            seeds.append(_values(self._seeds()))
            found.append(forward(images[part]))
            share = len(range(len(images))[part]) / len(images)
            now = _values(statistics)
            after = [m + share * (n - b) for m, n, b in zip(after, now, before, strict=True)]
            _assign(statistics, before)
        _assign(statistics, after)
        order = back_in_order(len(images), self.micro_batches)
        return Forward(
            *(tf.gather(tf.concat(f, 0), order) for f in zip(*found, strict=True))
        ), seeds

    def _teach(self, stage: Stage) -> Callable[[Any], Activations]:
        """The teacher's forward pass; without a teacher nobody calls it."""
        teacher, told = self._teacher, stage.teacher

        def taught(images: Any) -> Activations:
            assert teacher is not None
            assert told is not None
            found = teacher.forward(images, told.training)
            return Forward(*(tf.stop_gradient(tensor) for tensor in found))

        return taught

    def _pairs(self, stage: Stage) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
        """What the teacher averages and what it copies, each with what of."""
        if self._teacher is None or stage.teacher is None:
            return [], []
        averages = zip(self._teacher.averaged(), self.network.averaged(), strict=True)
        if stage.teacher.training:
            return list(averages), []
        copies = zip(self._teacher.statistics(), self.network.statistics(), strict=True)
        return list(averages), list(copies)

    def _logits(self, images: np.ndarray, training: bool) -> np.ndarray:
        network = self.judged
        key = (network is self.network, training)
        if key not in self._traced:
            self._traced[key] = tf.function(
                lambda pixels: tf.cast(network.forward(pixels, training).logits, tf.float32),
                input_signature=[self._images],
            )
        with tf.device(self._place):
            return self._traced[key](images).numpy()

    def _own(self) -> dict[str, np.ndarray]:
        own = self._parameters | self._memory
        return {name: variable.numpy() for name, variable in own.items()}

    def _assign_own(self, values: Mapping[str, np.ndarray]) -> None:
        for name, variable in (self._parameters | self._memory).items():
            variable.assign(values[name])

    def optimiser_state(self) -> dict[str, np.ndarray]:
        """The optimiser's variables by position, and the seeds of the dropout layers."""
        state = {f"{i}": v.numpy() for i, v in enumerate(self._optimiser.variables)}
        return state | {f"seed/{i}": s.numpy() for i, s in enumerate(self._seeds())}

    def restore_optimiser(self, state: dict[str, np.ndarray]) -> None:
        """Put back what `optimiser_state` gave."""
        for position, variable in enumerate(self._optimiser.variables):
            variable.assign(state[f"{position}"])
        for position, seed in enumerate(self._seeds()):
            seed.assign(state[f"seed/{position}"])

    def device(self) -> dict[str, str]:
        """Where and how it computes."""
        name = "cpu"
        if self._place != "/CPU:0":
            gpu = tf.config.list_physical_devices("GPU")[0]
            name = tf.config.experimental.get_device_details(gpu).get("device_name", "gpu")
        return {"device": name, "precision": keras.config.dtype_policy().name, "layout": "NHWC"}

    def peak_device_memory(self) -> int | None:
        """Most bytes held on the GPU so far."""
        if self._place == "/CPU:0":
            return None
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])

    def _seeds(self) -> list[Any]:
        modules = [network.module for network in (self.network, self._teacher) if network]
        variables = [variable for module in modules for variable in module.variables]
        return [v for v in variables if v.path.endswith("seed_generator_state")]


def _values(variables: list[Any]) -> list[Any]:
    return [tf.identity(variable.value) for variable in variables]


def _added(sums: list[Any], further: list[Any]) -> list[Any]:
    """Gradients, None where there is none."""
    pairs = zip(sums, further, strict=True)
    return [b if a is None else a if b is None else a + b for a, b in pairs]


def _assign(variables: list[Any], values: list[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _optimiser(recipe: Recipe) -> keras.optimizers.Optimizer:
    rate = recipe.learning_rate
    if recipe.optimiser == "sgd":
        return keras.optimizers.SGD(rate, SGD_MOMENTUM, nesterov=recipe.nesterov)
    if recipe.optimiser == "adam":
        return keras.optimizers.Adam(rate, epsilon=ADAM_EPSILON)
    return keras.optimizers.AdamW(rate, epsilon=ADAM_EPSILON, weight_decay=recipe.weight_decay)
