"""Explainers in Keras, on real photographs, beside those in PyTorch of the same weights."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import explained
from explained import COSTLY, LIBRARIES, NAMES, OTHERS, TARGETS

from benchmark.registry import EXPLAINERS

pytestmark = pytest.mark.slow

NEEDED = ("torch", "tensorflow", *LIBRARIES)

# Largest difference over the largest value. Gradients with respect to pixels cross every ReLU.
TOLERANCES = {
    "gradcam": 1e-4,
    "layercam": 1e-4,
    "integrated-gradients": 5e-3,
    "smoothgrad": 1e-2,
    "occlusion": 1e-3,
}
SIZES = dict.fromkeys(("gradcam", "gradcam++", "layercam", "scorecam"), (3, 3))


def halves(folder, real_data, names, torch_names):
    """What the explainers give in torch and in Keras, which runs in another process."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    images = explained.photographs(real_data)
    network = explained.planted(images)
    network.save(folder / "network.safetensors")
    np.save(folder / "images.npy", images)
    command = [sys.executable, explained.__file__, str(folder), *names]
    # shap compiles itself anew in each process: seconds, for loops that take none here.
    env = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    with np.load(folder / "keras.npz") as stored:
        keras_side = dict(stored)
    torch_side = {}
    for name in torch_names:
        some = slice(len(keras_side[name]))
        torch_side[name] = EXPLAINERS.get(name)().maps(network, images[some], TARGETS[some])
    return torch_side, keras_side


@pytest.fixture(scope="module")
def found(tmp_path_factory, real_data):
    folder = tmp_path_factory.mktemp("explained")
    return halves(folder, real_data, NAMES, [*TOLERANCES, "gradcam++"])


@pytest.mark.parametrize("name", NAMES)
def test_keras_maps_are_finite_positive_and_of_the_class(found, name):
    ours = found[1]
    assert ours[name].dtype == np.float32
    size = SIZES.get(name, (65, 65))
    assert ours[name].shape == (1 if name in COSTLY else 2, *size)
    assert np.isfinite(ours[name]).all()
    assert ours[name].min() >= 0
    assert ours[name].max() > 0
    assert np.abs(ours[name][:1] - ours[f"{name} other"]).max() > 0.01 * ours[name].max()


@pytest.mark.parametrize("name", sorted(TOLERANCES))
def test_the_same_weights_give_the_same_maps(found, name):
    torch_maps, keras_maps = found[0][name], found[1][name]
    assert np.abs(torch_maps - keras_maps).max() < TOLERANCES[name] * torch_maps.max()


def test_gradcam_is_tf_keras_viss_of_the_same_layer(found):
    ours, theirs = found[1]["gradcam"], found[1]["gradcam of tf-keras-vis"]
    assert (np.abs(ours - theirs).max((1, 2)) < 1e-4 * ours.max((1, 2))).all()


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


def test_keras_shap_shares_out_the_whole_rise_of_the_logit(found):
    ours = found[1]
    np.testing.assert_allclose(ours["shap signed"].sum(), ours["rise"][0], atol=1e-5)


def test_shap_gives_the_same_owen_values_in_keras(tmp_path, real_data):
    torch_side, keras_side = halves(tmp_path, real_data, ["shap"], ["shap"])
    difference = np.abs(torch_side["shap"] - keras_side["shap"]).max()
    assert difference < 1e-4 * torch_side["shap"].max()


def test_scorecam_is_another_function_in_keras_than_in_torch(tmp_path, real_data):
    torch_side, keras_side = halves(tmp_path, real_data, ["scorecam"], ["scorecam"])
    scale = keras_side["scorecam"].max() / torch_side["scorecam"].max()
    assert scale > 2
