"""``tfdl export --format litert``: what it prints, and that TensorFlow's converter and LiteRT print nothing."""

import re


def test_what_is_printed(run_here, trained_run, tmp_path):
    code, out, err = run_here(
        "export", trained_run.path, tmp_path / "out", "--format", "litert", "--precision", "float16"
    )
    assert (code, err) == (0, "")
    *lines, parity, size, cost = out.splitlines()
    assert lines == [
        f"LiteRT {tmp_path / 'out'}, float16",
        "  takes    image: uint8 (any, 8, 8, 1)",
        "  returns  logits: float32 (any, 10)",
        "  returns  probabilities: float32 (any, 10)",
        "  returns  class_id: int32 (any)",
        "note: weights are float16, and computed in float32",
    ]
    assert re.fullmatch(
        r"parity: largest difference \S+ over 22 samples in float32, with ai-edge-litert without TensorFlow", parity
    )
    before, after = map(int, re.fullmatch(r"size: ([\d,]+) -> ([\d,]+) bytes", size.replace(",", "")).groups())
    assert after < before
    assert after == (tmp_path / "out" / "model.tflite").stat().st_size
    assert re.fullmatch(r"accuracy 0\.\d{4} -> 0\.\d{4} on the test split \(180 samples\)", cost)


def test_bad_input(run_here, trained_run, tmp_path):
    (tmp_path / "mine").write_text("mine")
    code, out, err = run_here("export", trained_run.path, tmp_path / "mine", "--format", "litert", "--overwrite")
    assert (code, out) == (2, "")
    assert err == (
        f"tfdl: error: '{tmp_path / 'mine'}' is not only what such an export consists of, expected an earlier export to"
        " overwrite; give a new folder\n"
    )
    assert (tmp_path / "mine").read_text() == "mine"
