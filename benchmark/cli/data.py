"""What commands are made of, the options that name a data set, and the command `data ...`."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.common.wording import counted
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.data import Dataset

Value = str | int | float


def command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    example: str,
) -> argparse.ArgumentParser:
    """Add a command, with an example below its help."""
    return commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  python -m benchmark {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_data(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `data` and its actions."""
    parser = command(
        commands,
        "data",
        "make, check or count a data set, find leaks, write its card",
        "data stats --dataset dermxdb --data-dir /data/dermxdb",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, function, summary in (
        ("make", _data_make, "render the synthetic data set into a folder"),
        (
            "check",
            _data_check,
            "count, decode and compare every image and mask, and say what is to be mended",
        ),
        ("stats", _data_stats, "count images, classes, groups, metadata and masks"),
        ("leaks", _data_leaks, "name what the parts of a split share and must not"),
        ("card", _data_card, "write a Croissant card of it, with a table of its images"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        add_data_options(action)
        action.set_defaults(command=function)
        if name == "check":
            action.add_argument(
                "--photographs",
                metavar="FILE",
                help="write a CSV file: which photograph was found where, and which is missing",
            )
        if name == "card":
            action.add_argument(
                "--into", default=".", metavar="DIR", help="folder for both files (default: here)"
            )
        if name == "leaks":
            action.add_argument(
                "--split",
                metavar="FILE",
                help="CSV file with the columns id and part (train, validation, test), such as one"
                " of results/v1/splits; default: the data set's own, else what a run would draw",
            )


def add_data_options(parser: argparse.ArgumentParser, usual: str | None = "synthetic") -> None:
    """Add the options that name a data set; the usual one is None where the task decides."""
    told = usual or "the task's, see `describe TASK`"
    parser.add_argument("--dataset", default=usual, help=f"data set layout (default: {told})")
    add_data_place(parser)


def add_data_place(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a data set lies and how it is read."""
    parser.add_argument("--data-dir", help="where it lies; a folder below $DERMBENCH_DATA will do")
    parser.add_argument(
        "--data-option",
        action="append",
        default=[],
        type=option,
        metavar="NAME=VALUE",
        help="option of the layout, see `describe`; may be repeated",
    )


def option(text: str) -> tuple[str, Value]:
    """NAME=VALUE, the value as a number where it is one."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=VALUE")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def options_of(pairs: Sequence[tuple[str, Value]]) -> dict[str, Value]:
    """Options by name, as the rest of the command line spells them or with underscores.

    Raises:
        UserError: one is given twice.
    """
    found: dict[str, Value] = {}
    for name, value in ((name.replace("-", "_"), value) for name, value in pairs):
        if name in found:
            raise UserError(f"option {name} is given twice, {found[name]} and {value}: give one")
        found[name] = value
    return found


def chosen_dataset(options: argparse.Namespace) -> "Dataset":
    """The data set that the options name."""
    from benchmark.data import load

    return load(options.dataset, options.data_dir, **options_of(options.data_option))


def _data_make(options: argparse.Namespace) -> None:
    if options.dataset != "synthetic":
        raise UserError("only the synthetic data set can be made: --dataset synthetic")
    if options.data_dir is None:
        raise UserError("say where to: --data-dir DIR")
    from pathlib import Path

    Path(options.data_dir).mkdir(parents=True, exist_ok=True)
    dataset = chosen_dataset(options)
    told = f"{counted(len(dataset.table), 'photograph')}, {counted(len(dataset.masks), 'mask')}"
    print(f"{told} in {dataset.root}")


def _data_check(options: argparse.Namespace) -> None:
    from benchmark.common.progress import TerminalDisplay
    from benchmark.data.check import check
    from benchmark.data.summary import photographs, tell_photographs
    from benchmark.show import facts_table, facts_text

    dataset = chosen_dataset(options)
    # Missing photographs are no fault of the masks: they are told, and the check goes on.
    for line in tell_photographs(dataset):
        print(line)
    if options.photographs:
        from pathlib import Path

        from benchmark.common.files import write_text

        write_text(Path(options.photographs), photographs(dataset).to_csv())
        print(f"all names: {options.photographs}")
    found = check(dataset, TerminalDisplay().track)
    print(f"\n{facts_text(facts_table(dataset.name, found.facts))}\n")
    for remark in found.remarks:
        print(f"note: {remark}")
    for problem in found.problems:
        print(f"mend: {problem}")
    if found.problems:
        raise UserError(f"{counted(len(found.problems), 'problem')} in {dataset.root}")
    print(f"{dataset.root} is sound")


def _data_stats(options: argparse.Namespace) -> None:
    from benchmark.data.summary import summarise
    from benchmark.show import text_table

    for title, table in summarise(chosen_dataset(options)).items():
        print(f"{title}\n\n{text_table(table)}\n")


def _data_card(options: argparse.Namespace) -> None:
    from benchmark.data.card import write

    for path in write(chosen_dataset(options), options.into):
        print(path)


# Rows that `data leaks` prints; what it says below them counts all.
_MOST_LEAKS = 20


def _data_leaks(options: argparse.Namespace) -> None:
    from pathlib import Path

    from benchmark.common.progress import TerminalDisplay
    from benchmark.data.leaks import fixed_parts, leaks_command, read_parts
    from benchmark.running.guards import Guards
    from benchmark.show import text_table

    dataset, display = chosen_dataset(options), TerminalDisplay()
    whose, parts = "the data set's own split", fixed_parts(dataset)
    if options.split is not None:
        whose, parts = options.split, read_parts(Path(options.split), dataset)
    elif parts is None:
        whose = "the split that a run would draw"
        parts = Guards.of_run(Path(), False, display).drawn(dataset)
    print(f"{whose}\n")
    found, told = leaks_command(dataset, parts, display.track)
    if len(found):
        print(f"{text_table(found.head(_MOST_LEAKS))}\n")
    print(told)
    if len(found):
        raise UserError(
            f"{counted(f'{len(found):,}', 'leak')}: runs on this split are refused without"
            " --allow-leaks"
        )
