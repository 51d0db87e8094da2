"""What is wrong with a bundle, in one sentence that can be shown anywhere."""

from benchmark.errors import DataError

_MOST_SHOWN = 80


class BundleError(DataError):
    """A bundle that cannot be accepted: where the fault is, what it is and what to do."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}: {remedy}")


def shown(value: object) -> str:
    """Something from a bundle within a sentence: short, in quotes, without control characters."""
    # The representation of text has an escape for whatever cannot be printed, line breaks and
    # signs that turn the direction of writing among them.
    text = str(value)
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}...")
