"""Words of what is printed, for every room; it needs none of them."""


def counted(count: object, noun: str) -> str:
    """Such as "1 epoch" or "9 epochs"."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"
