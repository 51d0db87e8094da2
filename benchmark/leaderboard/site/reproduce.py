"""How to repeat a run: its command line where one says all of it, else its settings and why.

Of a submission only the scores can be repeated.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import architectures
from benchmark.common.wording import plain
from benchmark.config import EARLIER_RUN, RunConfig, configure
from benchmark.errors import UserError
from benchmark.plugins import FLAG
from benchmark.records.record import Record
from benchmark.registry import TASKS
from benchmark.running.others import files_of, origins

# Stands before the last name of each folder and file, which is all that a record keeps of it.
PLACEHOLDER = "/path/to"
_FOLDERS = (
    f"Put your own folders in place of {PLACEHOLDER}: a record keeps only the last name of each."
)
_RESCORED = (
    "This computes every score anew from the predictions in v1/submissions and the frozen split in"
    " v1/splits. How the predictions were made is what the authors say, and was not repeated here."
)
_FLAGS = {
    "arch": "--arch",
    "task": "--task",
    "method": "--method",
    "framework": "--framework",
    "dataset": "--dataset",
    "data_dir": "--data-dir",
    "weights": "--weights",
    "cam_layer": "--cam-layer",
    "explainer": "--explainer",
    "budget": "--budget",
    "epochs": "--epochs",
    "seed": "--seed",
}
_SWITCHES = {"allow_leaks": "--allow-leaks", "temperature_scaling": "--temperature-scaling"}
_REPEATED = {"dataset_options": "--data-option", "method_options": "--method-option"}


@dataclass(frozen=True)
class Reproduction:
    """A command, "" where there is none; what to know of it, or why; every setting as JSON."""

    command: str
    about: str
    settings: str


def reproduction(record: Record) -> Reproduction:
    """How to repeat a record's run.

    The command is shown only if what it asks for, resolved by this version, is what the record says
    was run: settings that the command line cannot give, or whose defaults have changed since, are
    named instead.
    """
    settings = json.dumps(record.config, indent=2, sort_keys=True)
    if record.submission is not None:
        command = shlex.join(["python", "-m", "benchmark", "describe", record.run_id])
        return Reproduction(command, _RESCORED, settings)
    try:
        config = record.settings
    except UserError:
        return _without("The settings are of another version of DermBench.", settings)
    missing = [name for name in record.origins if name not in origins(config)]
    if missing:
        why = f"It uses what others wrote, {', '.join(missing)}, which was not here."
        return _without(f"{why} Built with it ({FLAG} for a file), this page has one.", settings)
    try:
        asked = _asked(config)
        differing = _differing(configure(**asked), config)
    except UserError as error:
        return _without(f"This DermBench refuses the settings: {error}.", settings)
    given = (w for name in files_of(record) for w in (FLAG, f"{PLACEHOLDER}/{name}"))
    words = [*_words(asked), *given]
    if differing:
        why = f"No option of the command line gives {', '.join(differing)} as it was."
        return _without(why, settings)
    if any(plain(word) != word for word in words):
        return _without("A setting holds characters that cannot be shown.", settings)
    command = shlex.join(words)
    about = (
        f"On the same data (fingerprint {record.data.fingerprint[:16]}) the same version gives the"
        f" run this name, {record.run_id}."
    )
    return Reproduction(
        command, f"{_FOLDERS} {about}" if PLACEHOLDER in command else about, settings
    )


def _without(why: str, settings: str) -> Reproduction:
    about = f"No command line says all of this run. {why} Its settings are these:"
    return Reproduction("", about, settings)


def _asked(config: RunConfig) -> dict[str, Any]:
    """The arguments of `configure` that give these settings, as few as do."""
    asked: dict[str, Any] = {
        "arch": config.arch,
        "task": config.task,
        "method": config.method,
        "framework": config.framework,
        "dataset": config.dataset,
        "data_dir": _placed(config.data_dir),
        "dataset_options": {k: v for k, v in config.dataset_options.items() if v is not None},
        "allow_leaks": config.allow_leaks,
        "pretrain_on": [_earlier(item) for item in config.pretrain_on],
        "weights": _weights(config.weights),
        "cam_layer": config.cam_layer,
        "explainer": config.explainer,
        "temperature_scaling": config.temperature_scaling,
        "budget": config.budget,
        "seed": config.seed,
    }
    paths = TASKS.get(config.task).Options.paths
    usual = configure(**asked)
    asked["task_options"] = {
        name: _placed(str(value)) if name in paths else value
        for name, value in _changed(config.task_options, usual.task_options).items()
    }
    asked["method_options"] = _changed(config.method_options, usual.method_options)
    if config.recipe.epochs != usual.recipe.epochs:
        asked["epochs"] = config.recipe.epochs
    if config.image_size != usual.image_size:
        asked["image_size"] = config.image_size
    return asked


def _changed(options: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    # None cannot be given; where it is not what is usual, `_differing` finds it.
    return {k: v for k, v in options.items() if v is not None and v != usual.get(k)}


def _placed(path: str | None) -> str | None:
    return None if path is None else f"{PLACEHOLDER}/{PurePosixPath(path).name}"


def _weights(weights: str) -> str:
    named = weights in ("none", *architectures.PUBLISHED) or weights.startswith(EARLIER_RUN)
    return weights if named else str(_placed(weights))


def _earlier(item: str) -> str:
    name, colon, path = item.partition(":")
    return f"{name}:{_placed(path)}" if colon else name


def _differing(found: RunConfig, wanted: RunConfig) -> list[str]:
    """The settings in which two runs differ, such as "recipe.learning_rate"."""
    one, other = found.identity(), wanted.identity()
    names = []
    for name in sorted({*one, *other}):
        ours, theirs = one.get(name), other.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            inner = sorted({*ours, *theirs})
            names += [f"{name}.{k}" for k in inner if ours.get(k) != theirs.get(k)]
        elif ours != theirs:
            names.append(name)
    return names


def _words(asked: dict[str, Any]) -> list[str]:
    words = ["python", "-m", "benchmark", "run"]
    for name, value in asked.items():
        if name in _SWITCHES:
            words += [_SWITCHES[name]] if value else []
        elif name in _REPEATED:
            for key, each in value.items():
                words += _option(_REPEATED[name], f"{key}={each}")
        elif name == "task_options":
            for key, each in value.items():
                words += _option(f"--{key.replace('_', '-')}", str(each))
        elif name == "pretrain_on":
            for each in value:
                words += _option("--pretrain-on", each)
        elif name == "image_size":
            words += ["--image-size", f"{value[0]}x{value[1]}"]
        elif value not in (None, ""):
            words += _option(_FLAGS[name], str(value))
    return words


def _option(flag: str, value: str) -> list[str]:
    # A value that begins with a dash would be taken for an option.
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
