"""The process of one side: prepares once, then does the work whenever it is told to.

Lines of JSON come and go by pipes of its own, so that a library may print what it likes.
"""

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil


@dataclass(frozen=True)
class Prepared:
    """A side that is ready.

    Attributes:
        work: does it once; this is what is timed.
        result: what `work` gave, as an array that can be compared with the other sides'.
        times: by what its times are multiplied, where only a part of the work is done.
        facts: what else the table's reader must know, such as the threads in use.
    """

    work: Callable[[], Any]
    result: Callable[[Any], np.ndarray] = np.asarray
    times: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict)


def main(order: str) -> int:
    """Answer the lines on standard input until it ends."""
    told = json.loads(order)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def answer(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")

    try:
        prepared = _prepare(told)
        answer(facts={**_threads(), **prepared.facts})
        for line in sys.stdin:
            started, computed = time.perf_counter(), _computed()
            given = prepared.work()
            seconds, computed = time.perf_counter() - started, _computed() - computed
            if line.strip() == "first":
                np.save(told["result"], prepared.result(given))
            answer(
                seconds=seconds * prepared.times,
                cpu_seconds=computed * prepared.times,
                memory=_peak_memory(),
            )
    except Exception as error:
        traceback.print_exc()
        answer(error=f"{type(error).__name__}: {error}"[:500])
        return 1
    return 0


def _prepare(told: Mapping[str, Any]) -> Prepared:
    if told["framework"]:
        from benchmark.training.frameworks import select_backend

        select_backend(told["framework"])
    module, function = told["code"].split(":")
    side = getattr(import_module(module), function)
    return side(told["settings"], Path(told["scratch"]))


def _threads() -> dict[str, int]:
    """Threads that compute, by library, of those that this process has imported."""
    found = {}
    if (torch := sys.modules.get("torch")) is not None:
        found["torch threads"] = torch.get_num_threads()
    if (tensorflow := sys.modules.get("tensorflow")) is not None:
        threading = tensorflow.config.threading
        # 0: as many as there are cores.
        found["tensorflow threads"] = threading.get_intra_op_parallelism_threads()
    return found


def _computed() -> float:
    """CPU seconds of this process so far, with those of its children, living or ended."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    living = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(each.ru_utime + each.ru_stime for each in ended) + sum(
        each.user + each.system + each.children_user + each.children_system for each in living
    )


def _peak_memory() -> int:
    from benchmark.records.environment import peak_memory

    return peak_memory()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
