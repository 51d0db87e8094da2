"""Text that people elsewhere write into files of ours: what it may hold, and who says what in it.

It is one line each, without control characters or turned text; a link is a web address. It still
may hold markup: whoever shows it escapes it.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Of URLs: nothing that ends a link or a cell in Markdown or HTML, no name and password.
_URL = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:[/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]*)?"
)
# They turn the direction of writing, so that a text reads otherwise than it is.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _one_line(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNS:
            raise ValueError(f"U+{ord(character):04X} is no part of a line of plain text")
    if not text.strip():
        raise ValueError("it should not be empty")
    return text


def _link(text: str) -> str:
    if text and not _URL.fullmatch(text):
        raise ValueError('it should be an address that begins with https:// or http://, or ""')
    return text


Name = Annotated[str, Field(max_length=100), AfterValidator(_one_line)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]
Link = Annotated[str, Field(max_length=500), AfterValidator(_link)]


class Part(BaseModel):
    """Fields from outside: none is unknown, no number is NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class About(Part):
    """What the authors say of their predictions. `submit --template` explains each field."""

    method: Name
    authors: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    architecture: Name
    framework: Name
    paper: Link
    code: Link
    training_data: Text
    extra_data: Text
    licence: Name
    contact: Name | None = None
    explainer: Name | None = None
    parameters: Annotated[int, Field(gt=0, lt=10**15)] | None = None
    seconds_per_image: Annotated[float, Field(gt=0)] | None = None

    @property
    def more_data(self) -> bool:
        """Whether images or labels beyond the training part are told of: all but "none"."""
        return self.extra_data.strip().rstrip(".").casefold() != "none"


def fault_told(message: str) -> str:
    """What pydantic says of a fault, as the second half of a sentence of ours."""
    return message.removeprefix("Value error, ").replace("Input should", "it should")
