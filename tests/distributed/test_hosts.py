"""A job on two hosts over ssh: it trains one model; its link is cut during training; and the run is resumed."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks.hosts import Host, Hosts, missing_requirements, simulated_hosts
from tests.distributed.faults import MARK
from tests.distributed.launching import HOROVODRUN, TIMEOUT, Finished, environment, launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

SMALL = (
    "--set", "model.filters=[8]", "--set", "model.units=16", "--set", "model.dropout=0.2", "--set",
    "steps_per_execution=1", "--epochs", "4",
)  # fmt: skip
# With a given interface, horovodrun does not start Python on every host to find one.
NETWORK = ("--network-interfaces", "eth0")
# An epoch has 12 steps, so this is in the middle of the third epoch.
CUT_STEP = 30
# Seconds. The job must end within the sum of the two.
WATCHDOG = 4.0
GRACE = 5.0


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """``h1`` and ``h2``."""
    if reason := missing_requirements():
        pytest.skip(reason)
    with simulated_hosts("h1", "h2") as simulated:
        yield simulated


@pytest.fixture(scope="module")
def straight(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run with one rank on each host. horovodrun finds the network itself."""
    run = tmp_path_factory.mktemp("straight") / "run"
    job = finish(start(hosts, "tfdl", "train", "--output", str(run), *SMALL, network=()))
    assert job.code == 0, job.output
    return run


def start(
    hosts: Hosts, *command: str, network: Sequence[str] = NETWORK, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Starts ``horovodrun -np 2 -H h1:1,h2:1 COMMAND`` on ``h1``.

    Args:
        hosts: The two hosts.
        command: The program of each rank.
        network: horovodrun's options for the network interface.
        env: Environment variables to add.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{hosts.environment['PATH']}"
    env = environment(**{**hosts.environment, "PATH": path}, **(env or {}))
    return hosts["h1"].start(
        *HOROVODRUN, "--disable-cache", *network, "-np", "2", "-H", "h1:1,h2:1", *command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(job: "subprocess.Popen[str]") -> Finished:
    output, _ = job.communicate(timeout=TIMEOUT)
    return Finished(job.returncode, output)


def weights(run: Path) -> str:
    return json.loads((run / "summary.json").read_text())["weights_sha256"]


def test_two_hosts_train_the_model_of_one(straight: Path, tmp_path: Path) -> None:
    """The job succeeded, so all comparisons of the ranks did too. The model is that of one host."""
    assert json.loads((straight / "status.json").read_text())["code"] == 0
    job = launch(2, "tfdl", "train", "--output", str(tmp_path / "run"), *SMALL)
    assert job.code == 0, job.output
    assert weights(tmp_path / "run") == weights(straight)


@dataclass(frozen=True)
class Aftermath:
    """A job whose link was cut in the middle of its third epoch."""

    run: Path
    seconds: dict[str, float]
    """From the cut to the end of the job's last process, by host. A host with running processes has no entry."""
    left: dict[str, list[str]]
    """Commands of the job that are still running, by host."""
    complaints: dict[str, list[str]]
    """tfdl's lines on each host's own standard error. Those of ``h2`` cannot reach the launcher."""


def cut_a_job(hosts: Hosts, folder: Path, watchdog_timeout: float, patience: float) -> Aftermath:
    """Cuts the link of ``h2`` while its rank is between two steps and the other rank waits for it.

    Args:
        hosts: The two hosts.
        folder: A folder for the run directory and each host's standard error.
        watchdog_timeout: The job's option of this name, in seconds.
        patience: The seconds after the cut until the job is ended.
    """
    run = folder / "run"
    train = (*program("faulty_train"), "cut off", "1", "--output", str(run), *SMALL)
    timeout = ("--watchdog-timeout", str(watchdog_timeout))
    # Standard error goes to a file that is named after the host. sh takes the last word as the name of the command.
    with_own_stderr = ("sh", "-c", f'exec "$@" 2> {folder}/$(hostname)', "sh")
    job = start(hosts, *with_own_stderr, *train, *timeout, env={"FAULT_STEP": str(CUT_STEP)})
    try:
        assert job.stdout is not None
        for line in job.stdout:
            if MARK in line:
                break
        processes = {host.name: host.processes() for host in hosts}
        hosts.disconnect("h2")
        cut_time = time.monotonic()
        seconds_of: dict[psutil.Process, float] = {}

        def note_end(process: psutil.Process) -> None:
            seconds_of[process] = time.monotonic() - cut_time

        everything = [*processes["h1"], *processes["h2"]]
        psutil.wait_procs(everything, timeout=patience, callback=note_end)
        left = {host.name: commands_on(host) for host in hosts}
    finally:
        end_all(hosts, job)
    seconds = {}
    complaints = {}
    for host in hosts:
        if not left[host.name]:
            seconds[host.name] = max(seconds_of[process] for process in processes[host.name])
        lines = (folder / host.name).read_text().splitlines()
        complaints[host.name] = [line for line in lines if line.startswith("tfdl: ")]
    return Aftermath(run, seconds, left, complaints)


def commands_on(host: Host) -> list[str]:
    """The command lines of the host's processes."""
    commands = []
    for process in host.processes():
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            commands.append(" ".join(process.cmdline()))
    return commands


def end_all(hosts: Hosts, job: "subprocess.Popen[str]") -> None:
    """Ends the remaining processes of a job, and repairs the link."""
    try:
        for host in hosts:
            for process in host.processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        job.communicate()
    finally:
        hosts.reconnect("h2")


@pytest.fixture(scope="module")
def cut_off(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    return cut_a_job(hosts, tmp_path_factory.mktemp("cut"), WATCHDOG, patience=TIMEOUT)


def test_a_cut_link_ends_both_sides_in_time_with_the_cause(cut_off: Aftermath) -> None:
    assert cut_off.left == {"h1": [], "h2": []}
    assert max(cut_off.seconds.values()) < WATCHDOG + GRACE
    for host, other, rank in (("h1", "h2", 1), ("h2", "h1", 0)):
        assert len(cut_off.complaints[host]) == 2, cut_off.complaints
        cause = rf"no heartbeat for \d+ s \(on {other}, last step \d+\): it is stopped or cut off "
        assert re.match(f"tfdl: rank {rank}: error: {cause}", cut_off.complaints[host][0]), cut_off.complaints
        assert re.match(r"tfdl: .* --output .*", cut_off.complaints[host][1]), cut_off.complaints
    status = json.loads((cut_off.run / "status.json").read_text())
    assert status["code"] == 1
    assert "error: no heartbeat for" in status["reason"]
    assert not (cut_off.run / "summary.json").exists()


def test_a_run_that_was_cut_off_resumes_to_the_same_weights(hosts: Hosts, cut_off: Aftermath, straight: Path) -> None:
    checkpoints = sorted(path.name for path in (cut_off.run / "checkpoints").glob("step-*"))
    assert checkpoints[-1] == "step-00000024", "the end of the second epoch"
    job = finish(start(hosts, "tfdl", "train", "--output", str(cut_off.run), "--resume"))
    assert job.code == 0, job.output
    assert weights(cut_off.run) == weights(straight)


@pytest.fixture
def debian_name(hosts: Hosts) -> Iterator[Host]:
    """``h1`` as Debian configures a machine: its name resolves to an address that no other machine can reach."""
    host = hosts["h1"]
    before = host.hosts_file.read_text()
    host.hosts_file.write_text(before.replace(f"{host.address} h1", "127.0.1.1 h1"))
    yield host
    host.hosts_file.write_text(before)


def test_the_doctor_finds_a_name_that_other_hosts_cannot_reach(hosts: Hosts, debian_name: Host, tmp_path: Path) -> None:
    """The name of ``h1`` is an error. The name of ``h2`` is not, and ssh works."""
    (tmp_path / "hosts").write_text("h1 slots=1\nh2 slots=1\n")
    command = [sys.executable, "-m", "tfdl", "doctor", "--hostfile", str(tmp_path / "hosts"), "--json"]
    done = debian_name.run(*command, env=environment(**hosts.environment))
    assert done.returncode == 1, done.stdout
    diagnosis = json.loads(done.stdout[done.stdout.index("{\n") :])
    findings = {finding["subject"]: finding for finding in diagnosis["findings"]}
    own_name = findings["host name"]
    assert own_name["level"] == "error"
    assert own_name["found"].startswith("h1 resolves to 127.0.1.1: other hosts cannot reach ranks here")
    check = "from tfdl.diagnosis.hosts import check_own_name; print(*check_own_name(True))"
    assert "level='ok'" in hosts["h2"].run(sys.executable, "-c", check).stdout
    assert findings["h2"]["level"] == "ok"
    assert findings["h2"]["found"] == f"{hosts['h2'].address}, ssh without a password works"
