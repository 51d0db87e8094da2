"""How fast we are: our times beside our peers', and how cost grows with size."""
