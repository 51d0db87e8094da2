"""What the points of the growth curves are measured on: made data sets, masks and records.

Nothing here is to be learnt from; only sizes matter.
"""

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.special import softmax

from benchmark.common.files import write_text
from benchmark.config import configure
from benchmark.data.dataset import MASK_COLUMNS, Dataset
from benchmark.methods.base import Batch
from benchmark.records.record import DataUsed, Metric, Record, TrialRecord, WeightsUsed
from benchmark.records.store import Store
from benchmark.speed.sides.made import pixels

CLASSES = 4
# A section of a made board: rows of a few seeds each.
_ARCHITECTURES = ("DenseNet121", "EfficientNetB0", "MobileNetV2", "ResNet50", "Xception")
_METHODS = ("cross-entropy", "focal", "balanced-softmax", "supercon", "mixup")
_SEEDS = 5
_METRICS = (
    *("macro_auc", "macro_f1", "balanced_accuracy", "accuracy", "macro_sensitivity"),
    *("macro_specificity", "macro_precision", "ece", "brier", "negative_log_likelihood"),
)


def folder(root: Path, count: int, side: int = 40) -> None:
    """Write `count` JPEGs of `CLASSES` classes into `root`, in the layout `folder`; two a patient.

    Args:
        root: of the data set.
        count: images.
        side: of each, in pixels.
    """
    (root / "images").mkdir(parents=True)
    rows = ["image,label,patient"]
    for number in range(count):
        (image,) = pixels(1, side, side, seed=number)
        cv2.imwrite(str(root / "images" / f"i{number:06d}.jpg"), image)
        rows.append(f"i{number:06d},class {number % CLASSES},p{number // 2:06d}")
    write_text(root / "table.csv", "\n".join(rows) + "\n")


def masked(root: Path, count: int, annotators: int, side: int = 128) -> Dataset:
    """A data set of `count` images, without photographs, of which every annotator marks a disc.

    Args:
        root: where the masks are written.
        count: images.
        annotators: who drew, each one mask of every image.
        side: of the masks, in pixels.
    """
    root.mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows = []
    for image, annotator in product(range(count), range(annotators)):
        mask = np.zeros((side, side), np.uint8)
        centre = [int(place) for place in generator.integers(side // 3, side - side // 3, 2)]
        cv2.circle(mask, centre, int(generator.integers(side // 6, side // 3)), 255, -1)
        path = root / f"{image}-{annotator}.png"
        cv2.imwrite(str(path), mask)
        rows.append((f"i{image}", f"annotator {annotator:02d}", "", str(path)))
    ids = pd.Index([f"i{image}" for image in range(count)], name="id")
    table = pd.DataFrame({"path": "", "label": 0, "group": ids, "split": ""}, index=ids)
    return Dataset("made", root, table, ("a", "b"), pd.DataFrame(rows, columns=[*MASK_COLUMNS]))


def batch(size: int, side: int) -> Batch:
    """A batch of `size` images of `side` pixels, to train on."""
    return Batch((pixels(size, side, side),), np.arange(size) % CLASSES)


def judged(images: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,) int64, probabilities (N, K) float32 and groups (N,), two images each."""
    generator = np.random.default_rng(0)
    labels = np.arange(images) % classes
    logits = generator.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1
    return labels, softmax(logits, axis=1).astype(np.float32), np.arange(images) // 2


def records(results: Path, count: int) -> int:
    """Write `count` records of the diagnosis task below `results`; their bytes.

    Their runs differ in data set, framework, architecture, method and seed, the last first: a
    section of the board has 50 rows of five seeds, and more records make more sections.
    """
    store = Store(results)
    store.folder.mkdir(parents=True)
    questions = list(product(("torch", "keras"), _ARCHITECTURES, _METHODS, range(_SEEDS)))
    generator = np.random.default_rng(0)
    configs = [
        configure(
            arch, "diagnosis", framework=framework, method=method, seed=seed, dataset="synthetic"
        ).public()
        for framework, arch, method, seed in questions
    ]
    written = 0
    for number in range(count):
        data, question = divmod(number, len(questions))
        record = _record(f"r{number:07d}", f"{data:064d}", configs[question], generator)
        # Not by the store, which waits for the disk after each.
        path = store.folder / f"{record.run_id}.json"
        written += path.write_bytes(record.model_dump_json(indent=2).encode())
    return written


def _record(
    name: str, data: str, config: dict[str, object], generator: np.random.Generator
) -> Record:
    values = {metric: round(float(generator.uniform(0.5, 0.9)), 6) for metric in _METRICS}
    metrics = {
        metric: Metric(value=value, low=value - 0.03, high=value + 0.03, n=2000, groups=1500)
        for metric, value in values.items()
    }
    trial = TrialRecord(
        name="main",
        split_fingerprint=data,
        test_fingerprint=data,
        n_train=7000,
        n_validation=1000,
        n_test=2000,
        stages=(),
        metrics=metrics,
    )
    return Record(
        benchmark_version="0.1.0",
        run_id=name,
        created="2025-03-01T12:00:00+00:00",
        task="diagnosis",
        task_version="1",
        headline="macro_auc",
        config=config,
        data=DataUsed(name="synthetic", fingerprint=data, classes=("a", "b")),
        weights=WeightsUsed(kind="none"),
        seeds={"run": 0},
        packages={"python": "3.11"},
        hardware={"device": "cpu"},
        seconds={"training": 60.0, "prediction": 2.0},
        peak_memory_bytes={},
        parameters=1000,
        trials=(trial,),
        metrics=metrics,
    )
