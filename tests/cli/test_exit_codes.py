"""How commands end: their exit code, and the line that names the cause."""

import json
import os
import resource
import shutil
import subprocess
import sys

import click
import pytest
import tensorflow as tf

from tests.cli.conftest import TINY
from tfdl.cli.failures import exit_code_of, report_failure
from tfdl.errors import RunError, StoppedError, UserError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (click.UsageError("x"), 2),
        (click.BadParameter("x"), 2),
        (RunError("x"), 1),
        (OSError(28, "No space left on device"), 1),
        (ValueError("x"), 1),
        (KeyboardInterrupt(), 1),
        (StoppedError("x"), 75),
        (SystemExit(7), 7),
        (SystemExit("text"), 1),
        (click.exceptions.Exit(0), 0),
    ],
    ids=repr,
)
def test_exit_code(error, code):
    assert exit_code_of(error) == code


def test_a_stop_that_was_asked_for_is_no_error(capsys):
    report_failure(StoppedError("stopped by SIGUSR1 at step 3 with a checkpoint saved"), debug=False)
    report_failure(RunError("the disk is gone"), debug=False)
    stopped, failed = capsys.readouterr().err.splitlines()
    assert stopped == "tfdl: stopped by SIGUSR1 at step 3 with a checkpoint saved"
    assert failed == "tfdl: error: the disk is gone"


def test_a_damaged_checkpoint_is_exit_1(run_here, trained_run, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    (copy / "checkpoints" / "last" / "model.safetensors").write_bytes(b"")
    code, out, err = run_here("evaluate", copy)
    assert (code, out) == (1, "")
    assert err.startswith("tfdl: error: checkpoint ")
    assert "is damaged: model.safetensors differs from its manifest" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("trained_run")  # so the data are prepared
def test_a_full_disk_is_exit_1_and_is_reported(tfdl_command, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = tfdl_command("train", "--epochs", 1, "--output", tmp_path / "run", preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.startswith("tfdl: error: ")
    line, advice = done.stderr.splitlines()
    assert line.endswith("File too large; make room, or write to another disk")
    run = tmp_path / "run"
    assert advice == f"tfdl: no checkpoint was saved; begin again with --output {run} --overwrite"


def test_a_full_disk_while_texts_are_tokenized_names_the_folder(tfdl_command, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    (tmp_path / "text.txt").write_text("\n\n".join(f"text {number}" for number in range(10_000)))
    done = tfdl_command(
        "train", "--task", "language-modeling", "--dataset", tmp_path / "text.txt", "--tokenizer", "byte",
        "--data-dir", tmp_path / "data", "--output", tmp_path / "run", preexec_fn=limit,
    )  # fmt: skip
    folder = tmp_path / "data" / "tfdl-tokens"
    assert done.returncode == 1
    assert done.stderr == (
        f"tfdl: error: cannot keep tokens in '{folder}': File too large; make room there, or choose another folder"
        " with --data-dir\n"
    )
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    assert not (tmp_path / "run").exists()


def test_a_run_from_disk_ends_without_noise(tfdl_command, tmp_path):
    done = tfdl_command(
        "train", *TINY, "--steps", 2, "--set", "dataset.memory_limit_mb=0", "--output", tmp_path / "run"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_whose_output_is_closed_records_why(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    small = ["--set", "model.filters=[4]", "--steps", 2]
    done = subprocess.run(
        [sys.executable, "-m", "tfdl", "train", *map(str, small), "--output", str(tmp_path / "run")],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 1
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    reason = "nobody reads the output any more (broken pipe)"
    assert status == {"code": 1, "reason": reason}
    assert f"tfdl: error: {reason}" in done.stderr.decode()


SEVERAL_ROOTS = """2 root error(s) found.
  (0) INTERNAL: {{function_node __inference_steps_1418}} Failed to call DoRnnForward with model config: 2, 0, 0
\t [[{{node rnn/lstm_1/CudnnRNN}}]]
\t [[ArgMax/_132]]
  (1) INTERNAL: {{function_node __inference_steps_1418}} Failed to call DoRnnForward with model config: 2, 0, 0
\t [[{{node rnn/lstm_1/CudnnRNN}}]]
0 successful operations.
0 derived errors ignored. [Op:__inference_steps_1418]"""


@pytest.mark.parametrize(
    "before", ["", 'Graph execution error:\n\nDetected at node A defined at:\n  File "a.py", line 1\n\n']
)
def test_the_line_of_a_graph_s_error_that_names_the_cause_is_printed(before, capsys):
    """TensorFlow's message when several operations failed for one reason; its last line counts errors."""
    report_failure(tf.errors.InternalError(None, None, before + SEVERAL_ROOTS), debug=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert "InternalError: INTERNAL: Failed to call DoRnnForward with model config: 2, 0, 0; run again" in line
