"""The catalogue: names, sizes, tables and settings, and that none of it loads a framework."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import architectures
from architectures.published import KERAS_FILES
from architectures.weights import table
from benchmark.errors import UserError

ROOT = Path(__file__).parent.parent.parent
ELEVEN = [
    "DenseNet121",
    "EfficientNetB0",
    "InceptionV3",
    "InceptionResNetV2",
    "MobileNet",
    "MobileNetV2",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
]


def test_the_eleven_are_spelled_as_in_keras_applications():
    assert architectures.names() == ELEVEN


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("xception", "Xception"),
        ("EfficientNet-B0", "EfficientNetB0"),
        ("tf_efficientnet_b0", "EfficientNetB0"),
        ("RESNET50V2", "ResNet50V2"),
        ("mobilenetv1_100", "MobileNet"),
    ],
)
def test_an_alias_in_any_case_finds_its_architecture(given, name):
    assert architectures.find(given).name == name


def test_no_two_architectures_share_a_name():
    spelled = [n for row in architectures.ARCHITECTURES for n in (row.name.lower(), *row.aliases)]
    assert len(spelled) == len(set(spelled))


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UserError, match=r"did you mean .*Xception"):
        architectures.find("Exception")


@pytest.mark.parametrize(
    ("name", "native", "rectangle"),
    [
        ("DenseNet121", (7, 7), (9, 12)),
        ("EfficientNetB0", (7, 7), (10, 13)),
        ("InceptionV3", (8, 8), (8, 11)),
        ("InceptionResNetV2", (8, 8), (8, 11)),
        ("MobileNet", (7, 7), (9, 12)),
        ("MobileNetV2", (7, 7), (10, 13)),
        ("NASNetMobile", (7, 7), (10, 13)),
        ("ResNet50", (7, 7), (10, 13)),
        ("ResNet50V2", (7, 7), (10, 13)),
        ("VGG16", (14, 14), (18, 25)),
        ("Xception", (10, 10), (10, 13)),
    ],
)
def test_map_shapes_are_those_measured_in_keras(name, native, rectangle):
    row = architectures.find(name)
    assert architectures.map_shape(row, (row.native_size, row.native_size)) == native
    assert architectures.map_shape(row, (300, 400)) == rectangle


@pytest.mark.parametrize("name", ELEVEN)
def test_the_least_size_is_the_least_that_leaves_three_by_three(name):
    row = architectures.find(name)
    least = row.least_size
    assert architectures.map_shape(row, (least, least)) == (3, 3)
    assert architectures.map_shape(row, (least - 1, least)) == (2, 3)
    architectures.check_image_size(row, (least, least))
    with pytest.raises(UserError, match=f"at least {least}$"):
        architectures.check_image_size(row, (least + 50, least - 1))


def test_the_papers_settings_are_complete_where_the_code_had_them():
    missing = {
        row.name
        for row in architectures.ARCHITECTURES
        if None
        in (row.settings.pretrain_epochs, row.settings.finetune_epochs, row.settings.cam_layer)
    }
    assert missing == {"DenseNet121"}
    xception = architectures.find("Xception").settings
    assert (xception.image_size, xception.learning_rate, xception.rotation) == (
        (400, 300),
        1e-3,
        10,
    )
    assert (xception.batch_size, xception.optimiser) == (64, "adam")


@pytest.mark.parametrize("name", ELEVEN)
def test_every_table_names_each_layer_and_module_once(name):
    rows = table(name)
    layers = [row.layer for row in rows]
    modules = [module for row in rows for module in row.modules]
    assert len(set(layers)) == len(layers)
    assert len(set(modules)) == len(modules)
    expected = {"separable": 2, "normalization": 0}
    assert all(len(row.modules) == expected.get(row.kind, 1) for row in rows)
    assert architectures.find(name).settings.fixed_rows <= len(rows)


def test_published_files_are_those_of_the_installed_keras():
    spec = importlib.util.find_spec("keras")
    if spec is None:
        pytest.skip("Keras is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "src" / "applications"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    assert set(KERAS_FILES) == set(ELEVEN)
    for file in KERAS_FILES.values():
        assert file.md5 is None or f'"{file.md5}"' in source
        stem = file.address.removeprefix("https://storage.googleapis.com/").rpartition("/")[0]
        assert stem.rpartition("/")[2] in source


def test_importing_the_package_loads_no_framework():
    code = (
        "import sys, architectures; architectures.find('vgg').least_size;"
        "print([m for m in ('torch', 'timm', 'keras', 'tensorflow', 'h5py', 'pandas')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arch": "VGG"} | {"framework": "jax"}, "unknown framework 'jax'"),
        ({"head": "papers"}, "did you mean paper"),
        ({"image_size": 40}, "at least 48"),
        ({"image_size": (48, 47)}, "at least 48"),
        ({"framework": "keras", "weights": "timm"}, "PyTorch's"),
        ({"weights": "no/such.h5"}, "No such file"),
    ],
)
def test_what_cannot_be_built_is_refused_before_a_framework_is_loaded(arguments, message):
    given = {"arch": "VGG16", "framework": "torch", "classes": 3, "image_size": 64} | arguments
    with pytest.raises(UserError, match=message):
        architectures.build(**given)


def test_a_framework_that_is_not_installed_names_the_remedy(monkeypatch):
    monkeypatch.setattr("architectures.find_spec", lambda package: None)
    with pytest.raises(UserError, match=r"pip install 'dermbench\[keras\]'"):
        architectures.build("VGG16", "keras", 3)


def test_two_frameworks_do_not_meet_in_one_process(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    pytest.importorskip("timm")
    with pytest.raises(UserError, match="one process, one framework"):
        architectures.build("VGG16", "torch", 3)


def test_keras_on_another_backend_is_refused(monkeypatch):
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("keras") is None:
        pytest.skip("Keras or TensorFlow is not installed")
    for package in ("torchvision", "timm"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    spec = importlib.util.find_spec("keras")
    running = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "torch"), __spec__=spec)
    monkeypatch.setitem(sys.modules, "keras", running)
    with pytest.raises(UserError, match="Keras runs on torch"):
        architectures.build("VGG16", "keras", 3)
