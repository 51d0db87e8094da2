"""The command line: parse, call, print. Imports nothing heavy before a command needs it."""

import argparse
import os
import sys
from collections.abc import Sequence

from benchmark import __version__, plugins
from benchmark.cli.data import (
    add_data,
    add_data_options,
    chosen_dataset,
    command,
)
from benchmark.cli.records import add_card, add_compare, add_contest, add_repeat, add_rescore
from benchmark.cli.run import add_run
from benchmark.cli.speed import add_speed
from benchmark.cli.submit import add_submit, add_verify
from benchmark.cli.sweep import add_sweep
from benchmark.common import interrupt
from benchmark.errors import UserError, out_of_memory

EXAMPLES = """\
examples:
  python -m benchmark run --arch Xception --task explainability
  python -m benchmark run --arch MobileNetV2 --task diagnosis \\
      --dataset isic2018 --data-dir /data/isic2018 --epochs 40 --image-size 96
  python -m benchmark leaderboard
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    parser = make_parser()
    try:
        words = plugins.take(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options = parser.parse_args(words)
    interrupt.heed()
    try:
        # A command that answers a question has a status of its own.
        return options.command(options) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(options.interrupted, file=sys.stderr, flush=True)
        sys.stdout.flush()
        # Not by returning: threads that still read images would abort an orderly exit.
        os._exit(130)
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough.
        sys.stderr.close()
    except Exception as error:
        if not out_of_memory(error):
            raise
        from benchmark.records.attempts import reason_of

        print(f"error: {reason_of(error)}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="DermBench: which network diagnoses best, and does it look where dermatologists"
        " look?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dermbench {__version__}")
    # Taken out of the words before they are parsed, wherever it stands.
    parser.add_argument(
        plugins.FLAG,
        metavar="FILE.py",
        help="a file with methods, architectures, data sets, tasks or explainers of your own, see"
        " CONTRIBUTING.md and `new`; anywhere in the line, may be repeated",
    )
    parser.set_defaults(interrupted="stopped")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_run(commands)
    add_sweep(commands)
    _add_list(commands)
    _add_describe(commands)
    _add_new(commands)
    _add_audit(commands)
    add_data(commands)
    _add_raters(commands)
    _add_leaderboard(commands)
    add_compare(commands)
    add_repeat(commands)
    add_rescore(commands)
    add_contest(commands)
    add_card(commands)
    add_submit(commands)
    add_verify(commands)
    add_speed(commands)
    return parser


def _add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(commands, "list", "what there is to choose from", "list architectures")
    parser.add_argument(
        "kind",
        nargs="?",
        default="all",
        help="architectures, tasks, methods, datasets, explainers, records, or all but records"
        " (default)",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_list)


def _add_describe(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(commands, "describe", "one of them by name", "describe Xception")
    parser.add_argument(
        "name",
        help="an architecture, task, method, data set, explainer, or the id of a run or submission",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_describe)


def _add_new(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(
        commands, "new", "a file to begin with, and its test", "new method label-smoothing"
    )
    parser.add_argument("kind", choices=("method",))
    parser.add_argument("name", metavar="NAME", help="of the method, as it will be typed")
    parser.add_argument("--into", default=".", help="folder for the two files (default: here)")
    parser.set_defaults(command=_new)


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(
        commands,
        "audit",
        "train a method on a few made images, and see that it looks at nothing that it must not",
        "audit label-smoothing --plugin label_smoothing.py",
    )
    parser.add_argument("method", metavar="METHOD", help="its name")
    parser.add_argument("--framework", default="torch", help="torch (default) or keras")
    parser.set_defaults(command=_audit)


def _add_raters(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(
        commands,
        "raters",
        "how far annotators agree with each other, from the masks alone",
        "raters --dataset dermxdb --data-dir /data/dermxdb",
    )
    add_data_options(parser)
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_raters)


def _add_leaderboard(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(
        commands,
        "leaderboard",
        "records -> table, Markdown, plots, site",
        "leaderboard --out results",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail if leaderboard.md, table.csv, table.parquet, plots/ or site/ is"
        " not what the records give. Pictures are compared only where plots/drawn-with.txt names"
        " the libraries that are installed, pages of records only where their run folders are",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_leaderboard)


def _list(options: argparse.Namespace) -> None:
    from pathlib import Path

    from benchmark.common.wording import out_option
    from benchmark.listed import THINGS, text_of

    for title in THINGS:
        if options.kind in (title, "all"):
            print(f"{title}\n\n{text_of(title, _table_of)}\n")
    if options.kind == "all":
        given = out_option(options.out)
        # A name with a dot before it is of a file that is being written.
        records = sum(1 for _ in Path(options.out).glob("v1/records/[!.]*.json"))
        print(
            f"records\n\n{records} in {options.out}: see `python -m benchmark list records{given}`"
        )
    elif options.kind not in THINGS:
        _list_records(options.kind, options.out)


def _table_of(kind: str) -> str:
    # Only where it is not remembered: what there is takes long to import.
    from benchmark.show import text_table
    from benchmark.show.things import listing

    return text_table(listing(kind)[kind])


def _list_records(kind: str, out: str) -> None:
    from benchmark.show import text_table
    from benchmark.show.things import listing

    for title, table in listing(kind, out).items():
        print(f"{title}\n\n{text_table(table)}\n")
    from benchmark.show.records import unreadable_records

    _print_left_out(unreadable_records(out))


def _describe(options: argparse.Namespace) -> None:
    from benchmark.show import facts_text
    from benchmark.show.things import describe

    print(facts_text(describe(options.name, options.out)))


def _new(options: argparse.Namespace) -> None:
    from benchmark.new import method

    file, test = method(options.name, options.into)
    print(f"method      {file}")
    print(f"test        {test}")
    print(f"try it      python -m benchmark describe {options.name} --plugin {file}")
    print(f"check it    pytest {test}")
    print(f"            python -m benchmark audit {options.name} --plugin {file}")


def _audit(options: argparse.Namespace) -> None:
    from benchmark.audit import audit

    for rule in audit(options.method, options.framework):
        print(f"does not depend on {rule}")
    print(f"method {options.method} keeps to the rules, as far as they can be seen from outside")


def _raters(options: argparse.Namespace) -> None:
    from pathlib import Path
    from textwrap import shorten

    from benchmark.common.progress import TerminalDisplay
    from benchmark.raters import raters
    from benchmark.raters.report import headline, write
    from benchmark.registry import DATASETS
    from benchmark.show import text_table

    if "sessions" in (DATASETS.get(options.dataset).options or {}):
        # Repeated readings are half of what agreement means.
        asked = any(name == "sessions" for name, _ in options.data_option)
        options.data_option += [] if asked else [("sessions", "both")]
    dataset = chosen_dataset(options)
    agreement = raters(dataset, TerminalDisplay().track)
    name = f"{dataset.name}-{dataset.fingerprint[:12]}"
    files = write(agreement, Path(options.out) / "v1" / "raters" / name)
    print(f"{text_table(headline(agreement))}\n")
    for remark in agreement.remarks:
        print(shorten(f"note: {remark}", 240, placeholder=" ... (all in agreement.md)"))
    print()
    for path in files:
        print(path)


def _leaderboard(options: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmark.common.progress import TerminalDisplay
    from benchmark.leaderboard import build

    if options.check:
        return _check_leaderboard(options.out)
    built = build(Path(options.out), TerminalDisplay().track)
    _print_left_out(built.problems)
    for path in built.paths:
        print(path)
    return 0


def _check_leaderboard(out: str) -> int:
    from benchmark.common.progress import TerminalDisplay
    from benchmark.common.wording import counted, out_option
    from benchmark.leaderboard.check import check

    checked = check(out, TerminalDisplay().track)
    _print_left_out(checked.problems)
    for line in (*checked.remarks, *checked.faults):
        print(line, file=sys.stderr)
    if not checked.faults:
        print("the leaderboard is what the records give")
        return 0
    remedy = f"python -m benchmark leaderboard{out_option(out)}"
    count = counted(len(checked.faults), "file")
    raise UserError(
        f"the leaderboard is not what the records give ({count}): run `{remedy}`, and commit what"
        " changes"
    )


def _print_left_out(problems: Sequence[str]) -> None:
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
