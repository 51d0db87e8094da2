"""The command line: parse, call, print. Imports nothing heavy before a command needs it."""

import argparse
import os
import sys
from collections.abc import Sequence
from shutil import get_terminal_size

from benchmark import __version__, interrupt
from benchmark.cli_data import (
    add_data,
    add_data_options,
    chosen_dataset,
    command,
    option,
    options_of,
)
from benchmark.cli_records import add_compare, add_contest, add_rescore
from benchmark.cli_submit import add_submit, add_verify
from benchmark.errors import UserError

EXAMPLES = """\
examples:
  python -m benchmark run --arch Xception --task explainability
  python -m benchmark run --arch MobileNetV2 --task diagnosis \\
      --dataset isic2018 --data-dir /data/isic2018 --epochs 40 --image-size 96
  python -m benchmark leaderboard
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    options = _parser().parse_args(arguments)
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
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="DermBench: which network diagnoses best, and does it look where dermatologists"
        " look?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dermbench {__version__}")
    parser.set_defaults(interrupted="stopped")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_list(commands)
    _add_describe(commands)
    add_data(commands)
    _add_raters(commands)
    _add_leaderboard(commands)
    add_compare(commands)
    add_rescore(commands)
    add_contest(commands)
    add_submit(commands)
    add_verify(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(
        commands,
        "run",
        "train one network, score it, leave a record",
        "run --arch Xception --task explainability",
    )
    parser.add_argument("--arch", required=True, help="architecture; see `list architectures`")
    parser.add_argument("--task", required=True, help="task; see `list tasks`")
    parser.add_argument(
        "--imbalance", help="task imbalance: natural (default), or a long tail of ratio 10, 50, 100"
    )
    parser.add_argument(
        "--positive", metavar="CLASS", help="task imbalance: this class against the rest"
    )
    parser.add_argument(
        "--label-fractions",
        metavar="P,P,...",
        help="task semi-supervised: percent of the labels, one trial each (default:"
        " 1,5,10,20,50,100)",
    )
    parser.add_argument(
        "--unlabelled",
        metavar="DIR",
        help="task semi-supervised: a folder with further training images, without labels",
    )
    parser.add_argument(
        "--grades",
        metavar="one|all",
        help="task grading: the grades that a training image keeps (default: one)",
    )
    parser.add_argument("--method", default="cross-entropy", help="default: %(default)s")
    parser.add_argument(
        "--method-option",
        action="append",
        default=[],
        type=option,
        metavar="NAME=VALUE",
        help="setting of the method, see `describe`; may be repeated",
    )
    parser.add_argument("--framework", default="torch", help="torch (default) or keras")
    add_data_options(parser, usual=None)
    parser.add_argument(
        "--allow-leaks",
        action="store_true",
        help="run although train, validation and test share lesions or images; the record says so",
    )
    parser.add_argument(
        "--pretrain-on",
        action="append",
        default=[],
        metavar="NAME:DIR",
        help="train on this data set first; may be repeated",
    )
    parser.add_argument(
        "--weights", default="none", help="none (default), imagenet, timm or a weight file"
    )
    parser.add_argument(
        "--explainer", default="gradcam", help="default: %(default)s; see `list explainers`"
    )
    parser.add_argument(
        "--temperature-scaling",
        action="store_true",
        help="fit a temperature on the validation images; reliability is shown before and after,"
        " in a run of its own",
    )
    parser.add_argument("--image-size", type=_size, metavar="N|HxW", help="pixels; default: budget")
    parser.add_argument("--budget", default="quick", help="smoke, quick (default) or paper")
    parser.add_argument("--epochs", type=int, help="instead of the budget's")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="run again although it is done")
    parser.set_defaults(
        command=_run,
        interrupted="stopped; finished epochs are kept: run the same command again to continue",
    )


def _add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = command(commands, "list", "what there is to choose from", "list architectures")
    parser.add_argument(
        "kind",
        nargs="?",
        default="all",
        help="architectures, tasks, methods, datasets, explainers, records or all (default)",
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


def _size(text: str) -> tuple[int, int]:
    height, cross, width = text.lower().partition("x")
    try:
        return int(height), int(width if cross else height)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write 128 or 400x300 (height x width)"
        ) from None


def _run(options: argparse.Namespace) -> None:
    from benchmark.progress import TerminalDisplay
    from benchmark.records.folder import RunFolder
    from benchmark.run import run
    from benchmark.show import baselines_table, headline, metrics_table, text_table

    record = run(
        options.arch,
        options.task,
        out=options.out,
        overwrite=options.overwrite,
        display=TerminalDisplay(),
        method=options.method,
        framework=options.framework,
        dataset=options.dataset,
        data_dir=options.data_dir,
        dataset_options=options_of(options.data_option),
        task_options={
            name: getattr(options, name)
            for name in ("imbalance", "positive", "label_fractions", "unlabelled", "grades")
            if getattr(options, name) is not None
        },
        method_options=options_of(options.method_option),
        allow_leaks=options.allow_leaks,
        pretrain_on=options.pretrain_on,
        weights=options.weights,
        explainer=options.explainer,
        temperature_scaling=options.temperature_scaling,
        image_size=options.image_size,
        budget=options.budget,
        epochs=options.epochs,
        seed=options.seed,
        device=options.device,
    )
    folder = RunFolder.of_record(options.out, record)
    print(f"\n{headline(record)}\n")
    print(text_table(metrics_table(record)))
    if record.baselines:
        print(f"\n{text_table(baselines_table(record))}")
    print(f"\nrun folder  {folder.path}")
    for table in folder.tables():
        print(f"table       {table}")
    pages, drawn = folder.pages(), folder.drawings()
    for page in pages:
        print(f"page        {page}")
    # A page shows the pictures beside it.
    for picture in [] if pages else drawn:
        print(f"picture     {picture}")


def _list(options: argparse.Namespace) -> None:
    from benchmark.show import listing, text_table

    for title, table in listing(options.kind, options.out).items():
        print(f"{title}\n\n{text_table(table)}\n")
        if title == "records":
            from benchmark.show_records import unreadable_records

            _print_left_out(unreadable_records(options.out))


# Room that `describe` leaves for the names of the facts.
_LONGEST_FACT = 30


def _describe(options: argparse.Namespace) -> None:
    from benchmark.show import describe, text_table

    table = describe(options.name, options.out)
    print(text_table(table, wrap=max(get_terminal_size().columns - _LONGEST_FACT, 40)))


def _raters(options: argparse.Namespace) -> None:
    from pathlib import Path
    from textwrap import shorten

    from benchmark.progress import TerminalDisplay
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

    from benchmark.leaderboard import build
    from benchmark.progress import TerminalDisplay

    if options.check:
        return _check_leaderboard(options.out)
    built = build(Path(options.out), TerminalDisplay().track)
    _print_left_out(built.problems)
    for path in built.paths:
        print(path)
    return 0


def _check_leaderboard(out: str) -> int:
    from benchmark.leaderboard.check import check
    from benchmark.leaderboard.table import counted
    from benchmark.progress import TerminalDisplay

    checked = check(out, TerminalDisplay().track)
    _print_left_out(checked.problems)
    for line in (*checked.remarks, *checked.faults):
        print(line, file=sys.stderr)
    if not checked.faults:
        print("the leaderboard is what the records give")
        return 0
    remedy = "python -m benchmark leaderboard" + (f" --out {out}" if out != "results" else "")
    count = counted(len(checked.faults), "file")
    raise UserError(
        f"the leaderboard is not what the records give ({count}): run `{remedy}`, and commit what"
        " changes"
    )


def _print_left_out(problems: Sequence[str]) -> None:
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
