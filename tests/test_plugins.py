"""What others add in a file of theirs, and what they are told where it cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clinic import write_images

from benchmark import new, plugins
from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.leaderboard.site.reproduce import reproduction
from benchmark.leaderboard.table import build_table, varying_settings
from benchmark.registry import METHODS
from benchmark.repeat import repeat
from benchmark.run import run

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def fresh(monkeypatch):
    """Plugins of this test are gone after it."""
    modules = set(sys.modules)
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.setattr(METHODS, "_files", {})
    monkeypatch.setattr(METHODS, "_loaded", dict(METHODS._loaded))
    yield
    # What `load` sets is not `monkeypatch`'s to take back.
    os.environ.pop(plugins.VARIABLE, None)
    for name in set(sys.modules) - modules:
        if name.startswith("dermbench_plugin_"):
            del sys.modules[name]


def _refused(path, message):
    with pytest.raises(UserError, match=message):
        plugins.load([path])


METHOD = """
from benchmark.methods.base import Method

class Zoo(Method):
    name = "zoo"
    summary = "an animal each"
    paper = "none"

    def stages(self, context):
        yield from ()

DERMBENCH = {"methods": {"zoo": Zoo}}
"""


def test_a_method_of_a_file_is_listed_described_and_known_by_its_digest(fresh, tmp_path, capsys):
    file = tmp_path / "zoo.py"
    file.write_text(METHOD)
    assert main(["list", "methods", "--plugin", str(file)]) == 0
    assert "an animal each" in capsys.readouterr().out
    # By name and by what it holds; a copy elsewhere is the same.
    (told,) = METHODS.origin("zoo").items()
    assert told[0] == "zoo.py"
    assert len(told[1]) == len("sha256 ") + 64
    assert METHODS.origin("focal") == {}
    # Processes that this one starts have it too.
    assert os.environ[plugins.VARIABLE] == str(file)
    plugins.load_from_environment()
    assert METHODS.names().count("zoo") == 1


def test_the_flag_may_stand_anywhere_and_with_an_equals_sign(fresh, tmp_path):
    file = tmp_path / "zoo.py"
    file.write_text(METHOD)
    words = plugins.take([f"--plugin={file}", "run", "--arch", "Xception"])
    assert words == ["run", "--arch", "Xception"]
    assert "zoo" in METHODS.names()
    with pytest.raises(UserError, match="say which file"):
        plugins.take(["list", "--plugin"])


def test_a_file_that_cannot_be_used_is_refused_by_name_and_line(fresh, tmp_path):
    _refused(tmp_path / "absent.py", "absent.py does not exist")
    file = tmp_path / "broken.py"
    file.write_text("x = 1\nx = = 2\n")
    _refused(file, r"broken.py, line 2: invalid syntax: x = = 2$")
    file.write_bytes("x = 'M\xe9thode'\n".encode("latin-1"))
    _refused(file, r"broken.py, line \d: .*save the file as UTF-8")
    file.write_text("raise SystemExit(3)\n")
    _refused(file, r"broken.py, line 1: SystemExit\(3\)")
    file.write_text("import nowhere_at_all\n")
    _refused(file, r"broken.py, line 1: ModuleNotFoundError")
    file.write_text("def f():\n    raise ValueError('no')\n\nf()\n")
    _refused(file, r"broken.py, line 2: ValueError")
    file.write_text("zoo = 1\n")
    _refused(file, "does not say what it has: add DERMBENCH")
    (tmp_path / "text.txt").write_text("")
    _refused(tmp_path / "text.txt", "must end in .py")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"methods"', '"metods"'), "unknown kind 'metods'.*methods"),
        (('{"zoo": Zoo}', '{"focal": Zoo}'), "there is a method 'focal' already"),
        (('{"zoo": Zoo}', '{"ape": Zoo}'), "method 'ape' calls itself 'zoo'"),
        (("def stages", "def steps"), "method 'zoo' lacks stages: write it"),
        (('summary = "an animal each"', ""), "method 'zoo' lacks summary: write it"),
        (("Zoo(Method)", "Zoo"), r"method 'zoo' is <class.*a class of benchmark.methods.base.Meth"),
        (('"zoo": Zoo', '"zoo": Zoo()'), "method 'zoo' is <.*expected a class of"),
        (
            ('{"methods": {"zoo": Zoo', '{"datasets": {"zoo": Zoo'),
            "dataset 'zoo' is <class.*expected a benchmark.data.layouts.Layout",
        ),
    ],
)
def test_what_is_no_method_of_its_name_is_refused(fresh, tmp_path, change, message):
    file = tmp_path / "wrong.py"
    file.write_text(METHOD.replace(*change))
    _refused(file, message)


def test_two_files_of_one_name_are_told_apart(fresh, tmp_path):
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        (folder / "zoo.py").write_text(METHOD)
    plugins.load([tmp_path / "zoo.py"])
    plugins.load([tmp_path / "zoo.py"])
    _refused(tmp_path / "other" / "zoo.py", "have one name: rename one")


def test_a_fault_is_one_line_on_the_command_line(fresh, tmp_path, capsys):
    assert main(["list", "--plugin", str(tmp_path / "none.py")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_new_method_is_described_and_computes_what_it_says(fresh, tmp_path, capsys):
    assert main(["new", "method", "soft-labels", "--into", str(tmp_path)]) == 0
    assert "pytest" in capsys.readouterr().out
    file = tmp_path / "soft_labels.py"
    assert "class SoftLabels(Method):" in file.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "formula", "test_soft_labels.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    for name, message in (
        ("soft-labels", "soft_labels.py is there already"),
        ("focal", "there is a method 'focal' already"),
        ("Focal Loss", "small letters, digits and dashes"),
    ):
        with pytest.raises(UserError, match=message):
            new.method(name, tmp_path)


@pytest.mark.slow
def test_a_new_method_trains_in_every_framework(tmp_path):
    new.method("soft-labels", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_soft_labels.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_what_is_new_is_formatted_as_our_code_is(tmp_path):
    """A contributor's first commit passes the linters."""
    new.method("soft-labels", tmp_path)
    # As below our tests, and outside our checkout.
    here = ["--ignore", "D", "--config", 'lint.isort.known-first-party = ["benchmark"]']
    for how in (["check", *here], ["format", "--check"]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *how,
                "--config",
                str(REPOSITORY / "pyproject.toml"),
                str(tmp_path),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_that_was_edited_gives_another_run_and_another_row(
    fresh, framework, tmp_path, monkeypatch
):
    file = new.method("soft-labels", tmp_path)[0]
    plugins.load([file])
    write_images(tmp_path / "clinic", 0)
    monkeypatch.setenv("DERMBENCH_DATA", str(tmp_path))
    settings = {"framework": framework, "budget": "smoke", "dataset": "folder"}
    settings |= {"method": "soft-labels", "data_dir": tmp_path / "clinic", "out": tmp_path}
    first = run("MobileNetV2", "diagnosis", **settings)
    assert first.origins == {file.name: METHODS.origin("soft-labels")[file.name]}
    assert "--plugin /path/to/soft_labels.py" in reproduction(first).command
    assert run("MobileNetV2", "diagnosis", **settings).run_id == first.run_id

    file.write_text(f"{file.read_text()}\n# Another line.\n")
    second = run("MobileNetV2", "diagnosis", **settings, seed=1)
    assert run("MobileNetV2", "diagnosis", **settings).run_id != first.run_id
    table = build_table([first, second])
    assert len(table) == 2
    assert all("soft_labels.py=sha256 " in told for told in varying_settings(table))
    with pytest.raises(UserError, match=r"used soft_labels.py .* it has changed since"):
        repeat(tmp_path, first)

    METHODS._files.clear()
    METHODS._loaded.pop("soft-labels")
    with pytest.raises(UserError, match=r"not here: give it with --plugin soft_labels.py"):
        repeat(tmp_path, first)
    assert "soft_labels.py, which was not here" in reproduction(first).about
