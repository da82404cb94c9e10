"""``tfdl doctor`` on one rank."""


def test_doctor_finds_this_machine_fit(run_here, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    code, out, err = run_here("doctor")
    assert (code, err) == (0, "")
    for subject in ("Python", "tensorflow", "keras", "GPUs", "data directory", "working directory"):
        assert any(line[6:].startswith(subject) for line in out.splitlines()), subject


def test_doctor_refuses_another_backend(tfdl_command):
    done = tfdl_command("doctor", env={"KERAS_BACKEND": "torch"})
    assert done.returncode == 1
    assert "unset KERAS_BACKEND" in done.stdout
    assert "Traceback" not in done.stderr


def test_doctor_reports_a_host_that_does_not_resolve(run_here, tmp_path):
    (tmp_path / "hosts").write_text("no-such-host.invalid slots=2  # mine\n\n")
    code, out, _ = run_here("doctor", "--hostfile", tmp_path / "hosts")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "no-such-host.invalid" in line and "does not resolve" in line]
    assert "FAIL" in line


def test_doctor_reports_wrong_variables_of_a_launcher(run_here, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_SIZE", "none")
    code, out, _ = run_here("doctor")
    assert code == 1
    assert "HOROVOD_SIZE='none'" in out
