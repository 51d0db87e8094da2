"""The commands `submit` and `verify`."""

import argparse

from benchmark.cli.data import command
from benchmark.errors import UserError


def add_submit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `submit`."""
    parser = command(
        commands,
        "submit",
        "make a bundle of predictions that were made anywhere",
        "submit --template > manifest.toml\n"
        "  python -m benchmark submit predictions.csv --manifest manifest.toml --like r0123 \\\n"
        "      --out bundle.zip\n"
        "  python -m benchmark submit DR=dr.parquet DME=dme.parquet --manifest manifest.toml \\\n"
        "      --like r4567 --out bundle.zip\n"
        "  python -m benchmark submit predictions.csv --maps maps.npz --manifest manifest.toml \\\n"
        "      --like r89ab --out bundle.zip",
    )
    parser.add_argument(
        "predictions",
        nargs="*",
        metavar="[TRIAL=]FILE",
        help="CSV or Parquet with the columns id and the classes in order, or npz with the arrays"
        " ids, classes and probabilities; a file for each trial",
    )
    parser.add_argument(
        "--maps",
        action="append",
        default=[],
        metavar="[TRIAL=]FILE.npz",
        help="task explainability: arrays ids (N,) and maps (N, h, w), a map of the true class for"
        " each test image, float16 or float32 from 0 to 1, at the size it was made",
    )
    parser.add_argument("--manifest", metavar="FILE.toml", help="who made them and how")
    parser.add_argument(
        "--like",
        metavar="RUN",
        help="a run that answers the same question; the first digits of its id will do, see"
        " `list records`",
    )
    parser.add_argument("--out", metavar="BUNDLE.zip", help="the bundle to write")
    parser.add_argument(
        "--results", default="results", help="folder with that run's record (default: %(default)s)"
    )
    parser.add_argument(
        "--template", action="store_true", help="print a manifest to fill in, and do nothing else"
    )
    parser.set_defaults(command=_submit)


def add_verify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `verify`."""
    parser = command(
        commands,
        "verify",
        "check a bundle and score its predictions; exit status 1 when it is rejected",
        "verify bundle.zip --results results --report report.md\n"
        "  python -m benchmark verify bundle.zip --data-dir /data/dermxdb --keep",
    )
    parser.add_argument("bundle", metavar="BUNDLE.zip", help="made by `submit`")
    parser.add_argument(
        "--results", default="results", help="our records and splits (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir",
        help="where the data set lies: maps are scored against its masks; a folder below"
        " $DERMBENCH_DATA will do",
    )
    parser.add_argument("--report", metavar="FILE.md", help="write the report there as well")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="store an accepted one in RESULTS/v1/submissions, as a row of the board",
    )
    parser.set_defaults(command=_verify)


def _submit(options: argparse.Namespace) -> None:
    from benchmark.submissions.manifest import TEMPLATE

    if options.template:
        print(TEMPLATE, end="")
        return
    if not options.predictions:
        raise UserError("no predictions: name their file, such as predictions.csv")
    for flag, told in (
        ("manifest", "FILE.toml; `python -m benchmark submit --template` prints one to fill in"),
        ("like", "RUN; `python -m benchmark list records` shows what there is"),
        ("out", "BUNDLE.zip"),
    ):
        if getattr(options, flag) is None:
            raise UserError(f"say --{flag} {told}")
    from benchmark.submissions.make import make

    made = make(
        options.predictions,
        options.manifest,
        options.like,
        options.out,
        options.results,
        options.maps,
    )
    asked = made.manifest.question
    told = f"task {asked.task} version {asked.version} on {asked.dataset}"
    print(f"{made.manifest.about.method}: {told}")
    for trial, images in made.images.items():
        sound = "probabilities and maps sound" if options.maps else "probabilities sound"
        print(f"  trial {trial}: {images:,} test images, each once, {sound}")
    print(f"\nbundle      {options.out}")
    print(f"check it    python -m benchmark verify {options.out} --results {options.results}")


def _verify(options: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmark.common.files import write_text
    from benchmark.submissions.limits import verify_limited

    answer = verify_limited(
        options.bundle, options.results, options.keep, data_dir=options.data_dir
    )
    print(answer.report, end="")
    if options.report:
        write_text(Path(options.report), answer.report)
    return 0 if answer.accepted else 1
