"""Ranks that srun starts: which process is a rank, on which node, and how the ranks find each other."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.distributed.launching import PROGRAMS, environment, program
from tfdl.distributed.launchers import Launch, find_launch, launched_rank
from tfdl.distributed.slurm import NodeRank, expand_tasks, find_node_rank, first_host
from tfdl.distributed.srun import is_for_mpi
from tfdl.errors import UserError

PREFIXES = ("SLURM", "HOROVOD", "OMPI_", "PMI")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)


BATCH = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
STEP = {**BATCH, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}


@pytest.mark.parametrize(
    ("variables", "launch"),
    [
        pytest.param(BATCH, Launch("none", 0, 1), id="a batch script"),
        pytest.param(STEP, Launch("srun", 3, 4), id="a task"),
        pytest.param({**STEP, "PMI_RANK": "3", "PMI_SIZE": "4"}, Launch("srun", 3, 4), id="srun --mpi=pmi2"),
        pytest.param(
            {**STEP, "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "PMI_RANK": "3", "PMI_SIZE": "4"},
            Launch("a PMI launcher", 3, 4),
            id="mpirun of MPICH, a helper on each of two nodes",
        ),
        pytest.param(
            {**STEP, "OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_SIZE": "8"}, Launch("mpirun", 5, 8), id="mpirun"
        ),
        pytest.param({**STEP, "HOROVOD_RANK": "1", "HOROVOD_SIZE": "2"}, Launch("horovodrun", 1, 2), id="horovodrun"),
    ],
)
def test_which_process_is_a_rank(variables, launch, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_launch() == launch
    expected_rank = None if launch.launcher == "none" else launch.rank
    assert launched_rank() == expected_rank


def test_a_task_without_a_number_is_an_error(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(UserError, match=r"SLURM_PROCID='' and SLURM_STEP_NUM_TASKS='2'.*start the job through srun"):
        find_launch()
    assert launched_rank() == 0


@pytest.mark.parametrize(
    ("nodelist", "first"),
    [
        ("vm", "vm"),
        ("a1,a2", "a1"),
        ("gpu[07-09,12],login1", "gpu07"),
        ("gpu[3,5]", "gpu3"),
        ("rack[0-1]n[3,5]-ib,x", "rack0n3-ib"),
    ],
)
def test_the_first_node_of_slurm_s_list(nodelist, first):
    assert first_host(nodelist) == first


def test_ranks_on_uneven_nodes():
    assert expand_tasks("4(x2),3") == [4, 4, 3]
    assert expand_tasks("2") == [2]
    assert find_node_rank(2, 2, [4, 4, 3]) == NodeRank(local_rank=2, local_size=3, cross_rank=2, cross_size=3)
    assert find_node_rank(1, 3, [4, 4, 3]) == NodeRank(local_rank=3, local_size=4, cross_rank=1, cross_size=2)


def test_ranks_of_an_mpi_plugin_are_left_to_an_mpi_horovod(monkeypatch):
    assert not is_for_mpi(["gloo", "mpi"])
    monkeypatch.setenv("PMIX_RANK", "0")
    assert is_for_mpi(["gloo", "mpi"])
    assert not is_for_mpi(["gloo"])
    monkeypatch.setenv("HOROVOD_CONTROLLER", "gloo")
    assert not is_for_mpi(["gloo", "mpi"])


def start(tmp_path: Path, *command: str, size: int, nodes: int = 1, **extra: str) -> "subprocess.Popen[str]":
    """Starts a command on ``size`` ranks of ``nodes`` nodes, with extra environment variables."""
    variables = {"SLURM_JOB_ID": str(time.time_ns()), "SLURM_NTASKS": str(size), "SLURM_JOB_NUM_NODES": str(nodes)}
    return subprocess.Popen(
        [sys.executable, str(PROGRAMS / "srun.py"), *command],
        env=environment(TF_CPP_MIN_LOG_LEVEL="3", **variables, **extra),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def srun(
    tmp_path: Path, *, size: int, nodes: int = 1, before: tuple[str, ...] = (), **extra: str
) -> "subprocess.CompletedProcess[str]":
    """Runs ``programs/rank_position.py`` on all ranks to its end, as an argument of the command ``before``."""
    job = start(tmp_path, *before, *program("rank_position"), size=size, nodes=nodes, **extra)
    output, errors = job.communicate(timeout=240)
    return subprocess.CompletedProcess(job.args, job.returncode, output, errors)


def late_rank(seconds: int) -> tuple[str, ...]:
    """A command whose arguments are a command. On rank 1 it starts that command later."""
    # A shell would also unblock signals.
    wait = f"time.sleep({seconds} * int(os.environ['SLURM_PROCID']))"
    return (sys.executable, "-S", "-c", f"import os, sys, time; {wait}; os.execvp(sys.argv[1], sys.argv[1:])")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_address() -> str:
    """The address under which other machines reach this one. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has only the loopback address")
        return probe.getsockname()[0]


@pytest.mark.distributed
@pytest.mark.slow
def test_ranks_of_two_nodes_find_each_other(tmp_path):
    done = srun(tmp_path, size=4, nodes=2, HOROVOD_GLOO_RENDEZVOUS_ADDR=own_address())
    assert done.returncode == 0, done.stderr
    positions = sorted(json.loads(line) for line in done.stdout.splitlines())
    assert positions == [[rank, 4, rank % 2, 2, 10] for rank in range(4)]


@pytest.mark.distributed
@pytest.mark.slow
def test_another_job_on_the_port_is_not_taken_for_rank_0(tmp_path):
    """Another program has rank 0's port. Rank 0 cannot listen, and the other ranks detect that it is not their job."""
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    ) as server:
        (tmp_path / "tfdl").mkdir()
        (tmp_path / "tfdl" / "job").write_text("6.0.0")
        port = re.search(r"port (\d+)", server.stdout.readline()).group(1)
        done = srun(tmp_path, size=2, HOROVOD_GLOO_RENDEZVOUS_PORT=port, TFDL_START_SECONDS="1")
        server.terminate()
    assert done.returncode == 1  # the code of a plain script that ends with a traceback
    assert f"rank 0 cannot listen on 127.0.0.1:{port} (Address already in use)" in done.stderr
    assert f"was not found at 127.0.0.1:{port} in 1 s (job 6.0.0 answered); see rank 0's own error" in done.stderr


@pytest.mark.distributed
@pytest.mark.slow
def test_rank_0_s_node_must_be_reachable(tmp_path):
    done = srun(tmp_path, size=2, nodes=2, TFDL_START_SECONDS="1")
    assert done.returncode == 1
    assert "rank 0's node 'node1' does not resolve on this node" in done.stderr
    done = srun(tmp_path, size=2, nodes=2, TFDL_START_SECONDS="1", HOROVOD_GLOO_RENDEZVOUS_ADDR="localhost")
    message = "node1 resolves to 127.0.0.1 on its own node, where other nodes cannot reach it; give it its routable"
    assert f"{message} address in /etc/hosts" in done.stderr


@pytest.mark.distributed
@pytest.mark.slow
def test_a_rank_that_does_not_start_in_time_ends_the_job(tmp_path):
    done = srun(tmp_path, size=2, before=late_rank(20), TFDL_START_SECONDS="1")
    assert done.returncode == 1
    assert "rank 1 did not start within 1 s of rank 0" in done.stderr


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_a_signal_while_ranks_start_has_one_outcome(tmp_path, name):
    """Rank 0 waits for rank 1, which has not begun yet, as a node does that reads its packages over a slow network."""
    port = free_port()
    command = ("env", "--block-signal=USR1", "--block-signal=TERM", *late_rank(10), *program("commands"))
    train = json.dumps([["train", "--output", "run"]])
    job = start(tmp_path, *command, train, size=2, HOROVOD_GLOO_RENDEZVOUS_PORT=str(port))
    deadline = time.monotonic() + 120
    while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for rank in Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split():
        os.kill(int(rank), signal.Signals[name])
    output, errors = job.communicate(timeout=120)
    assert output.splitlines() == ["command ended: 75"] * 2, errors
    assert f"stopped by {name} while no training steps ran; continue with --resume" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.distributed
@pytest.mark.slow
def test_a_signal_of_one_rank_stops_connected_ranks_before_the_first_step(tmp_path):
    """Rank 0 alone has the signal. The fake srun exits with the highest code of the ranks."""
    job = start(tmp_path, *program("stopped_at_start"), "train", "--output", "run", size=2)
    _, errors = job.communicate(timeout=240)
    assert job.returncode == 75, errors
    assert "tfdl: rank 0: stopped by SIGUSR1 while no training steps ran; continue with --resume" in errors
    assert "tfdl: error" not in errors
    assert "Traceback" not in errors
