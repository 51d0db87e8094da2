"""The command `run`, and the options of a run that a grid has as well."""

import argparse
from typing import Any

from benchmark.cli.data import add_data_options, command, option, options_of

# Flags that are a task's own.
_OF_TASKS = ("imbalance", "positive", "label_fractions", "unlabelled", "grades")


def add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `run`."""
    parser = command(
        commands,
        "run",
        "train one network, score it, leave a record",
        "run --arch Xception --task explainability",
    )
    parser.add_argument(
        "--arch",
        required=True,
        help="architecture, see `list architectures`; or timm:NAME or keras:NAME, any classifier of"
        " these libraries",
    )
    parser.add_argument("--task", required=True, help="task; see `list tasks`")
    parser.add_argument("--method", default="cross-entropy", help="default: %(default)s")
    parser.add_argument("--framework", default="torch", help="torch (default) or keras")
    add_data_options(parser, usual=None)
    add_settings(parser)
    add_track(parser)
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--out", default="results", help="results folder (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="run again although it is done")
    parser.set_defaults(
        command=_run,
        interrupted="stopped; what was trained is kept: run the same command again to continue",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what is asked of a run besides network, framework, task, method, data and seed."""
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
    parser.add_argument(
        "--method-option",
        action="append",
        default=[],
        type=option,
        metavar="NAME=VALUE",
        help="setting of the method, see `describe`; may be repeated",
    )
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
        "--weights",
        default="none",
        help="none (default), imagenet, timm, a weight file, or run:ID, run:TASK, run:TASK/DATASET:"
        " the network that an earlier run left, whose data then count as pre-training",
    )
    parser.add_argument(
        "--cam-layer",
        default="",
        metavar="NAME",
        help="of --arch timm:NAME or keras:NAME: the layer that Grad-CAM explains (default: the"
        " last map that the library names)",
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
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")


def add_track(parser: argparse.ArgumentParser) -> None:
    """Add the option of those that train."""
    parser.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="NAME",
        help="tensorboard or mlflow: show them the epochs and the scores as well; may be repeated",
    )


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_settings` and the options of the data ask, as arguments of `configure`."""
    same = (
        *("data_dir", "allow_leaks", "pretrain_on", "weights", "explainer", "temperature_scaling"),
        *("cam_layer", "image_size", "budget", "epochs", "device"),
    )
    return {
        **{name: getattr(options, name) for name in same},
        "dataset_options": options_of(options.data_option),
        "task_options": {
            name: getattr(options, name) for name in _OF_TASKS if getattr(options, name) is not None
        },
        "method_options": options_of(options.method_option),
    }


def _run(options: argparse.Namespace) -> None:
    from benchmark.common.progress import TerminalDisplay
    from benchmark.records.folder import RunFolder
    from benchmark.run import run
    from benchmark.running import trackers
    from benchmark.show import baselines_table, headline, metrics_table, text_table

    trackers.ask(options.track)
    record = run(
        options.arch,
        options.task,
        out=options.out,
        overwrite=options.overwrite,
        display=TerminalDisplay(),
        method=options.method,
        framework=options.framework,
        dataset=options.dataset,
        seed=options.seed,
        **settings_of(options),
    )
    folder = RunFolder.of_record(options.out, record)
    print(f"\n{headline(record)}\n")
    print(text_table(metrics_table(record)))
    if record.baselines:
        print(f"\n{text_table(baselines_table(record))}")
    for note in record.notes:
        print(f"\nnote: {note}")
    print(f"\nrun folder  {folder.path}")
    for table in folder.tables():
        print(f"table       {table}")
    pages, drawn = folder.pages(), folder.drawings()
    for page in pages:
        print(f"page        {page}")
    # A page shows the pictures beside it.
    for picture in [] if pages else drawn:
        print(f"picture     {picture}")


def _size(text: str) -> tuple[int, int]:
    height, cross, width = text.lower().partition("x")
    try:
        return int(height), int(width if cross else height)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write 128 or 400x300 (height x width)"
        ) from None
