"""Our times beside our peers', measured in turns on one machine: the command `speed`."""
