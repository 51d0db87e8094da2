"""DermBench: one command per question about image diagnosis in dermatology and retina."""

__version__ = "0.1.0"
