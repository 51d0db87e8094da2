"""What every test shares: the framework of this process, a cache of its own, the real data."""

import argparse
import importlib
import os
import sys
import zlib
from pathlib import Path

import pytest

# What test files of several folders share; not this folder itself, whose `architectures` and
# `tasks` would hide the suite's.
sys.path.insert(0, str(Path(__file__).parent / "shared"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--framework",
        choices=("torch", "keras"),
        default="torch",
        help="the framework of this process: TensorFlow and torchvision cannot share one",
    )
    parser.addoption(
        "--parity-table",
        type=Path,
        metavar="PAGE.md",
        help="write the errors between the frameworks there, if all were measured and all is well",
    )
    parser.addoption(
        "--part",
        default="1/1",
        type=_part,
        metavar="I/N",
        help="of the tests chosen otherwise the I-th of N parts, divided by their names",
    )


def _part(text: str) -> tuple[int, int]:
    own, _, parts = text.partition("/")
    if not (own.isdecimal() and parts.isdecimal() and 1 <= int(own) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r}: write I/N, such as 1/4")
    return int(own), int(parts)


def pytest_configure(config: pytest.Config) -> None:
    backend = {"torch": "torch", "keras": "tensorflow"}[config.getoption("--framework")]
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of `--part`."""
    own, parts = config.getoption("--part")
    kept, others = [], []
    for item in items:
        (kept if zlib.crc32(item.nodeid.encode()) % parts == own - 1 else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A part in which there happens to be no test has failed nothing."""
    if (
        session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        and session.config.getoption("--part")[1] > 1
    ):
        session.exitstatus = pytest.ExitCode.OK


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The errors between the frameworks, at the end of a run that measured some."""
    # Here, because a controller of pytest-xdist collects no tests and so loads no other conftest.
    sys.path.insert(0, str(Path(__file__).parent / "architectures"))
    parity_table = importlib.import_module("parity_table")
    stats = terminalreporter.stats
    measured = parity_table.collected(stats.get("passed", []) + stats.get("failed", []))
    if measured:
        terminalreporter.section("largest relative errors, Keras against PyTorch")
        for table in filter(None, parity_table.tables(measured)):
            terminalreporter.write_line(f"{table}\n")
    page = config.getoption("--parity-table")
    if page and parity_table.whole(measured) and not stats.get("failed") and not stats.get("error"):
        parity_table.write(page, measured)
    elif page:
        terminalreporter.write_line(f"{page} is left alone: not everything was measured and passed")


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
