"""A save that is killed before any of its system calls leaves one whole checkpoint: the old one or the new one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.interrupted_saves import CONTROL, SAVES, Found, Interrupted, copy_of, found_in
from tests.runs.killing import CannotTraceError, calls_of, kill_at
from tfdl.config import TrainConfig
from tfdl.runs import RunDirectory, run_directory
from tfdl.runs.run_lock import RunLock
from tfdl.training.metrics_log import MetricsLog

ALL = ("",)
# The calls that change what a folder contains.
OF_NAMES = ("rename", "unlink", "rmdir")


def kill_everywhere(interrupted: Interrupted, folder: Path, kinds: tuple[str, ...] = ALL) -> dict[str, Found]:
    """Interrupts a save at its calls of some kinds; returns what each kill has left, by the call's number and name."""
    template = folder / "template"
    interrupted.prepare(template)
    found = {}
    try:
        with copy_of(template, folder / "checkpoints") as checkpoints:
            calls = calls_of(lambda: interrupted.run(checkpoints))
        numbers = [number for number, name in enumerate(calls) if name.startswith(kinds)]
        for number in numbers:
            with copy_of(template, folder / "checkpoints") as checkpoints:
                name = kill_at(lambda to=checkpoints: interrupted.run(to), number)
                found[f"{number} {name}"] = found_in(checkpoints)
    except CannotTraceError as error:
        pytest.skip(str(error))
    return found


# All others are in tests/soak/test_reliability.py.
@pytest.mark.parametrize(
    ("name", "kinds"),
    [("the next", ALL), ("the same step again", OF_NAMES), ("the same step, without an exchange", OF_NAMES)],
)
def test_one_of_the_two_is_whole(name: str, kinds: tuple[str, ...], tmp_path: Path) -> None:
    interrupted = SAVES[name]
    found = kill_everywhere(interrupted, tmp_path, kinds)
    calls = " ".join(found)
    assert all(kind in calls for kind in (("write", "fsync", *OF_NAMES) if kinds == ALL else OF_NAMES))
    wrong = {
        call: left
        for call, left in found.items()
        if left.state not in interrupted.allowed or left.unreadable or not left.is_reused
    }
    assert wrong == {}
    assert {left.state for left in found.values()} == interrupted.allowed


def test_two_renames_have_a_moment_without_a_checkpoint(tmp_path: Path) -> None:
    """The control."""
    found = kill_everywhere(CONTROL, tmp_path, ("rename",))
    assert [left.state for left in found.values()].count(None) == 1


def kill_at_each_call(work: Callable[[Path], None], prepare: Callable[[Path], None], folder: Path) -> list[Path]:
    """Interrupts the work in one folder after the other; returns the folders."""
    folders = []
    try:
        prepare(folder / "whole")
        calls = calls_of(lambda: work(folder / "whole"))
        for number in range(len(calls)):
            folders.append(folder / f"killed-{number}")
            prepare(folders[-1])
            kill_at(lambda: work(folders[-1]), number)
    except CannotTraceError as error:
        pytest.skip(str(error))
    return folders


def test_a_run_directory_can_be_used_again(tmp_path: Path) -> None:
    """It is new, or it has a run without a checkpoint, which begins again when it is resumed."""

    def make(folder: Path) -> None:
        run = RunDirectory(folder)
        run.make()
        lock = RunLock(folder)
        lock.acquire()
        run.create(TrainConfig())
        run.write_status(None, "running")

    folders = kill_at_each_call(make, lambda folder: None, tmp_path)  # noqa: ARG005
    assert len(folders) > 20
    kinds = {(RunDirectory(folder).has_run(), RunDirectory(folder).is_free()) for folder in folders}
    assert kinds == {(False, True), (True, False)}
    for folder in folders:
        run = RunDirectory(folder)
        run.make()
        run.remove_left_over()
        run.create(TrainConfig())
        left = {path.name for path in folder.iterdir()} - set(run_directory.LOCK_FILES)
        assert left <= {"config.yaml", "checkpoints", "assets", "status.json"}


def test_a_users_hidden_files_stay(tmp_path: Path) -> None:
    """Such as those of editors."""
    for name in (".config.yaml.swp", ".config.yaml.a-backup-of-mine", ".notes"):
        (tmp_path / name).touch()
        assert not RunDirectory(tmp_path).is_free()
    (tmp_path / ".config.yaml.Ab_-1234").touch()
    RunDirectory(tmp_path).remove_left_over()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".config.yaml.a-backup-of-mine", ".config.yaml.swp", ".notes",
    ]  # fmt: skip


LINES = [f'{{"kind": "steps", "step": {step}}}\n' for step in range(1, 2001)]


def test_the_log_of_a_resumed_run_is_never_lost(tmp_path: Path) -> None:
    """The lines of later steps are removed in one step."""

    def prepare(folder: Path) -> None:
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(LINES))

    folders = kill_at_each_call(lambda folder: MetricsLog(folder / "metrics.jsonl", 1000).close(), prepare, tmp_path)
    texts = [(folder / "metrics.jsonl").read_text() for folder in folders]
    assert set(texts) <= {"".join(LINES), "".join(LINES[:1000])}
    assert len(set(texts)) == 2
