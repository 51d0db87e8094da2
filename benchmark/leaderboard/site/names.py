"""Which page is whose: names from records to paths inside the site, whatever the names hold."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from architectures import catalogue
from benchmark.leaderboard.columns import digest, file_name
from benchmark.records.index import Head
from benchmark.records.record import Record, text
from benchmark.registry import DATASETS, METHODS, TASKS

# The kinds of thing that have a page: the folder of their pages, and how people call them.
FOLDERS = {
    "architecture": "architectures",
    "method": "methods",
    "task": "tasks",
    "dataset": "datasets",
}
SPOKEN = {kind: kind for kind in FOLDERS} | {"dataset": "data set"}
# The names of each kind that this installation knows.
KNOWN: dict[str, Callable[[], Collection[str]]] = {
    "architecture": catalogue.names,
    "method": METHODS.names,
    "task": TASKS.names,
    "dataset": DATASETS.names,
}
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def stem(name: str, known: Collection[str] = ()) -> str:
    """A name as the beginning of a file's name, in lower case and never with a separator in it.

    Two names never share one, even where the case of letters does not count. Names in lower case
    and those in `known` stay as they are; others are cut to what a file's name may hold and carry
    a digest behind a dot, which no plain name has.
    """
    low = name.lower()
    spelled = {each.lower(): each for each in known}
    if _PLAIN.fullmatch(low) and spelled.get(low, low) == name:
        return low
    return f"{file_name(low).replace('.', '-') or 'x'}.{digest([name])[:12]}"


def things(record: Record) -> dict[str, str]:
    """What a record is of, by kind."""
    return {
        "architecture": text(record.config.get("arch")),
        "method": text(record.config.get("method")),
        "task": record.task,
        "dataset": record.data.name,
    }


@dataclass(frozen=True)
class Pages:
    """The pages of the site, as paths relative to its folder.

    Attributes:
        records: by run id.
        seeds: each run's seed, by run id; of a submission its id.
        things: for each (kind, name) that some record is of, in order.
    """

    records: dict[str, str]
    seeds: dict[str, str]
    things: dict[tuple[str, str], str]

    @classmethod
    def of(cls, heads: Iterable[Head]) -> "Pages":
        """A page for each record, and for each thing that one of them is of."""
        runs, seeds, found = {}, {}, set()
        for head in heads:
            seeds[head.run_id] = head.seed
            runs[head.run_id] = f"records/{stem(head.run_id)}.html"
            of = {"architecture": head.arch, "method": head.method, "task": head.task}
            found |= {*of.items(), ("dataset", head.dataset)}
        order = {kind: place for place, kind in enumerate(FOLDERS)}
        paths = {
            (kind, name): f"{FOLDERS[kind]}/{stem(name, KNOWN[kind]())}.html"
            for kind, name in sorted(found, key=lambda thing: (order[thing[0]], thing[1]))
        }
        return cls(runs, seeds, paths)

    def thing(self, kind: str, name: str) -> str:
        """The page of a thing, "" where no record is of it."""
        return self.things.get((kind, name), "")
