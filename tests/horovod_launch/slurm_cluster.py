"""A real Slurm on this machine: a controller and two nodes, each a simulated host with its own network.

It needs root, and Debian's packages slurmctld, slurmd, slurm-client and munge. Nothing outside a temporary folder is
changed, and no daemon outlives the block.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.hosts import Host, Hosts, missing_requirements, simulated_hosts
from tests.horovod_launch.recipes import FOLDER, environment
from tests.horovod_launch.slurm_job import PATIENCE, POLL_SECONDS, SlurmJob

NODES = ("n1", "n2")
_SBIN = f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
_TWO_RANKS = ("--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=0", "--cpus-per-task=1")
# A lost node is declared down after SlurmdTimeout. All partitions have the same nodes: jobs of "urgent" preempt those
# of "main", which have GraceTime seconds to save, and of "graceless".
_CONFIGURATION = """ClusterName=test
SlurmctldHost=head
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=/run/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=300
SlurmdTimeout={down_seconds}
KillWait=30
MinJobAge=3600
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-2] CPUs=2 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=graceless Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
"""


def missing_slurm() -> str:
    """Returns in words what this machine does not have and the cluster needs; empty when nothing is missing."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_SBIN) is None]
    if missing:
        return f"a Slurm on one machine needs {', '.join(missing)}"
    return missing_requirements()


class SlurmCluster:
    """Two nodes and a controller.

    Args:
        hosts: the three.
        folder: of Slurm's files.
    """

    def __init__(self, hosts: Hosts, folder: Path):
        self.hosts = hosts
        self.folder = folder
        self._munge_output = ""
        path = f"{Path(sys.executable).parent}{os.pathsep}{_SBIN}"
        self._environment = {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str, check: bool = True) -> str:
        """Runs one of Slurm's commands on the controller's host, and returns its output."""
        done = self.hosts["head"].run(*command, env={**environment(), **self._environment})
        assert not check or done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def submit(self, script: Path, *arguments: str, options: tuple[str, ...] = (), cwd: Path) -> SlurmJob:
        """Submits a script with its arguments.

        Args:
            script: of the job.
            arguments: of the script.
            options: of sbatch.
            cwd: the working directory, which also gets the output.
        """
        output = cwd / f"job-{time.monotonic_ns()}.out"
        own = (f"--chdir={cwd}", f"--output={output}", *options)
        number = self.run("sbatch", "--parsable", *own, str(script), *arguments).strip().splitlines()[-1]
        return SlurmJob(self.run, self.job_processes, number, output)

    def train(self, *arguments: str, cwd: Path, options: tuple[str, ...] = ()) -> SlurmJob:
        """Submits ``slurm.sh`` with one rank on each node."""
        return self.submit(FOLDER / "slurm.sh", *arguments, options=(*_TWO_RANKS, *options), cwd=cwd)

    def train_array(
        self, *arguments: str, numbers: Sequence[int], cwd: Path, options: tuple[str, ...] = ()
    ) -> list[SlurmJob]:
        """Submits ``slurm.sh`` as an array, and returns its tasks."""
        output = f"--output={cwd}/task-%a.out"
        array = f"--array={','.join(map(str, numbers))}"
        own = (*_TWO_RANKS, *options, array, output)
        job = self.submit(FOLDER / "slurm.sh", *arguments, options=own, cwd=cwd)
        return [
            SlurmJob(self.run, self.job_processes, f"{job.number}_{number}", cwd / f"task-{number}.out")
            for number in numbers
        ]

    def job_processes(self) -> list[psutil.Process]:
        """All processes of jobs on the nodes."""
        processes = [process for name in NODES for process in self.hosts[name].processes()]
        return [process for process in processes if process.name() not in ("slurmd", "munged")]

    def start_daemons(self, *names: str) -> None:
        """Starts the daemons of hosts, and waits until the nodes are idle."""
        for name in names:
            self._start_daemons_of(self.hosts[name])
        deadline = time.monotonic() + PATIENCE
        while self.run("sinfo", "-h", "-p", "main", "-o", "%T", check=False).split() != ["idle"]:
            assert time.monotonic() < deadline, self._logs()
            time.sleep(POLL_SECONDS)

    def crash(self, name: str) -> None:
        """Ends a node as a power failure does: its cable is dead, and so are its processes."""
        self.hosts.disconnect(name)
        for process in self.hosts[name].processes():
            process.kill()

    def repair(self, name: str) -> None:
        """Starts a node again after ``crash``."""
        self.hosts.reconnect(name)
        self.start_daemons(name)

    def _start_daemons_of(self, host: Host) -> None:
        munged = ("--force", "--key-file", str(self.folder / "munge.key"), "--socket", "/run/munge.socket")
        files = ("--pid-file", "/run/munge.pid", "--log-file", "/run/munge.log", "--seed-file", "/run/munge.seed")
        self._munge_output += host.run("munged", *munged, *files, env=self._environment).stdout
        daemon = ("slurmctld", "-D") if host.name == "head" else ("slurmd", "-D", "-N", host.name)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        host.start(*daemon, env={**environment(), **self._environment}, **streams)

    def _logs(self) -> str:
        logs = "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))
        return f"the nodes are not idle: {self.run('sinfo', check=False)}\n{self._munge_output}\n{logs}"


@contextmanager
def slurm_cluster(down_seconds: int = 60) -> Iterator[SlurmCluster]:
    """Makes the cluster until the block ends.

    Args:
        down_seconds: how long a node that does not answer is not yet down.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        (folder / "state").mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        (folder / "slurm.conf").write_text(_CONFIGURATION.format(folder=folder, down_seconds=down_seconds))
        hosts = stack.enter_context(simulated_hosts("head", *NODES))
        cluster = SlurmCluster(hosts, folder)
        cluster.start_daemons("head", *NODES)
        yield cluster
