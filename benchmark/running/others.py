"""What others wrote that a run uses: files given by `--plugin` and packages with entry points.

It is part of what a run is: a method that was edited since gives another run, and another row.
"""

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.plugins import FLAG
from benchmark.records.record import Record
from benchmark.registry import ADDED_ARCHITECTURES, DATASETS, DIGEST, EXPLAINERS, METHODS, TASKS

_TOLD = len(DIGEST) + 12


def origins(config: RunConfig) -> dict[str, str]:
    """Package to version, or file to its SHA-256, of each part of a run that is not built in."""
    found: dict[str, str] = {}
    for registry, name in (
        (TASKS, config.task),
        (METHODS, config.method),
        (DATASETS, config.dataset),
        (EXPLAINERS, config.explainer),
        (ADDED_ARCHITECTURES, config.arch),
        *((DATASETS, item.partition(":")[0]) for item in config.pretrain_on),
    ):
        found |= registry.origin(name)
    return found


def files_of(record: Record) -> list[str]:
    """The plugin files that a run used, by their last names."""
    return [name for name, told in record.origins.items() if told.startswith(DIGEST)]


def require_those_of(record: Record, config: RunConfig) -> None:
    """See that what is here of others is what a run used.

    Args:
        record: of the run.
        config: its settings.

    Raises:
        UserError: something is not here, or is another version.
    """
    here, files = origins(config), files_of(record)
    for name, told in record.origins.items():
        used = f"run {record.run_id} used {name} ({told[:_TOLD]})"
        if name not in here:
            remedy = f"give it with {FLAG} {name}" if name in files else f"install {name} {told}"
            raise UserError(f"{used}, which is not here: {remedy}")
        if here[name] != told:
            raise UserError(
                f"{used}, and here is {here[name][:_TOLD]}: it has changed since, and what it"
                " gives now is another run"
            )
