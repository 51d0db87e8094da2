"""The card of a network that a run left: Markdown, with the header that model hubs read.

After Mitchell et al., "Model cards for model reporting" (arXiv 1810.03993). Everything in it is the
record's.
"""

from collections.abc import Iterator

from benchmark.common.wording import plain
from benchmark.errors import UserError
from benchmark.leaderboard.site.reproduce import reproduction
from benchmark.records.record import Record
from benchmark.registry import DATASETS, METHODS
from benchmark.show import metrics_table

_USE = (
    "For research on methods and their comparison. Not a medical device: it has been evaluated on"
    " one data set, and on no patient. Nobody's treatment may rest on it."
)
_STARTS = {"none": "random weights", "imagenet": "ImageNet weights", "timm": "timm's weights"}


def model_card(record: Record) -> str:
    """The card of a run's network.

    Raises:
        UserError: the record is of a submission, whose network is not known.
    """
    if record.submission is not None:
        raise UserError(
            f"{record.run_id} is a submission: what its network is, its authors know; `describe`"
            " has what they say"
        )
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Record) -> Iterator[str]:
    config = record.config
    name = f"{config['arch']}, {config['method']}, {record.data.name}"
    tags = ("dermatology", "image-classification", record.task)
    yield from ("---", "pipeline_tag: image-classification", "tags:")
    yield from (f"- {tag}" for tag in tags)
    yield from ("---", "", f"# {_text(name)}", "", f"Run {record.run_id} of DermBench", "")
    yield from ("## Use", "", _USE, "")
    yield from ("## Network", "", *_facts(_network(record)), "")
    yield from ("## Data", "", *_facts(_data(record)), "")
    yield from ("## Training", "", *_facts(_training(record)), "")
    yield from ("## Scores", "")
    yield "Of test images, which nothing was chosen by; 95 % intervals over lesions or patients, of"
    yield from ("this seed alone.", "")
    table = metrics_table(record)
    yield f"| metric | {' | '.join(table.columns)} |"
    yield "|---" * (1 + table.shape[1]) + "|"
    for metric, row in table.iterrows():
        yield f"| {metric} | {' | '.join(_text(str(cell)) for cell in row)} |"
    yield from ("", "## Limits", "")
    yield from (f"- {_text(each)}" for each in (*record.leaks, *record.notes, *record.data.notes))
    yield "- One seed, one data set: another seed, camera or population gives other scores."
    yield "- Groups of skin tone, age or sex are scored only where the data name them."
    yield from ("", "## Repeat it", "")
    told = reproduction(record)
    yield from (f"    {told.command}", "") if told.command else ()
    yield told.about


def _network(record: Record) -> dict[str, object]:
    config = record.config
    start = _STARTS.get(record.weights.kind, "a file of weights")
    return {
        "architecture": config["arch"],
        "framework": config["framework"],
        "parameters": f"{record.parameters:,}" if record.parameters else "not known",
        "input": f"{config['image_size']} px (height, width), RGB of 0..255; preprocessing inside",
        "output": f"a logit for each of {', '.join(record.data.classes)}",
        "started from": ", then ".join(filter(None, [start, record.weights.name])),
    }


def _data(record: Record) -> dict[str, object]:
    layout = DATASETS.get(record.data.name)
    of_trials = ", ".join(
        f"{trial.n_train:,} / {trial.n_validation:,} / {trial.n_test:,}" for trial in record.trials
    )
    return {
        "data set": f"{record.data.name} (fingerprint {record.data.fingerprint[:16]})",
        "source": layout.source,
        "licence": layout.licence,
        "before it": ", ".join(each.name for each in record.pretraining) or "nothing",
        "training / validation / test images": of_trials,
        "divided": "by lesion or patient, where the data name them",
    }


def _training(record: Record) -> dict[str, object]:
    recipe = record.config["recipe"]
    assert isinstance(recipe, dict)
    method = METHODS.get(str(record.config["method"]))
    return {
        "method": f"{method.name}: {method.summary}",
        "source": method.paper,
        **{name: recipe[name] for name in ("epochs", "batch_size", "optimiser", "learning_rate")},
        "seed": record.config["seed"],
        "stages": ", ".join(
            f"{stage.stage} (epoch {stage.best_epoch} of {stage.epochs}, by {stage.selected_by})"
            for trial in record.trials
            for stage in trial.stages
        )
        or "none",
    }


def _facts(facts: dict[str, object]) -> Iterator[str]:
    for name, value in facts.items():
        yield f"- {name.replace('_', ' ')}: {_text(str(value))}"


def _text(text: str) -> str:
    """On one line; what a record holds is no markup."""
    return plain(text).replace("|", "\\|").replace("<", "&lt;")
