"""Keras scripts under horovodrun's elastic launcher: ranks are killed, fail, hang, are stopped and join."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.distributed.elastic_jobs import HOSTS, SMALL, changes, ends, results, run_script, train
from tests.distributed.launching import HOROVODRUN, TIMEOUT, environment

pytestmark = pytest.mark.distributed

PAGE = Path(__file__).parents[2] / "docs" / "elastic.md"
WATCHDOG = "10"


def test_every_sample_is_used_once_in_an_epoch(tmp_path: Path) -> None:
    """Two ranks, then one, then two. Each weight is minus the number of uses of a sample that it depends on."""
    faults = [("kill", 0, 0, 5), (f"join:{HOSTS[2]}", 0, 1, 8)]
    job = run_script(tmp_path, faults, MODEL="uses")
    assert job.code == 0, job.output
    first, second = results(job)
    assert first == second
    # After 4 committed batches of 2 ranks, one rank has done 8. After 8 of one rank, two have done 4.
    assert first["changes"] == [[1, 0, 4], [2, 1, 8]]
    assert first["uses"] == [-2.0]
    assert first["steps"] == 4 + 16 + 8 + 8
    assert first["rate"] == pytest.approx(0.01)


def test_one_rank_fails_and_one_is_killed(tmp_path: Path) -> None:
    faults = [("raise", 1, 0, 3), ("kill", 0, 1, 5)]
    job = run_script(tmp_path, faults, ranks=3)
    assert job.code == 0, job.output
    assert "ZeroDivisionError: made for the test" in job.output
    (result,) = results(job)
    assert [size for size, _, _ in result["changes"]] == [2, 1]
    assert result["epoch"] == 2
    assert result["rate"] == pytest.approx(0.005)


def test_a_job_that_begins_with_one_rank_grows(tmp_path: Path) -> None:
    """The graphs of one rank contain no collectives."""
    job = run_script(tmp_path, [(f"join:{HOSTS[1]}", 0, 0, 4), (f"join:{HOSTS[2]}", 0, 1, 2)], ranks=1)
    assert job.code == 0, job.output
    first, *others = results(job)
    assert len(others) == 2
    assert all(other == first for other in others)
    assert [size for size, _, _ in first["changes"]] == [2, 3]


def test_a_rank_whose_host_is_removed_leaves(tmp_path: Path) -> None:
    """The first host in the list that is printed may have either rank."""
    job = run_script(tmp_path, [(f"leave:{HOSTS[1]}", 0, 1, 2)])
    assert job.code == 0, job.output
    (result,) = results(job)
    assert result["changes"] == [[1, 1, 2]]
    assert "RemovedError: this host was removed from the list of hosts" in job.output


@pytest.mark.parametrize("action", ["hang", "stop"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_is_ended_alone(tmp_path: Path, action: str, rank: int) -> None:
    """``stop`` also stops the rank's watchdog, and another rank kills it."""
    job = run_script(tmp_path, [(action, rank, 0, 3)], WATCHDOG=WATCHDOG)
    assert job.code == 0, job.output
    (result,) = results(job)
    assert result["changes"] == [[1, 0, 2]]
    assert result["epoch"] == 2
    words = "hangs (on " if action == "hang" else "no heartbeat for "
    assert f"tfdl: rank {rank}: error: {words}" in job.output
    if action == "hang":
        assert re.search(r"line \d+, in act$", job.output, re.MULTILINE), "the stack of the rank that hangs"


def test_a_rank_that_does_not_rejoin_is_ended(tmp_path: Path) -> None:
    """Rank 2 is killed while rank 1 hangs. The launcher waits for rank 1 before it connects anything."""
    job = run_script(tmp_path, [("hang", 1, 0, 3), ("kill", 2, 0, 3)], ranks=3, WATCHDOG=WATCHDOG)
    assert job.code == 0, job.output
    (result,) = results(job)
    assert result["size"] == 1
    assert "tfdl: rank 1: error: hangs (on " in job.output


def test_without_the_watchdog_a_job_with_a_hanging_rank_does_not_end(tmp_path: Path) -> None:
    """The control."""
    with pytest.raises(AssertionError, match="did not end within 60 s"):
        run_script(tmp_path, [("hang", 1, 0, 3)], time_limit=60.0, WATCHDOG="0")


def test_a_run_of_tfdl_train_ends_a_rank_that_hangs(tmp_path: Path) -> None:
    options = ("--elastic", "--commit-steps", "5", "--epochs", "4", "--watchdog-timeout", WATCHDOG)
    job = train(tmp_path, [("hang", 1, 10)], *options, *SMALL)
    assert job.code == 0, job.output
    assert [line["world_size"] for line in changes(tmp_path / "run")] == [1]
    assert "tfdl: rank 1: error: hangs (on " in job.output
    assert len(ends(job)) == 1


@pytest.mark.parametrize(
    ("recovery", "words"), [("horovod", "TypeError: 'list' object is not callable"), ("none", "Process 1 exit")]
)
def test_without_tfdls_state_the_script_fails(tmp_path: Path, recovery: str, words: str) -> None:
    """The control of all tests above: the same launcher, script and fault."""
    job = run_script(tmp_path, [("kill", 1, 0, 5)], RECOVERY=recovery)
    assert job.code != 0
    assert words in job.output
    assert results(job) == []


def test_a_collective_before_the_function_is_refused_at_the_first_start(tmp_path: Path) -> None:
    job = run_script(tmp_path, [], EARLY_COLLECTIVE="1")
    assert job.code != 0
    assert "UserError: a collective before the function of tfdl.distributed.elastic.run, expected none" in job.output


def test_a_graph_of_the_old_ranks_is_refused(tmp_path: Path) -> None:
    """A training loop whose ``tf.function`` was defined outside of the function. The control defines it inside."""
    faults = [("kill", 1, 0, 5)]
    for loop in ("outside", "inside"):
        folder = tmp_path / loop
        folder.mkdir()
        job = run_script(folder, faults, LOOP=loop)
        if loop == "outside":
            assert job.code != 0
            assert "this tf.function was traced before the ranks changed" in job.output
        else:
            assert job.code == 0, job.output
            (result,) = results(job)
            assert result["steps"] == 4 + 16 + 24


def test_the_script_in_the_documentation(tmp_path: Path) -> None:
    """Rank 0 is killed in its third epoch, and a rank on another host replaces it."""
    (block, *_) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    script = tmp_path / "script.py"
    script.write_text(block)
    hosts = tmp_path / "discover_hosts.sh"
    hosts.write_text("#!/bin/sh\n" + "".join(f"echo {host}:1\n" for host in HOSTS))
    hosts.chmod(0o755)
    options = ("-np", "2", "--min-np", "1", "--max-np", "2", "--host-discovery-script", str(hosts))
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    job = subprocess.Popen(
        [*HOROVODRUN, *options, sys.executable, str(script)], env=environment(), cwd=tmp_path, **pipes
    )
    assert job.stdout is not None
    lines = []
    for line in job.stdout:
        lines.append(line)
        if "Epoch 3/3" in line:
            os.kill(process_of_rank(job.pid, 0).pid, signal.SIGKILL)
            break
    output, _ = job.communicate(timeout=TIMEOUT)
    output = "".join(lines) + output
    assert job.returncode == 0, output
    assert re.search(r"rank 0 of 2 continues with epoch \d", output)
    (accuracy,) = re.findall(r">:accuracy (\S+)", output)
    assert float(accuracy) > 0.8
    assert (tmp_path / "model.keras").is_file()


def process_of_rank(launcher: int, rank: int) -> psutil.Process:
    """The Python process that horovodrun started as a rank."""
    found = [
        process
        for process in psutil.Process(launcher).children(recursive=True)
        if process.environ().get("HOROVOD_RANK") == str(rank) and process.cmdline()[0] == sys.executable
    ]
    (process,) = found
    return process
