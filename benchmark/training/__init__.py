"""Training: what a framework must offer (`engine`), one engine each, and the loop they share."""
