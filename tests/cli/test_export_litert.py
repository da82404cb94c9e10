"""``tfdl export --format litert``: what it prints, and that TensorFlow's converter and LiteRT print nothing."""

import re


def test_what_is_printed(run_here, trained_run, tmp_path):
    code, out, err = run_here(
        "export", trained_run.path, tmp_path / "out", "--format", "litert", "--precision", "float16"
    )
    assert (code, err) == (0, "")
    title, *tensors, parity, cost, size_note, note, load = out.splitlines()
    written = re.escape(f"LiteRT model {tmp_path / 'out'}")
    assert re.fullmatch(rf"{written} \(\d+\.\d KiB\): labels\.txt, model\.tflite, tfdl\.json", title)
    assert tensors == [
        "  takes    image: uint8 (any, 8, 8, 1)",
        "  returns  logits: float32 (any, 10)",
        "  returns  probabilities: float32 (any, 10)",
        "  returns  class_id: int32 (any)",
    ]
    asked_by = "run by ai-edge-litert without tfdl, Horovod and TensorFlow"
    assert re.fullmatch(rf"parity: largest difference \S+ over 22 samples in float32, {asked_by}", parity)
    measured = r"accuracy 0\.\d{4} -> 0\.\d{4} on the test split \(180 samples\)"
    before, after = re.fullmatch(rf"float16: {measured}; size (\d+\.\d) KiB -> (\d+\.\d) KiB", cost).groups()
    assert float(after) < float(before)
    assert size_note == "note: images must have 8x8 pixels (width x height): the file does not resize them"
    assert note == "note: weights are float16, and computed in float32"
    assert load.startswith("load it with ai_edge_litert.interpreter.Interpreter('")


def test_bad_input(run_here, trained_run, tmp_path):
    (tmp_path / "mine").write_text("mine")
    code, out, err = run_here("export", trained_run.path, tmp_path / "mine", "--format", "litert", "--overwrite")
    assert (code, out) == (2, "")
    assert err == (
        f"tfdl: error: '{tmp_path / 'mine'}' is a file; expected an earlier export of this format, or a new folder\n"
    )
    assert (tmp_path / "mine").read_text() == "mine"
