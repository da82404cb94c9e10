"""Jobs of ``slurm.sh`` under a real Slurm of two nodes: what ends them, and which of them are requeued."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.distributed.launching import has_horovod
from tests.horovod_launch.recipes import FOLDER, SMALL, environment
from tests.horovod_launch.slurm_cluster import NODES, SlurmCluster, missing_slurm, slurm_cluster
from tests.horovod_launch.slurm_job import SlurmJob

pytestmark = [pytest.mark.distributed, pytest.mark.skipif(not has_horovod(), reason="no horovodrun")]

OPTIONS = ("--output", "run", *SMALL, "--set", "steps_per_execution=1", "--epochs", "30")
# For a job that a test ends.
ENDLESS = (*OPTIONS[:-1], "100000")
# A node that does not answer is not down for longer than the ranks of the other node and srun wait.
DOWN_SECONDS = 300


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    if reason := missing_slurm():
        pytest.skip(reason)
    with slurm_cluster(DOWN_SECONDS) as made:
        yield made


def status_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "status.json").read_text())


def weights_of(folder: Path) -> object:
    return json.loads((folder / "run" / "summary.json").read_text())["weights_sha256"]


@pytest.fixture(scope="module")
def straight(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> object:
    """The weights of a job that nothing disturbs."""
    folder = tmp_path_factory.mktemp("straight")
    job = cluster.train(*OPTIONS, cwd=folder)
    assert job.wait_for_end() == "COMPLETED", job.output
    assert job.restarts == 0
    return weights_of(folder)


def finish(job: SlurmJob) -> None:
    """Waits for the end of a job that has been requeued."""
    job.wait_for_restart()
    job.start_again()
    assert job.wait_for_end() == "COMPLETED", job.output


def test_a_job_that_is_asked_to_stop_is_requeued(cluster: SlurmCluster, straight: object, tmp_path: Path) -> None:
    job = cluster.train(*OPTIONS, cwd=tmp_path)
    job.wait_for_output("epoch  3/")
    job.signal("--signal=USR1")
    job.wait_for_restart()
    assert "slurm.sh: stopped with a new checkpoint; requeuing the job" in job.output
    assert "stopped by SIGUSR1" in str(status_of(tmp_path)["reason"])
    finish(job)
    assert job.restarts == 1
    assert weights_of(tmp_path) == straight


@pytest.mark.parametrize("partition", ["main", "graceless"])
def test_a_preempted_job_is_requeued(cluster: SlurmCluster, straight: object, tmp_path: Path, partition: str) -> None:
    """With GraceTime the ranks have the time to save, and the script requeues the job; without, Slurm does it."""
    job = cluster.train(*OPTIONS, options=(f"--partition={partition}",), cwd=tmp_path)
    job.wait_for_output("epoch  3/")
    script = tmp_path / "urgent.sh"
    script.write_text("#!/bin/sh\nsleep 5\n")
    urgent = cluster.submit(script, options=("--partition=urgent", "--nodes=2", "--exclusive"), cwd=tmp_path)
    job.wait_for_restart()
    if partition == "main":
        assert "slurm.sh: preempted at" in job.output
        assert "stopped by SIGTERM" in str(status_of(tmp_path)["reason"])
    else:
        assert "slurm.sh:" not in job.output
    assert urgent.wait_for_end() == "COMPLETED"
    finish(job)
    assert weights_of(tmp_path) == straight


def test_a_job_that_its_user_requeues_resumes(cluster: SlurmCluster, straight: object, tmp_path: Path) -> None:
    job = cluster.train(*OPTIONS, cwd=tmp_path)
    job.wait_for_output("epoch  3/")
    cluster.run("scontrol", "requeue", job.number)
    finish(job)
    assert job.restarts == 1
    assert weights_of(tmp_path) == straight


def test_ranks_may_start_further_apart_than_gloo_allows(
    cluster: SlurmCluster, straight: object, tmp_path: Path
) -> None:
    """The second node starts its rank 45 s later, as one that reads its packages over a slow network."""
    (tmp_path / "bin").mkdir()
    command = shutil.which("tfdl", path=environment()["PATH"])
    text = f'#!/bin/sh\n[ "$SLURM_PROCID" = 0 ] || sleep 45\nexec {command} "$@"\n'
    (tmp_path / "bin" / "tfdl").write_text(text)
    (tmp_path / "bin" / "tfdl").chmod(0o755)
    options = (f"--export=ALL,PATH={tmp_path}/bin:{environment()['PATH']}",)
    job = cluster.train(*OPTIONS, options=options, cwd=tmp_path)
    assert job.wait_for_end() == "COMPLETED", job.output
    assert weights_of(tmp_path) == straight


def test_a_job_that_lost_a_node_is_requeued(cluster: SlurmCluster, straight: object, tmp_path: Path) -> None:
    job = cluster.train(*OPTIONS, "--watchdog-timeout", "10", cwd=tmp_path)
    job.wait_for_output("epoch  3/")
    cluster.crash(NODES[1])
    job.wait_for_output("requeuing the job")
    assert re.search(rf"slurm.sh: (node {NODES[1]} is |failed on node {NODES[1]}\b)", job.output)
    cluster.repair(NODES[1])
    finish(job)
    assert weights_of(tmp_path) == straight


def test_a_job_whose_rank_dies_fails(cluster: SlurmCluster, tmp_path: Path) -> None:
    """The control of the lost node: both nodes answer, so starting again might end in the same way."""
    job = cluster.train(*ENDLESS, cwd=tmp_path)
    job.wait_for_output("/100000")
    for process in cluster.hosts[NODES[1]].processes():
        if "train" in process.cmdline():
            process.kill()
    assert job.wait_for_end() == "FAILED"
    assert job.restarts == 0
    assert "requeuing" not in job.output


def test_a_cancelled_job_saves_and_is_not_requeued(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = cluster.train(*ENDLESS, cwd=tmp_path)
    job.wait_for_output("/100000")
    job.signal()
    assert job.wait_for_end() == "CANCELLED"
    assert job.restarts == 0
    job.wait_for_output("stopped by SIGTERM")
    assert "requeuing" not in job.output


def test_the_header_s_example_for_cpus_fits_small_nodes(cluster: SlurmCluster) -> None:
    """The cluster's nodes have two cores each. With the header's own cores for each rank it would wait for ever."""
    script = FOLDER / "slurm.sh"
    example = re.search(r"^#   (sbatch .*--gpus-per-node=0.*)\\\n# +(\S+slurm.sh) ", script.read_text(), re.MULTILINE)
    assert example is not None
    options = example[1].split()[1:]
    assert "to start at" in cluster.run("sbatch", "--test-only", *options, str(script), "--output", "run")
    cores = [option for option in options if option.startswith("--cpus-per-task")]
    refused = [option for option in options if option not in cores]
    refusal = cluster.run("sbatch", "--test-only", *refused, str(script), "--output", "run", check=False)
    assert "Requested node configuration is not available" in refusal


def test_bad_input_is_not_requeued(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = cluster.train("--output", "run", "--model", "cmm", cwd=tmp_path)
    assert job.wait_for_end() == "FAILED"
    assert (job.field("ExitCode"), job.restarts) == ("2:0", 0)


def test_a_job_whose_time_is_up_is_requeued(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Slurm itself sends the signal here: within its second minute, since it looks at the time twice a minute."""
    job = cluster.train(*ENDLESS, options=("--time=2", "--signal=USR1@30"), cwd=tmp_path)
    job.wait_for_restart()
    assert "slurm.sh: stopped with a new checkpoint; requeuing the job" in job.output
    job.signal()
    assert job.wait_for_end() == "CANCELLED"


def test_a_job_without_progress_is_not_requeued(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Its time limit is below the time of its start and the warning."""
    job = cluster.train(*ENDLESS, options=("--time=1", "--signal=USR1@59"), cwd=tmp_path)
    assert job.wait_for_end() == "FAILED", job.output
    assert (job.field("ExitCode"), job.restarts) == ("1:0", 0)
    assert "slurm.sh: stopped before a new checkpoint was saved; the time limit is too short" in job.output


@pytest.mark.parametrize("name", ["USR1", "TERM"])
@pytest.mark.parametrize("seconds", [0, 3, 6, 9, 12])
def test_a_signal_during_the_start_has_one_outcome(
    cluster: SlurmCluster, tmp_path: Path, name: str, seconds: int
) -> None:
    """All ranks exit with 75, wherever the signal meets them, or they have begun to train and save."""
    job = cluster.train(*ENDLESS, cwd=tmp_path)
    job.wait_for_ranks()
    time.sleep(seconds)  # where the signal meets the ranks; the result does not depend on it
    job.signal(f"--signal={name}")
    job.wait_for_output("slurm.sh: stopped ")
    exits = re.findall(r"srun: error: n\d: (task .*)", job.output)
    assert all(line.endswith("Exited with exit code 75") for line in exits), job.output
    assert len(exits) == 2, job.output
    job.signal()
    job.wait_for_end()


def test_each_task_of_an_array_has_its_own_run(cluster: SlurmCluster, tmp_path: Path) -> None:
    """The number of one task is that of the whole array; only this task is requeued."""
    own = ("--nodes=1", "--ntasks-per-node=2")
    tasks = cluster.train_array(*OPTIONS, numbers=(3, 4), options=own, cwd=tmp_path)
    for task in tasks:
        task.wait_for_ranks()  # before, both have the number of the array
    (whole,) = [task for task in tasks if task.field("JobId") == task.field("ArrayJobId")]
    whole.wait_for_output("epoch  3/")
    whole.signal("--signal=USR1")
    whole.wait_for_restart()
    for task in tasks:
        if task is not whole:
            assert task.wait_for_end() == "COMPLETED"
            assert task.restarts == 0
    finish(whole)
    for seed in (3, 4):
        config = (tmp_path / "run" / f"seed-{seed}" / "config.yaml").read_text()
        assert yaml.safe_load(config)["seed"] == seed
