"""The pages of the project and the commands in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What stands first in a block that is typed, by indentation and not by a language: as on a page.
_TYPED = re.compile(
    r"(python -m benchmark|make|pytest|pip|ray|srun|for \w+ in|export|from|results/v1|#!/bin)\b"
)


@dataclass(frozen=True)
class Block:
    """Lines that are typed together, without their indentation."""

    page: str
    line: int
    text: str

    @property
    def python(self) -> bool:
        """Whether it is Python and no shell."""
        return self.text.startswith("from ")

    @property
    def commands(self) -> list[str]:
        """Every `python -m benchmark ...`, continued lines joined, loops opened."""
        joined = self.text.replace("\\\n", " ")
        parts = re.split(r"[\n;]|\bdo\b", joined)
        found = [part.partition("  #")[0].strip() for part in parts]
        return [part for part in found if "python -m benchmark" in part]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read, generated ones aside."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("benchmark/**/*.md")]
    return sorted({path for path in found if not path.is_relative_to(ROOT / "results" / "v1")})


def blocks() -> list[Block]:
    """Every typed block of every page."""
    return [block for page in pages() for block in _of(page)]


def _of(page: Path) -> list[Block]:
    found: list[Block] = []
    lines: list[str] = []
    name = page.relative_to(ROOT).as_posix()
    for number, line in enumerate([*page.read_text("utf-8").splitlines(), ""], start=1):
        if line.startswith("    "):
            lines.append(line[4:])
        elif lines and (line or number == 0 or not _goes_on(lines)):
            text = "\n".join(lines)
            if _TYPED.match(text):
                found.append(Block(name, number - len(lines), text))
            lines = []
    return found


def _goes_on(lines: list[str]) -> bool:
    # Python has empty lines within.
    return lines[0].startswith("from ") and not lines[-1].startswith("print")
