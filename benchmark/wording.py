"""How things are put into words, for whatever is printed or written."""

import unicodedata


def counted(count: object, noun: str) -> str:
    """Such as "1 epoch" or "9 epochs"; a number from a thousand on comes as text, "1,200"."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def plain(name: str) -> str:
    """Text from a record on one line, without control characters."""
    return "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in name)
