"""Which code this is: what a cache that depends on the code is known by."""

import hashlib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from benchmark import plugins
from benchmark.registry import ADDED_ARCHITECTURES, DATASETS, EXPLAINERS, METHODS, TASKS

_PACKAGES = ("architectures", "benchmark", "tasks")
_SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".json"})


@cache
def fingerprint() -> str:
    """SHA-256 of the suite's source files and of the versions of packages that add to it.

    A version number of the suite would not tell an edited file.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for package in _PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in _SUFFIXES:
                digest.update(file.relative_to(root).as_posix().encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    for registry in (TASKS, METHODS, EXPLAINERS, DATASETS, ADDED_ARCHITECTURES):
        for entry in sorted(entry_points(group=f"dermbench.{registry.kind}s")):
            made_by = entry.dist and (entry.dist.name, entry.dist.version)
            digest.update(repr((entry.name, entry.value, made_by)).encode())
    return digest.hexdigest()


def of_plugins() -> str:
    """SHA-256 of the plugin files that this process has, as they were when first asked for."""
    return _of_files(tuple(plugins.files()))


@cache
def _of_files(paths: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()
