"""What a run of a sweep can be, and what it may become. Every change goes through this table."""

from enum import StrEnum


class State(StrEnum):
    """Where a run of a sweep stands."""

    PENDING = "pending"
    RUNNING = "running"
    # Ended by a fault of the machine, to be started again.
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"


# A sweep that is killed leaves its runs RUNNING or RETRYING: the next one finds them free and makes
# them PENDING. So it does with what FAILED or TIMED_OUT, for the cause may be mended, and with what
# is DONE where it is to be done again or its record is gone.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING}),
    State.RUNNING: frozenset(
        {State.DONE, State.FAILED, State.TIMED_OUT, State.RETRYING, State.PENDING}
    ),
    State.RETRYING: frozenset({State.RUNNING, State.PENDING}),
    State.DONE: frozenset({State.PENDING}),
    State.FAILED: frozenset({State.PENDING}),
    State.TIMED_OUT: frozenset({State.PENDING}),
}

UNFINISHED = frozenset({State.PENDING, State.RUNNING, State.RETRYING})


def check(before: State, after: State) -> None:
    """That a run may go from one state to another.

    Raises:
        ValueError: it may not: a fault of ours.
    """
    if after not in TRANSITIONS[before]:
        raise ValueError(f"a run that is {before} cannot become {after}")
