"""Results without training, predictions as an outside author has them, and bundles of them."""

import io
import json
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

import answered_made

from benchmark import rescoring
from benchmark.records import predictions
from benchmark.records.authored import About
from benchmark.submissions import keep, make
from benchmark.submissions.manifest import MANIFEST, Manifest
from benchmark.submissions.question import asked_of

CLASSES = answered_made.CLASSES
ABOUT = """\
method = "Zoo"
architecture = "ResNet50, 224 px"
framework = "PyTorch 2.4"
paper = "https://example.org/paper_1"
code = ""
training_data = "the training part"
extra_data = "none"
licence = "CC-BY-4.0"
"""
OPTIONS = {
    "diagnosis": {},
    "imbalance": {"task_options": {"positive": "mel"}},
    "semi-supervised": {"task_options": {"label_fractions": "10,50"}, "method": "supervised"},
    "grading": {"method": "single-task"},
}


def question_of(results, record):
    """The sheet that a record's question comes to."""
    return rescoring.sheet_of(results, rescoring.question_of(record))


def tables(results, record, noise=0.0, seed=0):
    """What the record's run said, by trial, as tables with `id` and the classes; noise added."""
    sheet = question_of(results, record)
    generator = np.random.default_rng(seed)
    found = {}
    for name, said in predictions.load(results, record).items():
        values = said.probabilities.astype(float) + noise * generator.random(
            said.probabilities.shape
        )
        values /= values.sum(axis=1, keepdims=True)
        classes = list(sheet.task.of_trial(sheet.dataset, name).classes)
        table = pd.DataFrame(values, columns=classes)
        table.insert(0, "id", list(said.ids))
        found[name] = table
    return found


def check_plain(error):
    """That what is told is one line without control characters."""
    assert str(error).isprintable()


def write(table, path):
    """A table in the format of the file's ending."""
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        classes = list(table.columns[1:])
        np.savez_compressed(
            path,
            ids=table["id"].to_numpy(str),
            classes=np.array(classes),
            probabilities=table[classes].to_numpy(),
        )
    return path


def bundle(folder, results, record, said, ending=".csv", about=ABOUT):
    """The bundle that `submit` makes of tables by trial."""
    (folder / "manifest.toml").write_text(about)
    files = [
        f"{name}={write(table, folder / f'{number}{ending}')}"
        for number, (name, table) in enumerate(said.items())
    ]
    target = folder / "bundle.zip"
    make.make(files, folder / "manifest.toml", record.run_id, target, results)
    return target


def kept(results, record, noise=0.5, seed=0, said=None, **about):
    """The id of a submission that was accepted, without a bundle; `about` is what its authors say.

    `said` has predictions by trial; without, they are the record's run's with noise.
    """
    question = rescoring.question_of(record)
    sheet = rescoring.sheet_of(results, question)
    told = About(**(tomllib.loads(ABOUT) | about))
    asked = asked_of(question, sheet, [".npz"] * len(sheet.trials))
    said = said or _predicted(tables(results, record, noise, seed))
    return keep.keep(results, Manifest(about=told, question=asked), list(said.values())).name


def _predicted(said):
    """Predictions by trial from tables."""
    return {
        name: predictions.Predictions(
            tuple(table["id"]), np.float32(table[list(table.columns[1:])].to_numpy())
        )
        for name, table in said.items()
    }


def contents(path):
    """The files of a bundle, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path, files, compression=zipfile.ZIP_DEFLATED):
    """A zip file of contents by name, or by ZipInfo."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    path.write_bytes(stream.getvalue())
    return path


def changed(path, **files):
    """The bundle with other contents: `manifest` is a function of its JSON, others are bytes."""
    held = contents(path)
    if "manifest" in files:
        value = json.loads(held[MANIFEST])
        files["manifest"](value)
        held[MANIFEST] = json.dumps(value).encode()
    if "predictions" in files:
        held["predictions-1.csv"] = files["predictions"]
    return zipped(path, held)
