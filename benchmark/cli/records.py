"""Commands about records that are there: `compare`, `repeat`, `rescore` and `contest`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from benchmark.cli.data import command
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.data import Dataset
    from benchmark.records.record import Record


def add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `compare`."""
    parser = command(
        commands,
        "compare",
        "two runs, rows of seeds or submissions, on the same test images, with a test",
        "compare r1f2e3d4c5b6,r2a3b4c5d6e7 r3c4d5e6f7a8 --data-dir /data/isic2018",
    )
    for name, which in (("first", "one side"), ("second", "the other side")):
        parser.add_argument(
            name,
            metavar="RUN[,RUN,...]",
            help=f"{which}: the beginning of the id of a run or a submission; several seeds of one"
            " row, separated by commas; see `list records`",
        )
    parser.add_argument(
        "--data-dir",
        help="where the data set lies, to show the images that decide; a folder below"
        " $DERMBENCH_DATA will do",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_compare)


def add_rescore(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `rescore`."""
    parser = command(
        commands,
        "rescore",
        "compute the metrics of records anew from their predictions, and say what moved",
        "rescore --dry-run",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="the beginning of a run id (default: every record)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would move, change nothing; exit status 1 when something would",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_rescore)


def add_repeat(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `repeat`."""
    parser = command(
        commands,
        "repeat",
        "run the settings of a record again; fails where the score that ranks leaves the record's"
        " interval",
        "repeat r0123abcd --data-dir /data/isic2018",
    )
    parser.add_argument("run", metavar="RUN", help="the beginning of a run id")
    parser.add_argument(
        "--data-dir",
        help="where the data set lies (default: the record's name for it, below $DERMBENCH_DATA)",
    )
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.add_argument(
        "--overwrite", action="store_true", help="even if it was repeated here before"
    )
    parser.set_defaults(command=_repeat)


def add_card(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `card`."""
    parser = command(
        commands,
        "card",
        "print the model card of a run's network, from its record",
        "card r0123abcd > README.md",
    )
    parser.add_argument("run", metavar="RUN", help="id, or its beginning")
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_card)


def _card(options: argparse.Namespace) -> None:
    from benchmark.show.model_card import model_card
    from benchmark.submissions.board import find

    print(model_card(find(options.out, options.run)), end="")


def add_contest(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `contest`."""
    parser = command(
        commands,
        "contest",
        "note a documented doubt at a row of the board, which keeps its rank, or withdraw it",
        'contest r0123abcd --why "trained on the test images" --by "A. Reader" \\\n'
        "      --link https://example.org/issue/1\n"
        '  python -m benchmark contest r0123abcd --withdraw --by "A. Reader"',
    )
    parser.add_argument(
        "record", metavar="RUN", help="the beginning of the id of a run or a submission"
    )
    parser.add_argument("--why", help="what is contested, in a line")
    parser.add_argument("--by", help="who contests it")
    parser.add_argument("--link", default="", help="where more is said")
    parser.add_argument(
        "--date", type=_date, metavar="YYYY-MM-DD", help="of the note (default: today, UTC)"
    )
    parser.add_argument("--withdraw", action="store_true", help="remove the note on RUN")
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.set_defaults(command=_contest)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write 2026-11-22") from None


def _contest(options: argparse.Namespace) -> None:
    from benchmark.common.wording import out_option
    from benchmark.leaderboard.contested import note, withdraw
    from benchmark.submissions.board import find

    if options.withdraw:
        print(f"withdrawn   {withdraw(options.out, options.record, options.by)}")
        return
    for flag in ("why", "by"):
        if not getattr(options, flag):
            raise UserError(f"say --{flag}: a doubt is shown with its ground and its author")
    record = find(options.out, options.record)
    given = options.date or datetime.now(UTC).date()
    made = note(record.run_id, options.why, options.by, options.link, given)
    print(f"note        {made.write(options.out)}")
    print(f"show it     python -m benchmark leaderboard{out_option(options.out)}")


def _rescore(options: argparse.Namespace) -> int:
    from benchmark.common.progress import TerminalDisplay
    from benchmark.common.wording import counted
    from benchmark.records.folder import RunFolder
    from benchmark.records.store import Store
    from benchmark.rescoring import answered, rescored
    from benchmark.show import moved_table, text_table
    from benchmark.submissions.board import find

    store = Store(options.out)
    stored = store.all()
    records = [find(options.out, run) for run in options.runs] or stored.records
    for record in records:
        if record.submission is not None:
            raise UserError(
                f"submission {record.run_id} has no scores that could be rescored: they are"
                " computed from its predictions whenever they are shown, such as by `python -m"
                f" benchmark describe {record.run_id}`"
            )
    problems = [] if options.runs else list(stored.problems)
    if not records and not problems:
        raise UserError(f"no records in {options.out}: name their results folder with --out")
    changed = 0
    for record in TerminalDisplay().track(records, "rescoring", len(records)):
        try:
            found = rescored(answered(options.out, record))
        except UserError as error:
            problems.append(str(error))
            continue
        if found.moved.empty:
            continue
        changed += 1
        print(f"run {record.run_id}\n\n{text_table(moved_table(found.moved))}\n")
        if not options.dry_run:
            store.save(found.record)
            RunFolder.of_record(options.out, record).update(found.record)
    told = "would move" if options.dry_run else "moved"
    print(f"{counted(len(records), 'record')}, the metrics of {changed} {told}")
    for problem in problems:
        print(f"left as it is: {problem}", file=sys.stderr)
    return 1 if options.dry_run and changed else 0


def _repeat(options: argparse.Namespace) -> None:
    from benchmark.common.progress import TerminalDisplay
    from benchmark.common.wording import counted
    from benchmark.metrics.names import title
    from benchmark.repeat import repeat
    from benchmark.show import headline, repeated_table, text_table
    from benchmark.submissions.board import find

    record = find(options.out, options.run)
    print(f"{headline(record)}\n")
    found = repeat(options.out, record, options.data_dir, TerminalDisplay(), options.overwrite)
    shown = repeated_table(found.metrics)
    if found.identical:
        print(f"\n{counted(len(shown), 'score')} and every prediction are the same, bit for bit")
        return
    print(f"\n{text_table(shown)}\n")
    print(
        f"{found.agreeing:,} of {counted(found.images, 'test image')} have the same diagnosis;"
        f" probabilities differ by at most {found.probabilities:.2g}"
    )
    row = found.ranked_by
    told = f"{title(record.headline)} {row.after:.3f} is {{}} of the record's, {row.before:.3f}"
    if not found.within:
        raise UserError(f"{told.format('outside the 95 % interval')}: see the table above")
    print(told.format("in the 95 % interval"))


def _compare(options: argparse.Namespace) -> None:
    from pathlib import Path

    from benchmark.comparison import compare
    from benchmark.comparison.report import (
        folder_name,
        metrics_table,
        sentence,
        sides_table,
        write,
    )
    from benchmark.show import text_table
    from benchmark.submissions.board import find

    first, second = (
        [find(options.out, part) for part in side.split(",")]
        for side in (options.first, options.second)
    )
    photographs = _photographs((*first, *second), options.data_dir)
    found = compare(options.out, first, second)
    folder = Path(options.out) / "v1" / "comparisons" / folder_name(found)
    files = write(found, folder, photographs)
    print(f"{text_table(sides_table(found))}\n")
    print(text_table(metrics_table(found)))
    print(f"\n{sentence(found)}\n")
    for path in files:
        print(path)


def _photographs(records: "Sequence[Record]", data_dir: str | None) -> "Dataset | None":
    """The data set of some records with its images; None where nobody said where it lies.

    Raises:
        UserError: there is another data set, or no record of a run says how it was read.
    """
    from benchmark.records.original import original

    run = next((one for one in records if one.submission is None), None)
    if run is not None:
        return original(run, data_dir)
    if data_dir is None:
        return None
    raise UserError(
        "two submissions do not say how their data set is read: leave out --data-dir, or compare"
        " one of them with a run"
    )
