"""Choosing a framework for this process."""

import subprocess
import sys

import pytest

from benchmark.data import load
from benchmark.errors import UserError
from benchmark.training import frameworks


@pytest.mark.parametrize(("framework", "package"), [("torch", "torch"), ("keras", "tensorflow")])
def test_a_framework_that_is_not_installed_is_named_with_the_command(
    framework, package, monkeypatch
):
    found = frameworks.find_spec
    monkeypatch.setattr(
        frameworks, "find_spec", lambda name: None if name == package else found(name)
    )
    with pytest.raises(UserError, match=rf"{package}.*pip install 'dermbench\[{framework}\]'"):
        frameworks.select_backend(framework)


def test_one_process_runs_one_framework():
    code = """
from benchmark.errors import UserError
from benchmark.training.frameworks import select_backend
select_backend("torch")
import keras
try:
    select_backend("keras")
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "one process runs one framework" in done.stdout


@pytest.mark.parametrize(("framework", "other"), [("torch", "tensorflow"), ("keras", "torch")])
def test_a_run_imports_nothing_of_the_other_framework(framework, other, tmp_path):
    # Rendered here, because a slow machine is told of it, on stderr.
    load("synthetic", images=72, size=64)
    code = f"""
import sys
from benchmark.run import run
run("MobileNetV2", "diagnosis", framework={framework!r}, budget="smoke", out={str(tmp_path)!r},
    dataset_options={{"images": 72, "size": 64}})
print({other!r} in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
    assert done.stderr == ""
