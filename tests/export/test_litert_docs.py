"""The program of docs/export-litert.md asks an export as it stands there."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

import tfdl

PAGE = (Path(__file__).parents[2] / "docs" / "export-litert.md").read_text(encoding="utf-8")


def test_the_program(trained_run, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    tfdl.export_litert(trained_run, "exported/phone")
    (tmp_path / "new").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "new" / f"{number}.png")
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/export-litert.md", "exec"), {})
    printed = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [f"new/{number}.png" for number in range(5)]
    expected = [answer["class_name"] for answer in tfdl.load(trained_run).predict(["new"])]
    assert len(set(expected)) > 1
    assert [line.split()[1] for line in printed] == expected


def test_the_page_has_every_file_and_precision():
    for name in ("model.tflite", "litert.json", "labels.txt", "tokenizer.json", "float32", "float16", "int8"):
        assert f"`{name}`" in PAGE
