"""Runs that began and have no record, as the board tells of them."""

from collections.abc import Callable, Sequence

from benchmark.records.attempts import Attempt
from benchmark.records.record import text

# Of more, the newest.
MOST_ROWS = 100
TITLE = "Runs without a record"
ABOUT = (
    "They began on the machine of this board and did not come to an end; none of their numbers are"
    " above."
)


def _setting(name: str) -> Callable[[Attempt], str]:
    return lambda attempt: text(attempt.config.get(name))


# What a row tells, in order.
COLUMNS: dict[str, Callable[[Attempt], str]] = {
    "run": lambda attempt: attempt.run_id,
    "architecture": _setting("arch"),
    "framework": _setting("framework"),
    "method": _setting("method"),
    "task": lambda attempt: attempt.task,
    "data set": lambda attempt: attempt.dataset,
    "seed": _setting("seed"),
    "began": lambda attempt: attempt.started,
    "ended": lambda attempt: attempt.ended or "-",
    "why": lambda attempt: attempt.told,
}


def about(attempts: Sequence[Attempt]) -> str:
    """What a reader must know of the table."""
    cut = len(attempts) - MOST_ROWS
    return ABOUT if cut <= 0 else f"{ABOUT} The newest {MOST_ROWS}; {cut:,} older ones besides."
