"""Every line of docs/security.md has a test that is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_the_test_is_there(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in names or (not name and any(found.startswith("test_") for found in names))


def test_each_line_of_a_table_with_tests_has_one():
    in_table = False
    num_lines = 0
    for line in PAGE.splitlines():
        if line.startswith("| what is read"):
            in_table = True
        elif not line.startswith("|"):
            in_table = False
        elif in_table and not line.startswith("| ---"):
            assert re.search(r"\| `tests/[^`]+` \|$", line), line
            num_lines += 1
    assert num_lines == len(re.findall(r"^\| .*`tests/[^`]+` \|$", PAGE, re.MULTILINE)) > 20


# Pickles that never come from a file: those between ranks, and those that are refused.
_NAMES = {"load_model", "h5py", "pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
_KNOWN = {
    ("tfdl/distributed/elastic/keras_state.py", "pickle"),  # a copy in memory, and between the ranks of a job
    ("tfdl/distributed/object_collectives.py", "pickle"),  # between the ranks of a job
    ("tfdl/models/keras_model.py", "load_model"),  # tfdl's function, which reads JSON
    ("tfdl/runs/load.py", "load_model"),
}


def test_no_module_reads_pickles_or_h5():
    found = set()
    for path in [*(ROOT / "tfdl").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.FunctionDef | ast.Attribute):
                names = [node.name if isinstance(node, ast.FunctionDef) else node.attr]
            found |= {(path.relative_to(ROOT).as_posix(), name) for name in names if name in _NAMES}
    assert {entry for entry in found if not entry[0].startswith("tfdl/horovod_build/")} == _KNOWN
