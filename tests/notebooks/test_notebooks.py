"""The committed notebooks are complete, and their outputs are those of an execution.

They take minutes and show what other tests check; ``tests/soak/test_notebooks.py`` executes them.
"""

import ast
import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output

import tfdl
from notebooks import execute
from tests.notebooks.faults import faults
from tfdl.cli.main import main
from tfdl.config.mapping import to_mapping

NOTEBOOKS = execute.notebooks()
# Kilobytes. The repository keeps every version of every plot.
MAX_SIZE = 300
# The cells of a notebook that assert what its text states.
MIN_CHECKED_CELLS = 5


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def name_of(path: Path) -> str:
    return path.stem


def test_they_are_numbered_from_one() -> None:
    expected = [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]
    assert [path.name[:2] for path in NOTEBOOKS] == expected
    assert len(NOTEBOOKS) >= 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_a_committed_notebook_is_complete_and_has_no_faults(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert faults(notebook) == []
    assert path.stat().st_size < MAX_SIZE * 1000
    assert re.match(rf"# {int(path.name[:2])}\. \w", notebook.cells[0].source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_it_has_assertions_and_its_links_exist(path: Path) -> None:
    cells = read(path).cells
    code_cells = [cell for cell in cells if cell.cell_type == "code"]
    checked = [cell for cell in code_cells if re.search(r"assert\b|assert_", cell.source)]
    assert len(checked) >= MIN_CHECKED_CELLS
    for cell in cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert target.startswith("http") or (path.parent / target).is_file(), target


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_the_names_of_tfdl_in_its_cells_exist(path: Path) -> None:
    """A notebook that is not executed here still uses what there is."""
    names = set()
    for cell in read(path).cells:
        python = cell.source.removeprefix("%%writefile").partition("\n")[2] if "%%w" in cell.source else cell.source
        if cell.cell_type == "code" and not python.startswith("%%"):
            names |= names_of_tfdl(ast.parse(python))
    assert len(names) >= 4
    for name in names:
        found = tfdl
        for part in name.split(".")[1:]:
            found = getattr(found, part, None) or importlib.import_module(f"{found.__name__}.{part}")


def names_of_tfdl(tree: ast.Module) -> set[str]:
    """What a program imports from tfdl, and attributes such as ``tfdl.layers.LSTM``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tfdl":
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Attribute) and re.fullmatch(r"tfdl(\.\w+)+", ast.unparse(node)):
            names.add(ast.unparse(node))
    return names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_a_cell_that_trains_may_run_again(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "code":
            calls = re.findall(r"tfdl\.train\(.*?^\s*\)$|tfdl\.train\(.*\)$", cell.source, re.DOTALL | re.MULTILINE)
            assert all("overwrite=True" in call for call in calls), cell.source
            commands = [line for line in cell.source.splitlines() if re.match(r"(horovodrun .*)?tfdl train ", line)]
            assert all("--overwrite" in line for line in commands), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS[:3], ids=name_of)
def test_the_command_in_the_text_has_the_configuration_of_the_cells(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = read(path).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    (command,) = re.findall(r"^    tfdl (train (?:.*\\\n)*.*)$", text, re.MULTILINE)
    with pytest.raises(SystemExit):
        main([*shlex.split(command.replace("\\\n", "")), "--print-config"])
    expected = yaml.safe_load(capsys.readouterr().out)
    names = {"SHAPE", "OPTIMIZERS", "config"}
    known: dict[str, Any] = {"tfdl": tfdl}
    for cell in cells:
        for node in ast.parse(cell.source).body if cell.cell_type == "code" and "%%" not in cell.source else ():
            is_wanted = isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} & names
            if is_wanted:
                exec(ast.unparse(node), known)
    config = known.get("config") or tfdl.TrainConfig(
        model={"name": "cnn", **known["SHAPE"]}, optimizer=known["OPTIMIZERS"]["Adam"], epochs=6
    )
    assert yaml.safe_load(yaml.safe_dump(to_mapping(config))) == expected


@pytest.mark.parametrize(
    ("source", "outputs", "count", "expected"),
    [
        ("1 + 1", [], 2, "cell: executed as 2, expected 1"),
        ("plt.show()", [], 1, "cell: shows no plot"),
        ("print(1)", [], 1, "cell: prints nothing"),
        ("%%bash\ntfdl models", [], 1, "cell: prints nothing"),
        ("f()", [new_output("stream", name="stderr", text="oneDNN custom operations are on")], 1, "cell: has stderr"),
        ("f()", [new_output("error", ename="ValueError", evalue="", traceback=[])], 1, "cell: has error"),
        ("f()", [new_output("stream", name="stdout", text="in /home/me")], 1, "cell: shows a path of this machine"),
        ("f()", [new_output("execute_result", {"text/plain": "<F at 0x7f00>"})], 1, "cell: shows an address"),
        ("f()", [new_output("stream", name="stdout", text="\x1b[1mbold")], 1, "cell: shows colours of a terminal"),
        ("open('/tmp/x')", [], 1, "cell: a path of this machine"),
    ],
)  # fmt: skip
def test_faults_are_found(source: str, outputs: list[Any], count: int, expected: str) -> None:
    cell = new_code_cell(source, outputs=outputs, execution_count=count, id="cell")
    assert faults(new_notebook(cells=[cell])) == [expected]


def test_executing_saves_the_outputs_and_does_not_change_a_notebook_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "FOLDER", tmp_path)
    path = tmp_path / "01_small.ipynb"
    python = "import shutil\nprint(shutil.which('python'), end='')"
    colours = "for text in ('\\x1b[', '1mbo', 'ld\\x1b[0m'):\n    print(text, end='', flush=True)"
    sources = {"empty": "import os\nos.listdir()", "python": python, "colours": colours}
    cells = [new_code_cell(source, id=name) for name, source in sources.items()]
    nbformat.write(new_notebook(cells=cells), path)
    execute.main([])
    saved = read(path)
    assert [cell.execution_count for cell in saved.cells] == [1, 2, 3]
    assert saved.cells[0].outputs[0].data["text/plain"] == "[]"  # it ran in an empty folder
    assert Path(saved.cells[1].outputs[0].text).parent == Path(sys.executable).parent
    assert [output.text for output in saved.cells[2].outputs] == ["bold"]

    saved.cells.append(new_code_cell("assert 1 == 2", id="wrong"))
    nbformat.write(saved, path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="assert 1 == 2"):
        execute.main(["01_small.ipynb"])
    assert path.read_bytes() == before
