"""The scripts as texts: linters, the options for schedulers in their headers, and the errors after a user's mistake."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.horovod_launch.recipes import FOLDER, SCRIPTS, environment, run

HEADERS = {path.name: path.read_text().split("\nset -", 1)[0] for path in SCRIPTS}


def tool(name: str) -> str:
    """The path of a program of this environment or of the machine."""
    path = shutil.which(name, path=environment()["PATH"])
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_linter_finds_nothing(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    done = subprocess.run([tool("shellcheck"), str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_linter_finds_an_error(tmp_path):
    """The control: the linter reports a known mistake."""
    (tmp_path / "bad.sh").write_text("#!/usr/bin/env bash\nrm -rf $1\n")
    done = subprocess.run([tool("shellcheck"), str(tmp_path / "bad.sh")], capture_output=True, text=True, check=False)
    assert "SC2086" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_executable_and_its_header_shows_how_to_start_it(script):
    assert script.stat().st_mode & 0o111 == 0o111
    assert re.search(r"^# \S", HEADERS[script.name], re.MULTILINE)
    if script.name != "discover_hosts.sh":  # which horovodrun starts
        assert re.search(rf"^#   .*horovod_launch/{script.name}", HEADERS[script.name], re.MULTILINE)


def test_the_index_has_every_file():
    index = (FOLDER / "README.md").read_text()
    names = {path.name for path in FOLDER.iterdir()} - {"README.md"}
    missing = [name for name in names if f"]({name})" not in index]
    assert missing == []


def directives(name: str, scheduler: str) -> list[str]:
    """The options that a script's header gives to its scheduler, without the comments behind them."""
    prefix = f"#{scheduler} "
    options = []
    for line in HEADERS[name].splitlines():
        if line.startswith(prefix):
            option, *_ = line.removeprefix(prefix).split(" #")
            options.append(option.strip())
    return options


def test_slurm_warns_the_ranks_and_requeues():
    options = directives("slurm.sh", "SBATCH")
    assert {"--signal=USR1@90", "--requeue", "--open-mode=append"} <= set(options)
    assert all(re.fullmatch(r"--[a-z-]+(=\S+)?", option) for option in options), options


def test_slurm_itself_accepts_the_header(tmp_path):
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no Slurm that answers")
    own = ("--nodes=1", "--ntasks-per-node=2", "--gpus-per-node=0", "--cpus-per-task=1")
    command = ["sbatch", "--test-only", *own, str(FOLDER / "slurm.sh"), "--output", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "to start at" in done.stderr


def test_lsf_warns_and_requeues():
    options = directives("lsf.sh", "BSUB")
    assert {"-wa USR1", "-wt 2", '-Q "75"', "-r"} <= set(options)


# Files that every test of ONE_LINE finds in its folder.
HOSTFILES = {
    "empty": "\n# nobody\n",
    "typing": "gpu-1 slots=4\ngpu-2 slot=4\n",
    "unknown": "no-such-host.invalid slots=1\n",
}
# Script, arguments, environment, and words of the only line that it prints.
ONE_LINE = [
    ("ssh.sh", (), {}, "expected: ssh.sh HOSTFILE --output RUN"),
    ("ssh.sh", ("none", "--output", "run"), {}, "no hostfile none, expected a file with lines such as 'gpu-1 slots=4'"),
    ("ssh.sh", ("empty", "--output", "run"), {}, "hostfile empty names no host"),
    ("ssh.sh", ("typing", "--output", "run"), {}, "hostfile typing: 'gpu-2 slot=4', expected a name and its ranks"),
    ("ssh.sh", ("unknown", "--output", "run"), {}, "host no-such-host.invalid does not resolve"),
    ("slurm.sh", ("--output", "run"), {}, "not in a Slurm job, expected: sbatch horovod_launch/slurm.sh"),
    ("slurm.sh", ("--epochs", "3"), {"SLURM_JOB_ID": "7"}, "no --output, expected the run directory"),
    ("slurm.sh", ("--output=run",), {"SLURM_JOB_ID": "7", "PATH": "/usr/bin:/bin"}, "no tfdl on PATH"),
    ("lsf.sh", (), {}, "not in an LSF job, expected: bsub < horovod_launch/lsf.sh"),
    ("lsf.sh", (), {"LSB_JOBID": "7"}, "LSB_MCPU_HOSTS is empty"),
    ("lsf.sh", (), {"LSB_JOBID": "7", "LSB_MCPU_HOSTS": "a 1"}, "no horovod_launch/stoppable.sh in"),
    ("elastic.sh", ("8", "2", "script", "--output"), {}, "expected: elastic.sh FEWEST MOST DISCOVERY_SCRIPT"),
    ("elastic.sh", ("1", "2", "none.sh", "--output", "run"), {}, "no program /.*/none.sh, expected one that prints"),
    ("elastic.sh", ("1", "2", str(FOLDER / "discover_hosts.sh"), "--output", "run"), {}, "no file hosts.elastic"),
    ("elastic.sh", ("1", "2", "silent.sh", "--output", "run"), {}, "silent.sh prints no host now"),
    ("local.sh", (), {"PATH": "/usr/bin:/bin"}, "no horovodrun on PATH; .* tfdl install-horovod"),
    ("elastic.sh", ("1", "2", "x", "--output"), {"PATH": "/usr/bin:/bin"}, "no program /.*/x"),
    ("restarting.sh", ("horovodrun", "tfdl", "train", "--output", "run"), {}, "expected: restarting.sh horovodrun"),
    ("restarting.sh", ("--hostfile", "none", "--output=run", "--resume"), {}, "no hostfile none, expected a file"),
    ("stoppable.sh", ("-np", "2", "tfdl", "train"), {}, "expected: stoppable.sh HOROVODRUN_FLAGS -- tfdl train"),
    ("stoppable.sh", ("-np", "2", "--", "tfdl", "train"), {}, "no --output, expected the run directory"),
    ("stoppable.sh", ("--", "tfdl", "--output", "x"), {"PATH": "/usr/bin:/bin"}, "no horovodrun on PATH"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "extra", "words"), ONE_LINE, ids=lambda value: str(value)[:40])
def test_a_mistake_ends_with_one_line(tmp_path, name, arguments, extra, words):
    for hostfile, text in HOSTFILES.items():
        (tmp_path / hostfile).write_text(text)
    (tmp_path / "silent.sh").write_text("#!/bin/sh\n")
    (tmp_path / "silent.sh").chmod(0o755)
    code, output = run(name, *arguments, cwd=tmp_path, **extra)
    assert code == 2, output
    lines = output.splitlines()
    # discover_hosts.sh prints its own error; elastic.sh adds what it expected.
    expected_lines = 2 if "hosts.elastic" in words else 1
    assert len(lines) == expected_lines, output
    assert re.search(words, lines[0]), output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh on PATH")
def test_a_host_that_cannot_be_reached_ends_with_one_line(tmp_path):
    """An address that no host has. In a network that accepts connections to it, ssh gives up after ten seconds."""
    (tmp_path / "hosts").write_text("localhost slots=1  # this one\n240.0.0.1 slots=1\n")
    code, output = run("ssh.sh", "hosts", "--output", "run", cwd=tmp_path)
    assert code == 2, output
    assert output.count("\n") == 1, output
    assert re.search(r"ssh.sh: host 240.0.0.1: expected ssh without a password, .* got: .*240.0.0.1 port 22", output)


def test_hosts_are_those_that_answer(tmp_path):
    (tmp_path / "hosts.elastic").write_text("# mine\nlocalhost:2\n\n127.0.0.1\nno-such-host.invalid:4")
    code, output = run("discover_hosts.sh", cwd=tmp_path)
    assert code == 0, output
    assert sorted(output.splitlines()) == ["127.0.0.1:1", "localhost:2"]
    (tmp_path / "other").write_text("localhost:3\n")
    code, output = run("discover_hosts.sh", cwd=tmp_path, TFDL_HOSTS=str(tmp_path / "other"))
    assert code == 0
    assert output == "localhost:3\n"


DOCKERFILES = sorted(FOLDER.glob("Dockerfile*"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_of_dockerfiles_finds_nothing(path):
    done = subprocess.run([tool("hadolint"), "--no-color", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_files_copied_into_an_image_exist_and_are_not_ignored(path):
    root = FOLDER.parent
    ignore_lines = (root / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignore_lines if line.startswith("!")}
    sources = []
    for line in path.read_text().splitlines():
        if re.match(r"COPY (?!--from)", line):
            _, *copied, _ = line.split()  # COPY, the sources, the destination
            sources += copied
    assert sources
    for source in sources:
        assert (root / source).exists(), source
        assert Path(source).parts[0] in allowed, source
