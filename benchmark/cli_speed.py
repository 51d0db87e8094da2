"""The command `speed`."""

import argparse
from pathlib import Path

from benchmark.cli_data import command
from benchmark.errors import UserError
from benchmark.speed.works import GROUPS, ROUNDS


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
        default=list(GROUPS),
        metavar="NAME",
        help=f"what to measure (default: all): {', '.join(GROUPS)}",
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
    from benchmark.progress import TerminalDisplay
    from benchmark.show import text_table
    from benchmark.speed import measured, pairing, report, works

    if options.rounds < 1:
        raise UserError(f"--rounds {options.rounds}: at least one round is needed")
    out, display = Path(options.out), TerminalDisplay()
    faults = 0
    for work in works.chosen(options.what):
        try:
            sides = pairing.measure(work, options.rounds, display.track)
        except UserError as error:
            faults += 1
            display.say(f"error: {error}")
            continue
        made = measured.Circumstances.now(_command(options))
        found = measured.Measured(work=work.name, made=made, rounds=options.rounds, sides=sides)
        measured.save(out, found)
        for side in sides:
            if side.fault:
                display.say(f"{work.title}: {side.side} {side.fault}")
        table = report.rows(work, found)
        if len(table):
            print(f"{work.title}\n\n{text_table(table.drop(columns='work'))}\n", flush=True)
    for path in report.write(out):
        print(path)
    return 1 if faults else 0


def _command(options: argparse.Namespace) -> str:
    """As it was typed, but for the folder."""
    what = "" if options.what == list(GROUPS) else f" --what {' '.join(options.what)}"
    rounds = "" if options.rounds == ROUNDS else f" --rounds {options.rounds}"
    return f"python -m benchmark speed{what}{rounds}"
