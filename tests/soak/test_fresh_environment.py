"""``tfdl install-horovod`` in a new environment: built or taken from the cache, installed, and proved."""

import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tfdl.horovod_build import install


@pytest.mark.distributed
def test_a_fresh_environment_gets_a_horovod_that_works(tmp_path):
    """The new environment can import this one's packages. With the wheel in the user's cache it takes seconds."""
    if not (shutil.which("c++") and shutil.which("make")):
        pytest.skip("needs a C++ compiler and make")
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False)
    site = Path(sysconfig.get_path("purelib"))
    packages = next(fresh.glob("lib/python*/site-packages"))
    (packages / "parent.pth").write_text(f"import site; site.addsitedir({str(site)!r})\n")
    variables = {**os.environ, "PYTHONPATH": str(Path(install.__file__).resolve().parents[2])}
    command = [str(fresh / "bin" / "python"), "-m", "tfdl", "install-horovod", "--cpu"]
    first = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=3600, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "proved over gloo: two ranks summed a tensor on the CPU" in first.stdout
    second = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "is already installed; proving it" in second.stdout
