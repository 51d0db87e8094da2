"""The commands `sweep plan`, `sweep run` and `sweep status`."""

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmark.cli.data import add_data_place
from benchmark.cli.run import add_settings, add_track, settings_of
from benchmark.common.wording import counted
from benchmark.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.sweep.cost import Costs
    from benchmark.sweep.executor import Executor
    from benchmark.sweep.plan import PlannedRun
    from benchmark.sweep.scheduler import Scheduler

_UNITS = {"s": 1, "m": 60, "h": 3600}
_EXAMPLES = """\
examples:
  python -m benchmark sweep plan --arch 'ResNet*,MobileNetV2' --framework all --task diagnosis \\
      --method cross-entropy,focal --seeds 0-4 --exclude 'ResNet50V2/keras/*' --plan plan.jsonl
  python -m benchmark sweep run plan.jsonl --jobs 2 --time-limit 3h
  python -m benchmark sweep status plan.jsonl
  python -m benchmark sweep run plan.jsonl --shard $SLURM_ARRAY_TASK_ID/16
  python -m benchmark sweep run plan.jsonl --ray head:6379 --out /shared/results
"""


def add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `sweep` and its actions."""
    summary = "a grid of runs: plan it, run what is missing of it, see how it stands"
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "sweep", help=summary, description=summary, epilog=_EXAMPLES, formatter_class=raw
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, told: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name, help=told, description=told, epilog=_EXAMPLES, formatter_class=raw
        )

    _add_plan(action("plan", "write the runs of a grid to a file, a line each"))
    _add_run(action("run", "do what is missing of a plan, each run in a process of its own"))
    _add_status(action("status", "how far a plan is: done, running, failed and why, time left"))


def _add_plan(parser: argparse.ArgumentParser) -> None:
    for name, told in (
        ("arch", "architectures"),
        ("task", "tasks"),
        ("framework", "torch (default), keras"),
        ("method", "methods (default: cross-entropy)"),
    ):
        parser.add_argument(
            f"--{name}",
            type=_names,
            required=name in ("arch", "task"),
            default={"framework": ["torch"], "method": ["cross-entropy"]}.get(name),
            metavar="NAME,...",
            help=f"{told}, or patterns such as 'ResNet*', or all",
        )
    parser.add_argument(
        "--dataset",
        type=_names,
        default=[],
        metavar="NAME[:DIR],...",
        help="data set layouts, each with the folder where it lies (default: each task's own)",
    )
    add_data_place(parser)
    parser.add_argument(
        "--seeds", type=_numbers, default=[0], metavar="A-B,C", help="such as 0-4 (default: 0)"
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out runs whose architecture, framework, task, method, data set or seed is like"
        " this, or all six joined by /, such as '*/keras/*/supercon/*'; may be repeated",
    )
    add_settings(parser)
    parser.add_argument(
        "--cpus", type=_cpus, metavar="N", help="cores and threads of a run (default: its share)"
    )
    parser.add_argument(
        "--gpus",
        type=_gpus,
        metavar="G",
        help="1, 0, or with Ray a part of one such as 0.5 (default: 1 where there are GPUs)",
    )
    parser.add_argument(
        "--out",
        default="results",
        help="results folder, whose records tell what a run may cost (default: %(default)s)",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="first do, for three epochs each, the few runs that tell what all may cost",
    )
    parser.add_argument(
        "--plan", default="plan.jsonl", metavar="FILE", help="to write (default: %(default)s)"
    )
    parser.set_defaults(command=_plan)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="written by `sweep plan`")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs at once (default: one for each GPU, else one; with Ray what its nodes can do)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster: HOST:PORT, auto for the one this machine is part of, or local"
        " for one of this machine alone",
    )
    parser.add_argument(
        "--shard", type=_shard, metavar="I/N", help="of N shares of the plan the I-th, from 1"
    )
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="TIME",
        help="after which a run is stopped, such as 90m or 3h; running the plan again continues it",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="run again what is done; not to go on after a stop"
    )
    add_track(parser)
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_run)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="written by `sweep plan`")
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_status)


def _plan(options: argparse.Namespace) -> int:
    import sys
    from dataclasses import replace
    from pathlib import Path

    import architectures
    from benchmark.sweep import plan
    from benchmark.sweep.cost import Costs
    from benchmark.sweep.display import duration
    from benchmark.sweep.grid import Grid, make
    from benchmark.sweep.local import gpus

    grid = Grid(
        archs=options.arch,
        frameworks=options.framework,
        tasks=options.task,
        methods=options.method,
        datasets=options.dataset,
        seeds=options.seeds,
        settings=settings_of(options),
        exclude=options.exclude,
        results=Path(options.out),
    )
    found = gpus()
    costs = Costs.of_results(Path(options.out), bool(found))
    runs, left_out = make(grid, costs)
    needs = plan.Needs(cpus=options.cpus, gpus=options.gpus)
    runs = [replace(run, needs=needs) for run in runs]
    for each in left_out:
        print(f"left out, {counted(len(each.runs), 'run')}: {each.reason}", file=sys.stderr)
        for name in each.told():
            print(f"    {name}", file=sys.stderr)
    if options.calibrate:
        if _calibrate(runs, Path(options.out), costs, found):
            return 130
        runs = [replace(run, estimate=costs.estimate(run.config)) for run in runs]
    plan.write(Path(options.plan), runs)
    for framework in architectures.FRAMEWORKS:
        asking = sum(run.config.framework == framework for run in runs)
        if asking and (package := architectures.lacking(framework)):
            # Not left out: the plan may be for another machine.
            print(
                f"note: runs in {framework}, {asking} here, need {package}, which is not installed:"
                f" pip install 'dermbench[{framework}]'",
                file=sys.stderr,
            )
    seconds, known = plan.total_seconds(runs)
    cost = "their cost is not known: no run like them is done (--calibrate does some)"
    if known:
        of = "" if known == len(runs) else f" for {known} of them, of the others nothing is known"
        cost = f"about {duration(seconds)}{of}, told from runs in {options.out}"
    print(f"{options.plan}: {counted(len(runs), 'run')}; {cost}")
    return 0


def _calibrate(runs: "list[PlannedRun]", out: "Path", costs: "Costs", gpus: Sequence[str]) -> bool:
    """Do what tells of these runs; whether it was stopped."""
    from benchmark.sweep import calibration

    missing = calibration.missing(runs, costs)
    if not missing:
        return False
    with calibration.begun(missing, out, costs, gpus) as scheduler:
        _heed(scheduler)
        scheduler.run()
    if scheduler.stopped:
        print("stopped; what was measured is kept: run the same command again to continue")
    return scheduler.stopped


def _heed(scheduler: "Scheduler") -> None:
    """Have Ctrl-C and SIGTERM stop it; where they are ignored, as in a script, it stays so."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: scheduler.stop())


def _run(options: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmark.running import trackers
    from benchmark.sweep.cost import Costs
    from benchmark.sweep.display import TerminalSweepDisplay
    from benchmark.sweep.ledger import Ledger
    from benchmark.sweep.local import gpus
    from benchmark.sweep.scheduler import Rules, Scheduler
    from benchmark.sweep.states import State

    trackers.ask(options.track)
    runs = _runs(options)
    if options.jobs is not None and options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: give at least 1")
    out = Path(options.out)
    with _engine(options, runs, out) as executor:
        scheduler = Scheduler(
            runs,
            Ledger(out),
            executor,
            TerminalSweepDisplay(runs),
            Rules(limit=options.time_limit),
            Costs.of_results(out, bool(gpus())),
        )
        _heed(scheduler)
        states = scheduler.run(options.overwrite)
    told = ", ".join(f"{states[state]} {state}" for state in State if states[state])
    print(f"{options.plan}: {told} of {counted(len(runs), 'run')}")
    if scheduler.stopped:
        print("stopped; what was trained is kept: run the same command again to continue")
        return 130
    return 1 if states[State.FAILED] or states[State.TIMED_OUT] else 0


@contextmanager
def _engine(
    options: argparse.Namespace, runs: "list[PlannedRun]", out: "Path"
) -> Iterator["Executor"]:
    """What starts the runs: this machine, or a cluster."""
    if options.ray is not None:
        from benchmark.sweep.ray_executor import opened

        with opened(options.ray, out, runs, options.jobs) as executor:
            yield executor
        return
    from benchmark.sweep.local import LocalExecutor, gpus

    found = gpus()
    jobs = options.jobs if options.jobs is not None else max(len(found), 1)
    yield LocalExecutor(out, jobs, found)


def _status(options: argparse.Namespace) -> None:
    from pathlib import Path

    from benchmark.sweep import plan, status
    from benchmark.sweep.cost import Costs
    from benchmark.sweep.ledger import Ledger
    from benchmark.sweep.local import gpus

    out = Path(options.out)
    runs, ledger = plan.read(Path(options.plan)), Ledger(out)
    costs = Costs.of_results(out, bool(gpus()))
    for line in status.told(status.standing(runs, ledger, costs), ledger):
        print(line)


def _runs(options: argparse.Namespace) -> "list[PlannedRun]":
    from pathlib import Path

    from benchmark.sweep import plan

    runs = plan.read(Path(options.plan))
    return plan.shard(runs, *options.shard) if options.shard else runs


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _numbers(text: str) -> list[int]:
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r}: write 0-4, or 0,3,7-9")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f"{text!r}: {part} is empty, write {last}-{first}")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r}: write 1/4 to 4/4")
    return int(match[1]), int(match[2])


def _cpus(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number such as 4")
    return int(text)


def _gpus(text: str) -> float:
    if not re.fullmatch(r"[01]|0?\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write 1, 0 or a part of one such as 0.5")
    return float(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: write 90m, 3h or 30s")
    return float(match[1]) * _UNITS[match[2]]
