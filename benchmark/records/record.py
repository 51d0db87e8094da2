"""The record of a run: what was run, on what, what came out. One JSON file, schema_version 1."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.config import Option, RunConfig
from benchmark.errors import UserError
from benchmark.records.authored import About

SCHEMA_VERSION: Literal[1] = 1


# The kinds of weights that a submission may have, see `WeightsUsed`.
UNVERIFIED = ("unverified", "unverified-extra")
# The one baseline that is a network: it differs between architectures, frameworks and seeds.
UNTRAINED = "untrained network"


def text(value: object) -> str:
    """A setting as text, "-" where there is none."""
    return "-" if value is None else str(value)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metric(_Part):
    """One score with its 95 % bootstrap interval over groups.

    `value` is None when it is not defined on these data (`note` says why), never NaN. `n` counts
    the images that enter the value, `groups` the lesions or patients that were resampled.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    groups: int
    note: str = ""


class Baseline(_Part):
    """What something that is not the trained network scores on the same images, by its metrics.

    A floor does not look at the image or was never trained; a ceiling is what experts reach.
    """

    kind: Literal["floor", "ceiling"]
    metrics: dict[str, Metric]


class DiseaseUsed(_Part):
    """A graded disease: its grades in order, and the least that is referred, by number."""

    name: str
    grades: tuple[str, ...]
    referable: int


class DataUsed(_Part):
    """A data set as it was when the run read it."""

    name: str
    fingerprint: str = Field(description="SHA-256 of ids, labels, groups, splits and bytes")
    classes: tuple[str, ...]
    diseases: tuple[DiseaseUsed, ...] = ()
    notes: tuple[str, ...] = ()


class WeightsUsed(_Part):
    """The weights a run started with, before any training of its own.

    `kind` "none" was drawn from the seed; "imagenet" is the file of keras.applications, one for
    both frameworks; "timm" is timm's own network and pre-training; "file" is the user's. `name` is
    the file's, or timm's name of the pre-training, such as "resnet50.a1_in1k".

    Where an earlier run has learned since, `run` is its id, `kind` what that run started with, and
    `name` goes on with what it did.

    What a submission started from is not known: its kind is "unverified", or "unverified-extra"
    where the authors tell of data beyond the training part, and `name` is in their words.
    """

    kind: Literal["none", "imagenet", "timm", "file", "unverified", "unverified-extra"]
    name: str = ""
    sha256: str | None = Field(None, description="of the file")
    run: str | None = Field(None, description="the run whose network it is, of the same results")

    @property
    def identity(self) -> str:
        """What stands for them in the name of a run."""
        return self.run or self.sha256 or self.kind


class Epoch(_Part):
    """How far training has come after one epoch."""

    loss: float = Field(description="mean over the epoch's images")
    validation: float | None = Field(description="score of the validation images, where there are")


class TrainingSummary(_Part):
    """One stage of training, in a word."""

    stage: str
    epochs: int
    best_epoch: int
    selected_by: str
    selection_score: float | None
    images_per_second: float
    seconds: float
    chosen: str = Field("", description="what an adjustment without training chose")
    recipe: dict[str, object] = Field({}, description="the stage's own, where it is trained")
    micro_batches: int = Field(
        1, description="into how many each batch was divided, where memory did not suffice"
    )
    learning: tuple[Epoch, ...] = Field((), description="each epoch (not in older records)")


class TrialRecord(_Part):
    """One train/validation/test split of the run and what it scored."""

    name: str
    split_fingerprint: str = Field(
        description="SHA-256 of the ids of each part, whichever of the training images are labelled"
    )
    test_fingerprint: str = Field("", description="SHA-256 of the ids of the test part alone")
    labelled_fingerprint: str = Field(
        "", description="SHA-256 of the ids of the labelled training images; empty: all are"
    )
    n_train: int = Field(description="labelled training images")
    n_unlabelled: int = Field(0, description="training images without a label of this trial")
    n_validation: int
    n_test: int
    stages: tuple[TrainingSummary, ...]
    temperature: float | None = Field(
        None, description="fitted on the validation images, where the run asks for it"
    )
    metrics: dict[str, Metric]


class Submission(_Part):
    """Where predictions come from that no run of ours made.

    `options` and `seed` are those of the question that they answer, as in `rescoring.Question`;
    `flags` were raised when they were accepted.
    """

    about: About
    options: dict[str, Option]
    seed: int | None
    flags: tuple[str, ...] = ()


class Record(_Part):
    """Everything a table, a plot or a sceptic needs to know of one run.

    `metrics` are the run's own; most tasks have a single trial and repeat that trial's. `config` is
    the resolved `RunConfig`, paths by their last name: with it and the same data the run can be
    repeated.

    A record with a `submission` is of predictions that were made elsewhere. It is computed from
    them (`benchmark.submissions.board`) and never stored; what is not known of it is empty or None.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    benchmark_version: str
    run_id: str
    created: str = Field(description="UTC, ISO 8601")
    task: str
    task_version: str
    headline: str = Field(description="the metric that ranks")
    config: dict[str, object]
    data: DataUsed
    weights: WeightsUsed
    pretraining: tuple[DataUsed, ...] = ()
    seeds: dict[str, int] = Field(description="of the run, of the split and of the bootstrap")
    packages: dict[str, str]
    origins: dict[str, str] = Field(
        {}, description="of what others wrote: package to version, or file to its SHA-256"
    )
    hardware: dict[str, str | int | float | None]
    seconds: dict[str, float]
    peak_memory_bytes: dict[str, int] = Field(
        description="main: all in main memory, pages of mapped files too; anonymous: without those,"
        " from training on (not in older records); device: of the accelerator"
    )
    parameters: int | None
    trials: tuple[TrialRecord, ...]
    metrics: dict[str, Metric]
    baselines: dict[str, Baseline] = Field({}, description="by name, where the task has them")
    rescored_by: str = Field(
        "", description="the DermBench that last changed the metrics, where it did not run the run"
    )
    leaks: tuple[str, ...] = Field((), description="what the parts share, allowed by a flag")
    notes: tuple[str, ...] = ()
    submission: Submission | None = Field(None, exclude=True, description="in no file of a record")

    @property
    def settings(self) -> RunConfig:
        """`config` as this version reads it, folders and files by their last names.

        Raises:
            UserError: it is of another version of DermBench, or of a submission.
        """
        try:
            return RunConfig.model_validate(self.config)
        except ValidationError as error:
            raise UserError(
                f"run {self.run_id}: its settings are of another version of DermBench"
                f" ({self.benchmark_version}): use that one"
            ) from error
