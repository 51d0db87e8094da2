"""What of a run's settings decides its cost: its network, its data, its method; `factors` asks."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.registry import METHODS, TASKS
from benchmark.sweep.factors import Levels

# The place of each factor in the levels of a run.
NETWORK, DATA, METHOD = range(3)

# What of a recipe makes a step dearer; epochs are counted apart.
_OF_STEPS = ("batch_size", "optimiser", "freeze", "augmentation")
_OF_DATA = (
    "task",
    "task_options",
    "dataset",
    "dataset_options",
    "data_dir",
    "pretrain_on",
    "temperature_scaling",
)
_OF_MAPS = ("explainer", "probed_images")


def levels(config: Mapping[str, Any], sized: bool) -> Levels:
    """The level of each factor of a run of these (public) settings.

    Args:
        config: as in `RunConfig.public`.
        sized: whether a network at another image size is another level.
    """
    recipe = {name: config["recipe"].get(name) for name in _OF_STEPS}
    network = {"arch": config["arch"], "recipe": recipe}
    if sized:
        network["image_size"] = list(config["image_size"])
    data = _some(config, _OF_DATA)
    if config["task"] not in TASKS.names() or TASKS.get(config["task"]).maps:
        data |= _some(config, _OF_MAPS)
    return _key(network), _key(data), _key(_method(config))


def row(config: Mapping[str, Any]) -> Levels:
    """By which factors a run of these settings is told, by `factors.Span`.

    Where nothing is trained there are no factors: one run tells of its like alone.
    """
    each = levels(config, sized=True)
    return each if config["recipe"]["epochs"] else ("\n".join(each),)


def _method(config: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(config.get("method_options", {}))
    if config["method"] in METHODS.names():
        fields = METHODS.get(config["method"]).Options.model_fields
        # What has no default of its own is filled in from the recipe, its epochs among it.
        options = {
            n: v for n, v in options.items() if n in fields and fields[n].default is not None
        }
    return {"method": config["method"], "options": options}


def _some(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: config.get(name) for name in names}


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)
