"""A data set and a network's outputs made by hand."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.cli import main
from benchmark.data.dataset import Dataset
from benchmark.data.synthetic.fundus_writer import write_idrid
from benchmark.running.trial import TrialRunner
from benchmark.training.frameworks import select_backend
from tasks.given import Explanations, Outputs, Probes, Trial
from tasks.grading import Grading

sys.path.insert(0, str(Path(__file__).parent.parent / "frameworks"))

SIDE = 32
COUNT = 12
SHARES = np.linspace(0, 1, 3)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Twelve images in two classes, two annotators each: a square top left, one a bit smaller."""
    rows, masks = {}, []
    for number in range(COUNT):
        name = f"i{number:02d}"
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), 10 * number, np.uint8))
        rows[name] = {
            "path": str(path),
            "label": number % 2,
            "group": f"g{number}",
            "split": "",
            "skin_tone": "light" if number < 9 else "dark",
        }
        for annotator, side in (("a", 16), ("b", 12)):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            mask[:side, :side] = 255
            target = tmp_path / f"{annotator}_{name}.png"
            cv2.imwrite(str(target), mask)
            masks.append((name, annotator, "Plaque", str(target)))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")
    columns = ["id", "annotator", "characteristic", "path"]
    return Dataset(
        "hand", tmp_path, table, ("benign", "malignant"), pd.DataFrame(masks, columns=columns)
    )


@pytest.fixture
def trial(dataset) -> Trial:
    ids = tuple(dataset.table.index)
    return Trial("main", ids[:4], ids[4:6], ids[6:])


@pytest.fixture
def on_lesion() -> np.ndarray:
    """A map that marks the quarter where the lesion is."""
    cam = np.zeros((4, 4), np.float32)
    cam[:2, :2] = 1
    return cam


@pytest.fixture
def outputs_of(dataset, on_lesion):
    """Makes the outputs of some test images: `outputs_of(ids, wrong=(), true=map, other=map)`."""

    def made(ids, wrong=(), true=None, other=None, every=True):
        labels = dataset.table.loc[list(ids), "label"].to_numpy()
        said = np.where(np.isin(ids, wrong), 1 - labels, labels)
        probabilities = np.full((len(ids), 2), 0.2, np.float32)
        probabilities[np.arange(len(ids)), said] = 0.8
        true = on_lesion if true is None else true
        other = np.flip(on_lesion) if other is None else other
        maps = np.stack(
            [np.stack([true, other] if label == 0 else [other, true]) for label in labels]
        )
        rows = np.arange(len(ids))
        probes = Probes(
            ids=tuple(ids),
            shares=SHARES,
            insertion=np.array([[0, 1, 1]] * len(ids), np.float32),
            deletion=np.array([[1, 0, 0]] * len(ids), np.float32),
            stages=("head", "all"),
            similarity=np.array([[0.5] * len(ids), [0.1] + [np.nan] * (len(ids) - 1)]),
        )
        found = Explanations(
            explainer="gradcam",
            true=maps[rows, labels],
            predicted=maps[rows, said],
            every=maps if every else None,
            untrained=np.flip(maps[rows, labels], (1, 2)),
            published=maps[rows, said],
            untrained_published=np.flip(maps[rows, said], (1, 2)),
            probes=probes,
        )
        return Outputs(tuple(ids), probabilities, found)

    return made


@pytest.fixture
def few_labels():
    """Makes a data set of so many images of each class, `size` images a lesion."""

    def made(counts, size=1) -> Dataset:
        labels = np.repeat(np.arange(len(counts)), counts)
        places = np.concatenate([np.arange(count) // size for count in counts])
        ids = [f"i{number:05d}" for number in range(len(labels))]
        table = pd.DataFrame(
            {
                "path": "",
                "label": labels,
                "group": [f"{k}-{n}" for k, n in zip(labels, places, strict=True)],
                "split": "",
                "age": np.arange(len(labels), dtype=np.int64),
                "site": "arm",
            },
            index=pd.Index(ids, name="id"),
        )
        return Dataset("hand", Path("here"), table, ("nevus", "melanoma", "carcinoma"))

    return made


@pytest.fixture
def labelled(few_labels):
    return few_labels([100, 60, 40])


@pytest.fixture
def pool(tmp_path):
    """A folder with three images in two formats, a text file and two hidden images."""
    folder = tmp_path / "anna" / "pool"
    (folder / "inner" / ".thumbnails").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "a.png", "inner/b.TIF", "inner/.thumbnails/c.png")):
        image = np.full((32, 32, 3), 60 * number, np.uint8)
        Image.fromarray(image).save(folder / name)
    (folder / ".d.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "readme.txt").write_text("no image")
    return folder


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A hundred rendered eyes in IDRiD's layout: both grades of each, test images fixed."""
    folder = tmp_path_factory.mktemp("idrid")
    assert len(list(write_idrid(folder, 100, 64, 0, 1))) == 100
    return folder


@pytest.fixture
def of_points(framework, monkeypatch):
    """Networks have two numbers per image, and nothing is drawn or explained."""
    select_backend(framework)
    from points import build

    monkeypatch.setattr("architectures.build", build)
    monkeypatch.setattr("benchmark.pictures.history", lambda *_: None)
    monkeypatch.setattr(TrialRunner, "_explain_some", lambda *_: None)
    monkeypatch.setattr(Grading, "draw", lambda *_: [])


@pytest.fixture
def refusal(capsys):
    """What the command line says of a run that it refuses, which must be one line."""

    def refused(out, photographs, *arguments, task="grading"):
        command = ["run", "--arch", "MobileNetV2", "--task", task, "--budget", "smoke"]
        command += ["--out", str(out), "--dataset", "idrid", "--data-dir", str(photographs)]
        assert main([*command, "--device", "cpu", *arguments]) == 1
        lines = capsys.readouterr().err.splitlines()
        (line,) = [one for one in lines if one.startswith("error")]
        assert not list(Path(out).glob("v1/records/*"))
        return line

    return refused
