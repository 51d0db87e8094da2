"""All that identifies a run, and the three budgets that fill in what the user leaves open.

A `RunConfig` is fully resolved: nothing is decided later, so the record repeats the run.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError

import architectures
from architectures import FRAMEWORKS, Architecture, Outside
from architectures.weights import stored_head
from benchmark.errors import UserError
from benchmark.recipe import Augmentation, Recipe, Settings
from benchmark.registry import DATASETS, EXPLAINERS, METHODS, TASKS

Framework = Literal["torch", "keras"]
Option = str | int | float | bool | None
BUDGETS = ("smoke", "quick", "paper")
DEFAULT_EXPLAINER = "gradcam"
# Begins `weights` that an earlier run left.
EARLIER_RUN = "run:"
# Insertion and deletion take 32 forward passes per image, randomisation six maps. Ours.
_PROBED_IMAGES = {"smoke": 4, "quick": 16, "paper": 100}


class Options(Settings):
    """The settings of one task or method: every field has a default and a description.

    The description says what it means and where the default is from; `describe` prints it. All of
    them, resolved, are in the record; those in `paths` name folders, and there by their last name.
    """

    paths: ClassVar[frozenset[str]] = frozenset()

    def settled(self, recipe: Recipe) -> Self:
        """With what follows from the run's recipe filled in; here nothing does."""
        return self


class PaperRun(Settings):
    """What the paper of a method, or of a data set, fixes of a run: its --budget paper."""

    image_size: tuple[int, int]
    recipe: Recipe
    options: dict[str, Option] = Field({}, description="of the method, where not its defaults")


class RunConfig(Settings):
    """One point of architecture x framework x task x method x data set x seed, fully resolved."""

    arch: str
    cam_layer: str = Field("", description="of a network outside the eleven, see `build`")
    framework: Framework
    task: str
    method: str
    dataset: str
    data_dir: str | None
    dataset_options: dict[str, Option] = Field({}, description="of the reader")
    task_options: dict[str, Option] = Field({}, description="all of the task's, resolved")
    method_options: dict[str, Option] = Field({}, description="all of the method's, resolved")
    allow_leaks: bool = Field(
        False, description="run although train, validation and test share lesions or images"
    )
    pretrain_on: tuple[str, ...] = Field((), description="NAME:DIR of the earlier data sets")
    weights: str = "none"
    image_size: tuple[int, int] = Field(description="height, width")
    budget: Literal["smoke", "quick", "paper"]
    recipe: Recipe
    pretrain_epochs: int = Field(ge=1)
    temperature_scaling: bool = Field(
        False, description="fit a temperature on the validation images, and score with it as well"
    )
    explainer: str = DEFAULT_EXPLAINER
    probed_images: int = Field(
        16, ge=1, description="test images, at most, on which the explanations are tested"
    )
    seed: int = Field(ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def public(self) -> dict[str, Any]:
        """Every setting, with folders and files by their last name: nobody's paths are published.

        What lay there is known by fingerprints, which the record holds.
        """
        settings = self.model_dump(mode="json")
        settings["data_dir"] = _last_name(self.data_dir)
        settings["weights"] = _last_name(self.weights)
        options = {name: _last_name(value) for name, value in self.dataset_options.items()}
        earlier = [item.partition(":") for item in self.pretrain_on]
        settings["pretrain_on"] = [f"{n}{colon}{_last_name(path)}" for n, colon, path in earlier]
        asked = {n: _last_name(self.task_options[n]) for n in self.task_options} | self.question
        return settings | {"dataset_options": options, "task_options": asked}

    @property
    def question(self) -> dict[str, Option]:
        """The task's options that are no paths: what lies there is part of the data."""
        paths = TASKS.get(self.task).Options.paths
        return {name: value for name, value in self.task_options.items() if name not in paths}

    def identity(self) -> dict[str, Any]:
        """The settings that decide the result: not where the data lie nor what computes it."""
        settings = self.public()
        settings["pretrain_on"] = [item.split(":", 1)[0] for item in self.pretrain_on]
        settings["task_options"] = self.question
        if not self.temperature_scaling:
            # Runs from before there was one keep their names.
            del settings["temperature_scaling"]
        if not self.cam_layer:
            del settings["cam_layer"]
        return {name: settings[name] for name in settings if name not in DECIDE_NOTHING}


# Where the data lie, what computes, and what would be refused and not changed without it.
DECIDE_NOTHING = ("data_dir", "device", "allow_leaks")


def _last_name(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and "/" in value.replace("\\", "/") else value


def configure(
    arch: str,
    task: str,
    *,
    method: str = "cross-entropy",
    framework: str = "torch",
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    dataset_options: dict[str, Any] | None = None,
    task_options: dict[str, Any] | None = None,
    method_options: dict[str, Any] | None = None,
    allow_leaks: bool = False,
    pretrain_on: str | list[str] | tuple[str, ...] = (),
    weights: str = "none",
    cam_layer: str = "",
    explainer: str = DEFAULT_EXPLAINER,
    temperature_scaling: bool = False,
    image_size: int | tuple[int, int] | None = None,
    budget: str = "quick",
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> RunConfig:
    """Resolve what the user said into a `RunConfig`.

    Raises:
        UserError: a name is unknown, a value is out of range, the image is too small for the
            architecture.
    """
    row = architectures.find(arch, cam_layer)
    dataset = dataset or TASKS.get(task).dataset
    for registry, name in (
        (TASKS, task),
        (METHODS, method),
        (DATASETS, dataset),
        (EXPLAINERS, explainer),
    ):
        registry.get(name)
    if budget not in BUDGETS:
        raise UserError(f"unknown budget {budget!r}: choose one of {', '.join(BUDGETS)}")
    if framework not in FRAMEWORKS:
        raise UserError(f"unknown framework {framework!r}: choose one of {', '.join(FRAMEWORKS)}")
    if isinstance(row, Outside):
        row.require(framework)
    how = METHODS.get(method)
    recipe, size, pretrain_epochs = _budget(budget, row, how, DATASETS.get(dataset))
    if how.head is not None:
        recipe = {**recipe, "head": how.head}
    if not how.takes_class_weights:
        recipe = {**recipe, "class_weights": False}
    if epochs is not None:
        if epochs < 1:
            raise UserError(
                f"--epochs {epochs}: give at least 1, or --method checkpoint --weights FILE"
            )
        recipe = {**recipe, "epochs": epochs}
        pretrain_epochs = epochs
    if image_size is not None:
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    earlier = [pretrain_on] if isinstance(pretrain_on, str) else list(pretrain_on)
    for item in earlier:
        _check_pretraining(item)
    if not how.trains:
        _check_untrained(method, weights, earlier, epochs, seed)
        recipe = {**recipe, "epochs": 0}
        if Path(weights).is_file() and stored_head(Path(weights)) == "pool+cosine":
            recipe = {**recipe, "head": "cosine"}
    try:
        config = RunConfig(
            arch=row.name,
            cam_layer=cam_layer,
            framework=framework,
            task=task,
            method=method,
            dataset=dataset,
            data_dir=None if data_dir is None else str(data_dir),
            dataset_options=dataset_options or {},
            task_options=_task_options(task, task_options or {}).model_dump(),
            method_options=_method_options(how, budget, method_options or {})
            .settled(Recipe(**recipe))
            .model_dump(),
            allow_leaks=allow_leaks,
            pretrain_on=tuple(earlier),
            weights=weights,
            image_size=size,
            budget=budget,
            recipe=Recipe(**recipe),
            pretrain_epochs=pretrain_epochs,
            explainer=explainer,
            temperature_scaling=temperature_scaling,
            probed_images=_PROBED_IMAGES[budget],
            seed=seed,
            device=device,
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        raise UserError(f"--{place} {first.get('input')}: {first['msg']}") from error
    architectures.check_image_size(row, config.image_size)
    return config


def run_id(config: RunConfig, protocol: dict[str, Any]) -> str:
    """The name of a run: a letter, so that no spreadsheet takes it for a number, and twelve digits.

    It stands for the configuration, the protocol and the data.

    `protocol` holds what is known only once the data are read: task version, fingerprints, split.
    """
    text = json.dumps({"config": config.identity(), **protocol}, sort_keys=True, allow_nan=False)
    return "r" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _task_options(task: str, given: dict[str, Any]) -> Options:
    kind: type[Options] = TASKS.get(task).Options
    for name in given:
        if name not in kind.model_fields:
            others = [
                each for each in TASKS.names() if name in TASKS.get(each).Options.model_fields
            ]
            known = f"it is of task {', '.join(others)}" if others else "no task has it"
            flag = name.replace("_", "-")
            raise UserError(f"--{flag}: task {task} has no such option, {known}")
    return _options("--", kind, given)


def _method_options(method: Any, budget: str, given: dict[str, Any]) -> Options:
    known = list(method.Options.model_fields)
    for name in given:
        if name not in known:
            has = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UserError(
                f"--method-option {name}: method {method.name} has no such option: {has}"
            )
    own = method.paper_run.options if budget == "paper" and method.paper_run else {}
    return _options("--method-option ", method.Options, {**own, **given})


def _options(flag: str, kind: type[Options], given: dict[str, Any]) -> Options:
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if flag == "--":
            name = name.replace("_", "-")
        fault = first["msg"].replace("Input should be", "it should be")
        raise UserError(f"{flag}{name} {first.get('input')}: {fault}") from error


def _check_pretraining(item: str) -> None:
    name, _, folder = item.partition(":")
    if not folder and DATASETS.get(name).needs_data_dir:
        raise UserError(f"--pretrain-on {item}: write it as NAME:DIR, such as isic2018:/data/isic")
    DATASETS.get(name)


def _check_untrained(
    method: str, weights: str, earlier: list[str], epochs: int | None, seed: int
) -> None:
    if weights in ("none", *architectures.PUBLISHED):
        raise UserError(f"method {method} needs a whole network: give --weights FILE")
    if earlier or epochs is not None:
        raise UserError(f"method {method} does not train: leave out --epochs and --pretrain-on")
    # The leaderboard would count equal runs as seeds. The seed of an earlier run is its network's.
    if seed and not weights.startswith(EARLIER_RUN):
        raise UserError(f"method {method} draws nothing, so one file is one run: leave out --seed")


def _budget(
    name: str, row: Architecture, method: Any, layout: Any
) -> tuple[dict[str, Any], Any, int]:
    # A method's own paper comes first: its data set was another.
    published = method.paper_run or layout.paper_run
    if name == "paper" and published is not None:
        return published.recipe.model_dump(), published.image_size, published.recipe.epochs
    if name == "paper":
        return _paper_budget(row)
    recipe = _SMOKE if name == "smoke" else _QUICK
    least = row.least_size
    size = least if name == "smoke" else max(QUICK_SIZE, least)
    return recipe, (size, size), recipe["epochs"]


# Ours. From scratch on a CPU there is time for a few hundred steps only: Keras' usual BatchNorm
# momentum of 0.99 would leave the running statistics far behind the weights, so it is 0.9.
_SCRATCH: dict[str, Any] = {
    "optimiser": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "bn_momentum": 0.9,
    "batch_size": 16,
    "augmentation": Augmentation(
        horizontal_flip=True,
        vertical_flip=True,
        rotation=180,
        zoom=0.1,
        brightness=(0.9, 1.1),
    ),
}
QUICK_SIZE = 128
_SMOKE = {**_SCRATCH, "epochs": 1}
# With 360 training images, Xception learns the synthetic diseases in about a hundred CPU seconds.
_QUICK = {**_SCRATCH, "epochs": 8, "warmup_epochs": 1.0}


def _paper_budget(row: Architecture) -> tuple[dict[str, Any], Any, int]:
    """The settings of the DermXDB benchmark's code; what its authors left open is ours."""
    paper = row.settings
    if paper.finetune_epochs is None:
        raise UserError(
            f"the paper's number of epochs for {row.name} was not found, so it has no paper budget:"
            " use --budget quick, with --epochs and --image-size as you like"
        )
    recipe = {
        "epochs": paper.finetune_epochs,
        "batch_size": paper.batch_size,
        "optimiser": paper.optimiser,
        "learning_rate": paper.learning_rate,
        "schedule": "constant",
        "freeze": "paper",
        "head": "paper",
        "class_weights": True,
        "augmentation": Augmentation(
            horizontal_flip=paper.flips,
            vertical_flip=paper.flips,
            rotation=paper.rotation,
            shear=paper.shear,
            zoom=paper.zoom,
            brightness=paper.brightness,
            border="nearest",
        ),
    }
    return recipe, paper.image_size, paper.pretrain_epochs or paper.finetune_epochs
