"""The table of states: what a run of a sweep may become."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.sweep.ledger import Row
from benchmark.sweep.retries import Ending, Retries, Stop, verdict
from benchmark.sweep.states import TRANSITIONS, UNFINISHED, State, check

RETRIES = Retries(most=2, first=10, factor=3)


def test_every_state_can_be_reached_and_left():
    assert set(TRANSITIONS) == set(State)
    reached = {State.PENDING}
    for _ in State:
        reached |= {after for state in reached for after in TRANSITIONS[state]}
    assert reached == set(State)
    assert all(TRANSITIONS.values())


def test_only_a_run_that_runs_ends():
    for before in set(State) - {State.RUNNING}:
        assert TRANSITIONS[before] <= UNFINISHED


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_a_row_moves_as_the_table_says_and_not_otherwise(before, after):
    row = Row(id="p0", name="a run", state=before)
    if after in TRANSITIONS[before]:
        assert row.moved(after).state is after
    else:
        with pytest.raises(ValueError, match=f"is {before} cannot become {after}"):
            row.moved(after)


@given(st.sampled_from(Ending), st.sampled_from([None, *Stop]), st.integers(1, 9))
def test_whatever_ends_a_run_its_new_state_is_legal(ending, stop, tries):
    check(State.RUNNING, verdict(ending, stop, tries, RETRIES))


@pytest.mark.parametrize(
    ("ending", "stop", "tries", "state"),
    [
        (Ending.DONE, None, 1, State.DONE),
        (Ending.DONE, Stop.LIMIT, 1, State.DONE),
        (Ending.REFUSED, None, 1, State.FAILED),
        (Ending.BROKEN, None, 1, State.FAILED),
        (Ending.DISTURBED, None, 2, State.RETRYING),
        (Ending.DISTURBED, None, 3, State.FAILED),
        (Ending.INTERRUPTED, Stop.LIMIT, 1, State.TIMED_OUT),
        (Ending.DISTURBED, Stop.LIMIT, 1, State.TIMED_OUT),
        (Ending.INTERRUPTED, Stop.SWEEP, 1, State.PENDING),
        (Ending.INTERRUPTED, None, 1, State.RETRYING),
        (Ending.BUSY, None, 1, State.RETRYING),
        (Ending.BUSY, None, 3, State.PENDING),
    ],
)
def test_what_an_ending_means(ending, stop, tries, state):
    assert verdict(ending, stop, tries, RETRIES) is state


def test_waits_between_tries_grow():
    assert [RETRIES.wait(tries) for tries in (1, 2, 3)] == [10, 30, 90]
