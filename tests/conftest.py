"""What every test shares: the framework of this process, a cache of its own, the real data."""

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--framework",
        choices=("torch", "keras"),
        default="torch",
        help="the framework of this process: TensorFlow and torchvision cannot share one",
    )


def pytest_configure(config: pytest.Config) -> None:
    backend = {"torch": "torch", "keras": "tensorflow"}[config.getoption("--framework")]
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def framework(request: pytest.FixtureRequest) -> str:
    """The framework of this process."""
    return request.config.getoption("--framework")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, so that synthetic data are rendered once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMBENCH_CACHE", str(shared_cache))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; the test is skipped where there is none."""
    folder = os.environ.get("DERMBENCH_DATA")
    if not folder:
        pytest.skip("DERMBENCH_DATA does not name a folder of real images")
    return Path(folder)
