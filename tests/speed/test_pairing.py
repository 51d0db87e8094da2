"""Sides take turns, are compared before they are timed, and are named where they cannot be."""

from pathlib import Path

import pytest

from benchmark.common.progress import SilentDisplay
from benchmark.errors import UserError
from benchmark.speed.pairing import measure
from benchmark.speed.works import Side, Work

TRACK = SilentDisplay().track


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")

    def make(*sides, **fields):
        return Work("test", "test", "a test", sides, (), {"log": str(tmp_path / "log")}, **fields)

    make.log = tmp_path / "log"
    return make


def _side(function, **fields):
    return Side(function, f"sides:{function}", **fields)


def test_sides_take_turns_and_the_first_one_warms_up(work):
    timed = measure(work(_side("first"), _side("second")), 3, TRACK)
    assert work.log.read_text() == "AB" * 4
    assert [len(each.seconds) for each in timed] == [3, 3]
    assert all(seconds > 0 for each in timed for seconds in each.seconds)
    assert [len(each.cpu_seconds) for each in timed] == [3, 3]
    assert [each.deviation for each in timed] == [0.0, 0.0]


def test_a_side_has_its_own_environment_and_tells_facts(work):
    sides = (_side("first"), _side("second", environment={"OF_THIS_SIDE": "yes"}))
    assert measure(work(*sides), 1, TRACK)[1].facts == {"variable": "yes"}


def test_times_of_a_part_are_multiplied(work):
    (whole, part) = measure(work(_side("first"), _side("tenth")), 1, TRACK)
    assert part.seconds[0] > 1000 * whole.seconds[0]
    assert part.cpu_seconds[0] > 1000 * whole.cpu_seconds[0]


def test_what_a_child_computes_is_computed_and_waiting_is_not(work):
    (child,) = measure(work(_side("by_a_child")), 1, TRACK)
    assert 0.3 <= child.cpu_seconds[0] < 30
    (waiting,) = measure(work(_side("slow")), 1, TRACK)
    assert waiting.cpu_seconds[0] < 0.5 < waiting.seconds[0]


def test_results_that_differ_are_not_compared(work):
    with pytest.raises(UserError, match=r"other_result and first differ by 0\.5"):
        measure(work(_side("first"), _side("other_result")), 1, TRACK)
    with pytest.raises(UserError, match="do not do the same work"):
        measure(work(_side("first"), _side("other_shape")), 1, TRACK)


def test_what_is_within_the_tolerance_is_told(work):
    sides = work(_side("first"), _side("other_result"), tolerance=0.6)
    assert measure(sides, 1, TRACK)[1].deviation == 0.5


@pytest.mark.parametrize(
    ("side", "fault"),
    [
        (_side("second", package="nobodys_library"), "nobodys_library is not installed"),
        (_side("broken"), "failed: ValueError: no such layer"),
        (_side("killed"), "failed: its process ended with 7"),
    ],
)
def test_who_cannot_is_named_and_the_others_go_on(work, side, fault):
    (ours, other) = measure(work(_side("first"), side), 2, TRACK)
    assert fault in other.fault
    assert not other.seconds
    assert len(ours.seconds) == 2
    assert work.log.read_text() == "AAA"


def test_who_ends_while_it_waits_is_named_too(work):
    (other, ours) = measure(work(_side("leaving"), _side("slow")), 1, TRACK)
    assert "failed: its process ended with 9" in other.fault
    assert len(ours.seconds) == 1
