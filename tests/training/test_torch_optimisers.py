"""The fused step on a CPU is the plain one, and each goes on from what the other has left."""

from copy import deepcopy

import numpy as np
import pytest

import architectures
from benchmark.methods.base import Batch, Stage
from benchmark.recipe import Recipe
from benchmark.training.frameworks import make_engine, select_backend

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

SIZE = 65


def _of_logits(network, batch):
    return network(batch.images).logits.square().mean()


@pytest.fixture(params=["sgd", "adam", "adamw"])
def engine(request):
    """After two steps; the last gradients are still there."""
    select_backend("torch")
    network = architectures.build("MobileNetV2", "torch", 3, image_size=SIZE, seed=0)
    trained = make_engine(network, "cpu", 0)
    recipe = Recipe(
        epochs=1,
        batch_size=4,
        optimiser=request.param,
        learning_rate=1e-3,
        weight_decay=0.1,
        schedule="constant",
    )
    trained.begin(Stage("train", _of_logits, recipe))
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.uint8)
    for _ in range(2):
        trained.train_step(Batch((images,), np.array([0, 1, 2, 0])), 1e-3)
    return trained


def _of(optimiser):
    return [each for group in optimiser.param_groups for each in group["params"]]


def _unfused(optimiser):
    """An optimiser of copies of the parameters, their gradients and what it remembers."""
    copies = []
    for parameter in _of(optimiser):
        copies.append(torch.nn.Parameter(parameter.detach().clone()))
        copies[-1].grad = parameter.grad.clone()
    plain = type(optimiser)(copies, fused=False)
    plain.load_state_dict(deepcopy(optimiser.state_dict()))
    for group in plain.param_groups:
        group["fused"] = False
    return plain


def _assert_alike(first, second):
    for one, other in zip(_of(first), _of(second), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_a_fused_step_is_the_plain_one(engine):
    assert engine._optimiser.param_groups[0]["fused"]
    plain = _unfused(engine._optimiser)
    engine._optimiser.step()
    plain.step()
    _assert_alike(engine._optimiser, plain)


def test_a_fused_optimiser_goes_on_from_what_a_plain_one_has_left(engine):
    fused, plain = engine._optimiser, _unfused(engine._optimiser)
    engine._optimiser = plain
    # As a checkpoint has it, in C order whatever the layout was.
    kept = {name: np.array(value, order="C") for name, value in engine.optimiser_state().items()}
    engine._optimiser = fused
    for slots in fused.state.values():
        slots.clear()
    engine.restore_optimiser(kept)
    fused.step()
    plain.step()
    _assert_alike(fused, plain)
