"""What each side does, one module for ours and one for each framework's peers; see `worker`."""
