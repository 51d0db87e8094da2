"""The PyTorch heads: the cosine head against LDAM's, and files that hold none."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import architectures
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
torch_head = importlib.import_module("architectures.torch_head")

sys.path.insert(0, str(Path(__file__).parent))
keras_made = importlib.import_module("keras_made")


@pytest.mark.parametrize("architecture", architectures.ARCHITECTURES, ids=lambda row: row.name)
def test_every_paper_head_ends_with_the_dense_layer_that_is_the_classifier(architecture):
    assert architecture.settings.head[-1] == "dense"


def test_cosine_logits_and_gradients_are_those_of_ldams_layer():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch_head.Cosine(16, 3).double()
    # NormedLinear of the LDAM code; its loss multiplies by s = 30.
    normalize = torch.nn.functional.normalize
    expected = 30 * normalize(features, dim=1) @ normalize(head.weight.T, dim=0)
    found = head(features)
    torch.testing.assert_close(found, expected)
    inputs = (features, head.weight)
    pull = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    mine = torch.autograd.grad((pull * found).sum(), inputs)
    theirs = torch.autograd.grad((pull * expected).sum(), inputs)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-7, 1e-6, 1e15])
def test_no_length_of_the_features_breaks_the_cosine(length):
    features = torch.full((1, 4), length / 2, requires_grad=True)
    head = torch_head.Cosine(4, 2)
    logits = head(features)
    (slope,) = torch.autograd.grad(logits[0, 0], features)
    assert torch.isfinite(logits).all()
    assert torch.isfinite(slope).all()
    # 30 over the least norm.
    assert slope.norm() <= 30 * 1e6 * 1.001


@pytest.mark.parametrize("kind", keras_made.KINDS)
@pytest.mark.parametrize("biased", [True, False])
def test_a_keras_files_head_is_never_read_as_a_cosine_head(kind, biased, tmp_path):
    """Not even a dense layer without bias, whose one array has the kernel's shape."""
    layers = keras_made.layers_of(keras_made.trained(), head=True)
    if not biased:
        for arrays in layers[-1][2:]:
            arrays.pop()
    path = keras_made.write(kind, tmp_path / "model", layers)
    network = keras_made.build(head="cosine")
    before = network.tensors()
    with pytest.raises(UserError, match=r"no cosine head.*head=False"):
        network.load_keras_weights(path)
    assert all(np.array_equal(before[name], v) for name, v in network.tensors().items())
    assert not network.load_keras_weights(path, head=False)


def test_a_keras_file_without_head_leaves_the_cosine_head_as_it_is(tmp_path):
    layers = keras_made.layers_of(keras_made.trained())
    path = keras_made.write("weights.h5", tmp_path / "model", layers)
    network = keras_made.build(head="cosine")
    before = network.tensors()["head/cosine_1/kernel"]
    assert not network.load_keras_weights(path)
    np.testing.assert_array_equal(network.tensors()["head/cosine_1/kernel"], before)
