import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bundles_made


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Results with one run of diagnosis, and its record. To be read only."""
    results = tmp_path_factory.mktemp("results")
    return results, bundles_made.answered_made.run(results, "diagnosis")


@pytest.fixture
def bundle(made, tmp_path):
    """A sound bundle for them, of other predictions."""
    results, record = made
    return bundles_made.bundle(tmp_path, *made, bundles_made.tables(results, record, noise=0.5))
