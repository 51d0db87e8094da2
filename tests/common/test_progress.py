"""What a waiting user sees of an epoch where standard error is no terminal."""

import pytest

from benchmark.common import progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as the test says: `clock[0] += 5`."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def train(clock, steps, seconds):
    """An epoch of so many steps of so many seconds each, off a terminal."""
    shown = progress.TerminalDisplay().epoch("train", 2, 8, steps)
    for _ in range(steps):
        clock[0] += seconds
        shown.step(0.5, 12.4)
    shown.close("loss 0.500")


def test_a_slow_epoch_says_every_half_minute_how_far_it_has_come(clock, capsys):
    train(clock, steps=20, seconds=7)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        *(f"train 2/8  step {step} of 20  12 images/s" for step in (5, 10, 15)),
        "train 2/8  loss 0.500",
    ]


def test_a_fast_epoch_has_its_summary_alone(clock, capsys):
    train(clock, steps=20, seconds=1.5)
    assert capsys.readouterr().err.splitlines() == ["train 2/8  loss 0.500"]


def test_a_terminal_has_the_bar_and_no_lines(clock, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    train(clock, steps=20, seconds=7)
    assert "step 5 of 20" not in capsys.readouterr().err
