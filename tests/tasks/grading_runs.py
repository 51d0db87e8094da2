"""Runs of task grading over both diseases of IDRiD, with a network of two numbers per image."""

from benchmark.data.layouts import idrid
from benchmark.records.folder import RunFolder
from benchmark.run import run

# Of MobileNetV2 the tables and the least size; what is trained is made of points.
ARCH = "MobileNetV2"
DISEASES = {one.name: one for one in idrid.DISEASES}


def graded(out, framework, photographs, method, **settings):
    """The record of a run of two epochs on these rendered eyes."""
    asked = {"dataset": "idrid", "data_dir": photographs, "budget": "smoke", "epochs": 2}
    asked |= {"framework": framework, "method": method, "device": "cpu", "out": out}
    return run(ARCH, "grading", **asked | settings)


def table_of(out, record, disease):
    """Where the predictions of one disease are."""
    return RunFolder.of_record(out, record).path / disease / "predictions.csv"


def predicted(out, record):
    """The bytes of both diseases' predictions."""
    return [table_of(out, record, name).read_bytes() for name in DISEASES]
