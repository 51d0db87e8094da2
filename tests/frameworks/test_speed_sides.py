"""The peers that `speed` measures us against compute what we compute, in the running framework."""

import shutil
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from benchmark.speed.sides import gradcam, inference, training

PEERS = {
    "torch": [
        ("gradcam_torch", "grad_cam", "pytorch_grad_cam"),
        ("gradcam_torch", "torchcam", "torchcam"),
        ("gradcam_torch", "captum", "captum"),
    ],
    "keras": [("gradcam_keras", "tf_keras_vis", "tf_keras_vis")],
}
PREDICTING = {"torch": ("inference_torch", "loop"), "keras": ("inference_keras", "predict")}
LOADING = {"torch": ("pipeline_torch", "loader"), "keras": ("pipeline_keras", "dataset")}
FILES = {"torch": "loader", "keras": "fit"}


@pytest.fixture
def settings(framework):
    return {"arch": "MobileNetV2", "size": 96, "batch": 4, "framework": framework, "images": 8}


def _side(module, function):
    return getattr(import_module(f"benchmark.speed.sides.{module}"), function)


def _result(prepared):
    return prepared.result(prepared.work())


def test_every_library_gives_our_grad_cam(settings, framework, tmp_path):
    expected = _result(gradcam.ours(settings, tmp_path))
    assert expected.shape == (4, 96, 96)
    assert expected.max() == pytest.approx(1)
    np.testing.assert_allclose(_result(gradcam.forward(settings, tmp_path)), expected, atol=1e-6)
    for module, function, library in PEERS[framework]:
        if find_spec(library) is not None:
            found = _result(_side(module, function)(settings, tmp_path))
            np.testing.assert_allclose(found, expected, atol=1e-3, err_msg=function)


def test_the_validation_loop_gives_our_probabilities(settings, framework, tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    ours = _result(inference.ours(settings, tmp_path / "ours"))
    theirs = _result(_side(*PREDICTING[framework])(settings, tmp_path / "theirs"))
    assert ours.shape == (8, 7)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_every_epoch_trains_on_every_image(settings, framework, tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    ours = training.ours(settings, tmp_path / "ours")
    assert [ours.work(), ours.work()] == [8, 8]
    for function in ("bare", FILES[framework]):
        folder = tmp_path / function
        folder.mkdir()
        theirs = _side(f"training_{framework}", function)(settings, folder)
        assert _result(theirs) == [8], function


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler: install g++")
def test_compiled_steps_train_on_every_image_and_tell_what_compiling_took(
    settings, framework, tmp_path
):
    compiled = _side(f"training_{framework}", "compiled")(settings, tmp_path)
    assert _result(compiled) == [8]
    assert compiled.facts["first time"].endswith(" s")


def test_the_other_pipelines_have_every_image(settings, framework, tmp_path):
    loading = _side(*LOADING[framework])(settings, tmp_path)
    assert _result(loading) == [8]
    images, labels = next(iter(loading.batches))
    assert sorted(images.shape[1:]) == [3, 96, 96]
    assert len(labels) == 4
