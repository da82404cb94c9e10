"""When checkpoints are written, what is in them, and what happens when one cannot be written or read."""

import errno
import json
import os
import shutil
import signal
import threading
import time
from types import SimpleNamespace

import pytest

import tfdl
from tfdl.errors import UserError
from tfdl.runs.variables import write_variables
from tfdl.training import Callback, checkpoint_writer, checkpoints
from tfdl.training.checkpoint_writer import WholeWriter

STEPS = 12  # an epoch of the small run
WRITE = checkpoint_writer.write_checkpoint


def steps_of(run):
    return [int(path.name.removeprefix("step-")) for path in sorted(run.checkpoints.glob("step-*"))]


def results(run):
    summary = run.read_summary()
    return {name: summary[name] for name in ("weights_sha256", "validation", "test", "steps")}


@pytest.fixture(scope="module")
def straight(tiny, tmp_path_factory):
    """An uninterrupted run with the checkpoints of its epochs alone."""
    return tfdl.train(tiny(steps=20), tmp_path_factory.mktemp("straight") / "run")


def test_every_few_steps_within_an_epoch_and_across(tiny, tmp_path, straight):
    config = tiny(steps=20, checkpoint_steps=5, keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run")
    assert steps_of(run) == [5, 10, 12, 15, 20]
    assert steps_of(straight) == [12, 20]
    assert results(run) == results(straight)
    assert run.checkpoint("best").name == straight.checkpoint("best").name


@pytest.mark.parametrize("step", [5, 15])
def test_a_resumed_run_is_the_straight_one(tiny, tmp_path, straight, step):
    """From a checkpoint within the first epoch, and within the second."""
    config = tiny(steps=20, checkpoint_steps=5, keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run")
    for path in run.checkpoints.glob("step-*"):
        if path.name > f"step-{step:08d}":
            shutil.rmtree(path)
    (run.checkpoints / "last").unlink()
    resumed = tfdl.train(None, run.path, resume=True)
    assert results(resumed) == results(straight)


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch):
        self.seconds = 0.0
        monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: self.seconds))


class Minutes(Callback):
    """Half a minute passes in each graph call."""

    def __init__(self, clock):
        self.clock = clock

    def on_steps(self, report):  # noqa: ARG002
        self.clock.seconds += 30.0


def test_every_few_minutes(tiny, tmp_path, monkeypatch, straight):
    clock = Clock(monkeypatch)
    config = tiny(steps=20, checkpoint_minutes=1.0, steps_per_execution=2, keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run", callbacks=[Minutes(clock)])
    # Noticed by the collective after the steps. The checkpoint of an epoch counts as well.
    assert steps_of(run) == [6, 12, 18, 20]
    assert results(run) == results(straight)


class Gate:
    """Holds the writing of the first checkpoint back until later steps have been made."""

    def __init__(self, monkeypatch):
        self.is_open = threading.Event()
        self.begun = []
        monkeypatch.setattr(checkpoint_writer, "write_checkpoint", self.write)

    def write(self, folder, content):
        self.begun.append(content.progress.step)
        assert self.is_open.wait(60)
        return WRITE(folder, content)


class Opener(Callback):
    """Opens a gate after a step, and notes how many checkpoints there were before."""

    def __init__(self, gate, folder, step):
        self.gate = gate
        self.folder = folder
        self.step = step
        self.found = []

    def on_steps(self, report):
        if report.progress.step == self.step:
            self.found = list(self.folder.glob("step-*"))
            self.gate.is_open.set()


def test_the_training_goes_on_while_a_checkpoint_is_written(tiny, tmp_path, monkeypatch, straight):
    """The checkpoint has the state of its step, although three more steps were made before it was written."""
    gate = Gate(monkeypatch)
    folder = tmp_path / "run"
    opener = Opener(gate, folder / "checkpoints", 8)
    config = tiny(steps=20, checkpoint_steps=5, steps_per_execution=1, keep_checkpoints=9)
    run = tfdl.train(config, folder, callbacks=[opener])
    assert opener.found == []
    assert gate.begun == [5, 10, 12, 15, 20]
    assert results(run) == results(straight)
    for path in run.checkpoints.glob("step-*"):
        if path.name != "step-00000005":
            shutil.rmtree(path)
    resumed = tfdl.train(None, run.path, resume=True)
    assert results(resumed) == results(straight)


def test_a_stop_waits_until_everything_is_written(tiny, tmp_path, monkeypatch):
    """The gate opens after the last step: without the wait there would be no checkpoint."""
    gate = Gate(monkeypatch)

    class Stop(Callback):
        def on_steps(self, report):
            if report.progress.step == 7:  # the next graph call tells all ranks
                os.kill(os.getpid(), signal.SIGTERM)
                threading.Timer(0.2, gate.is_open.set).start()

    with pytest.raises(tfdl.StoppedError, match="at step 8 with a checkpoint saved"):
        tfdl.train(tiny(steps=20, steps_per_execution=1), tmp_path / "run", callbacks=[Stop()])
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")] == ["step-00000008"]


class FullDisk:
    """Makes the writing of some checkpoints fail as a full disk does, after the first file."""

    def __init__(self, monkeypatch, *steps):
        self.steps = steps
        self.failed = threading.Event()
        monkeypatch.setattr(checkpoint_writer, "write_checkpoint", self.write)

    def write(self, folder, content):
        if content.progress.step not in self.steps:
            return WRITE(folder, content)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tfdl.runs.checkpoint.write_variables", self.write_variables)
                return WRITE(folder, content)
        finally:
            self.failed.set()

    def write_variables(self, path, *content):
        if path.name != "model.safetensors":
            full()
        write_variables(path, *content)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device", "file")


class Wait(Callback):
    """Waits after a step until something has happened in the thread, and notes the later steps and notices."""

    def __init__(self, event, step):
        self.event = event
        self.step = step
        self.steps = []
        self.notices = []

    def on_steps(self, report):
        self.steps.append(report.progress.step)
        if report.progress.step == self.step:
            assert self.event.wait(60)

    def on_notice(self, text):
        self.notices.append(text)


def test_an_error_ends_the_run_soon(tiny, tmp_path, monkeypatch):
    """Not at the next checkpoint, which may be hours away. The good checkpoint before stays."""
    disk = FullDisk(monkeypatch, 12)
    watcher = Wait(disk.failed, 14)
    config = tiny(epochs=3, steps_per_execution=1)
    config = config.replace(checkpoint_steps=6)
    with pytest.raises(OSError, match="No space left on device"):
        tfdl.train(config, tmp_path / "run", callbacks=[watcher])
    assert max(watcher.steps) <= 16
    folder = tmp_path / "run" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["last", "step-00000006"]
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["code"] == 1
    assert "No space left" in status["reason"]


def test_a_run_may_go_on_without_a_checkpoint(tiny, tmp_path, monkeypatch, straight):
    disk = FullDisk(monkeypatch, 10, 12)
    watcher = Wait(disk.failed, 0)
    config = tiny(steps=20, checkpoint_steps=5, on_checkpoint_error="continue", keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run", callbacks=[watcher])
    assert steps_of(run) == [5, 15, 20]
    assert results(run) == results(straight)
    assert len(watcher.notices) == 2
    assert watcher.notices[0].startswith("warning: the checkpoint of step 10 was not written: ")
    assert "No space left on device" in watcher.notices[0]


def test_a_stop_without_a_checkpoint_says_so(tiny, tmp_path, monkeypatch):
    """Exit code 75 promises one."""
    FullDisk(monkeypatch, *range(100))

    class Stop(Callback):
        def on_steps(self, report):
            if report.progress.step == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    config = tiny(steps=20, steps_per_execution=4, on_checkpoint_error="continue")
    with pytest.raises(tfdl.RunError, match="stopped by SIGTERM at step 8, whose checkpoint could not be written") as e:
        tfdl.train(config, tmp_path / "run", callbacks=[Stop()])
    assert e.value.exit_code == 1
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_the_last_checkpoint_that_cannot_be_written(tiny, tmp_path, monkeypatch):
    """There is no later one that would report it."""
    FullDisk(monkeypatch, 12)
    with pytest.raises(OSError, match="No space left on device"):
        tfdl.train(tiny(epochs=1), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()


def damage(checkpoint, name="optimizer.safetensors"):
    path = checkpoint / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.fixture
def stopped(tiny, tmp_path):
    """A run with checkpoints at 5, 10, 12 and 15, that will have 20 steps."""
    run = tfdl.train(tiny(steps=15, checkpoint_steps=5, keep_checkpoints=9), tmp_path / "stopped")
    assert steps_of(run) == [5, 10, 12, 15]
    return run


class Notes(Callback):
    def on_start(self, plan):
        self.notes = plan.notes
        self.step = plan.resumed_from


def continued(tiny, run):
    notes = Notes()
    return notes, tfdl.train(tiny(steps=20, checkpoint_steps=5), run.path, resume=True, callbacks=[notes])


def test_damaged_checkpoints_are_passed_over(tiny, stopped, straight):
    damage(stopped.checkpoint("step-00000015"))
    (stopped.checkpoint("step-00000012") / "manifest.json").unlink()
    notes, resumed = continued(tiny, stopped)
    assert notes.step == 10
    (note,) = [note for note in notes.notes if "step-00000015" in note]
    assert "step-00000015 is damaged: optimizer.safetensors differs from its manifest; checkpoint " in note
    assert "step-00000012 is incomplete" in note
    assert note.endswith("; the run continues from step-00000010, the newest one that is whole")
    assert results(resumed) == results(straight)


def test_a_whole_checkpoint_is_taken_without_a_word(tiny, stopped, straight):
    notes, resumed = continued(tiny, stopped)
    assert notes.step == 15
    assert not [note for note in notes.notes if "whole" in note]
    assert results(resumed) == results(straight)


def test_without_a_whole_checkpoint_the_run_is_not_resumed(tiny, stopped):
    for step in (5, 10, 12, 15):
        damage(stopped.checkpoint(f"step-{step:08d}"))
    with pytest.raises(tfdl.RunError, match=r"no whole checkpoint to resume from: .*step-00000015 is damaged"):
        continued(tiny, stopped)
    assert steps_of(stopped) == [5, 10, 12, 15]


def test_evaluation_does_not_pass_over_a_damaged_checkpoint(stopped):
    damage(stopped.checkpoint("last"), "model.safetensors")
    with pytest.raises(tfdl.RunError, match=r"is damaged: model\.safetensors"):
        tfdl.evaluate(stopped)


def test_later_checkpoints_that_were_passed_over_do_not_outlive_new_ones(tiny, stopped, straight):
    """By their numbers they would be the newest ones, and the new ones would be removed."""
    for step in (10, 12, 15):
        damage(stopped.checkpoint(f"step-{step:08d}"))
    found = []

    class Look(Callback):
        def on_steps(self, report):
            found.append((report.progress.step, sorted(path.name for path in stopped.checkpoints.glob("step-*"))))

    config = tiny(steps=20, checkpoint_steps=3, keep_checkpoints=1)
    resumed = tfdl.train(config, stopped.path, resume=True, callbacks=[Look()])
    assert results(resumed) == results(straight)
    at_12 = dict(found)[12]  # the checkpoint of step 6 is written, since that of step 9 has begun
    assert {"step-00000006", "step-00000009"} & set(at_12)
    assert "step-00000015" not in at_12
    assert "last" in [path.name for path in resumed.checkpoints.iterdir() if path.exists()]


def test_unfinished_checkpoints_of_a_killed_process_are_removed(tiny, stopped):
    unfinished = stopped.checkpoints / ".step-00000020.abc"
    unfinished.mkdir()
    (unfinished / "model.safetensors").write_bytes(b"half")
    _, resumed = continued(tiny, stopped)
    assert [path.name for path in resumed.checkpoints.iterdir() if path.name.startswith(".")] == []


def test_how_often_may_change_on_a_resume(tiny, stopped):
    config = tiny(steps=20, checkpoint_steps=4, checkpoint_minutes=3.0, keep_checkpoints=20)
    run = tfdl.train(config, stopped.path, resume=True)
    assert steps_of(run) == [5, 10, 12, 15, 16, 20]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("checkpoint_steps", 0, "checkpoint_steps=0, expected a number of at least 1"),
        ("checkpoint_minutes", 0.0, "checkpoint_minutes=0.0, expected a number above 0"),
        ("checkpoint_minutes", float("nan"), "checkpoint_minutes=nan, expected a number above 0"),
        ("on_checkpoint_error", "ignore", "on_checkpoint_error='ignore', expected one of stop, continue"),
    ],
)
def test_values_that_cannot_be_used(tiny, field, value, message):
    with pytest.raises(UserError, match=message):
        tiny(**{field: value})


def test_a_writer_raises_an_error_once(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", full)
    writer = WholeWriter(tmp_path, 3)
    assert not writer.has_failed
    writer.start(SimpleNamespace(progress=SimpleNamespace(step=7)))
    deadline = time.monotonic() + 60
    while not writer.has_failed:
        assert time.monotonic() < deadline
    with pytest.raises(OSError, match="No space left"):
        writer.finish()
    assert not writer.has_failed
    writer.finish()
    assert writer.step == 7
