"""A file to begin with, and its test: `new method NAME`."""

import re
from importlib import resources
from pathlib import Path
from string import Template

from benchmark.common.files import write_text
from benchmark.errors import UserError
from benchmark.registry import METHODS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def method(name: str, folder: str | Path = ".") -> tuple[Path, Path]:
    """Write a method that works, as a plugin file, and the test that shows it.

    Args:
        name: of the method, such as "label-smoothing".
        folder: where to; made if need be.

    Returns:
        The two files.

    Raises:
        UserError: the name is no name or taken, or a file is there already.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r}: name it in small letters, digits and dashes, such as my-method")
    if name in METHODS.names():
        raise UserError(f"there is a method {name!r} already: choose another name")
    file = name.replace("-", "_")
    words = {"name": name, "file": file, "class_name": name.title().replace("-", "")}
    made = []
    for template, target in (("method", f"{file}.py"), ("test_method", f"test_{file}.py")):
        path = Path(folder) / target
        if path.exists():
            raise UserError(f"{path} is there already: choose another name or folder")
        text = resources.files(__name__).joinpath(f"{template}.txt").read_text("utf-8")
        made.append((path, text))
    for path, text in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, Template(text).substitute(words))
    return made[0][0], made[1][0]
