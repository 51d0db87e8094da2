"""How things are put into words, for whatever is printed or written."""

import unicodedata


def counted(count: object, one: str, several: str = "") -> str:
    """Such as "1 epoch" or "9 epochs"; a number from a thousand on comes as text, "1,200".

    `several` is said where it is not `one` with an "s", as in "1 image has", "2 images have".
    """
    return f"{count} {one}" if str(count) == "1" else f"{count} {several or one + 's'}"


def out_option(results: object) -> str:
    """What a command that is told needs to find this results folder, with a space before it."""
    return "" if str(results) == "results" else f" --out {results}"


def plain(name: str) -> str:
    """Text from a record on one line, without control characters."""
    return "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in name)
