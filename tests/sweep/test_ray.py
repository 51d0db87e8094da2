"""Runs elsewhere, without a cluster: what a run takes along and what comes home."""

import errno
import os
import pickle
import shutil
from pathlib import Path

import pytest

from benchmark.config import configure
from benchmark.data import load
from benchmark.errors import UserError
from benchmark.records.splits import location
from benchmark.sweep import ray_data, scratch
from benchmark.sweep.executor import Step
from benchmark.sweep.plan import Asked, planned
from benchmark.sweep.ray_home import PIECE_BYTES, Home, StaleError, lasting
from benchmark.sweep.ray_node import Luggage, Order, Runner
from benchmark.sweep.retries import Ending, ending_of

RUN = planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke"))
NAME = "v1/runs/diagnosis-MobileNetV2-torch-synthetic-r0123456789ab"


@pytest.fixture(autouse=True)
def _this_process_stays_where_it_is(monkeypatch):
    monkeypatch.setattr("benchmark.common.interrupt.heed", lambda: None)
    monkeypatch.chdir(os.curdir)
    # They are set for good where a run is, which here is this process.
    monkeypatch.setattr(os, "environ", os.environ.copy())


# Data.


def _data(folder: Path) -> Path:
    for name, content in {"a/1.png": b"one", "a/2.png": b"", "b/3.png": b"three" * 9}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("most", [1, 4, 7, 1000])
def test_data_are_the_same_after_they_were_shipped_in_pieces(tmp_path, most):
    there, here = _data(tmp_path / "there"), tmp_path / "here"
    files, at, pieces = ray_data.listing(there), (0, 0), 0
    while at is not None:
        parts, at = ray_data.piece(there, files, at, most)
        ray_data.put(here, parts)
        pieces += 1
    assert ray_data.listing(here) == files
    assert ray_data.content(here, files) == ray_data.content(there, files)
    assert (pieces == 1) is (most == 1000)


def test_a_file_is_shipped_as_a_folder_is(tmp_path):
    there, here = tmp_path / "weights.h5", tmp_path / "copy.h5"
    there.write_bytes(b"weights")
    files = ray_data.listing(there)
    parts, at = ray_data.piece(there, files, (0, 0), 1000)
    ray_data.put(here, parts)
    assert (here.read_bytes(), at) == (b"weights", None)


def test_paths_of_the_settings_are_named_and_moved_and_the_record_does_not_change(tmp_path):
    (tmp_path / "net.safetensors").touch()
    config = configure(
        "MobileNetV2",
        "semi-supervised",
        budget="smoke",
        dataset="dermxdb",
        data_dir="here/dermxdb",
        dataset_options={"images": "here/one:here/two"},
        task_options={"unlabelled": "here/more"},
        pretrain_on=["folder:here/own", "synthetic"],
        weights="imagenet",
    )
    named = ["here/dermxdb", "here/own", "here/more", "here/one", "here/two"]
    assert sorted(ray_data.named(config)) == sorted(named)
    moved = ray_data.moved(config, {path: path.replace("here", "/there/abc") for path in named})
    assert moved.data_dir == "/there/abc/dermxdb"
    assert moved.pretrain_on == ("folder:/there/abc/own", "synthetic")
    assert moved.public() == config.public()
    assert moved.identity() == config.identity()
    with_file = config.model_copy(update={"weights": str(tmp_path / "net.safetensors")})
    assert str(tmp_path / "net.safetensors") in ray_data.named(with_file)


def test_a_place_without_a_name_of_its_own_is_not_shipped():
    with pytest.raises(UserError, match="give the folder by its name"):
        ray_data.shipped_name("..")
    assert ray_data.shipped_name("data/isic/") == "isic"


# What a run takes along and brings back.


@pytest.fixture
def home(tmp_path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(str(tmp_path / "home"), str(tmp_path), {})


def _calls(home: Home):
    return lambda method, *arguments: getattr(home, method)(*arguments)


def _order(tmp_path: Path, number=1, overwrite=False, run=RUN) -> Order:
    return Order(
        run=run,
        number=number,
        overwrite=overwrite,
        out=tmp_path / "home",
        row=b"running",
        folder=str(tmp_path),
        environment={},
    )


def _write(path: Path, content: str | bytes = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_a_run_leaves_comes_home_its_record_last(home, tmp_path):
    away = tmp_path / "away"
    luggage = Luggage(_calls(home), _order(tmp_path), away)
    luggage.fetch()
    _write(away / NAME / "checkpoints/main.safetensors", bytes(PIECE_BYTES + 5))
    _write(away / NAME / "run.lock")
    _write(away / NAME / ".half-written")
    _write(away / "v1/records/r0.json", "{}")
    luggage.bring()
    assert _files(tmp_path / "home") == {f"{NAME}/checkpoints/main.safetensors"}
    brought = tmp_path / "home" / NAME / "checkpoints/main.safetensors"
    assert brought.read_bytes() == bytes(PIECE_BYTES + 5)
    (away / NAME / "checkpoints/main.safetensors").unlink()
    _write(away / "v1/predictions/r0.npz", "p")
    luggage.bring(records=True)
    assert _files(tmp_path / "home") == {"v1/records/r0.json", "v1/predictions/r0.npz"}


def test_checkpoints_stay_at_home_until_what_they_led_to_is_there(home, tmp_path, monkeypatch):
    away = tmp_path / "away"
    luggage = Luggage(_calls(home), _order(tmp_path), away)
    checkpoint = _write(away / NAME / "checkpoints/main.safetensors")
    luggage.bring()
    shutil.rmtree(checkpoint.parent)
    _write(away / NAME / "main/weights.safetensors")
    luggage.bring()
    kept = tmp_path / "home" / NAME / "checkpoints"
    assert kept.is_dir()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    _write(away / "v1/records/r0.json")
    with monkeypatch.context() as patch:
        patch.setattr(Home, "put", full)
        with pytest.raises(OSError, match="No space"):
            luggage.bring(records=True)
    assert kept.is_dir()
    luggage.bring(records=True)
    assert not kept.exists()


def test_what_vanishes_while_it_is_looked_for_is_passed_over(tmp_path, monkeypatch):
    _write(tmp_path / "checkpoints/a.safetensors")
    _write(tmp_path / "record.json")
    scandir = os.scandir

    def vanishing(path):
        if str(path).endswith("checkpoints"):
            os.unlink(f"{path}/a.safetensors")
            os.rmdir(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert list(lasting(tmp_path)) == [tmp_path / "record.json"]


def test_a_checkpoint_that_is_the_one_before_now_is_not_sent_again(home, tmp_path):
    away, sent = tmp_path / "away", []

    def calls(method, *arguments):
        sent.append((method, *arguments[2:4]))
        return getattr(home, method)(*arguments)

    luggage = Luggage(calls, _order(tmp_path), away)
    newest, before = (f"{NAME}/checkpoints/main{part}.safetensors" for part in ("", ".before"))
    for content in ("one", "two", "three"):
        if (away / newest).exists():
            (away / newest).replace(away / before)
        _write(away / newest, content)
        sent.clear()
        luggage.bring()
    assert sent == [("move", newest, before), ("put", newest, 0)]
    assert (tmp_path / "home" / newest).read_text() == "three"
    assert (tmp_path / "home" / before).read_text() == "two"
    assert len(_files(tmp_path / "home")) == 2


def test_a_run_goes_on_from_what_came_home_of_it_and_of_no_other(home, tmp_path):
    of_another = planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke", seed=1))
    other = NAME[:-1] + "c"
    for name, run in ((NAME, RUN), (other, of_another)):
        _write(tmp_path / "home" / name / "config.json", run.config.model_dump_json())
        _write(tmp_path / "home" / name / "checkpoints/main.safetensors", name)
    split = str(location("", "synthetic", "f" * 64, "diagnosis", "1", {}))
    _write(tmp_path / "home" / split)
    _write(tmp_path / f"home/v1/sweeps/{RUN.id}/log.txt", "first try\n")
    Luggage(_calls(home), _order(tmp_path), tmp_path / "away").fetch()
    assert _files(tmp_path / "away") == {
        f"{NAME}/config.json",
        f"{NAME}/checkpoints/main.safetensors",
        split,
        f"v1/sweeps/{RUN.id}/log.txt",
    }
    Luggage(_calls(home), _order(tmp_path, overwrite=True), tmp_path / "anew").fetch()
    assert _files(tmp_path / "anew") == {split, f"v1/sweeps/{RUN.id}/log.txt"}
    _write(tmp_path / "home" / NAME / "checkpoints/anew")
    Luggage(_calls(home), _order(tmp_path, overwrite=True), tmp_path / "again").fetch()
    assert f"{NAME}/checkpoints/main.safetensors" in _files(tmp_path / "again")


def test_of_a_run_that_was_started_again_only_the_last_try_is_heard(home, tmp_path):
    first = Luggage(_calls(home), _order(tmp_path), tmp_path / "one")
    first.fetch()
    _write(tmp_path / "one/v1/unfinished/r0.json")
    first.bring()
    second = Luggage(_calls(home), _order(tmp_path, number=2), tmp_path / "two")
    second.fetch()
    _write(tmp_path / "one/v1/records/r0.json")
    with pytest.raises(StaleError):
        first.bring(records=True)
    for path in ("unfinished", "records"):
        (tmp_path / f"one/v1/{path}/r0.json").unlink()
    with pytest.raises(StaleError):
        first.bring(records=True)
    assert _files(tmp_path / "home") == {"v1/unfinished/r0.json"}


def test_a_split_that_another_run_has_frozen_decides(home, tmp_path):
    _write(tmp_path / "home/v1/splits/a/b.csv", "theirs")
    luggage = Luggage(_calls(home), _order(tmp_path), tmp_path / "away")
    _write(tmp_path / "away/v1/splits/a/b.csv", "mine")
    with pytest.raises(UserError, match="another run has frozen another split"):
        luggage.bring()


@pytest.mark.parametrize("size", [10, PIECE_BYTES + 10])
def test_a_full_disk_at_home_is_a_disturbance_on_the_node_as_well(
    home, tmp_path, monkeypatch, size
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", full)
    _write(tmp_path / "away" / NAME / "maps.npz", bytes(size))
    with pytest.raises(OSError, match="No space left") as raised:
        Luggage(_calls(home), _order(tmp_path), tmp_path / "away").bring()
    assert ending_of(pickle.loads(pickle.dumps(raised.value))) is Ending.DISTURBED


def test_nothing_is_read_or_written_outside_the_results_folder(home):
    for name in ("../x", "/etc/hostname", "v1/../../x", "other/x"):
        with pytest.raises(ValueError, match="no file of a results folder"):
            home.read(name, 0)
        with pytest.raises(ValueError, match="no file of a results folder"):
            home.put("p", 1, name, 0, b"", True)


# A node, without Ray.


def _node_is_elsewhere(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))


def test_data_that_a_node_lacks_are_copied_there_once(home, tmp_path, monkeypatch):
    _node_is_elsewhere(monkeypatch, tmp_path)
    data = _data(tmp_path / "data")
    config = RUN.config.model_copy(update={"data_dir": str(data)})
    asked: list[str] = []

    def away(method, *arguments):
        asked.append(method)
        return getattr(home, method)(*arguments)

    runner = Runner(away)
    assert runner._at_hand(config) == config
    monkeypatch.setattr(ray_data, "found", lambda path: None)
    monkeypatch.setattr(Home, "_place", lambda self, path: data)
    monkeypatch.setattr(Home, "outline", lambda self, path: "differs")
    copied = Path(runner._at_hand(config).data_dir)
    assert copied.is_relative_to(tmp_path / "cache")
    assert copied.name == "data"
    assert ray_data.listing(copied) == ray_data.listing(data)
    assert runner._at_hand(config).data_dir == str(copied)
    assert asked.count("piece") == 1


def test_a_run_that_is_stopped_before_it_begins_does_not_begin(home, tmp_path, monkeypatch):
    _node_is_elsewhere(monkeypatch, tmp_path)
    runner = Runner(_calls(home))
    runner.stop(Step.ASK)
    end = runner.run(_order(tmp_path))
    assert end.ending is Ending.INTERRUPTED
    assert _files(tmp_path / "home") == set()
    assert list((tmp_path / "cache/ray").iterdir()) == []


def test_only_the_very_results_folder_is_worked_in(home, tmp_path, monkeypatch):
    _node_is_elsewhere(monkeypatch, tmp_path)
    order = _order(tmp_path)
    state = tmp_path / "home" / order.files / "state.json"
    runner = Runner(_calls(home))
    places: list[Path] = []
    monkeypatch.setattr(runner, "_watched", lambda order, out, luggage: places.append(out))
    runner._run(order)
    for content in ("another try", "running"):
        _write(state, content)
        runner._run(order)
    assert [place == order.out for place in places] == [False, False, True]


def test_a_home_that_cannot_be_reached_is_a_disturbance(tmp_path, monkeypatch):
    _node_is_elsewhere(monkeypatch, tmp_path)

    def lost(method, *arguments):
        raise ConnectionError("the sweep's machine cannot be reached")

    end = Runner(lost).run(_order(tmp_path))
    assert end.ending is Ending.DISTURBED
    assert "cannot be reached" in end.reason


def test_folders_of_processes_that_were_killed_are_cleared_away(tmp_path):
    (tmp_path / "run-old").mkdir()
    os.utime(tmp_path / "run-old", (0, 0))
    (tmp_path / "run-young").mkdir()
    with scratch.folder(tmp_path, "run-") as held:
        os.utime(held, (0, 0))
        with scratch.folder(tmp_path, "run-") as other:
            assert {path.name for path in tmp_path.iterdir()} == {
                "run-young",
                held.name,
                other.name,
            }
    assert [path.name for path in tmp_path.iterdir()] == ["run-young"]


def test_data_below_the_data_folder_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_DATA", str(tmp_path))
    (tmp_path / "some").mkdir()
    assert ray_data.found("some") == tmp_path / "some"
    assert ray_data.found("others") is None
    with pytest.raises(UserError, match="others does not exist"):
        load("folder", "others")
