"""A head for each of several diseases: the same in both frameworks, each as in its own network."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import architectures
from architectures import initial
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
several_side = importlib.import_module("several_side")
keras_made = importlib.import_module("keras_made")

# A head of one layer; one with batch normalisation and dropout before the last layers.
PLAIN, PAPER = JOBS = ["MobileNetV2-70x103-plain", "EfficientNetB0-66x75-paper"]
SIZES = several_side.SIZES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("several")


@pytest.fixture(scope="module")
def torch_made(folder):
    return {job: several_side.torch_outputs(job, folder) for job in JOBS}


@pytest.fixture(scope="module")
def keras_half(folder, torch_made):
    """{job: outputs}, made in a process of its own from the files of the torch half."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "several_side.py"), str(folder), *JOBS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {job: np.load(folder / f"{job}_keras.npz") for job in JOBS}


@pytest.fixture(scope="module")
def network():
    return several_side.built(PLAIN, "torch")[0]


def assert_as_alone(found):
    for number in range(len(SIZES)):
        for what in (f"{number}", f"{number}/kernel", f"{number}/bias"):
            np.testing.assert_array_equal(found[f"whole/{what}"], found[f"alone/{what}"])
    assert not np.array_equal(found["whole/0"][:, :3], found["whole/1"])


@pytest.mark.parametrize("job", JOBS)
def test_each_disease_is_as_in_its_own_network_bit_for_bit(torch_made, job):
    assert_as_alone(torch_made[job])


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_each_disease_is_as_in_its_own_keras_network_bit_for_bit(keras_half, job):
    assert_as_alone(keras_half[job])


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_both_frameworks_draw_the_same_weights_for_one_seed(torch_made, keras_half, job):
    assert str(torch_made[job]["digest"]) == str(keras_half[job]["digest"])


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_both_frameworks_say_the_same_of_all_diseases(torch_made, keras_half, job):
    mine, theirs = torch_made[job]["logits"], keras_half[job]["logits"]
    assert mine.dtype == theirs.dtype == np.float64
    assert mine.shape == (2, sum(SIZES))
    assert np.abs(mine - theirs).max() <= 1e-10 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_maps_of_any_disease_equal_plain_differentiation_in_both(torch_made, keras_half, job):
    expected = torch_made[job]["plain"]
    scale = expected.max((-2, -1), keepdims=True)
    assert (scale > 0).mean() >= 0.5
    found = (torch_made[job]["gradcam"], keras_half[job]["gradcam"], keras_half[job]["plain"])
    for maps in found:
        assert (np.abs(maps - expected) <= 1e-4 * np.where(scale == 0, scale.max(), scale)).all()


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_a_file_goes_from_torch_to_keras_and_back_unchanged(torch_made, keras_half, folder, job):
    other, _ = several_side.built(job, "torch")
    other.load(folder / f"{job}_keras.safetensors")
    tensors = other.tensors()
    for name, array in tensors.items():
        np.testing.assert_array_equal(array, torch_made[job][f"tensors/{name}"])
    kernels = [n for n in tensors if "dense" in n and n.endswith("kernel")][-2:]
    assert [tensors[name].shape[1] for name in kernels] == list(SIZES)


@pytest.mark.parametrize(("stored", "asked"), [(SIZES, 8), (8, SIZES), (SIZES, (3, 5))])
def test_a_file_of_other_diseases_is_refused_unless_the_backbone_is_asked_for(
    stored, asked, tmp_path
):
    path = tmp_path / "weights.safetensors"
    source, _ = several_side.built(PLAIN, "torch", stored)
    source.save(path)
    other = architectures.build("MobileNetV2", "torch", asked, image_size=(70, 103), seed=9)
    with pytest.raises(UserError, match=r"classes (5\+3|8), expected (8|5\+3|3\+5).*head=False"):
        other.load(path)
    before = other.tensors()
    other.load(path, head=False)
    saved = source.tensors()
    for name, array in other.tensors().items():
        expected = before if name.startswith("head/") else saved
        np.testing.assert_array_equal(array, expected[name])


def test_a_twin_and_a_new_head_keep_the_diseases_apart(network):
    twin = network.twin()
    assert (twin.sizes, twin.classes) == (SIZES, 8)
    assert all(np.array_equal(v, network.tensors()[k]) for k, v in twin.tensors().items())
    twin.new_head(8)
    alone = architectures.build("MobileNetV2", "torch", 3, image_size=(70, 103), seed=8)
    np.testing.assert_array_equal(
        twin.tensors()["head/dense_1_1/kernel"], alone.tensors()["head/dense_1/kernel"]
    )


def test_there_is_no_single_classifier_to_adjust(network):
    before = network.tensors()
    with pytest.raises(UserError, match="several diseases has no single classifier"):
        network.classifier()
    with pytest.raises(UserError, match="several diseases has no single classifier"):
        network.scale_logits(np.full(8, 2.0), np.zeros(8))
    assert all(np.array_equal(before[k], v) for k, v in network.tensors().items())


def test_the_published_map_is_not_that_of_several_diseases(network):
    images = np.zeros((1, 70, 103, 3), np.uint8)
    with pytest.raises(UserError, match="several diseases"):
        network.gradcam(images, np.array([6]), paper=True)
    with pytest.raises(ValueError, match=r"0\.\.7"):
        network.gradcam(images, np.array([8]))


@pytest.mark.slow
def test_both_frameworks_refuse_a_cosine_head_alike(keras_half, folder):
    said = several_side.refusal("torch")
    assert said == "a cosine head says one thing only: use a plain or paper head"
    assert (folder / "refusal.txt").read_text() == said


def test_a_keras_files_head_is_left_alone(tmp_path):
    """Even one of as many classes as all diseases have."""
    single = architectures.build("MobileNet", "torch", 8, image_size=keras_made.SIZE, seed=5)
    path = keras_made.write("whole h5", tmp_path / "model", keras_made.layers_of(single, head=True))
    several = architectures.build("MobileNet", "torch", SIZES, image_size=keras_made.SIZE, seed=6)
    before = several.tensors()
    assert not several.load_keras_weights(path)
    for name, array in several.tensors().items():
        expected = before if name.startswith("head/") else single.tensors()
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(("arch", "head"), [("MobileNet", "paper"), ("MobileNetV2", "cosine")])
def test_a_single_disease_is_drawn_as_before(arch, head):
    """One draw after the other; of one disease in a tuple as of its number."""
    row = architectures.find(arch)
    built = [
        architectures.build(arch, "torch", classes, image_size=row.least_size, head=head, seed=2)
        for classes in (4, (4,))
    ]
    _, generator = np.random.default_rng(2).spawn(2)
    for slot, other in zip(*(network.head_slots() for network in built), strict=True):
        expected = initial.draw(slot.role, slot.shape, "glorot", generator)
        np.testing.assert_array_equal(slot.read(), expected)
        np.testing.assert_array_equal(other.read(), expected)
        assert slot.name == other.name
