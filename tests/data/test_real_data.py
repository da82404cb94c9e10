"""Public data sets from their original files, with no network: prepared by the command, then read."""

import os

import pytest

# Nobody listens at the discard port, and names of hosts are asked of the proxy: whoever wants a network fails.
NO_NETWORK = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")


def test_tiny_shakespeare(real_data, tfdl_command, tmp_path):
    from tfdl.config import DatasetConfig
    from tfdl.data.opening import open_texts

    folder = real_data("tiny_shakespeare")
    done = tfdl_command(
        "datasets", "prepare", "tiny_shakespeare", "--from", folder, "--data-dir", tmp_path / "data", env=NO_NETWORK
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tiny_shakespeare/1.0.0 is prepared in " in done.stdout
    splits = open_texts(DatasetConfig("tiny_shakespeare", str(tmp_path / "data")), ("text",)).splits
    text = "".join(row["text"] for split in ("train", "validation", "test") for row in splits[split])
    assert text == (folder / "input.txt").read_text()
    for split, cut in (("train", 0.9), ("validation", 0.05), ("test", 0.05)):
        assert sum(len(row["text"]) for row in splits[split]) == pytest.approx(cut * len(text), abs=2)


def test_a_damaged_original(real_data, tfdl_command, tmp_path):
    original = (real_data("tiny_shakespeare") / "input.txt").read_bytes()
    (tmp_path / "input.txt").write_bytes(original.replace(b"First Citizen", b"First Denizen"))
    done = tfdl_command(
        "datasets", "prepare", "tiny_shakespeare", "--from", tmp_path, "--data-dir", tmp_path / "data", env=NO_NETWORK
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}{os.sep}input.txt is not the file that data set 'tiny_shakespeare' is made from" in done.stderr
