"""Predictions made anywhere, for the board: bundled by `submit`, scored by us in `verify`."""
