"""Explainers in Keras, on real photographs, beside those in PyTorch of the same weights."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import explained
from explained import OTHERS, QUICK, TARGETS

from benchmark.registry import EXPLAINERS

for _library in ("torch", "captum", "pytorch_grad_cam", "torchcam", "shap"):
    pytest.importorskip(_library)
NEEDED = ("tensorflow", "tf_keras_vis")
# shap compiles itself anew in each process.
NAMES = tuple(name for name in QUICK if name != "shap")

# Largest difference over the largest value. Gradients with respect to pixels cross every ReLU.
TOLERANCES = {
    "gradcam": 1e-4,
    "layercam": 1e-4,
    "integrated-gradients": 5e-3,
    "smoothgrad": 1e-2,
    "occlusion": 1e-3,
}


def halves(folder, real_data, names):
    """What the explainers give in torch and in Keras, which runs in another process."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    images = explained.photographs(real_data)
    network = explained.planted(images)
    network.save(folder / "network.safetensors")
    np.save(folder / "images.npy", images)
    command = [sys.executable, explained.__file__, str(folder), *names]
    subprocess.run(command, check=True, capture_output=True, text=True)
    with np.load(folder / "keras.npz") as stored:
        keras_side = dict(stored)
    return {n: EXPLAINERS.get(n)().maps(network, images, TARGETS) for n in names}, keras_side


@pytest.fixture(scope="module")
def found(tmp_path_factory, real_data):
    return halves(tmp_path_factory.mktemp("explained"), real_data, NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_keras_maps_are_finite_positive_and_of_the_class(found, name):
    ours = found[1]
    assert ours[name].dtype == np.float32
    assert ours[name].shape == found[0][name].shape
    assert np.isfinite(ours[name]).all()
    assert ours[name].min() >= 0
    assert ours[name].max() > 0
    assert np.abs(ours[name][:1] - ours[f"{name} other"]).max() > 0.01 * ours[name].max()


@pytest.mark.parametrize("name", sorted(TOLERANCES))
def test_the_same_weights_give_the_same_maps(found, name):
    torch_maps, keras_maps = found[0][name], found[1][name]
    assert np.abs(torch_maps - keras_maps).max() < TOLERANCES[name] * torch_maps.max()


def test_gradcam_plus_plus_of_the_two_frameworks_are_two_functions(found):
    torch_maps, keras_maps = found[0]["gradcam++"], found[1]["gradcam++"]
    assert np.abs(torch_maps - keras_maps).max() > 0.1 * torch_maps.max()
    # As its settings say: alphas that sum to 1 leave LayerCAM, after this suite's plain head.
    np.testing.assert_allclose(keras_maps, found[1]["layercam"], rtol=1e-3)


@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "layercam"])
def test_keras_maps_of_every_class_are_those_asked_for_one_by_one(found, name):
    ours, rows = found[1], np.arange(2)
    np.testing.assert_allclose(ours[f"{name} every"][rows, TARGETS], ours[name], rtol=1e-5)
    np.testing.assert_allclose(
        ours[f"{name} every"][0, OTHERS[0]], ours[f"{name} other"][0], rtol=1e-5
    )


def test_keras_integrated_gradients_sum_to_the_rise_of_the_logit(found):
    ours = found[1]
    total = ours["integrated-gradients signed"].sum()
    np.testing.assert_allclose(total, ours["rise"][0], atol=0.02)


@pytest.mark.slow
def test_shap_gives_the_same_owen_values_in_keras(tmp_path, real_data):
    torch_side, keras_side = halves(tmp_path, real_data, ["shap"])
    difference = np.abs(torch_side["shap"] - keras_side["shap"]).max()
    assert difference < 1e-4 * torch_side["shap"].max()
    np.testing.assert_allclose(keras_side["shap signed"].sum(), keras_side["rise"][0], atol=1e-5)


@pytest.mark.slow
def test_scorecam_runs_in_keras_and_is_another_function_than_in_torch(tmp_path, real_data):
    torch_side, keras_side = halves(tmp_path, real_data, ["scorecam"])
    assert np.isfinite(keras_side["scorecam"]).all()
    assert keras_side["scorecam"].min() >= 0
    change = np.abs(keras_side["scorecam"][:1] - keras_side["scorecam other"]).max()
    assert change > 0.01 * keras_side["scorecam"].max()
    scale = keras_side["scorecam"].max() / torch_side["scorecam"].max()
    assert scale > 2
