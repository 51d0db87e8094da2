"""What `list` and `describe` print of architectures, tasks, methods, data sets and explainers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import architectures
from architectures import catalogue
from benchmark.common.wording import counted
from benchmark.config import Options, PaperRun
from benchmark.errors import UserError, unknown_name
from benchmark.listed import THINGS
from benchmark.recipe import Augmentation
from benchmark.registry import DATASETS, EXPLAINERS, METHODS, TASKS, Registry
from benchmark.show import facts_table
from benchmark.show.architectures import about_architecture, architecture_listing

KINDS = (*THINGS, "records")


def listing(kind: str, out: str | Path = "results") -> dict[str, pd.DataFrame]:
    """What there is of one kind, or of all but records: title to table.

    Raises:
        UserError: no such kind.
    """
    if kind == "all":
        return {k: _LISTINGS[k](Path(out)) for k in THINGS}
    if kind not in KINDS:
        raise unknown_name("kind", kind, (*KINDS, "all"))
    return {kind: _LISTINGS[kind](Path(out))}


def describe(name: str, out: str | Path = "results") -> pd.DataFrame:
    """What one architecture, task, method, data set, explainer or record is: one row per fact.

    Raises:
        UserError: nothing is called so.
    """
    for registry, about in _FINDERS.values():
        if name in registry.names():
            return facts_table(name, about(registry.get(name)))
    try:
        row = architectures.find(name)
    except UserError:
        return facts_table(name, _record(name, Path(out)))
    return facts_table(row.name, about_architecture(row))


def facts(kind: str, name: str) -> dict[str, str]:
    """What `describe` says of one architecture, task, method, dataset or explainer.

    Raises:
        UserError: none of that kind has this name, or its package cannot be imported.
    """
    if kind == "architecture":
        about = about_architecture(architectures.find(name))
    else:
        registry, describing = _FINDERS[kind]
        about = describing(registry.get(name))
    return {key: str(value) for key, value in about.items()}


def _list_tasks(out: Path) -> pd.DataFrame:
    tasks = [(name, TASKS.get(name)) for name in TASKS.names()]
    rows = [
        {"name": n, "version": t.version, "ranked by": t.headline, "about": t.summary}
        for n, t in tasks
    ]
    return pd.DataFrame(rows)


def _list_methods(out: Path) -> pd.DataFrame:
    methods = [(name, METHODS.get(name)) for name in METHODS.names()]
    rows = [
        {"name": n, "frameworks": ", ".join(sorted(m.frameworks)), "about": m.summary}
        for n, m in methods
    ]
    return pd.DataFrame(rows)


def _list_datasets(out: Path) -> pd.DataFrame:
    layouts = [(name, DATASETS.get(name)) for name in DATASETS.names()]
    return pd.DataFrame([{"name": n, "about": layout.summary} for n, layout in layouts])


def _list_explainers(out: Path) -> pd.DataFrame:
    explainers = [(name, EXPLAINERS.get(name)) for name in EXPLAINERS.names()]
    rows = [
        {"name": n, "frameworks": ", ".join(sorted(e.frameworks)), "about": e.summary}
        for n, e in explainers
    ]
    return pd.DataFrame(rows)


def _list_records(out: Path) -> pd.DataFrame:
    # Only now: what scores a submission takes long to import.
    from benchmark.show.records import record_listing

    return record_listing(out)


_LISTINGS = {
    "architectures": lambda out: architecture_listing(),
    "tasks": _list_tasks,
    "methods": _list_methods,
    "datasets": _list_datasets,
    "explainers": _list_explainers,
    "records": _list_records,
}


def _task(task: Any) -> dict[str, Any]:
    return {
        "summary": task.summary,
        "version": task.version,
        "ranked by": task.headline,
        "needs": ", ".join(sorted(task.needs)) or "labels only",
        "data set, unless told": task.dataset,
        **{flag.replace("_", "-"): told for flag, told in _options("--", task.Options).items()},
        "protocol": " ".join((task.__doc__ or "").split()),
    }


def _method(method: Any) -> dict[str, Any]:
    return {
        "summary": method.summary,
        "source": method.paper,
        "frameworks": ", ".join(sorted(method.frameworks)),
        **_options("--method-option ", method.Options),
        **({"network's head": method.head} if method.head else {}),
        **({"--budget paper": _paper_run(method.paper_run)} if method.paper_run else {}),
        **method.settings,
        **({"note": method.caveat} if method.caveat else {}),
    }


def _options(flag: str, kind: type[Options]) -> dict[str, str]:
    """Each option's default and what its description says of it."""
    return {
        f"{flag}{name}": f"default {'none' if field.default in (None, '') else field.default}:"
        f" {field.description}"
        for name, field in kind.model_fields.items()
    }


def _paper_run(paper: PaperRun) -> str:
    recipe, (height, width) = paper.recipe, paper.image_size
    return (
        f"{height}x{width} px, {counted(recipe.epochs, 'epoch')}, batch {recipe.batch_size},"
        f" {recipe.optimiser}{'' if recipe.nesterov else ' without Nesterov'}, learning rate"
        f" {recipe.learning_rate:g}, schedule {recipe.schedule}, weight decay"
        f" {recipe.weight_decay:g}, augmentation: {_differing(recipe.augmentation) or 'none'}"
        f"{'; ' if paper.options else ''}{_listed(paper.options)} (authors' code)"
    )


def _differing(settings: Augmentation) -> str:
    """The fields that are not at their defaults."""
    return _listed(settings.model_dump(exclude_defaults=True))


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _dataset(layout: Any) -> dict[str, Any]:
    options = {f"--data-option {key}": text for key, text in (layout.options or {}).items()}
    return {
        "summary": layout.summary,
        "expects": layout.expects,
        "source": layout.source,
        "licence": layout.licence,
        **options,
        **({"--budget paper": _paper_run(layout.paper_run)} if layout.paper_run else {}),
    }


def _explainer(explainer: Any) -> dict[str, Any]:
    return {
        "summary": explainer.summary,
        "source": explainer.paper,
        "library": explainer.library or "none: ours",
        "frameworks": ", ".join(sorted(explainer.frameworks)),
        "in both frameworks": "one function"
        if explainer.same_in_both
        else "another function in each, ranked apart",
        "additive": explainer.additive or "no",
        **explainer.settings,
    }


def _record(name: str, out: Path) -> dict[str, Any]:
    from benchmark.show.records import record_facts, record_ids

    if not any(each.startswith(name) for each in record_ids(out)):
        known = [
            *catalogue.names(),
            *(key for each in (TASKS, METHODS, DATASETS, EXPLAINERS) for key in each.names()),
        ]
        raise unknown_name("name", name, known)
    return record_facts(name, out)


_FINDERS: dict[str, tuple[Registry, Callable[[Any], dict[str, Any]]]] = {
    "task": (TASKS, _task),
    "method": (METHODS, _method),
    "dataset": (DATASETS, _dataset),
    "explainer": (EXPLAINERS, _explainer),
}
