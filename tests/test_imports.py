"""How the modules of the suite hang together."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmark", "architectures", "tasks")
# Those that work where no framework is installed.
ROOMS = (
    "common",
    "comparison",
    "data",
    "leaderboard",
    "metrics",
    "pictures",
    "raters",
    "records",
    "submissions",
)
FRAMEWORKS = ("torch", "torchvision", "timm", "tensorflow", "keras", "jax")


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path) -> Iterator[str]:
    """What a module imports, in a function too, each as far as it may be a module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_no_module_is_needed_by_what_it_needs():
    files = {_name(path): path for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert len(files) > 200
    needs = {}
    for name, path in files.items():
        found = set(_imported(path)) & set(files) - {name}
        # `from package import module` needs the module; that the package runs first is no circle
        # unless the package needs it too.
        needs[name] = {each for each in found if not any(o.startswith(f"{each}.") for o in found)}
    TopologicalSorter(needs).prepare()


def test_no_module_of_a_room_without_a_framework_loads_one():
    files = (path for room in ROOMS for path in (ROOT / "benchmark" / room).rglob("*.py"))
    names = sorted(_name(path) for path in files)
    assert len(names) > 100
    probe = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        f"    found = [m for m in {FRAMEWORKS!r} if m in sys.modules]\n"
        "    assert not found, f'{name} loads {found}'"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
