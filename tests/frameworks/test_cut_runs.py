"""Every method's run, cut at random steps and continued, ends as one that was not."""

import json
import random
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import architectures
from benchmark import interrupt
from benchmark.records.folder import RunFolder
from benchmark.registry import METHODS
from benchmark.run import run
from benchmark.training import loop
from benchmark.training.frameworks import select_backend
from benchmark.trial import TrialRunner

SIZE = (architectures.find("MobileNetV2").least_size,) * 2
# Those of several diseases have a test of their own: tests/tasks/test_grading_run.py.
METHODS_OF_ONE = [n for n in METHODS.names() if METHODS.get(n).trains and not METHODS.get(n).joint]
CUTS = 4


class Killed(BaseException):
    """Nothing is kept and nothing tidied up, as far as can be in one process."""


@pytest.fixture(autouse=True)
def _tiny(framework, monkeypatch):
    """A network of two numbers per image, and no pictures."""
    select_backend(framework)
    from points import build

    monkeypatch.setattr("architectures.build", build)
    monkeypatch.setattr("benchmark.pictures.history", lambda *_: None)
    monkeypatch.setattr(TrialRunner, "_explain_some", lambda *_: None)
    for name in ("draw", "draw_overall"):
        monkeypatch.setattr(f"tasks.semi_supervised.SemiSupervised.{name}", lambda *_: [])
    monkeypatch.setattr(loop._Training, "due", True)


def _run(out, framework, method):
    record = run(
        "MobileNetV2",
        "semi-supervised",
        framework=framework,
        method=method,
        budget="smoke",
        epochs=2,
        device="cpu",
        image_size=SIZE,
        dataset_options={"images": 72, "size": 96},
        task_options={"label_fractions": "20"},
        out=out,
    )
    folder = RunFolder.of_record(out, record).path
    stages = [(s.stage, s.best_epoch, s.selection_score) for t in record.trials for s in t.stages]
    losses = [
        [row.split(",")[2] for row in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/history-*.csv"))
    ]
    said = [path.read_bytes() for path in sorted(folder.glob("*/predictions.csv"))]
    told = json.loads(record.model_dump_json())
    return stages, losses, said, told["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS_OF_ONE)
def test_a_run_cut_at_random_steps_ends_as_one_that_was_not(
    framework, tmp_path, monkeypatch, method
):
    steps: list[int] = []
    monkeypatch.setattr(interrupt, "check", lambda: steps.append(1))
    whole = _run(tmp_path / "whole", framework, method)
    assert len(steps) > 3
    seed = zlib.crc32(method.encode())
    chance, cuts = random.Random(seed), 0
    for how in (interrupt.Asked, Killed) * (CUTS // 2):
        # Later and later, for each try has less to do than the one before.
        left = [chance.randrange(1, max(len(steps) // (cuts + 2), 2))]

        def check(left=left, how=how):
            left[0] -= 1
            if left[0] < 0:
                raise how

        monkeypatch.setattr(interrupt, "check", check)
        try:
            _run(tmp_path / "cut", framework, method)
        except (KeyboardInterrupt, Killed):
            cuts += 1
    monkeypatch.setattr(interrupt, "check", lambda: None)
    assert _run(tmp_path / "cut", framework, method) == whole, f"{cuts} cuts, seed {seed}"
    assert cuts > 1
