"""The number of cores that a rank uses: the host's affinity, Slurm's variables, and limits of control groups."""

import os
from pathlib import Path

import pytest

from tfdl.distributed import cores
from tfdl.distributed.cores import cores_of_rank


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with 16 cores and no limits, outside of Slurm. Its control groups are in a folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(cores, "_CGROUP_ROOT", tmp_path / "groups")
    monkeypatch.setattr(cores, "_OWN_CGROUPS", tmp_path / "own")
    for name in list(os.environ):
        if name.startswith("SLURM"):
            monkeypatch.delenv(name)
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/a/b\n")
    return tmp_path / "groups"


@pytest.mark.usefixtures("groups")
def test_ranks_share_the_cores_of_a_host():
    assert [cores_of_rank(size) for size in (1, 2, 3, 100)] == [16, 8, 5, 1]


@pytest.mark.usefixtures("groups")
def test_a_rank_of_srun_has_the_cores_that_slurm_gives_it(monkeypatch):
    """Without binding, a rank sees all cores of its node; with binding, only its own."""
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "4")
    assert cores_of_rank(2) == 2
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert cores_of_rank(2) == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7})
    assert cores_of_rank(2) == 1


@pytest.mark.usefixtures("groups")
def test_slurm_s_variables_of_a_batch_script_are_not_those_of_a_rank(monkeypatch):
    """horovodrun in a batch script: its ranks share the cores."""
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert cores_of_rank(2) == 8


@pytest.mark.parametrize(("folder", "text", "expected"), [
    ("a/b", "400000 100000", 4), ("a", "250000 100000", 2), ("", "1000 100000", 1), ("a/b", "max 100000", 16),
    ("a/b", "nonsense", 16),
])  # fmt: skip
def test_the_limit_of_a_container(groups, folder, text, expected):
    (groups / folder / "cpu.max").write_text(text + "\n")
    assert cores_of_rank(1) == expected
    assert cores_of_rank(2) == max(1, expected // 2)


@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 16)])
def test_the_limit_of_a_container_on_an_old_host(groups, quota, expected):
    (groups.parent / "own").write_text("4:cpu,cpuacct:/a\n3:memory:/a\n")
    folder = groups / "cpu" / "a"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu.cfs_period_us").write_text("100000")
    assert cores_of_rank(1) == expected


def test_a_host_without_control_groups(groups):
    (groups.parent / "own").unlink()
    assert cores_of_rank(1) == 16
