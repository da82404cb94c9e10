"""A run that is killed or asked to stop, and then resumed, has the results of an uninterrupted run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import tfdl
from tfdl.config import to_yaml
from tfdl.errors import StoppedError
from tfdl.training import Callback

EPOCHS = 40


@pytest.fixture(scope="module")
def config(tiny):
    return tiny(epochs=EPOCHS, steps_per_execution=4)


@pytest.fixture(scope="module")
def uninterrupted(config, tmp_path_factory):
    return tfdl.train(config, tmp_path_factory.mktemp("uninterrupted") / "run").read_summary()


def start(config, folder):
    """Starts the command in a separate process."""
    file = folder / "config.yaml"
    file.write_text(to_yaml(config))
    command = [sys.executable, "-m", "tfdl", "train", "--config", str(file), "--output", str(folder / "run")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes)


def wait_for_epoch(process, folder, epoch):
    """Waits until metrics.jsonl has the line of this epoch; fails if the process ends before."""
    metrics = folder / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        if metrics.exists() and f'"epoch", "step": {12 * epoch},' in metrics.read_text():
            return
        time.sleep(0.01)
    pytest.fail("the run did not get there in two minutes")


def resume(folder, **environment):
    command = [sys.executable, "-m", "tfdl", "train", "--output", str(folder / "run"), "--resume"]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def status(folder):
    return json.loads((folder / "run" / "status.json").read_text())


def assert_finished_alike(folder, expected):
    summary = json.loads((folder / "run" / "summary.json").read_text())
    for key in ("weights_sha256", "validation", "test", "steps", "epochs"):
        assert summary[key] == expected[key], key
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "epoch"] == [12 * (epoch + 1) for epoch in range(EPOCHS)]
    steps = [row["step"] for row in rows]
    assert steps == sorted(steps)
    assert not [path.name for path in (folder / "run" / "checkpoints").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_killed_in_the_middle(config, uninterrupted, tmp_path):
    process = start(config, tmp_path)
    wait_for_epoch(process, tmp_path, 5)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert status(tmp_path) == {"code": None, "reason": "running"}
    assert not (tmp_path / "run" / "summary.json").exists()
    tfdl.train(config, tmp_path / "run", resume=True)
    assert_finished_alike(tmp_path, uninterrupted)


@pytest.fixture
def stopped(config, tmp_path):
    """The folder of a run that SIGTERM has stopped, and the step at which it stopped."""
    process = start(config, tmp_path)
    wait_for_epoch(process, tmp_path, 3)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    reason = status(tmp_path)["reason"]
    line, advice = err.splitlines()
    assert line == f"tfdl: {reason}"
    assert status(tmp_path)["code"] == 75
    assert reason.startswith("stopped by SIGTERM at step ")
    assert reason.endswith(" with a checkpoint saved")
    step = int(reason.split()[5])
    path = tmp_path / "run"
    assert advice == f"tfdl: the checkpoint of step {step} is saved; continue with --output {path} --resume"
    assert (tmp_path / "run" / "checkpoints" / "last").resolve().name == f"step-{step:08d}"
    return tmp_path, step


@pytest.mark.slow
def test_a_stopped_command_is_resumed(stopped, uninterrupted):
    folder, step = stopped
    assert step >= 36
    assert not (folder / "run" / "summary.json").exists()
    done = resume(folder)
    assert done.returncode == 0, done.stderr
    assert f"resuming from step {step}" in done.stdout
    assert status(folder) == {"code": 0, "reason": "done"}
    assert_finished_alike(folder, uninterrupted)


class StopAt(Callback):
    """Sends this process a signal at a step, as a scheduler would."""

    def __init__(self, step, number=signal.SIGTERM):
        self.step = step
        self.number = number

    def on_steps(self, report):
        if report.progress.step == self.step:
            os.kill(os.getpid(), self.number)


# Within an epoch, at its end, in the last one.
@pytest.mark.parametrize(("step", "name"), [(5, "SIGINT"), (12, "SIGUSR1"), (17, "SIGTERM")])
def test_from_python_a_stop_raises_a_stopped_error(tiny, tmp_path, step, name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=rf"stopped by {name} at step \d+ with a checkpoint saved") as raised:
        tfdl.train(tiny(), tmp_path / "run", callbacks=[StopAt(step, number)])
    assert raised.value.exit_code == 75
    assert signal.getsignal(number) == before
    assert (tmp_path / "run" / "checkpoints" / "last").exists()
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_stop_after_the_last_step_finishes_the_run(trained_run, tiny, tmp_path):
    run = tfdl.train(tiny(), tmp_path / "run", callbacks=[StopAt(24)])
    assert run.read_summary()["weights_sha256"] == trained_run.read_summary()["weights_sha256"]


def test_a_torn_line_of_metrics_is_written_again(trained_run, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    expected = (copy / "metrics.jsonl").read_text()
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "steps", "step": 25, "epoch": 2}\n{"kind": "ste')
    from tfdl.training.metrics_log import MetricsLog

    MetricsLog(copy / "metrics.jsonl", 24).close()
    assert (copy / "metrics.jsonl").read_text() == expected
