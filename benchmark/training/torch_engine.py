"""The PyTorch engine: bf16 on CUDA, losses through keras.ops on torch tensors."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

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


class TorchEngine(Engine):
    """Trains a torch network. Needs KERAS_BACKEND=torch for the losses."""

    def __init__(self, network: Network, device: str, seed: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise no_cuda("PyTorch")
        on_gpu = device != "cpu" and torch.cuda.is_available()
        super().__init__(network, seed)
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._bf16 = on_gpu and torch.cuda.is_bf16_supported()
        network.module.to(self._device)
        if on_gpu:
            torch.backends.cudnn.benchmark = True
            torch.cuda.reset_peak_memory_stats()
        torch.manual_seed(seed)

    def _start(self, stage: Stage) -> None:
        self._stage = stage
        self._parameters = {
            name: torch.nn.Parameter(torch.tensor(array, device=self._device))
            for name, array in stage.parameters.items()
        }
        self._memory = {
            name: torch.tensor(array, device=self._device) for name, array in stage.memory.items()
        }
        self._pair(stage)
        self._teaches_in_training = stage.teacher is not None and stage.teacher.training
        trained = [*self.network.trainable(), *self._parameters.values()]
        self._optimiser = _optimiser(trained, stage.recipe)

    def train_step(self, batch: Batch, learning_rate: float, keeps: float = 1.0) -> Any:
        """One optimiser step."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        tensors = Batch(
            tuple(self._to_device(images) for images in batch.views),
            self._to_device(batch.labels),
            {name: self._to_device(array) for name, array in batch.inputs.items()},
            tuple(self._to_device(images) for images in batch.unlabelled),
        )
        network = InTraining(
            self._forward, self._teach, self._parameters, self._memory, self._remember
        )
        self._optimiser.zero_grad(set_to_none=True)
        with keras.device(self._keras_device()):
            loss = scalar(self._stage, self._stage.loss(network, tensors))
        self._backward(loss)
        self._optimiser.step()
        with torch.no_grad():
            if self._averages[0]:
                torch._foreach_lerp_(*self._averages, 1 - keeps)
            if self._copies[0]:
                torch._foreach_copy_(*self._copies)
        return loss.detach()

    def _backward(self, loss: torch.Tensor) -> None:
        if self.micro_batches == 1:
            loss.backward()
            return
        statistics = self.network.statistics()
        before = [tensor.clone() for tensor in statistics]
        loss.backward()
        # A part that runs again must not count twice.
        _copy(before, statistics)

    def _forward(self, images: torch.Tensor) -> Activations:
        def forward(part: torch.Tensor) -> Activations:
            # Here and not around the loss: what a method computes itself stays float32.
            with self._precision():
                return self.network.forward(part, training=True)

        # Kept are a part's images alone; in the backward pass it runs again.
        again = partial(checkpoint, forward, use_reentrant=False)
        return self._in_parts(self.network, forward if self.micro_batches == 1 else again, images)

    def _teach(self, images: torch.Tensor) -> Activations:
        teacher = self._teacher
        assert teacher is not None, "the stage has no teacher"
        with torch.no_grad(), self._precision():
            forward = partial(teacher.forward, training=self._teaches_in_training)
            return self._in_parts(teacher, forward, images)

    def _in_parts(
        self,
        network: Network,
        forward: Callable[[torch.Tensor], Activations],
        images: torch.Tensor,
    ) -> Activations:
        """Features and logits, computed part by part; see `micro_batches`."""
        if self.micro_batches == 1:
            return forward(images)
        statistics = network.statistics()
        before = [tensor.clone() for tensor in statistics]
        after = [tensor.clone() for tensor in statistics]
        found = []
        for part in parts(len(images), self.micro_batches):
            found.append(forward(images[part]))
            share = len(images[part]) / len(images)
            for now, first, mean in zip(statistics, before, after, strict=True):
                mean.add_(now - first, alpha=share)
            _copy(before, statistics)
        _copy(after, statistics)
        order = torch.from_numpy(back_in_order(len(images), self.micro_batches)).to(self._device)
        return Forward(*(torch.cat(each)[order] for each in zip(*found, strict=True)))

    def _remember(self, name: str, value: torch.Tensor) -> None:
        with torch.no_grad():
            self._memory[name].copy_(value)

    def _pair(self, stage: Stage) -> None:
        """What the teacher averages and what it copies, each with what of."""
        self._averages: tuple[list[Any], list[Any]] = [], []
        self._copies: tuple[list[Any], list[Any]] = [], []
        if stage.teacher is not None and self._teacher is not None:
            self._averages = self._teacher.averaged(), self.network.averaged()
            if not stage.teacher.training:
                self._copies = self._teacher.statistics(), self.network.statistics()

    def _logits(self, images: np.ndarray, training: bool) -> np.ndarray:
        with torch.no_grad(), self._precision():
            logits = self.judged.forward(self._to_device(images), training).logits
        return logits.float().cpu().numpy()

    def _own(self) -> dict[str, np.ndarray]:
        own = self._parameters | self._memory
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in own.items()}

    def _assign_own(self, values: Mapping[str, np.ndarray]) -> None:
        with torch.no_grad():
            for name, tensor in (self._parameters | self._memory).items():
                tensor.copy_(torch.from_numpy(values[name]))

    def optimiser_state(self) -> dict[str, np.ndarray]:
        """Adam's moments or SGD's momentum by parameter position, and the dropout generator."""
        state = {"generator": torch.get_rng_state().numpy()}
        if self._device.type == "cuda":
            state["cuda_generator"] = torch.cuda.get_rng_state().numpy()
        for position, slots in self._optimiser.state_dict()["state"].items():
            for name, value in slots.items():
                if value is not None:
                    state[f"{position}/{name}"] = torch.as_tensor(value).cpu().numpy()
        return state

    def restore_optimiser(self, state: dict[str, np.ndarray]) -> None:
        """Put back what `optimiser_state` gave."""
        slots: dict[int, dict[str, torch.Tensor]] = {}
        trained = [each for group in self._optimiser.param_groups for each in group["params"]]
        for key, value in state.items():
            if "/" in key:
                position, name = key.split("/")
                tensor = torch.from_numpy(value)
                if name != "step":
                    # A fused step takes numbers as they lie in memory: as the parameter's.
                    tensor = torch.empty_like(trained[int(position)]).copy_(tensor)
                slots.setdefault(int(position), {})[name] = tensor
        whole = self._optimiser.state_dict()
        self._optimiser.load_state_dict({**whole, "state": slots})
        torch.set_rng_state(torch.from_numpy(state["generator"]))
        if "cuda_generator" in state:
            torch.cuda.set_rng_state(torch.from_numpy(state["cuda_generator"]))

    def device(self) -> dict[str, str]:
        """Where and how it computes."""
        name = torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu"
        precision = "bfloat16 autocast" if self._bf16 else "float32"
        return {"device": name, "precision": precision, "layout": "channels_last"}

    def peak_device_memory(self) -> int | None:
        """Most bytes held on the GPU so far."""
        return torch.cuda.max_memory_allocated() if self._device.type == "cuda" else None

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor

    def _keras_device(self) -> str:
        return "gpu" if self._device.type == "cuda" else "cpu"

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)


def _copy(values: list[torch.Tensor], into: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for value, tensor in zip(values, into, strict=True):
            tensor.copy_(value)


def _optimiser(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    # One pass over each parameter instead of one for each operation: measured on a CPU, Adam's step
    # takes a quarter of the time and SGD's half. A GPU has torch's own choice.
    fused = True if all(parameter.device.type == "cpu" for parameter in parameters) else None
    common: dict[str, Any] = {
        "lr": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "fused": fused,
    }
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, momentum=SGD_MOMENTUM, nesterov=recipe.nesterov, **common
        )
    if recipe.optimiser == "adam":
        return torch.optim.Adam(parameters, eps=ADAM_EPSILON, **common)
    return torch.optim.AdamW(parameters, eps=ADAM_EPSILON, **common)
