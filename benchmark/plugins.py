"""Other people's things in a single file: `--plugin FILE.py`.

The file says what it has in one variable, by the kinds of the registries:

    DERMBENCH = {"methods": {"zoo": Zoo}, "datasets": {"clinic": CLINIC}}

A package announces the same things as entry points of the groups dermbench.methods, and so on.
"""

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.errors import UserError, unknown_name

# Paths of plugin files, divided as those of PATH: set by `take`, so that the processes of a sweep
# and whatever else this one starts have them too.
VARIABLE = "DERMBENCH_PLUGINS"
FLAG = "--plugin"
_NAME = "DERMBENCH"


def take(arguments: Sequence[str]) -> list[str]:
    """Load the files of every `--plugin FILE` and of the environment.

    Args:
        arguments: of a command line; the flag may stand anywhere in it.

    Returns:
        The other arguments.

    Raises:
        UserError: a file cannot be loaded, or what it has cannot be used.
    """
    rest, given = [], []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name != FLAG:
            rest.append(word)
            continue
        path = value if equals else next(words, "")
        if not path:
            raise UserError(f"{FLAG}: say which file, such as {FLAG} zoo.py")
        given.append(path)
    load([*files(), *given])
    return rest


def load_from_environment() -> None:
    """Load the files that the process which started this one had.

    Raises:
        UserError: as `take`.
    """
    load(files())


def load(paths: Iterable[str | Path]) -> None:
    """Register what these files have; one that was loaded before is passed over.

    Raises:
        UserError: as `take`.
    """
    known = files()
    for path in paths:
        file = Path(path).expanduser().resolve()
        name = f"dermbench_plugin_{file.stem}"
        loaded = sys.modules.get(name)
        if loaded is not None and loaded.__file__ == str(file):
            continue
        if loaded is not None:
            raise UserError(
                f"{file} and {loaded.__file__} have one name: rename one of these plugins"
            )
        _register(file, _imported(file, name))
        if str(file) not in known:
            known.append(str(file))
    if known:
        os.environ[VARIABLE] = os.pathsep.join(known)


def files() -> list[str]:
    """Paths of the plugin files that this process has, or that the one which started it had."""
    return [each for each in os.environ.get(VARIABLE, "").split(os.pathsep) if each]


def _imported(file: Path, name: str) -> ModuleType:
    if not file.is_file():
        raise UserError(f"plugin {file} does not exist: check the path")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"plugin {file} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # Before it runs: pydantic looks for the module of a class's annotations.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"plugin {file}{_line(error, file)}: {_told(error)}") from error
    return module


def _told(error: BaseException) -> str:
    if not isinstance(error, SyntaxError):
        return repr(error)
    wrong = f": {error.text.strip()}" if error.text and error.text.strip() else ""
    remedy = " (save the file as UTF-8)" if "utf-8" in error.msg.lower() else ""
    return f"{error.msg}{remedy}{wrong}"


def _line(error: BaseException, file: Path) -> str:
    """Where in the file the error came from, such as ", line 3"; "" if from elsewhere."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f", line {error.lineno}"
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f", line {lines[-1]}" if lines else ""


def _register(file: Path, module: ModuleType) -> None:
    announced: Any = getattr(module, _NAME, None)
    if not isinstance(announced, dict) or not announced:
        raise UserError(
            f'plugin {file} does not say what it has: add {_NAME} = {{"methods": {{"zoo": Zoo}}}}'
        )
    # Only here: a command without a plugin starts without the registries.
    from benchmark.registry import ADDED_ARCHITECTURES, DATASETS, EXPLAINERS, METHODS, TASKS

    registries = (METHODS, TASKS, DATASETS, EXPLAINERS, ADDED_ARCHITECTURES)
    kinds = {f"{registry.kind}s": registry for registry in registries}
    for kind, things in announced.items():
        if kind not in kinds:
            raise UserError(f"plugin {file}: {unknown_name('kind', kind, kinds)}")
        for name, thing in things.items():
            kinds[kind].add(name, thing, file)
