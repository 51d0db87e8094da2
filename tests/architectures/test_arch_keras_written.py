"""Files that Keras 3 and Keras 2 really write: read here, they answer as they did there."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import architectures

pytest.importorskip("torch")
pytest.importorskip("timm")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CLASSES = 6
# Keras 2 wrote the checkpoints there are; of Keras 3 what is odd: input layers, separable
# convolutions, automatic names.
CASES = [("tf_keras", arch) for arch in architectures.names()]
CASES += [("keras", arch) for arch in ("EfficientNetB0", "NASNetMobile", "InceptionV3")]
QUICK = ("tf_keras", "MobileNet")
PARAMETERS = [pytest.param(case, marks=[] if case == QUICK else pytest.mark.slow) for case in CASES]
# Files of one model, the last with augmentation in front.
MODELS = ("whole", "model", "augmented")
# float32 through a random network without calibrated statistics; a wrong order of layers gives 1.
TOLERANCE = 1e-3


@pytest.fixture(scope="module", params=PARAMETERS, ids="-".join)
def written(request, tmp_path_factory):
    """The folder with everything that one package writes of one architecture, and its answers."""
    package, arch = request.param
    if importlib.util.find_spec(package) is None or importlib.util.find_spec("tensorflow") is None:
        pytest.skip(f"{package} on TensorFlow is not installed")
    folder = tmp_path_factory.mktemp(f"{package}-{arch}")
    side = max(architectures.find(arch).least_size, 66)
    command = [
        sys.executable,
        HERE / "keras_writer.py",
        folder,
        package,
        arch,
        f"{side}x{side + 9}",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    yield arch, folder, dict(np.load(folder / "reference.npz"))
    for file in folder.iterdir():
        file.unlink()


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_what_keras_writes_answers_the_same_here(written):
    arch, folder, answers = written
    images = answers["images"]
    size = images.shape[1:3]
    network = architectures.build(arch, "torch", CLASSES, image_size=size, head="paper")
    fresh = network.tensors()
    for file in sorted(file for name in MODELS for file in folder.glob(f"{name}.*")):
        network.assign(fresh)
        assert network.load_keras_weights(file), file.name
        assert error(network.logits(images), answers["whole"]) < TOLERANCE, file.name
    expected = network.features(images)
    network.assign(fresh)
    assert not network.load_keras_weights(folder / "base.weights.h5")
    np.testing.assert_array_equal(network.features(images), expected)

    if "ours" in answers:
        assert error(answers["ours"], answers["whole"]) < TOLERANCE
    if "once" in answers:
        assert network.load_keras_weights(folder / "once.keras")
        assert error(network.logits(images), answers["once"]) < TOLERANCE

    (top,) = folder.glob("top.*")
    network.load_keras_weights(top, head=False)
    # VGG16's own head is two layers deeper; EfficientNetB0's file lacks the second Rescaling.
    if arch not in ("VGG16", "EfficientNetB0"):
        backbone = network.features(images)
        network = architectures.build(arch, "torch", 1000, image_size=size)
        assert network.load_keras_weights(top)
        np.testing.assert_array_equal(network.features(images), backbone)
        assert error(network.logits(images), answers["top"]) < TOLERANCE
