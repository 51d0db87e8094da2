"""Keras against PyTorch, in two processes: one function, one catalogue, one file format."""

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import architectures
from architectures.weights import table
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))
torch_side = importlib.import_module("torch_side")

# Sizes are odd and rectangular to bring out padding faults; the heads are the paper's odd ones.
SMALL = [
    torch_side.job("MobileNet", (97, 110), "paper"),
    torch_side.job("ResNet50V2", (65, 78)),
    torch_side.job("Xception", (71, 88)),
    torch_side.job("EfficientNetB0", (66, 75), "paper"),
]
STOCK = [["MobileNetV2", [75, 98]], ["EfficientNetB0", [75, 98]]]
FULL_SIZES = ((160, 173), (225, 257))
TENSORS = ("maps", "features", "logits", "module", "cam", "train_logits")
# Keras stores the biased batch variance, torch the unbiased one: only that may differ after a step.
BIASED = "moving_variance"


def compare(folder, job, torch_outputs):
    """The worst relative error per output."""
    keras = np.load(folder / f"{job['id']}_keras.npz")
    return {
        name: torch_side.error(torch_outputs[name], keras[name])
        for name in torch_outputs
        if not name.endswith(BIASED)
    }


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Images this small gain nothing from more, and lose much when the processors are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    torch_outputs = {job["id"]: torch_side.outputs(job, folder) for job in SMALL}
    torch_side.run_keras(folder, {"outputs": SMALL, "stock": STOCK, "facts": architectures.names()})
    return folder, torch_outputs


@pytest.mark.parametrize("job", SMALL, ids=lambda job: job["id"])
def test_both_frameworks_compute_the_same_function(both, job):
    folder, torch_outputs = both
    errors = compare(folder, job, torch_outputs[job["id"]])
    assert {k: v for k, v in errors.items() if k in TENSORS and v > 1e-10} == {}
    assert {k: v for k, v in errors.items() if k.startswith("numpy_") and v > 1e-4} == {}


@pytest.mark.parametrize("job", SMALL, ids=lambda job: job["id"])
def test_a_training_pass_moves_the_same_statistics(both, job):
    folder, torch_outputs = both
    keras = np.load(folder / f"{job['id']}_keras.npz")
    mine = torch_outputs[job["id"]]
    means = [name for name in mine if name.endswith("moving_mean")]
    assert means
    assert max(torch_side.error(mine[name], keras[name]) for name in means) < 1e-10


def test_a_network_saved_by_keras_is_read_by_torch(both):
    folder, _ = both
    job = SMALL[1]
    keras = np.load(folder / f"{job['id']}_keras.npz")
    network = architectures.build("ResNet50V2", "torch", 5, image_size=(65, 78), seed=3)
    network.load(folder / f"{job['id']}_keras.safetensors")
    for name, array in network.tensors().items():
        np.testing.assert_allclose(array, keras[f"after/{name}"], rtol=1e-6)


@pytest.mark.parametrize(("arch", "size"), STOCK, ids=lambda value: str(value))
def test_imagenet_files_give_both_the_features_of_keras_applications(both, arch, size, monkeypatch):
    folder, _ = both
    monkeypatch.setattr(
        "architectures.published.imagenet", lambda architecture: folder / f"{architecture.name}.h5"
    )
    network = architectures.build(arch, "torch", 3, image_size=tuple(size), weights="imagenet")
    stock = np.load(folder / f"{arch}_stock.npz")
    assert network.weights == "imagenet"
    assert torch_side.error(network.features(stock["images"]), stock["features"]) < 1e-4
    assert torch_side.error(stock["ours"], stock["features"]) < 1e-4


def test_the_file_of_another_architecture_is_refused(both):
    folder, _ = both
    with pytest.raises(UserError, match="another architecture"):
        architectures.build(
            "MobileNet", "torch", 3, image_size=96, weights=folder / "MobileNetV2.h5"
        )


@pytest.mark.parametrize("arch", architectures.names())
def test_the_catalogue_says_what_keras_applications_does(both, arch):
    folder, _ = both
    facts = json.loads((folder / "facts.json").read_text())[arch]
    row = architectures.find(arch)
    size = (row.least_size, row.least_size + 5)
    assert facts["base_parameters"] == row.base_parameters
    assert facts["map"] == [*architectures.map_shape(row, size), row.channels]
    assert facts["rows"] == [[entry.layer, entry.kind] for entry in table(arch)]
    assert facts["fixed_rows"] == row.settings.fixed_rows
    expected = [] if row.bn_epsilon is None else [[row.bn_epsilon, row.bn_momentum]]
    assert facts["bn"] == expected


@pytest.mark.parametrize("arch", architectures.names())
def test_new_networks_and_what_freezing_leaves_are_equal_in_both(both, arch):
    folder, _ = both
    facts = json.loads((folder / "facts.json").read_text())[arch]
    row = architectures.find(arch)
    network = architectures.build(arch, "torch", 4, image_size=(row.least_size, row.least_size + 5))
    assert torch_side.digest(network) == facts["new_weights"]
    assert facts["global_generator_kept"]
    for policy in ("none", "paper", "backbone"):
        network.freeze(policy)
        count = sum(tensor.numel() for tensor in network.trainable())
        assert count == facts[f"trainable_{policy}"], policy


def test_stochastic_depth_has_the_same_schedule_in_both(both):
    folder, _ = both
    facts = json.loads((folder / "facts.json").read_text())
    row = architectures.find("EfficientNetB0")
    network = architectures.build("EfficientNetB0", "torch", 2, image_size=65)
    rates = [m.drop_prob for m in network.module.modules() if hasattr(m, "drop_prob")]
    # timm also makes a module for the blocks without shortcut, which never drops.
    keras = facts["EfficientNetB0"]["drop"]
    assert set(np.round(keras, 9)) <= set(np.round(rates, 9))
    assert max(keras) < row.drop_connect
    assert all(facts[arch]["drop"] == [] for arch in architectures.names() if arch != row.name)


@pytest.mark.slow
@pytest.mark.parametrize("arch", architectures.names())
@pytest.mark.parametrize("size", FULL_SIZES, ids=str)
def test_all_eleven_compute_the_same_function(arch, size, tmp_path):
    job = torch_side.job(arch, size)
    found = torch_side.outputs(job, tmp_path)
    torch_side.run_keras(tmp_path, {"outputs": [job], "stock": [], "facts": []})
    errors = compare(tmp_path, job, found)
    assert {k: v for k, v in errors.items() if k in TENSORS and v > 1e-10} == {}
