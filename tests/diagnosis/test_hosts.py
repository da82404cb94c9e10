"""What the doctor says about hostfiles and host names."""

import socket
from pathlib import Path

import pytest

from tfdl.diagnosis import hosts
from tfdl.errors import UserError


def test_a_hostfile_has_names_with_slots_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("gpu-1 slots=4\n\n# the second one\n10.0.0.2   slots=12  # mine\n")
    assert hosts.read_hostfile(path) == ["gpu-1", "10.0.0.2"]


@pytest.mark.parametrize("line", ["gpu-2", "gpu-2:4", "gpu-2 slot=4", "gpu-2 slots=0", "gpu-2 slots=", "slots=4"])
def test_another_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "hosts"
    path.write_text(f"gpu-1 slots=4\n{line}\n")
    with pytest.raises(UserError, match=f"line 2: '{line}', expected a name and its ranks, such as `gpu-1 slots=4`"):
        hosts.read_hostfile(path)


def test_only_other_machines_must_reach_this_one() -> None:
    assert not hosts.are_several_machines([])
    assert not hosts.are_several_machines(["localhost", socket.gethostname()])
    assert hosts.are_several_machines(["localhost", "gpu-2"])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1"])
def test_the_address_to_replace_is_the_one_that_was_found(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(socket, "gethostbyname", lambda _: address)
    (finding,) = hosts.check_own_name(across_hosts=True)
    assert finding.level == "error"
    assert f"resolves to {address}" in finding.found
    assert finding.mend.endswith(f"in place of {address}")
