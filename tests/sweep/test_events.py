"""What a run tells its sweep."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.common.progress import SilentDisplay
from benchmark.sweep import events
from benchmark.sweep.events import End, EventDisplay, EventLog, Progress
from benchmark.sweep.retries import Ending


def test_the_last_that_was_told_is_how_far_a_run_is(tmp_path):
    path = tmp_path / "events.jsonl"
    assert events.read(path).progress == Progress(doing="starting")
    log = EventLog(path)
    display = EventDisplay(SilentDisplay(), log)
    assert list(display.track([1, 2], "decoding images", 2)) == [1, 2]
    assert events.read(path).progress == Progress(doing="decoding images")
    display.epoch("train", 1, 8, steps=5).close("loss 0.5")
    progress = events.read(path).progress
    assert progress.model_copy(update={"left": None}) == Progress(
        doing="train", epoch=1, epochs=8, summary="loss 0.5"
    )
    display.epoch("train", 2, 8, steps=5).close("")
    assert events.read(path).progress.epoch == 1
    assert events.read(path).end is None
    end = End(ending=Ending.REFUSED, reason="no such data")
    log.end(end)
    assert events.read(path).end == end


def test_what_is_left_of_a_stage_is_told_by_the_pace_of_its_epochs(tmp_path, monkeypatch):
    seconds = iter((100.0, 110.0, 130.0, 200.0, 205.0))
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    path = tmp_path / "events.jsonl"
    display = EventDisplay(SilentDisplay(), EventLog(path))

    def told():
        return events.read(path).progress.left

    # Continued: two epochs are not of this process.
    first = display.epoch("train", 3, 8, steps=5)
    assert told() is None
    first.close("loss 0.5")
    assert told() == 5 * 10
    display.epoch("train", 4, 8, steps=5).close("loss 0.4")
    assert told() == 4 * 15
    list(display.track([1], "predicting", 1))
    assert told() is None
    # The next trial has a stage of the same name.
    display.epoch("train", 1, 8, steps=5).close("loss 0.9")
    assert told() == 7 * 5


def test_a_line_that_is_not_whole_is_left_for_later(tmp_path):
    path = tmp_path / "events.jsonl"
    EventLog(path).progress(Progress(doing="train"))
    with path.open("a") as file:
        file.write('{"ending": "do')
    told = events.read(path)
    assert (told.progress.doing, told.end) == ("train", None)


@pytest.mark.parametrize("sign", ["\u2028", "\x85"])
def test_a_reason_may_hold_signs_that_end_lines_elsewhere(tmp_path, sign):
    log = EventLog(tmp_path / "events.jsonl")
    log.end(End(ending=Ending.REFUSED, reason=f"no{sign}folder"))
    end = events.read(tmp_path / "events.jsonl").end
    assert end is not None
    assert end.reason == f"no{sign}folder"


def test_that_nothing_can_be_told_stops_no_run(tmp_path):
    log = EventLog(tmp_path / "no folder" / "events.jsonl")
    log.progress(Progress())
    log.end(End(ending=Ending.DONE))


def test_what_is_told_after_a_line_that_was_cut_off_is_not_lost_with_it(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    opened = Path.open

    def full(self, *arguments, **options):
        file = opened(self, *arguments, **options)
        file.write('{"doing": "tra')
        file.close()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "open", full)
        log.progress(Progress(doing="train"))
    end = End(ending=Ending.DISTURBED, reason="No space left on device")
    log.end(end)
    assert events.read(path).end == end
