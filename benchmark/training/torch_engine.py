"""The PyTorch engine: channels_last, bf16 on CUDA, losses through keras.ops on torch tensors."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import torch

from architectures.network import Network
from benchmark.config import Recipe
from benchmark.methods.base import Batch, Stage
from benchmark.training.engine import ADAM_EPSILON, SGD_MOMENTUM, Engine, no_cuda


class TorchEngine(Engine):
    """Trains a torch network. Needs KERAS_BACKEND=torch for the losses."""

    def __init__(self, network: Network, device: str, seed: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise no_cuda("PyTorch")
        on_gpu = device != "cpu" and torch.cuda.is_available()
        self.network = network
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._bf16 = on_gpu and torch.cuda.is_bf16_supported()
        # Measured on a CPU: Xception trains 1.4 times as fast channels_last.
        network.module.to(self._device, memory_format=torch.channels_last)
        if on_gpu:
            torch.backends.cudnn.benchmark = True
            torch.cuda.reset_peak_memory_stats()
        torch.manual_seed(seed)

    def begin(self, stage: Stage) -> None:
        """Freeze what the stage freezes and start a fresh optimiser."""
        self.network.freeze(stage.recipe.freeze)
        if stage.recipe.bn_momentum is not None:
            self.network.set_bn_momentum(stage.recipe.bn_momentum)
        self._loss = stage.loss
        self._optimiser = _optimiser(self.network.trainable(), stage.recipe)

    def train_step(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> Any:
        """One optimiser step."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        batch = Batch(self._to_device(images), self._to_device(labels))
        self._optimiser.zero_grad(set_to_none=True)
        with keras.device(self._keras_device()), self._precision():
            loss = self._loss(lambda pixels: self.network.forward(pixels, training=True), batch)
        loss.backward()
        self._optimiser.step()
        return loss.detach()

    def predict(self, batches: Iterator[np.ndarray]) -> np.ndarray:
        """Softmax probabilities in inference mode: (N, K) float32."""
        parts = []
        with torch.inference_mode():
            for images in batches:
                with self._precision():
                    logits = self.network.forward(self._to_device(images), training=False).logits
                parts.append(torch.softmax(logits.float(), dim=1))
        return torch.cat(parts).cpu().numpy()

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
        for key, value in state.items():
            if "/" in key:
                position, name = key.split("/")
                slots.setdefault(int(position), {})[name] = torch.from_numpy(value)
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


def _optimiser(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, lr=rate, momentum=SGD_MOMENTUM, nesterov=True, weight_decay=decay
        )
    if recipe.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=rate, eps=ADAM_EPSILON, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, eps=ADAM_EPSILON, weight_decay=decay)
