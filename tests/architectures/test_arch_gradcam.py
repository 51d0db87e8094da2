"""Grad-CAM of several classes and by the DermXDB benchmark's rule, in both frameworks."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import architectures

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
gradcam_side = importlib.import_module("gradcam_side")

# The two whose published maps lie before BatchNormalization, and the one with the logit.
EARLY, LATE, LOGIT = (
    "EfficientNetB0-70x103-paper",
    "InceptionResNetV2-139x150-plain",
    "VGG16-48x64-paper",
)
QUICK = [EARLY, LOGIT, "MobileNetV2-70x103-plain"]
RULES = ("ours", "paper")


def assert_close(found, expected):
    """Up to float32's rounding, map by map: max|a-b| <= 1e-4 max|b|; not most maps are empty."""
    assert found.shape == expected.shape
    scale = expected.max((-2, -1), keepdims=True)
    empty = scale == 0
    assert empty.mean() <= 0.5
    # Of an empty map, what rounding leaves is held against the others.
    assert (np.abs(found - expected) <= 1e-4 * np.where(empty, scale.max(), scale)).all()


def keras_outputs(jobs, path):
    """{job/rule/what: array}, made in a process of its own."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "gradcam_side.py"), "keras", str(path), *jobs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(path)


@pytest.fixture(scope="module")
def torch_maps():
    return {job: gradcam_side.outputs(job, "torch") for job in QUICK}


@pytest.fixture(scope="module")
def keras_maps(tmp_path_factory):
    return keras_outputs(QUICK, tmp_path_factory.mktemp("gradcam") / "keras.npz")


@pytest.fixture(scope="module")
def network():
    return gradcam_side.built(EARLY, "torch")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("job", QUICK)
def test_maps_equal_plain_differentiation_of_the_whole_network(torch_maps, keras_maps, job, rule):
    probabilities = torch_maps[job]["probabilities"]
    assert probabilities.min() > 0.02
    assert probabilities.max() < 0.98
    mine = torch_maps[job]
    assert_close(mine[f"{rule}/several"], mine[f"{rule}/plain"])
    assert_close(keras_maps[f"{job}/{rule}/several"], keras_maps[f"{job}/{rule}/plain"])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("job", QUICK)
def test_several_classes_at_once_equal_one_by_one(torch_maps, keras_maps, job, rule):
    mine = torch_maps[job]
    assert_close(mine[f"{rule}/several"], mine[f"{rule}/single"])
    assert_close(keras_maps[f"{job}/{rule}/several"], keras_maps[f"{job}/{rule}/single"])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("job", QUICK)
def test_both_frameworks_draw_the_same_maps(torch_maps, keras_maps, job, rule):
    assert_close(keras_maps[f"{job}/{rule}/several"], torch_maps[job][f"{rule}/several"])


@pytest.mark.slow
def test_both_frameworks_draw_the_same_maps_of_inception_resnet(tmp_path):
    mine = gradcam_side.outputs(LATE, "torch")
    keras = keras_outputs([LATE], tmp_path / "keras.npz")
    for rule in RULES:
        assert_close(mine[f"{rule}/several"], mine[f"{rule}/plain"])
        assert_close(keras[f"{LATE}/{rule}/several"], mine[f"{rule}/several"])
        assert_close(keras[f"{LATE}/{rule}/several"], keras[f"{LATE}/{rule}/plain"])


def test_the_papers_map_is_another_than_ours(torch_maps):
    # VGG16's score and layer are the same in both rules.
    mine = torch_maps[LOGIT]
    np.testing.assert_array_equal(mine["paper/several"], mine["ours/several"])
    ours, paper = (torch_maps[EARLY][f"{rule}/several"] for rule in ("ours", "paper"))
    ours, paper = (maps / maps.max((-2, -1), keepdims=True) for maps in (ours, paper))
    assert np.abs(ours - paper).max((-2, -1)).min() > 0.05


def test_several_classes_cost_one_forward_pass_per_batch(network, monkeypatch):
    model, images = network
    batches = []
    forward = model.module.maps
    monkeypatch.setattr(model.module, "maps", lambda x: batches.append(len(x)) or forward(x))
    for paper in (False, True):
        model.gradcam(images, gradcam_side.TARGETS, batch_size=1, paper=paper)
    assert batches == [1, 1, 1, 1]
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_a_probability_of_one_has_no_slope_and_an_empty_map(network):
    model, images = network
    before = model.tensors()
    kernel = next(k for k in before if k.startswith("head/dense") and k.endswith("kernel"))
    winners = model.logits(images).argmax(1)
    try:
        model.assign(before | {kernel: 1e4 * before[kernel]})
        assert not model.gradcam(images, winners, paper=True).any()
        assert model.gradcam(images, winners).max((1, 2)).min() > 0
    finally:
        model.assign(before)


@pytest.mark.parametrize("shape", [(2, 0), (1, 2), (2, 1, 1), ()])
def test_targets_of_another_shape_are_refused(network, shape):
    model, images = network
    with pytest.raises(ValueError, match="one target per image"):
        model.gradcam(images, np.zeros(shape, int))


def test_any_of_several_targets_out_of_range_is_refused(network):
    model, images = network
    with pytest.raises(ValueError, match=r"0\.\.3"):
        model.gradcam(images, np.array([[0, 1], [2, 4]]))


@pytest.mark.parametrize("name", architectures.names())
def test_the_published_layer_is_ours_unless_the_catalogue_says_where_it_lies(name):
    row = architectures.find(name)
    published = row.settings.cam_layer
    # NASNetMobile's layer is numbered by the authors' session.
    same = published in (None, row.keras_cam) or name == "NASNetMobile"
    assert same == (row.torch_paper_cam is None)
    assert row.settings.cam_score == ("logit" if name == "VGG16" else "probability")
