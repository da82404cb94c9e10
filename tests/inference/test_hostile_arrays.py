"""Files of arrays that run code, or that are much larger than their bytes."""

import struct
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.inference.inputs.arrays import array_items
from tfdl.inference.inputs.options import InputOptions

SIGNATURE = {"x": tf.TensorSpec([None, 4], tf.float32)}
PICKLE = b"cos\nsystem\n(S'touch hacked'\ntR."


def npy(shape, dtype, content):
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def refusal(path):
    with pytest.raises(UserError) as caught:
        list(array_items([str(path)], SIGNATURE, InputOptions()))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        PICKLE,
        npy("(1,)", "|O", PICKLE),
        npy("(1000000000000, 4)", "<f4", b"x"),
        npy("(-1, 4)", "<f4", b"x"),
        npy("(" + "9" * 5000 + ",)", "<f4", b"x"),
        npy("__import__('os').system('touch hacked')", "<f4", b"x"),
        npy("(1, 4)", "<f4", b"short"),
        b"\x93NUMPY\x09\x00",
        b"",
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_one_line_and_no_code(content, packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("a.npz" if packed else "a.npy")
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    assert "a.np" in refusal(path)
    assert not (tmp_path / "hacked").exists()


def test_packed_arrays_that_are_larger_than_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((250_000, 4), np.float32))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("tfdl.inference.inputs.arrays.available_bytes", lambda: 8_000_000)
    assert "has arrays of 4,000,128 bytes, expected at most a quarter of the free memory of 8,000,000 b" in refusal(
        path
    )
    monkeypatch.setattr("tfdl.inference.inputs.arrays.available_bytes", lambda: 17_000_000)
    assert len(list(array_items([str(path)], SIGNATURE, InputOptions()))) == 250_000
