"""Published training methods, one file each, written once for both frameworks."""
