"""The command `speed`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.data import command
from benchmark.errors import UserError
from benchmark.speed.works import COSTS, GROUPS, GROWTH, ROUNDS, chosen

if TYPE_CHECKING:
    from benchmark.common.progress import Display
    from benchmark.speed.growth import Curve
    from benchmark.speed.works import Work

_WHAT = (*GROUPS, GROWTH, COSTS)


def add_speed(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `speed`."""
    parser = command(
        commands,
        "speed",
        "our times beside our peers', on this machine, as ratios",
        "speed --what gradcam bootstrap",
    )
    parser.add_argument(
        "--what",
        nargs="+",
        default=list(_WHAT),
        metavar="NAME",
        help=f"what to measure (default: all): {', '.join(_WHAT)}; or one work or curve, as"
        " its file below v1/speed is called",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        metavar="N",
        help="how often each side does the work, after once to warm up (default: %(default)s)",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(
        command=_speed, interrupted="stopped: what was measured is kept, see v1/speed"
    )


def _speed(options: argparse.Namespace) -> int:
    from benchmark.common.progress import TerminalDisplay
    from benchmark.speed import report
    from benchmark.speed.growth import CURVES

    if options.rounds < 1:
        raise UserError(f"--rounds {options.rounds}: at least one round is needed")
    curves = [curve for curve in CURVES if {GROWTH, curve.name} & {*options.what}]
    others = {GROWTH, COSTS, *(curve.name for curve in curves)}
    works = chosen(name for name in options.what if name not in others)
    out, display = Path(options.out), TerminalDisplay()
    faults = _works(works, options, out, display)
    faults += _growth(curves, options, out, display)
    if COSTS in options.what:
        faults += _costs(options, out)
    for path in report.write(out):
        print(path)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _works(
    works: "list[Work]", options: argparse.Namespace, out: Path, display: "Display"
) -> list[str]:
    """Measure, keep and print works; what could not be compared."""
    import psutil

    from benchmark.show import text_table
    from benchmark.speed import pairing, report
    from benchmark.speed.measured import Circumstances, Measured, save

    faults = []
    for work in works:
        psutil.cpu_times_percent()  # the next call is about the time since this one
        try:
            sides = pairing.measure(work, options.rounds, display.track)
        except UserError as error:
            faults.append(str(error))
            continue
        found = Measured(
            work=work.name,
            made=Circumstances.now(_command(options)),
            rounds=options.rounds,
            stolen=getattr(psutil.cpu_times_percent(), "steal", None),
            sides=sides,
        )
        save(out, found)
        print(f"{work.title}\n")
        for side in sides:
            if side.fault:
                print(f"{side.side}: {side.fault}")
        table = report.rows(work, found)
        if len(table):
            print(text_table(table.drop(columns="work")))
        print(flush=True)
    return faults


def _growth(
    curves: "list[Curve]", options: argparse.Namespace, out: Path, display: "Display"
) -> list[str]:
    """Measure, keep and print curves; what could not be measured."""
    from tempfile import TemporaryDirectory

    from benchmark.show import text_table
    from benchmark.speed import growth, report
    from benchmark.speed.measured import Circumstances, Grown, save

    faults = []
    for curve in curves:
        try:
            with TemporaryDirectory(prefix="dermbench-speed-") as scratch:
                points = growth.measure(curve, Path(scratch), display.track)
        except UserError as error:
            faults.append(str(error))
            continue
        made = Circumstances.now(_command(options))
        found = Grown(curve=curve.name, made=made, points=tuple(points))
        save(out, found)
        print(f"{text_table(report.growth_rows(found))}\n", flush=True)
    return faults


def _costs(options: argparse.Namespace, out: Path) -> list[str]:
    """Estimate runs and do them, keep and print both; what went wrong."""
    from tempfile import TemporaryDirectory

    from benchmark.show import text_table
    from benchmark.speed import costs, report
    from benchmark.speed.measured import Circumstances, Priced, save

    try:
        with TemporaryDirectory(prefix="dermbench-speed-") as scratch:
            found = costs.measure(costs.plan(), Path(scratch))
    except UserError as error:
        return [str(error)]
    priced = Priced(made=Circumstances.now(_command(options)), runs=tuple(found))
    save(out, priced)
    print(f"{text_table(report.cost_rows(priced))}\n", flush=True)
    return []


def _command(options: argparse.Namespace) -> str:
    """As it was typed, but for the folder."""
    what = "" if options.what == list(_WHAT) else f" --what {' '.join(options.what)}"
    rounds = "" if options.rounds == ROUNDS else f" --rounds {options.rounds}"
    return f"python -m benchmark speed{what}{rounds}"
