"""What a bundle says of itself: who made the predictions, by what, and which question they answer.

Authors write the first part as TOML; `submit` adds the question and writes both as JSON.
"""

import json
import re
import tomllib
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from benchmark.config import Option
from benchmark.records.authored import About, Name, Part, fault_told
from benchmark.submissions.faults import BundleError, shown

MANIFEST = "manifest.json"
MOST_BYTES = 1 << 16
MOST_TRIALS = 64
# A manifest needs four levels.
_MOST_DEPTH = 16
_SUFFIXES = "csv|parquet|npz"
_PREDICTIONS = rf"predictions-[1-9][0-9]?\.(?:{_SUFFIXES})"
_MAPS = r"maps-[1-9][0-9]?\.npz"
FILE_NAME = re.compile(f"{_PREDICTIONS}|{_MAPS}")
# A text that is not closed goes to the end, or each of its quotes would be tried anew.
_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class TrialAsked(Part):
    """One trial: the fingerprint of its split, its classes in order, and the files of its answers.

    `maps` is None where there are none.
    """

    name: Name
    split: _Digest
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    file: Annotated[str, Field(pattern=f"^{_PREDICTIONS}$")]
    maps: Annotated[str, Field(pattern=f"^{_MAPS}$")] | None = None

    @property
    def files(self) -> list[str]:
        """Every file of the trial."""
        return [self.file] if self.maps is None else [self.file, self.maps]


class Asked(Part):
    """The question that is answered, as a `rescoring.Question` has it.

    `seed` is None where the split is the same for every seed.
    """

    task: Name
    version: Name
    options: dict[str, Option]
    seed: int | None
    dataset: Name
    data: _Digest
    trials: Annotated[tuple[TrialAsked, ...], Field(min_length=1, max_length=MOST_TRIALS)]

    @model_validator(mode="after")
    def _each_once(self) -> "Asked":
        files = [file for trial in self.trials for file in trial.files]
        for field, each in (("name", [t.name for t in self.trials]), ("file", files)):
            if len(set(each)) < len(each):
                raise ValueError(f"two trials have one {field}")
        return self


class Manifest(Part):
    """The whole of manifest.json."""

    bundle_version: Literal[1] = 1
    about: About
    question: Asked

    def text(self) -> str:
        """As it is written: the same manifest gives the same bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def read_about(where: str, content: bytes) -> About:
    """The authors' part from their TOML file.

    Raises:
        BundleError: it is no TOML, or a field is missing, unknown or wrong.
    """
    return _read(where, content, tomllib.loads, About, TEMPLATE_HINT)


def read_manifest(where: str, content: bytes) -> Manifest:
    """The manifest of a bundle from its JSON.

    Raises:
        BundleError: it is no JSON, too large, too deep, or a field is missing, unknown or wrong.
    """
    return read_part(where, content, Manifest, TEMPLATE_HINT)


_Read = TypeVar("_Read", bound=BaseModel)


def read_part(
    where: str, content: bytes, kind: type[_Read], hint: str = "restore the file"
) -> _Read:
    """Fields of some kind from JSON that nobody vouches for; `hint` is what to do about a fault.

    Raises:
        BundleError: as `read_manifest`.
    """
    return _read(where, content, _json, kind, hint)


def _read(
    where: str, content: bytes, parse: Callable[[str], Any], kind: type[_Read], hint: str
) -> _Read:
    if len(content) > MOST_BYTES:
        raise BundleError(where, f"{len(content):,} bytes", f"{MOST_BYTES:,} are allowed, be brief")
    try:
        value = parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BundleError(where, "it is not UTF-8 text", "save it in UTF-8") from None
    except (ValueError, RecursionError) as error:
        # What the parsers say quotes the file.
        raise BundleError(where, f"it cannot be read ({shown(error)})", "mend it") from None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _fault(where, error, hint) from None


def _json(text: str) -> Any:
    depth = deepest = 0
    for character in _JSON_TEXT.sub("", text):
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    if deepest > _MOST_DEPTH:
        raise ValueError(f"{deepest} levels, {_MOST_DEPTH} are allowed")
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _fault(where: str, error: ValidationError, hint: str) -> BundleError:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    field = shown(field) if field else "the whole"
    if first["type"] == "missing":
        return BundleError(where, f"field {field} is missing", f"add it; {hint}")
    if first["type"] == "extra_forbidden":
        return BundleError(where, f"unknown field {field}", f"remove it; {hint}")
    return BundleError(where, f"field {field}: {fault_told(first['msg'])}", hint)


TEMPLATE_HINT = "`python -m benchmark submit --template` shows every field"

TEMPLATE = """\
# What a submission says of itself. Fill in every field; those that begin with # may be left out.

# The name that the row on the board shall have.
method = ""
# Free text, such as "ResNet50, 448 px, five folds" and "PyTorch 2.4".
architecture = ""
framework = ""
# Where it is described and where the code lies; "" where there is none.
paper = "https://..."
code = "https://..."
# What the network learned from, pre-training included ("ISIC 2018 Task 3, ImageNet weights").
training_data = ""
# Images or labels beyond the data set's own training part; "none" where there are none.
extra_data = "none"
# Under which these predictions may be published, such as "CC-BY-4.0".
licence = ""
# authors = ["A. Author", "B. Author"]
# contact = "a.author@example.org"
# How maps were made, where there are any, such as "Grad-CAM of the true class's logit".
# explainer = "..."
# parameters = 23_520_842
# seconds_per_image = 0.012
"""
