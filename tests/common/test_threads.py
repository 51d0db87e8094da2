"""Cores are divided among processes, never used twice."""

import pytest

from benchmark.common import threads


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    for name in threads.divided(1):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("jobs", "share"), [(1, "8"), (2, "4"), (3, "2"), (20, "1")])
def test_processes_share_the_cores(jobs, share):
    assert set(threads.divided(jobs).values()) == {share}


def test_a_process_of_a_sweep_has_its_share(monkeypatch):
    monkeypatch.setenv(threads.SHARE, "2")
    assert threads.available() == 2


def test_fewer_threads_that_the_user_wants_hold_for_every_library(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = threads.divided(2)
    assert found.pop(threads.SHARE) == "4"
    assert set(found.values()) == {"1"}
