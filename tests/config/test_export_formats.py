"""Declared export formats, tfdl's and a user's."""

import json
import math

import pytest

import tfdl
from tfdl.config import EXPORT_FORMATS
from tfdl.errors import UserError

PLUGIN = """\
import json

import tfdl
from tfdl.runs import load_run


def write_sizes(request):
    loaded = load_run(request.run, request.checkpoint)
    sizes = {variable.path: list(variable.shape) for variable in loaded.model.weights}
    request.directory.write_text(json.dumps(sizes))
    return tfdl.ExportReport(request.directory, (f"sizes of {len(sizes)} variables",))


tfdl.register_export_format(
    tfdl.ExportFormatSpec("sizes", write_sizes, "the sizes of all variables", precisions=("float32", "int4"))
)
"""


@pytest.mark.parametrize("name", list(EXPORT_FORMATS))
def test_a_format_can_be_loaded_and_is_described(name):
    assert callable(EXPORT_FORMATS.load(name))
    spec = EXPORT_FORMATS[name]
    assert spec.summary
    assert spec.checked_precision(None) == spec.precisions[0]


def test_a_precision_that_a_format_does_not_have():
    with pytest.raises(UserError, match=r"precision 'int3', but the format saved_model has float32; leave --precision"):
        EXPORT_FORMATS["saved_model"].checked_precision("int3")


def test_a_format_of_the_user(trained_run, tmp_path, tfdl_command):
    (tmp_path / "own_formats.py").write_text(PLUGIN)
    words = ("export", trained_run.path, tmp_path / "sizes.json", "--format", "sizes", "--plugin", "own_formats")
    done = tfdl_command(*words, env={"PYTHONPATH": f"{tmp_path}:{tfdl.__path__[0]}/.."})
    assert (done.returncode, done.stderr) == (0, "")
    sizes = json.loads((tmp_path / "sizes.json").read_text())
    assert done.stdout == f"sizes of {len(sizes)} variables\n"
    assert sum(math.prod(shape) for shape in sizes.values()) == trained_run.read_summary()["parameters"]


def test_an_unknown_format(trained_run, tmp_path, tfdl_command):
    done = tfdl_command("export", trained_run.path, tmp_path / "out", "--format", "saved-model")
    assert done.returncode == 2
    assert "unknown export format 'saved-model', expected one of saved_model" in done.stderr
    assert not (tmp_path / "out").exists()
