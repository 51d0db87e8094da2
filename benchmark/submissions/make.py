"""A bundle made from predictions, the question taken from a run on the board."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.records.store import Store
from benchmark.rescoring import Sheet, question_of, sheet_of
from benchmark.submissions import bundle, tables
from benchmark.submissions.check import checked
from benchmark.submissions.manifest import MOST_BYTES, TEMPLATE_HINT, Manifest, read_about
from benchmark.submissions.maps import read as read_maps
from benchmark.submissions.question import asked_of, classes_of


@dataclass(frozen=True)
class Made:
    """What was written: the bundle's manifest, and how many images each trial has."""

    manifest: Manifest
    images: dict[str, int]


def make(
    files: Sequence[str],
    about: str | Path,
    like: str,
    target: str | Path,
    results: str | Path,
    maps: Sequence[str] = (),
) -> Made:
    """Write a bundle of predictions to `target`, after the checks that `verify` will make.

    Args:
        files: of predictions, "TRIAL=FILE" each; of a task with one trial FILE will do.
        about: the authors' TOML file, see `manifest.TEMPLATE`.
        like: a run, by the beginning of its id, that was asked the question they answer.
        target: the bundle.
        results: the folder with that run's record and split.
        maps: files of maps, likewise; none, or one for each trial.

    Raises:
        UserError: something is missing or faulty; names file, line and remedy.
    """
    question = question_of(Store(results).find(like))
    sheet = sheet_of(results, question)
    if maps and not sheet.task.maps:
        raise UserError(f"task {question.task} scores no maps: leave out --maps")
    said = read_about(str(about), _content(Path(about), MOST_BYTES, TEMPLATE_HINT, TEMPLATE_HINT))
    paths = _by_trial(files, sheet, "predictions")
    contents, images = [], {}
    for trial, path in zip(sheet.trials, paths, strict=True):
        content = _content(path, bundle.MOST_UNPACKED, "give the predictions alone")
        classes = classes_of(sheet, trial.name)
        table = tables.read(str(path), path.name, content, classes)
        images[trial.name] = len(checked(table, trial, classes).ids)
        contents.append(content)
    if maps:
        for trial, path in zip(sheet.trials, _by_trial(maps, sheet, "maps"), strict=True):
            content = _content(path, bundle.MOST_UNPACKED, "give maps as small as they were made")
            read_maps(str(path), content, trial)
            contents.append(content)
    asked = asked_of(question, sheet, [path.suffix.lower() for path in paths], bool(maps))
    names = [trial.file for trial in asked.trials]
    names += [trial.maps for trial in asked.trials if trial.maps is not None]
    manifest = Manifest(about=said, question=asked)
    bundle.write(Path(target), manifest.text(), dict(zip(names, contents, strict=True)))
    return Made(manifest, images)


def _by_trial(files: Sequence[str], sheet: Sheet, kind: str) -> list[Path]:
    """The file of each trial, in their order; `kind` is what they hold."""
    names = [trial.name for trial in sheet.trials]
    found: dict[str, Path] = {}
    for each in files:
        name, equals, path = each.partition("=")
        if not equals or name not in names:
            if len(names) > 1:
                raise UserError(f"{each}: give TRIAL=FILE, the trials are {', '.join(names)}")
            name, path = names[0], each
        if name in found:
            raise UserError(f"{each}: trial {name} has a file already, {found[name]}: give one")
        found[name] = Path(path)
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"no {kind} of trial {missing[0]}: give {' '.join(f'{n}=FILE' for n in names)}"
        )
    return [found[name] for name in names]


def _content(path: Path, most: int, large: str, unread: str = "check the path") -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; {unread}") from error
    if len(content) > most:
        raise UserError(f"{path} has more than {most:,} bytes: {large}")
    return content
