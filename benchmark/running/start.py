"""What a run starts with: its weights, fetched and digested before anything is done."""

from pathlib import Path

import architectures
from architectures import weights as weight_files
from benchmark.config import RunConfig
from benchmark.data import Dataset
from benchmark.data.images import content_hash
from benchmark.errors import UserError
from benchmark.records.record import WeightsUsed
from tasks.base import Task


def weights_used(config: RunConfig) -> WeightsUsed:
    """Which weights the run starts with; they are fetched before anything else is done."""
    if config.weights == "none":
        return WeightsUsed(kind="none")
    source = architectures.weights_source(config.arch, config.framework, config.weights)
    assert source is not None
    kind = config.weights if config.weights in architectures.PUBLISHED else "file"
    return WeightsUsed(kind=kind, name=source.name, sha256=content_hash(str(source.path)))


def require_heads(path: str, task: Task, dataset: Dataset) -> None:
    """That a file of ours has the heads that are asked; Keras' files are matched when read."""
    if weight_files.file_format(Path(path)) != "safetensors":
        return
    stored = weight_files.read(Path(path))[1].get("classes")
    asked = [each.grades for each in dataset.diseases] if task.graded else [dataset.classes]
    expected = "+".join(str(len(names)) for names in asked)
    if stored != expected:
        raise UserError(
            f"{path} says {stored} classes, and what is scored here has {expected} (of several"
            " diseases a head each, joined by +): a head that is missing cannot be scored, give a"
            " network that was trained on the same classes"
        )
