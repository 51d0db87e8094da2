"""How the modules of the suite hang together."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmark", "architectures", "tasks")


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
