"""The program of docs/export.md asks an export as it stands there."""

import re
from pathlib import Path

import pytest

import tfdl
from tfdl.runs import load_run

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_program(trained_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tfdl.export_saved_model(trained_run, "exported/photos")
    (tmp_path / "new").mkdir()
    task = load_run(trained_run).task
    for number, data in enumerate(task.signatures()["encoded"].sample(3)["image_bytes"].tolist()):
        (tmp_path / "new" / f"{number}.png").write_bytes(data)
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/export.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [f"new/{number}.png" for number in range(3)]
    expected = [answer["class_name"] for answer in tfdl.load(trained_run).predict(["new"])]
    assert [line.split()[1] for line in printed] == expected


def test_the_table_has_every_signature(trained_run):
    for name in load_run(trained_run).task.signatures():
        assert f"`{name}`" in PAGE
