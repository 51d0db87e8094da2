"""What is seen of a sweep where there is no terminal, and what `status` tells."""

from collections import Counter

import pytest

from benchmark.sweep.cost import Costs
from benchmark.sweep.display import Shown, TerminalSweepDisplay, duration
from benchmark.sweep.events import EventLog, Progress
from benchmark.sweep.ledger import Ledger, Row
from benchmark.sweep.plan import Asked, planned
from benchmark.sweep.states import State
from benchmark.sweep.status import standing, told

RUNS = [
    planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke", seed=seed))
    for seed in range(3)
]


def test_starts_ends_and_tries_are_lines(capsys):
    display = TerminalSweepDisplay(RUNS)
    row = Row(id=RUNS[0].id, name=RUNS[0].name).moved(State.RUNNING, tries=2)
    display.started(RUNS[0], row)
    display.ended(RUNS[0], row.moved(State.RETRYING, reason="No space left on device"), 15.0)
    display.show(Shown(Counter({State.RETRYING: 1, State.DONE: 2}), 90.0, []))
    display.show(Shown(Counter({State.RETRYING: 1, State.DONE: 2}), 90.0, []))
    display.close()
    assert capsys.readouterr().err.splitlines() == [
        "started    MobileNetV2/torch/diagnosis/cross-entropy/synthetic/0 (try 2)",
        "retrying   MobileNetV2/torch/diagnosis/cross-entropy/synthetic/0  in 15 s, after: No space"
        " left on device",
        "sweep      1 retrying, 2 done, about 2 min left",
    ]


def test_status_tells_what_runs_what_failed_and_what_is_left(tmp_path):
    ledger = Ledger(tmp_path)
    assert standing(RUNS, ledger, Costs()).states == {State.PENDING: 3}
    row = Row(id=RUNS[0].id, name=RUNS[0].name).moved(State.RUNNING)
    claim = ledger.claim(RUNS[0])
    ledger.keep(RUNS[0], row)
    EventLog(ledger.files(RUNS[0]).events).progress(Progress(doing="train", epoch=3, epochs=8))
    ledger.claim(RUNS[1])
    other = Row(id=RUNS[1].id, name=RUNS[1].name).moved(State.RUNNING)
    ledger.keep(RUNS[1], other.moved(State.FAILED, reason="KeyError: 'x'"))
    text = "\n".join(told(standing(RUNS, ledger, Costs()), ledger))
    assert "train 3/8" in text
    assert "KeyError: 'x'" in text
    assert f"{RUNS[1].id}/log.txt" in text
    assert "time left unknown" in text
    claim.release()
    # Nobody works on it any more, whatever is stored.
    assert standing(RUNS, ledger, Costs()).states == {State.PENDING: 2, State.FAILED: 1}


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (600, "10 min"), (7200, "2.0 h"), (5000, "83 min")]
)
def test_durations_are_told_to_two_figures_or_so(seconds, text):
    assert duration(seconds) == text
