"""Keras against PyTorch, in two processes: one function, one catalogue, one file format."""

import importlib
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import architectures
from architectures.network import FREEZE_POLICIES
from architectures.weights import table, weightless
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))
both_sides = importlib.import_module("both_sides")
torch_side = importlib.import_module("torch_side")
parity_table = importlib.import_module("parity_table")

# Sizes are odd and rectangular to bring out padding faults; the heads are the paper's odd ones.
SMALL = [
    torch_side.job("MobileNet", (97, 110), "paper"),
    torch_side.job("ResNet50V2", (65, 78)),
    torch_side.job("Xception", (71, 88)),
    torch_side.job("EfficientNetB0", (66, 75), "paper"),
    torch_side.job("MobileNetV2", (75, 98), "cosine", "backbone-weights"),
]
STOCK = [["MobileNetV2", [75, 98]], ["EfficientNetB0", [75, 98]]]
# Stochastic depth and a batch normalisation in the head; a linear bottleneck.
TRAINED = [("EfficientNetB0", "paper"), ("MobileNetV2", "paper"), ("MobileNetV2", "cosine")]
TENSORS = (*parity_table.QUANTITIES, "module", "train_logits")
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


def is_taken(arch, size):
    """Whether the architecture leaves a map of an image of this size."""
    try:
        architectures.check_image_size(architectures.find(arch), size)
    except UserError:
        return False
    return True


def training_size(arch):
    """(height, width): small, one side odd and one even."""
    side = architectures.find(arch).least_size | 1
    return side, side + 7


def training_errors(mine, keras):
    """The worst relative error per quantity of `parity_table.TRAINING`.

    Every tensor with a gradient must have moved by much more than the weights may differ.
    """
    names = [name.partition("/")[2] for name in mine if name.startswith("gradient/")]
    assert {f"gradient/{name}" for name in names} == {k for k in keras if k.startswith("gradient/")}
    scales = {name: np.abs(keras[f"gradient/{name}"]).max() for name in names}
    steepest = max(scales.values())
    # A shift before a batch normalisation has no gradient but rounding.
    still = {name for name, scale in scales.items() if scale < 1e-10 * steepest}
    assert {name.rpartition("/")[2] for name in still} <= {"bias", "beta"}
    found = {quantity: [] for quantity in parity_table.TRAINING}

    def note(quantity, ours, theirs, scale=None):
        absolute = np.abs(ours - theirs).max()
        found[quantity].append(absolute / scale if scale else torch_side.error(ours, theirs))

    note("logits", mine["logits"], keras["logits"])
    for name in names:
        pull, scale = f"gradient/{name}", steepest if name in still else None
        note("gradients", mine[pull], keras[pull], scale)
        before, last = mine[f"before/{name}"], keras[f"last/{name}"]
        note("weights", mine[f"last/{name}"], last)
        if name not in still:
            note("updates", mine[f"last/{name}"] - before, last - before)
            moved = torch_side.error(last, before)
            assert moved > 10 * parity_table.TRAINING["weights"], (name, moved)
    for norm, (count, kept) in ((k[5:], v) for k, v in mine.items() if k.startswith("norm/")):
        for when, steps, prefix in (("first", 1, ""), ("last", torch_side.STEPS, "later ")):
            # torch accumulates the unbiased variance of `count` values, Keras the biased one.
            for statistic, ratio in (("mean", 1), ("variance", count / (count - 1))):
                name = f"{norm}/moving_{statistic}"
                old = mine[f"before/{name}"] * kept**steps
                added = keras[f"{when}/{name}"] - old
                note(f"{prefix}{statistic}s", mine[f"{when}/{name}"] - old, ratio * added)
    # VGG16 has no statistics.
    return {quantity: float(np.max(e)) if e else None for quantity, e in found.items()}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    torch_outputs = {job["id"]: torch_side.outputs(job, folder) for job in SMALL}
    for arch, head in TRAINED:
        made = torch_side.training(arch, training_size(arch), folder, head)
        torch_outputs[f"{arch}-{head}"] = made
    trained = [(arch, training_size(arch), head) for arch, head in TRAINED]
    jobs = {"outputs": SMALL, "training": trained}
    torch_side.run_keras(folder, jobs | {"stock": STOCK, "facts": architectures.names()})
    return folder, torch_outputs


@pytest.mark.parametrize("job", SMALL, ids=lambda job: job["id"])
def test_both_frameworks_compute_the_same_function(both, job, record_property):
    folder, torch_outputs = both
    errors = compare(folder, job, torch_outputs[job["id"]])
    shown = {name: errors[name] for name in parity_table.QUANTITIES}
    record_property("parity", parity_table.entries(job["arch"], "float64", job["size"], shown))
    assert {k: v for k, v in errors.items() if k in TENSORS and not v <= 1e-10} == {}
    assert {k: v for k, v in errors.items() if k.startswith("numpy_") and not v <= 1e-4} == {}


@pytest.mark.parametrize(("arch", "head"), TRAINED)
def test_both_frameworks_train_the_same_network(both, arch, head, record_property):
    folder, torch_outputs = both
    name = f"{arch}-{head}"
    errors = training_errors(torch_outputs[name], np.load(folder / f"{name}_training.npz"))
    measured = parity_table.entries(arch, "training", training_size(arch), errors)
    record_property("parity", measured)
    faults = parity_table.faults(measured)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("job", SMALL, ids=lambda job: job["id"])
def test_a_training_pass_moves_the_same_means(both, job):
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
    with pytest.raises(UserError, match="is not of MobileNet"):
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
    assert facts["weightless"] == weightless(arch)
    assert facts["fixed_rows"] == row.settings.fixed_rows
    expected = [] if row.bn_epsilon is None else [[row.bn_epsilon, row.bn_momentum]]
    assert facts["bn"] == expected


@pytest.mark.parametrize("arch", architectures.names())
def test_new_networks_and_what_freezing_leaves_are_equal_in_both(both, arch):
    folder, _ = both
    facts = json.loads((folder / "facts.json").read_text())[arch]
    row = architectures.find(arch)
    network = architectures.build(arch, "torch", 4, image_size=(row.least_size, row.least_size + 5))
    assert both_sides.digest(network) == facts["new_weights"]
    assert facts["global_generator_kept"]
    for policy in FREEZE_POLICIES:
        network.freeze(policy)
        count = sum(tensor.numel() for tensor in network.trainable())
        assert count == facts[f"trainable_{policy}"], policy


def test_stochastic_depth_has_the_same_schedule_in_both(both):
    folder, _ = both
    facts = json.loads((folder / "facts.json").read_text())
    row = architectures.find("EfficientNetB0")
    network = architectures.build("EfficientNetB0", "torch", 2, image_size=65)
    rates = [m.drop_prob for m in network.module.modules() if hasattr(m, "drop_prob")]
    keras = facts["EfficientNetB0"]["drop"]
    # timm also makes a module for the blocks without shortcut, which never drops; the rate grows
    # from block to block.
    assert keras == pytest.approx([rate for rate in rates if round(rate, 9) in np.round(keras, 9)])
    assert len(keras) == weightless(row.name)["Add"]
    assert max(keras) < row.drop_connect
    assert all(facts[arch]["drop"] == [] for arch in architectures.names() if arch != row.name)


@pytest.fixture
def folder():
    """Emptied at once: pytest would keep the weights of eleven networks, three times over."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.mark.slow
@pytest.mark.parametrize("arch", architectures.names())
def test_all_eleven_are_one_function_at_every_size_and_in_training(arch, folder, record_property):
    taken = [size for size in parity_table.sizes(arch) if is_taken(arch, size)]
    inferred = torch_side.cells(arch, taken, folder)
    trained = torch_side.training(arch, training_size(arch), folder)
    torch_side.run_keras(
        folder, {"cells": [(arch, taken)], "training": [(arch, training_size(arch), "paper")]}
    )
    measured = []
    for size in parity_table.sizes(arch):
        for dtype in ("float64", "float32"):
            errors = dict.fromkeys(parity_table.QUANTITIES)
            if size in taken:
                cell = f"{size[0]}x{size[1]}-{dtype}"
                keras = np.load(folder / f"{cell}_keras.npz")
                assert keras["gradcam"].any(), cell
                errors = {k: torch_side.error(inferred[cell][k], keras[k]) for k in errors}
            measured += parity_table.entries(arch, dtype, size, errors)
    errors = training_errors(trained, np.load(folder / f"{arch}-paper_training.npz"))
    measured += parity_table.entries(arch, "training", training_size(arch), errors)
    record_property("parity", measured)
    faults = parity_table.faults(measured)
    assert not faults, "\n".join(faults)


def test_only_the_inceptions_refuse_a_size_of_the_matrix():
    refused = {
        (arch, size)
        for arch in architectures.names()
        for size in parity_table.sizes(arch)
        if not is_taken(arch, size)
    }
    assert refused == {("InceptionV3", (96, 96)), ("InceptionResNetV2", (96, 96))}
