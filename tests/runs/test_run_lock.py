"""Only one job at a time writes to a run directory."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest

import tfdl
from tfdl.errors import UserError
from tfdl.runs import run_lock
from tfdl.runs.run_lock import RunLock
from tfdl.training import Callback

HOLD = """
import sys
from pathlib import Path
from tfdl.runs.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
assert lock.acquire() == ""
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_named(holder, tmp_path):
    with pytest.raises(UserError, match=rf"is being trained by process {holder.pid} on host .*, since \d"):
        RunLock(tmp_path).acquire()


def test_a_process_that_is_killed_holds_it_no_more(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = RunLock(tmp_path)
    assert lock.acquire() == ""
    assert lock.acquire() == ""  # it has it
    lock.release()
    lock.release()


def test_it_is_given_back(tmp_path):
    first = RunLock(tmp_path)
    first.acquire()
    first.release()
    second = RunLock(tmp_path)
    assert second.acquire() == ""
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_without_a_note_of_the_holder(holder, tmp_path):  # noqa: ARG001
    (tmp_path / ".holder.json").write_text("{")
    with pytest.raises(UserError, match="is being trained by another job; wait for its end"):
        RunLock(tmp_path).acquire()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(run_lock.fcntl, "flock", no_locks)
    lock = RunLock(tmp_path)
    assert lock.acquire().startswith("the run directory has no locks (")
    lock.release()


class Second(Callback):
    """Starts a second training in the directory of the first, which is still going."""

    def __init__(self, config, folder, **options):
        self.config = config
        self.folder = folder
        self.options = options
        self.error = None

    def on_epoch(self, report):
        if report.progress.epoch == 1:
            try:
                tfdl.train(self.config, self.folder, **self.options)
            except UserError as error:
                self.error = str(error)


@pytest.mark.parametrize("options", [{"resume": True}, {"overwrite": True}], ids=["resume", "overwrite"])
def test_a_second_job_is_refused_and_changes_nothing(tiny, tmp_path, options):
    straight = tfdl.train(tiny(), tmp_path / "straight").read_summary()
    second = Second(tiny(), tmp_path / "run", **options)
    run = tfdl.train(tiny(), tmp_path / "run", callbacks=[second])
    assert f"is being trained by process {os.getpid()} on host" in second.error
    assert run.read_summary()["weights_sha256"] == straight["weights_sha256"]
    assert json.loads(run.status_path.read_text()) == {"code": 0, "reason": "done"}
    again = tfdl.train(tiny(epochs=3), run.path, resume=True)  # the lock is free again
    assert again.read_summary()["epochs"] == 3


def test_a_lock_file_that_is_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """Another process has opened it, waits, and gets the lock of a file that is no longer there."""
    flock = run_lock.fcntl.flock
    attempts = []

    def removed_once(file, operation):
        attempts.append(file)
        flock(file, operation)
        if len(attempts) == 1:
            (tmp_path / ".lock").unlink()

    monkeypatch.setattr(run_lock.fcntl, "flock", removed_once)
    lock = RunLock(tmp_path)
    assert lock.acquire() == ""
    assert len(attempts) == 2
    assert (tmp_path / ".lock").exists()
    lock.release()


def test_a_job_that_trained_while_this_one_prepared_keeps_its_run(tiny, tmp_path):
    """Both found an empty directory."""

    class Other(Callback):
        def on_built(self, parts):  # noqa: ARG002
            self.run = tfdl.train(tiny(epochs=1), tmp_path / "run")

    other = Other()
    with pytest.raises(UserError, match=r"another job has trained in '.*run' while this one prepared its data"):
        tfdl.train(tiny(), tmp_path / "run", callbacks=[other])
    assert other.run.read_summary()["epochs"] == 1
    assert tfdl.evaluate(other.run)


def test_a_failed_run_gives_it_back(tiny, tmp_path):
    class Fails(Callback):
        def on_epoch(self, report):  # noqa: ARG002
            raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        tfdl.train(tiny(), tmp_path / "run", callbacks=[Fails()])
    assert tfdl.train(tiny(), tmp_path / "run", resume=True).read_summary()["epochs"] == 2


def test_a_folder_with_a_lock_alone_is_empty(tiny, tmp_path):
    """A process was killed before it wrote anything else."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    assert tfdl.train(tiny(epochs=1), folder).read_summary()["epochs"] == 1
